package simulation

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

// World is everything: the clock, the server, the network and the client.
type World struct {
	Server *fakegateway.Engine
	Client *Client
	Net    Network

	now    time.Duration
	rng    *rand.Rand
	events schedule
	last   int
	trace  []string
	keep   bool

	// forgetful worlds do not keep the events that were delivered.
	forgetful bool
	// spoiled, if set, sees each message that the network has lost or cut short.
	spoiled func(data []byte, binary bool)
	// dialed, if set, is told of each dial that reaches the server.
	dialed func(l *line)
}

// Network is how the network is at the moment.
type Network struct {
	// Delay of every message, each way, is between these.
	MinDelay, MaxDelay time.Duration
	// Offline: nothing can be dialed, and what is sent is lost.
	Offline bool
	// Unreachable hosts refuse connections.
	Unreachable map[string]bool
	// Corrupt breaks the next message to the client, in a way that can be told: a
	// compressed one is garbled, any other cut short.
	Corrupt bool
	// LoseDown and LoseUp are how many of the next messages to and from the client
	// vanish, as a proxy on the way may let them. From a compressed stream none does:
	// what follows would mean something else, which nobody could tell.
	LoseDown, LoseUp int
	// Overlap makes the events of every replay come twice, as from a server whose
	// replay and whose queue hold the same. Not on a compressed stream.
	Overlap bool
	// Generous is how many events more than Resume asks for the server replays.
	Generous int64
}

// Options of a World.
type Options struct {
	Seed   uint64
	Server fakegateway.Options
	// Config of the client's session; its URL, Identify, Seed and Kinds have
	// defaults.
	Config session.Config
	// Trace keeps a trace of what happens.
	Trace bool
}

// The hosts of the virtual network. All are the same server.
const (
	MainURL   = "ws://main.test/"
	ResumeURL = "ws://resume.test/"
)

// start is the time at which a World begins: not 0, so that no zero is mistaken
// for a time.
const start = 1000 * time.Hour

// New makes a world in which nothing has happened yet.
func New(o Options) (*World, error) {
	w := &World{now: start, rng: rand.New(rand.NewPCG(o.Seed, 0x5eed)), keep: o.Trace}
	w.Net = Network{MinDelay: 5 * time.Millisecond, MaxDelay: 60 * time.Millisecond, Unreachable: map[string]bool{}}
	if o.Server.ResumeURL == "" {
		o.Server.ResumeURL = ResumeURL
	}
	o.Server.Seed = o.Seed
	var err error
	if w.Server, err = fakegateway.NewEngine(o.Server); err != nil {
		return nil, err
	}
	w.Server.Tick(w.now)
	w.Client, err = newClient(w, o.Config)
	return w, err
}

// Now is the present.
func (w *World) Now() time.Duration { return w.now }

// Trace returns what has happened, if it was kept.
func (w *World) Trace() string { return strings.Join(w.trace, "\n") }

func (w *World) logf(format string, args ...any) {
	if w.keep {
		w.trace = append(w.trace, fmt.Sprintf("%12.3f  ", (w.now-start).Seconds())+fmt.Sprintf(format, args...))
	}
}

// After lets something happen later.
func (w *World) After(d time.Duration, f func()) {
	w.last++
	heap.Push(&w.events, happening{w.now + d, w.last, f})
}

// delay is how long a message takes.
func (w *World) delay() time.Duration {
	return w.Net.MinDelay + time.Duration(w.rng.Float64()*float64(w.Net.MaxDelay-w.Net.MinDelay))
}

// Step goes to the next thing that happens, which is at end at the latest. It
// reports false if nothing happens until then.
func (w *World) Step(end time.Duration) bool {
	const (
		nothing = iota
		scheduled
		server
		client
	)
	what, at := nothing, end
	if len(w.events) > 0 && w.events[0].at <= at {
		what, at = scheduled, w.events[0].at
	}
	if d, ok := w.Server.Deadline(); ok && d < at {
		what, at = server, d
	}
	if d, ok := w.Client.deadline(); ok && d < at {
		what, at = client, d
	}
	w.now = max(w.now, at)
	switch what {
	case scheduled:
		heap.Pop(&w.events).(happening).f()
	case server:
		w.Server.Tick(w.now)
	case client:
		w.Client.tick()
	}
	return what != nothing
}

