package pftest

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
)

// tableError prints a fault of a table request and gives the exit status of exit(-1).
func (c *call) tableError(msg string) error {
	c.warn("%s", c.pf.prof.dot(msg))
	return exitError(255)
}

func (c *call) missing() error {
	if c.o.table == "" {
		return c.invalid()
	}
	return c.tableError("Table does not exist")
}

// invalid is EINVAL: newer pfctls of OpenBSD print it as if the anchor were missing.
func (c *call) invalid() error {
	if c.pf.prof.OpenBSD && !c.pf.prof.Dot {
		return c.tableError("Anchor does not exist")
	}
	return c.tableError("Invalid argument")
}

// asks says whether the kernel is asked at all: not with -n where the device did not open.
func (c *call) asks() bool { return !c.o.dry || c.dummy }

// table is -T.
func (c *call) table() error {
	o := &c.o
	if len(o.table) > 31 {
		return c.usage()
	}
	noArgs := len(o.args) == 0 && !o.fileSet
	switch o.cmd {
	case "add":
		return c.withList(c.add)
	case "delete":
		return c.withList(c.delete)
	case "replace":
		return c.withList(c.replace)
	case "test":
		return c.withList(c.test)
	case "zero":
		if noArgs {
			return c.zeroTable()
		}
		if !c.pf.prof.ZeroAddresses {
			return c.usage()
		}
		return c.withList(c.zeroAddresses)
	case "expire":
		return c.expire()
	}
	if !noArgs {
		return c.usage()
	}
	switch o.cmd {
	case "show":
		return c.showTable()
	case "flush":
		return c.flushTable()
	case "kill":
		return c.killTable()
	case "reset":
		return c.resetTable()
	}
	return c.usage()
}

// withList reads the addresses of the command line and of -f, all of them before anything is done.
func (c *call) withList(do func([]address) error) error {
	hostOnly := c.o.cmd == "test"
	list, bad, aerr := c.words(c.o.args, hostOnly)
	if aerr != nil {
		if aerr.text != "" {
			c.err.WriteString(aerr.text + "\n")
		}
		switch {
		case aerr.unfinished:
			c.warn("failed to decode %s", bad)
		case aerr.einval:
			c.warn("cannot decode %s: Invalid argument", bad)
		}
		return exitError(255)
	}
	if c.o.fileSet {
		data := c.stdin
		if c.o.file != "-" {
			var err error
			if data, err = os.ReadFile(c.o.file); err != nil {
				c.warn("cannot load %s: %s", c.o.file, fileError(err))
				return exitError(255)
			}
		}
		more, aerr := c.fromFile(data, hostOnly)
		if aerr != nil {
			if aerr.text != "" {
				c.err.WriteString(aerr.text + "\n")
			}
			switch {
			case aerr.einval:
				c.warn("cannot load %s: Invalid argument", c.o.file)
			case c.pf.prof.OpenBSD || c.pf.prof.CountersAlways:
				c.warn("cannot load %s: Undefined error: 0", c.o.file)
			default:
				c.warn("cannot load %s: No error: 0", c.o.file)
			}
			return exitError(255)
		}
		list = append(list, more...)
	}
	return do(list)
}

func fileError(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return strerror(2)
	}
	if errors.Is(err, fs.ErrPermission) {
		return strerror(13)
	}
	return err.Error()
}

// words parses a list of addresses; bad is the one that was not understood. In OpenBSD's lists "weight N" may follow an address.
func (c *call) words(ws []string, hostOnly bool) (list []address, bad string, err *addrError) {
	weighs := false
	for _, w := range ws {
		switch {
		case c.pf.prof.Weights && w == "weight":
			weighs = true
			continue
		case weighs:
			n, why := strtonum(w, 1, math.MaxUint16)
			if why != "" {
				return nil, w, &addrError{text: "failed to convert weight " + w, einval: true}
			}
			if len(list) > 0 {
				list[len(list)-1].weight = int(n)
			}
			weighs = false
			continue
		}
		got, err := c.pf.parseAddress(w, hostOnly)
		if err != nil {
			return nil, w, err
		}
		list = append(list, got...)
	}
	if weighs {
		return nil, "weight", &addrError{unfinished: true}
	}
	return list, "", nil
}

// fromFile parses an address file: words apart by space, "#" to the end of the line is a comment. Plain addresses, which are all
// that a daemon sends, take a short way.
func (c *call) fromFile(data []byte, hostOnly bool) ([]address, *addrError) {
	list := make([]address, 0, bytes.Count(data, []byte{'\n'})+1)
	for len(data) > 0 {
		line, rest, _ := bytes.Cut(data, []byte{'\n'})
		data = rest
		line = line[:commentAt(line)]
		if k, ok := plainKey(line); ok && (!hostOnly || k.bits == k.full()) {
			list = append(list, address{key: k})
			continue
		}
		ws := strings.Fields(string(line))
		long := slices.IndexFunc(ws, func(w string) bool { return len(w) > 255 })
		if long >= 0 {
			ws = ws[:long]
		}
		got, _, err := c.words(ws, hostOnly)
		if err != nil {
			return nil, err
		}
		if long >= 0 {
			return nil, &addrError{einval: true}
		}
		list = append(list, got...)
	}
	return list, nil
}

