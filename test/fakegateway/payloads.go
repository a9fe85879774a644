package fakegateway

import "time"

// The shapes of the objects in payloads, as a Spacebar server sends them.

// dates is how a payload writes dates: what the gateway process builds itself
// ends in "+00:00", what comes over the event bus in "Z".
type dates string

const (
	gatewayDates dates = "+00:00"
	busDates     dates = "Z"
)

func (d dates) format(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.000") + string(d)
}

func (o *object) date(k string, d dates, t time.Time) *object {
	if t.IsZero() {
		return o.null(k)
	}
	return o.str(k, d.format(t))
}

func (o *object) user(k string, u *User, d dates) *object {
	return o.open(k).userFields(u, d).close()
}

func (o *object) userFields(u *User, d dates) *object {
	return o.str("username", u.Username).str("discriminator", u.Discriminator).str("id", u.ID).
		num("public_flags", 0).null("avatar", "accent_color", "banner").str("bio", u.Bio).bool("bot", false).
		date("premium_since", d, u.since).num("premium_type", 2).
		null("theme_colors", "pronouns", "badge_ids", "avatar_decoration_data", "display_name_styles", "collectibles", "primary_guild")
}

// author is the shorter shape of a user in messages.
func (o *object) author(k string, u *User) *object {
	return o.open(k).str("id", u.ID).str("username", u.Username).str("discriminator", u.Discriminator).
		null("avatar", "avatar_decoration_data").bool("bot", false).bool("system", false).
		null("banner", "accent_color").num("public_flags", 0).close()
}

// member writes a guild member as member events and chunks have it: its roles
// include @everyone.
func (o *object) member(k string, g *Guild, u *User, d dates) *object {
	return o.open(k).memberFields(g, u, d).user("user", u, d).close()
}

func (o *object) memberFields(g *Guild, u *User, d dates) *object {
	return o.str("id", u.ID).str("guild_id", g.ID).optStr("nick", g.nickOf(u)).
		strs("roles", append([]string{g.ID}, g.rolesOf(u)...)...).date("joined_at", d, g.joinedAt(u)).
		bool("pending", false).bool("deaf", false).bool("mute", false).null("premium_since", "avatar", "banner").
		str("bio", "").null("theme_colors", "pronouns", "communication_disabled_until").num("flags", 0)
}

// listedMember writes a member as READY and member lists have it: with an
// index, and its roles without @everyone. more adds to it.
func (o *object) listedMember(k string, g *Guild, u *User, d dates, more func(o *object)) *object {
	o.open(k).num("index", int64(u.index+1)).str("id", u.ID).user("user", u, d).str("guild_id", g.ID)
	if more != nil {
		more(o)
	}
	return o.optStr("nick", g.nickOf(u)).strs("roles", g.rolesOf(u)...).date("joined_at", d, g.joinedAt(u)).
		null("premium_since").bool("deaf", false).bool("mute", false).bool("pending", false).
		null("last_message_id", "avatar", "banner").str("bio", "").
		null("theme_colors", "pronouns", "communication_disabled_until").num("flags", 0).close()
}

// messageMember writes a member as messages have it: without the user, its
// roles without @everyone.
func (o *object) messageMember(k string, g *Guild, u *User) *object {
	return o.open(k).num("index", int64(u.index+1)).str("id", u.ID).str("guild_id", g.ID).optStr("nick", g.nickOf(u)).
		date("joined_at", busDates, g.joinedAt(u)).null("premium_since").bool("deaf", false).bool("mute", false).
		bool("pending", false).null("last_message_id", "joined_by", "avatar", "banner").str("bio", "").
		null("theme_colors", "pronouns", "communication_disabled_until", "avatar_decoration_data", "display_name_styles", "collectibles").
		num("flags", 0).strs("roles", g.rolesOf(u)...).close()
}

// presence writes u's presence; withStatus is false for the answer to op 3,
// where Spacebar leaves the status out.
func (o *object) presence(k string, u *User, guild string, withStatus bool, d dates) *object {
	o.open(k).user("user", u, d)
	if guild != "" {
		o.str("guild_id", guild)
	}
	o.raw("activities", u.activities()).open("client_status")
	o.close()
	if withStatus {
		o.str("status", u.status)
	}
	return o.close()
}

func (u *User) activities() []byte {
	if u.activity == nil {
		return []byte("[]")
	}
	return u.activity
}

func (u *User) online() bool { return u.status != "offline" && u.status != "invisible" }

func (o *object) channel(k string, c *Channel, d dates) *object {
	o.open(k).str("id", c.ID).date("created_at", d, c.created).str("name", c.Name).null("icon").
		num("type", int64(c.Type)).optStr("last_message_id", c.LastMessageID).str("guild_id", c.GuildID).
		optStr("parent_id", c.ParentID).none("permission_overwrites").null("video_quality_mode")
	if c.Type == 2 {
		o.num("bitrate", 64000)
	}
	return o.bool("nsfw", false).
		optStr("topic", c.Topic).num("flags", 0).num("default_thread_rate_limit_per_user", 0).none("available_tags").
		optStr("status", c.voiceStatus).num("position", int64(c.position)).close()
}

// private writes a private channel as u sees it.
func (o *object) private(k string, c *Channel, u *User, d dates) *object {
	o.open(k).str("id", c.ID).num("flags", 0).optStr("last_message_id", c.LastMessageID).num("type", int64(c.Type)).list("recipients")
	for _, r := range c.Recipients {
		if r != u {
			o.user("", r, d)
		}
	}
	o.end().null("icon").str("name", c.Name).bool("is_spam", false)
	if c.Type == 3 {
		o.str("owner_id", c.Recipients[0].ID)
	}
	return o.close()
}

func (o *object) role(k string, g *Guild, r *Role, position int) *object {
	return o.open(k).str("id", r.ID).str("guild_id", g.ID).num("color", int64(r.Color)).bool("hoist", r.Hoist).
		bool("managed", false).bool("mentionable", false).str("name", r.Name).str("permissions", r.Permissions).
		num("position", int64(position)).null("icon", "unicode_emoji").num("flags", 0).
		open("colors").num("primary_color", int64(r.Color)).close().close()
}

func (o *object) voice(k string, w *World, u *User, v *voiceState, d dates) *object {
	o.open(k).str("user_id", u.ID).bool("suppress", false).str("session_id", v.session).
		bool("self_video", v.video).bool("self_mute", v.mute).bool("self_deaf", v.deaf).
		null("self_stream", "request_to_speak_timestamp").bool("mute", false).bool("deaf", false).
		optStr("channel_id", v.channel).optStr("guild_id", v.guild)
	if g := w.guilds[v.guild]; g != nil && v.channel != "" {
		o.member("member", g, u, d)
	}
	return o.close()
}

// messageFields are what MESSAGE_CREATE says; nonce may be empty.
func (o *object) messageFields(w *World, c *Channel, u *User, id, content, nonce string, at time.Time) *object {
	o.str("id", id).str("channel_id", c.ID).optStr("guild_id", c.GuildID).author("author", u)
	if g := w.guilds[c.GuildID]; g != nil {
		o.messageMember("member", g, u)
	}
	o.str("content", content).str("timestamp", busDates.format(at)).null("edited_timestamp").
		bool("tts", false).bool("mention_everyone", false).
		none("mentions", "mention_roles", "mention_channels", "attachments", "embeds", "reactions")
	if nonce != "" {
		o.str("nonce", nonce)
	}
	return o.num("type", 0).none("components").bool("pinned", false)
}
