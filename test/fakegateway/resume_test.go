package fakegateway_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

func resume(session string, seq int) string {
	return fmt.Sprintf(`{"op":6,"d":{"token":%q,"session_id":%q,"seq":%d}}`, fakegateway.AliceToken, session, seq)
}

// lost makes a session that has lost its connection at number 4 and missed n
// events since.
func lost(t *testing.T, o fakegateway.Options, n int) (v *virtual, session string) {
	o.Profile = documented
	v = engine(t, o)
	c := v.identified("")
	c.Gone(v.now, 1006, "")
	for i := range n {
		v.Dispatch(v.now, fakegateway.Target{}, "MISSED", []byte(fmt.Sprint(i)))
	}
	return v, c.msgs[1].field("session_id")
}

func TestResumeReplays(t *testing.T) {
	for _, query := range []string{"", "?compress=zlib-stream", "?compress=zstd-stream", "?encoding=etf", "?encoding=etf&compress=zstd-stream"} {
		v, id := lost(t, fakegateway.Options{}, 3)
		c := v.open(query)
		c.Receive(v.now, binaryIf(t, query, resume(id, 4)), strings.Contains(query, "etf"))
		if got, want := c.kinds(), "10//- 0/MISSED/5 0/MISSED/6 0/MISSED/7 0/RESUMED/8"; got != want {
			t.Errorf("%s: got  %s\nwant %s", query, got, want)
		}
		v.Dispatch(v.now, fakegateway.Target{}, "NEW", nil)
		if got := c.last().String(); got != "0/NEW/9" {
			t.Errorf("after the resume came %s", got)
		}
	}
}

func TestResumeAgainAndAgain(t *testing.T) {
	v, id := lost(t, fakegateway.Options{}, 2)
	for i := range 5 {
		c := v.open("")
		c.send(resume(id, 5))
		if got, want := c.kinds(), "10//- 0/MISSED/6"; !strings.HasPrefix(got, want) {
			t.Fatalf("resume %d: got %s, want %s …", i, got, want)
		}
		c.Gone(v.now, 4000, "")
	}
}

func TestResumeTakesOver(t *testing.T) {
	v := engine(t, fakegateway.Options{Profile: documented})
	old := v.identified("")
	c := v.open("")
	c.send(resume(old.msgs[1].field("session_id"), 4))
	if old.code != 4000 || c.last().T != "RESUMED" {
		t.Errorf("old: %s, new: %s", old.kinds(), c.kinds())
	}
	v.Dispatch(v.now, fakegateway.Target{}, "X", nil)
	if c.last().T != "X" {
		t.Errorf("the event did not come: %s", c.kinds())
	}
}

func TestResumeRefused(t *testing.T) {
	const invalid = `{"t":null,"s":null,"op":9,"d":false}`
	cases := []struct {
		name   string
		seq    int
		change func(v *virtual, id *string)
		text   string
		code   int
	}{
		{"unknown session", 4, func(_ *virtual, id *string) { *id = "nonsense" }, invalid, 0},
		{"too old", 3, nil, invalid, 0},
		{"future", 99, nil, "", 4007},
		{"expired", 20, func(v *virtual, _ *string) { v.sleep(5 * time.Minute) }, invalid, 0},
		{"in time", 20, func(v *virtual, _ *string) { v.sleep(5*time.Minute - 1) }, "", 0},
	}
	for _, tc := range cases {
		v, id := lost(t, fakegateway.Options{Replay: 10}, 20)
		if tc.change != nil {
			tc.change(v, &id)
		}
		c := v.open("")
		c.send(resume(id, tc.seq))
		if tc.text != "" && c.last().text != tc.text || c.code != tc.code {
			t.Errorf("%s: %s, code %d", tc.name, c.last().text, c.code)
		}
		if tc.text == "" && tc.code == 0 && c.last().T != "RESUMED" {
			t.Errorf("%s: %s", tc.name, c.kinds())
		}
	}
}

func TestResumeWithAnotherToken(t *testing.T) {
	v, id := lost(t, fakegateway.Options{}, 0)
	c := v.open("")
	c.send(strings.ReplaceAll(resume(id, 4), fakegateway.AliceToken, fakegateway.BobToken))
	if c.last().Op != 9 {
		t.Errorf("bob resumes alice's session: %s", c.kinds())
	}
	c.send(strings.ReplaceAll(resume(id, 4), fakegateway.AliceToken, "nonsense"))
	if c.code != 4004 {
		t.Errorf("closed with %d, want 4004", c.code)
	}
}

func TestCloseCodesEndSessions(t *testing.T) {
	for _, tc := range []struct {
		client, server int
		kept           bool
	}{
		{1000, 0, false}, {1001, 0, false}, {1006, 0, true}, {4200, 0, true}, {1005, 0, true},
		{0, 1000, true}, {0, 4000, true}, {0, 4008, true}, {0, 4009, false}, {0, 4006, false}, {0, 1006, true},
	} {
		v := engine(t, fakegateway.Options{Profile: documented})
		c := v.identified("")
		if tc.client != 0 {
			c.Gone(v.now, tc.client, "")
		} else {
			v.Close(v.now, fakegateway.Target{}, tc.server, "")
			c.Gone(v.now, tc.server, "")
		}
		r := v.open("")
		r.send(resume(c.msgs[1].field("session_id"), 4))
		if got := r.last().T == "RESUMED"; got != tc.kept {
			t.Errorf("client %d, server %d: resumed %v, want %v", tc.client, tc.server, got, tc.kept)
		}
	}
}

func TestSessionsAreLimited(t *testing.T) {
	v := engine(t, fakegateway.Options{Profile: documented})
	var ids []string
	for range 70 {
		c := v.identified("")
		c.Gone(v.now, 1006, "")
		ids = append(ids, c.msgs[1].field("session_id"))
	}
	for i, want := range map[int]bool{0: false, 4: false, 6: true, 69: true} {
		c := v.open("")
		c.send(resume(ids[i], 4))
		if got := c.last().T == "RESUMED"; got != want {
			t.Errorf("session %d is resumed: %v, want %v", i, got, want)
		}
		c.Gone(v.now, 1006, "")
	}
}

func TestResumeFaults(t *testing.T) {
	for _, tc := range []struct {
		faults fakegateway.Faults
		want   string
	}{
		{fakegateway.Faults{Resume: fakegateway.ResumeRefuse}, "10//- 9//-"},
		{fakegateway.Faults{Resume: fakegateway.ResumeRetry}, "10//- 9//-"},
		{fakegateway.Faults{Resume: fakegateway.ResumeIgnore}, "10//-"},
		{fakegateway.Faults{CloseOnResume: 4000}, "10//- close 4000"},
		{fakegateway.Faults{CloseOnResume: 1006}, "10//- close 1006"},
		{fakegateway.Faults{NoResumed: true}, "10//- 0/MISSED/5"},
	} {
		v, id := lost(t, fakegateway.Options{}, 1)
		v.Plan(tc.faults)
		c := v.open("")
		c.send(resume(id, 4))
		if got := c.kinds(); got != tc.want {
			t.Errorf("%+v: got %s, want %s", tc.faults, got, tc.want)
		}
		if tc.faults.Resume == fakegateway.ResumeRetry && c.last().text != `{"t":null,"s":null,"op":9,"d":true}` {
			t.Errorf("got %s", c.last().text)
		}
	}
}
