package simulation

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

// Client is a driver: it does for a session what the native library and the
// browser do, on a virtual network, and notes what the session says.
type Client struct {
	w       *World
	session *session.Session // by S
	Kinds   *session.Kinds
	line    *line

	// Glances makes it look at the two ends of texts first, as browsers do.
	Glances bool
	// Late makes it hand over what still arrives of a connection that it was told to
	// let go, as a driver does whose reader had it in its hands by then.
	Late bool

	heads   []remembered
	gate    session.Conn // the connection on which events may pass by themselves, 0 if none may
	passed  bool         // whether some have, up to seq
	seq     int64
	id      string // of the session
	heardAt time.Duration
	asleep  bool
	inbox   []func() // what came while asleep
	// Throttle is how late timers may be, as in a hidden page.
	Throttle time.Duration
	late     time.Duration

	// What was reported.
	Events []Event
	States []session.Output
	Errors []*session.Error
	Gaps   []*session.Gap
	Sent   map[session.SendID]*session.Error // settled sends
	Writes []Write
	Dials  []Dial
	Acks   int

	// OnOutput, if set, sees every output as it is carried out.
	OnOutput func(o *session.Output)
	// OnReceived and OnClosed, if set, see what comes of the present connection,
	// before the session does.
	OnReceived func(l *line, data []byte, binary bool)
	OnClosed   func(code session.CloseCode)
}

// Event is an event that was delivered.
type Event struct {
	At      time.Duration
	Name    string
	Seq     int64
	Session string
	Data    json.RawMessage
}

// Write is a message that was written.
type Write struct {
	At   time.Duration
	Conn session.Conn
	Op   int
	Data string // the payload d, as JSON
}

// Dial is a connection that was dialed.
type Dial struct {
	At  time.Duration
	URL string
}

func newClient(w *World, cfg session.Config) (*Client, error) {
	c := &Client{w: w, Kinds: new(session.Kinds), Sent: map[session.SendID]*session.Error{}}
	if cfg.URL == "" {
		cfg.URL = MainURL
	}
	if cfg.Identify == nil {
		cfg.Identify = []byte(`{"token":"` + fakegateway.AliceToken + `","properties":{"os":"x","browser":"x","device":"x"},"capabilities":0}`)
	}
	if len(cfg.Identify) == 0 {
		cfg.Identify = nil
	}
	cfg.Seed = w.rng.Uint64()
	cfg.Kinds = c.Kinds
	cfg.Clock = w.Now
	var err error
	c.session, err = session.New(cfg)
	return c, err
}

// Start begins to connect.
func (c *Client) Start() { c.with(func() { c.S().Start(c.w.now) }) }

// Close ends the session.
func (c *Client) Close(keep bool) { c.with(func() { c.S().Close(c.w.now, keep) }) }

// Wake tells the session that the machine may have been away.
func (c *Client) Wake() { c.with(func() { c.S().Wake(c.w.now) }) }

// Send sends a message.
func (c *Client) Send(op int, d string) (id session.SendID, err error) {
	c.with(func() { id, err = c.S().Send(c.w.now, op, []byte(d)) })
	return id, err
}

// Break cuts the present connection, if there is one.
func (c *Client) Break(known bool) {
	if c.line != nil {
		c.line.Break(known)
	}
}

// Freeze holds the present connection.
func (c *Client) Freeze(on bool) {
	if c.line != nil {
		c.line.Freeze(on)
	}
}

// Connected reports whether there is a connection, open or being opened.
func (c *Client) Connected() bool { return c.line != nil }

// S returns the session, which is told first what has passed.
func (c *Client) S() *session.Session {
	if c.passed {
		c.session.Passed(c.seq)
	}
	c.gate, c.passed = 0, false
	return c.session
}

func (c *Client) with(input func()) {
	input()
	if c.gate != 0 {
		return // there is nothing to be done: the event was one like any other
	}
	for o := c.S().Next(); o != nil; o = c.S().Next() {
		c.carryOut(o)
	}
}

