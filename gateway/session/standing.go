package session

import (
	"strconv"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

// This file is what a session has been told that a new one in its place must be
// told again: presence, voice channels, guild subscriptions. Servers forget them
// with the session, and users would be surprised.

// The opcodes that leave something standing.
const (
	opVoiceState    = 4
	opLazyRequest   = 14
	opSubscriptions = 37
)

// maxStanding bounds what is remembered, in bytes; more is not taken up.
const maxStanding = 256 << 10

// How a new session is told again after a connection that was closed as if for what
// it had been told: one thing at a time, to find the one that is refused.
const (
	tellEvery = 5 * time.Second
	doubtFor  = 30 * time.Second // after something was told, a close may be for it
)

// standing holds the last presence, the voice state of each guild, and the
// subscriptions to each guild, in the order in which they were first sent.
type standing struct {
	list []stand
	size int
}

// stand is one thing that stands.
type stand struct {
	op      int
	guild   string // its id; empty for a presence
	payload []byte // for op 37 that of the one guild
	told    told   // when that was last
	due     bool   // it is to be told to the present session
}

// told says when something was written, and whether the user sent it: if not, it
// was told again.
type told struct {
	conn Conn
	at   time.Duration
	own  bool
}

// stands reports whether messages of an opcode leave something standing.
func stands(op int) bool {
	return op == opPresence || op == opVoiceState || op == opLazyRequest || op == opSubscriptions
}

// note remembers a message that is being written. It reports whether anything has
// changed.
func (st *standing) note(op int, d []byte, when told) bool {
	switch op {
	case opPresence:
		return st.put(stand{op: op, payload: d, told: when}, false)
	case opVoiceState:
		guild, channel := member(d, "guild_id"), member(d, "channel_id")
		if wire.IsNull(channel) {
			return st.leaveVoice(text(guild))
		}
		return st.put(stand{op: op, guild: text(guild), payload: d, told: when}, false)
	case opLazyRequest:
		return st.put(stand{op: op, guild: text(member(d, "guild_id")), payload: d, told: when}, true)
	case opSubscriptions:
		changed := false
		for _, s := range subscriptions(d) {
			s.told = when
			changed = st.put(s, true) || changed
		}
		return changed
	}
	return false
}

// subscriptions takes the payload of op 37 apart, by guild.
func subscriptions(d []byte) (list []stand) {
	wire.Members(member(d, "subscriptions"), func(guild, subscription []byte) bool {
		list = append(list, stand{op: opSubscriptions, guild: string(guild), payload: subscription})
		return true
	})
	return list
}

// put remembers s in the place of its like. A subscription only names what is to
// change, so it is laid over what was there.
func (st *standing) put(s stand, merge bool) bool {
	for i := range st.list {
		old := &st.list[i]
		if old.op == s.op && old.guild == s.guild {
			if !merge || !s.told.own {
				old.due = false
			}
			payload := append([]byte(nil), s.payload...)
			if merge {
				payload = overlay(old.payload, s.payload)
			}
			if st.size+len(payload)-len(old.payload) > maxStanding {
				return false
			}
			st.size += len(payload) - len(old.payload)
			old.payload, old.told = payload, s.told
			return true
		}
	}
	if st.size+len(s.payload) > maxStanding {
		return false
	}
	s.payload = append([]byte(nil), s.payload...)
	st.size += len(s.payload)
	st.list = append(st.list, s)
	return true
}

// drop forgets what which chooses, and returns it.
func (st *standing) drop(which func(*stand) bool) (dropped []stand) {
	kept := st.list[:0]
	for _, s := range st.list {
		if which(&s) {
			st.size -= len(s.payload)
			dropped = append(dropped, s)
			continue
		}
		kept = append(kept, s)
	}
	clear(st.list[len(kept):])
	st.list = kept
	return dropped
}

// leaveVoice forgets the voice channel of a guild, or all of them if none is
// named.
func (st *standing) leaveVoice(guild string) bool {
	return len(st.drop(func(s *stand) bool { return s.op == opVoiceState && (guild == "" || s.guild == guild) })) > 0
}

// due returns what is to be told to the present session.
func (st *standing) due() (list []stand) {
	for _, s := range st.list {
		if s.due {
			list = append(list, s)
		}
	}
	return list
}

// message is one to be sent: of one guild, or of several if guild is empty.
type message struct {
	op    int
	guild string
	d     []byte
}

// messages returns what tells a session all of list. Subscriptions of op 37 share
// messages, those that are too large are split, as far as size, which is measured
// by measure, demands and the protocol allows it.
func messages(list []stand, size int, measure func(op int, d []byte) int) (all []message) {
	var bulk []byte
	taken := 0
	flush := func() {
		if bulk != nil {
			all = append(all, message{op: opSubscriptions, d: append(bulk, `}}`...)})
			bulk = nil
		}
	}
	empty := measure(opSubscriptions, []byte(`{"subscriptions":{}}`))
	for i := range list {
		s := &list[i]
		n := measure(s.op, s.whole(s.payload))
		switch {
		case n > size:
			flush()
			all = append(all, s.pieces(size, measure)...)
		case s.op != opSubscriptions:
			all = append(all, message{s.op, s.guild, s.payload})
		default:
			// A guild costs the same in a message of several, and a comma.
			if bulk != nil && taken+n-empty+1 > size {
				flush()
			}
			if bulk == nil {
				bulk, taken = append(bulk, `{"subscriptions":{`...), empty
			} else {
				bulk = append(bulk, ',')
			}
			bulk = s.appendTo(bulk, s.payload)
			taken += n - empty + 1
		}
	}
	flush()
	return all
}

// whole returns the payload d of a message of nothing but s, with this payload.
func (s *stand) whole(payload []byte) []byte {
	if s.op != opSubscriptions {
		return payload
	}
	return append(s.appendTo([]byte(`{"subscriptions":{`), payload), `}}`...)
}

func (s *stand) appendTo(dst, payload []byte) []byte {
	dst = append(wire.AppendString(dst, s.guild), ':')
	return append(dst, payload...)
}

// pieces splits a subscription between the members of its payload, each of which the
// server takes by itself. What cannot be split is returned as it is.
func (s *stand) pieces(size int, measure func(op int, d []byte) int) (all []message) {
	var open []byte // without the last brace
	begin, some := []byte{'{'}, false
	flush := func() {
		if some {
			all = append(all, message{s.op, s.guild, s.whole(append(open, '}'))})
		}
		open, some = append([]byte(nil), begin...), false
	}
	if s.op == opLazyRequest {
		begin = append(wire.AppendString(append(begin, `"guild_id":`...), s.guild), ',')
	}
	if s.op == opLazyRequest || s.op == opSubscriptions {
		flush()
		wire.Members(s.payload, func(key, value []byte) bool {
			if s.op == opLazyRequest && string(key) == "guild_id" {
				return true
			}
			add := append(append(wire.AppendString(nil, string(key)), ':'), value...)
			if some {
				next := append(append(append(append([]byte(nil), open...), ','), add...), '}')
				if measure(s.op, s.whole(next)) <= size {
					open = next[:len(next)-1]
					return true
				}
				flush()
			}
			open, some = append(open, add...), true
			return true
		})
		flush()
	}
	if len(all) == 0 {
		all = []message{{s.op, s.guild, s.whole(s.payload)}}
	}
	return all
}

// text writes all of it as JSON, for a Snapshot; restore reads that.
func (st *standing) text() string {
	if len(st.list) == 0 {
		return ""
	}
	b := []byte{'['}
	for _, m := range messages(st.list, 4*maxStanding, func(_ int, d []byte) int { return len(d) }) {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, `{"op":`...)
		b = strconv.AppendInt(b, int64(m.op), 10)
		b = append(b, `,"d":`...)
		b = append(b, m.d...)
		b = append(b, '}')
	}
	return string(append(b, ']'))
}

