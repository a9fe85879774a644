package fakegateway

import (
	"bytes"
	"slices"
	"strconv"
	"time"
)

// This file is the way out of a connection: event, message, frame, packet.

// event is a dispatch that may yet go to several connections.
type event struct {
	name string
	d    []byte
	// etf is the payload for ETF where it differs from d: what JSON leaves out
	// as undefined is nil there.
	etf []byte
	seq int64
}

// dispatch sends an event to this connection alone (and keeps it for the
// session, where sessions are kept).
func (c *EngineConn) dispatch(name string, d []byte) { c.e.deliver(c.sess, c, event{name: name, d: d}) }

// deliver sends an event to a session, or to one connection of it.
func (e *Engine) deliver(s *session, only *EngineConn, ev event) {
	if e.rules.resume {
		ev.seq = s.seq
		s.seq++
		s.remember(ev, e.opt.Replay)
		for _, c := range s.conns {
			if c.live {
				c.event(ev)
			}
		}
		return
	}
	for _, c := range slices.Clone(s.conns) {
		if !c.live || only != nil && c != only {
			continue
		}
		for range c.copies(ev) {
			ev.seq = c.seq
			if !unnumbered(ev.name) {
				c.seq++
			}
			c.event(ev)
		}
	}
}

// emit sends an event to all sessions of a target.
func (e *Engine) emit(t Target, ev event) (sessions int) {
	for _, s := range slices.Clone(e.sessions) {
		if !t.session(s) {
			continue
		}
		if t.Conn == 0 {
			e.deliver(s, nil, ev)
			sessions++
		} else if i := slices.IndexFunc(s.conns, func(c *EngineConn) bool { return c.ID == t.Conn }); i >= 0 {
			e.deliver(s, s.conns[i], ev)
			sessions++
		}
	}
	return sessions
}

// unnumbered tells which dispatches Spacebar sends without s.
func unnumbered(name string) bool { return name == "CHANNEL_STATUSES" || name == "CHANNEL_INFO" }

// event puts an event into an envelope. The order of its keys is the server's.
func (c *EngineConn) event(ev event) {
	c.events++
	c.e.counters.Events++
	if n := c.faults.Overtake; n > 0 && c.held == nil && c.events%n == 0 {
		c.held = &ev
		c.later(overtakeWait, c.releaseHeld)
		return
	}
	c.send(c.envelope(ev))
	c.releaseHeld()
}

// overtakeWait is how long a held event waits for one to overtake it.
const overtakeWait = 20 * time.Millisecond

func (c *EngineConn) releaseHeld() {
	if ev := c.held; ev != nil {
		c.held = nil
		c.send(c.envelope(*ev))
	}
}

func (c *EngineConn) envelope(ev event) []byte {
	d := ev.d
	if c.enc.etf && ev.etf != nil {
		d = ev.etf
	}
	b := make([]byte, 0, len(d)+64)
	t := func() {
		b = append(b, `"t":`...)
		b = appendJSONString(b, ev.name)
	}
	s := func() {
		b = append(b, `"s":`...)
		b = strconv.AppendInt(b, ev.seq, 10)
	}
	body := func() {
		b = append(b, `"d":`...)
		b = append(b, d...)
	}
	comma := func() { b = append(b, ',') }
	if c.e.opt.Profile == Documented {
		b = append(b, '{')
		t()
		comma()
		s()
		b = append(b, `,"op":0,`...)
		body()
		return append(b, '}')
	}
	b = append(b, `{"op":0,`...)
	switch ev.name {
	case "READY", "READY_SUPPLEMENTAL", "GUILD_SYNC":
		t()
		comma()
		s()
		comma()
		body()
	case "GUILD_MEMBERS_CHUNK", "GUILD_MEMBER_LIST_UPDATE":
		s()
		comma()
		t()
		comma()
		body()
	case "CHANNEL_STATUSES", "CHANNEL_INFO":
		t()
		comma()
		body()
	default:
		t()
		comma()
		body()
		comma()
		s()
	}
	return append(b, '}')
}

// sendOp sends what is no dispatch.
func (c *EngineConn) sendOp(op int, d []byte) {
	o := newObject()
	if c.e.rules.nulls {
		o.null("t", "s")
	}
	c.send(o.num("op", int64(op)).raw("d", d).done())
}

// sendNumbered sends one of Spacebar's messages that are no dispatch and
// nevertheless have a number; d may be nil, then there is none.
func (c *EngineConn) sendNumbered(op int, d []byte) {
	o := newObject().num("op", int64(op)).num("s", c.seq)
	c.seq++
	if d != nil {
		o.raw("d", d)
	}
	c.send(o.done())
}

