package fakegateway

import (
	"math/rand/v2"
	"time"
)

// life makes things happen by themselves.
type life struct {
	rate   float64
	timer  *timer
	recent []said  // messages to react to
	events []Event // in place of what would happen
	next   int     // of events
}

type said struct {
	id      string
	channel *Channel
	author  *User
}

// SetLife makes that many events a second happen by themselves: people type and
// write, react, come and go, talk. What happens follows from Options.Seed; or
// else it is the given events, over and over, such as a Mix. A rate of 0 ends
// it.
func (e *Engine) SetLife(now time.Duration, rate float64, events ...Event) {
	e.Tick(now)
	e.stop(e.life.timer)
	e.life.rate, e.life.events, e.life.next = rate, events, 0
	if rate > 0 {
		e.lifeGoesOn(0)
	}
}

func (e *Engine) lifeGoesOn(wait time.Duration) {
	period := time.Duration(float64(time.Second) / e.life.rate)
	e.life.timer = e.after(wait+period, func() {
		e.happen()
		// After a pause of the whole machine, do not make up for it.
		var skip time.Duration
		if e.until-e.now > time.Second {
			skip = e.until - e.now
		}
		e.lifeGoesOn(skip)
	})
}

// happen makes one event.
func (e *Engine) happen() {
	if len(e.sessions) == 0 {
		return
	}
	if l := &e.life; len(l.events) > 0 {
		e.happens(l.events[l.next].Name, l.events[l.next].Data)
		l.next = (l.next + 1) % len(l.events)
		return
	}
	w, rng := e.world, e.rng
	u := w.Users[rng.IntN(len(w.Users))]
	g := w.Guilds[rng.IntN(len(w.Guilds))]
	ch := g.randomText(rng)
	switch n := rng.IntN(100); {
	case n < 15:
		e.happens("TYPING_START", typing(g, ch, u, e.date()))
	case n < 45:
		id := e.newID()
		ch.LastMessageID = id
		e.life.recent = append(e.life.recent, said{id, ch, u})
		e.life.recent = e.life.recent[max(0, len(e.life.recent)-20):]
		e.happens("MESSAGE_CREATE", newObject().messageFields(w, ch, u, id, sentence(rng), "", e.date()).done())
	case n < 60 && len(e.life.recent) > 0:
		m := e.life.recent[rng.IntN(len(e.life.recent))]
		e.happens("MESSAGE_REACTION_ADD", reaction(w, m, u, emojis[rng.IntN(len(emojis))]))
	case n < 85:
		if e.connected(u) {
			return // is what its own clients say it is
		}
		u.status = statuses[rng.IntN(len(statuses))]
		u.activity = nil
		if u.online() && rng.IntN(3) == 0 {
			u.activity = []byte(`[{"name":"` + games[rng.IntN(len(games))] + `","type":0}]`)
		}
		e.happens("PRESENCE_UPDATE", new(object).presence("", u, g.ID, true, busDates).b)
	case n < 95:
		e.talk(g, u)
	default:
		if e.connected(u) {
			return
		}
		name := "GUILD_MEMBER_ADD"
		d := new(object).member("", g, u, busDates).b
		if rng.IntN(2) == 0 {
			name, d = "GUILD_MEMBER_UPDATE", memberUpdate(g, u)
		}
		e.happens(name, d)
	}
}

func (e *Engine) happens(name string, d []byte) { e.emit(Target{}, event{name: name, d: d}) }

// connected tells whether u has a client here, whose doings are not made up.
func (e *Engine) connected(u *User) bool {
	for _, s := range e.sessions {
		if s.user == u {
			return true
		}
	}
	return false
}

// talk lets u join a voice channel or leave it.
func (e *Engine) talk(g *Guild, u *User) {
	ch := g.Voice()
	switch {
	case e.connected(u) || ch == nil:
	case u.voice != nil:
		e.leaveVoice(u, nil)
	default:
		u.voice = &voiceState{guild: g.ID, channel: ch.ID, session: e.letters(10, upper), mute: e.rng.IntN(2) == 0}
		if ch.voiceSince.IsZero() {
			ch.voiceSince = e.date()
		}
		e.voiceUpdate(u, u.voice)
	}
}

func (g *Guild) randomText(rng *rand.Rand) *Channel {
	for range 8 {
		if c := g.Channels[rng.IntN(len(g.Channels))]; c.Type == 0 {
			return c
		}
	}
	return g.Channels[0]
}

var (
	emojis  = [...]string{"👍", "🔥", "😂", "❤️", "🎉", "👀"}
	opening = [...]string{"Has anybody", "I just", "Tomorrow we", "Honestly, I", "My cat", "They", "Somebody", "We finally", "The build", "Nobody"}
	middle  = [...]string{"fixed", "forgot", "tried", "found", "broke", "baked", "finished reading", "heard about", "dreamt of", "lost"}
	object1 = [...]string{"the gateway", "that bug", "a new recipe", "the last train", "my keys", "chapter seven", "the demo", "a very long song", "the tests", "an old photo"}
	ending  = [...]string{".", "!", "?", " again.", " 🎉", " 😅", ", sorry.", " – does it work for you?", ".", "…"}
	fillers = [...]string{"and", "then", "the", "rain", "stopped", "so", "we", "walked", "home", "slowly", "talking", "about", "nothing", "in", "particular", "until", "morning"}
)

// sentence makes something that somebody might write.
func sentence(rng *rand.Rand) string {
	return opening[rng.IntN(len(opening))] + " " + middle[rng.IntN(len(middle))] + " " +
		object1[rng.IntN(len(object1))] + ending[rng.IntN(len(ending))]
}

func typing(g *Guild, ch *Channel, u *User, at time.Time) []byte {
	return newObject().member("member", g, u, busDates).str("channel_id", ch.ID).num("timestamp", at.Unix()).
		str("user_id", u.ID).str("guild_id", g.ID).done()
}

func reaction(w *World, m said, u *User, emoji string) []byte {
	o := newObject().str("user_id", u.ID).str("channel_id", m.channel.ID).str("message_id", m.id).
		str("guild_id", m.channel.GuildID).open("emoji").str("name", emoji).close()
	if g := w.guilds[m.channel.GuildID]; g != nil {
		o.member("member", g, u, busDates)
	}
	return o.num("type", 0).done()
}

// memberUpdate shows of the user what should be nobody's business, as
// Spacebar's does.
func memberUpdate(g *Guild, u *User) []byte {
	return newObject().str("guild_id", g.ID).open("user").str("id", u.ID).str("username", u.Username).
		str("discriminator", u.Discriminator).null("avatar", "accent_color", "banner", "theme_colors", "pronouns").
		bool("desktop", false).bool("mobile", false).bool("premium", true).num("premium_type", 2).bool("bot", false).
		str("bio", u.Bio).bool("system", false).bool("nsfw_allowed", true).bool("mfa_enabled", false).
		bool("webauthn_enabled", false).str("totp_secret", "").str("totp_last_ticket", "").
		date("created_at", busDates, u.since).date("premium_since", busDates, u.since).bool("disabled", false).
		bool("deleted", false).num("flags", 0).num("public_flags", 0).num("purchased_flags", 0).
		num("premium_usage_flags", 0).num("rights", 875069521787904).none("fingerprints").
		null("badge_ids", "avatar_decoration_data", "display_name_styles", "collectibles", "primary_guild").close().
		strs("roles", append([]string{g.ID}, g.rolesOf(u)...)...).done()
}
