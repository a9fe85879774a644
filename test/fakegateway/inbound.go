package fakegateway

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// This file is the way in: frame, message, checks.

// problem is what is wrong with a message before its opcode is looked at.
type problem int

const (
	fine      problem = iota
	malformed         // not JSON
	notETF            // where ETF is due
	shapeless         // JSON, but not {"op":…}
)

// decode reads a frame of the client.
func (c *EngineConn) decode(data []byte, binary bool) Message {
	m := Message{Op: -1, Binary: binary, Size: len(data), AtMS: c.e.now.Milliseconds()}
	text, bad := c.plain(data, binary)
	if bad == fine && !json.Valid(text) {
		bad = malformed
	}
	if bad != fine {
		m.problem = bad
		m.Text = printable(text)
		return m
	}
	var keys map[string]json.RawMessage
	if json.Unmarshal(text, &keys) != nil || keys == nil {
		m.problem = shapeless
		m.Text = printable(text)
		return m
	}
	m.D = keys["d"]
	op, ok := number(keys["op"])
	if !ok {
		m.problem = shapeless
		m.Text = printable(text)
		return m
	}
	m.Op = int(op)
	if c.e.rules.strict {
		for k := range keys {
			if k != "op" && k != "d" && k != "s" && k != "t" {
				m.problem = shapeless
			}
		}
		if len(m.D) > 0 && m.D[0] == '"' {
			if _, ok := number(m.D); !ok {
				m.problem = shapeless
			}
		}
	}
	return m
}

// plain undoes encoding and compression.
func (c *EngineConn) plain(data []byte, binary bool) ([]byte, problem) {
	if c.encoding == "etf" {
		if binary {
			text, err := etfToJSON(data)
			if err != nil {
				return data, notETF
			}
			return text, fine
		}
		if c.e.rules.strict {
			return data, fine // Spacebar takes JSON here as well
		}
		return data, notETF
	}
	if binary && c.e.rules.inboundZip {
		switch c.compress {
		case compressZlib:
			if text, err := c.inflate.next(data); err == nil {
				return text, fine
			}
		case compressZstd:
			if text, err := c.e.zstdIn.DecodeAll(data, nil); err == nil {
				return text, fine
			}
		}
	}
	return data, fine
}

// printable is text for the log.
func printable(data []byte) string {
	const most = 1024
	if len(data) > most {
		data = data[:most]
	}
	return string(bytes.ToValidUTF8(data, []byte("\ufffd")))
}

// number reads a JSON number, or one in a string.
func number(v json.RawMessage) (int64, bool) {
	if len(v) > 1 && v[0] == '"' {
		v = v[1 : len(v)-1]
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	return n, err == nil
}

// handle acts on a message as the profile does.
func (c *EngineConn) handle(m Message) {
	r := c.e.rules
	if m.Size > c.e.opt.MaxMessage {
		c.close(r.tooBig, "")
		return
	}
	if !c.withinRate() {
		c.close(4008, "")
		return
	}
	switch m.problem {
	case malformed:
		if r.malformed != 0 {
			c.close(r.malformed, "")
		}
		return
	case notETF, shapeless:
		c.close(4002, "")
		return
	}
	if r.strict && !schemas[m.Op].accepts(m.D) {
		c.close(4002, "")
		return
	}
	switch m.Op {
	case opHeartbeat, opQoSHeartbeat:
		c.heartbeat()
	case opIdentify:
		c.onIdentify(m)
	case opResume:
		c.onResume(m)
	default:
		request, known := requests[m.Op]
		switch {
		case !known || !request.in(c.e.opt.Profile):
			if r.unknownOp != 0 {
				c.close(r.unknownOp, "")
			}
		case c.sess == nil:
			code := r.notIdentified
			if r.strict {
				code = request.early
			}
			if code != 0 {
				c.close(code, "")
			}
		default:
			c.answer(func() {
				if c.sess == nil {
					return // the session was forgotten meanwhile
				}
				if code := request.do(c, m.D); code != 0 {
					c.close(code, "")
				}
			})
		}
	}
}

// withinRate counts a message and tells whether it may be.
func (c *EngineConn) withinRate() bool {
	limit := c.e.opt.RateLimit
	if limit < 0 {
		return true
	}
	for len(c.recent) > 0 && c.e.now-c.recent[0] >= rateWindow {
		c.recent = c.recent[1:]
	}
	c.recent = append(c.recent, c.e.now)
	return len(c.recent) <= limit
}

func (c *EngineConn) heartbeat() {
	c.e.counters.Heartbeats++
	c.armBeat(c.e.now)
	if c.faults.NoACK {
		return
	}
	c.e.counters.ACKs++
	c.sendOp(opACK, json.RawMessage(c.e.rules.ackBody))
}
