package watch

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
)

// play has a store play an event, as its handle would have it.
func play(t testing.TB, s *store, name string, d any) {
	t.Helper()
	raw, ok := d.(json.RawMessage)
	if !ok {
		var err error
		if raw, err = json.Marshal(d); err != nil {
			t.Fatal(err)
		}
	}
	s.do(func() { s.play(name, raw) })
}

// watchIn watches something in a store that has no handle.
func watchIn[T any](s *store, id kindID, guild, of event.Snowflake, seed any, opts ...Option) *Watched[T] {
	k := &kinds[id]
	w := &watcher{changes: make(chan struct{}, 1)}
	for i := range w.limits {
		w.limits[i] = k.limit
	}
	for _, opt := range opts {
		opt(w)
	}
	var from *node
	if seed != nil {
		raw, _ := event.Marshal(seed)
		from = &node{raw: raw}
	}
	s.do(func() { s.watch(w, k, of, guild, from) })
	return &Watched[T]{w}
}

// world makes up events about a few guilds, with few enough ids that they meet
// again and again.
type world struct {
	*rand.Rand
}

func (w *world) id(kind string) string {
	base := map[string]int{"guild": 10, "channel": 200, "thread": 300, "role": 40, "user": 5000, "rule": 60, "emoji": 70, "sticker": 80, "stage": 90, "event": 100, "sound": 110, "message": 9000}[kind]
	space := map[string]int{"guild": 3, "user": 14, "message": 1000}[kind]
	if space == 0 {
		space = 9
	}
	return strconv.Itoa(base + w.IntN(space))
}

// some fills an object with some of the fields that it may have.
func (w *world) some(o obj, fields map[string]func() any) obj {
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		if w.IntN(2) == 0 {
			o[k] = fields[k]()
		}
	}
	if w.IntN(4) == 0 {
		o["new_field_"+strconv.Itoa(w.IntN(2))] = obj{"n": w.IntN(5)}
	}
	return o
}

func (w *world) text() any {
	if w.IntN(4) == 0 {
		return nil
	}
	return w.name()
}
func (w *world) name() any   { return []string{"a", "b", "ü\n\"", "__proto__", ""}[w.IntN(5)] }
func (w *world) bool() any   { return w.IntN(2) == 0 }
func (w *world) small() any  { return w.IntN(3) }
func (w *world) date() any   { return fmt.Sprintf("2026-11-23T08:10:%02d.000Z", w.IntN(60)) }
func (w *world) idOrNo() any { return []any{nil, w.id("message")}[w.IntN(2)] }

func (w *world) many(most int, f func() any) []any {
	out := []any{}
	for range w.IntN(most + 1) {
		out = append(out, f())
	}
	return out
}

// each is a list of things with different ids.
func (w *world) each(most int, id func(o obj) string, f func() obj) []any {
	out, seen := []any{}, map[string]bool{}
	for range w.IntN(most + 1) {
		if o := f(); !seen[id(o)] {
			seen[id(o)] = true
			out = append(out, o)
		}
	}
	return out
}

func byKey(k string) func(o obj) string { return func(o obj) string { return o[k].(string) } }

func (w *world) channel(thread bool) obj {
	o := obj{"id": w.id("channel"), "type": w.IntN(3)}
	if thread {
		o = obj{"id": w.id("thread"), "type": 10 + w.IntN(3), "parent_id": w.id("channel")}
	}
	return w.some(o, map[string]func() any{
		"name": w.text, "topic": w.text, "position": w.small, "nsfw": w.bool, "last_message_id": w.idOrNo, "icon": w.text, "member_count": w.small,
		"permission_overwrites": func() any {
			return w.many(2, func() any { return obj{"id": w.id("role"), "type": 0, "allow": "8", "deny": "0"} })
		},
		"thread_metadata": func() any {
			return obj{"archived": w.bool(), "auto_archive_duration": 60, "archive_timestamp": w.date(), "locked": false}
		},
		"parent": func() any { return obj{"id": "1", "type": 0} }, "status": w.text, "flags": w.small,
	})
}

func (w *world) role() obj {
	return w.some(obj{"id": w.id("role")}, map[string]func() any{
		"name": w.name, "color": w.small, "hoist": w.bool, "icon": w.text, "position": w.small, "permissions": func() any { return strconv.Itoa(w.IntN(9)) },
		"colors": func() any {
			return w.some(obj{"primary_color": w.small()}, map[string]func() any{"secondary_color": w.small, "tertiary_color": w.small})
		},
		"tags": func() any { return []any{nil, obj{"bot_id": w.id("user")}}[w.IntN(2)] }, "flags": w.small,
	})
}

