package fakegateway

import (
	"encoding/json"
)

// ready is the payload of READY.
func (e *Engine) ready(c *EngineConn, s *session, capabilities int64, shard []byte) json.RawMessage {
	w, u := e.world, s.user
	full := e.opt.Profile == Documented
	o := newObject().num("v", 9)
	o.open("user").userFields(u, gatewayDates).num("flags", 0).bool("mfa_enabled", e.opt.MFA != "").
		optStr("email", u.email).null("phone").bool("verified", true).bool("nsfw_allowed", true).bool("premium", true).
		num("purchased_flags", 0).num("premium_usage_flags", 0).bool("disabled", false).
		raw("settings", userSettings(u)).num("rights", 875069521787904).close()
	o.raw("user_settings", userSettings(u))
	o.list("guilds")
	for _, g := range w.Guilds {
		e.readyGuild(o, g, u, capabilities)
	}
	o.end()
	o.none("relationships")
	e.readState(o, u)
	o.list("private_channels")
	private := w.privateOf(u)
	for _, p := range private {
		o.private("", p, u, gatewayDates)
	}
	o.end()
	o.none("presences").str("session_id", s.id).str("country_code", "en-US")
	o.list("users")
	seen := map[*User]bool{u: true}
	for _, p := range private {
		for _, r := range p.Recipients {
			if !seen[r] {
				seen[r] = true
				o.user("", r, gatewayDates)
			}
		}
	}
	o.end().list("merged_members")
	for _, g := range w.Guilds {
		o.list("").listedMember("", g, u, gatewayDates, func(o *object) {
			o.open("guild").str("id", g.ID).close()
		}).end()
	}
	o.end().raw("sessions", e.sessionList(u)).str("resume_gateway_url", e.resumeURL(c))
	o.open("consents").open("personalization").bool("consented", false).close().close()
	o.none("experiments", "guild_join_requests", "connected_accounts", "guild_experiments", "geo_ordered_rtc_regions").
		num("api_code_version", 1).num("friend_suggestion_count", 0).str("analytics_token", "").null("tutorial").
		str("session_type", "normal").str("auth_session_id_hash", e.letters(64, hexDigits)).
		open("notification_settings").num("flags", 0).close().none("game_relationships")
	if full {
		o.open("auth").none("authenticator_types").close().str("user_settings_proto", "").
			str("static_client_session_id", s.id).num("explicit_content_scan_version", 0).
			open("notes").close().none("linked_users")
	}
	if shard != nil {
		o.raw("shard", shard)
	}
	return o.strs("_trace", `["sb-gateway",{"micros":17004,"calls":[]}]`).done()
}

func (e *Engine) resumeURL(c *EngineConn) string {
	if e.opt.ResumeURL != "" {
		return e.opt.ResumeURL
	}
	return "ws://" + c.Request.Host
}

func userSettings(u *User) []byte {
	return newObject().num("index", int64(u.index+1)).num("afk_timeout", 3600).bool("animate_emoji", true).
		open("friend_source_flags").bool("all", true).close().bool("developer_mode", true).
		none("guild_folders", "guild_positions").str("locale", "en-US").bool("message_display_compact", false).
		bool("render_embeds", true).none("restricted_guilds").str("status", u.status).str("theme", "dark").
		num("timezone_offset", 0).done()
}

// readState says that everything has been read.
func (e *Engine) readState(o *object, u *User) {
	o.open("read_state").list("entries")
	for _, c := range e.world.privateOf(u) {
		o.open("").str("id", c.ID).str("channel_id", c.ID).optStr("last_message_id", c.LastMessageID).
			num("mention_count", 0).null("last_pin_timestamp").close()
	}
	o.end().bool("partial", false).num("version", 0).close()
	o.open("user_guild_settings").list("entries")
	for _, g := range e.world.Guilds {
		o.open("").none("channel_overrides").num("message_notifications", 1).num("flags", 0).
			bool("hide_muted_channels", false).bool("mobile_push", true).null("mute_config").
			bool("mute_scheduled_events", false).bool("muted", false).num("notify_highlights", 0).
			bool("suppress_everyone", false).bool("suppress_roles", false).num("version", 0).str("guild_id", g.ID).close()
	}
	o.end().bool("partial", false).num("version", 0).close()
}

