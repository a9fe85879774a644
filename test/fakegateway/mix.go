package fakegateway

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"time"
)

// Event is a dispatch: its name (t) and its payload (d).
type Event struct {
	Name string          `json:"event"`
	Data json.RawMessage `json:"d"`
}

// MixOptions say how large the events of a Mix are: the bytes of their
// payloads, as far as there is text in them that can be longer; 0 leaves them
// as they come.
type MixOptions struct {
	Seed                     uint64
	Presence, Message, Other int
}

// Mix makes events as a busy gateway sends them: 55 % presence updates, 20 %
// messages, the rest mixed. The same options make the same events.
func (w *World) Mix(n int, o MixOptions) []Event {
	rng := rand.New(rand.NewPCG(o.Seed, 0x317))
	const presences, messages, all = 11, 4, 20
	list := make([]Event, 0, n)
	order := make([]int, all)
	for i := range n {
		if i%all == 0 {
			order = rng.Perm(all)
		}
		switch kind := order[i%all]; {
		case kind < presences:
			list = append(list, w.somePresence(rng, o.Presence))
		case kind < presences+messages:
			list = append(list, w.someMessage(rng, "MESSAGE_CREATE", o.Message))
		default:
			list = append(list, w.somethingElse(rng, kind-presences-messages, o.Other))
		}
	}
	return list
}

func (w *World) randomUser(rng *rand.Rand) *User { return w.Users[rng.IntN(len(w.Users))] }

func (w *World) randomGuild(rng *rand.Rand) *Guild { return w.Guilds[rng.IntN(len(w.Guilds))] }

func (w *World) somePresence(rng *rand.Rand, size int) Event {
	u, g := w.randomUser(rng), w.randomGuild(rng)
	status, game := statuses[rng.IntN(len(statuses))], games[rng.IntN(len(games))]
	return Event{"PRESENCE_UPDATE", grown(rng, size, func(text string) []byte {
		o := newObject().user("user", u, busDates).str("guild_id", g.ID).list("activities")
		if text != "" {
			o.open("").str("name", game).num("type", 0).str("state", text).close()
		}
		return o.end().open("client_status").close().str("status", status).done()
	})}
}

func (w *World) someMessage(rng *rand.Rand, name string, size int) Event {
	u, ch := w.randomUser(rng), w.randomGuild(rng).randomText(rng)
	at := worldEpoch.Add(time.Duration(rng.Int64N(int64(24 * time.Hour))))
	id, first := snowflake(at, rng.IntN(4096)), sentence(rng)
	return Event{name, grown(rng, size, func(text string) []byte {
		return newObject().messageFields(w, ch, u, id, strings.TrimSpace(first+" "+text), "", at).done()
	})}
}

func (w *World) somethingElse(rng *rand.Rand, kind, size int) Event {
	u, g := w.randomUser(rng), w.randomGuild(rng)
	ch := g.randomText(rng)
	switch kind {
	case 0:
		return Event{"TYPING_START", typing(g, ch, u, worldEpoch)}
	case 1:
		return w.someMessage(rng, "MESSAGE_UPDATE", size)
	case 2:
		return Event{"MESSAGE_REACTION_ADD", reaction(w, said{ch.ID, ch, u}, u, emojis[rng.IntN(len(emojis))])}
	case 3:
		v := &voiceState{guild: g.ID, session: "ABCDEFGHIJ", mute: rng.IntN(2) == 0}
		if c := g.Voice(); c != nil {
			v.channel = c.ID
		}
		return Event{"VOICE_STATE_UPDATE", new(object).voice("", w, u, v, busDates).b}
	}
	return Event{"CHANNEL_UPDATE", grown(rng, size, func(text string) []byte {
		c := *ch
		c.Topic = text
		return new(object).channel("", &c, busDates).b
	})}
}

// grown builds a payload with a text that makes it size bytes long, or with
// none if it is that long without.
func grown(rng *rand.Rand, size int, build func(text string) []byte) []byte {
	least := build("")
	if len(least) >= size {
		return least
	}
	// A first text shows what it costs to have one at all.
	text := fillers[rng.IntN(len(fillers))]
	missing := size - len(build(text))
	if missing <= 0 {
		return build(text)
	}
	var b strings.Builder
	b.WriteString(text)
	for b.Len() < len(text)+missing {
		b.WriteByte(' ')
		b.WriteString(fillers[rng.IntN(len(fillers))])
	}
	words := []byte(b.String()[:len(text)+missing])
	if last := len(words) - 1; words[last] == ' ' {
		words[last] = '.'
	}
	return build(string(words))
}

// flood is a number of events yet to be sent, as fast as the client takes them.
type flood struct {
	left, next int
	events     []Event
}

// floodBacklog is how much may wait to be sent while a flood goes on.
const floodBacklog = 1 << 20

// Flood sends n events to each identified connection of a target, as fast as
// its client takes them: the given events over and over, or a Mix if there are
// none. It returns the number of connections.
func (e *Engine) Flood(now time.Duration, t Target, n int, events ...Event) (conns int) {
	e.Tick(now)
	if len(events) == 0 {
		events = e.world.Mix(500, MixOptions{Seed: e.opt.Seed})
	}
	for _, c := range e.open(t) {
		if c.live {
			conns++
			c.flood = flood{left: n, events: events}
			c.flow()
		}
	}
	return conns
}

// flow sends what the network takes of a flood.
func (c *EngineConn) flow() {
	for f := &c.flood; f.left > 0 && c.live && c.link != nil; f.left-- {
		backlog := c.outbox.bytes
		if l, ok := c.link.(Backlogged); ok {
			backlog += l.Backlog()
		}
		if backlog > floodBacklog || c.frozen {
			return
		}
		ev := f.events[f.next]
		f.next = (f.next + 1) % len(f.events)
		c.e.deliver(c.sess, c, event{name: ev.Name, d: ev.Data})
	}
}

// Drained tells that a Backlogged link has sent most of what waited.
func (c *EngineConn) Drained(now time.Duration) {
	c.e.Tick(now)
	c.flow()
}
