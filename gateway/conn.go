package gateway

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/internal/plain"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

// conn is what all clones of a handle share: the session, and the goroutines
// that carry out what it wants. It holds no rule of the protocol.
//
// The session belongs to whoever holds mu. Nobody does anything under mu that
// can block or that calls a user: the reader hands messages to the session and
// observed events to the dispatcher's queue; a writer per socket writes; the
// dispatcher calls observers. So neither a slow observer nor a slow network
// holds anything else up.
type conn struct {
	opts Options

	mu    sync.Mutex
	clock clock
	s     *session.Session
	kinds *session.Kinds
	sock  *socket // the present one, nil if none is open
	dial  context.CancelFunc
	timer *time.Timer
	armed time.Duration
	sends map[session.SendID]chan *Error
	stats Stats
	// reading tells that flush is called when what has been read is dealt with.
	reading bool
	voice   voiceStates

	dispatcher
	running sync.Once      // the dispatcher
	sockets sync.WaitGroup // their goroutines

	done chan struct{} // closed when the last observer has been told the end
	err  error         // why; to be read after done
}

func newConn(url string, opts Options, identify []byte) (*conn, error) {
	cfg, err := opts.config(url, rand.Uint64())
	if err != nil {
		return nil, err
	}
	cfg.Identify = identify
	c := &conn{opts: opts, clock: newClock(), kinds: cfg.Kinds, sends: map[session.SendID]chan *Error{}, done: make(chan struct{})}
	cfg.Clock = c.now
	if c.s, err = session.New(cfg); err != nil {
		return nil, err
	}
	c.timer = time.AfterFunc(time.Hour, c.tick)
	c.timer.Stop()
	c.init(c)
	return c, nil
}

// now is the session's time, under mu. After a sleep the timer is set anew, which
// the system holds to the time that it was awake: what is overdue then comes at
// once, and so late that the session sees that the machine has slept.
func (c *conn) now() time.Duration {
	now, slept := c.clock.now()
	if slept {
		c.armed = 0
	}
	return now
}

// date is the wall clock's of a time of the session, under mu.
func (c *conn) date(t time.Duration) time.Time {
	c.now() // the machine may have slept
	return c.clock.date(t)
}

func (c *conn) start() {
	c.running.Do(func() { go c.dispatch() })
	c.with(func(now time.Duration) { c.s.Start(now) })
}

// with gives the session an input and carries out what follows from it.
func (c *conn) with(input func(now time.Duration)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	input(c.now())
	c.carryOut()
}

func (c *conn) tick() {
	c.with(func(now time.Duration) {
		c.armed = 0
		c.s.Tick(now)
	})
}

// carryOut does what the session wants. It runs under mu.
func (c *conn) carryOut() {
	for o := c.s.Next(); o != nil; o = c.s.Next() {
		switch o.Kind {
		case session.OutputDispatch:
			c.enqueueEvent(o)
		case session.OutputDial:
			ctx, cancel := context.WithCancel(context.Background())
			c.dial = cancel
			c.sockets.Add(1)
			go c.connect(ctx, o.Conn, o.URL)
		case session.OutputWrite:
			if c.sock != nil {
				c.stats.BytesSent += uint64(len(o.Data))
				c.sock.write(frame{data: o.Data, binary: o.Binary})
			}
		case session.OutputClose:
			c.hangUp(websocket.StatusCode(o.CloseCode))
		case session.OutputSent:
			if settled := c.sends[o.ID]; settled != nil {
				delete(c.sends, o.ID)
				settled <- o.Err
			}
		case session.OutputAck:
		default:
			c.enqueueReport(o)
		}
	}
	if at, ok := c.s.Deadline(); !ok {
		if c.armed != 0 {
			c.timer.Stop()
			c.armed = 0
		}
	} else if at != c.armed {
		c.armed = at
		c.timer.Reset(max(0, at-c.now()))
	}
}

// hangUp lets go of the socket, or of the attempt to open one.
func (c *conn) hangUp(code websocket.StatusCode) {
	if c.dial != nil {
		c.dial()
		c.dial = nil
	}
	if c.sock != nil {
		c.sock.write(frame{close: code})
		c.sock = nil
	}
}

// connect opens a socket and reads from it until it closes.
func (c *conn) connect(ctx context.Context, id session.Conn, url string) {
	defer c.sockets.Done()
	header := c.opts.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	if header.Get("User-Agent") == "" {
		header.Set("User-Agent", userAgent)
	}
	client := http.Client{Transport: defaultTransport()}
	if c.opts.HTTPClient != nil {
		client = *c.opts.HTTPClient
	}
	// Browsers follow no redirect here either. One could lead to a connection that
	// is not encrypted, or round in circles.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	var before atomic.Pointer[func()]
	ctx = context.WithValue(ctx, beforeReading{}, &before)
	var raw net.Conn
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { raw = i.Conn }})
	ws, resp, err := websocket.Dial(traced, url, &websocket.DialOptions{HTTPClient: &client, HTTPHeader: header})
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
	if err != nil {
		c.with(func(now time.Duration) {
			c.s.Closed(now, id, session.CloseAbnormal, "", dialError(resp, err))
		})
		return
	}
	ws.SetReadLimit(int64(c.maxFrame()) + 1)
	sock := &socket{ws: ws, raw: innerConn(raw), wake: make(chan struct{}, 1), gone: make(chan struct{})}
	c.sockets.Add(1)
	go func() {
		defer c.sockets.Done()
		sock.writer()
	}()
	current := false
	c.with(func(now time.Duration) {
		c.s.Opened(now, id)
		if current = c.s.State() == StateAwaitingHello && ctx.Err() == nil; current {
			c.sock = sock
		}
	})
	if current {
		// The sockets of a client of the user's do not call it; then the dispatcher is
		// woken for every event.
		var told network
		flush := func() {
			told.tells.Store(true)
			told.waited.Store(true)
			c.flush()
		}
		before.Store(&flush)
		err = c.read(sock, id, &told)
		c.with(func(now time.Duration) {
			if c.sock == sock {
				c.sock = nil
			}
			code, reason, cause := closure(err)
			c.s.Closed(now, id, code, reason, cause)
		})
	}
	sock.end()
}