// readyGuild writes a guild in one of the two shapes that READY knows: with
// its properties apart (CLIENT_STATE_V2), or flat.
func (e *Engine) readyGuild(o *object, g *Guild, u *User, capabilities int64) {
	w := e.world
	apart := capabilities&capClientStateV2 != 0
	o.open("")
	if apart {
		o.open("application_command_counts").num("1", 5).num("2", 2).num("3", 2).close()
	} else {
		o.str("id", g.ID).guildProperties(g).null("public_updates_channel_id", "rules_channel_id", "widget_channel_id").
			str("region", "spacebar").num("max_presences", 250000).bool("widget_enabled", true).
			open("welcome_screen").bool("enabled", false).str("description", "").none("welcome_channels").close()
	}
	o.list("roles")
	for i, r := range g.Roles {
		o.role("", g, r, i)
	}
	o.end().list("channels")
	for _, c := range g.Channels {
		o.channel("", c, gatewayDates)
	}
	o.end().none("emojis", "guild_scheduled_events", "stickers", "threads").
		bool("large", len(w.Users) > 50).num("member_count", int64(len(w.Users))).num("premium_subscription_count", 0).
		date("joined_at", gatewayDates, g.joinedAt(u))
	if apart {
		o.str("data_mode", "full").str("id", g.ID).bool("lazy", true).open("properties").str("id", g.ID).guildProperties(g).
			null("hub_type", "home_header", "latest_onboarding_question_id", "safety_alerts_channel_id", "vanity_url_code", "application_id").
			num("max_stage_video_channel_users", 50).close().
			none("stage_instances").str("version", "1").open("guild_hashes").close()
	} else {
		e.voiceStates(o, "voice_states", g).none("presences")
	}
	if e.opt.Profile == Documented {
		o.list("members")
		if capabilities&capDedupeUsers == 0 {
			for _, m := range w.Users[:min(len(w.Users), 50)] {
				o.member("", g, m, gatewayDates)
			}
		}
		o.end()
	}
	o.close()
}

func (o *object) guildProperties(g *Guild) *object {
	return o.str("name", g.Name).null("description", "icon", "splash", "banner").none("features").
		str("preferred_locale", "en-US").str("owner_id", g.OwnerID).null("afk_channel_id").num("afk_timeout", 300).
		null("system_channel_id").num("verification_level", 0).num("explicit_content_filter", 0).
		num("default_message_notifications", 1).num("mfa_level", 0).num("premium_tier", 0).
		bool("premium_progress_bar_enabled", false).num("system_channel_flags", 4).null("discovery_splash").
		num("max_video_channel_users", 200).num("max_members", 25000000).num("nsfw_level", 0)
}

func (e *Engine) voiceStates(o *object, key string, g *Guild) *object {
	o.list(key)
	for _, u := range e.world.Users {
		if v := u.voice; v != nil && v.guild == g.ID {
			o.voice("", e.world, u, v, gatewayDates)
		}
	}
	return o.end()
}

// readySupplemental is the payload of READY_SUPPLEMENTAL. What a client is not
// told in READY because there is too much of it, comes here.
func (e *Engine) readySupplemental(s *session) json.RawMessage {
	const most = 50
	w := e.world
	full := e.opt.Profile == Documented
	others := w.Users[:min(len(w.Users), most)]
	o := newObject().list("guilds")
	for _, g := range w.Guilds {
		o.open("").str("id", g.ID)
		e.voiceStates(o, "voice_states", g).none("embedded_activities", "activity_instances").close()
	}
	o.end().list("merged_members")
	for _, g := range w.Guilds {
		o.list("")
		for _, u := range others {
			if full && u != s.user {
				o.listedMember("", g, u, gatewayDates, nil)
			}
		}
		o.end()
	}
	o.end().open("merged_presences").none("friends").list("guilds")
	for range w.Guilds {
		o.list("")
		for _, u := range others {
			if full && u != s.user && u.online() {
				o.presence("", u, "", true, gatewayDates)
			}
		}
		o.end()
	}
	return o.end().close().none("lazy_private_channels", "disclose", "game_invites").done()
}