// send sends a message, given as JSON text or as what is to pass for it.
func (c *EngineConn) send(msg []byte) {
	if c.closed || c.enc == nil {
		return
	}
	data, binary := c.enc.encode(msg)
	c.sendFrame(data, binary)
}

// mergeWait is how long a merged frame waits for its messages to be complete.
const mergeWait = 20 * time.Millisecond

// sendFrame sends one encoded message, with the faults of its framing.
func (c *EngineConn) sendFrame(data []byte, binary bool) {
	c.sent++
	c.e.counters.Sent++
	f := &c.faults
	if c.enc.zlib != nil && f.Suffix != "" {
		data = c.withoutSuffix(data)
	}
	if c.enc.compressed() && f.MergeMessages > 1 {
		if c.merges++; c.merges == 1 {
			c.later(mergeWait, c.flushMerged)
		}
		if c.merged = append(c.merged, data...); c.merges >= f.MergeMessages {
			c.flushMerged()
		}
		return
	}
	c.frame(data, binary)
}

func (c *EngineConn) flushMerged() {
	if c.merges > 0 {
		data := c.merged
		c.merged, c.merges = nil, 0
		c.frame(data, true)
	}
}

// flushFaults lets out what faults hold back.
func (c *EngineConn) flushFaults() {
	if c.enc != nil {
		c.releaseHeld()
		c.flushMerged()
	}
}

// withoutSuffix takes the flush suffix from a message of a zlib-stream, and if
// it is to be late only, puts that of the message before in front.
func (c *EngineConn) withoutSuffix(data []byte) []byte {
	data, had := bytes.CutSuffix(data, flushSuffix)
	if c.faults.Suffix == SuffixLate {
		if c.enc.late {
			data = append(slices.Clone(flushSuffix), data...)
		}
		c.enc.late = had
	}
	return data
}

// frame sends one frame, or the several that a fault makes of it.
func (c *EngineConn) frame(data []byte, binary bool) {
	f := &c.faults
	if f.EmptyFrames {
		c.out(packet{binary: binary})
	}
	if n := f.SplitFrames; n > 0 && c.enc.compressed() {
		for len(data) > n {
			c.out(packet{data: data[:n:n], binary: binary})
			data = data[n:]
		}
	}
	c.out(packet{data: data, binary: binary})
}

// packet is what leaves: a frame, or the end.
type packet struct {
	kind   int
	data   []byte
	binary bool
	code   int
	reason string
	at     time.Duration // when it may leave
}

const (
	packetData = iota
	packetClose
)

// outbox holds what waits for a slow or frozen network.
type outbox struct {
	packets []packet
	bytes   int
	timer   *timer
}

func (o *outbox) clear(e *Engine) {
	e.stop(o.timer)
	*o = outbox{}
}

// out sends a packet, by way of the outbox if the network is slow.
func (c *EngineConn) out(p packet) {
	if c.link == nil {
		return
	}
	c.e.counters.SentBytes += int64(len(p.data))
	if c.faults.Latency == 0 && !c.frozen && len(c.outbox.packets) == 0 {
		c.transmit(p)
		return
	}
	p.at = c.e.now + c.faults.Latency
	c.outbox.packets = append(c.outbox.packets, p)
	if c.outbox.bytes += len(p.data); c.outbox.bytes > c.e.opt.MaxPending {
		c.drop()
		return
	}
	if len(c.outbox.packets) == 1 && !c.frozen {
		c.outbox.timer = c.e.after(c.faults.Latency, c.pump)
	}
}

// pump sends what is due of the outbox.
func (c *EngineConn) pump() {
	c.e.stop(c.outbox.timer)
	if c.frozen {
		return
	}
	for len(c.outbox.packets) > 0 && c.link != nil {
		p := c.outbox.packets[0]
		if p.at > c.e.now {
			c.outbox.timer = c.e.after(p.at-c.e.now, c.pump)
			break
		}
		c.outbox.packets = c.outbox.packets[1:]
		c.outbox.bytes -= len(p.data)
		c.transmit(p)
	}
	c.flow()
}

func (c *EngineConn) transmit(p packet) {
	if p.kind == packetClose {
		c.link.Close(p.code, p.reason)
		return
	}
	if n, ok := c.link.(NetworkFaults); ok && c.faults.FragmentSize > 0 {
		n.SendFragments(p.data, p.binary, c.faults.FragmentSize)
		return
	}
	c.link.Send(p.data, p.binary)
}

// drop cuts the connection at once, whatever still waits to be sent.
func (c *EngineConn) drop() {
	if c.link == nil {
		return
	}
	if !c.closed {
		c.closeCode = codeDrop
		c.end("server")
		if c.sess != nil {
			c.sess.detach(c, false)
		}
	}
	c.outbox.clear(c.e)
	c.frozen = false
	c.link.Drop()
}
