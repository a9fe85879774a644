package fakegateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Server is an Engine with real connections. It is an http.Handler that takes
// WebSockets on every path and answers the HTTP requests by which clients find
// a gateway and log in. Its methods are safe for concurrent use.
type Server struct {
	opt   Options
	start time.Time

	mu      sync.Mutex // over all of the following
	eng     *Engine
	armed   time.Duration // when the clock looks next
	links   map[*link]bool
	changed chan struct{}
	waiting int
	closed  bool

	wake     chan struct{} // to the clock
	done     chan struct{}
	work     sync.WaitGroup
	listener net.Listener
	http     *http.Server
}

// never is a time that does not come.
const never = time.Duration(1<<63 - 1)

// New makes a server that does not listen, to be mounted in another one. Close
// it in the end.
func New(o Options) (*Server, error) {
	if o.Epoch.IsZero() {
		o.Epoch = time.Now()
	}
	eng, err := NewEngine(o)
	if err != nil {
		return nil, err
	}
	s := &Server{
		opt: o, start: time.Now(), eng: eng, armed: never, links: map[*link]bool{},
		changed: make(chan struct{}), wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if o.OnConn != nil {
		s.OnConn(o.OnConn)
	}
	s.work.Add(1)
	go s.clock()
	return s, nil
}

// Start makes a server that listens on Options.Addr. Close it in the end.
func Start(o Options) (*Server, error) {
	addr := o.Addr
	setDefault(&addr, "127.0.0.1:0")
	s, err := New(o)
	if err != nil {
		return nil, err
	}
	if s.listener, err = net.Listen("tcp", addr); err != nil {
		s.Close()
		return nil, fmt.Errorf("fakegateway: %w", err)
	}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 30 * time.Second}
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		_ = s.http.Serve(s.listener) // until Close
	}()
	return s, nil
}

// URL of the gateway: ws://127.0.0.1:port. Empty for a server that does not
// listen itself.
func (s *Server) URL() string { return s.url("ws") }

// HTTPURL is the URL of the server's HTTP: http://127.0.0.1:port.
func (s *Server) HTTPURL() string { return s.url("http") }

func (s *Server) url(scheme string) string {
	if s.listener == nil {
		return ""
	}
	return scheme + "://" + s.listener.Addr().String()
}

// Close drops all connections and stops listening. When it returns, nothing of
// the server is left running.
func (s *Server) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.work.Wait()
		return
	}
	s.closed = true
	close(s.done)
	for l := range s.links {
		l.Drop()
	}
	s.mu.Unlock()
	if s.http != nil {
		_ = s.http.Close() // closes the listener; nothing to be done about an error
	} else if s.listener != nil {
		_ = s.listener.Close()
	}
	s.work.Wait()
}

// Do gives the engine to a function, with the present time. The function must
// not block; nobody else uses the engine meanwhile.
func (s *Server) Do(f func(now time.Duration, e *Engine)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.do(f)
}

func (s *Server) do(f func(now time.Duration, e *Engine)) {
	now := time.Since(s.start)
	s.eng.Tick(now)
	f(now, s.eng)
	if at, ok := s.eng.Deadline(); ok && at < s.armed {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	if s.waiting > 0 {
		s.waiting = 0
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

// clock calls Tick when the engine wants it.
func (s *Server) clock() {
	defer s.work.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-timer.C:
		case <-s.wake:
		}
		s.mu.Lock()
		s.do(func(time.Duration, *Engine) {})
		s.armed = never
		if at, ok := s.eng.Deadline(); ok {
			s.armed = at
			timer.Reset(max(0, at-time.Since(s.start)))
		} else {
			timer.Stop()
		}
		s.mu.Unlock()
	}
}

// Wait waits until a picture of the server satisfies a condition.
func (s *Server) Wait(ctx context.Context, cond func(State) bool) error {
	return s.wait(ctx, func() (bool, error) { return cond(s.eng.State()), nil })
}

// wait waits until cond, which is called with the lock held, says true or fails.
func (s *Server) wait(ctx context.Context, cond func() (bool, error)) error {
	for {
		s.mu.Lock()
		ok, err := cond()
		s.waiting++
		changed := s.changed
		s.mu.Unlock()
		if ok || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-s.done:
			return errors.New("fakegateway: the server was closed")
		case <-ctx.Done():
			return fmt.Errorf("fakegateway: waited in vain: %w", ctx.Err())
		}
	}
}

