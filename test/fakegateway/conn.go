package fakegateway

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"
)

// EngineConn is one connection of an Engine.
type EngineConn struct {
	// ID counts the dials, refused ones included, from 1.
	ID int
	// Request that opened it.
	Request Request

	e        *Engine
	link     Link // nil until Open and after the network is gone
	faults   Faults
	encoding string
	compress string
	enc      *encoder
	inflate  inflator

	openedAt, closedAt time.Duration
	closed             bool // for the server: it neither sends nor listens any more
	gone               bool // for the network
	helloSent          bool
	sess               *session
	live               bool // receives events
	seq                int64
	recent             []time.Duration // of messages, for the rate limit
	beat, identify     *timer
	intercept          func(Message)
	onGone             func()
	play               *playback

	frozen  bool
	waiting [][2][]byte // received while frozen: data, and not nil if binary
	outbox  outbox
	held    *event // by the fault Overtake
	merged  []byte // by the fault MergeMessages
	merges  int
	created map[string]int // channels of a guild since Identify, for the fault Duplicate
	flood   flood

	log                       []Message
	logBytes                  int
	session, user             string // of sess, which is let go of in the end
	sent, events              int
	closeCode, clientCode     int
	closeReason, clientReason string
	closedBy                  string
}

// Message is what a client has sent.
type Message struct {
	// Op is -1 for what is no message at all.
	Op int `json:"op"`
	// D is the payload as JSON text, nil if there was none.
	D json.RawMessage `json:"d,omitempty"`
	// Text is what cannot be read as a message, if it came as text.
	Text string `json:"text,omitempty"`
	// Binary tells the kind of frame, Size how many bytes it had.
	Binary bool `json:"binary,omitempty"`
	Size   int  `json:"size"`
	// AtMS is when it came, in the server's time.
	AtMS int64 `json:"at_ms"`

	problem problem
}

// maxWaiting is how many messages may wait for a frozen connection.
const maxWaiting = 4096

// maxReason is how many bytes of reason fit into a close frame.
const maxReason = 123

// What is remembered of the messages of a connection: so many, and so many bytes.
const (
	loggedMessages = 512
	loggedBytes    = 256 << 10
)

// Open is the second step of a connection: the upgrade is done, and link leads
// to the client.
func (c *EngineConn) Open(now time.Duration, link Link) {
	c.e.Tick(now)
	if c.gone {
		return // before the upgrade was done
	}
	c.link = link
	c.setFaults(c.faults)
	if c.faults.CloseOnConnect != 0 {
		c.close(c.faults.CloseOnConnect, "")
		return
	}
	if len(c.e.plays) > 0 {
		c.startPlayback()
		return
	}
	code, reason := c.check()
	if code == 0 {
		c.enc = c.e.newEncoder(c.encoding == "etf", c.compress)
	}
	if c.e.Intercept != nil {
		if c.enc == nil {
			c.enc = c.e.newEncoder(false, "")
		}
		if c.intercept = c.e.Intercept(c); c.intercept != nil {
			return
		}
	}
	if code != 0 {
		c.close(code, reason)
		return
	}
	c.begin()
}

func (c *EngineConn) setFaults(f Faults) {
	c.faults = f
	if n, ok := c.link.(NetworkFaults); ok {
		n.WriteSize(f.WriteSize)
	}
}

// check looks at how the client connected.
func (c *EngineConn) check() (code int, reason string) {
	if c.e.rules.userAgent && c.Request.Header.Get("User-Agent") == "" {
		return 4002, "Gateway connection rejected: User-Agent header is required."
	}
	if c.encoding != "" && c.encoding != "json" && c.encoding != "etf" {
		return 4002, ""
	}
	if c.compress != "" && c.compress != compressZlib && c.compress != compressZstd {
		return 4002, ""
	}
	if c.e.opt.Profile == Spacebar {
		if v := c.Request.Query.Get("version"); v != "" && v != "8" {
			return 4012, ""
		}
		return 0, ""
	}
	if v := c.Request.Query.Get("v"); v != "" && !slices.Contains([]string{"6", "7", "8", "9", "10"}, v) {
		return 4012, ""
	}
	return 0, ""
}

// begin says Hello and starts the deadlines.
func (c *EngineConn) begin() {
	if c.faults.NoHello {
		return
	}
	if c.faults.HelloDelay > 0 {
		c.later(c.faults.HelloDelay, c.hello)
	} else {
		c.hello()
	}
}

func (c *EngineConn) hello() {
	c.helloSent = true
	interval := c.e.opt.Interval
	switch {
	case c.faults.Hello != "":
		c.send([]byte(c.faults.Hello))
	case c.e.opt.Profile == Documented:
		c.sendOp(opHello, newObject().num("heartbeat_interval", interval.Milliseconds()).
			strs("_trace", `["gateway-fake",{"micros":0.0}]`).done())
	default:
		c.sendOp(opHello, newObject().num("heartbeat_interval", interval.Milliseconds()).done())
	}
	if within := c.e.opt.IdentifyWithin; within >= 0 {
		c.identify = c.later(max(0, c.openedAt+within-c.e.now), func() { c.close(4009, "") })
	}
	c.armBeat(c.openedAt)
}