func (w *world) publicUser() obj {
	return w.some(obj{"id": w.id("user"), "username": w.name()}, map[string]func() any{
		"discriminator": func() any { return "0001" }, "avatar": w.text, "global_name": w.text, "bot": w.bool, "banner": w.text, "public_flags": w.small,
		"primary_guild": func() any {
			return []any{nil, obj{"identity_guild_id": w.id("guild"), "identity_enabled": true, "tag": w.text(), "badge": nil}}[w.IntN(2)]
		},
	})
}

func (w *world) presence() obj {
	u := obj{"id": w.id("user")}
	if w.IntN(2) == 0 {
		u = w.publicUser()
	}
	return w.some(obj{"user": u}, map[string]func() any{
		"status":     func() any { return []string{"online", "idle", "dnd", "offline"}[w.IntN(4)] },
		"activities": func() any { return w.many(2, func() any { return obj{"name": w.name(), "type": w.small()} }) },
		"client_status": func() any {
			return w.some(obj{}, map[string]func() any{"web": func() any { return "online" }, "desktop": func() any { return "idle" }})
		},
	})
}

func (w *world) member() obj {
	o := w.some(obj{"user": w.publicUser(), "roles": w.many(3, func() any { return w.id("role") })}, map[string]func() any{
		"nick": w.text, "avatar": w.text, "joined_at": w.date, "premium_since": w.text0(w.date), "deaf": w.bool, "mute": w.bool, "flags": w.small, "pending": w.bool,
		"guild": func() any { return obj{"id": "1"} },
	})
	if w.IntN(5) == 0 {
		p := w.presence()
		p["user"] = obj{"id": object(o["user"])["id"]}
		o["presence"] = p
	}
	return o
}

func (w *world) text0(f func() any) func() any {
	return func() any { return []any{nil, f()}[w.IntN(2)] }
}

func (w *world) voiceState() obj {
	return w.some(obj{"user_id": w.id("user"), "channel_id": w.id("channel"), "session_id": "s"}, map[string]func() any{
		"mute": w.bool, "deaf": w.bool, "self_mute": w.bool, "self_stream": w.bool, "request_to_speak_timestamp": w.text0(w.date),
	})
}

func (w *world) emoji() obj {
	return w.some(obj{"id": w.id("emoji"), "name": w.name()}, map[string]func() any{"animated": w.bool, "roles": func() any { return []any{} }})
}

func (w *world) sticker() obj {
	return w.some(obj{"id": w.id("sticker"), "name": w.name()}, map[string]func() any{"description": w.text, "available": w.bool})
}

func (w *world) stage() obj {
	return w.some(obj{"id": w.id("stage"), "channel_id": w.id("channel"), "topic": w.name()}, map[string]func() any{"invite_code": w.text})
}

func (w *world) scheduled() obj {
	return w.some(obj{"id": w.id("event"), "name": w.name()}, map[string]func() any{"description": w.text, "status": w.small, "user_count": w.small, "image": w.text})
}

func (w *world) sound() obj {
	return w.some(obj{"sound_id": w.id("sound"), "name": w.name()}, map[string]func() any{"volume": w.small, "available": w.bool})
}

func (w *world) guildFields(o obj) obj {
	return w.some(o, map[string]func() any{
		"name": w.name, "icon": w.text, "owner_id": func() any { return w.id("user") }, "features": func() any { return w.many(2, w.name) },
		"afk_channel_id": w.idOrNo, "nsfw_level": w.small, "description": w.text, "premium_tier": w.small,
	})
}

func (w *world) lists(o obj, chance int) obj {
	all := map[string]func() []any{
		"channels":               func() []any { return w.each(6, byKey("id"), func() obj { return w.channel(w.IntN(9) == 0) }) },
		"threads":                func() []any { return w.each(4, byKey("id"), func() obj { return w.channel(true) }) },
		"roles":                  func() []any { return w.each(5, byKey("id"), w.role) },
		"emojis":                 func() []any { return w.each(3, byKey("id"), w.emoji) },
		"stickers":               func() []any { return w.each(3, byKey("id"), w.sticker) },
		"members":                func() []any { return w.each(8, userOf, w.member) },
		"voice_states":           func() []any { return w.each(3, byKey("user_id"), w.voiceState) },
		"presences":              func() []any { return w.each(5, func(o obj) string { return userOf(o) }, w.presence) },
		"stage_instances":        func() []any { return w.each(2, byKey("id"), w.stage) },
		"guild_scheduled_events": func() []any { return w.each(3, byKey("id"), w.scheduled) },
		"soundboard_sounds":      func() []any { return w.each(3, byKey("sound_id"), w.sound) },
	}
	for _, part := range slices.Sorted(maps.Keys(all)) { // the same for the same seed
		if w.IntN(10) < chance {
			o[part] = all[part]()
		}
	}
	// No channel is both a thread and not, and none in the wrong list.
	for _, part := range []string{"channels", "threads"} {
		if l, ok := o[part].([]any); ok {
			o[part] = slices.DeleteFunc(l, func(c any) bool { return isThreadType(c.(obj)) != (part == "threads") })
		}
	}
	return o
}

