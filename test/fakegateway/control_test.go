package fakegateway_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

// TestControl does every action over HTTP and looks at what a client sees.
func TestControl(t *testing.T) {
	srv := start(t, fakegateway.Options{Control: true})
	used := map[string]bool{}
	control := func(text string) string {
		t.Helper()
		var head struct{ Action string }
		if err := json.Unmarshal([]byte(text), &head); err != nil {
			t.Fatal(err)
		}
		used[head.Action] = true
		status, body, _ := fetch(t, "POST", srv.HTTPURL()+"/control", text)
		if status != 200 {
			t.Errorf("%s: %d %s", text, status, body)
		}
		return body
	}
	reached := func(text string, n int) {
		t.Helper()
		if got, want := control(text), fmt.Sprintf(`{"reached":%d}`, n); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	g := srv.World().Guilds[0]
	c := online(t, srv, "")

	reached(`{"action":"dispatch","event":"X","d":{"a":1}}`, 1)
	if m := c.next(); m.T != "X" || string(m.D) != `{"a":1}` {
		t.Errorf("got %s", m.text)
	}
	reached(`{"action":"dispatch","event":"X","size":5000,"user":"alice"}`, 1)
	if m := c.next(); len(m.D) != 5000 {
		t.Errorf("got %d bytes", len(m.D))
	}
	reached(`{"action":"dispatch","event":"X","user":"bob"}`, 0)
	reached(`{"action":"raw","text":"{\"op\":99}"}`, 1)
	if m := c.next(); m.Op != 99 {
		t.Errorf("got %s", m.text)
	}
	reached(`{"action":"raw","base64":"AAEC","frame":true,"binary":true,"conn":1}`, 1)
	if data, binary, _ := c.rawFrame(); string(data) != "\x00\x01\x02" || !binary {
		t.Errorf("got %q, %v", data, binary)
	}
	reached(`{"action":"rate_limited","guild_id":"1","nonce":"n"}`, 1)
	if m := c.next(); string(m.D) != `{"opcode":8,"retry_after":29.5,"meta":{"guild_id":"1","nonce":"n"}}` {
		t.Errorf("got %s", m.text)
	}
	reached(`{"action":"request_heartbeat"}`, 1)
	if m := c.next(); m.Op != 1 {
		t.Errorf("got %s", m.text)
	}
	reached(`{"action":"flood","n":3,"event":"F","d":null}`, 1)
	reached(`{"action":"flood","n":2,"size":600}`, 1)
	for range 3 {
		if m := c.next(); m.T != "F" {
			t.Errorf("got %s", m)
		}
	}
	c.next()
	c.next()

	control(`{"action":"faults","faults":{"no_ack":true,"latency_ms":1}}`)
	c.send(`{"op":1}`)
	control(`{"action":"wait","op":1}`)
	control(`{"action":"wait","counter":"heartbeats","at_least":1}`)
	control(`{"action":"faults","faults":{}}`)
	c.send(`{"op":1}`)
	if m := c.next(); m.Op != 11 {
		t.Errorf("got %s", m)
	}
	control(`{"action":"wait","op":1,"at_least":2,"timeout_ms":5000,"conn":1}`)

	control(`{"action":"life","rate":500}`)
	c.next()
	control(`{"action":"life","rate":500,"size":900}`)
	for len(c.next().D) != 900 {
	}
	control(`{"action":"life","rate":0}`)
	reached(`{"action":"freeze"}`, 1)
	reached(`{"action":"freeze","on":false}`, 1)

	reached(`{"action":"reconnect","delay_ms":2500}`, 1)
	if m := c.until(7, ""); string(m.D) != "2500" {
		t.Errorf("got %s", m.text)
	}
	reached(`{"action":"reconnect"}`, 1)
	if m := c.next(); m.Op != 7 || string(m.D) != "null" {
		t.Errorf("got %s", m.text)
	}
	reached(`{"action":"invalid_session","resumable":true}`, 1)
	if m := c.next(); m.Op != 9 || string(m.D) != "true" {
		t.Errorf("got %s", m.text)
	}
	reached(`{"action":"invalid_session"}`, 1)
	if m := c.next(); m.Op != 9 || m.D != nil {
		t.Errorf("got %s", m.text)
	}
	c.send(aliceIdentify)
	c.until(0, "PRESENCE_UPDATE")
	reached(`{"action":"forget"}`, 1)
	reached(`{"action":"close","code":4242,"reason":"r","conn":1}`, 1)
	if code, reason := c.closed(); code != 4242 || reason != "r" {
		t.Errorf("closed with %d %q", code, reason)
	}
	control(`{"action":"wait","closed":true,"conn":1}`)

	c = online(t, srv, "")
	reached(`{"action":"drop"}`, 1)
	c.wantClosed(1006)
	c = online(t, srv, "")
	reached(`{"action":"remove_session","user":"alice"}`, 1)
	c.wantClosed(4006)
	c = online(t, srv, "")
	reached(`{"action":"shutdown"}`, 1)
	c.until(7, "")
	c.wantClosed(1000)
	c = online(t, srv, "?compress=zlib-stream")
	reached(`{"action":"truncate","bytes":9}`, 1)
	if data, _, _ := c.rawFrame(); len(data) != 9 {
		t.Errorf("got %d bytes", len(data))
	}
	c.wantClosed(1006)

	control(`{"action":"plan","plan":[{"refuse_status":418},{"close_on_connect":4001}]}`)
	if _, resp, _ := dialErr(t, srv, ""); resp == nil || resp.StatusCode != 418 {
		t.Errorf("got %v", resp)
	}
	dial(t, srv, "").wantClosed(4001)
	control(`{"action":"resume_url","url":"ws://127.0.0.1:1"}`)
	if got := dial(t, srv, "").ready().field("resume_gateway_url"); got != "ws://127.0.0.1:1" {
		t.Errorf("the resume URL is %s", got)
	}
	control(`{"action":"interval","interval_ms":1234}`)
	if m := dial(t, srv, "").next(); string(m.D) != `{"heartbeat_interval":1234}` {
		t.Errorf("got %s", m.text)
	}
	text, err := os.ReadFile(captures + "/probes/probe-session-logout-json.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	quoted, _ := json.Marshal(string(text))
	control(`{"action":"play","capture":` + string(quoted) + `,"real_time":false}`)
	c = dial(t, srv, "?encoding=json")
	c.until(10, "")
	c.send(aliceIdentify)
	c.wantClosed(4006)

	if got := control(`{"action":"counters"}`); !strings.Contains(got, `"refused":1`) {
		t.Errorf("got %s", got)
	}
	var st fakegateway.State
	if err := json.Unmarshal([]byte(control(`{"action":"state"}`)), &st); err != nil || st.Profile != "spacebar" || len(st.Conns) < 7 {
		t.Errorf("got %+v, %v", st, err)
	}
	if got := control(`{"action":"conn","conn":1}`); !strings.Contains(got, `"close_code":4242`) || strings.Contains(got, fakegateway.AliceToken) {
		t.Errorf("got %s", got)
	}
	var w fakegateway.World
	if err := json.Unmarshal([]byte(control(`{"action":"world"}`)), &w); err != nil || w.Guilds[0].ID != g.ID || w.Guilds[0].Channels[0].Name != "general" {
		t.Errorf("got %+v, %v", w, err)
	}

	if got := control(`{"action":"hostile"}`); !strings.HasPrefix(got, `{"hellos":["","`) || !strings.Contains(got, `"readies":["null",`) {
		t.Errorf("got %.100s", got)
	}

	// Each action that there is was used, and is in the documentation.
	_, list, _ := fetch(t, "POST", srv.HTTPURL()+"/control", `{"action":"?"}`)
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ = strings.Cut(list, "there are ")
	for _, name := range append(regexp.MustCompile(`[a-z_]+`).FindAllString(list, -1), "wait") {
		if !used[name] {
			t.Errorf("the action %s was not tried", name)
		}
		if !strings.Contains(string(doc), `{"action": "`+name+`"`) {
			t.Errorf("the action %s is not documented", name)
		}
	}
}

func TestControlErrors(t *testing.T) {
	srv := start(t, fakegateway.Options{Control: true})
	for _, tc := range []struct{ text, want string }{
		{`x`, "not a JSON object"},
		{`{}`, `there is no action \"\"`},
		{`{"action":"dance"}`, `there is no action \"dance\"; there are close, conn,`},
		{`{"action":"close"}`, "it needs a code"},
		{`{"action":"close","cod":4000}`, `unknown field \"cod\"`},
		{`{"action":"dispatch","d":1}`, "it needs an event"},
		{`{"action":"dispatch","event":"X","d":1,"size":100}`, "has no use together with d"},
		{`{"action":"dispatch","event":"X","size":3}`, "at least 10"},
		{`{"action":"flood","n":1,"event":"X","size":3}`, "at least 10"},
		{`{"action":"raw","base64":"!"}`, "illegal base64"},
		{`{"action":"conn","conn":77}`, "there is no connection 77"},
		{`{"action":"interval","interval_ms":0}`, "must be positive"},
		{`{"action":"faults","faults":{"lag":1}}`, `unknown field \"lag\"`},
		{`{"action":"plan","plan":[{"resume":"x"}]}`, "use refuse, retry or ignore"},
		{`{"action":"play","capture":""}`, "the capture is empty"},
		{`{"action":"wait"}`, "it needs an op"},
		{`{"action":"wait","counter":"x"}`, "there is no counter"},
		{`{"action":"wait","closed":true,"conn":77}`, "there is no connection 77"},
		{`{"action":"wait","op":1,"x":1}`, "unknown field"},
		{`{"action":"wait","op":1,"timeout_ms":1}`, "waited in vain"},
	} {
		status, body, _ := fetch(t, "POST", srv.HTTPURL()+"/control", tc.text)
		if status != 400 || !strings.Contains(body, tc.want) {
			t.Errorf("%s: %d %s, want %s", tc.text, status, body, tc.want)
		}
	}
	if status, _, _ := fetch(t, "GET", srv.HTTPURL()+"/control", ""); status != 404 {
		t.Errorf("GET /control: %d", status)
	}
	off := start(t, fakegateway.Options{})
	if status, _, _ := fetch(t, "POST", off.HTTPURL()+"/control", `{"action":"state"}`); status != 404 {
		t.Errorf("without Control: %d", status)
	}
}
