package fakegateway_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

const (
	documented = fakegateway.Documented
	spacebar   = fakegateway.Spacebar
)

func TestSpacebarBeginning(t *testing.T) {
	v := engine(t, fakegateway.Options{})
	c := v.identified("")
	if got, want := c.kinds(), "10//- 0/READY/0 0/READY_SUPPLEMENTAL/1 0/SESSIONS_REPLACE/2 0/PRESENCE_UPDATE/3"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := c.msgs[0].text, `{"op":10,"d":{"heartbeat_interval":30000}}`; got != want {
		t.Errorf("Hello is %s, want %s", got, want)
	}
	c.send(`{"op":1,"d":3}`)
	if got, want := c.last().text, `{"op":11,"d":{}}`; got != want {
		t.Errorf("ACK is %s, want %s", got, want)
	}
}

func TestDocumentedBeginning(t *testing.T) {
	v := engine(t, fakegateway.Options{Profile: documented})
	c := v.identified("?v=9&encoding=json")
	if got, want := c.kinds(), "10//- 0/READY/1 0/READY_SUPPLEMENTAL/2 0/SESSIONS_REPLACE/3 0/PRESENCE_UPDATE/4"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := c.msgs[0].text, `{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250,"_trace":["[\"gateway-fake\",{\"micros\":0.0}]"]}}`; got != want {
		t.Errorf("Hello is %s, want %s", got, want)
	}
	c.send(`{"op":1,"d":3}`)
	if got, want := c.last().text, `{"t":null,"s":null,"op":11,"d":null}`; got != want {
		t.Errorf("ACK is %s, want %s", got, want)
	}
	v.Reconnect(v.now, fakegateway.Target{}, -1, false)
	if got, want := c.last().text, `{"t":null,"s":null,"op":7,"d":null}`; got != want {
		t.Errorf("Reconnect is %s, want %s", got, want)
	}
}

func TestKeyOrder(t *testing.T) {
	want := map[string]string{
		"READY": "op t s d", "READY_SUPPLEMENTAL": "op t s d", "GUILD_SYNC": "op t s d",
		"GUILD_MEMBERS_CHUNK": "op s t d", "GUILD_MEMBER_LIST_UPDATE": "op s t d",
		"CHANNEL_STATUSES": "op t d", "CHANNEL_INFO": "op t d",
		"PRESENCE_UPDATE": "op t d s", "SESSIONS_REPLACE": "op t d s", "MESSAGE_CREATE": "op t d s",
	}
	v := engine(t, fakegateway.Options{})
	g := v.World().Guilds[0]
	c := v.identified("")
	c.send(`{"op":12,"d":["` + g.ID + `"]}`)
	c.send(`{"op":8,"d":{"guild_id":"` + g.ID + `","query":"","limit":0}}`)
	c.send(`{"op":14,"d":{"guild_id":"` + g.ID + `","channels":{"` + g.Text().ID + `":[[0,99]]}}}`)
	c.send(`{"op":36,"d":{"guild_id":"` + g.ID + `"}}`)
	c.send(`{"op":43,"d":{"guild_id":"` + g.ID + `","fields":["status"]}}`)
	v.Dispatch(v.now, fakegateway.Target{}, "MESSAGE_CREATE", []byte(`{}`))
	seen := map[string]bool{}
	seq := int64(0)
	for _, m := range c.msgs[1:] {
		seen[m.T] = true
		if got := strings.Join(keysOf(m.text), " "); got != want[m.T] {
			t.Errorf("%s has keys %q, want %q", m.T, got, want[m.T])
		}
		if m.S != nil {
			if *m.S != seq {
				t.Errorf("%s has number %d, want %d", m.T, *m.S, seq)
			}
			seq++
		}
	}
	for name := range want {
		if !seen[name] {
			t.Errorf("there was no %s: %s", name, c.kinds())
		}
	}

	d := engine(t, fakegateway.Options{Profile: documented})
	if got, want := strings.Join(keysOf(d.identified("").last().text), " "), "t s op d"; got != want {
		t.Errorf("documented keys are %q, want %q", got, want)
	}
}

