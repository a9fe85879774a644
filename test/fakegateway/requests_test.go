package fakegateway_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

// answers sends a message and returns what comes back.
func (c *vconn) answers(text string) []message {
	before := len(c.msgs)
	c.send(text)
	return c.msgs[before:]
}

func names(list []message) string {
	var s []string
	for _, m := range list {
		s = append(s, m.T)
	}
	return strings.Join(s, " ")
}

// TestAnswers sends every request and wants the event that answers it.
func TestAnswers(t *testing.T) {
	v := engine(t, fakegateway.Options{Profile: documented})
	w := v.World()
	g, dm := w.Guilds[0], w.Private[0]
	c := v.identified("")
	me := c.msgs[1].field("session_id")
	for _, tc := range []struct{ send, want string }{
		{`{"op":3,"d":{"status":"dnd","since":null,"activities":[],"afk":false}}`, "PRESENCE_UPDATE"},
		{`{"op":4,"d":{"guild_id":"G","channel_id":"VOICE","self_mute":true,"self_deaf":false}}`, "VOICE_STATE_UPDATE VOICE_SERVER_UPDATE"},
		{`{"op":4,"d":{"guild_id":"G","channel_id":"VOICE","self_mute":false,"self_deaf":false}}`, "VOICE_STATE_UPDATE"},
		{`{"op":43,"d":{"guild_id":"G","fields":["status","voice_start_time"]}}`, "CHANNEL_INFO"},
		{`{"op":4,"d":{"guild_id":null,"channel_id":null,"self_mute":false,"self_deaf":false}}`, "VOICE_STATE_UPDATE"},
		{`{"op":4,"d":{"guild_id":null,"channel_id":null,"self_mute":false,"self_deaf":false}}`, ""},
		{`{"op":4,"d":{"guild_id":null,"channel_id":"DM","self_mute":false,"self_deaf":false}}`, "VOICE_STATE_UPDATE VOICE_SERVER_UPDATE"},
		{`{"op":13,"d":{"channel_id":"DM"}}`, "CALL_CREATE"},
		{`{"op":13,"d":{"channel_id":"TEXT"}}`, ""},
		{`{"op":5,"d":null}`, "VOICE_SERVER_UPDATE"},
		{`{"op":8,"d":{"guild_id":"G","query":"","limit":0}}`, "GUILD_MEMBERS_CHUNK"},
		{`{"op":8,"d":{"guild_id":["G","H"],"query":"","limit":0}}`, "GUILD_MEMBERS_CHUNK GUILD_MEMBERS_CHUNK"},
		{`{"op":8,"d":{"guild_id":"1","query":"","limit":0}}`, ""},
		{`{"op":12,"d":["G","H","1"]}`, "GUILD_SYNC GUILD_SYNC"},
		{`{"op":14,"d":{"guild_id":"G","channels":{"TEXT":[[0,99]]}}}`, "GUILD_MEMBER_LIST_UPDATE"},
		{`{"op":14,"d":{"guild_id":"G","members":["1"]}}`, ""},
		{`{"op":37,"d":{"subscriptions":{"G":{"channels":{"TEXT":[[0,1],[2,3]]}},"H":{"typing":true}}}}`, "GUILD_MEMBER_LIST_UPDATE"},
		{`{"op":17,"d":[{"lobby_id":"1","self_mute":true,"self_deaf":false}]}`, "LOBBY_VOICE_STATE_UPDATE LOBBY_VOICE_SERVER_UPDATE"},
		{`{"op":18,"d":{"type":"guild","guild_id":"G","channel_id":"VOICE"}}`, "STREAM_CREATE STREAM_SERVER_UPDATE"},
		{`{"op":18,"d":{"type":"call","channel_id":"DM"}}`, "STREAM_CREATE STREAM_SERVER_UPDATE"},
		{`{"op":20,"d":{"stream_key":"guild:G:VOICE:1"}}`, "STREAM_CREATE STREAM_SERVER_UPDATE"},
		{`{"op":21,"d":{"stream_key":"guild:G:VOICE:1"}}`, "STREAM_SERVER_UPDATE"},
		{`{"op":22,"d":{"stream_key":"guild:G:VOICE:1","paused":true}}`, "STREAM_UPDATE"},
		{`{"op":19,"d":{"stream_key":"guild:G:VOICE:1"}}`, "STREAM_DELETE"},
		{`{"op":28,"d":{"guild_id":"G","channel_id":"TEXT","threads":[]}}`, "FORUM_UNREADS"},
		{`{"op":29,"d":{"target_session_id":"ME","payload":{"type":"x"}}}`, "REMOTE_COMMAND"},
		{`{"op":29,"d":{"target_session_id":"1","payload":{}}}`, ""},
		{`{"op":30,"d":{"guild_id":"G"}}`, "DELETED_ENTITY_IDS"},
		{`{"op":31,"d":{"guild_ids":["G","H","1"]}}`, "SOUNDBOARD_SOUNDS SOUNDBOARD_SOUNDS"},
		{`{"op":32,"d":{}}`, "SPEED_TEST_CREATE SPEED_TEST_SERVER_UPDATE"},
		{`{"op":33,"d":null}`, "SPEED_TEST_DELETE"},
		{`{"op":34,"d":{"guild_id":"G","channel_ids":["TEXT","1"]}}`, "LAST_MESSAGES"},
		{`{"op":35,"d":{"guild_id":"G","query":"b","nonce":"n"}}`, "GUILD_MEMBERS_CHUNK"},
		{`{"op":36,"d":{"guild_id":"G"}}`, "CHANNEL_STATUSES"},
		{`{"op":38,"d":{"guild_id":"G","obfuscated_channel_ids":["TEXT"]}}`, "CHANNEL_SYNC"},
		{`{"op":39,"d":{"guild_id":"G","channel_id":"TEXT"}}`, "CHANNEL_MEMBER_COUNT_UPDATE"},
		{`{"op":41,"d":{}}`, ""},
		{`{"op":42,"d":{"lobby_id":"1"}}`, "LOBBY_VOICE_SERVER_UPDATE"},
	} {
		text := strings.NewReplacer(`"G"`, `"`+g.ID+`"`, `"H"`, `"`+w.Guilds[1].ID+`"`, "VOICE", g.Voice().ID,
			"TEXT", g.Text().ID, "DM", dm.ID, "ME", me).Replace(tc.send)
		if got := names(c.answers(text)); got != tc.want {
			t.Errorf("%s is answered by %q, want %q", tc.send, got, tc.want)
		}
	}
	if c.code != 0 {
		t.Errorf("closed with %d", c.code)
	}
}

