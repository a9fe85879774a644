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
	// byte of the head up to the first of the tail.
	GlancedPayload
	// GlancedPayloadLast: a GlancedEvent whose payload is known to run from the
	// last byte of the head to the last but one of the message.
	GlancedPayloadLast
)

// Alike says what a driver may conclude from the head of a message for those that
// begin alike (see Session.Again).
type Alike uint8

const (
	// AlikeNot: nothing.
	AlikeNot Alike = iota
	// AlikePlain: the head is the same for every event of the kind; the number stands
	// at the end, as `,"s":123}`, and the payload runs up to there.
	AlikePlain
	// AlikeNumbered: it is but for the number, behind `,"s":`, and the payload runs up
	// to the last character.
	AlikeNumbered
)

// knownHead remembers the head of a message: its beginning, up to its payload. Every
// event of a kind begins with the same bytes, but for the number where that stands
// before the payload, and comparing them takes a third of the time that reading them
// does in WebAssembly.
// Known heads have their room for good: kinds may take turns in one, at no cost.
type knownHead struct {
	kind *Kind
	n    int // of text: all of it, or what stands before the number
	end  int // of text: where ends what stands behind the number, n if there is none
	text [maxHead]byte
}

// known returns where the head of messages that begin like this one is
// remembered: Spacebar writes {"op":0,"t":"NAME","d":{ and the documented server
// {"t":"NAME","s":123,"op":0,"d":{.
func (s *Session) known(head []byte) *knownHead {
	var word uint64
	if head[2] == 't' {
		word = binary.LittleEndian.Uint64(head[6:]) + 3*binary.LittleEndian.Uint64(head[14:])
	} else {
		word = binary.LittleEndian.Uint64(head[len(head)-16:]) ^ binary.LittleEndian.Uint64(head[12:])
	}
	return &s.heads[word*0x9e3779b97f4a7c15>>(64-headBits)]
}

// match compares a head with the known one and returns the number in it, -1 if
// it has none.
func (h *knownHead) match(head []byte) (seq int64, ok bool) {
	n := h.n
	if h.end == n {
		return -1, n > 0 && string(head) == string(h.text[:n])
	}
	if n >= len(head) || string(head[:n]) != string(h.text[:n]) {
		return 0, false
	}
	i := n
	for i < len(head) && head[i]-'0' <= 9 {
		seq = seq*10 + int64(head[i]-'0')
		i++
	}
	return seq, i > n && i-n <= maxDigits && string(head[i:]) == string(h.text[n:h.end])
}

// remember takes the head of a message of a kind: all of it if there is no number
// in it, otherwise what stands around the number, which is behind the name. A head
// of another form is not worth remembering.
func (h *knownHead) remember(head []byte, kind *Kind, numbered bool) {
	const number = `,"s":`
	from, to := len(head), len(head) // of the number
	if numbered {
		from = bytes.Index(head, []byte(number))
		if head[2] != 't' || from < 0 {
			return
		}
		from += len(number)
		for to = from; to < len(head) && head[to]-'0' <= 9; to++ {
		}
	}
	if len(head) > maxHead || numbered && to == len(head) {
		return
	}
	h.kind = kind
	h.n = copy(h.text[:], head[:from])
	h.end = h.n + copy(h.text[h.n:], head[to:])
}

// Glance is Received for a text message of which only the two ends are at hand
// (see wire.GlanceHead): head ends with the brace that opens the payload, if
// there is one, tail begins with the last comma of the message. Unless the result
// is GlancedNothing the message is dealt with and kind is its event; no output
// follows, and alike says whether others that begin like it may be given to Again.
//
// It is not told the time: a driver that glances must also give something to
// Received now and then, which the server's ACKs see to.
func (s *Session) Glance(conn Conn, head, tail []byte) (kind *Kind, result Glanced, alike Alike) {
	if !s.plain(conn) || len(head) <= minHead {
		return nil, GlancedNothing, AlikeNot
	}
	kind, seq, brace := s.meet(head)
	if kind == nil {
		return nil, GlancedNothing, AlikeNot
	}
	last, ok := seq >= 0, false
	if !last {
		if seq, ok = wire.GlanceTail(tail); !ok {
			return nil, GlancedNothing, AlikeNot
		}
	}
	result = s.passed(kind, seq)
	if brace {
		alike = AlikePlain
		if last {
			alike = AlikeNumbered
		}
	}
	if result == GlancedEvent && brace {
		result = GlancedPayload
		if last {
			result = GlancedPayloadLast
		}
	}
	return kind, result, alike
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
	return s.state == StateReady && conn == s.conn && s.timers[timerProbe] == never && s.taken == len(s.out)
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

// meet reads the head of a message, which it remembers: its kind, nil if there
// is more to it than a glance tells, the number, -1 if that comes later, and whether
// the payload begins with the last byte.
func (s *Session) meet(head []byte) (kind *Kind, seq int64, brace bool) {
	h := s.known(head)
	if seq, ok := h.match(head); ok {
		return h.kind, seq, true
	}
	var m wire.Message
	if !wire.GlanceHead(head, &m) {
		return nil, 0, false
	}
	kind = s.kinds.arrived(m.Type)
	if kind.role != roleNone || kind.ID == 0 {
		return nil, 0, false
	}
	brace = len(m.Data) == 1 && m.Data[0] == '{'
	if brace {
		h.remember(head, kind, m.Seq >= 0)
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