func TestSpacebarDeadlines(t *testing.T) {
	v := engine(t, fakegateway.Options{})
	silent, beating, mute, late := v.open(""), v.open(""), v.identified(""), v.identified("")
	v.sleep(10 * time.Second)
	beating.send(`{"op":1,"d":null}`)
	late.send(`{"op":40,"d":{"seq":4,"qos":{}}}`)
	v.sleep(20*time.Second - 1)
	if silent.code != 0 || beating.code != 0 {
		t.Error("closed before 30 s")
	}
	v.sleep(1)
	if silent.code != 4009 || beating.code != 4009 {
		t.Errorf("unidentified connections are closed with %d and %d at 30 s, want 4009", silent.code, beating.code)
	}
	v.sleep(15*time.Second - 1)
	if mute.code != 0 {
		t.Error("closed before 45 s")
	}
	v.sleep(1)
	if mute.code != 4009 || late.code != 0 {
		t.Errorf("closed with %d and %d at 45 s, want 4009 and 0", mute.code, late.code)
	}
	v.sleep(10 * time.Second)
	if late.code != 4009 {
		t.Errorf("closed with %d 45 s after the heartbeat, want 4009", late.code)
	}
}

func TestDocumentedDeadlines(t *testing.T) {
	v := engine(t, fakegateway.Options{Profile: documented, Interval: 10 * time.Second})
	c := v.open("")
	v.sleep(14 * time.Second)
	c.send(`{"op":1,"d":null}`)
	v.sleep(15*time.Second - 1)
	if c.code != 0 {
		t.Errorf("closed with %d before one and a half intervals", c.code)
	}
	v.sleep(1)
	if c.code != 4009 {
		t.Errorf("closed with %d, want 4009", c.code)
	}
}

func TestRateLimit(t *testing.T) {
	v := engine(t, fakegateway.Options{Profile: documented})
	c := v.identified("")
	for range 119 {
		c.send(`{"op":1,"d":null}`)
	}
	if c.code != 0 {
		t.Fatalf("closed with %d after 120 messages", c.code)
	}
	v.sleep(60 * time.Second)
	for range 120 {
		c.send(`{"op":1,"d":null}`)
	}
	if c.code != 0 {
		t.Fatalf("closed with %d, though a minute has passed", c.code)
	}
	v.sleep(60*time.Second - 1)
	c.send(`{"op":1,"d":null}`)
	if c.code != 4008 {
		t.Errorf("closed with %d after 121 messages in a minute, want 4008", c.code)
	}

	s := engine(t, fakegateway.Options{}).identified("")
	for range 300 {
		s.send(`{"op":1,"d":null}`)
	}
	if s.code != 0 || s.last().Op != 11 {
		t.Errorf("Spacebar has no rate limit, but: %s", s.kinds())
	}
}

func TestDocumentedRefusals(t *testing.T) {
	cases := []struct {
		query, before, send string
		code                int
	}{
		{"?v=5", "", "", 4012},
		{"?v=eleven", "", "", 4012},
		{"?v=10&encoding=xml", "", "", 4002},
		{"?compress=gzip", "", "", 4002},
		{"", "", `{"op":2,"d":{"token":"bad-token"}}`, 4004},
		{"", "", `{"op":2,"d":{"token":"Bearer ` + fakegateway.AliceToken + `"}}`, 4004},
		{"", "", `{"op":2}`, 4002},
		{"", "", `{"op":2,"d":{"token":7}}`, 4002},
		{"", "", `{"op":2,"d":{"token":"` + fakegateway.AliceToken + `","shard":[2,2]}}`, 4010},
		{"", "", `{"op":2,"d":{"token":"` + fakegateway.AliceToken + `","intents":1099511627776}}`, 4013},
		{"", aliceIdentify, aliceIdentify, 4005},
		{"", "", `{"op":3,"d":{}}`, 4003},
		{"", "", `{"op":99,"d":{}}`, 4001},
		{"", aliceIdentify, `{"op":99,"d":{}}`, 4001},
		{"", "", `{bad`, 4002},
		{"", "", `[]`, 4002},
		{"", "", `{"d":{}}`, 4002},
		{"", aliceIdentify, `{"op":8,"d":"x"}`, 4002},
		{"", aliceIdentify, `{"op":1,"d":"` + strings.Repeat("x", 15<<10) + `"}`, 4002},
		{"?encoding=etf", "", `{"op":1,"d":null}`, 4002},
	}
	for _, tc := range cases {
		v := engine(t, fakegateway.Options{Profile: documented})
		c := v.open(tc.query)
		for _, m := range []string{tc.before, tc.send} {
			if m != "" {
				c.send(m)
			}
		}
		if c.code != tc.code {
			t.Errorf("%s %.80s %.80s: closed with %d, want %d", tc.query, tc.before, tc.send, c.code, tc.code)
		}
	}
}

