package session

import (
	"strconv"

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
}

// note remembers a message that is being sent. It reports whether anything has
// changed.
func (st *standing) note(op int, d []byte) bool {
	switch op {
	case opPresence:
		return st.put(stand{op: op, payload: d}, false)
	case opVoiceState:
		guild, channel := member(d, "guild_id"), member(d, "channel_id")
		if wire.IsNull(channel) {
			return st.leaveVoice(text(guild))
		}
		return st.put(stand{op: op, guild: text(guild), payload: d}, false)
	case opLazyRequest:
		return st.put(stand{op: op, guild: text(member(d, "guild_id")), payload: d}, true)
	case opSubscriptions:
		changed := false
		wire.Members(member(d, "subscriptions"), func(guild, subscription []byte) bool {
			changed = st.put(stand{op: op, guild: string(guild), payload: subscription}, true) || changed
			return true
		})
		return changed
	}
	return false
}

// put remembers s in the place of its like. A subscription only names what is to
// change, so it is laid over what was there.
func (st *standing) put(s stand, merge bool) bool {
	for i := range st.list {
		old := &st.list[i]
		if old.op == s.op && old.guild == s.guild {
			payload := append([]byte(nil), s.payload...)
			if merge {
				payload = overlay(old.payload, s.payload)
			}
			if st.size+len(payload)-len(old.payload) > maxStanding {
				return false
			}
			st.size += len(payload) - len(old.payload)
			old.payload = payload
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

// leaveVoice forgets the voice channel of a guild, or all of them if none is
// named.
func (st *standing) leaveVoice(guild string) bool {
	kept := st.list[:0]
	for _, s := range st.list {
		if s.op == opVoiceState && (guild == "" || s.guild == guild) {
			st.size -= len(s.payload)
			continue
		}
		kept = append(kept, s)
	}
	changed := len(kept) < len(st.list)
	st.list = kept
	return changed
}

// messages calls send with what tells a new session all of it. Subscriptions of
// op 37 share messages as far as size allows.
func (st *standing) messages(size int, send func(op int, d []byte)) {
	var bulk []byte
	flush := func() {
		if bulk != nil {
			send(opSubscriptions, append(bulk, `}}`...))
			bulk = nil
		}
	}
	for _, s := range st.list {
		if s.op != opSubscriptions {
			send(s.op, s.payload)
			continue
		}
		if bulk != nil && len(bulk)+len(s.guild)+len(s.payload)+30 > size {
			flush()
		}
		if bulk == nil {
			bulk = append(bulk, `{"subscriptions":{`...)
		} else {
			bulk = append(bulk, ',')
		}
		bulk = wire.AppendString(bulk, s.guild)
		bulk = append(bulk, ':')
		bulk = append(bulk, s.payload...)
	}
	flush()
}

// text writes all of it as JSON, for a Snapshot; restore reads that.
func (st *standing) text() string {
	if len(st.list) == 0 {
		return ""
	}
	b := []byte{'['}
	st.messages(maxStanding*2, func(op int, d []byte) {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, `{"op":`...)
		b = strconv.AppendInt(b, int64(op), 10)
		b = append(b, `,"d":`...)
		b = append(b, d...)
		b = append(b, '}')
	})
	return string(append(b, ']'))
}

func (st *standing) restore(list string) {
	wire.Elements([]byte(list), func(m []byte) bool {
		if op, ok := wire.Int(member(m, "op")); ok {
			st.note(int(op), member(m, "d"))
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

// split cuts a message that is too large for the server into several, where the
// protocol allows that: op 37, whose subscriptions are independent of each other.
func split(op int, d []byte, size int) (parts [][]byte) {
	if op != opSubscriptions {
		return nil
	}
	var st standing
	if !st.note(op, d) {
		return nil
	}
	st.messages(size-len(`{"op":37,"d":}`), func(_ int, d []byte) { parts = append(parts, d) })
	return parts
}