// armBeat gives the client until one and a half intervals after at.
func (c *EngineConn) armBeat(at time.Duration) {
	c.e.stop(c.beat)
	c.beat = c.later(max(0, at+c.e.opt.Interval*3/2-c.e.now), func() { c.close(4009, "") })
}

// later does something if the connection is still open by then.
func (c *EngineConn) later(d time.Duration, f func()) *timer {
	return c.e.after(d, func() {
		if !c.closed {
			f()
		}
	})
}

// answer does what answers a message, after the delay that a fault may ask for.
func (c *EngineConn) answer(f func()) {
	if c.faults.AnswerDelay > 0 {
		c.later(c.faults.AnswerDelay, f)
		return
	}
	f()
}

// Receive takes a message of the client.
func (c *EngineConn) Receive(now time.Duration, data []byte, binary bool) {
	c.e.Tick(now)
	switch {
	case c.closed || c.gone:
	case c.frozen && len(c.waiting) == maxWaiting:
		c.drop()
	case c.frozen:
		var kind []byte
		if binary {
			kind = []byte{1}
		}
		c.waiting = append(c.waiting, [2][]byte{append([]byte{}, data...), kind})
	default:
		c.receive(data, binary)
	}
}

func (c *EngineConn) receive(data []byte, binary bool) {
	c.e.counters.Received++
	m := c.decode(data, binary)
	c.remember(m)
	c.e.logf("#%d -> op %d, %d bytes", c.ID, m.Op, m.Size)
	switch {
	case c.play != nil:
		c.play.received()
	case c.intercept != nil:
		c.intercept(m)
	default:
		c.handle(m)
	}
}

// remember notes a message for received.
func (c *EngineConn) remember(m Message) {
	c.log = append(c.log, m)
	c.logBytes += m.Size
	for len(c.log) > loggedMessages || len(c.log) > 1 && c.logBytes > loggedBytes {
		c.logBytes -= c.log[0].Size
		c.log = c.log[1:]
	}
}

// received is what is remembered of the messages that have come, as it may be shown.
func (c *EngineConn) received() []Message {
	list := make([]Message, len(c.log))
	for i, m := range c.log {
		list[i] = c.e.redacted(m)
	}
	return list
}

var tokenMember = regexp.MustCompile(`(?i)("[a-z_]*token"\s*:\s*)"(?:[^"\\]|\\.)*"?`)

// redacted is m as it may be shown.
func (e *Engine) redacted(m Message) Message {
	const instead = `${1}"[redacted]"`
	if m.D != nil {
		m.D = tokenMember.ReplaceAll(m.D, []byte(instead))
	}
	if m.Binary {
		m.Text = "" // a token in it would not be found
	}
	m.Text = tokenMember.ReplaceAllString(m.Text, instead)
	for token := range e.tokens {
		if len(token) >= 8 {
			m.Text = strings.ReplaceAll(m.Text, token, "[redacted]")
		}
	}
	return m
}

// Gone tells that the client closed with code and reason, or, if code is
// 1006, that the connection broke.
func (c *EngineConn) Gone(now time.Duration, code int, reason string) {
	c.e.Tick(now)
	if c.gone {
		return
	}
	c.gone, c.link = true, nil
	c.clientCode, c.clientReason = code, reason
	if !c.closed {
		by := "client"
		if code == codeDrop {
			by = "network"
		}
		c.end(by)
		if s := c.sess; s != nil {
			s.detach(c, code == 1000 || code == 1001)
		}
	}
	c.sess, c.play = nil, nil
	c.e.conns = slices.DeleteFunc(c.e.conns, func(other *EngineConn) bool { return other == c })
	if len(c.e.past) == pastConns {
		c.e.past = c.e.past[1:]
	}
	c.e.past = append(c.e.past, c)
	c.outbox.clear(c.e)
	c.waiting, c.merged, c.held = nil, nil, nil
	if c.onGone != nil {
		c.onGone()
	}
}

// close closes from the server's side. A code of 1006 cuts the connection.
func (c *EngineConn) close(code int, reason string) {
	if c.closed {
		return
	}
	c.flushFaults()
	reason = reason[:min(len(reason), maxReason)]
	c.closeCode, c.closeReason = code, reason
	c.end("server")
	if c.link != nil {
		c.out(packet{kind: packetClose, code: code, reason: reason})
	}
	if s := c.sess; s != nil {
		// These codes tell the client that the session is no more.
		s.detach(c, slices.Contains([]int{4004, 4006, 4007, 4009, 4010, 4011, 4012, 4013, 4014}, code))
	}
}

// end is what every way of closing has in common.
func (c *EngineConn) end(by string) {
	c.closed, c.live = true, false
	c.closedBy, c.closedAt = by, c.e.now
	c.e.stop(c.beat)
	c.e.stop(c.identify)
	c.flood = flood{}
	if c.enc != nil {
		c.enc.release()
		c.enc = nil
	}
	c.e.logf("#%d closed by the %s, %d/%d", c.ID, by, c.closeCode, c.clientCode)
}
