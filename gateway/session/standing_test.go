package session

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
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
		r.s.standing.note(14, fmt.Appendf(nil, `{"guild_id":"%d","x":%q}`, i, strings.Repeat("x", 10000)), told{})
	}
	if r.s.standing.size > maxStanding || len(r.s.standing.list) < 20 {
		t.Fatalf("%d bytes, %d entries", r.s.standing.size, len(r.s.standing.list))
	}
	for _, bad := range []string{``, `null`, `[]`, `{`, `{"guild_id":5}`, `{"subscriptions":[]}`, `{"subscriptions":{"1":5}}`} {
		for _, op := range []int{3, 4, 14, 37} {
			new(standing).note(op, []byte(bad), told{}) // must not panic
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

// An entry that the server refuses is found, and told no more; the others stand.
func TestRefusedStandingEndsTheLoop(t *testing.T) {
	const presence, bad, good = `{"op":3,"d":{"status":"idle"}}`, `{"op":14,"d":{"guild_id":"5"}}`, `{"op":14,"d":{"guild_id":"6"}}`
	for _, code := range []CloseCode{CloseUnknownError, CloseUnknownOpcode, CloseDecodeError, CloseMessageTooBig} {
		r := newRig(t).ready()
		for _, m := range []string{presence, bad, good} {
			op, d, _ := strings.Cut(strings.TrimPrefix(m, `{"op":`), `,"d":`)
			n, _ := strconv.Atoi(op)
			if _, err := send(t, r, n, strings.TrimSuffix(d, "}")); err != nil {
				t.Fatal(err)
			}
		}
		r.run(time.Minute)
		r.recv(`{"op":11}`)
		r.out = nil
		r.closed(CloseSessionInvalid)
		// From now on the server closes whenever it is told that.
		closes := 0
		for began := r.now; r.now < began+10*time.Minute; {
			r.redial()
			if r.s.State() == StateResuming { // which Spacebar servers refuse
				r.recv(`{"op":9,"d":false}`)
				r.run(6 * time.Second)
			}
			r.out = nil
			r.recv(readyMsg)
			told := ""
			for r.s.State() == StateReady && r.now < began+10*time.Minute {
				w := strings.Join(r.writes(), "")
				told += w
				if strings.Contains(w, bad) {
					closes++
					r.run(200 * time.Millisecond)
					r.out = nil
					r.closed(code)
					break
				}
				r.run(time.Second)
				r.recv(`{"op":11}`)
			}
			if r.s.State() == StateReady && (strings.Count(told, presence) != 1 || strings.Count(told, good) != 1) {
				t.Fatalf("%v: in the end the session was told %s", code, told)
			}
		}
		if closes != 2 {
			t.Fatalf("%v: the server had to close %d times", code, closes)
		}
		if r.s.careful {
			t.Fatalf("%v: still careful", code)
		}
		if strings.Contains(r.s.standing.text(), `"5"`) {
			t.Fatalf("%v: still stands: %s", code, r.s.standing.text())
		}
	}
}

// What the user has just sent does not stand if the server closes for it, and is
// reported; what other closes follow does.
func TestRefusedSendDoesNotStand(t *testing.T) {
	for code, stands := range map[CloseCode]bool{
		CloseUnknownError: false, CloseDecodeError: false, CloseUnknownOpcode: false, CloseMessageTooBig: false,
		CloseAbnormal: true, CloseNormal: true, CloseSessionTimeout: true, CloseSessionInvalid: true,
	} {
		r := newRig(t).ready()
		if _, err := send(t, r, 3, `{"status":"idle"}`); err != nil {
			t.Fatal(err)
		}
		r.run(20 * time.Second)
		r.recv(event("X", 1))
		if _, err := send(t, r, 14, `{"guild_id":"5"}`); err != nil {
			t.Fatal(err)
		}
		r.run(time.Second)
		r.out = nil
		r.closed(code)
		text := r.s.standing.text()
		if !strings.Contains(text, "idle") || strings.Contains(text, `"5"`) != stands {
			t.Fatalf("%v: stands: %s", code, text)
		}
		found := r.errs(ErrInvalidPayload)
		if (len(found) == 0) != stands || !stands && (!strings.Contains(found[0].Message, "opcode 14 for guild 5") || found[0].CloseCode != code || found[0].Fatal) {
			t.Fatalf("%v: reported %v", code, found)
		}
	}
}

// Whatever the server closes for, each close takes something away.
func TestRefusedStandingTerminates(t *testing.T) {
	r := newRig(t).ready()
	for i := range 20 {
		if _, err := send(t, r, 37, fmt.Sprintf(`{"subscriptions":{"%d":{"typing":true}}}`, i)); err != nil {
			t.Fatal(err)
		}
	}
	r.run(time.Minute)
	r.closed(CloseSessionInvalid)
	sessions := 0
	for began := r.now; r.now < began+3*time.Hour; sessions++ {
		r.redial()
		if r.s.State() == StateResuming {
			r.recv(`{"op":9,"d":false}`)
			r.run(6 * time.Second)
		}
		r.out = nil
		r.recv(readyMsg)
		for len(r.writes()) == 0 && r.s.State() == StateReady && r.now < began+3*time.Hour {
			r.run(time.Second)
			r.recv(`{"op":11}`)
			if len(r.s.standing.list) == 0 {
				return
			}
		}
		r.run(12 * time.Second) // a slow one
		r.closed(CloseUnknownError)
	}
	t.Fatalf("after %d sessions there stands %s", sessions, r.s.standing.text())
}

// A resume in the midst of telling again goes on with it.
func TestTellingGoesOnAfterResume(t *testing.T) {
	r := newRig(t).ready()
	for i := range 5 {
		if _, err := send(t, r, 14, fmt.Sprintf(`{"guild_id":"%d"}`, i)); err != nil {
			t.Fatal(err)
		}
	}
	r.run(time.Minute)
	r.s.careful = true
	r.closed(CloseSessionInvalid).redial()
	r.out = nil
	r.recv(readyMsg)
	r.run(11 * time.Second)
	first := strings.Join(r.writes(), "")
	r.closed(CloseAbnormal).redial()
	r.out = nil
	r.recv(`{"op":0,"t":"RESUMED","s":1,"d":{}}`)
	r.run(25 * time.Second)
	all := first + strings.Join(r.writes(), "")
	if n := strings.Count(first, `"op":14`); n != 2 || strings.Count(all, `"op":14`) != 5 {
		t.Fatalf("%d told before the resume, in all: %s", n, all)
	}
}

// A new session is told in messages that any server takes, whatever was sent and
// however it is encoded.
func TestStandingFitsEveryServer(t *testing.T) {
	for _, enc := range []wire.Encoding{wire.JSON, wire.ETF} {
		r := newRig(t, func(c *Config) { c.Transports = []wire.Transport{{Encoding: enc}} })
		r.start().opened()
		feed := func(text string) {
			t.Helper()
			b := []byte(text)
			if enc == wire.ETF {
				var err error
				if b, err = wire.AppendETF(nil, b); err != nil {
					t.Fatal(err)
				}
			}
			r.s.Received(r.now, r.conn, b, enc == wire.ETF)
			r.drain()
		}
		feed(hello)
		feed(readyMsg)
		numbers := strings.Repeat("[100,199],", 140)
		numbers = numbers[:len(numbers)-1]
		for i := range 60 {
			for _, m := range []struct {
				op int
				d  string
			}{
				{37, fmt.Sprintf(`{"subscriptions":{"%d":{"typing":true,"channels":{"1":[%s]}}}}`, i, numbers)},
				{37, fmt.Sprintf(`{"subscriptions":{"%d":{"members":["%s"]}}}`, i, strings.Repeat("9", 1800))},
				{14, fmt.Sprintf(`{"guild_id":"%d","members":["%s"]}`, i, strings.Repeat("8", 2500))},
				{14, fmt.Sprintf(`{"guild_id":"%d","thread_member_lists":["%s"]}`, i, strings.Repeat("7", 2500))},
			} {
				if _, err := send(t, r, m.op, m.d); err != nil {
					t.Fatal(err)
				}
			}
		}
		r.run(10 * time.Second)
		want := strings.Count(r.s.standing.text(), "777")
		stands := len(r.s.standing.list)
		r.closed(CloseSessionInvalid)
		r.redial()
		feed(hello)
		r.out = nil
		feed(readyMsg)
		for range 20 {
			r.run(10 * time.Second)
			feed(`{"op":11}`)
		}
		text := ""
		for _, o := range r.out {
			if o.Kind == OutputWrite {
				if len(o.Data) > SpacebarMaxMessage {
					t.Fatalf("%v: a message of %d bytes", enc, len(o.Data))
				}
				text += string(o.Data)
			}
		}
		if got := strings.Count(text, "777"); got != want || len(r.s.standing.due()) != 0 || len(r.s.standing.list) != stands {
			t.Fatalf("%v: told %d of %d, %d are due", enc, got, want, len(r.s.standing.due()))
		}
	}
}

// What failed was not sent, and is not sent with the next session either.
func TestFailedSendDoesNotStand(t *testing.T) {
	for name, fail := range map[string]func(*rig, SendID){
		"cancelled":    func(r *rig, id SendID) { r.s.Cancel(id, &Error{Code: ErrTimeout}); r.drain() },
		"disconnected": func(r *rig, id SendID) { r.closed(CloseAbnormal) },
		"ended":        func(r *rig, id SendID) { r.recv(`{"op":9,"d":false}`) },
	} {
		r := newRig(t).ready()
		fillWindow(t, r)
		id, err := send(t, r, 4, `{"guild_id":"1","channel_id":"10"}`)
		if err != nil {
			t.Fatal(err)
		}
		if text := r.s.standing.text(); text != "" {
			t.Fatalf("%s: stands before it is sent: %s", name, text)
		}
		r.out = nil
		fail(r, id)
		settled := r.take(OutputSent)
		if n := len(settled); n == 0 || settled[n-1].ID != id || settled[n-1].Err == nil {
			t.Fatalf("%s: settled %v", name, settled)
		}
		if text := r.s.standing.text(); text != "" {
			t.Fatalf("%s: stands: %s", name, text)
		}
	}
}

// fillWindow sends until the rate limit holds sends back.
func fillWindow(t *testing.T, r *rig) {
	t.Helper()
	for r.s.QueueLen() == 0 {
		if _, err := send(t, r, 8, `{}`); err != nil {
			t.Fatal(err)
		}
	}
}

// Presences that wait share the fate of the last one; if that is taken back, the one
// before counts again.
func TestPresencesThatWait(t *testing.T) {
	presence := func(r *rig, status string) SendID {
		id, err := send(t, r, opPresence, `{"status":"`+status+`"}`)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	setup := func() (r *rig, a, b, c SendID) {
		r = newRig(t, func(c *Config) { c.Queue = 4 }).ready()
		fillWindow(t, r)
		r.out = nil
		return r, presence(r, "idle"), presence(r, "dnd"), presence(r, "online")
	}
	cancelled := &Error{Code: ErrTimeout}
	end := func(r *rig) (ok, failed []SendID, text string) {
		for range 13 {
			r.run(10 * time.Second)
			r.recv(`{"op":11}`)
		}
		for _, o := range r.out {
			switch {
			case o.Kind == OutputWrite:
				text += string(o.Data)
			case o.Kind == OutputSent && o.Err == nil:
				ok = append(ok, o.ID)
			case o.Kind == OutputSent:
				failed = append(failed, o.ID)
			}
		}
		return ok, failed, text
	}
	check := func(r *rig, want, wantFailed []SendID, status string) {
		t.Helper()
		ok, failed, text := end(r)
		ok = ok[1:] // that which filled the window
		if fmt.Sprint(ok) != fmt.Sprint(want) || fmt.Sprint(failed) != fmt.Sprint(wantFailed) || strings.Count(text, "status") != 1 || !strings.Contains(text, status) {
			t.Fatalf("sent %v, failed %v, wrote %s; want %v, %v, %s", ok, failed, text, want, wantFailed, status)
		}
	}
	r, a, b, c := setup()
	check(r, []SendID{a, b, c}, []SendID{}, "online")
	r, a, b, c = setup()
	if !r.s.Cancel(c, cancelled) || r.s.Cancel(c, cancelled) {
		t.Fatal("cancel of the last")
	}
	r.drain()
	check(r, []SendID{a, b}, []SendID{c}, "dnd")
	r, a, b, c = setup()
	if !r.s.Cancel(a, cancelled) || !r.s.Cancel(c, cancelled) {
		t.Fatal("cancel of the first and the last")
	}
	r.drain()
	check(r, []SendID{b}, []SendID{a, c}, "dnd")
	r, a, b, c = setup()
	r.closed(CloseAbnormal)
	if sent := r.take(OutputSent); len(sent) != 4 || sent[1].ID != a || sent[2].ID != b || sent[3].ID != c || sent[3].Err == nil || sent[1].Err == nil {
		t.Fatalf("settled %v", sent)
	}
	// They cannot be more than the queue may hold.
	r, _, _, _ = setup()
	presence(r, "x")
	presence(r, "y")
	if _, err := send(t, r, opPresence, `{}`); !errors.Is(err, &Error{Code: ErrQueueFull}) {
		t.Fatalf("without end: %v", err)
	}
}

// Subscriptions in parts are sent whole or not at all, and are taken back whole.
func TestPartsAreOneSend(t *testing.T) {
	guild := func(id, n int) string {
		return fmt.Sprintf(`"%d":{"members":["%s"]}`, id, strings.Repeat("9", n))
	}
	three := `{"subscriptions":{` + guild(1, 3000) + "," + guild(2, 3000) + "," + guild(3, 3000) + `}}`
	spacebar := func(c *Config) { c.MaxMessage = SpacebarMaxMessage }
	r := newRig(t, spacebar).ready()
	if _, err := send(t, r, 37, `{"subscriptions":{`+guild(1, 3000)+","+guild(2, 5000)+`}}`); !errors.Is(err, &Error{Code: ErrMessageTooLarge}) {
		t.Fatalf("one guild too large: %v", err)
	}
	if w := r.writes(); len(w) != 0 || r.s.standing.text() != "" {
		t.Fatalf("a part was sent: %v", w)
	}
	fillWindow(t, r)
	waits := r.s.QueueLen()
	r.out = nil
	id, err := send(t, r, 37, three)
	if err != nil || r.s.QueueLen() != waits+3 {
		t.Fatalf("%v, %d wait", err, r.s.QueueLen())
	}
	if !r.s.Cancel(id, &Error{Code: ErrTimeout}) || r.s.QueueLen() != waits {
		t.Fatalf("%d parts are left", r.s.QueueLen()-waits)
	}
	r.drain()
	if sent := r.take(OutputSent); len(sent) != 1 || sent[0].ID != id {
		t.Fatalf("settled %v", sent)
	}
	// In ETF, whose numbers are larger than those of JSON.
	r, _ = etfRig(t, spacebar)
	numbers := strings.Repeat("[0,99],", 150)
	ranges := func(id int) string {
		return fmt.Sprintf(`"%d":{"channels":{"1":[%s]}}`, id, numbers[:len(numbers)-1])
	}
	if _, err := send(t, r, 37, `{"subscriptions":{`+ranges(1)+","+ranges(2)+","+ranges(3)+","+ranges(4)+`}}`); err != nil {
		t.Fatal(err)
	}
	parts := r.take(OutputWrite)
	for _, o := range parts {
		if len(o.Data) > SpacebarMaxMessage {
			t.Fatalf("a part has %d bytes", len(o.Data))
		}
	}
	if len(parts) < 2 {
		t.Fatalf("%d parts", len(parts))
	}
	// What has nothing to be split is too large, as ever.
	if _, err := send(t, r, 37, `{"subscriptions":{},"x":"`+strings.Repeat("9", 5000)+`"}`); !errors.Is(err, &Error{Code: ErrMessageTooLarge}) {
		t.Fatalf("nothing to split: %v", err)
	}
}
