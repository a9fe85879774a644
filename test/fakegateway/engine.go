package fakegateway

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Engine is the server without its sockets: a state machine that is told the
// time and what arrives, and answers through Links. It reads no clock, starts
// no goroutine and has its own randomness, so that the same calls give the same
// answers. It is not safe for concurrent use. A Server drives one with real
// connections; a simulation may drive one in virtual time.
//
// Times are counted from an origin that the caller chooses, must not go
// backwards, and go into every method that may lead to something being sent.
type Engine struct {
	// Intercept, if not nil, is asked about each connection when it opens. The
	// function it returns is then given every message of the client, and the
	// server says nothing by itself on this connection, not even Hello, but for
	// what Engine's and EngineConn's methods are told to; nil leaves the
	// connection to the server.
	Intercept func(c *EngineConn) func(m Message)

	opt      Options
	rules    *rules
	now      time.Duration
	until    time.Duration // which Tick is on its way to
	timers   timers
	rng      *rand.Rand
	world    *World
	tokens   map[string]*User
	accounts []Account
	sessions []*session
	conns    []*EngineConn // open or being opened, in the order of their ids
	past     []*EngineConn // closed, oldest first
	dialed   int
	ids      int
	faults   Faults
	plan     []Faults
	plays    []*playback
	life     life
	counters Counters
	zstd     *zstd.Encoder
	zstdIn   *zstd.Decoder
}

// Link is the server's end of a WebSocket. Its methods must not block and must
// not call back into the Engine.
type Link interface {
	// Send sends a message. The link must not change data.
	Send(data []byte, binary bool)
	// Close closes with this code and reason, after all that was sent before. A
	// code of 1006 is none: the connection just ends then.
	Close(code int, reason string)
	// Drop breaks the connection, at once.
	Drop()
}

// NetworkFaults is a Link that can also have the faults of a bad network. On
// other links they have no effect, except that a frozen link is still sent
// nothing.
type NetworkFaults interface {
	// SendFragments sends a message in WebSocket fragments of size bytes.
	SendFragments(data []byte, binary bool, size int)
	// Freeze stops reading, or goes on with it.
	Freeze(on bool)
	// WriteSize makes the transport write that many bytes at a time; 0 ends it.
	WriteSize(size int)
}

// Backlogged is a Link that knows how many bytes it has yet to send. A flood
// waits for it; see EngineConn.Drained.
type Backlogged interface {
	Backlog() int
}

// Request is the HTTP request of an upgrade.
type Request struct {
	Path   string
	Query  url.Values
	Header http.Header
	// Host that the client believes to be talking to, with the port.
	Host string
}

// How Dial answers, other than with an HTTP status.
const (
	DialAccepted = 0  // go on and Open
	DialHangs    = -1 // never answer
)

// pastConns is how many closed connections are remembered.
const pastConns = 256

// NewEngine makes a server. Options that a Server alone knows (Addr, OnConn,
// Control, Logf) are ignored.
func NewEngine(o Options) (*Engine, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	enc, err := newFrameEncoder()
	if err != nil {
		return nil, err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<20))
	if err != nil {
		return nil, err
	}
	e := &Engine{
		opt: o, rules: o.Profile.rules(), faults: o.Faults, accounts: slices.Clone(o.Accounts),
		rng: rand.New(rand.NewPCG(o.Seed, 0x5bacebabe)), world: newWorld(&o), tokens: map[string]*User{},
		zstd: enc, zstdIn: dec,
	}
	for _, a := range e.accounts {
		e.tokens[a.Token] = e.world.names[a.Username]
	}
	for _, c := range o.Playback {
		if err := e.Play(0, c, false); err != nil {
			return nil, err
		}
	}
	e.SetLife(0, o.Life)
	return e, nil
}

// World returns what there is on the server.
func (e *Engine) World() *World { return e.world }

// Dial is the first step of a connection. It returns what Open is to be called
// on once the upgrade is done, and DialAccepted; or nil, and the HTTP status to
// answer with or DialHangs.
func (e *Engine) Dial(now time.Duration, r Request) (*EngineConn, int) {
	e.Tick(now)
	e.dialed++
	e.counters.Dials++
	f := e.faults
	if len(e.plan) > 0 {
		f = e.plan[0]
		e.plan = e.plan[1:]
	}
	if f.RefuseStatus != 0 || f.HangDial {
		e.counters.Refused++
		if f.HangDial {
			return nil, DialHangs
		}
		return nil, f.RefuseStatus
	}
	c := &EngineConn{
		e: e, ID: e.dialed, Request: r, faults: f, openedAt: e.now, seq: e.rules.firstSeq,
		encoding: r.Query.Get("encoding"), compress: r.Query.Get("compress"),
	}
	e.conns = append(e.conns, c)
	return c, DialAccepted
}

// Conn returns the connection of that id, also if it was closed not too long
// ago; nil if there is none.
func (e *Engine) Conn(id int) *EngineConn {
	for _, list := range [][]*EngineConn{e.conns, e.past} {
		for _, c := range list {
			if c.ID == id {
				return c
			}
		}
	}
	return nil
}

// date is the wall clock of the server.
func (e *Engine) date() time.Time { return e.opt.Epoch.Add(e.now) }

// newID makes a snowflake that is newer than all before.
func (e *Engine) newID() string {
	e.ids++
	return snowflake(e.date(), e.ids)
}

// letters makes a random word of n characters of an alphabet.
func (e *Engine) letters(n int, alphabet string) string {
	var b strings.Builder
	for range n {
		b.WriteByte(alphabet[e.rng.IntN(len(alphabet))])
	}
	return b.String()
}

const (
	upper     = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	hexDigits = "0123456789abcdef"
	base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
)

func (e *Engine) logf(format string, args ...any) {
	if e.opt.Logf != nil {
		e.opt.Logf(format, args...)
	}
}

// Target says for whom an action is meant: a connection, the connections of a
// session or of a user, or, if it is zero, all.
type Target struct {
	Conn    int    `json:"conn,omitempty"`
	Session string `json:"session,omitempty"`
	// User is a username.
	User string `json:"user,omitempty"`
}

func (t Target) conn(c *EngineConn) bool {
	return (t.Conn == 0 || t.Conn == c.ID) && (t.Session == "" || t.Session == c.session) && (t.User == "" || t.User == c.user)
}

func (t Target) session(s *session) bool {
	return (t.Session == "" || t.Session == s.id) && (t.User == "" || t.User == s.user.Username)
}

// open returns the open connections of a target. It is a copy: what is done
// with them may close some.
func (e *Engine) open(t Target) (list []*EngineConn) {
	for _, c := range e.linked(t) {
		if !c.closed {
			list = append(list, c)
		}
	}
	return list
}

// linked returns those whose network is there, also if they are closed as far
// as the server is concerned.
func (e *Engine) linked(t Target) (list []*EngineConn) {
	for _, c := range e.conns {
		if c.link != nil && t.conn(c) {
			list = append(list, c)
		}
	}
	return list
}