func isThreadType(o obj) bool { t, _ := o["type"].(int); return t >= 10 }

func (w *world) guild() obj {
	o := obj{"id": w.id("guild"), "member_count": 10 + w.IntN(5), "joined_at": w.date(), "lazy": true, "guild_hashes": obj{}}
	if w.IntN(2) == 0 {
		o["properties"] = w.guildFields(obj{"id": o["id"]})
	} else {
		w.guildFields(o)
	}
	return w.lists(o, 8)
}

// event makes up the next event.
func (w *world) event() (string, obj) {
	guild := w.id("guild")
	in := func(o obj) obj { o["guild_id"] = guild; return o }
	pick := func(names ...string) string { return names[w.IntN(len(names))] }
	switch w.IntN(46) {
	case 0:
		if w.IntN(4) > 0 {
			return "GUILD_CREATE", w.guild()
		}
		return w.ready()
	case 1:
		guilds := w.each(3, byKey("id"), func() obj {
			return obj{"id": w.id("guild"), "voice_states": w.each(3, byKey("user_id"), w.voiceState)}
		})
		members, presences := []any{}, []any{}
		for range guilds {
			members = append(members, w.each(3, userOf, w.member))
			presences = append(presences, w.each(3, userOf, w.presence))
		}
		return "READY_SUPPLEMENTAL", obj{"guilds": guilds, "merged_members": members, "merged_presences": obj{"guilds": presences, "friends": w.each(2, userOf, w.presence)},
			"lazy_private_channels": w.each(2, byKey("id"), func() obj { return obj{"id": strconv.Itoa(900 + w.IntN(4)), "type": 1, "name": w.text()} })}
	case 2:
		return "GUILD_CREATE", w.guild()
	case 3:
		return "GUILD_UPDATE", w.lists(w.guildFields(obj{"id": guild}), 2)
	case 4:
		if w.IntN(3) > 0 {
			return "GUILD_DELETE", obj{"id": guild, "unavailable": true}
		}
		return "GUILD_DELETE", obj{"id": guild}
	case 5, 6:
		return pick("CHANNEL_CREATE", "CHANNEL_UPDATE", "CHANNEL_UPDATE"), in(w.channel(w.IntN(4) == 0))
	case 7:
		if w.IntN(2) == 0 {
			return "CHANNEL_DELETE", in(w.channel(w.IntN(4) == 0))
		}
		return "CHANNEL_CREATE", obj{"id": strconv.Itoa(900 + w.IntN(4)), "type": 1, "recipients": w.each(2, byKey("id"), w.publicUser)}
	case 8:
		return pick("CHANNEL_RECIPIENT_ADD", "CHANNEL_RECIPIENT_REMOVE"), obj{"channel_id": strconv.Itoa(900 + w.IntN(4)), "user": w.publicUser()}
	case 9:
		return "CHANNEL_DELETE", obj{"id": strconv.Itoa(900 + w.IntN(4)), "type": 1}
	case 10:
		return "CHANNEL_SYNC", in(obj{"channels": w.each(4, byKey("id"), func() obj { return w.channel(false) })})
	case 11:
		return "CHANNEL_UPDATE_PARTIAL", in(obj{"id": w.id("channel"), "last_message_id": w.id("message")})
	case 12:
		return pick("CHANNEL_STATUSES", "CHANNEL_INFO"), in(obj{"channels": w.each(3, byKey("id"), func() obj { return w.some(obj{"id": w.id("channel")}, map[string]func() any{"status": w.text}) })})
	case 13:
		return "VOICE_CHANNEL_STATUS_UPDATE", in(obj{"id": w.id("channel"), "status": w.text()})
	case 14:
		return "CHANNEL_PINS_UPDATE", in(w.some(obj{"channel_id": w.id(pick("channel", "thread"))}, map[string]func() any{"last_pin_timestamp": w.text0(w.date)}))
	case 15, 16:
		return "MESSAGE_CREATE", in(obj{"id": w.id("message"), "channel_id": w.id(pick("channel", "thread")), "content": "hello"})
	case 17:
		return "MESSAGE_CREATE", obj{"id": w.id("message"), "channel_id": strconv.Itoa(900 + w.IntN(4)), "guild_id": nil}
	case 18, 19:
		return pick("THREAD_CREATE", "THREAD_UPDATE"), in(w.channel(true))
	case 20:
		return "THREAD_DELETE", in(obj{"id": w.id("thread"), "type": 11})
	case 21:
		o := obj{"threads": w.each(4, byKey("id"), func() obj { return w.channel(true) }), "members": w.many(3, func() any {
			return obj{"id": w.id("thread"), "user_id": "1", "join_timestamp": w.date(), "flags": w.small()}
		})}
		if w.IntN(2) == 0 {
			o["channel_ids"] = w.many(4, func() any { return w.id("channel") })
		}
		return "THREAD_LIST_SYNC", in(o)
	case 22:
		return "THREAD_MEMBER_UPDATE", in(w.some(obj{"id": w.id("thread"), "user_id": "1"}, map[string]func() any{"flags": w.small, "join_timestamp": w.date, "muted": w.bool}))
	case 23:
		return "THREAD_MEMBERS_UPDATE", in(obj{"id": w.id("thread"), "member_count": w.small()})
	case 24, 25:
		return pick("GUILD_ROLE_CREATE", "GUILD_ROLE_UPDATE"), in(obj{"role": w.role()})
	case 26:
		return "GUILD_ROLE_DELETE", in(obj{"role_id": w.id("role")})
	case 27:
		return "GUILD_MEMBER_ADD", in(w.member())
	case 28, 29:
		return "GUILD_MEMBER_UPDATE", in(w.member())
	case 30:
		return "GUILD_MEMBER_REMOVE", in(obj{"user": w.publicUser()})
	case 31:
		return "GUILD_MEMBERS_CHUNK", in(obj{"members": w.each(6, userOf, w.member), "presences": w.each(4, userOf, w.presence), "chunk_index": 0, "chunk_count": 1,
			"not_found": w.many(2, func() any { return w.id("user") })})
	case 32:
		return "GUILD_SYNC", obj{"id": guild, "members": w.each(4, userOf, w.member), "presences": w.each(4, userOf, w.presence)}
	case 33:
		items := []any{obj{"group": obj{"id": "online", "count": 1}}}
		for range w.IntN(4) {
			items = append(items, obj{"member": w.member()})
		}
		return "GUILD_MEMBER_LIST_UPDATE", in(obj{"id": "everyone", "member_count": w.IntN(20), "online_count": 1, "groups": []any{},
			"ops": []any{obj{"op": "SYNC", "range": []int{0, 99}, "items": items}, obj{"op": "UPDATE", "index": 1, "item": obj{"member": w.member()}}, obj{"op": "DELETE", "index": 3}}})
	case 34:
		return "GUILD_EMOJIS_UPDATE", in(obj{"emojis": w.each(4, byKey("id"), w.emoji)})
	case 35:
		return pick("GUILD_STICKERS_UPDATE"), in(obj{"stickers": w.each(4, byKey("id"), w.sticker)})
	case 36:
		switch w.IntN(4) {
		case 0:
			return "SOUNDBOARD_SOUNDS", in(obj{"soundboard_sounds": w.each(4, byKey("sound_id"), w.sound)})
		case 1:
			return "GUILD_SOUNDBOARD_SOUND_DELETE", in(obj{"sound_id": w.id("sound")})
		}
		return pick("GUILD_SOUNDBOARD_SOUND_CREATE", "GUILD_SOUNDBOARD_SOUND_UPDATE"), in(w.sound())
	case 37:
		return pick("STAGE_INSTANCE_CREATE", "STAGE_INSTANCE_UPDATE", "STAGE_INSTANCE_DELETE"), in(w.stage())
	case 38:
		return pick("GUILD_SCHEDULED_EVENT_CREATE", "GUILD_SCHEDULED_EVENT_UPDATE", "GUILD_SCHEDULED_EVENT_DELETE"), in(w.scheduled())
	case 39:
		return pick("GUILD_SCHEDULED_EVENT_USER_ADD", "GUILD_SCHEDULED_EVENT_USER_REMOVE"), in(obj{"guild_scheduled_event_id": w.id("event"), "user_id": w.id("user")})
	case 40:
		return pick("AUTO_MODERATION_RULE_CREATE", "AUTO_MODERATION_RULE_UPDATE", "AUTO_MODERATION_RULE_DELETE"),
			in(w.some(obj{"id": w.id("rule"), "name": w.name()}, map[string]func() any{"enabled": w.bool, "event_type": w.small, "exempt_roles": func() any { return []any{w.id("role")} }}))
	case 41, 42:
		o := w.voiceState()
		switch w.IntN(4) {
		case 0:
			o["channel_id"] = nil
			if w.IntN(2) == 0 {
				o["guild_id"] = nil
				return "VOICE_STATE_UPDATE", o
			}
		case 1:
			return "VOICE_STATE_UPDATE", o // in a call
		}
		return "VOICE_STATE_UPDATE", in(o)
	case 43, 44:
		p := w.presence()
		if w.IntN(2) == 0 {
			p["guild_id"] = guild
		}
		return "PRESENCE_UPDATE", p
	default:
		switch w.IntN(4) {
		case 0:
			u := w.publicUser()
			u["email"], u["locale"] = w.text(), "en-US"
			return "USER_UPDATE", u
		case 1:
			return "RELATIONSHIP_ADD", obj{"id": "1", "type": 1, "user": w.publicUser()}
		case 2:
			return "USER_DELETE", obj{"user_id": w.id("user")}
		}
		o := obj{"members": w.each(2, userOf, w.member), "channels": w.each(2, byKey("id"), func() obj { return obj{"id": w.id("channel"), "last_message_id": w.id("message")} })}
		if w.IntN(2) == 0 {
			o["voice_states"] = w.each(3, byKey("user_id"), w.voiceState)
		}
		if w.IntN(2) == 0 {
			return "PASSIVE_UPDATE_V1", in(o)
		}
		return "PASSIVE_UPDATE_V2", in(obj{"updated_members": o["members"], "updated_channels": o["channels"],
			"updated_voice_states": w.each(2, byKey("user_id"), w.voiceState), "removed_voice_states": w.many(2, func() any { return w.id("user") })})
	}
}

