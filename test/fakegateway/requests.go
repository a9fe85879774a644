package fakegateway

import (
	"encoding/json"
	"strings"
	"time"
)

// request is an opcode that a client may send after Identify.
type request struct {
	// do answers it. It returns the code to close with, 0 for none.
	do func(c *EngineConn, d json.RawMessage) int
	// documentedOnly: Spacebar does not know it.
	documentedOnly bool
	// early is what Spacebar closes with before Identify.
	early int
}

func (r request) in(p Profile) bool { return p == Documented || !r.documentedOnly }

// requests by opcode.
var requests = map[int]request{
	opPresence:           {do: (*EngineConn).onPresence, early: 4000},
	opVoiceState:         {do: (*EngineConn).onVoiceState},
	opVoicePing:          {do: (*EngineConn).onVoicePing, documentedOnly: true},
	opMembers:            {do: (*EngineConn).onMembers, early: 4000},
	opGuildSync:          {do: (*EngineConn).onGuildSync},
	opCallConnect:        {do: (*EngineConn).onCallConnect, documentedOnly: true},
	opSubscriptions:      {do: (*EngineConn).onSubscriptions},
	opLobbyVoice:         {do: (*EngineConn).onLobbyVoice, documentedOnly: true},
	opStreamCreate:       {do: (*EngineConn).onStreamCreate},
	opStreamDelete:       {do: (*EngineConn).onStreamDelete},
	opStreamWatch:        {do: (*EngineConn).onStreamWatch},
	opStreamPing:         {do: (*EngineConn).onStreamPing, documentedOnly: true},
	opStreamPaused:       {do: (*EngineConn).onStreamPaused, documentedOnly: true},
	opForumUnreads:       {do: (*EngineConn).onForumUnreads, documentedOnly: true},
	opRemoteCommand:      {do: (*EngineConn).onRemoteCommand, documentedOnly: true},
	opDeletedEntities:    {do: (*EngineConn).onDeletedEntities, documentedOnly: true},
	opSoundboard:         {do: (*EngineConn).onSoundboard, documentedOnly: true},
	opSpeedTestCreate:    {do: (*EngineConn).onSpeedTestCreate, documentedOnly: true},
	opSpeedTestDelete:    {do: (*EngineConn).onSpeedTestDelete, documentedOnly: true},
	opLastMessages:       {do: (*EngineConn).onLastMessages, documentedOnly: true},
	opSearchMembers:      {do: (*EngineConn).onSearchMembers, documentedOnly: true},
	opChannelStatuses:    {do: (*EngineConn).onChannelStatuses},
	opSubscriptionsBulk:  {do: (*EngineConn).onSubscriptionsBulk},
	opChannelsResync:     {do: (*EngineConn).onChannelsResync, documentedOnly: true},
	opChannelMemberCount: {do: (*EngineConn).onChannelMemberCount, documentedOnly: true},
	opTimeSpent:          {do: ignore},
	opLobbyVoicePing:     {do: (*EngineConn).onLobbyVoicePing, documentedOnly: true},
	opChannelInfo:        {do: (*EngineConn).onChannelInfo},
}

func ignore(*EngineConn, json.RawMessage) int { return 0 }

// read reads a payload; what cannot be read is answered with 4002.
func read(d json.RawMessage, v any) int {
	if len(d) == 0 || json.Unmarshal(d, v) != nil {
		return 4002
	}
	return 0
}

// foreign is what a guild or channel that the user cannot see leads to: on
// Spacebar a handler throws.
func (c *EngineConn) foreign() int {
	if c.e.opt.Profile == Spacebar {
		return 4000
	}
	return 0
}

func (c *EngineConn) onPresence(d json.RawMessage) int {
	var p presence
	if code := read(d, &p); code != 0 {
		return code
	}
	u := c.sess.user
	u.status, u.activity = p.Status, orNil(p.Activities)
	withStatus := c.e.opt.Profile != Spacebar
	ev := event{name: "PRESENCE_UPDATE", d: new(object).presence("", u, "", withStatus, busDates).b}
	if !withStatus {
		ev.etf = append(ev.d[:len(ev.d)-1:len(ev.d)-1], `,"status":null}`...)
	}
	c.e.emit(Target{}, ev)
	return 0
}

