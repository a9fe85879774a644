package fakegateway

import (
	"encoding/json"
	"fmt"
	"time"
)

// This file is what a test can make the server do, beside the faults. Each
// returns the number of connections (or sessions) that it reached.

// Dispatch sends an event to the sessions of a target, with the next sequence
// number of each.
func (e *Engine) Dispatch(now time.Duration, t Target, name string, d json.RawMessage) int {
	e.Tick(now)
	if len(d) == 0 {
		d = json.RawMessage("null")
	}
	return e.emit(t, event{name: name, d: d})
}

// Send sends a message, given as JSON text or what is to pass for it, in the
// encoding and compression of each connection.
func (e *Engine) Send(now time.Duration, t Target, msg []byte) int {
	return e.each(now, t, func(c *EngineConn) { c.send(msg) })
}

// SendFrame sends a frame as it is.
func (e *Engine) SendFrame(now time.Duration, t Target, data []byte, binary bool) int {
	return e.each(now, t, func(c *EngineConn) {
		c.flushFaults()
		c.out(packet{data: data, binary: binary})
	})
}

// Truncate sends the first n bytes of the frame that an event makes, and then
// closes with code, where 1006 cuts the connection.
func (e *Engine) Truncate(now time.Duration, t Target, ev Event, n, code int) int {
	return e.each(now, t, func(c *EngineConn) {
		if c.enc == nil {
			return
		}
		c.flushFaults()
		data, binary := c.enc.encode(c.envelope(event{name: ev.Name, d: ev.Data, seq: c.seq}))
		c.out(packet{data: data[:min(max(n, 0), len(data))], binary: binary})
		if code != 0 {
			c.close(code, "")
		}
	})
}

// Close closes connections with a code and a reason.
func (e *Engine) Close(now time.Duration, t Target, code int, reason string) int {
	return e.each(now, t, func(c *EngineConn) { c.close(code, reason) })
}

// Drop cuts connections without a word.
func (e *Engine) Drop(now time.Duration, t Target) int {
	e.Tick(now)
	list := e.linked(t)
	for _, c := range list {
		c.drop()
	}
	return len(list)
}

// Freeze makes connections half-open: nothing is read and nothing sent any
// more, but they stay. When it ends, what was held back follows.
func (e *Engine) Freeze(now time.Duration, t Target, on bool) int {
	e.Tick(now)
	list := e.linked(t)
	for _, c := range list {
		c.freeze(on)
	}
	return len(list)
}

func (c *EngineConn) freeze(on bool) {
	if c.frozen == on {
		return
	}
	c.frozen = on
	if n, ok := c.link.(NetworkFaults); ok {
		n.Freeze(on)
	}
	if on {
		return
	}
	c.pump()
	waiting := c.waiting
	c.waiting = nil
	for _, w := range waiting {
		if !c.closed {
			c.receive(w[0], w[1] != nil)
		}
	}
}

// Reconnect sends op 7. With a delay that is not negative it does so as
// Spacebar does, with the milliseconds in d; closeToo closes with 1000 then.
func (e *Engine) Reconnect(now time.Duration, t Target, delay time.Duration, closeToo bool) int {
	return e.each(now, t, func(c *EngineConn) {
		c.reconnect(delay)
		if closeToo {
			c.close(1000, "")
		}
	})
}

func (c *EngineConn) reconnect(delay time.Duration) {
	d := new(object).num("", delay.Milliseconds()).b
	switch {
	case delay < 0:
		c.sendOp(opReconnect, nil)
	case c.e.rules.nulls:
		c.sendOp(opReconnect, d)
	default:
		c.sendNumbered(opReconnect, d)
	}
}

// Shutdown ends all connections as a server that is stopped does: op 7, then
// 1000; and all sessions are forgotten. Spacebar's op 7 names a delay then, and
// on a zlib-stream a frame of 0 bytes follows it.
func (e *Engine) Shutdown(now time.Duration) (conns int) {
	conns = e.each(now, Target{}, func(c *EngineConn) {
		delay := time.Duration(-1)
		if e.opt.Profile == Spacebar {
			delay = time.Duration(2000+e.rng.IntN(3000)) * time.Millisecond
		}
		c.reconnect(delay)
		if e.opt.Profile == Spacebar && c.compress == compressZlib {
			c.out(packet{binary: true})
		}
		c.close(1000, "")
	})
	e.Forget(now, Target{})
	return conns
}

// InvalidSession sends op 9 with d as it is: true, false, or nothing for the
// message that Spacebar sends when a session is removed, which has an s in
// place of a d. With false or nothing the session is forgotten.
func (e *Engine) InvalidSession(now time.Duration, t Target, d string) int {
	return e.each(now, t, func(c *EngineConn) {
		if d == "" {
			c.sendNumbered(opInvalidSession, nil)
		} else {
			c.sendOp(opInvalidSession, []byte(d))
		}
		if s := c.sess; s != nil && d != "true" {
			s.dissolve()
		}
	})
}

// RemoveSession does what the removal of a session by its user does on
// Spacebar: op 9 without d, then close 4006.
func (e *Engine) RemoveSession(now time.Duration, t Target) int {
	return e.each(now, t, func(c *EngineConn) {
		if e.opt.Profile == Spacebar {
			c.sendNumbered(opInvalidSession, nil)
		} else {
			c.sendOp(opInvalidSession, []byte("false"))
		}
		s := c.sess
		c.close(4006, "")
		if s != nil {
			s.dissolve()
		}
	})
}

// Forget forgets sessions, as a restart does: their connections stay open but
// are told nothing more, and cannot be resumed.
func (e *Engine) Forget(now time.Duration, t Target) (sessions int) {
	e.Tick(now)
	for i := 0; i < len(e.sessions); {
		if s := e.sessions[i]; t.session(s) && (t.Conn == 0 || s.has(t.Conn)) {
			s.dissolve()
			sessions++
		} else {
			i++
		}
	}
	return sessions
}

// dissolve forgets a session and lets its connections identify again.
func (s *session) dissolve() {
	s.e.forget(s)
	for _, c := range s.conns {
		c.sess, c.live = nil, false
	}
	s.conns = nil
}

func (s *session) has(conn int) bool {
	for _, c := range s.conns {
		if c.ID == conn {
			return true
		}
	}
	return false
}

// SetInterval changes the interval that Hello asks for.
func (e *Engine) SetInterval(interval time.Duration) error {
	if interval <= 0 {
		return fmt.Errorf("fakegateway: the interval must be positive; for a Hello that says otherwise, use Faults.Hello")
	}
	e.opt.Interval = interval
	return nil
}

// SetResumeURL changes the resume_gateway_url of READY; empty for the address
// that the client connected to.
func (e *Engine) SetResumeURL(url string) { e.opt.ResumeURL = url }

// RequestHeartbeat sends op 1, by which a server asks for a heartbeat.
func (e *Engine) RequestHeartbeat(now time.Duration, t Target) int {
	return e.each(now, t, func(c *EngineConn) { c.sendOp(opHeartbeat, nil) })
}

// each does something with the open connections of a target.
func (e *Engine) each(now time.Duration, t Target, do func(c *EngineConn)) int {
	e.Tick(now)
	list := e.open(t)
	for _, c := range list {
		if !c.closed {
			do(c)
		}
	}
	return len(list)
}
