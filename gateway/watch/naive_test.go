package watch

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
)

// obj is a JSON object.
type obj = map[string]any

// naive is what the watched objects should be, worked out in the most simple-minded
// way: maps of JSON objects, copied and changed by one long switch over the events.
// It shares nothing with the table.
type naive struct {
	guilds map[string]*naiveGuild
	alone  map[string]obj // by kind and id, and the guild's id where it is local: "role 5", "member 1/7"
	home   map[string]string
	stale  map[string]bool
	gone   map[string]bool
	seen   map[string]bool // guilds since READY
	last   string          // what was counted
}

type naiveGuild struct {
	own   obj // nil while nothing is known
	parts map[string]map[string]obj
}

var naiveParts = map[string]string{ // and the field with the id
	"channels": "id", "threads": "id", "roles": "id", "emojis": "id", "stickers": "id", "members": "user",
	"voice_states": "user_id", "stage_instances": "id", "guild_scheduled_events": "id", "soundboard_sounds": "sound_id",
}

var naiveNotKept = []string{"presences", "partial_updates", "channel_updates", "activity_instances", "embedded_activities",
	"application_command_counts", "guild_hashes", "data_mode", "lazy", "unable_to_sync_deletes", "properties"}

func newNaive(guilds ...string) *naive {
	m := &naive{guilds: map[string]*naiveGuild{}, alone: map[string]obj{}, home: map[string]string{}, stale: map[string]bool{}, gone: map[string]bool{}, seen: map[string]bool{}}
	for _, id := range guilds {
		m.guilds[id] = &naiveGuild{}
	}
	return m
}

