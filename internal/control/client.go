package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"
)

// maxAnswer bounds one JSON object of the daemon's, and one line of a list.
const maxAnswer = 64 << 20

// Client asks the daemon over its control socket.
type Client struct {
	path string
	http *http.Client
}

// NewClient makes a client for the socket at path. Nothing is opened before the first request.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		d := net.Dialer{Timeout: 5 * time.Second}
		return d.DialContext(ctx, "unix", path)
	}
	return &Client{path: path, http: &http.Client{Transport: &http.Transport{
		DialContext: dial, DisableCompression: true, ResponseHeaderTimeout: 90 * time.Second, MaxResponseHeaderBytes: 16 << 10,
	}}}
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status asks how the daemon is; with a jail, how that one is.
func (c *Client) Status(ctx context.Context, jail string) (s Status, err error) {
	return s, c.get(ctx, "/v1/status", query("jail", jail), &s)
}

// Bans lists the bans in force. An error ends the list.
func (c *Client) Bans(ctx context.Context, q BanQuery) iter.Seq2[Ban, error] {
	return func(yield func(Ban, error) bool) {
		v := query("table", q.Table, "jail", q.Jail)
		if q.Prefix.IsValid() {
			v.Set("address", FormatPrefix(q.Prefix))
		}
		body, err := c.do(ctx, http.MethodGet, "/v1/bans", v, nil)
		if err != nil {
			yield(Ban{}, err)
			return
		}
		defer body.Close() // it is only read
		line := &io.LimitedReader{R: body}
		d := json.NewDecoder(line)
		for {
			var b Ban
			line.N = maxAnswer // for each anew: of the list there is no end to be told before
			err := d.Decode(&b)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				err = fmt.Errorf("the daemon's answer broke off: %w", err)
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// Ban bans the prefixes of the order.
func (c *Client) Ban(ctx context.Context, o BanOrder) (BanResult, error) {
	return c.each(ctx, "/v1/ban", o.Prefixes, func(addresses []string) any {
		return banBody{Addresses: addresses, Seconds: o.For.Seconds(), Forever: o.Forever, Reason: o.Reason}
	})
}

// Unban ends the bans of the order.
func (c *Client) Unban(ctx context.Context, o UnbanOrder) (r BanResult, err error) {
	if o.All {
		return r, c.post(ctx, "/v1/unban", unbanBody{All: true}, &r)
	}
	return c.each(ctx, "/v1/unban", o.Prefixes, func(addresses []string) any { return unbanBody{Addresses: addresses} })
}

// Never returns the never-list.
func (c *Client) Never(ctx context.Context) (list []NeverEntry, err error) {
	return list, c.get(ctx, "/v1/never", nil, &list)
}

// NeverAdd puts prefixes on the never-list.
func (c *Client) NeverAdd(ctx context.Context, prefixes []netip.Prefix, comment string) (BanResult, error) {
	return c.each(ctx, "/v1/never/add", prefixes, func(addresses []string) any { return neverBody{addresses, comment} })
}

// NeverRemove takes prefixes off the never-list.
func (c *Client) NeverRemove(ctx context.Context, prefixes []netip.Prefix) (BanResult, error) {
	return c.each(ctx, "/v1/never/remove", prefixes, func(addresses []string) any { return neverBody{Addresses: addresses} })
}

// Pause stops banning.
func (c *Client) Pause(ctx context.Context, flush bool) error {
	return c.post(ctx, "/v1/pause", pauseBody{Flush: flush}, &struct{}{})
}

// Resume takes up banning again.
func (c *Client) Resume(ctx context.Context) error {
	return c.post(ctx, "/v1/resume", struct{}{}, &struct{}{})
}

// Explain asks all that is known of an address or a prefix.
func (c *Client) Explain(ctx context.Context, p netip.Prefix) (e Explanation, err error) {
	return e, c.get(ctx, "/v1/explain", query("address", FormatPrefix(p)), &e)
}

// PF asks for our part of PF.
func (c *Client) PF(ctx context.Context) (v PFView, err error) {
	return v, c.get(ctx, "/v1/pf", nil, &v)
}

// query makes a query of pairs of names and values, leaving out empty values.
func query(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

// each sends an order in as many requests as its bound asks for, and puts the results together.
func (c *Client) each(ctx context.Context, path string, prefixes []netip.Prefix, body func([]string) any) (all BanResult, err error) {
	all = BanResult{Bans: []Ban{}, Refused: []Refusal{}}
	for chunk := range slices.Chunk(prefixes, maxAddresses) {
		addresses := make([]string, len(chunk))
		for i, p := range chunk {
			addresses[i] = FormatPrefix(p)
		}
		var r BanResult
		if err := c.post(ctx, path, body(addresses), &r); err != nil {
			return all, err
		}
		all.Bans = append(all.Bans, r.Bans...)
		all.Refused = append(all.Refused, r.Refused...)
		if r.Note != "" {
			all.Note = r.Note
		}
	}
	return all, nil
}

func (c *Client) get(ctx context.Context, path string, v url.Values, out any) error {
	body, err := c.do(ctx, http.MethodGet, path, v, nil)
	if err != nil {
		return err
	}
	return readAnswer(body, out)
}

func (c *Client) post(ctx context.Context, path string, in, out any) error {
	data, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	body, err := c.do(ctx, http.MethodPost, path, nil, data)
	if err != nil {
		return err
	}
	return readAnswer(body, out)
}

func readAnswer(body io.ReadCloser, out any) error {
	defer body.Close() // it is only read
	if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(out); err != nil {
		return fmt.Errorf("the daemon's answer cannot be read: %w", err)
	}
	return nil
}

// do sends a request and returns the body of a good answer.
func (c *Client) do(ctx context.Context, method, path string, v url.Values, data []byte) (io.ReadCloser, error) {
	u := url.URL{Scheme: "http", Host: "pfwarden", Path: path, RawQuery: v.Encode()}
	r, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("ask the daemon: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, c.explain(err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close() // it is only read
	var f failure
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxBody)).Decode(&f); err != nil {
		return nil, fmt.Errorf("the daemon answered %s", answer.Status)
	}
	return nil, f.err()
}

// explain says what a failed connection means.
func (c *Client) explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: there is no socket %s", ErrNotRunning, c.path)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nobody answers at %s", ErrNotRunning, c.path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %s is for root and its group", ErrNotPermitted, c.path)
	case errors.Is(err, syscall.EPIPE):
		return fmt.Errorf("%w: it hung up at %s before it was asked; try again", ErrBusy, c.path)
	default:
		return fmt.Errorf("ask the daemon at %s: %w", c.path, err)
	}
}
