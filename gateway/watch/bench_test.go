package watch

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
)

// big is a store with a watched guild of n members, and a mix of events as a busy
// guild has them, about members at random.
func big(t testing.TB, n, events int) (w *Watched[GuildState], next func()) {
	t.Helper()
	s := newStore(nil)
	w = watchIn[GuildState](s, kindGuild, 0, 10, nil, Limit(PartMembers, 2*n))
	member := func(i int) obj {
		return obj{"user": obj{"id": strconv.Itoa(1_000_000 + i), "username": "user " + strconv.Itoa(i), "discriminator": "0001", "avatar": nil},
			"roles": []string{"41"}, "joined_at": "2026-11-23T08:10:00.000Z", "deaf": false, "mute": false, "nick": nil}
	}
	members := make([]obj, n)
	for i := range members {
		members[i] = member(i)
	}
	channels := make([]obj, 50)
	for i := range channels {
		channels[i] = obj{"id": strconv.Itoa(200 + i), "type": 0, "name": "channel " + strconv.Itoa(i), "position": i}
	}
	play(t, s, "GUILD_CREATE", obj{"id": "10", "name": "house", "member_count": n, "members": members, "channels": channels})

	type message struct {
		name string
		data []byte
	}
	rng := rand.New(rand.NewPCG(uint64(n), 0))
	mix := make([]message, events)
	for i := range mix {
		who, channel := rng.IntN(n), strconv.Itoa(200+rng.IntN(len(channels)))
		m := member(who)
		user := obj{"id": m["user"].(obj)["id"]}
		name, d := "", obj{"guild_id": "10"}
		switch r := rng.IntN(100); {
		case r < 50:
			name = "PRESENCE_UPDATE"
			d["user"], d["status"], d["activities"], d["client_status"] = user, []string{"online", "idle", "dnd"}[rng.IntN(3)], []obj{}, obj{"web": "online"}
		case r < 75:
			name = "MESSAGE_CREATE"
			d["id"], d["channel_id"], d["content"], d["author"] = strconv.Itoa(9_000_000+i), channel, "hello", m["user"]
		case r < 90:
			name = "GUILD_MEMBER_UPDATE"
			d["user"], d["roles"], d["nick"] = m["user"], m["roles"], "nick "+strconv.Itoa(i)
		case r < 95:
			name = "VOICE_STATE_UPDATE"
			d["user_id"], d["channel_id"], d["session_id"], d["mute"] = user["id"], channel, "s", r%2 == 0
		case r < 97:
			name = "CHANNEL_UPDATE"
			d["id"], d["type"], d["name"] = channel, 0, "renamed "+strconv.Itoa(i)
		default:
			name = []string{"GUILD_MEMBER_ADD", "GUILD_MEMBER_REMOVE"}[i%2]
			d["user"] = m["user"]
		}
		raw, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		mix[i] = message{name, raw}
	}
	i := 0
	return w, func() {
		e := mix[i%len(mix)]
		i++
		s.do(func() { s.play(e.name, e.data) })
	}
}

// BenchmarkGuild plays a mix of 100,000 events to a watched guild, again and again.
func BenchmarkGuild(b *testing.B) {
	for _, n := range []int{100, 10_000, 100_000} {
		b.Run(fmt.Sprint(n, " members"), func(b *testing.B) {
			_, next := big(b, n, 100_000)
			b.ReportAllocs()
			for b.Loop() {
				next()
			}
		})
	}
}

// TestCostIsFlat counts the bytes that events allocate, as the guild grows.
func TestCostIsFlat(t *testing.T) {
	cost := map[int]uint64{}
	for _, n := range []int{100, 10_000, 20_000} {
		const events = 2000
		w, next := big(t, n, events)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range events {
			next()
		}
		runtime.ReadMemStats(&after)
		cost[n] = (after.TotalAlloc - before.TotalAlloc) / events
		if w.Current() == nil {
			t.Fatal("no guild")
		}
	}
	t.Log(cost, "bytes an event")
	// The trees are a level or two deeper: a kilobyte, where a copy would be many.
	if cost[20_000] > 2*cost[100] {
		t.Errorf("bytes an event by members: %v", cost)
	}
}
