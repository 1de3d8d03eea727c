//go:build darwin || netbsd

package pflog

// lockBPF would be the request that ends all changes of a bpf device's settings; these systems have none, or x/sys does not know it.
const lockBPF = 0
