//go:build !freebsd

package pfctl

// requestMaxcount: only FreeBSD caps requests. Elsewhere its default is kept, which costs nothing.
func requestMaxcount() int { return defaultRequestMax }