func TestSpacebarAnswers(t *testing.T) {
	v := engine(t, fakegateway.Options{})
	g := v.World().Guilds[0]
	c := v.identified("")
	etf := v.identified("?encoding=etf")

	got := c.answers(`{"op":3,"d":{"status":"idle","since":0,"activities":[],"afk":true}}`)
	if names(got) != "PRESENCE_UPDATE" || strings.Contains(string(got[0].D), `"status"`) {
		t.Errorf("a presence that was sent comes back as %s", got)
	}
	if !strings.HasSuffix(string(etf.last().D), `,"status":null}`) {
		t.Errorf("in ETF its status is not nil: %s", etf.last().D)
	}

	join := `{"op":4,"d":{"guild_id":"` + g.ID + `","channel_id":"` + g.Voice().ID + `","self_mute":true,"self_deaf":false}}`
	if got := names(c.answers(join)); got != "VOICE_STATE_UPDATE VOICE_SERVER_UPDATE" {
		t.Errorf("joining gives %s", got)
	}
	leave := c.answers(`{"op":4,"d":{"guild_id":null,"channel_id":null,"self_mute":false,"self_deaf":false}}`)
	if names(leave) != "VOICE_STATE_UPDATE VOICE_STATE_UPDATE VOICE_STATE_UPDATE" {
		t.Fatalf("leaving gives %s", names(leave))
	}
	for i, want := range []string{g.ID, "", ""} {
		if got := leave[i].field("guild_id"); got != want || leave[i].field("channel_id") != "" {
			t.Errorf("leaving, event %d has guild %q, want %q", i, got, want)
		}
	}

	c.answers(join)
	c.Gone(v.now, 1006, "")
	etf.Gone(v.now, 1006, "")
	bob := v.open("")
	bob.send(strings.ReplaceAll(aliceIdentify, fakegateway.AliceToken, fakegateway.BobToken))
	v.sleep(11e9)
	if got := names(bob.msgs[len(bob.msgs)-2:]); got != "VOICE_STATE_UPDATE PRESENCE_UPDATE" {
		t.Errorf("of somebody who is gone remains: %s", names(bob.msgs))
	}
}

type chunk struct {
	GuildID    string            `json:"guild_id"`
	Members    []json.RawMessage `json:"members"`
	Presences  []json.RawMessage `json:"presences"`
	Index      int               `json:"chunk_index"`
	Count      int               `json:"chunk_count"`
	NotFound   []string          `json:"not_found"`
	Nonce      string            `json:"nonce"`
	hasMissing bool
}

func chunks(t *testing.T, list []message) (all []chunk) {
	t.Helper()
	for _, m := range list {
		if m.T != "GUILD_MEMBERS_CHUNK" {
			t.Fatalf("%s is no chunk", m)
		}
		var ch chunk
		if err := json.Unmarshal(m.D, &ch); err != nil {
			t.Fatal(err)
		}
		ch.hasMissing = strings.Contains(string(m.D), "not_found")
		all = append(all, ch)
	}
	return all
}

