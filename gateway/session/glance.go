package session

import (
	"encoding/binary"

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

// head remembers the beginning of a message, up to its payload. Where the number
// stands behind the payload, as Spacebar writes it, every event of a kind begins
// with the same bytes, and comparing them takes a third of the time that reading
// them does in WebAssembly.
type head struct {
	text  string
	kind  *Kind
	brace bool // the payload begins with the last byte
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
	seq := int64(-1)
	word := binary.LittleEndian.Uint64(begin[len(begin)-16:]) ^ binary.LittleEndian.Uint64(begin[12:])
	h := &s.heads[word*0x9e3779b97f4a7c15>>(64-headBits)]
	if h.text != string(begin) {
		var m wire.Message
		if !wire.GlanceHead(begin, &m) {
			return nil, GlancedNothing
		}
		kind := s.kinds.arrived(m.Type)
		if kind.role != roleNone || kind.ID == 0 {
			return nil, GlancedNothing
		}
		seen := head{kind: kind, brace: len(m.Data) == 1 && m.Data[0] == '{'}
		if seq = m.Seq; seq < 0 {
			seen.text = string(begin)
			*h = seen
		} else {
			h = &seen
		}
	}
	last := seq >= 0
	if !last {
		var ok bool
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

// headBits is how many heads are remembered, as a power of two.
const headBits = 6