// ServeHTTP takes WebSockets on every path, and HTTP requests.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		http.Error(w, "the server is closed", http.StatusServiceUnavailable)
		return
	}
	s.work.Add(1)
	s.mu.Unlock()
	defer s.work.Done()
	if r.Header.Get("Upgrade") == "" {
		s.serveHTTP(w, r)
		return
	}
	s.serveWebSocket(w, r)
}

func (s *Server) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	var conn *EngineConn
	var status int
	s.Do(func(now time.Duration, e *Engine) {
		conn, status = e.Dial(now, Request{Path: r.URL.Path, Query: query(r), Header: r.Header.Clone(), Host: r.Host})
	})
	switch status {
	case DialAccepted:
	case DialHangs:
		select {
		case <-r.Context().Done():
		case <-s.done:
		}
		return
	default:
		cors(w.Header(), r)
		http.Error(w, http.StatusText(status), status)
		return
	}
	opts := &websocket.AcceptOptions{InsecureSkipVerify: true}
	if offered := r.Header.Get("Sec-WebSocket-Protocol"); offered != "" {
		opts.Subprotocols = firstOf(offered)
	}
	hw := &hijackWriter{ResponseWriter: w}
	ws, err := websocket.Accept(hw, r, opts)
	if err != nil {
		s.Do(func(now time.Duration, _ *Engine) { conn.Gone(now, codeDrop, "") })
		return
	}
	ws.SetReadLimit(readLimit)
	newLink(s, conn, ws, hw.conn).serve()
}

// query is the query of a request. A broken part of it is left out, as servers
// do.
func query(r *http.Request) url.Values {
	q, _ := url.ParseQuery(r.URL.RawQuery)
	return q
}

// Control does an action as POST /control does: those of Engine.Control, and
// "wait".
func (s *Server) Control(ctx context.Context, text []byte) (json.RawMessage, error) {
	var head struct {
		Action string `json:"action"`
	}
	if json.Unmarshal(text, &head) == nil && head.Action == "wait" {
		return s.controlWait(ctx, text)
	}
	var result json.RawMessage
	var err error
	s.Do(func(now time.Duration, e *Engine) { result, err = e.Control(now, text) })
	return result, err
}

// waitAction waits until at least so many of something have been seen.
type waitAction struct {
	to
	// Op of messages received on the connections of the target.
	Op *int `json:"op"`
	// Counter is one of Counters.
	Counter string `json:"counter"`
	// Closed waits until the connection conn is closed.
	Closed  bool   `json:"closed"`
	AtLeast int    `json:"at_least"`
	Timeout millis `json:"timeout_ms"`
}

func (s *Server) controlWait(ctx context.Context, text []byte) (json.RawMessage, error) {
	var p waitAction
	if err := strictUnmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("control: wait: %w", err)
	}
	setDefault(&p.AtLeast, 1)
	setDefault(&p.Timeout, millis(10*time.Second))
	ctx, cancel := context.WithTimeout(ctx, time.Duration(p.Timeout))
	defer cancel()
	if err := s.wait(ctx, func() (bool, error) { return s.eng.seen(p) }); err != nil {
		return nil, fmt.Errorf("control: wait: %w", err)
	}
	return json.RawMessage("{}"), nil
}

// seen tells whether what wait waits for is there.
func (e *Engine) seen(p waitAction) (bool, error) {
	switch {
	case p.Closed:
		c := e.Conn(p.Conn)
		if c == nil {
			return false, fmt.Errorf("there is no connection %d", p.Conn)
		}
		return c.gone, nil
	case p.Counter != "":
		var counters map[string]int
		text, err := json.Marshal(e.counters)
		if err == nil {
			err = json.Unmarshal(text, &counters)
		}
		if _, ok := counters[p.Counter]; err == nil && !ok {
			err = fmt.Errorf("there is no counter %q", p.Counter)
		}
		return counters[p.Counter] >= p.AtLeast, err
	case p.Op != nil:
		n := 0
		for _, list := range [][]*EngineConn{e.past, e.conns} {
			for _, c := range list {
				for _, m := range c.log {
					if p.Target.conn(c) && m.Op == *p.Op {
						n++
					}
				}
			}
		}
		return n >= p.AtLeast, nil
	}
	return false, errors.New("it needs an op, a counter, or closed")
}
