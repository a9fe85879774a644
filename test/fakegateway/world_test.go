package fakegateway_test

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

func TestLargeReady(t *testing.T) {
	for _, profile := range []fakegateway.Profile{spacebar, documented} {
		v := engine(t, fakegateway.Options{Profile: profile, Guilds: 100, Channels: 100, Members: 100})
		c := v.open("")
		c.quiet = true
		c.send(aliceIdentify)
		if n := len(c.frames[1].data); n < 4<<20 {
			t.Errorf("%s: READY has %d bytes, want 4 MiB", profile, n)
		}
	}
}

func TestReadyIsTheOneGiven(t *testing.T) {
	v := engine(t, fakegateway.Options{Ready: json.RawMessage(`{"session_id":"mine"}`)})
	c := v.identified("")
	if got, want := c.msgs[1].text, `{"op":0,"t":"READY","s":0,"d":{"session_id":"mine"}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestReadyShapes(t *testing.T) {
	v := engine(t, fakegateway.Options{Profile: documented, ResumeURL: "ws://elsewhere:1"})
	var d struct {
		Guilds []struct {
			ID         string
			Name       string
			Properties *struct{ Name string }
			Members    []json.RawMessage
		}
		Shard     []int
		ResumeURL string            `json:"resume_gateway_url"`
		Private   []json.RawMessage `json:"private_channels"`
		Users     []json.RawMessage
	}
	read := func(identify string) {
		t.Helper()
		c := v.open("")
		c.send(identify)
		d.Guilds, d.Shard = nil, nil
		if err := json.Unmarshal(c.msgs[1].D, &d); err != nil {
			t.Fatal(err)
		}
	}
	read(`{"op":2,"d":{"token":"` + fakegateway.AliceToken + `","capabilities":1024,"shard":[0,2]}}`)
	if g := d.Guilds[0]; g.Properties == nil || g.Properties.Name == "" || g.Name != "" || g.ID == "" || len(g.Members) == 0 {
		t.Errorf("with CLIENT_STATE_V2 a guild is %+v", g)
	}
	if fmt.Sprint(d.Shard) != "[0 2]" || d.ResumeURL != "ws://elsewhere:1" || len(d.Private) < 3 || len(d.Users) < 3 {
		t.Errorf("shard %v, resume URL %s, %d private channels, %d users", d.Shard, d.ResumeURL, len(d.Private), len(d.Users))
	}
	read(`{"op":2,"d":{"token":"` + fakegateway.AliceToken + `","capabilities":16}}`)
	if g := d.Guilds[0]; g.Properties != nil || g.Name == "" || g.ID == "" || len(g.Members) != 0 {
		t.Errorf("without it, and with DEDUPE_USER_OBJECTS, it is %+v", g)
	}
}

func TestMix(t *testing.T) {
	w := engine(t, fakegateway.Options{}).World()
	const n = 1000
	list := w.Mix(n, fakegateway.MixOptions{Seed: 5, Presence: 800, Message: 1500, Other: 2000})
	count := map[string]int{}
	for _, e := range list {
		count[e.Name]++
		if !json.Valid(e.Data) {
			t.Fatalf("%s is not JSON: %s", e.Name, e.Data)
		}
		size := map[string]int{"PRESENCE_UPDATE": 800, "MESSAGE_CREATE": 1500, "MESSAGE_UPDATE": 2000, "CHANNEL_UPDATE": 2000}[e.Name]
		if size != 0 && len(e.Data) != size {
			t.Errorf("%s has %d bytes, want %d", e.Name, len(e.Data), size)
		}
	}
	if count["PRESENCE_UPDATE"] != n*55/100 || count["MESSAGE_CREATE"] != n*20/100 || len(count) < 6 {
		t.Errorf("the mix is %v", count)
	}
	again := w.Mix(n, fakegateway.MixOptions{Seed: 5, Presence: 800, Message: 1500, Other: 2000})
	if !reflect.DeepEqual(list, again) {
		t.Error("the same options make different events")
	}
}

func TestLife(t *testing.T) {
	v := engine(t, fakegateway.Options{Seed: 1})
	c := v.identified("")
	v.SetLife(v.now, 10)
	before := len(c.msgs)
	for range 4 {
		v.sleep(25 * time.Second)
		c.send(`{"op":1,"d":null}`)
	}
	n := float64(len(c.msgs) - before)
	// Some of what is to happen concerns alice, who is for real, and does not.
	if n < 800 || n > 1000 {
		t.Errorf("%v events in 100 s at a rate of 10", n)
	}
	count := map[string]int{}
	for _, m := range c.msgs[before:] {
		count[m.T]++
	}
	for _, name := range []string{"MESSAGE_CREATE", "TYPING_START", "PRESENCE_UPDATE", "MESSAGE_REACTION_ADD", "VOICE_STATE_UPDATE", "GUILD_MEMBER_ADD"} {
		if count[name] == 0 {
			t.Errorf("there was no %s: %v", name, count)
		}
	}
	v.SetLife(v.now, 0)
	before = len(c.msgs)
	c.send(`{"op":1,"d":null}`)
	v.sleep(20 * time.Second)
	if got := len(c.msgs) - before; got != 1 {
		t.Errorf("%d messages after the end of life, want the ACK", got)
	}
}

func TestLifeDoesNotMakeUpForSleep(t *testing.T) {
	v := engine(t, fakegateway.Options{Life: 100})
	c := v.identified("")
	before := len(c.msgs)
	v.now += 30 * time.Second // the machine slept: nobody called Tick
	v.Tick(v.now)
	if got := len(c.msgs) - before; got > 10 {
		t.Errorf("%d events at once", got)
	}
	v.sleep(time.Second)
	if got := float64(len(c.msgs) - before); math.Abs(got-90) > 30 {
		t.Errorf("%v events in the second after", got)
	}
}

func TestWorldIsBelievable(t *testing.T) {
	w := engine(t, fakegateway.Options{Guilds: 30, Members: 80, Channels: 40}).World()
	seen := map[string]bool{}
	for _, u := range w.Users {
		seen[u.ID] = true
		if w.User(u.Username) != u {
			t.Errorf("two users are called %s", u.Username)
		}
	}
	for _, g := range w.Guilds {
		seen[g.ID] = true
		if g.Voice() == nil || g.Text().Type != 0 || len(g.Channels) != 40 || g.Roles[0].ID != g.ID {
			t.Errorf("guild %s has no voice or text channel", g.Name)
		}
		for _, c := range g.Channels {
			if seen[c.ID] || strings.TrimSpace(c.Name) == "" {
				t.Errorf("the channel %q has no id of its own", c.Name)
			}
			seen[c.ID] = true
		}
	}
	if len(seen) != len(w.Users)+30+30*40 {
		t.Errorf("%d ids", len(seen))
	}
}