func str(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func object(v any) obj {
	o, _ := v.(obj)
	return o
}

func isThread(o obj) bool {
	t, ok := o["type"].(float64)
	return ok && t >= 10 && t <= 12
}

func userOf(member obj) string {
	if id := str(object(member["user"])["id"]); id != "" {
		return id
	}
	return str(member["id"])
}

func laid(old, o obj, without ...string) obj {
	out := maps.Clone(old)
	if out == nil {
		out = obj{}
	}
	for k, v := range o {
		if !slices.Contains(without, k) {
			out[k] = v
		}
	}
	return out
}

var junk = []string{"guild", "parent", "messages", "voice_states", "read_states", "invites", "webhooks"}

// key names what is watched alone.
func key(kind, guild, id string) string {
	if kind == "member" || kind == "voiceState" {
		return kind + " " + guild + "/" + id
	}
	return kind + " " + id
}

var partOf = map[string]string{"channel": "channels", "thread": "threads", "role": "roles", "member": "members", "voiceState": "voice_states",
	"emoji": "emojis", "sticker": "stickers", "stageInstance": "stage_instances", "scheduledEvent": "guild_scheduled_events", "soundboardSound": "soundboard_sounds"}

// put makes or changes something: known alone tells it from making.
func (m *naive) put(kind, guild, id string, change func(old obj) obj, fresh bool) {
	if id == "" {
		return
	}
	k := key(kind, guild, id)
	if o := change(m.alone[k]); o != nil {
		m.alone[k] = o
		delete(m.gone, k)
		if fresh {
			delete(m.stale, k)
		}
	}
	if guild != "" && kind != "user" {
		m.home[k] = guild
	}
	if g := m.guilds[guild]; g != nil && g.own != nil && partOf[kind] != "" {
		part := g.parts[partOf[kind]]
		if o := change(part[id]); o != nil {
			part[id] = o
		}
	}
}

func (m *naive) merge(kind, guild, id string, o obj) {
	m.put(kind, guild, id, func(old obj) obj { return laid(old, o, junk...) }, true)
}

func (m *naive) update(kind, guild, id string, o obj) {
	m.put(kind, guild, id, func(old obj) obj {
		if old == nil {
			return nil
		}
		return laid(old, o, junk...)
	}, false)
}

func (m *naive) channel(guild string, o obj) {
	kind := "channel"
	id := str(o["id"])
	if isThread(o) {
		kind = "thread"
	}
	m.merge(kind, guild, id, o)
}

func (m *naive) either(guild, id string, o obj) {
	m.update("channel", guild, id, o)
	m.update("thread", guild, id, o)
}

func (m *naive) member(guild string, o obj) { m.merge("member", guild, userOf(o), o) }
func (m *naive) user(o obj) {
	if o != nil {
		m.merge("user", "", str(o["id"]), o)
	}
}

func (m *naive) nest(kind, guild, id, field string, o obj) {
	m.put(kind, guild, id, func(old obj) obj {
		if old == nil {
			return nil
		}
		return laid(old, obj{field: laid(object(old[field]), o)})
	}, false)
}

func (m *naive) presence(guild string, o obj) {
	m.nest("member", guild, str(object(o["user"])["id"]), "presence", o)
}

func (m *naive) remove(kind, guild, id string) {
	k := key(kind, guild, id)
	if m.alone[k] != nil {
		m.gone[k] = true
	}
	delete(m.alone, k)
	delete(m.stale, k)
	if g := m.guilds[guild]; g != nil && g.own != nil && partOf[kind] != "" {
		delete(g.parts[partOf[kind]], id)
	}
}

// replace makes a list all there is of a kind.
func (m *naive) replace(kind, guild string, l []any, complete bool) {
	if g := m.guilds[guild]; g != nil && g.own != nil {
		g.parts[partOf[kind]] = map[string]obj{}
	}
	there := map[string]bool{}
	for _, v := range l {
		o := object(v)
		id := str(o[naiveParts[partOf[kind]]])
		if kind == "member" {
			id = userOf(o)
		}
		there[key(kind, guild, id)] = true
		m.put(kind, guild, id, func(obj) obj { return laid(nil, o, junk...) }, true)
	}
	if complete {
		for k := range maps.Clone(m.alone) {
			if strings.HasPrefix(k, kind+" ") && m.home[k] == guild && !there[k] {
				_, id, _ := strings.Cut(k, " ")
				id = id[strings.LastIndex(id, "/")+1:]
				m.remove(kind, guild, id)
			}
		}
	}
}

func (m *naive) allStale() {
	clear(m.seen)
	for id, g := range m.guilds {
		if g.own != nil {
			m.stale["guild "+id] = true
		}
	}
	for k := range m.alone {
		m.stale[k] = true
	}
}

// guild takes in a guild: whole makes it anew.
func (m *naive) guild(o obj, whole bool) {
	id := str(o["id"])
	m.seen[id] = true
	g := m.guilds[id]
	if g != nil && (whole || g.own != nil) {
		var own obj
		if !whole {
			own = g.own
		}
		lists := slices.Collect(maps.Keys(naiveParts))
		own = laid(own, o, append(lists, naiveNotKept...)...)
		own = laid(own, object(o["properties"]), append(lists, naiveNotKept...)...)
		g.own = own
		delete(m.gone, "guild "+id)
		if whole {
			g.parts = map[string]map[string]obj{}
			for part := range naiveParts {
				g.parts[part] = map[string]obj{}
			}
			delete(m.stale, "guild "+id)
		}
	}
	for kind, part := range partOf {
		if l, ok := o[part].([]any); ok {
			m.replace(kind, id, l, kind != "member" && kind != "thread")
		}
	}
	if whole {
		for _, p := range list(o["presences"]) {
			m.presence(id, object(p))
		}
		for _, v := range list(o["members"]) {
			m.user(object(object(v)["user"]))
		}
	}
}

func (m *naive) deleteGuild(id string) {
	if g := m.guilds[id]; g != nil {
		if g.own != nil {
			m.gone["guild "+id] = true
		}
		g.own, g.parts = nil, nil
		delete(m.stale, "guild "+id)
	}
	for k := range maps.Clone(m.alone) {
		if m.home[k] == id {
			delete(m.alone, k)
			delete(m.stale, k)
			m.gone[k] = true
		}
	}
}

func (m *naive) count(o obj, field string, by float64, name string, d obj) bool {
	text, _ := json.Marshal(d)
	if m.last == name+string(text) {
		return false
	}
	if n, ok := o[field].(float64); ok {
		o[field] = n + by
	}
	return true
}

// everyMember calls f with the guilds that an event without a guild is about.
func (m *naive) everyMember(d obj, user string, f func(guild string)) {
	if id := str(d["guild_id"]); id != "" {
		f(id)
		return
	}
	all := map[string]bool{}
	for id := range m.guilds {
		all[id] = true
	}
	for k := range m.alone {
		if id, ok := strings.CutPrefix(k, "member "); ok && strings.HasSuffix(k, "/"+user) {
			all[id[:strings.Index(id, "/")]] = true
		}
	}
	for id := range all {
		f(id)
	}
}

func (m *naive) apply(name string, d obj) {
	guild := str(d["guild_id"])
	id := str(d["id"])
	switch name {
	case "READY":
		m.allStale()
		if u := object(d["user"]); u != nil {
			m.put("user", "", str(u["id"]), func(obj) obj { return laid(nil, u) }, true)
		}
		for _, u := range list(d["users"]) {
			m.user(object(u))
		}
		for _, r := range list(d["relationships"]) {
			m.user(object(object(r)["user"]))
		}
		for _, c := range list(d["private_channels"]) {
			for _, u := range list(object(c)["recipients"]) {
				m.user(object(u))
			}
		}
		for _, l := range list(d["merged_members"]) {
			for _, v := range list(l) {
				m.user(object(object(v)["user"]))
			}
		}
		for _, c := range list(d["private_channels"]) {
			c := object(c)
			m.put("channel", "", str(c["id"]), func(obj) obj { return laid(nil, c, junk...) }, true)
		}
		for _, g := range list(d["guilds"]) {
			g := object(g)
			m.guild(g, g["unavailable"] != true)
		}
		for i, l := range list(d["merged_members"]) {
			for _, v := range list(l) {
				m.member(str(object(list(d["guilds"])[i])["id"]), object(v))
			}
		}
		for i, l := range list(object(d["merged_presences"])["guilds"]) {
			for _, v := range list(l) {
				m.presence(str(object(list(d["guilds"])[i])["id"]), object(v))
			}
		}
		for _, l := range []any{object(d["merged_presences"])["friends"], d["presences"]} {
			for _, p := range list(l) {
				m.nest("user", "", str(object(object(p)["user"])["id"]), "presence", object(p))
			}
		}
		if d["guilds"] != nil {
			for id := range m.guilds {
				if !m.seen[id] {
					m.deleteGuild(id)
				}
			}
			for k, g := range m.home {
				if !m.seen[g] && m.alone[k] != nil {
					m.deleteGuild(g)
				}
			}
		}
	case "READY_SUPPLEMENTAL":
		for i, g := range list(d["guilds"]) {
			id := str(object(g)["id"])
			if ml := list(d["merged_members"]); i < len(ml) {
				for _, v := range list(ml[i]) {
					m.user(object(object(v)["user"]))
					m.member(id, object(v))
				}
			}
			if pl := list(object(d["merged_presences"])["guilds"]); i < len(pl) {
				for _, v := range list(pl[i]) {
					m.presence(id, object(v))
				}
			}
			if l, ok := object(g)["voice_states"].([]any); ok {
				m.replace("voiceState", id, l, true)
			}
		}
		for _, p := range list(object(d["merged_presences"])["friends"]) {
			m.nest("user", "", str(object(object(p)["user"])["id"]), "presence", object(p))
		}
		for _, c := range list(d["lazy_private_channels"]) {
			c := object(c)
			m.put("channel", "", str(c["id"]), func(obj) obj { return laid(nil, c, junk...) }, true)
		}
		for k := range maps.Clone(m.alone) {
			if (strings.HasPrefix(k, "channel ") || strings.HasPrefix(k, "voiceState ")) && m.home[k] == "" && m.stale[k] {
				delete(m.alone, k)
				delete(m.stale, k)
				m.gone[k] = true
			}
		}
	case "USER_UPDATE":
		m.user(d)
		public := maps.Clone(d) // and what nobody knows
		for _, k := range []string{"email", "phone", "mfa_enabled", "verified", "locale", "flags", "premium"} {
			delete(public, k)
		}
		m.everyMember(obj{}, id, func(guild string) { m.nest("member", guild, id, "user", public) })
	case "USER_DELETE":
		m.remove("user", "", str(d["user_id"]))
	case "RELATIONSHIP_ADD":
		m.user(object(d["user"]))
	case "PRESENCE_UPDATE":
		u := object(d["user"])
		if u["username"] != nil {
			m.user(u)
		}
		m.nest("user", "", str(u["id"]), "presence", d)
		m.everyMember(d, str(u["id"]), func(guild string) {
			m.presence(guild, d)
			m.nest("member", guild, str(u["id"]), "user", u)
		})
	case "CHANNEL_CREATE", "CHANNEL_UPDATE", "THREAD_CREATE", "THREAD_UPDATE":
		m.channel(guild, d)
		if name == "CHANNEL_CREATE" {
			for _, u := range list(d["recipients"]) {
				m.user(object(u))
			}
		}
	case "CHANNEL_DELETE":
		m.remove("channel", guild, id)
		m.remove("thread", guild, id)
		if g := m.guilds[guild]; g != nil && g.own != nil {
			for t, o := range maps.Clone(g.parts["threads"]) {
				if str(o["parent_id"]) == id {
					m.remove("thread", guild, t)
				}
			}
		}
		for k, o := range maps.Clone(m.alone) {
			if t, ok := strings.CutPrefix(k, "thread "); ok && str(o["parent_id"]) == id {
				m.remove("thread", guild, t)
			}
		}
	case "CHANNEL_SYNC":
		for _, c := range list(d["channels"]) {
			m.channel(guild, object(c))
		}
	case "CHANNEL_UPDATE_PARTIAL":
		m.either(guild, id, d)
	case "CHANNEL_UNREAD_UPDATE", "PASSIVE_UPDATE_V1", "PASSIVE_UPDATE_V2":
		for _, l := range []any{d["channel_unread_updates"], d["channels"], d["updated_channels"]} {
			for _, c := range list(l) {
				m.either(guild, str(object(c)["id"]), object(c))
			}
		}
		for _, l := range []any{d["members"], d["updated_members"]} {
			for _, v := range list(l) {
				m.member(guild, object(v))
			}
		}
		if l, ok := d["voice_states"].([]any); ok {
			m.replace("voiceState", guild, l, true)
		}
		for _, v := range list(d["updated_voice_states"]) {
			m.merge("voiceState", guild, str(object(v)["user_id"]), object(v))
		}
		for _, v := range list(d["removed_voice_states"]) {
			m.remove("voiceState", guild, str(v))
		}
	case "CHANNEL_STATUSES", "CHANNEL_INFO":
		for _, c := range list(d["channels"]) {
			if s, ok := object(c)["status"]; ok {
				m.update("channel", guild, str(object(c)["id"]), obj{"status": s})
			}
		}
	case "VOICE_CHANNEL_STATUS_UPDATE":
		m.update("channel", guild, id, obj{"status": d["status"]})
	case "CHANNEL_PINS_UPDATE":
		if v, ok := d["last_pin_timestamp"]; ok {
			m.either(guild, str(d["channel_id"]), obj{"last_pin_timestamp": v})
		}
	case "MESSAGE_CREATE":
		m.either(guild, str(d["channel_id"]), obj{"last_message_id": d["id"]})
	case "CHANNEL_RECIPIENT_ADD", "CHANNEL_RECIPIENT_REMOVE":
		u := object(d["user"])
		if name == "CHANNEL_RECIPIENT_ADD" {
			m.user(u)
		}
		m.put("channel", guild, str(d["channel_id"]), func(old obj) obj {
			if old == nil {
				return nil
			}
			out, found := []any{}, false
			for _, r := range list(old["recipients"]) {
				if str(object(r)["id"]) != str(u["id"]) {
					out = append(out, r)
				} else if found = true; name == "CHANNEL_RECIPIENT_ADD" {
					out = append(out, u)
				}
			}
			if !found && name == "CHANNEL_RECIPIENT_REMOVE" {
				return old
			}
			if !found {
				out = append(out, u)
			}
			return laid(old, obj{"recipients": out})
		}, false)
	case "THREAD_DELETE":
		m.remove("thread", guild, id)
	case "THREAD_LIST_SYNC":
		if g := m.guilds[guild]; g != nil && g.own != nil {
			for t, o := range maps.Clone(g.parts["threads"]) {
				if d["channel_ids"] == nil || slices.Contains(list(d["channel_ids"]), any(str(o["parent_id"]))) {
					delete(g.parts["threads"], t)
				}
			}
		}
		for _, t := range list(d["threads"]) {
			t := object(t)
			m.put("thread", guild, str(t["id"]), func(obj) obj { return laid(nil, t, junk...) }, true)
		}
		for _, v := range list(d["members"]) {
			m.nest("thread", guild, str(object(v)["id"]), "member", object(v))
		}
	case "THREAD_MEMBER_UPDATE":
		own := maps.Clone(d)
		delete(own, "guild_id")
		m.nest("thread", guild, id, "member", own)
	case "THREAD_MEMBERS_UPDATE":
		m.update("thread", guild, id, obj{"member_count": d["member_count"]})
	case "GUILD_CREATE":
		m.guild(d, d["unavailable"] != true)
	case "GUILD_UPDATE":
		m.guild(d, false)
	case "GUILD_DELETE":
		if d["unavailable"] != true {
			m.deleteGuild(id)
			return
		}
		m.guild(d, false)
		if g := m.guilds[id]; g != nil && g.own != nil {
			m.stale["guild "+id] = true
		}
		for k := range m.alone {
			if m.home[k] == id {
				m.stale[k] = true
			}
		}
	case "GUILD_SYNC", "GUILD_MEMBERS_CHUNK":
		if name == "GUILD_SYNC" {
			guild = id
		}
		for _, v := range list(d["members"]) {
			m.user(object(object(v)["user"]))
			m.member(guild, object(v))
		}
		for _, p := range list(d["presences"]) {
			m.presence(guild, object(p))
			if name == "GUILD_MEMBERS_CHUNK" {
				m.nest("user", "", str(object(object(p)["user"])["id"]), "presence", object(p))
			}
		}
		for _, v := range list(d["not_found"]) {
			m.remove("member", guild, str(v))
		}
	case "GUILD_MEMBER_LIST_UPDATE":
		if g := m.guilds[guild]; g != nil && g.own != nil && d["member_count"] != nil {
			g.own = laid(g.own, obj{"member_count": d["member_count"]})
		}
		for _, op := range list(d["ops"]) {
			for _, item := range append(slices.Clone(list(object(op)["items"])), object(op)["item"]) {
				if v := object(object(item)["member"]); v != nil {
					m.user(object(v["user"]))
					m.member(guild, v)
				}
			}
		}
	case "GUILD_EMOJIS_UPDATE":
		m.replace("emoji", guild, list(d["emojis"]), true)
	case "GUILD_EMOJI_UPDATE":
		for _, e := range list(d["emojis"]) {
			m.merge("emoji", guild, str(object(e)["id"]), object(e))
		}
	case "GUILD_STICKERS_UPDATE":
		m.replace("sticker", guild, list(d["stickers"]), true)
	case "SOUNDBOARD_SOUNDS":
		m.replace("soundboardSound", guild, list(d["soundboard_sounds"]), true)
	case "GUILD_ROLE_CREATE", "GUILD_ROLE_UPDATE":
		m.merge("role", guild, str(object(d["role"])["id"]), object(d["role"]))
	case "GUILD_ROLE_DELETE":
		m.remove("role", guild, str(d["role_id"]))
	case "GUILD_MEMBER_ADD", "GUILD_MEMBER_REMOVE":
		by := 1.0
		if name == "GUILD_MEMBER_REMOVE" {
			by = -1
		}
		var own obj
		if g := m.guilds[guild]; g != nil && g.own != nil {
			g.own = maps.Clone(g.own)
			own = g.own
		}
		m.count(own, "member_count", by, name, d)
		if by > 0 {
			m.put("member", guild, userOf(d), func(obj) obj { return laid(nil, d, junk...) }, true)
			m.user(object(d["user"]))
		} else {
			m.remove("member", guild, userOf(d))
		}
		text, _ := json.Marshal(d)
		m.last = name + string(text)
	case "GUILD_MEMBER_UPDATE":
		m.member(guild, d)
		m.user(object(d["user"]))
	case "GUILD_SCHEDULED_EVENT_CREATE", "GUILD_SCHEDULED_EVENT_UPDATE":
		m.merge("scheduledEvent", guild, id, d)
	case "GUILD_SCHEDULED_EVENT_DELETE":
		m.remove("scheduledEvent", guild, id)
	case "GUILD_SCHEDULED_EVENT_USER_ADD", "GUILD_SCHEDULED_EVENT_USER_REMOVE":
		by := 1.0
		if name == "GUILD_SCHEDULED_EVENT_USER_REMOVE" {
			by = -1
		}
		for id, g := range m.guilds {
			if g.own == nil || guild != "" && id != guild {
				continue
			}
			if e := g.parts["guild_scheduled_events"][str(d["guild_scheduled_event_id"])]; e != nil {
				e = maps.Clone(e)
				m.count(e, "user_count", by, name, d)
				g.parts["guild_scheduled_events"][str(d["guild_scheduled_event_id"])] = e
			}
		}
		text, _ := json.Marshal(d)
		m.last = name + string(text)
	case "GUILD_SOUNDBOARD_SOUND_CREATE", "GUILD_SOUNDBOARD_SOUND_UPDATE":
		m.merge("soundboardSound", guild, str(d["sound_id"]), d)
	case "GUILD_SOUNDBOARD_SOUND_DELETE":
		m.remove("soundboardSound", guild, str(d["sound_id"]))
	case "STAGE_INSTANCE_CREATE", "STAGE_INSTANCE_UPDATE":
		m.merge("stageInstance", guild, id, d)
	case "STAGE_INSTANCE_DELETE":
		m.remove("stageInstance", guild, id)
	case "AUTO_MODERATION_RULE_CREATE", "AUTO_MODERATION_RULE_UPDATE":
		m.merge("autoModerationRule", guild, id, d)
	case "AUTO_MODERATION_RULE_DELETE":
		m.remove("autoModerationRule", guild, id)
	case "VOICE_STATE_UPDATE":
		if d["channel_id"] != nil {
			m.merge("voiceState", guild, str(d["user_id"]), d)
		} else {
			m.remove("voiceState", guild, str(d["user_id"]))
		}
	}
}

// typedText is an object as its type writes it, with sorted keys: two objects that
// differ only in what the type makes of them are one.
func typedText[T any](o obj) string {
	raw, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	v := new(T)
	if _, err := event.Unmarshal(raw, v); err != nil {
		panic(err)
	}
	return textOf(v)
}

func textOf(v any) string {
	raw, err := event.Marshal(v)
	if err != nil {
		panic(err)
	}
	var generic any
	if err := json.Unmarshal(raw, &generic); err != nil {
		panic(err)
	}
	raw, _ = json.Marshal(generic)
	return string(raw)
}

// text is a guild as Payload would write it.
func (g *naiveGuild) text() string {
	all := maps.Clone(g.own)
	for part, things := range g.parts {
		ids := slices.SortedFunc(maps.Keys(things), func(a, b string) int {
			if len(a) != len(b) {
				return len(a) - len(b)
			}
			return strings.Compare(a, b)
		})
		l := []any{}
		for _, id := range ids {
			l = append(l, things[id])
		}
		all[part] = l
	}
	return typedText[event.GatewayGuild](all)
}
