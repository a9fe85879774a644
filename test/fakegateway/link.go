package fakegateway

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// readLimit is the largest message that is read at all. The engine has its own
// opinion of those below.
const readLimit = 4 << 20

// link is a Link by WebSocket: a queue, and a goroutine that writes what is in
// it.
type link struct {
	s    *Server
	conn *EngineConn
	ws   *websocket.Conn
	net  *netConn

	mu      sync.Mutex
	queue   []outFrame
	backlog atomic.Int64
	watched atomic.Bool // a flood waits for the backlog to shrink
	wake    chan struct{}
	done    chan struct{} // closed when reading has ended
}

type outFrame struct {
	data     []byte
	binary   bool
	fragment int
	closing  bool
	code     int
	reason   string
}

func newLink(s *Server, conn *EngineConn, ws *websocket.Conn, net *netConn) *link {
	return &link{s: s, conn: conn, ws: ws, net: net, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

func firstOf(subprotocols string) []string {
	first, _, _ := strings.Cut(subprotocols, ",")
	return []string{strings.TrimSpace(first)}
}

// serve carries the connection until its end.
func (l *link) serve() {
	var writer sync.WaitGroup
	writer.Add(1)
	go func() {
		defer writer.Done()
		l.write()
	}()
	l.s.Do(func(now time.Duration, _ *Engine) {
		l.s.links[l] = true
		if l.s.closed {
			l.Drop()
		}
		l.conn.Open(now, l)
	})
	code, reason := l.read()
	close(l.done)
	// A close of ours is waiting for this one, or has failed.
	writer.Wait()
	_ = l.ws.CloseNow() // whatever is left of it
	_ = l.net.Close()
	l.s.Do(func(now time.Duration, _ *Engine) {
		delete(l.s.links, l)
		l.conn.Gone(now, code, reason)
	})
}

// read hands on messages, and returns how the client closed.
func (l *link) read() (code int, reason string) {
	for {
		kind, data, err := l.ws.Read(context.Background())
		if err != nil {
			var ce websocket.CloseError
			if errors.As(err, &ce) {
				return int(ce.Code), ce.Reason
			}
			return codeDrop, ""
		}
		l.s.Do(func(now time.Duration, _ *Engine) {
			l.conn.Receive(now, data, kind == websocket.MessageBinary)
		})
	}
}

// Send queues a message.
func (l *link) Send(data []byte, binary bool) { l.put(outFrame{data: data, binary: binary}) }

// SendFragments queues a message that is to be sent in fragments.
func (l *link) SendFragments(data []byte, binary bool, size int) {
	l.put(outFrame{data: data, binary: binary, fragment: size})
}

// Close queues the close.
func (l *link) Close(code int, reason string) {
	l.put(outFrame{closing: true, code: code, reason: reason})
}

// Drop resets the transport.
func (l *link) Drop() { l.net.reset() }

// Freeze stops reading.
func (l *link) Freeze(on bool) { l.net.freeze(on) }

// WriteSize sets how much is written at a time.
func (l *link) WriteSize(size int) { l.net.writeSize(size) }

// Backlog is what has yet to be written.
func (l *link) Backlog() int {
	n := int(l.backlog.Load())
	if n > floodBacklog/2 {
		l.watched.Store(true)
	}
	return n
}

func (l *link) put(f outFrame) {
	if int(l.backlog.Add(int64(len(f.data)))) > l.s.eng.opt.MaxPending {
		l.Drop()
		return
	}
	l.mu.Lock()
	l.queue = append(l.queue, f)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// write writes what is queued, until the close or until reading has ended.
func (l *link) write() {
	for {
		l.mu.Lock()
		batch := l.queue
		l.queue = nil
		l.mu.Unlock()
		if len(batch) == 0 {
			select {
			case <-l.wake:
				continue
			case <-l.done:
				return
			}
		}
		l.net.cork()
		for _, f := range batch {
			if f.closing {
				l.net.uncork()
				l.close(f.code, f.reason)
				return
			}
			if l.writeFrame(f) != nil {
				l.net.uncork()
				_ = l.net.Close() // which ends reading, too
				return
			}
			l.backlog.Add(-int64(len(f.data)))
		}
		l.net.uncork()
		if l.watched.Swap(false) {
			l.s.Do(func(now time.Duration, _ *Engine) { l.conn.Drained(now) })
		}
	}
}

func (l *link) writeFrame(f outFrame) error {
	ctx := context.Background()
	kind := websocket.MessageText
	if f.binary {
		kind = websocket.MessageBinary
	}
	if f.fragment <= 0 {
		return l.ws.Write(ctx, kind, f.data)
	}
	w, err := l.ws.Writer(ctx, kind)
	if err != nil {
		return err
	}
	for data := f.data; len(data) > 0; {
		n := min(f.fragment, len(data))
		if _, err := w.Write(data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return w.Close()
}

// close sends the close frame and waits for the client's.
func (l *link) close(code int, reason string) {
	switch {
	case code == codeDrop:
		_ = l.net.Close() // reading sees to the rest
		return
	case sendable(code):
		_ = l.ws.Close(websocket.StatusCode(code), reason) // the client may be gone already
		return
	}
	// A code that no WebSocket library sends, for what a client makes of it.
	payload := append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
	_, _ = l.net.Write(append([]byte{0x88, byte(len(payload))}, payload...))
	select {
	case <-l.done:
	case <-time.After(time.Second):
	}
	_ = l.net.Close()
}

// sendable tells whether the WebSocket library sends a code.
func sendable(code int) bool {
	return code == codeNoStatus || code >= 1000 && code <= 1014 && code != 1004 && code != codeDrop || code >= 3000 && code <= 4999
}