func (c *EngineConn) onVoiceState(d json.RawMessage) int {
	var p struct {
		GuildID   string `json:"guild_id"`
		ChannelID string `json:"channel_id"`
		Mute      bool   `json:"self_mute"`
		Deaf      bool   `json:"self_deaf"`
		Video     bool   `json:"self_video"`
	}
	if code := read(d, &p); code != 0 {
		return code
	}
	e, u := c.e, c.sess.user
	if p.ChannelID == "" {
		if u.voice != nil {
			e.leaveVoice(u, &voiceState{session: c.sess.id, mute: p.Mute, deaf: p.Deaf})
		}
		return 0
	}
	ch := e.world.channels[p.ChannelID]
	if ch == nil || ch.GuildID != p.GuildID {
		return c.foreign()
	}
	before := u.voice
	u.voice = &voiceState{guild: p.GuildID, channel: p.ChannelID, session: c.sess.id, mute: p.Mute, deaf: p.Deaf, video: p.Video}
	if ch.voiceSince.IsZero() {
		ch.voiceSince = e.date()
	}
	e.voiceUpdate(u, u.voice)
	if before != nil && before.channel == p.ChannelID {
		return 0
	}
	e.voiceServer(u)
	return 0
}

// voiceServer tells a user where to connect to.
func (e *Engine) voiceServer(u *User) {
	o := newObject().str("token", e.letters(16, hexDigits)).optStr("guild_id", u.voice.guild)
	if u.voice.guild == "" {
		o.str("channel_id", u.voice.channel)
	}
	e.toUser(u, "VOICE_SERVER_UPDATE", o.str("endpoint", "127.0.0.1:3004").done())
}

func (c *EngineConn) onVoicePing(json.RawMessage) int {
	if u := c.sess.user; u.voice != nil {
		c.e.voiceServer(u)
	}
	return 0
}

// leaveVoice takes a user out of voice. A client that leaves sends a state;
// Spacebar tells of it three times then: once with the guild, twice without.
func (e *Engine) leaveVoice(u *User, sent *voiceState) {
	old := u.voice
	u.voice = nil
	gone := *old
	gone.channel = ""
	e.voiceUpdate(u, &gone)
	if sent != nil && e.opt.Profile == Spacebar {
		e.voiceUpdate(u, sent)
		e.voiceUpdate(u, sent)
	}
	for _, other := range e.world.Users {
		if other.voice != nil && other.voice.channel == old.channel {
			return
		}
	}
	if ch := e.world.channels[old.channel]; ch != nil {
		ch.voiceSince = time.Time{}
	}
}

func (e *Engine) voiceUpdate(u *User, v *voiceState) {
	e.emit(Target{}, event{name: "VOICE_STATE_UPDATE", d: new(object).voice("", e.world, u, v, busDates).b})
}

func (c *EngineConn) onGuildSync(d json.RawMessage) int {
	var ids []string
	if code := read(d, &ids); code != 0 {
		return code
	}
	w := c.e.world
	for _, id := range ids {
		g := w.guilds[id]
		if g == nil {
			continue
		}
		o := newObject().str("id", id).list("presences")
		for _, u := range w.Users {
			if u.online() {
				o.presence("", u, id, true, gatewayDates)
			}
		}
		o.end().list("members")
		for _, u := range w.Users {
			o.member("", g, u, gatewayDates)
		}
		c.dispatch("GUILD_SYNC", o.end().done())
	}
	return 0
}

func (c *EngineConn) onCallConnect(d json.RawMessage) int {
	var p struct {
		ChannelID string `json:"channel_id"`
	}
	if code := read(d, &p); code != 0 {
		return code
	}
	ch := c.e.world.channels[p.ChannelID]
	if ch == nil || ch.GuildID != "" {
		return 0
	}
	o := newObject().str("channel_id", ch.ID).str("message_id", c.e.newID()).str("region", "spacebar").none("ringing").list("voice_states")
	for _, u := range ch.Recipients {
		if u.voice != nil && u.voice.channel == ch.ID {
			o.voice("", c.e.world, u, u.voice, busDates)
		}
	}
	c.dispatch("CALL_CREATE", o.end().done())
	return 0
}

func (c *EngineConn) onLobbyVoice(d json.RawMessage) int {
	var list []struct {
		LobbyID string `json:"lobby_id"`
		Mute    bool   `json:"self_mute"`
		Deaf    bool   `json:"self_deaf"`
	}
	if code := read(d, &list); code != 0 {
		return code
	}
	for _, p := range list {
		c.dispatch("LOBBY_VOICE_STATE_UPDATE", newObject().str("lobby_id", p.LobbyID).str("channel_id", p.LobbyID).
			str("user_id", c.sess.user.ID).str("session_id", c.sess.id).bool("deaf", false).bool("mute", false).
			bool("self_deaf", p.Deaf).bool("self_mute", p.Mute).bool("self_video", false).bool("suppress", false).
			null("request_to_speak_timestamp").done())
		c.lobbyVoiceServer(p.LobbyID)
	}
	return 0
}

