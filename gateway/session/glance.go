package session

import (
	"encoding/binary"
	"strings"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

// Glanced says what a glance at a message has shown.
type Glanced uint8

const (
	// GlancedNothing: nothing has happened, the whole message must be Received.
	GlancedNothing Glanced = iota
	// GlancedUnobserved: an event that nobody observes; it has been counted.
	GlancedUnobserved
	// GlancedEvent: an event that somebody observes; it has been counted.
	GlancedEvent
	// GlancedPayload: a GlancedEvent whose payload is known to run from the last
	// byte of head to the first of tail.
	GlancedPayload
	// GlancedPayloadLast: a GlancedEvent whose payload is known to run from the
	// last byte of head to the last but one of the message.
	GlancedPayloadLast
)

// head remembers the beginning of a message, up to its payload. Every event of a
// kind begins with the same bytes, but for the number where that stands before
// the payload, and comparing them takes a third of the time that reading them
// does in WebAssembly.
type head struct {
	text  string // all of it, or what stands before the number
	rest  string // what stands behind the number; empty if there is none
	kind  *Kind
	brace bool // the payload begins with the last byte
}

// headOf returns where the head of messages that begin like this one is
// remembered: Spacebar writes {"op":0,"t":"NAME","d":{ and the documented server
// {"t":"NAME","s":123,"op":0,"d":{.
func (s *Session) headOf(begin []byte) *head {
	var word uint64
	if begin[2] == 't' {
		word = binary.LittleEndian.Uint64(begin[6:]) + 3*binary.LittleEndian.Uint64(begin[14:])
	} else {
		word = binary.LittleEndian.Uint64(begin[len(begin)-16:]) ^ binary.LittleEndian.Uint64(begin[12:])
	}
	return &s.heads[word*0x9e3779b97f4a7c15>>(64-headBits)]
}

// match compares a beginning with the head and returns the number in it, -1 if
// it has none.
func (h *head) match(begin []byte) (seq int64, ok bool) {
	if h.rest == "" {
		return -1, h.text == string(begin)
	}
	n := len(h.text)
	if n >= len(begin) || string(begin[:n]) != h.text {
		return 0, false
	}
	i := n
	for i < len(begin) && begin[i]-'0' <= 9 {
		seq = seq*10 + int64(begin[i]-'0')
		i++
	}
	return seq, i > n && i-n <= maxDigits && string(begin[i:]) == h.rest
}

// around sets what stands around the number, which is behind the name. It reports
// false for a head of another form.
func (h *head) around(begin []byte) bool {
	const number = `,"s":`
	if begin[2] != 't' {
		return false
	}
	before, after, ok := strings.Cut(string(begin), number)
	digits := len(after) - len(strings.TrimLeft(after, "0123456789"))
	h.text, h.rest = before+number, after[digits:]
	return ok && h.rest != ""
}

// Glance is Received for a text message of which only the two ends are at hand
// (see wire.GlanceHead): head ends with the brace that opens the payload, if
// there is one, tail begins with the last comma of the message. Unless the result
// is GlancedNothing the message is dealt with and kind is its event; no output
// follows.
//
// It is not told the time: a driver that glances must also give something to
// Received now and then, which the server's ACKs see to.
func (s *Session) Glance(conn Conn, begin, end []byte) (kind *Kind, result Glanced) {
	if s.state != StateReady || conn != s.conn || s.timers[timerProbe] != never || s.head < len(s.out) || len(begin) < 24 {
		return nil, GlancedNothing
	}
	h := s.headOf(begin)
	seq, ok := h.match(begin)
	if !ok {
		var m wire.Message
		if !wire.GlanceHead(begin, &m) {
			return nil, GlancedNothing
		}
		kind := s.kinds.arrived(m.Type)
		if kind.role != roleNone || kind.ID == 0 {
			return nil, GlancedNothing
		}
		seen := head{kind: kind, brace: len(m.Data) == 1 && m.Data[0] == '{'}
		seq = m.Seq
		switch {
		case seen.brace && seq < 0:
			seen.text = string(begin)
			*h = seen
		case seen.brace && seen.around(begin):
			*h = seen
		default: // not to be met again
			h = &seen
		}
	}
	last := seq >= 0
	if !last {
		if seq, ok = wire.GlanceTail(end); !ok {
			return nil, GlancedNothing
		}
	}
	if seq >= 0 && seq <= s.resumed {
		return nil, GlancedNothing // a replay
	}
	kind = h.kind
	kind.Count++
	s.heard = true
	s.snap.Seq = max(s.snap.Seq, seq)
	switch {
	case !s.kinds.wants(kind):
		return kind, GlancedUnobserved
	case !h.brace:
		return kind, GlancedEvent
	case last:
		return kind, GlancedPayloadLast
	default:
		return kind, GlancedPayload
	}
}

const (
	// headBits is how many heads are remembered, as a power of two.
	headBits = 6
	// maxDigits of a number that is read by comparing.
	maxDigits = 15
)
