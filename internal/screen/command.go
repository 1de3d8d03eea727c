package screen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"pfwarden/detect"
)

// Command decides whether a source is to be ignored: exit status 0 says so, 1 says no; anything else is a failure, and the
// source counts. Values are passed as variables of the environment, never as shell text.
type Command struct {
	text    string   // for the shell, tags in it
	tags    []string // in order of appearance, each once
	timeout time.Duration
	keep    time.Duration

	key     string   // what an answer is kept by, tags in it; "" = by the values of all tags
	keyTags []string // in it
	most    int      // answers that are kept; 0 = as many as the Screen says
}

// Text is what the command was made from: two of the same text do the same.
func (c *Command) Text() string { return c.text }

// Timeout is when a run of it is given up.
func (c *Command) Timeout() time.Duration { return c.timeout }

// Tags are the names of the values that Exec wants, in their order.
func (c *Command) Tags() []string { return slices.Clone(c.tags) }

// Exec runs the command once as a child process and gives its exit status, or an error if there is none.
func (c *Command) Exec(ctx context.Context, values []string) (status int, err error) {
	if len(values) != len(c.tags) {
		return -1, fmt.Errorf("ignore command: %d values for %d tags", len(values), len(c.tags))
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	argv, env := c.line(values)
	return runProgram(ctx, argv, env)
}

// tag is fail2ban's way of naming a value.
var tag = regexp.MustCompile(`<(ip|fid|family|ip-rev|ip-host|failures|time|matches|restored|name|jail\.name|F-[A-Z][A-Z0-9_-]*)>`)

// nameTag is the name of the address in DNS. It is the only tag that must be asked for.
const nameTag = "<ip-host>"

// maxValue bounds a value that is handed to a command, in bytes.
const maxValue = 1024

// NewCommand makes a command from text for /bin/sh, as fail2ban's ignorecommand is. A tag in it becomes a reference to a
// variable, quoted as its surroundings ask for, so that its value is always one word. The command is killed, with all that it
// started, after timeout (0: 10 s); its answer for the same values is kept for keep (0: 5 min).
func NewCommand(text string, timeout, keep time.Duration) (*Command, error) {
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("ignore command: it is empty")
	}
	c := &Command{text: text, timeout: timeout, keep: keep}
	if c.timeout <= 0 {
		c.timeout = 10 * time.Second
	}
	if c.keep <= 0 {
		c.keep = 5 * time.Minute
	}
	for _, t := range tag.FindAllString(text, -1) {
		if !slices.Contains(c.tags, t) {
			c.tags = append(c.tags, t)
		}
	}
	return c, nil
}

// Keep says by what answers are kept: text with tags in it, "<ip>" or "<F-USER>@<ip>" say. At most most of them are (0: as many as the Screen
// says).
func (c *Command) Keep(key string, most int) {
	c.key, c.keyTags, c.most = key, tag.FindAllString(key, -1), most
}

// variable names the environment's variable of a tag.
func variable(t string) string {
	return "pfw_" + strings.NewReplacer("-", "_", ".", "_").Replace(strings.Trim(t, "<>"))
}

// quoteTags puts a reference to a variable in the place of each tag. Outside quotes it is put between double quotes, within
// double quotes it stands alone, and single quotes are left for it. Wherever this is mistaken (in a here document, say) the
// value may be split or not expanded; it is still a variable's value and never read as shell text.
func quoteTags(text string) string {
	var out strings.Builder
	var quote byte
	for i := 0; i < len(text); {
		if m := tag.FindStringIndex(text[i:]); m != nil && m[0] == 0 {
			ref := "${" + variable(text[i:i+m[1]]) + "}"
			switch quote {
			case '"':
				out.WriteString(ref)
			case '\'':
				out.WriteString(`'"` + ref + `"'`)
			default:
				out.WriteString(`"` + ref + `"`)
			}
			i += m[1]
			continue
		}
		c := text[i]
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(text):
			out.WriteByte(c)
			i++
			c = text[i]
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == quote:
			quote = 0
		}
		out.WriteByte(c)
		i++
	}
	return out.String()
}