func (st *standing) restore(list string) {
	wire.Elements([]byte(list), func(m []byte) bool {
		if op, ok := wire.Int(member(m, "op")); ok {
			st.note(int(op), member(m, "d"), told{})
		}
		return true
	})
}

// overlay returns the object old with the members of change put over its own.
func overlay(old, change []byte) []byte {
	type entry struct{ key, value []byte }
	var all []entry
	for _, obj := range [][]byte{old, change} {
		wire.Members(obj, func(key, value []byte) bool {
			for i := range all {
				if string(all[i].key) == string(key) {
					all[i].value = value
					return true
				}
			}
			all = append(all, entry{key, value})
			return true
		})
	}
	out := []byte{'{'}
	for i, e := range all {
		if i > 0 {
			out = append(out, ',')
		}
		out = wire.AppendString(out, string(e.key))
		out = append(out, ':')
		out = append(out, e.value...)
	}
	return append(out, '}')
}

// member returns a member of an object, nil if it is not there.
func member(obj []byte, name string) (value []byte) {
	wire.Members(obj, func(k, v []byte) bool {
		if string(k) == name {
			value = v
			return false
		}
		return true
	})
	return value
}

func text(value []byte) string {
	s, _ := wire.String(value)
	return s
}

// measure returns the size of a message as the present transport encodes it.
func (s *Session) measure(op int, d []byte) int {
	msg, _ := s.encode(op, d)
	return len(msg)
}