// Run lets time pass.
func (w *World) Run(d time.Duration) {
	end := w.now + d
	for w.Step(end) {
	}
	w.Server.Tick(w.now)
}

// Until lets time pass until cond holds, at most for limit. It reports whether
// it did.
func (w *World) Until(limit time.Duration, cond func() bool) bool {
	end := w.now + limit
	for !cond() {
		if !w.Step(end) {
			return cond()
		}
	}
	return true
}

// happening is something that is going to happen.
type happening struct {
	at  time.Duration
	seq int
	f   func()
}

type schedule []happening

func (s schedule) Len() int { return len(s) }
func (s schedule) Less(i, j int) bool {
	if s[i].at != s[j].at {
		return s[i].at < s[j].at
	}
	return s[i].seq < s[j].seq
}
func (s schedule) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(x any)   { *s = append(*s, x.(happening)) }
func (s *schedule) Pop() any {
	old := *s
	last := old[len(old)-1]
	*s = old[:len(old)-1]
	return last
}

// line is one connection: what one side sends arrives at the other in order.
type line struct {
	w      *World
	client *Client
	conn   session.Conn
	server *fakegateway.EngineConn

	down, up  time.Duration // when the last message to the client, or server, arrives
	cut       bool          // the network has lost it; the sides may not know
	clientEnd bool          // the client has let go
	serverEnd bool          // the server has let go
	frozen    bool
	held      []func()

	compressed bool
	odd        bool // it may have been given an odd Hello
}

// dial opens a connection, or fails to.
func (w *World) dial(c *Client, conn session.Conn, rawURL string) *line {
	l := &line{w: w, client: c, conn: conn}
	u, err := url.Parse(rawURL)
	if err != nil {
		panic("simulation: the client dials " + rawURL)
	}
	fail := func(why string) {
		w.After(w.delay(), func() {
			l.cut = true
			c.closed(l, session.CloseAbnormal, "", why)
		})
	}
	if w.Net.Offline || w.Net.Unreachable[u.Hostname()] {
		fail("no route to host")
		return l
	}
	w.After(w.delay(), func() {
		if l.clientEnd {
			return
		}
		if w.Net.Offline {
			fail("no route to host")
			return
		}
		if w.dialed != nil {
			w.dialed(l)
		}
		server, status := w.Server.Dial(w.now, fakegateway.Request{
			Path: u.Path, Query: u.Query(), Host: u.Host, Header: http.Header{"User-Agent": {"simulation"}},
		})
		switch {
		case status == fakegateway.DialHangs:
		case status != fakegateway.DialAccepted:
			fail(fmt.Sprintf("status %d", status))
		default:
			l.server = server
			l.compressed = u.Query().Has("compress")
			l.arrive(&l.down, func() { c.opened(l) })
			server.Open(w.now, l)
		}
	})
	return l
}

// arrive lets f happen when a message sent now arrives, behind those before it,
// unless the connection is lost on the way.
func (l *line) arrive(last *time.Duration, f func()) {
	at := max(l.w.now+l.w.delay(), *last)
	*last = at
	l.w.After(at-l.w.now, func() {
		switch {
		case l.cut:
		case l.frozen:
			l.held = append(l.held, f)
		default:
			f()
		}
	})
}

// Send is the server's.
func (l *line) Send(data []byte, binary bool) {
	if l.serverEnd {
		return
	}
	if l.w.Net.LoseDown > 0 && l.mayLose(data, binary) {
		l.w.Net.LoseDown--
		l.spoil("lost", data, binary)
		return
	}
	if l.w.Net.Corrupt && len(data) > 8 && (l.compressed || l.mayLose(data, binary)) {
		l.w.Net.Corrupt = false
		l.spoil("corrupted", data, binary)
		if l.compressed {
			data = append([]byte(nil), data...)
			data[0] = 0xff // an impossible block in every compression, and no term
		} else {
			data = data[:len(data)/2]
		}
	}
	l.arrive(&l.down, func() { l.client.received(l, data, binary) })
}

