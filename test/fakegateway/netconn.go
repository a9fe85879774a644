package fakegateway

import (
	"bufio"
	"net"
	"net/http"
	"sync"
)

// netConn is the transport of a WebSocket, with the faults of a bad network.
// While it is corked it collects what is written, so that many messages cost
// one system call.
type netConn struct {
	net.Conn

	mu     sync.Mutex
	ice    chan struct{} // while frozen; closed when it ends
	closed chan struct{}
	once   sync.Once

	write  sync.Mutex
	size   int
	corked bool
	buf    []byte
}

const corkSize = 64 << 10

// hijackWriter is a ResponseWriter whose connection becomes a netConn.
type hijackWriter struct {
	http.ResponseWriter
	conn *netConn
}

// Hijack takes the connection over.
func (w *hijackWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.conn = &netConn{Conn: conn, closed: make(chan struct{})}
	rw.Writer.Reset(w.conn)
	return w.conn, rw, nil
}

// Read reads, unless it is frozen.
func (c *netConn) Read(p []byte) (int, error) {
	c.thawed()
	n, err := c.Conn.Read(p)
	c.thawed()
	return n, err
}

// thawed waits while the connection is frozen.
func (c *netConn) thawed() {
	c.mu.Lock()
	ice := c.ice
	c.mu.Unlock()
	if ice != nil {
		select {
		case <-ice:
		case <-c.closed:
		}
	}
}

func (c *netConn) freeze(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case on && c.ice == nil:
		c.ice = make(chan struct{})
	case !on && c.ice != nil:
		close(c.ice)
		c.ice = nil
	}
}

// Write writes, or collects.
func (c *netConn) Write(p []byte) (int, error) {
	c.write.Lock()
	defer c.write.Unlock()
	if !c.corked {
		return len(p), c.writeNow(p)
	}
	c.buf = append(c.buf, p...)
	if len(c.buf) < corkSize {
		return len(p), nil
	}
	err := c.writeNow(c.buf)
	c.buf = c.buf[:0]
	return len(p), err
}

func (c *netConn) writeNow(p []byte) error {
	for c.size > 0 && len(p) > c.size {
		if _, err := c.Conn.Write(p[:c.size]); err != nil {
			return err
		}
		p = p[c.size:]
	}
	_, err := c.Conn.Write(p)
	return err
}

func (c *netConn) writeSize(size int) {
	c.write.Lock()
	c.size = size
	c.write.Unlock()
}

func (c *netConn) cork() {
	c.write.Lock()
	c.corked = true
	c.write.Unlock()
}

// uncork writes what has been collected. An error shows with the next write.
func (c *netConn) uncork() {
	c.write.Lock()
	defer c.write.Unlock()
	c.corked = false
	if len(c.buf) > 0 {
		_ = c.writeNow(c.buf)
		c.buf = c.buf[:0]
	}
}

// Close closes, also while frozen.
func (c *netConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// reset closes such that the client sees the connection break.
func (c *netConn) reset() {
	if l, ok := c.Conn.(interface{ SetLinger(int) error }); ok {
		_ = l.SetLinger(0) // or else it is merely closed
	}
	_ = c.Close()
}