func TestSpacebarSchema(t *testing.T) {
	const token = `"token":"` + fakegateway.AliceToken + `"`
	cases := []struct {
		identified bool
		send       string
		code       int
	}{
		{false, `{"op":2,"d":{` + token + `,"surprise":1}}`, 4002},
		{false, `{"op":2,"d":{"capabilities":1}}`, 4002},
		{false, `{"op":2,"d":{` + token + `,"capabilities":{}}}`, 4002},
		{false, `{"op":2,"d":{` + token + `,"client_state":{"surprise":{}}}}`, 4002},
		{false, `{"op":2,"d":{` + token + `,"presence":{"status":"online","surprise":1}}}`, 4002},
		{false, `{"op":2,"d":{` + token + `,"client_state":{"guild_versions":{}},"intents":"7"}}`, 0},
		{false, `{"op":2,"d":null}`, 4002},
		{false, `{"op":1,"d":null,"extra":1}`, 4002},
		{false, `null`, 4002},
		{false, `[1]`, 4002},
		{false, `{"op":"1","d":"17"}`, 0},
		{false, `{"op":1,"d":true}`, 0},
		{false, `{"op":1,"d":0,"s":null,"t":null}`, 0},
		{false, `hello`, 0},
		{false, `{"op":3,"d":{"status":"online"}}`, 4000},
		{false, `{"op":8,"d":{"guild_id":"1"}}`, 4000},
		{false, `{"op":4,"d":{"guild_id":null,"channel_id":null,"self_mute":false,"self_deaf":false}}`, 0},
		{true, `{"op":3,"d":{"status":"idle","since":null,"activities":[{"name":"x","type":0,"created_at":1700000000000}],"afk":false}}`, 4002},
		{true, `{"op":3,"d":{"status":"idle","activities":[{"name":"x","type":4,"state":"hi","emoji":null}],"afk":false}}`, 0},
		{true, `{"op":3,"d":{"status":"idle","mood":"good"}}`, 4002},
		{true, `{"op":4,"d":{"guild_id":null,"channel_id":null}}`, 4002},
		{true, `{"op":4,"d":{"guild_id":null,"channel_id":null,"self_mute":"yes","self_deaf":false}}`, 4002},
		{true, `{"op":8,"d":{"query":"","limit":0}}`, 4000},
		{true, `{"op":8,"d":{"guild_id":"GUILD","query":"a"}}`, 4000},
		{true, `{"op":8,"d":{"guild_id":"GUILD","query":"a","limit":5}}`, 0},
		{true, `{"op":8,"d":{"guild_id":"GUILD","surprise":1}}`, 4002},
		{true, `{"op":14,"d":{"guild_id":"GUILD","channels":{"1":[[0,99]]}}}`, 4000},
		{true, `{"op":37,"d":{"subscriptions":{"GUILD":{"surprise":true}}}}`, 4002},
		{true, `{"op":37,"d":{"subscriptions":{"GUILD":{"typing":true}}}}`, 0},
		{true, `{"op":13,"d":{"channel_id":"1"}}`, 0},
		{true, `{"op":41,"d":{"initialization_timestamp":1,"session_id":"0","client_launch_id":"0"}}`, 0},
	}
	for _, tc := range cases {
		v := engine(t, fakegateway.Options{})
		c := v.open("")
		if tc.identified {
			c.send(aliceIdentify)
		}
		c.send(strings.ReplaceAll(tc.send, "GUILD", v.World().Guilds[0].ID))
		if c.code != tc.code {
			t.Errorf("%.120s: closed with %d, want %d", tc.send, c.code, tc.code)
		}
	}
}

