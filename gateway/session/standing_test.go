package session

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// What a session was told is told to the one that takes its place, once, and only
// as it stood in the end.
func TestStanding(t *testing.T) {
	r := newRig(t).ready()
	for _, m := range []struct {
		op int
		d  string
	}{
		{3, `{"status":"idle"}`},
		{3, `{"status":"dnd"}`},
		{4, `{"guild_id":"1","channel_id":"10"}`},
		{4, `{"guild_id":"2","channel_id":"20"}`},
		{4, `{"guild_id":"1","channel_id":null}`},
		{14, `{"guild_id":"5","typing":true,"channels":{"50":[[0,99]]}}`},
		{14, `{"guild_id":"5","channels":{"51":[[0,99]]}}`},
		{37, `{"subscriptions":{"6":{"typing":true},"7":{"typing":true}}}`},
		{37, `{"subscriptions":{"6":{"members":["9"]}}}`},
		{8, `{"guild_id":"1"}`},
	} {
		if _, err := send(t, r, m.op, m.d); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		`{"op":3,"d":{"status":"dnd"}}`,
		`{"op":4,"d":{"guild_id":"2","channel_id":"20"}}`,
		`{"op":14,"d":{"guild_id":"5","typing":true,"channels":{"51":[[0,99]]}}}`,
		`{"op":37,"d":{"subscriptions":{"6":{"typing":true,"members":["9"]},"7":{"typing":true}}}}`,
	}
	snap, _ := r.s.Snapshot()
	again := func(r *rig, when string) {
		t.Helper()
		r.out = nil
		r.recv(readyMsg)
		if got := r.writes(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%s: told the new session %q, want %q", when, got, want)
		}
	}
	// A resume needs none of it.
	r.closed(1006).redial()
	r.out = nil
	r.recv(`{"op":0,"t":"RESUMED","s":1,"d":{}}`)
	r.expectWrites()
	// A new session does.
	again(r.closed(CloseSessionInvalid).redial(), "after a loss")
	again(r.closed(CloseSessionInvalid).redial(), "after another")
	// So does one that takes the place of a restored one.
	r = newRig(t, func(c *Config) { c.Restore = &snap }).start().opened().recv(hello, `{"op":9,"d":false}`)
	r.run(6e9)
	again(r, "restored")
	if got, _ := r.s.Snapshot(); got.Standing != snap.Standing {
		t.Fatalf("standing %s, want %s", got.Standing, snap.Standing)
	}
	// Leaving voice without naming a guild leaves all.
	if _, err := send(t, r, 4, `{"guild_id":null,"channel_id":null}`); err != nil {
		t.Fatal(err)
	}
	want = append(want[:1], want[2:]...)
	again(r.closed(CloseSessionInvalid).redial(), "after leaving voice")
}

func TestStandingIsBounded(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxMessage = 1 << 20 }).ready()
	for i := range 100 {
		r.s.standing.note(14, fmt.Appendf(nil, `{"guild_id":"%d","x":%q}`, i, strings.Repeat("x", 10000)))
	}
	if r.s.standing.size > maxStanding || len(r.s.standing.list) < 20 {
		t.Fatalf("%d bytes, %d entries", r.s.standing.size, len(r.s.standing.list))
	}
	for _, bad := range []string{``, `null`, `[]`, `{`, `{"guild_id":5}`, `{"subscriptions":[]}`, `{"subscriptions":{"1":5}}`} {
		for _, op := range []int{3, 4, 14, 37} {
			new(standing).note(op, []byte(bad)) // must not panic
		}
	}
	new(standing).restore(`nonsense`)
	new(standing).restore(`[1,{"op":3},{"op":"x","d":{}},`)
}

// Subscriptions that are too many for one message are sent in several.
func TestSubscriptionsAreSplit(t *testing.T) {
	const guilds = 300
	var d strings.Builder
	for i := range guilds {
		if i > 0 {
			d.WriteByte(',')
		}
		fmt.Fprintf(&d, `"%019d":{"typing":true,"activities":true,"threads":true,"members":[]}`, i)
	}
	r := newRig(t, func(c *Config) { c.MaxMessage = SpacebarMaxMessage }).ready()
	id, err := send(t, r, 37, `{"subscriptions":{`+d.String()+`}}`)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	var settled []SendID
	for _, o := range r.out {
		switch o.Kind {
		case OutputWrite:
			if len(o.Data) > SpacebarMaxMessage {
				t.Fatalf("a part has %d bytes", len(o.Data))
			}
			seen += strings.Count(string(o.Data), `"typing"`)
		case OutputSent:
			settled = append(settled, o.ID)
		}
	}
	if seen != guilds || len(settled) != 1 || settled[0] != id {
		t.Fatalf("%d of %d guilds, settled %v", seen, guilds, settled)
	}
	// A new session is told in parts, too.
	r.closed(CloseSessionInvalid).redial()
	r.out = nil
	r.recv(readyMsg)
	if n := strings.Count(strings.Join(r.writes(), ""), `"typing"`); n != guilds {
		t.Fatalf("%d of %d guilds told again", n, guilds)
	}
	// One guild alone that is too large is refused.
	if _, err := send(t, r, 37, `{"subscriptions":{"1":{"members":["`+strings.Repeat("9", 5000)+`"]}}}`); !errors.Is(err, &Error{Code: ErrMessageTooLarge}) {
		t.Fatalf("a large guild: %v", err)
	}
	// What the queue has no room for is refused as a whole.
	r = newRig(t, func(c *Config) { c.MaxMessage = 512; c.Queue = 3 }).ready()
	if _, err := send(t, r, 37, `{"subscriptions":{`+d.String()+`}}`); !errors.Is(err, &Error{Code: ErrQueueFull}) || len(r.writes()) != 0 {
		t.Fatalf("a full queue: %v", err)
	}
}