func (w *world) ready() (string, obj) {
	guilds := w.each(3, byKey("id"), func() obj {
		g := w.guild()
		if w.IntN(6) == 0 {
			return obj{"id": g["id"], "unavailable": true}
		}
		delete(g, "members")
		return g
	})
	members := []any{}
	for range guilds {
		members = append(members, w.each(3, userOf, w.member))
	}
	u := w.publicUser()
	u["email"] = "alice@example.com"
	return "READY", obj{"v": 9, "session_id": "s", "user": u, "guilds": guilds, "merged_members": members, "users": w.each(4, byKey("id"), w.publicUser),
		"presences": w.each(2, userOf, w.presence), "relationships": []any{obj{"id": "1", "type": 1, "user": w.publicUser()}},
		"private_channels": w.each(3, byKey("id"), func() obj { return obj{"id": strconv.Itoa(900 + w.IntN(4)), "type": 1, "name": w.text()} })}
}

// TestAgreesWithNaiveModel plays random events and holds every watched object
// against the naive model after each.
func TestAgreesWithNaiveModel(t *testing.T) {
	seeds := uint64(16)
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			agree(t, seed, 120)
		})
	}
}

// subject is a watched object and how to compare it.
type subject struct {
	key      string
	text     func() string // "" for nil
	want     func(o obj) string
	stale    func() bool
	deleted  func() bool
	identity func() any
}