func (c *EngineConn) lobbyVoiceServer(id string) {
	c.dispatch("LOBBY_VOICE_SERVER_UPDATE", newObject().str("token", c.e.letters(16, hexDigits)).
		str("lobby_id", id).str("endpoint", "127.0.0.1:3004").done())
}

func (c *EngineConn) onLobbyVoicePing(d json.RawMessage) int {
	var p struct {
		LobbyID string `json:"lobby_id"`
	}
	if code := read(d, &p); code != 0 {
		return code
	}
	if p.LobbyID != "" {
		c.lobbyVoiceServer(p.LobbyID)
	}
	return 0
}

type streamRequest struct {
	Type      string `json:"type"`
	GuildID   string `json:"guild_id"`
	ChannelID string `json:"channel_id"`
	Key       string `json:"stream_key"`
	Paused    bool   `json:"paused"`
}

func (c *EngineConn) onStreamCreate(d json.RawMessage) int {
	var p streamRequest
	if code := read(d, &p); code != 0 {
		return code
	}
	if c.e.world.channels[p.ChannelID] == nil {
		return c.foreign()
	}
	key := []string{p.Type, p.GuildID, p.ChannelID, c.sess.user.ID}
	if p.GuildID == "" {
		key = []string{p.Type, p.ChannelID, c.sess.user.ID}
	}
	c.stream("STREAM_CREATE", strings.Join(key, ":"), p.ChannelID, false)
	return 0
}

func (c *EngineConn) onStreamWatch(d json.RawMessage) int {
	var p streamRequest
	if code := read(d, &p); code != 0 {
		return code
	}
	parts := strings.Split(p.Key, ":")
	if len(parts) < 3 {
		return c.foreign()
	}
	c.stream("STREAM_CREATE", p.Key, parts[len(parts)-2], false)
	return 0
}

// stream tells of a stream and, if it is new, where to find it.
func (c *EngineConn) stream(name, key, channel string, paused bool) {
	c.dispatch(name, newObject().str("stream_key", key).str("rtc_server_id", c.e.newID()).str("rtc_channel_id", channel).
		str("region", "spacebar").strs("viewer_ids", c.sess.user.ID).bool("paused", paused).done())
	if kind, isNew := strings.CutSuffix(name, "_CREATE"); isNew {
		c.streamServer(kind, key)
	}
}

func (c *EngineConn) streamServer(kind, key string) {
	c.dispatch(kind+"_SERVER_UPDATE", newObject().str("token", c.e.letters(16, hexDigits)).str("stream_key", key).
		str("endpoint", "127.0.0.1:3004").done())
}

func (c *EngineConn) onStreamPing(d json.RawMessage) int {
	var p streamRequest
	if code := read(d, &p); code != 0 {
		return code
	}
	c.streamServer("STREAM", p.Key)
	return 0
}

func (c *EngineConn) onStreamDelete(d json.RawMessage) int {
	var p streamRequest
	if code := read(d, &p); code != 0 {
		return code
	}
	c.dispatch("STREAM_DELETE", newObject().str("stream_key", p.Key).str("reason", "user_requested").done())
	return 0
}

func (c *EngineConn) onStreamPaused(d json.RawMessage) int {
	var p streamRequest
	if code := read(d, &p); code != 0 {
		return code
	}
	c.stream("STREAM_UPDATE", p.Key, "", p.Paused)
	return 0
}

func (c *EngineConn) onSpeedTestCreate(json.RawMessage) int {
	c.stream("SPEED_TEST_CREATE", "speed_test:"+c.sess.user.ID, "", false)
	return 0
}

func (c *EngineConn) onSpeedTestDelete(json.RawMessage) int {
	c.dispatch("SPEED_TEST_DELETE", newObject().str("stream_key", "speed_test:"+c.sess.user.ID).str("reason", "user_requested").done())
	return 0
}

func (c *EngineConn) onRemoteCommand(d json.RawMessage) int {
	var p struct {
		Target string `json:"target_session_id"`
	}
	if code := read(d, &p); code != 0 {
		return code
	}
	if s := c.e.session(p.Target); s != nil && s.user == c.sess.user {
		c.e.deliver(s, nil, event{name: "REMOTE_COMMAND", d: d})
	}
	return 0
}

// guildRequest is the payload of requests about a guild and its channels.
type guildRequest struct {
	GuildID    string   `json:"guild_id"`
	GuildIDs   []string `json:"guild_ids"`
	ChannelID  string   `json:"channel_id"`
	ChannelIDs []string `json:"channel_ids"`
	Obfuscated []string `json:"obfuscated_channel_ids"`
	Fields     []string `json:"fields"`
}

