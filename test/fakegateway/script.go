package fakegateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Conn is a connection whose server's part a test plays itself; see
// Options.OnConn. The server says nothing on it but what the methods here make
// it say. Its methods are safe for concurrent use.
type Conn struct {
	s     *Server
	c     *EngineConn
	inbox chan Message
	ended chan struct{} // closed when the client is gone
}

// ErrClosed is returned by methods of a Conn that wait for a client which has
// gone.
var ErrClosed = errors.New("fakegateway: the connection is closed")

// scriptTimeout is how long WaitFor waits.
const scriptTimeout = 10 * time.Second

// OnConn lets a function play the server's part for each connection from now
// on, in a goroutine of its own; n counts the dials from 1. nil leaves them to
// the server again. When the function returns, the connection stays as it is.
// It must return when a method of c fails: Close waits for it.
func (s *Server) OnConn(f func(n int, c *Conn)) {
	s.Do(func(_ time.Duration, e *Engine) {
		if f == nil {
			e.Intercept = nil
			return
		}
		e.Intercept = func(ec *EngineConn) func(Message) {
			c := &Conn{s: s, c: ec, inbox: make(chan Message, loggedMessages), ended: make(chan struct{})}
			ec.onGone = func() { close(c.ended) }
			s.work.Add(1)
			go func() {
				defer s.work.Done()
				f(ec.ID, c)
			}()
			return func(m Message) {
				select {
				case c.inbox <- m:
				default: // nobody reads it; the log has it
				}
			}
		}
	})
}

// ID of the connection, as in State.
func (c *Conn) ID() int { return c.c.ID }

// Request that opened the connection.
func (c *Conn) Request() Request { return c.c.Request }

// Next returns the next message of the client, tokens included.
func (c *Conn) Next(ctx context.Context) (Message, error) {
	select {
	case m := <-c.inbox:
		return m, nil
	default:
	}
	select {
	case m := <-c.inbox:
		return m, nil
	case <-c.ended:
		select {
		case m := <-c.inbox: // came before the end
			return m, nil
		default:
			return Message{}, ErrClosed
		}
	case <-ctx.Done():
		return Message{}, fmt.Errorf("fakegateway: no message came: %w", ctx.Err())
	}
}

// WaitFor returns the next message with this opcode, and passes over others. It
// waits ten seconds.
func (c *Conn) WaitFor(op int) (Message, error) {
	ctx, cancel := context.WithTimeout(context.Background(), scriptTimeout)
	defer cancel()
	for {
		m, err := c.Next(ctx)
		if err != nil {
			return m, fmt.Errorf("waiting for op %d: %w", op, err)
		}
		if m.Op == op {
			return m, nil
		}
	}
}

// WaitClosed waits until the client is gone, and returns the code and reason
// with which it closed: 1006 if the connection broke.
func (c *Conn) WaitClosed(ctx context.Context) (code int, reason string, err error) {
	select {
	case <-c.ended:
		c.do(func(time.Duration) { code, reason = c.c.clientCode, c.c.clientReason })
		return code, reason, nil
	case <-ctx.Done():
		return 0, "", fmt.Errorf("fakegateway: the client did not close: %w", ctx.Err())
	}
}

// Handle lets the server act on a message as it would by itself: answer an
// Identify with READY, a heartbeat with an ACK, close on what is wrong.
func (c *Conn) Handle(m Message) {
	c.do(func(time.Duration) {
		if !c.c.closed {
			c.c.handle(m)
		}
	})
}

// Serve leaves the connection to the server from here on. It says Hello if that
// has not been said, and acts on messages that have come and were not read.
func (c *Conn) Serve() {
	c.do(func(time.Duration) {
		c.c.intercept = nil
		if c.c.closed {
			return
		}
		if !c.c.helloSent {
			c.c.begin()
		}
		for {
			select {
			case m := <-c.inbox:
				c.c.handle(m)
				continue
			default:
			}
			return
		}
	})
}

// Hello says Hello and starts the deadlines, as the server would.
func (c *Conn) Hello() { c.do(func(time.Duration) { c.c.begin() }) }

// Dispatch sends an event with the next sequence number. Before Identify or
// Resume was handled there is no session to number it: use Send then.
func (c *Conn) Dispatch(name string, d any) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	c.do(func(time.Duration) {
		if c.c.sess == nil {
			err = errors.New("fakegateway: there is no session yet; let Handle take the Identify, or use Send")
			return
		}
		c.c.dispatch(name, text)
	})
	return err
}

// Send sends a message, given as JSON text or what is to pass for it, in the
// connection's encoding and compression.
func (c *Conn) Send(msg string) {
	c.do(func(now time.Duration) { c.s.eng.Send(now, c.target(), []byte(msg)) })
}

// SendFrame sends a frame as it is.
func (c *Conn) SendFrame(data []byte, binary bool) {
	c.do(func(now time.Duration) { c.s.eng.SendFrame(now, c.target(), data, binary) })
}

// Close closes with a code and a reason.
func (c *Conn) Close(code int, reason string) {
	c.do(func(time.Duration) { c.c.close(code, reason) })
}

// Drop cuts the connection.
func (c *Conn) Drop() { c.do(func(time.Duration) { c.c.drop() }) }

// Freeze makes the connection half-open, or ends that.
func (c *Conn) Freeze(on bool) { c.do(func(time.Duration) { c.c.freeze(on) }) }

// SetFaults gives the connection these faults.
func (c *Conn) SetFaults(f Faults) {
	c.do(func(now time.Duration) { c.s.eng.SetFaults(now, c.target(), f) })
}

func (c *Conn) target() Target { return Target{Conn: c.c.ID} }

func (c *Conn) do(f func(now time.Duration)) {
	c.s.Do(func(now time.Duration, _ *Engine) { f(now) })
}
