package gateway

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// readAhead is how much a socket reads at once. net/http and coder/websocket read
// 4 KiB, four events or so, and half of what an event costs is the system call.
const readAhead = 32 << 10

// defaultTransport is that of http.DefaultClient but for sockets that read ahead.
// It is used where the user names no client.
var defaultTransport = sync.OnceValue(func() http.RoundTripper {
	if t := http.DefaultClient.Transport; t != nil {
		return t
	}
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t = t.Clone()
	// A connection that a refused dial left in the pool would call the function of
	// the handle that dialed it. Upgrades need no keep-alive.
	t.DisableKeepAlives = true
	dial := t.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		before, _ := ctx.Value(beforeReading{}).(*atomic.Pointer[func()])
		return newAheadConn(conn, before), nil
	}
	return t
})

// beforeReading is the key of what a context for dialing may hold: a function that
// the socket calls whenever it is about to wait for the network.
type beforeReading struct{}

// aheadConn is a net.Conn that reads ahead. Like all of them, it is read by one
// goroutine at a time.
type aheadConn struct {
	net.Conn
	direct directReader
	buf    []byte // made when there is something to read
	rest   []byte // of it, what has not been asked for
	before *atomic.Pointer[func()]
}

func newAheadConn(conn net.Conn, before *atomic.Pointer[func()]) *aheadConn {
	c := &aheadConn{Conn: conn, before: before}
	c.direct.init(conn, c.wait)
	return c
}

// wait is called when the socket is about to wait.
func (c *aheadConn) wait() {
	if c.before != nil {
		if call := c.before.Load(); call != nil {
			(*call)()
		}
	}
}

func (c *aheadConn) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		if len(p) >= readAhead {
			return c.read(p)
		}
		if c.buf == nil {
			c.buf = make([]byte, readAhead)
		}
		n, err := c.read(c.buf)
		if n <= 0 {
			return n, err
		}
		// An error comes again.
		c.rest = c.buf[:n]
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// read reads from the network.
func (c *aheadConn) read(p []byte) (int, error) {
	if c.direct.raw != nil {
		return c.direct.read(p)
	}
	c.wait() // for all that is known
	return c.Conn.Read(p)
}