func subjectOf[T any](key string, w *Watched[T]) subject {
	return subject{
		key: key,
		text: func() string {
			if v := w.Current(); v != nil {
				return textOf(v)
			}
			return ""
		},
		want:     typedText[T],
		stale:    w.Stale,
		deleted:  w.Deleted,
		identity: func() any { return w.Current() },
	}
}

// difference shows where two texts begin to differ.
func difference(got, want string) string {
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	around := func(s string) string { return s[max(0, i-200):min(len(s), i+200)] }
	return fmt.Sprintf("got\n… %s …\nwant\n… %s …", around(got), around(want))
}

func agree(t *testing.T, seed uint64, steps int) {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 1))}
	s := newStore(nil)
	model := newNaive("10", "11") // of three guilds
	guilds := []*Watched[GuildState]{watchIn[GuildState](s, kindGuild, 0, 10, nil), watchIn[GuildState](s, kindGuild, 0, 11, nil)}
	var alone []subject
	for i := range event.Snowflake(9) {
		alone = append(alone,
			subjectOf(key("channel", "", (200+i).String()), watchIn[event.Channel](s, kindChannel, 0, 200+i, nil)),
			subjectOf(key("thread", "", (300+i).String()), watchIn[event.Channel](s, kindThread, 0, 300+i, nil)),
			subjectOf(key("role", "", (40+i).String()), watchIn[event.Role](s, kindRole, 0, 40+i, nil)),
			subjectOf(key("autoModerationRule", "", (60+i).String()), watchIn[event.AutoModRule](s, kindAutoModerationRule, 0, 60+i, nil)),
			subjectOf(key("user", "", (5000+i).String()), watchIn[UserState](s, kindUser, 0, 5000+i, nil)),
			subjectOf(key("member", "10", (5000+i).String()), watchIn[event.GuildMember](s, kindMember, 10, 5000+i, nil)),
			subjectOf(key("member", "12", (5000+i).String()), watchIn[event.GuildMember](s, kindMember, 12, 5000+i, nil)),
			subjectOf(key("voiceState", "10", (5000+i).String()), watchIn[event.VoiceState](s, kindVoiceState, 10, 5000+i, nil)),
			subjectOf(key("voiceState", "", (5000+i).String()), watchIn[event.VoiceState](s, kindVoiceState, 0, 5000+i, nil)),
		)
	}
	for i := range event.Snowflake(4) {
		alone = append(alone, subjectOf(key("channel", "", (900+i).String()), watchIn[event.Channel](s, kindChannel, 0, 900+i, nil)))
	}

	type pair struct {
		got  any
		want uintptr
	}
	agreed := make([]pair, len(alone)) // what has been compared already
	for step := range steps {
		var name string
		var d obj
		if step%60 == 0 {
			name, d = w.ready()
		} else {
			name, d = w.event()
		}
		raw, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var generic obj // so that the model sees what JSON has
		if err := json.Unmarshal(raw, &generic); err != nil {
			t.Fatal(err)
		}
		where := fmt.Sprintf("step %d: %s %s", step, name, raw)
		if step%97 == 96 {
			where = "a gap"
			s.do(s.allStale)
			model.allStale()
		} else {
			play(t, s, name, json.RawMessage(raw))
			model.apply(name, generic)
		}
		for _, g := range guilds {
			id := g.w.root.id.String()
			want := model.guilds[id]
			if (g.Current() != nil) != (want.own != nil) {
				t.Fatalf("%s:\nguild %s is known: %v", where, id, g.Current() != nil)
			}
			if g.Stale() != model.stale["guild "+id] || g.Deleted() != model.gone["guild "+id] {
				t.Fatalf("%s:\nguild %s is stale: %v, deleted: %v", where, id, g.Stale(), g.Deleted())
			}
			if want.own == nil {
				continue
			}
			if got, want := textOf(g.Current().Payload()), want.text(); got != want {
				t.Fatalf("%s:\nguild %s: %s", where, id, difference(got, want))
			}
		}
		for i, a := range alone {
			o := model.alone[a.key]
			if now := (pair{a.identity(), reflect.ValueOf(o).Pointer()}); agreed[i] != now {
				agreed[i] = now
				want := ""
				if o != nil {
					want = a.want(o)
				}
				if got := a.text(); got != want {
					t.Fatalf("%s:\n%s: %s", where, a.key, difference(got, want))
				}
			}
			if a.stale() != model.stale[a.key] || a.deleted() != model.gone[a.key] {
				t.Fatalf("%s:\n%s is stale: %v, deleted: %v; want %v, %v", where, a.key, a.stale(), a.deleted(), model.stale[a.key], model.gone[a.key])
			}
		}
		if name == "READY" || name == "GUILD_CREATE" || where == "a gap" {
			continue
		}
		// Servers send events more than once. The same again is no change.
		var before []any
		for _, g := range guilds {
			before = append(before, g.Current())
		}
		for _, a := range alone {
			before = append(before, a.identity())
		}
		play(t, s, name, json.RawMessage(raw))
		for _, g := range guilds {
			if before[0] != any(g.Current()) {
				t.Fatalf("%s:\nthe same event again changed guild %s", where, g.w.root.id)
			}
			before = before[1:]
		}
		for i, a := range alone {
			if before[i] != a.identity() {
				t.Fatalf("%s:\nthe same event again changed %s", where, a.key)
			}
		}
	}
}
