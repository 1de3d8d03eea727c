//go:build dragonfly || freebsd || openbsd

package pflog

import "golang.org/x/sys/unix"

// lockBPF is the request that ends all changes of a bpf device's settings.
const lockBPF = unix.BIOCLOCK
