package fakegateway

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"
)

// Capture is a recorded connection.
type Capture struct {
	// Name of the file, without ".jsonl".
	Name string
	// Query of the connection, as it stood behind the host.
	Query string
	// CloseCode and CloseReason with which it was closed, by whichever side; 0
	// if it broke.
	CloseCode   int
	CloseReason string
	// ClosedAt is when, from the opening on; 0 if it is not known.
	ClosedAt time.Duration
	// Frames of both directions, in their order.
	Frames []Frame
	// Expected payloads: what the frames of the server decode to. They are nil
	// if there is no file of that.
	Expected []json.RawMessage
}

// Frame is one WebSocket message of a Capture.
type Frame struct {
	// Out tells that the client sent it.
	Out bool
	// At is when, from the opening on.
	At     time.Duration
	Binary bool
	Data   []byte
}

// LoadCapture reads the capture NAME.jsonl, and NAME.expected.jsonl if there is
// one. The format is that of this project's captures; see its test/captures.
func LoadCapture(file string) (*Capture, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	expected, err := os.ReadFile(strings.TrimSuffix(file, ".jsonl") + ".expected.jsonl")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	c, err := ParseCapture(bytes.NewReader(text), bytes.NewReader(expected))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	name := file[strings.LastIndexAny(file, `/\`)+1:]
	c.Name = strings.TrimSuffix(name, ".jsonl")
	return c, nil
}

// ParseCapture reads a capture, and from expected, which may be nil, its
// expected payloads.
func ParseCapture(r, expected io.Reader) (*Capture, error) {
	c := &Capture{}
	for n, line := range lines(r) {
		if n == 0 {
			var head struct {
				Query string
				Close struct {
					Code   int
					Reason string
					T      float64 `json:"t_ms"`
				}
			}
			if err := json.Unmarshal(line, &head); err != nil {
				return nil, fmt.Errorf("fakegateway: the head of the capture: %w", err)
			}
			c.Query, c.CloseCode, c.CloseReason, c.ClosedAt = head.Query, head.Close.Code, head.Close.Reason, ms(head.Close.T)
			continue
		}
		var f struct {
			Dir, Kind, Data string
			T               float64 `json:"t_ms"`
		}
		if err := json.Unmarshal(line, &f); err != nil {
			return nil, fmt.Errorf("fakegateway: line %d of the capture: %w", n+1, err)
		}
		frame := Frame{Out: f.Dir == "out", At: ms(f.T), Binary: f.Kind == "binary", Data: []byte(f.Data)}
		if frame.Binary {
			var err error
			if frame.Data, err = base64.StdEncoding.DecodeString(f.Data); err != nil {
				return nil, fmt.Errorf("fakegateway: line %d of the capture: %w", n+1, err)
			}
		}
		c.Frames = append(c.Frames, frame)
	}
	if c.Query == "" && len(c.Frames) == 0 {
		return nil, errors.New("fakegateway: the capture is empty")
	}
	if expected != nil {
		for _, line := range lines(expected) {
			if !json.Valid(line) {
				return nil, errors.New("fakegateway: an expected payload is not JSON")
			}
			c.Expected = append(c.Expected, line)
		}
	}
	return c, nil
}

func ms(t float64) time.Duration { return time.Duration(t * float64(time.Millisecond)) }

// lines returns the lines of r that are not empty.
func lines(r io.Reader) (list [][]byte) {
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, 64<<20)
	for scan.Scan() {
		if len(scan.Bytes()) > 0 {
			list = append(list, bytes.Clone(scan.Bytes()))
		}
	}
	return list
}

// Values returns the query of the connection.
func (c *Capture) Values() url.Values {
	_, query, _ := strings.Cut(c.Query, "?")
	v, _ := url.ParseQuery(query) // a query that was captured is one
	return v
}

// ServerClosed tells whether the server closed, or broke, the connection.
func (c *Capture) ServerClosed() bool {
	if c.CloseCode != 1000 {
		return true
	}
	// The server closes with 1000 after op 7 only.
	for _, p := range c.Expected {
		if bytes.HasPrefix(p, []byte(`{"op":7,`)) || bytes.HasPrefix(p, []byte(`{"op": 7,`)) {
			return true
		}
	}
	return false
}

// playback is a capture that a connection gets in place of a server.
type playback struct {
	c        *EngineConn
	capture  *Capture
	realTime bool
	next     int
	begun    bool          // the client has sent something
	shift    time.Duration // from the times of the capture to ours
}

// Play gives one of the next connections a capture in place of a server: the
// frames of the server exactly as they were, from the point on at which the
// capture's client had sent its first message only after this one has, then
// the close, if it was the server's. Otherwise the connection stays open, and
// silent. realTime keeps the times of the capture, otherwise it goes as fast as
// it can.
func (e *Engine) Play(now time.Duration, capture *Capture, realTime bool) error {
	e.Tick(now)
	if capture == nil {
		return errors.New("fakegateway: no capture to play")
	}
	e.plays = append(e.plays, &playback{capture: capture, realTime: realTime})
	return nil
}

func (c *EngineConn) startPlayback() {
	p := c.e.plays[0]
	c.e.plays = c.e.plays[1:]
	p.c, c.play = c, p
	want, is := p.capture.Values(), c.Request.Query
	for _, k := range []string{"encoding", "compress"} {
		def := map[string]string{"encoding": "json"}[k]
		if or(want.Get(k), def) != or(is.Get(k), def) {
			c.close(4002, fmt.Sprintf("The playback needs %s=%s, not %q.", k, or(want.Get(k), def), is.Get(k)))
			return
		}
	}
	p.shift = c.openedAt
	p.run()
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// received notes that the client has sent something.
func (p *playback) received() {
	if !p.begun {
		p.begun = true
		if p.next < len(p.capture.Frames) {
			p.shift = p.c.e.now - p.capture.Frames[p.next].At
		}
		p.run()
	}
}

// run sends as much as can be sent now.
func (p *playback) run() {
	for ; p.next < len(p.capture.Frames); p.next++ {
		f := p.capture.Frames[p.next]
		if f.Out {
			if !p.begun {
				return
			}
			continue
		}
		if p.wait(f.At) {
			return
		}
		p.c.out(packet{data: f.Data, binary: f.Binary})
	}
	if !p.capture.ServerClosed() || p.wait(p.capture.ClosedAt) {
		return
	}
	p.c.close(orCode(p.capture.CloseCode), p.capture.CloseReason)
}

func orCode(code int) int {
	if code == 0 {
		return codeDrop
	}
	return code
}

// wait arranges to run again at a time of the capture, if that is to come.
func (p *playback) wait(at time.Duration) bool {
	wait := p.shift + at - p.c.e.now
	if !p.realTime || wait <= 0 {
		return false
	}
	p.c.later(wait, p.run)
	return true
}