// commentAt finds where a line's comment begins: "#" begins one only where a word would begin.
func commentAt(line []byte) int {
	for i, ch := range line {
		if ch == '#' && (i == 0 || strings.IndexByte(" \t\r\v\f", line[i-1]) >= 0) {
			return i
		}
	}
	return len(line)
}

// readAddressFile is file "path" in a table's declaration. A fault in it says what pfctl prints before its own line, and that line.
func (pf *PF) readAddressFile(path string) (list []address, before, fault string) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, "", "cannot load \"" + path + "\": " + fileError(err)
	}
	c := &call{pf: pf}
	list, aerr := c.fromFile(data, false)
	switch {
	case aerr == nil:
		return list, "", ""
	case aerr.einval:
		return nil, aerr.text, "cannot load \"" + path + "\": Invalid argument"
	}
	return nil, aerr.text, "file \"" + path + "\" contains bad data"
}

// plainKey reads a line that holds one dotted IPv4 address and nothing else.
func plainKey(line []byte) (key, bool) {
	var v uint64
	part, digits, dots := uint64(0), 0, 0
	for i, ch := range line {
		switch {
		case ch >= '0' && ch <= '9':
			if digits > 0 && part == 0 { // octal: the long way
				return key{}, false
			}
			part = part*10 + uint64(ch-'0')
			if digits++; digits > 3 || part > 255 {
				return key{}, false
			}
		case ch == '.' && digits > 0 && dots < 3:
			v = v<<8 | part
			part, digits = 0, 0
			dots++
		case ch == '\r' && i == len(line)-1:
		default:
			return key{}, false
		}
	}
	return key{lo: v<<8 | part, bits: 32}, dots == 3 && digits > 0
}

// create makes the table of an add or replace if it is not there. stop is true where -n ends the run here.
func (c *call) create() (t *table, stop bool, err error) {
	pf, o := c.pf, &c.o
	if pf.prof.WarnAlways {
		c.warnDuplicates(o.table, o.anchor)
	}
	if !c.asks() {
		return nil, false, nil
	}
	if o.table == "" {
		return nil, false, c.invalid()
	}
	var there *table
	if rs := pf.sets[o.anchor]; rs != nil {
		there = rs.tables[o.table]
	}
	if there != nil && there.active {
		return there, false, nil
	}
	if pf.secure() {
		return nil, false, c.missing()
	}
	if n := 1 + map[bool]int{true: 1}[o.anchor != "" && pf.sets[""].tables[o.table] == nil]; there == nil && !c.anchorRoom(n) {
		return nil, false, c.tableError("Cannot allocate memory")
	}
	known := there != nil || pf.held(o.anchor, o.table) > 0
	created := !known || pf.prof.CreatesRevived
	if !o.dry {
		rs := pf.set(o.anchor)
		if there == nil {
			there = newTable(o.anchor, o.table)
			rs.tables[o.table] = there
		}
		there.persist = true
		there.activate(pf.now())
	}
	if created {
		if !pf.prof.WarnAlways {
			c.warnCollision(o.table)
		}
		c.say("1 table created")
		if o.dry {
			return nil, true, nil
		}
	}
	if o.dry {
		return newTable(o.anchor, o.table), false, nil
	}
	return there, false, nil
}

// warnDuplicates is the newer warning: this name is also a table elsewhere.
func (c *call) warnDuplicates(name, anchor string) {
	for _, path := range append([]string{""}, c.pf.paths()...) {
		if path == anchor || c.pf.active(path, name) == nil {
			continue
		}
		if path == "" {
			path = "/"
		}
		c.warn("warning: table <%s> already defined in anchor \"%s\"", name, path)
	}
}

// warnCollision is the older one: a table of the main ruleset hides behind an anchor's. An empty name asks for all.
func (c *call) warnCollision(name string) {
	hits := map[string]bool{}
	for t := range c.pf.sets[""].tables {
		if (name != "" && t != name) || c.pf.active("", t) == nil {
			continue
		}
		for path := range c.pf.sets {
			if path != "" && c.pf.active(path, t) != nil {
				hits[t] = true
			}
		}
	}
	switch len(hits) {
	case 0:
	case 1:
		for t := range hits {
			c.warn("warning: namespace collision with <%s> global table.", t)
		}
	default:
		c.warn("warning: namespace collisions with %d global tables.", len(hits))
	}
}

// feedback prints addresses with what became of them.
func (c *call) feedback(list []address) {
	if c.o.verbose == 0 {
		return
	}
	var b []byte
	for _, a := range list {
		if a.fb == 0 && c.o.verbose < 2 {
			continue
		}
		b = appendAddr(b[:0], a.fb, a.not, a.key)
		c.out.Write(append(b, '\n'))
	}
}

func appendAddr(b []byte, letter byte, not bool, k key) []byte {
	if letter == 0 {
		letter = ' '
	}
	b = append(b, letter, ' ', ' ')
	if not {
		b[len(b)-1] = '!'
	}
	return k.appendText(b)
}