func TestMembersChunks(t *testing.T) {
	for _, profile := range []fakegateway.Profile{spacebar, documented} {
		v := engine(t, fakegateway.Options{Profile: profile, Members: 1200})
		g := v.World().Guilds[0]
		c := v.identified("")
		got := chunks(t, c.answers(`{"op":8,"d":{"guild_id":"`+g.ID+`","query":"","limit":0,"nonce":"n-7"}}`))
		if len(got) != 2 || len(got[0].Members) != 1000 || len(got[1].Members) != 200 {
			t.Fatalf("%s: %d chunks", profile, len(got))
		}
		for i, ch := range got {
			if ch.Index != i || ch.Count != 2 || ch.Nonce != "n-7" || ch.Presences != nil || ch.GuildID != g.ID {
				t.Errorf("%s: chunk %d is %d of %d, nonce %q, %d presences", profile, i, ch.Index, ch.Count, ch.Nonce, len(ch.Presences))
			}
			if want := i == 0 && profile == spacebar; ch.hasMissing != want {
				t.Errorf("%s: chunk %d has not_found: %v, want %v", profile, i, ch.hasMissing, want)
			}
		}
		user := v.World().User("bob")
		one := chunks(t, c.answers(`{"op":8,"d":{"guild_id":["`+g.ID+`"],"user_ids":["`+user.ID+`","123"],"presences":true}}`))[0]
		if len(one.Members) != 1 || len(one.Presences) != 1 || fmt.Sprint(one.NotFound) != "[123]" || one.Nonce != "" {
			t.Errorf("%s: by id: %+v", profile, one)
		}
		few := chunks(t, c.answers(`{"op":8,"d":{"guild_id":"`+g.ID+`","query":"al","limit":3}}`))[0]
		if len(few.Members) != 3 {
			t.Errorf("%s: by name: %d members, want 3", profile, len(few.Members))
		}
		none := chunks(t, c.answers(`{"op":8,"d":{"guild_id":"`+g.ID+`","query":"no such name","limit":3}}`))[0]
		if len(none.Members) != 0 || none.Count != 1 {
			t.Errorf("%s: of nobody: %+v", profile, none)
		}
	}
}

func TestRateLimitedRequests(t *testing.T) {
	v := engine(t, fakegateway.Options{Profile: documented, Faults: fakegateway.Faults{RateLimitRequests: 1}})
	g := v.World().Guilds[0]
	c := v.identified("")
	ask := `{"op":8,"d":{"guild_id":"` + g.ID + `","query":"","limit":0,"nonce":"n"}}`
	got := c.answers(ask)
	want := `{"opcode":8,"retry_after":29.5,"meta":{"guild_id":"` + g.ID + `","nonce":"n"}}`
	if names(got) != "RATE_LIMITED" || string(got[0].D) != want {
		t.Errorf("got %s %s, want %s", names(got), got[0].D, want)
	}
	if got := names(c.answers(ask)); got != "GUILD_MEMBERS_CHUNK" {
		t.Errorf("then %s", got)
	}
}

func TestMemberList(t *testing.T) {
	v := engine(t, fakegateway.Options{Members: 300})
	g := v.World().Guilds[0]
	c := v.identified("")
	got := c.answers(`{"op":14,"d":{"guild_id":"` + g.ID + `","channels":{"` + g.Text().ID + `":[[0,99],[100,199]],"1":[[0,9]]}}}`)
	var d struct {
		Ops []struct {
			Op    string
			Range [2]int
			Items []struct{ Group, Member json.RawMessage }
		}
		Online  int `json:"online_count"`
		Members int `json:"member_count"`
		Groups  []struct {
			ID    string
			Count int
		}
	}
	if err := json.Unmarshal(got[0].D, &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Ops) != 2 || len(d.Ops[0].Items) != 100 || len(d.Ops[1].Items) != 100 || d.Ops[1].Range != [2]int{100, 199} || d.Ops[0].Op != "SYNC" {
		t.Fatalf("the ops are not what was asked for: %.300s", got[0].D)
	}
	if d.Ops[0].Items[0].Group == nil || d.Ops[0].Items[1].Member == nil {
		t.Error("the list does not begin with a group and its members")
	}
	sum := 0
	for _, gr := range d.Groups {
		if gr.ID != "offline" {
			sum += gr.Count
		}
	}
	if d.Members != 300 || d.Online != sum || sum == 0 || sum == 300 {
		t.Errorf("%d members, %d online, %d in groups", d.Members, d.Online, sum)
	}
}
