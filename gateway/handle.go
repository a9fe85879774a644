package gateway

import (
	"sync"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
)

// Handle is one gateway connection for one account. It may be used from any
// goroutine, and cloned; clones share the connection and have observers of
// their own.
type Handle struct {
	c     *conn
	owner bool // not a clone

	mu    sync.Mutex
	stops map[int]func()
	last  int
}

// observe subscribes, and remembers to unsubscribe with the handle.
func (h *Handle) observe(name string, keeps bool, call func(any)) (unsubscribe func()) {
	stop := h.c.observe(name, keeps, call)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stops == nil {
		h.stops = map[int]func(){}
	}
	h.last++
	id := h.last
	h.stops[id] = stop
	return func() {
		h.mu.Lock()
		delete(h.stops, id)
		h.mu.Unlock()
		stop()
	}
}

// Clone returns another handle of the same connection. Closing the clone only
// ends what was subscribed through it.
func (h *Handle) Clone() *Handle { return &Handle{c: h.c} }

// Close ends the session and the connection, with close code 1000, for all
// clones. Closing a clone ends its subscriptions only. It returns when nothing is
// left of the connection but what observers still have to be told; Done says
// when that has happened. That takes as long as the server takes to confirm, and
// two seconds at most; then the connection is cut. It may be called from an
// observer, and again.
func (h *Handle) Close() error { return h.close(false) }

// CloseResumable closes like Close, and as fast, but leaves the session to be resumed, on
// this machine or another, and returns it; ok is false if there is none.
func (h *Handle) CloseResumable() (s Session, ok bool) {
	_ = h.close(true)
	return h.Session()
}

func (h *Handle) close(keep bool) error {
	if !h.owner {
		h.mu.Lock()
		stops := h.stops
		h.stops = nil
		h.mu.Unlock()
		for _, stop := range stops {
			stop()
		}
		return nil
	}
	h.c.with(func(now time.Duration) {
		h.c.running.Do(func() { go h.c.dispatch() }) // it may be closed before it is started
		h.c.s.Close(now, keep)
	})
	h.c.sockets.Wait()
	return nil
}

// Done is closed when the handle is at its end and all observers have been
// told.
func (h *Handle) Done() <-chan struct{} { return h.c.done }

// Err tells why the handle ended: ErrClosed if it was closed, the fatal error
// otherwise. It is nil before Done is closed.
func (h *Handle) Err() error {
	select {
	case <-h.c.done:
		return h.c.err
	default:
		return nil
	}
}

// State returns the present state.
func (h *Handle) State() State {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	return h.c.s.State()
}

// Latency is the time that the server took to acknowledge the last heartbeat; 0
// before the first.
func (h *Handle) Latency() time.Duration {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	return h.c.s.Latency()
}

// Session returns what it takes to resume the session elsewhere, as of now; ok
// is false if there is no session. It stays valid after CloseResumable.
func (h *Handle) Session() (s Session, ok bool) {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	return h.c.s.Snapshot()
}

// Wake tells the handle that the machine may have been asleep, or that the
// network is back: a wait to reconnect is cut short, and a connection that looks
// open is probed and, without an answer within five seconds, replaced. Long
// sleeps are noticed without it, at the latest with the next heartbeat or attempt
// to reconnect that was due.
func (h *Handle) Wake() {
	h.c.with(func(now time.Duration) { h.c.s.Wake(now) })
}

// Stats counts what a handle has done.
type Stats struct {
	// Dials is how often a connection was opened, or tried to be.
	Dials uint64
	// Resumes is how often a session went on over another connection.
	Resumes uint64
	// Gaps is how many gaps were reported.
	Gaps uint64
	// Messages received, of any kind, as the WebSocket delivered them.
	Messages uint64
	// BytesReceived and BytesSent on the wire, without the WebSocket's framing.
	BytesReceived, BytesSent uint64
	// BytesDecoded is what was received, decompressed.
	BytesDecoded uint64
	// Events that arrived, by name, observed or not.
	Events map[string]uint64
	// Dropped events, because observers were slow.
	Dropped uint64
	// Queued sends, waiting for the rate limit.
	Queued int
	// Latency of the heartbeats.
	Latency Latency
}

// Latency tells how long the server took to acknowledge heartbeats: Last, and
// Mean and P99 (all but one in a hundred are faster) of the last 128.
type Latency = session.Latency

// Stats returns what the handle has done so far.
func (h *Handle) Stats() Stats {
	c := h.c
	c.mu.Lock()
	defer c.mu.Unlock()
	s, of := c.stats, c.s.Stats()
	s.Dials, s.Resumes, s.Gaps, s.BytesDecoded, s.Queued, s.Latency = of.Dials, of.Resumes, of.Gaps, of.Decoded, of.Queued, of.Latency
	s.Events = make(map[string]uint64, c.kinds.Len())
	for id := 1; id <= c.kinds.Len(); id++ {
		if k := c.kinds.Kind(id); k.Count > 0 {
			s.Events[k.Name] = k.Count
		}
	}
	return s
}
