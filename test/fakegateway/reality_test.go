package fakegateway_test

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

// This file compares the Spacebar profile with a real Spacebar server, by the
// captures.

const captures = "../captures"

func capture(t testing.TB, name string) *fakegateway.Capture {
	t.Helper()
	c, err := fakegateway.LoadCapture(filepath.Join(captures, name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// realToken is what stands for a valid token in the captures; other
// placeholders stand for tokens that were not.
var realToken = "TOKEN_" + strings.Repeat("x", 402)

// happenings are what the real server did for reasons that lie outside the
// connection: the inbound message of that opcode or name is brought about.
var happenings = map[string]struct {
	op     int
	name   string
	happen func(v *virtual, t fakegateway.Target)
}{
	"probe-big-zlib": {0, "MESSAGE_CREATE", func(v *virtual, t fakegateway.Target) {
		v.Dispatch(v.now, t, "MESSAGE_CREATE", []byte(`{"id":"1"}`))
	}},
	"probe-session-close-etf":  {7, "", sessionClose},
	"probe-session-close-zlib": {7, "", sessionClose},
	"probe-session-logout-json": {9, "", func(v *virtual, t fakegateway.Target) {
		v.RemoveSession(v.now, t)
	}},
	"shutdown-json":              {7, "", shutdown},
	"shutdown-json-unidentified": {7, "", shutdown},
}

func sessionClose(v *virtual, t fakegateway.Target) {
	v.Reconnect(v.now, t, 2500*time.Millisecond, true)
}

func shutdown(v *virtual, _ fakegateway.Target) { v.Shutdown(v.now) }

// TestProbes sends what the captures' clients sent and wants the answers that
// they got: opcodes, names, keys and their order, and the close code. Sequence
// numbers and the two events that other connections of the same user cause are
// not compared: in the captures the other clients of the recording are seen.
func TestProbes(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(captures, "probes", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		if strings.HasSuffix(name, ".expected") {
			continue
		}
		ran++
		t.Run(name, func(t *testing.T) { probe(t, name) })
	}
	if ran < 50 {
		t.Errorf("only %d probes were found", ran)
	}
}

func probe(t *testing.T, name string) {
	c := capture(t, "probes/"+name)
	v := engine(t, fakegateway.Options{Accounts: []fakegateway.Account{{Username: "alice", Token: realToken}}})
	r := request(c.Query)
	if name == "probe-no_User_Agent_header" {
		r.Header.Del("User-Agent")
	}
	conn := v.openRequest(r)
	expected := c.Expected
	outside := happenings[name]
	for _, f := range c.Frames {
		v.sleep(max(0, f.At-v.now))
		if f.Out {
			conn.Receive(v.now, f.Data, f.Binary)
			continue
		}
		if len(expected) == 0 {
			t.Fatal("there are more frames than expected payloads")
		}
		m := parse(t, expected[0])
		expected = expected[1:]
		if outside.happen != nil && m.Op == outside.op && m.T == outside.name {
			outside.happen(v, fakegateway.Target{Conn: conn.ID})
		}
	}
	switch {
	case c.CloseCode == 0:
		// The process was killed.
		v.Drop(v.now, fakegateway.Target{})
	case c.ServerClosed():
		v.sleep(max(0, c.ClosedAt-v.now) + 20*time.Millisecond) // as late as the real one
	default:
		v.sleep(max(0, c.ClosedAt-v.now))
	}

	want := []string{}
	for _, p := range c.Expected {
		want = append(want, shown(parse(t, p)))
	}
	got := []string{}
	for _, m := range conn.msgs {
		got = append(got, shown(m))
	}
	want, got = slices.DeleteFunc(want, seenOfOthers), slices.DeleteFunc(got, seenOfOthers)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	code := 0
	if c.ServerClosed() {
		code = c.CloseCode
		if code == 0 {
			code = 1006
		}
	}
	if conn.code != code || conn.reason != reasonIf(code, c.CloseReason) {
		t.Errorf("closed with %d %q, want %d %q", conn.code, conn.reason, code, c.CloseReason)
	}
	// The frames are of the same kind, too.
	for i, f := range c.Frames {
		if !f.Out {
			if len(conn.frames) > 0 && conn.frames[0].binary != f.Binary {
				t.Errorf("frame %d: binary is %v, want %v", i, conn.frames[0].binary, f.Binary)
			}
			break
		}
	}
}

func reasonIf(code int, reason string) string {
	if code == 0 {
		return ""
	}
	return reason
}

// shown is a message without what may differ: its values.
func shown(m message) string {
	var d map[string]json.RawMessage
	payload := string(m.D)
	if json.Unmarshal(m.D, &d) == nil && d != nil {
		// A status is what tells a presence from the answer to op 3.
		keys := slices.Sorted(maps.Keys(d))
		if m.T != "PRESENCE_UPDATE" {
			keys = nil
		}
		payload = "{" + strings.Join(keys, " ") + "}"
	} else if m.Op == 7 {
		payload = "number"
	}
	return strings.Join(keysOf(m.text), ",") + " " + regexp.MustCompile(`/-?\d*$`).ReplaceAllString(m.String(), "") + " " + payload
}

func seenOfOthers(shown string) bool {
	return strings.Contains(shown, "0/SESSIONS_REPLACE") ||
		strings.Contains(shown, "0/PRESENCE_UPDATE") && strings.Contains(shown, "status user")
}

// TestShapes compares the payloads of a session's events with the real ones:
// the same keys at every depth, with values of the same types.
func TestShapes(t *testing.T) {
	want, always := map[string]map[string]bool{}, map[string]map[string]bool{}
	for _, name := range []string{"alice-json-plain", "ready40-json-plain"} {
		for _, p := range capture(t, name).Expected {
			m := parse(t, p)
			add(want, m)
			one := map[string]map[string]bool{}
			add(one, m)
			if always[m.T] == nil {
				always[m.T] = one[m.T]
			}
			maps.DeleteFunc(always[m.T], func(path string, _ bool) bool { return !one[m.T][path] })
		}
	}
	flat := map[string]map[string]bool{}
	for _, p := range capture(t, "probes/probe-identify_without_properties").Expected {
		add(flat, parse(t, p))
	}

	v := engine(t, fakegateway.Options{Seed: 3, Accounts: []fakegateway.Account{{Username: "alice", Token: fakegateway.AliceToken, Email: "alice@example.com"}}})
	g := v.World().Guilds[0]
	c := v.identified("")
	for _, m := range []string{
		`{"op":4,"d":{"guild_id":"` + g.ID + `","channel_id":"` + g.Voice().ID + `","self_mute":true,"self_deaf":false}}`,
		`{"op":43,"d":{"guild_id":"` + g.ID + `","fields":["status","voice_start_time"]}}`,
		`{"op":4,"d":{"guild_id":null,"channel_id":null,"self_mute":false,"self_deaf":false}}`,
		`{"op":8,"d":{"guild_id":"` + g.ID + `","query":"","limit":0}}`,
		`{"op":8,"d":{"guild_id":["` + g.ID + `"],"user_ids":["` + v.World().Users[1].ID + `","123"],"presences":true,"nonce":"n-1"}}`,
		`{"op":14,"d":{"guild_id":"` + g.ID + `","channels":{"` + g.Text().ID + `":[[0,99]]}}}`,
		`{"op":36,"d":{"guild_id":"` + g.ID + `"}}`,
		`{"op":12,"d":["` + g.ID + `"]}`,
	} {
		c.send(m)
	}
	v.SetLife(v.now, 50)
	v.sleep(20 * time.Second)
	got := map[string]map[string]bool{}
	for _, m := range c.msgs {
		add(got, m)
	}

	for name, paths := range got {
		if want[name] == nil {
			t.Errorf("%s was never seen on a real server", name)
			continue
		}
		for _, p := range slices.Sorted(maps.Keys(paths)) {
			if !want[name][p] && !allowed(name, p) {
				t.Errorf("%s: %s is in none of the real ones", name, p)
			}
		}
		// What is always there must be here as well.
		for _, p := range slices.Sorted(maps.Keys(always[name])) {
			if !paths[p] && required(name, p) {
				t.Errorf("%s: %s is missing", name, p)
			}
		}
	}
	if len(got) < 16 {
		t.Errorf("only %d kinds of events came: %v", len(got), slices.Sorted(maps.Keys(got)))
	}

	// READY in its other shape.
	v = engine(t, fakegateway.Options{})
	c = v.open("")
	c.send(`{"op":2,"d":{"token":"` + fakegateway.AliceToken + `"}}`)
	got = map[string]map[string]bool{}
	add(got, c.msgs[1])
	for p := range flat["READY"] {
		if !got["READY"][p] && strings.HasPrefix(p, ".guilds[]") && required("READY", p) {
			t.Errorf("flat READY: %s is missing", p)
		}
	}
	for p := range got["READY"] {
		if !flat["READY"][p] && strings.HasPrefix(p, ".guilds[]") && !allowed("READY", p) {
			t.Errorf("flat READY: %s is in no real one", p)
		}
	}
}

// add collects the paths of a payload, such as ".user.id string".
func add(to map[string]map[string]bool, m message) {
	if m.Op != 0 {
		return
	}
	if to[m.T] == nil {
		to[m.T] = map[string]bool{}
	}
	var v any
	if json.Unmarshal(m.D, &v) == nil {
		paths(to[m.T], "", v)
	}
}

func paths(to map[string]bool, at string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			paths(to, at+"."+k, e)
		}
		to[at+" object"] = true
	case []any:
		for _, e := range v {
			paths(to, at+"[]", e)
		}
		to[at+" list"] = true
	case string:
		to[at+" string"] = true
	case float64:
		to[at+" number"] = true
	case bool:
		to[at+" bool"] = true
	case nil:
		to[at+" null"] = true
	}
}

// allowed are differences that are meant: values that the recorded world
// happened not to have.
func allowed(name, path string) bool {
	for _, p := range []string{
		"READY .guilds[].channels[].topic string", "READY .guilds[].channels[].last_message_id string",
		"READY .guilds[].channels[].parent_id string", "READY .merged_members[][].nick string",
		"GUILD_SYNC .members[].nick string", "GUILD_SYNC .members[].nick null", "GUILD_SYNC .presences[].activities",
		"GUILD_MEMBERS_CHUNK .members[].nick", "GUILD_MEMBERS_CHUNK .presences[].activities",
		"VOICE_STATE_UPDATE .member.nick", "TYPING_START .member.nick string", "MESSAGE_CREATE .member.nick string",
		"MESSAGE_REACTION_ADD .member.nick string", "GUILD_MEMBER_LIST_UPDATE .ops[].items[].member",
		"GUILD_MEMBER_ADD .", "READY_SUPPLEMENTAL .guilds[].voice_states", "PRESENCE_UPDATE .guild_id string",
		"READY .sessions[].activities[]", "SESSIONS_REPLACE [].activities[]",
		"READY .user_settings", "READY .user.settings", "READY .merged_members[][].roles[] string",
		"MESSAGE_CREATE .member.roles[] string",
		"READY .guilds[].channels[].bitrate",
	} {
		if strings.HasPrefix(name+" "+path, p) {
			return true
		}
	}
	return false
}

// required leaves out what the recorded world happened to have.
func required(name, path string) bool {
	if strings.HasSuffix(path, " null") || strings.HasSuffix(path, " string") && (strings.HasSuffix(path, ".nick string") || strings.Contains(path, "icon")) {
		return false
	}
	for _, p := range []string{
		"READY .user.settings", "READY .user_settings", "READY .guilds[].emojis[]",
		"READY .guilds[].channels[].permission_overwrites[]",
		"READY .merged_members[][].roles[]", "GUILD_MEMBER_LIST_UPDATE .ops[].items[].member.last_message_id",
		"GUILD_MEMBER_LIST_UPDATE .ops[].items[].member.presence.activities[]",
	} {
		if strings.HasPrefix(name+" "+path, p) {
			return false
		}
	}
	return true
}