// maxFrame is how much is read of one message before it is refused.
func (c *conn) maxFrame() int { return wire.Limits{MaxMessage: c.opts.MaxReceive}.MaxFrame() }

// network is what is known of a socket's: whether it is told before it is waited
// for, and whether it was since the last message.
type network struct{ tells, waited atomic.Bool }

// read hands every message to the session until there are no more. It looks at the
// clock once for what the network brings at once.
func (c *conn) read(sock *socket, id session.Conn, told *network) error {
	limit := c.maxFrame()
	buf := make([]byte, 16<<10)
	for {
		kind, r, err := sock.ws.Reader(context.Background())
		if err != nil {
			return err
		}
		n := 0
		for {
			if n == len(buf) {
				buf = append(buf, make([]byte, len(buf))...)
			}
			m, err := r.Read(buf[n:])
			n += m
			if err == io.EOF || n > limit { // which the session refuses, in its own words
				break
			}
			if err != nil {
				return err
			}
		}
		c.mu.Lock()
		c.stats.Messages++
		c.stats.BytesReceived += uint64(n)
		at := session.Untold
		tells := told.tells.Load()
		if !tells || told.waited.Load() {
			told.waited.Store(false)
			at = c.now()
		}
		c.s.Received(at, id, buf[:n], kind == websocket.MessageBinary)
		c.reading = tells
		c.carryOut()
		c.reading = false
		late := c.stats.Messages%maxUnsaidMessages == 0
		c.mu.Unlock()
		if late {
			told.waited.Store(true)
			c.flush()
		}
		if len(buf) > 1<<20 && n < len(buf)/8 {
			buf = make([]byte, 16<<10) // after a READY of megabytes
		}
	}
}

// closure says how a connection ended.
func closure(err error) (code session.CloseCode, reason, cause string) {
	var closed websocket.CloseError
	if errors.As(err, &closed) {
		return session.CloseCode(closed.Code), closed.Reason, ""
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return session.CloseAbnormal, "", ""
	}
	return session.CloseAbnormal, "", plain.Innermost(err)
}

// dialError says why a connection could not be opened.
func dialError(resp *http.Response, err error) string {
	if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
		return "the server answered " + resp.Status + " instead of opening a WebSocket"
	}
	return plain.Innermost(err)
}

// socket is a connection that is open, and what is to be written to it.
type socket struct {
	ws   *websocket.Conn
	raw  net.Conn // below it; nil if the client of the user does not tell
	wake chan struct{}
	gone chan struct{} // closed when nothing can be written any more

	mu  sync.Mutex
	out []frame
	cut *time.Timer // once it is to be closed
}

// frame is a message to be written, or, with a code, the close.
type frame struct {
	data   []byte
	binary bool
	close  websocket.StatusCode
}

func (s *socket) write(f frame) {
	s.mu.Lock()
	s.out = append(s.out, f)
	if f.close != 0 {
		// The peer may not answer, and the writer may be stuck in a message that it
		// does not read.
		s.cutLater()
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// end lets go of what is left of the connection.
func (s *socket) end() {
	close(s.gone)
	s.mu.Lock()
	s.cutLater() // TLS has a word to say, too
	s.mu.Unlock()
	_ = s.ws.CloseNow()
	s.cut.Stop()
}

// closeTimeout bounds how long a socket may take to close: the peer may be gone.
const closeTimeout = 2 * time.Second

// cutLater sees to it, under mu, that the connection takes no longer to close. A
// WebSocket that has begun to close, or TLS, would go on to wait for the peer: what
// is below them is closed.
func (s *socket) cutLater() {
	if s.cut != nil {
		return
	}
	s.cut = time.AfterFunc(closeTimeout, func() {
		if s.raw != nil {
			_ = s.raw.Close()
			return
		}
		_ = s.ws.CloseNow()
	})
}

// innerConn is the connection of the system's below those that encrypt.
func innerConn(c net.Conn) net.Conn {
	for {
		outer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = outer.NetConn()
	}
}

// writer writes what there is to write, in order.
func (s *socket) writer() {
	for {
		select {
		case <-s.gone:
			return
		case <-s.wake:
		}
		s.mu.Lock()
		out := s.out
		s.out = nil
		s.mu.Unlock()
		for _, f := range out {
			if f.close != 0 {
				_ = s.ws.Close(f.close, "")
				return
			}
			kind := websocket.MessageText
			if f.binary {
				kind = websocket.MessageBinary
			}
			if s.ws.Write(context.Background(), kind, f.data) != nil {
				return // the reader meets the same end and reports it
			}
		}
	}
}