// standAgain tells the session what it has not been told of what stands.
func (s *Session) standAgain(now time.Duration) {
	switch due := s.standing.due(); {
	case len(due) == 0:
	case s.careful:
		s.set(timerTell, now+tellEvery)
	default:
		s.tell(now, due)
	}
}

// tellNext tells the session one thing more, while it has to be found out what the
// server refuses. What the user sends in the meantime waits for nothing.
func (s *Session) tellNext(now time.Duration) {
	due := s.standing.due()
	if len(due) == 0 {
		s.careful = false // the last of it has stood the time
		return
	}
	if len(s.queue) == 0 {
		s.tell(now, due[:1])
	}
	if len(due) > 1 || len(s.queue) > 0 {
		s.set(timerTell, now+tellEvery)
	} else {
		s.set(timerTell, now+doubtFor)
	}
}

// tell sends what stands. A message is no larger than any server takes, if it is
// not of one thing that the user has sent like that.
func (s *Session) tell(now time.Duration, list []stand) {
	for _, m := range messages(list, min(s.cfg.MaxMessage, SpacebarMaxMessage), s.measure) {
		msg, err := s.encode(m.op, m.d)
		if err != nil || len(msg) > s.cfg.MaxMessage {
			gone := s.standing.drop(func(old *stand) bool { return old.op == m.op && old.guild == m.guild })
			s.report(ErrMessageTooLarge, "the new session cannot be told "+names(gone)+" again: the message would have "+strconv.Itoa(len(msg))+" bytes")
			s.emit(Output{Kind: OutputSession})
			continue
		}
		_ = s.submit(now, pending{op: m.op, d: m.d, msg: msg})
	}
}

// doubtStanding looks at a close that may be for what the session was told: Spacebar
// servers answer like that what they cannot read, and subscriptions to what is not
// there any more. What the user had sent just before does not stand. If it was told
// again, with more, the next session is told one thing at a time; what is followed by
// such a close then is told no more. So each close takes something away, and it ends.
func (s *Session) doubtStanding(now time.Duration, code CloseCode) {
	switch code {
	case CloseUnknownError, CloseUnknownOpcode, CloseDecodeError, CloseMessageTooBig:
	default:
		return
	}
	last := -doubtFor
	for _, t := range s.standing.list {
		if t.told.conn == s.conn {
			last = max(last, t.told.at)
		}
	}
	if now-last >= doubtFor {
		return
	}
	gone := s.standing.drop(func(t *stand) bool {
		if t.told.conn != s.conn {
			return false
		}
		if s.careful {
			return last-t.told.at < tellEvery
		}
		return t.told.own && now-t.told.at < tellEvery
	})
	s.careful = len(s.standing.list) > 0
	if len(gone) > 0 {
		s.emit(Output{Kind: OutputError, Err: &Error{Code: ErrInvalidPayload, Message: "the server closed with " + code.String() + " after it was told " + names(gone) + "; a new session is not told that again", CloseCode: code}})
		s.emit(Output{Kind: OutputSession})
	}
}

// names says what things that stand are, in words.
func names(list []stand) string {
	text := ""
	for i, s := range list {
		if i > 0 {
			text += ", "
		}
		text += "opcode " + strconv.Itoa(s.op)
		if s.guild != "" {
			text += " for guild " + s.guild
		}
	}
	return printable(text)
}
