package session

import (
	"bytes"
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

// Head says what a driver may conclude from the beginning of a message for those
// that begin alike (see Session.Again).
type Head uint8

const (
	// HeadOdd: nothing.
	HeadOdd Head = iota
	// HeadPlain: all up to the payload is the same for every event of the kind; the
	// number stands at the end, as `,"s":123}`, and the payload runs up to there.
	HeadPlain
	// HeadNumbered: it is but for the number, behind `,"s":`, and the payload runs
	// up to the last character.
	HeadNumbered
)

// head remembers the beginning of a message, up to its payload. Every event of a
// kind begins with the same bytes, but for the number where that stands before
// the payload, and comparing them takes a third of the time that reading them
// does in WebAssembly.
// Heads have their room for good: kinds may take turns in one, at no cost.
type head struct {
	kind *Kind
	n    int // of text: all of it, or what stands before the number
	end  int // of text: where ends what stands behind the number, n if there is none
	text [maxHead]byte
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
	n := h.n
	if h.end == n {
		return -1, n > 0 && string(begin) == string(h.text[:n])
	}
	if n >= len(begin) || string(begin[:n]) != string(h.text[:n]) {
		return 0, false
	}
	i := n
	for i < len(begin) && begin[i]-'0' <= 9 {
		seq = seq*10 + int64(begin[i]-'0')
		i++
	}
	return seq, i > n && i-n <= maxDigits && string(begin[i:]) == string(h.text[n:h.end])
}

// remember takes the head of a message of a kind: all of it if there is no number
// in it, otherwise what stands around the number, which is behind the name. A head
// of another form is not worth remembering.
func (h *head) remember(begin []byte, kind *Kind, numbered bool) {
	const number = `,"s":`
	from, to := len(begin), len(begin) // of the number
	if numbered {
		from = bytes.Index(begin, []byte(number))
		if begin[2] != 't' || from < 0 {
			return
		}
		from += len(number)
		for to = from; to < len(begin) && begin[to]-'0' <= 9; to++ {
		}
	}
	if len(begin) > maxHead || numbered && to == len(begin) {
		return
	}
	h.kind = kind
	h.n = copy(h.text[:], begin[:from])
	h.end = h.n + copy(h.text[h.n:], begin[to:])
}

// Glance is Received for a text message of which only the two ends are at hand
// (see wire.GlanceHead): head ends with the brace that opens the payload, if
// there is one, tail begins with the last comma of the message. Unless the result
// is GlancedNothing the message is dealt with and kind is its event; no output
// follows, and head says whether others that begin like it may be given to Again.
//
// It is not told the time: a driver that glances must also give something to
// Received now and then, which the server's ACKs see to.
func (s *Session) Glance(conn Conn, begin, end []byte) (kind *Kind, result Glanced, head Head) {
	if !s.plain(conn) || len(begin) <= minHead {
		return nil, GlancedNothing, HeadOdd
	}
	kind, seq, brace := s.meet(begin)
	if kind == nil {
		return nil, GlancedNothing, HeadOdd
	}
	last, ok := seq >= 0, false
	if !last {
		if seq, ok = wire.GlanceTail(end); !ok {
			return nil, GlancedNothing, HeadOdd
		}
	}
	result = s.passed(kind, seq)
	if brace {
		head = HeadPlain
		if last {
			head = HeadNumbered
		}
	}
	if result == GlancedEvent && brace {
		result = GlancedPayload
		if last {
			result = GlancedPayloadLast
		}
	}
	return kind, result, head
}

// Again is Glance for a message of which the driver knows by itself that it begins
// as one did before, which was of this kind, and what its number is. The result is
// GlancedNothing, GlancedUnobserved or GlancedEvent.
//
// A driver to which a call of Go is dear may deal with the next events by itself, the
// way Again would: until it calls another method, each event on conn passes whose
// number is above Seq and above those of the events that passed, and whose kind Again
// has been asked about since its observers last changed. It adds to Kind.Count, and
// before it calls any other method tells by Passed what number it has come to.
func (s *Session) Again(conn Conn, kind *Kind, seq int64) Glanced {
	if !s.plain(conn) {
		return GlancedNothing
	}
	return s.passed(kind, seq)
}

// Passed tells that events have passed the driver by itself, up to this number (see Again).
func (s *Session) Passed(seq int64) {
	s.heard = true
	s.snap.Seq = max(s.snap.Seq, seq)
}

// plain reports whether an event that comes now on conn is one like any other.
func (s *Session) plain(conn Conn) bool {
	return s.state == StateReady && conn == s.conn && s.timers[timerProbe] == never && s.head == len(s.out)
}

// passed counts an event, unless it is one of a replay.
func (s *Session) passed(kind *Kind, seq int64) Glanced {
	if seq >= 0 && seq <= s.resumed {
		return GlancedNothing
	}
	kind.Count++
	s.Passed(seq)
	if !s.kinds.wants(kind) {
		return GlancedUnobserved
	}
	return GlancedEvent
}

// meet reads the beginning of a message, which it remembers: its kind, nil if there
// is more to it than a glance tells, the number, -1 if that comes later, and whether
// the payload begins with the last byte.
func (s *Session) meet(begin []byte) (kind *Kind, seq int64, brace bool) {
	h := s.headOf(begin)
	if seq, ok := h.match(begin); ok {
		return h.kind, seq, true
	}
	var m wire.Message
	if !wire.GlanceHead(begin, &m) {
		return nil, 0, false
	}
	kind = s.kinds.arrived(m.Type)
	if kind.role != roleNone || kind.ID == 0 {
		return nil, 0, false
	}
	brace = len(m.Data) == 1 && m.Data[0] == '{'
	if brace {
		h.remember(begin, kind, m.Seq >= 0)
	}
	return kind, m.Seq, brace
}

// recognize is wire.Scan for a message that begins and ends as events do. It takes
// a third of the time and returns the kind, too; nil if the message has to be scanned.
func (s *Session) recognize(msg []byte, m *wire.Message) *Kind {
	i := bytes.IndexByte(msg[min(1, len(msg)):min(maxHead, len(msg))], '{') + 1
	if i < minHead {
		return nil
	}
	kind, seq, brace := s.meet(msg[:i+1])
	end := len(msg) - 1
	if !brace || msg[end] != '}' {
		return nil
	}
	if seq < 0 {
		var ok bool
		if seq, ok = wire.GlanceTail(msg[max(i+1, end-maxTail):]); !ok {
			return nil
		}
		end = bytes.LastIndexByte(msg, ',')
	}
	*m = wire.Message{Seq: seq, Data: msg[i:end]}
	return kind
}

const (
	// minHead is how much a head has before the payload, at least.
	minHead = 23
	// maxHead is how far the payload is looked for: most names have 30 letters less.
	maxHead = 128
	// maxTail is how long a number and what stands around it may be.
	maxTail = 32
	// headBits is how many heads are remembered, as a power of two.
	headBits = 6
	// maxDigits of a number that is read by comparing.
	maxDigits = 15
)