// values gives the value of each tag of c for an observation; name is that of its address, where it was asked for. Bytes that no argument may
// hold are left out.
func (c *Command) values(o *detect.Observation, name string) []string {
	out := make([]string, len(c.tags))
	for i, t := range c.tags {
		out[i] = valueOf(t, o, name)
	}
	return out
}

// asksName tells whether the name of the address must be known to run the command.
func (c *Command) asksName() bool { return slices.Contains(c.tags, nameTag) }

// cacheKey is what an answer about an observation is kept by. ok is false where that needs the name of the address and it is not known yet.
func (c *Command) cacheKey(o *detect.Observation, name string, named bool) (key string, ok bool) {
	tags := c.tags
	if c.key != "" {
		tags = c.keyTags
	}
	if !named && slices.Contains(tags, nameTag) {
		return "", false
	}
	if c.key == "" {
		return commandKey(o.Jail, c.values(o, name)), true
	}
	text := tag.ReplaceAllStringFunc(c.key, func(t string) string { return valueOf(t, o, name) })
	return commandKey(o.Jail, []string{text}), true
}

// valueOf is what a tag stands for.
func valueOf(t string, o *detect.Observation, host string) string {
	v := ""
	switch name := strings.Trim(t, "<>"); name {
	case "ip":
		if v = o.ID; o.Source.IsValid() {
			v = o.Source.String()
		}
	case "fid":
		if v = o.ID; v == "" && o.Source.IsValid() {
			v = o.Source.String()
		}
	case "family":
		switch {
		case o.Source.Is4():
			v = "inet4"
		case o.Source.IsValid():
			v = "inet6"
		}
	case "ip-rev":
		v = reversed(o.Source)
	case "ip-host":
		v = host
	case "failures":
		v = strconv.Itoa(max(o.Count, 1))
	case "time":
		v = strconv.FormatFloat(float64(o.Time.UnixMilli())/1000, 'f', 1, 64)
	case "matches":
		v = o.Text
	case "restored":
		v = "0"
	case "name", "jail.name":
		v = o.Jail
	default:
		v = o.Fields[strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "F-")), "-", "_")]
		if name == "F-ID" && v == "" {
			v = o.ID
		}
	}
	v = strings.ReplaceAll(v, "\x00", "")
	return v[:min(len(v), maxValue)]
}

// reversed is the name of an address in the reverse tree of DNS, without the tree's own.
func reversed(a netip.Addr) string {
	var b strings.Builder
	raw := a.AsSlice()
	for _, v := range slices.Backward(raw) {
		if a.Is4() {
			fmt.Fprintf(&b, "%d.", v)
		} else {
			fmt.Fprintf(&b, "%x.%x.", v&15, v>>4)
		}
	}
	return b.String()
}

// line gives what is run for the values.
func (c *Command) line(values []string) (argv, env []string) {
	env = []string{"PATH=/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin", "LC_ALL=C"}
	for i, t := range c.tags {
		env = append(env, variable(t)+"="+values[i])
	}
	return []string{"/bin/sh", "-c", quoteTags(c.text)}, env
}

// Run is how a command is run: it gives the exit status, or an error if there is none.
type Run func(ctx context.Context, c *Command, values []string) (status int, err error)

// runProgram runs a child process in a process group of its own, which is killed as a whole when ctx ends.
func runProgram(ctx context.Context, argv, env []string) (int, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = env
	cmd.Dir = commandDir
	var said bounded
	cmd.Stderr = &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return -1, ctx.Err()
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() >= 0 {
		if exit.ExitCode() > 1 {
			return exit.ExitCode(), fmt.Errorf("%s: exit status %d: %s", argv[0], exit.ExitCode(), bytes.TrimSpace(said.data))
		}
		return exit.ExitCode(), nil
	}
	if err != nil {
		return -1, err
	}
	return 0, nil
}

// bounded keeps the beginning of what is written to it.
type bounded struct{ data []byte }

func (b *bounded) Write(p []byte) (int, error) {
	b.data = append(b.data, p[:min(len(p), 512-len(b.data))]...)
	return len(p), nil
}