func (c *EngineConn) onForumUnreads(d json.RawMessage) int {
	var p guildRequest
	if code := read(d, &p); code != 0 {
		return code
	}
	c.dispatch("FORUM_UNREADS", newObject().str("guild_id", p.GuildID).str("channel_id", p.ChannelID).
		bool("permission_denied", false).none("threads").done())
	return 0
}

func (c *EngineConn) onDeletedEntities(d json.RawMessage) int {
	var p guildRequest
	if code := read(d, &p); code != 0 {
		return code
	}
	c.dispatch("DELETED_ENTITY_IDS", newObject().str("guild_id", p.GuildID).none("channels", "roles", "emojis", "stickers").done())
	return 0
}

func (c *EngineConn) onSoundboard(d json.RawMessage) int {
	var p guildRequest
	if code := read(d, &p); code != 0 {
		return code
	}
	for _, id := range p.GuildIDs {
		if c.e.world.guilds[id] == nil {
			continue
		}
		c.dispatch("SOUNDBOARD_SOUNDS", newObject().str("guild_id", id).list("soundboard_sounds").
			open("").str("sound_id", c.e.newID()).str("name", "airhorn").num("volume", 1).null("emoji_id").
			str("emoji_name", "📣").str("guild_id", id).bool("available", true).close().end().done())
	}
	return 0
}

func (c *EngineConn) onLastMessages(d json.RawMessage) int {
	var p guildRequest
	if code := read(d, &p); code != 0 {
		return code
	}
	w := c.e.world
	o := newObject().str("guild_id", p.GuildID).list("messages")
	for _, id := range p.ChannelIDs {
		ch := w.channels[id]
		if ch == nil || ch.GuildID != p.GuildID || ch.LastMessageID == "" {
			continue
		}
		o.open("").messageFields(w, ch, w.Users[ch.position%len(w.Users)], ch.LastMessageID, "The last word.", "", c.e.date()).close()
	}
	c.dispatch("LAST_MESSAGES", o.end().done())
	return 0
}

func (c *EngineConn) onChannelStatuses(d json.RawMessage) int {
	var p guildRequest
	if code := read(d, &p); code != 0 {
		return code
	}
	o := newObject().str("guild_id", p.GuildID).list("channels")
	if g := c.e.world.guilds[p.GuildID]; g != nil {
		for _, ch := range g.Channels {
			if ch.voiceStatus != "" {
				o.open("").str("id", ch.ID).str("status", ch.voiceStatus).close()
			}
		}
	}
	c.dispatch("CHANNEL_STATUSES", o.end().done())
	return 0
}

// onChannelInfo answers with the voice channels that are in use.
func (c *EngineConn) onChannelInfo(d json.RawMessage) int {
	var p guildRequest
	if code := read(d, &p); code != 0 {
		return code
	}
	o := newObject().str("guild_id", p.GuildID).list("channels")
	if g := c.e.world.guilds[p.GuildID]; g != nil {
		for _, ch := range g.Channels {
			if ch.voiceSince.IsZero() {
				continue
			}
			o.open("").str("id", ch.ID)
			for _, f := range p.Fields {
				switch f {
				case "status":
					o.optStr("status", ch.voiceStatus)
				case "voice_start_time":
					o.date("voice_start_time", busDates, ch.voiceSince)
				}
			}
			o.close()
		}
	}
	c.dispatch("CHANNEL_INFO", o.end().done())
	return 0
}

func (c *EngineConn) onChannelsResync(d json.RawMessage) int {
	var p guildRequest
	if code := read(d, &p); code != 0 {
		return code
	}
	g := c.e.world.guilds[p.GuildID]
	if g == nil {
		return 0
	}
	o := newObject().str("guild_id", g.ID).list("channels")
	for _, id := range p.Obfuscated {
		if ch := c.e.world.channels[id]; ch != nil && ch.GuildID == g.ID {
			o.channel("", ch, gatewayDates)
		}
	}
	c.dispatch("CHANNEL_SYNC", o.end().bool("integrity_check", true).done())
	return 0
}

func (c *EngineConn) onChannelMemberCount(d json.RawMessage) int {
	var p guildRequest
	if code := read(d, &p); code != 0 {
		return code
	}
	online := int64(0)
	for _, u := range c.e.world.Users {
		if u.online() {
			online++
		}
	}
	c.dispatch("CHANNEL_MEMBER_COUNT_UPDATE", newObject().str("guild_id", p.GuildID).str("channel_id", p.ChannelID).
		num("member_count", int64(len(c.e.world.Users))).num("presence_count", online).done())
	return 0
}