func TestSpacebarSessionBelongsToToken(t *testing.T) {
	v := engine(t, fakegateway.Options{})
	a, b := v.identified(""), v.identified("?compress=zlib-stream")
	ida, idb := a.msgs[1].field("session_id"), b.msgs[1].field("session_id")
	if ida == "" || ida != idb {
		t.Errorf("the session ids are %q and %q, want the same", ida, idb)
	}
	n := v.Dispatch(v.now, fakegateway.Target{}, "X", nil)
	if n != 1 || a.last().T != "X" || b.last().T != "X" {
		t.Errorf("an event reaches %d sessions: %s, %s", n, a.kinds(), b.kinds())
	}
	a.Gone(v.now, 1000, "")
	if b.last().T != "PRESENCE_UPDATE" {
		t.Errorf("a connection that goes is not shown to the other: %s", b.kinds())
	}
	bob := v.open("")
	bob.send(strings.ReplaceAll(aliceIdentify, fakegateway.AliceToken, "Bearer "+fakegateway.BobToken))
	b.Gone(v.now, 1006, "")
	before := len(bob.msgs)
	v.sleep(10*time.Second - 1)
	if len(bob.msgs) != before {
		t.Error("the others see alice leave at once")
	}
	v.sleep(1)
	if m := bob.last(); m.T != "PRESENCE_UPDATE" || m.field("status") != "offline" {
		t.Errorf("the others do not see alice leave: %s", bob.kinds())
	}
}

func TestSpacebarReconnectAndRemoval(t *testing.T) {
	v := engine(t, fakegateway.Options{})
	c, idle := v.identified(""), v.open("")
	v.Reconnect(v.now, fakegateway.Target{}, 2500*time.Millisecond, true)
	if got, want := c.last().text, `{"op":7,"s":4,"d":2500}`; got != want || c.code != 1000 {
		t.Errorf("got %s and %d, want %s and 1000", got, c.code, want)
	}
	if got, want := idle.last().text, `{"op":7,"s":0,"d":2500}`; got != want || idle.code != 1000 {
		t.Errorf("unidentified: got %s and %d, want %s and 1000", got, idle.code, want)
	}
	c = v.identified("")
	v.RemoveSession(v.now, fakegateway.Target{User: "alice"})
	if got, want := c.last().text, `{"op":9,"s":4}`; got != want || c.code != 4006 {
		t.Errorf("got %s and %d, want %s and 4006", got, c.code, want)
	}
	c = v.identified("")
	c.send(`{"op":6,"d":{}}`)
	if got, want := c.last().text, `{"op":9,"d":false}`; got != want || c.code != 0 {
		t.Errorf("got %s and %d, want %s", got, c.code, want)
	}
	z := v.open("?compress=zlib-stream")
	if n := v.Shutdown(v.now); n != 2 || c.last().Op != 7 || c.code != 1000 {
		t.Errorf("shutdown reached %d: %s", n, c.kinds())
	}
	if last := z.frames[len(z.frames)-1]; z.kinds() != "10//- 7//0 close 1000" || len(last.data) != 0 || !last.binary {
		t.Errorf("on a zlib-stream no empty frame follows: %s", z.kinds())
	}
}