// isEvent reports whether a message is one of the events that are counted.
func isEvent(data []byte, binary bool) bool {
	var m wire.Message
	scan := wire.Scan
	if binary {
		scan = wire.ScanETF
	}
	return scan(data, &m) == nil && string(m.Type) == "N"
}

// mayLose reports whether a message to the client can be lost so that somebody
// notices. Not so op 9, without which the client waits for what will never come.
func (l *line) mayLose(data []byte, binary bool) bool {
	op, _ := read(data, binary)
	return !l.compressed && op != 9
}

// spoil notes what the network does to a message to the client.
func (l *line) spoil(how string, data []byte, binary bool) {
	l.w.logf("network   a message is %s", how)
	if l.w.spoiled != nil && !l.compressed {
		l.w.spoiled(data, binary)
	}
}

// Close is the server's.
func (l *line) Close(code int, reason string) {
	if l.serverEnd {
		return
	}
	l.serverEnd = true
	l.w.logf("server    closes #%d with %d", l.server.ID, code)
	l.arrive(&l.down, func() { l.client.closed(l, session.CloseCode(code), reason, "") })
	l.w.After(0, func() { l.server.Gone(l.w.now, code, "") })
}

// Drop is the server's.
func (l *line) Drop() {
	if l.serverEnd {
		return
	}
	l.serverEnd = true
	l.w.logf("server    drops #%d", l.server.ID)
	l.arrive(&l.down, func() { l.client.closed(l, session.CloseAbnormal, "", "") })
	l.w.After(0, func() { l.server.Gone(l.w.now, 1006, "") })
}

// send is the client's.
func (l *line) send(data []byte, binary bool) {
	if l.server == nil {
		return
	}
	if l.w.Net.LoseUp > 0 {
		l.w.Net.LoseUp--
		l.w.logf("network   a message of the client is lost")
		return
	}
	if l.w.Net.Generous > 0 {
		data = earlier(data, binary, l.w.Net.Generous)
	}
	l.arrive(&l.up, func() {
		if !l.serverEnd {
			l.server.Receive(l.w.now, data, binary)
		}
	})
}

// afterReady is a number that READY does not have: one that is replayed begins a
// session anew.
const afterReady = 3

// earlier returns a Resume that asks for n events more; any other message as it
// is.
func earlier(data []byte, binary bool, n int64) []byte {
	op, d := read(data, binary)
	i := strings.LastIndex(d, `"seq":`)
	if op != 6 || i < 0 {
		return data
	}
	i += len(`"seq":`)
	end := i + strings.IndexAny(d[i:], ",}")
	seq, err := strconv.ParseInt(d[i:end], 10, 64)
	if err != nil {
		return data
	}
	text := fmt.Appendf(nil, `{"op":6,"d":%s%d%s}`, d[:i], max(min(seq, afterReady), seq-n), d[end:])
	if binary {
		text, _ = wire.AppendETF(nil, text)
	}
	return text
}

// close is the client's.
func (l *line) close(code session.CloseCode) {
	l.clientEnd = true
	if l.server == nil {
		return
	}
	l.arrive(&l.up, func() {
		if !l.serverEnd {
			l.serverEnd = true
			l.server.Gone(l.w.now, int(code), "")
		}
	})
}

// Break cuts the connection. Each side learns of it by and by, if known is true;
// otherwise it stays half-open on both sides.
func (l *line) Break(known bool) {
	if l.cut {
		return
	}
	l.cut = true
	l.w.logf("network   cuts #%d (known: %v)", l.conn, known)
	if known {
		l.w.After(l.w.delay(), func() {
			if !l.clientEnd {
				l.client.closed(l, session.CloseAbnormal, "", "")
			}
		})
	}
	// A server notices by its own deadline at the latest; often sooner.
	wait := l.w.delay()
	if !known {
		wait = time.Duration(l.w.rng.Float64() * float64(90*time.Second))
	}
	l.w.After(wait, func() {
		if l.server != nil && !l.serverEnd {
			l.serverEnd = true
			l.server.Gone(l.w.now, 1006, "")
		}
	})
}

// Freeze holds everything back, both ways, until it ends.
func (l *line) Freeze(on bool) {
	l.frozen = on
	if !on {
		held := l.held
		l.held = nil
		for _, f := range held {
			if !l.cut {
				f()
			}
		}
	}
}
