//go:build !linux || !cgo || nopcap

package pflog

// ForgetTables gives back the memory of tables that a library behind live capture fills at the start of the program; here are none.
func ForgetTables() {}