func TestInvalidSessionLetsIdentifyAgain(t *testing.T) {
	v := engine(t, fakegateway.Options{Profile: documented})
	c := v.identified("")
	v.InvalidSession(v.now, fakegateway.Target{}, "false")
	c.send(aliceIdentify)
	if got := c.kinds(); !strings.HasSuffix(got, "9//- 0/READY/1 0/READY_SUPPLEMENTAL/2 0/SESSIONS_REPLACE/3 0/PRESENCE_UPDATE/4") {
		t.Errorf("got %s", got)
	}
}

func TestForget(t *testing.T) {
	v := engine(t, fakegateway.Options{Profile: documented})
	c := v.identified("")
	id := c.msgs[1].field("session_id")
	if n := v.Forget(v.now, fakegateway.Target{}); n != 1 {
		t.Errorf("forgot %d sessions, want 1", n)
	}
	if n := v.Dispatch(v.now, fakegateway.Target{}, "X", nil); n != 0 || c.last().T == "X" {
		t.Error("a forgotten session still gets events")
	}
	c.Gone(v.now, 4200, "")
	c = v.open("")
	c.send(resume(id, 4))
	if got, want := c.last().text, `{"t":null,"s":null,"op":9,"d":false}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRepeatable(t *testing.T) {
	run := func(seed uint64) string {
		v := engine(t, fakegateway.Options{Seed: seed, Life: 20})
		c := v.open("?compress=zstd-stream")
		c.quiet = true
		c.send(aliceIdentify)
		v.sleep(20 * time.Second)
		c.send(`{"op":1,"d":1}`)
		c.send(`{"op":8,"d":{"guild_id":"` + v.World().Guilds[0].ID + `","query":"","limit":0}}`)
		v.sleep(20 * time.Second)
		v.Shutdown(v.now)
		var b strings.Builder
		for _, f := range c.frames {
			fmt.Fprintf(&b, "%x\n", f.data)
		}
		return b.String()
	}
	first, again := run(1), run(1)
	if first != again {
		t.Error("the same seed gives different runs")
	}
	if first == run(2) {
		t.Error("different seeds give the same run")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]fakegateway.Options{
		"profile":  {Profile: 7},
		"negative": {Guilds: -1},
		"ready":    {Ready: []byte(`{`)},
		"account":  {Accounts: []fakegateway.Account{{Username: "x"}}},
		"playback": {Playback: []*fakegateway.Capture{nil}},
	} {
		if _, err := fakegateway.NewEngine(o); err == nil || !strings.HasPrefix(err.Error(), "fakegateway: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestMessagesAreRemembered(t *testing.T) {
	v := engine(t, fakegateway.Options{Profile: documented, RateLimit: -1})
	c := v.identified("")
	for i := range 600 {
		c.send(fmt.Sprintf(`{"op":1,"d":%d}`, i))
	}
	log := c.State().Received
	if len(log) != 512 || string(log[511].D) != "599" {
		t.Errorf("%d messages, the last is %s", len(log), log[len(log)-1].D)
	}
	for range 40 {
		c.send(`{"op":1,"d":"` + strings.Repeat("x", 15000) + `"}`)
	}
	if n := len(c.State().Received); n > 20 {
		t.Errorf("%d long messages are remembered", n)
	}
	c.Gone(v.now, 1000, "")
	if s := v.Conn(1).State(); s.User != "alice" || s.Session == "" || s.Open {
		t.Errorf("of a connection that is gone remains %+v", s)
	}
	for range 300 {
		v.open("").Gone(v.now, 1000, "")
	}
	if n := len(v.State().Conns); n != 256 || v.Conn(1) != nil {
		t.Errorf("%d connections are remembered", n)
	}
}

func TestAnyToken(t *testing.T) {
	for _, tc := range []struct {
		token string
		code  int
	}{{"whatever", 0}, {fakegateway.BobToken, 0}, {fakegateway.BadToken, 4000}, {"", 4000}} {
		v := engine(t, fakegateway.Options{AnyToken: true})
		c := v.open("")
		c.send(`{"op":2,"d":{"token":"` + tc.token + `"}}`)
		if c.code != tc.code {
			t.Errorf("token %q: closed with %d, want %d", tc.token, c.code, tc.code)
		}
	}
}