func (c *Client) carryOut(o *session.Output) {
	if c.OnOutput != nil {
		c.OnOutput(o)
	}
	switch o.Kind {
	case session.OutputDial:
		c.w.logf("client    dials %s", o.URL)
		c.Dials = append(c.Dials, Dial{c.w.now, o.URL})
		c.line = c.w.dial(c, o.Conn, o.URL)
	case session.OutputWrite:
		m := Write{At: c.w.now, Conn: o.Conn}
		m.Op, m.Data = read(o.Data, o.Binary)
		c.w.logf("client    sends op %d", m.Op)
		c.Writes = append(c.Writes, m)
		if c.line != nil && c.line.conn == o.Conn {
			c.line.send(append([]byte(nil), o.Data...), o.Binary)
		}
	case session.OutputClose:
		c.w.logf("client    closes with %d", o.CloseCode)
		if c.line != nil {
			c.line.close(o.CloseCode)
			c.line = nil
		}
	case session.OutputDispatch:
		if o.Event.Name == "READY" {
			snap, _ := c.S().Snapshot()
			c.id = snap.ID
		}
		if !c.w.forgetful {
			c.Events = append(c.Events, Event{c.w.now, o.Event.Name, o.Seq, c.id, append(json.RawMessage(nil), o.Data...)})
		}
	case session.OutputState:
		c.w.logf("client    is %v (%v)", o.State, o.Err)
		c.States = append(c.States, *o)
	case session.OutputError:
		c.Errors = append(c.Errors, o.Err)
	case session.OutputGap:
		c.w.logf("client    reports a gap: %v", o.Gap.Reason)
		c.Gaps = append(c.Gaps, o.Gap)
	case session.OutputSent:
		c.Sent[o.ID] = o.Err
	case session.OutputAck:
		c.Acks++
	}
}

func (c *Client) deadline() (time.Duration, bool) {
	at, ok := c.S().Deadline()
	if !ok || c.asleep {
		return 0, false
	}
	return max(at, c.late), true
}

func (c *Client) tick() {
	if c.Throttle > 0 {
		c.late = c.w.now + c.Throttle // timers of a hidden page come once a minute
	}
	c.with(func() { c.S().Tick(c.w.now) })
}

// The network's side. A machine that sleeps finds everything when it wakes.

func (c *Client) opened(l *line) {
	c.awake(l, func() { c.S().Opened(c.w.now, l.conn) })
}

func (c *Client) received(l *line, data []byte, binary bool) {
	c.awake(l, func() {
		if c.line == l {
			c.heardAt = c.w.now
			if c.OnReceived != nil {
				c.OnReceived(l, data, binary)
			}
		}
		if c.w.Net.Overlap && !l.compressed && c.State() == session.StateResuming && isEvent(data, binary) {
			c.with(func() { c.S().Received(c.w.now, l.conn, data, binary) })
		}
		if binary || !c.Glances || !c.glance(l.conn, data) {
			at := c.w.now
			if c.Glances {
				at = session.Untold
			}
			c.S().Received(at, l.conn, data, binary)
		}
	})
}

const (
	// ends is how much of each end of a text a glance may take.
	ends = 128
	// shortest is how short a text may be for a glance.
	shortest = 32
)

// remembered is what a glance has shown of how messages begin: with before, or with
// before, the number and behind.
type remembered struct {
	kind           *session.Kind
	before, behind string
	result         session.Glanced // what the session has last said of the kind
}

const numberKey = `,"s":`

// glance shows the session the two ends of a text, and reports whether that was
// enough. It does what web/src/core.ts does.
func (c *Client) glance(conn session.Conn, text []byte) bool {
	if len(text) < shortest {
		return false
	}
	if c.again(conn, string(text)) {
		return true
	}
	limit := min(ends, len(text))
	head := 1 + bytes.IndexByte(text[1:limit], '{')
	if head == 0 {
		head = limit - 1
	}
	tail := max(bytes.LastIndexByte(text, ','), len(text)-24)
	for _, b := range [][]byte{text[:head+1], text[tail:]} {
		for _, letter := range b {
			if letter > 127 {
				return false
			}
		}
	}
	kind, seen, alike := c.S().Glance(conn, text[:head+1], text[tail:])
	begin := string(text[:head+1])
	switch alike {
	case session.AlikePlain:
		c.heads = append(c.heads, remembered{kind: kind, before: begin})
	case session.AlikeNumbered:
		at := strings.Index(begin, numberKey) + len(numberKey)
		behind := strings.TrimLeft(begin[at:], "0123456789")
		c.heads = append(c.heads, remembered{kind: kind, before: begin[:at], behind: behind})
	}
	if seen == session.GlancedNothing {
		return false
	}
	c.gate, c.seq = conn, c.session.Seq()
	switch seen {
	case session.GlancedUnobserved:
	case session.GlancedPayload:
		c.glanced(kind, text, text[head:tail])
	case session.GlancedPayloadLast:
		c.glanced(kind, text, text[head:len(text)-1])
	default:
		c.glanced(kind, text, nil)
	}
	return true
}

// again is glance for a text that begins like one before.
func (c *Client) again(conn session.Conn, text string) bool {
	for i := range c.heads {
		h := &c.heads[i]
		rest, ok := strings.CutPrefix(text, h.before)
		if !ok {
			continue
		}
		digits := ""
		from, to := len(h.before)-1, len(text)-1
		if h.behind == "" {
			i := strings.LastIndex(rest, numberKey)
			if i < 0 || text[to] != '}' {
				return false
			}
			digits = rest[i+len(numberKey) : len(rest)-1]
			to = len(h.before) + i
		} else {
			behind := strings.TrimLeft(rest, "0123456789")
			if !strings.HasPrefix(behind, h.behind) {
				continue
			}
			digits = rest[:len(rest)-len(behind)]
			from = len(text) - len(behind) + len(h.behind) - 1
		}
		seq, err := strconv.ParseUint(digits, 10, 50)
		if err != nil || digits[0] == '0' {
			return false
		}
		if n := int64(seq); h.result != session.GlancedNothing && c.gate == conn && n > c.seq {
			c.seq, c.passed = n, true
			h.kind.Count++
		} else if h.result = c.S().Again(conn, h.kind, n); h.result != session.GlancedNothing {
			c.gate, c.seq = conn, c.session.Seq()
		}
		switch h.result {
		case session.GlancedNothing:
			return false
		case session.GlancedEvent:
			c.glanced(h.kind, []byte(text), []byte(text[from:to]))
		}
		return true
	}
	return false
}

// glanced hands over an event whose payload is d, or where that is to be found yet.
func (c *Client) glanced(kind *session.Kind, text, d []byte) {
	var m wire.Message
	if err := wire.Scan(text, &m); err != nil {
		return // what is observed is parsed by the page, which reports it
	}
	if d == nil {
		d = m.Data
	}
	c.carryOut(&session.Output{Kind: session.OutputDispatch, Event: kind, Seq: m.Seq, Data: d})
}

// read takes a message of the client apart.
func read(data []byte, binary bool) (op int, d string) {
	var m wire.Message
	if binary {
		if wire.ScanETF(data, &m) == nil {
			text, _ := wire.AppendJSON(nil, m.Data)
			d = string(text)
		}
	} else if wire.Scan(data, &m) == nil {
		d = string(m.Data)
	}
	return m.Op, d
}

func (c *Client) closed(l *line, code session.CloseCode, reason, cause string) {
	l.cut = true
	c.awake(l, func() {
		if c.line == l {
			c.line = nil
			if c.OnClosed != nil {
				c.OnClosed(code)
			}
		}
		c.S().Closed(c.w.now, l.conn, code, reason, cause)
	})
}

func (c *Client) awake(l *line, input func()) {
	f := func() {
		if !l.clientEnd || c.Late {
			c.with(input)
		}
	}
	if c.asleep {
		c.inbox = append(c.inbox, f)
		return
	}
	f()
}

// Asleep reports whether the machine sleeps.
func (c *Client) Asleep() bool { return c.asleep }

// Sleep puts the machine to sleep, in which it neither ticks nor receives, or
// wakes it.
func (c *Client) Sleep(on bool) {
	c.asleep = on
	for !c.asleep && len(c.inbox) > 0 {
		f := c.inbox[0]
		c.inbox = c.inbox[1:]
		f()
	}
}

// State is the session's.
func (c *Client) State() session.State { return c.S().State() }

// Names returns the names of the delivered events.
func (c *Client) Names() (names []string) {
	for _, e := range c.Events {
		names = append(names, e.Name)
	}
	return names
}
