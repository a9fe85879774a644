package simulation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

// The tests of this file are the faults that broke other clients, each named
// after what happened to whom.

func world(t *testing.T, server fakegateway.Options, change ...func(*session.Config)) *World {
	t.Helper()
	var cfg session.Config
	for _, f := range change {
		f(&cfg)
	}
	w, err := New(Options{Seed: 7, Server: server, Config: cfg, Trace: true})
	if err != nil {
		t.Fatal(err)
	}
	w.Client.Kinds.Observe("*")
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("\n" + w.Trace())
		}
	})
	return w
}

// documented is a server that resumes, with short heartbeats.
func documented() fakegateway.Options {
	return fakegateway.Options{Profile: fakegateway.Documented, Interval: 3 * time.Second}
}

func ready(t *testing.T, w *World) {
	t.Helper()
	w.Client.Start()
	reach(t, w, session.StateReady, time.Minute)
}

func reach(t *testing.T, w *World, state session.State, limit time.Duration) {
	t.Helper()
	if !w.Until(limit, func() bool { return w.Client.State() == state }) {
		t.Fatalf("not %v within %v, but %v", state, limit, w.Client.State())
	}
}

func count(w *World, op int) (n int) {
	for _, m := range w.Client.Writes {
		if m.Op == op {
			n++
		}
	}
	return n
}

// disgo, serenity: an event of the wrong shape cost the connection, and was
// replayed by every Resume: 27 connections in 40 seconds.
func TestMisshapenEventIsNotReplayed(t *testing.T) {
	w := world(t, documented())
	ready(t, w)
	for _, d := range []string{`{"id":{}}`, `[]`, `null`, `"text"`, `{"id":`} {
		w.Server.Dispatch(w.Now(), fakegateway.Target{}, "MESSAGE_CREATE", []byte(d))
	}
	w.Run(time.Minute)
	if len(w.Client.Dials) != 1 || w.Client.State() != session.StateReady {
		t.Fatalf("%d dials, %v", len(w.Client.Dials), w.Client.State())
	}
	w.Client.Break(true)
	w.Run(time.Minute)
	if n := strings.Count(fmt.Sprint(w.Client.Names()), "MESSAGE_CREATE"); n != 5 || len(w.Client.Dials) != 2 || count(w, 6) != 1 {
		t.Fatalf("%d of 5 events delivered, %d dials, %d resumes", n, len(w.Client.Dials), count(w, 6))
	}
}

// disgo, discord.js: sends used up the budget of the heartbeats.
func TestSendsDoNotStarveHeartbeats(t *testing.T) {
	w := world(t, documented(), func(c *session.Config) { c.Queue = 1000 })
	ready(t, w)
	for range 500 {
		if _, err := w.Client.Send(3, `{"status":"online","since":null,"activities":[],"afk":false}`); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Client.Send(8, `{"guild_id":"1","query":"","limit":0}`); err != nil {
			t.Fatal(err)
		}
	}
	w.Run(2 * time.Minute)
	if len(w.Client.Dials) != 1 {
		t.Fatalf("%d dials: the server lost patience", len(w.Client.Dials))
	}
	if n := count(w, 1); n < 38 {
		t.Fatalf("%d heartbeats in 2 minutes at 3 s", n)
	}
}

// disgo, arikawa, Discord.Net: a slow consumer delayed heartbeats and looked like
// a dead connection. Here nobody consumes at all for a while: the machine hangs.
func TestSlowConsumerIsNoZombie(t *testing.T) {
	w := world(t, documented())
	ready(t, w)
	w.Client.Sleep(true)
	w.Run(4 * time.Second)
	w.Client.Sleep(false)
	w.Run(time.Minute)
	if len(w.Client.Dials) != 1 {
		t.Fatalf("%d dials after 4 s of absence", len(w.Client.Dials))
	}
}

// disgo: a drop during Resume lost the session.
func TestDropDuringResume(t *testing.T) {
	w := world(t, documented())
	ready(t, w)
	w.Server.Plan(fakegateway.Faults{CloseOnResume: 1006}, fakegateway.Faults{CloseOnResume: 1006})
	w.Client.Break(true)
	w.Run(2 * time.Minute)
	if w.Client.State() != session.StateReady || count(w, 2) != 1 || len(w.Client.Gaps) != 0 {
		t.Fatalf("%v after %d Identifies and %d gaps", w.Client.State(), count(w, 2), len(w.Client.Gaps))
	}
}

// disgo, discordgo, discord.py, twilight, Javacord: the resume host was dead, or
// answered 503, for ever.
func TestDeadResumeHost(t *testing.T) {
	for name, f := range map[string]func(w *World){
		"refuses": func(w *World) { w.Net.Unreachable["resume.test"] = true },
		"503":     func(w *World) { w.Server.Plan(fakegateway.Faults{RefuseStatus: 503}) },
		"hangs":   func(w *World) { w.Server.Plan(fakegateway.Faults{HangDial: true}) },
		"silent":  func(w *World) { w.Server.Plan(fakegateway.Faults{NoHello: true}) },
	} {
		t.Run(name, func(t *testing.T) {
			w := world(t, documented())
			ready(t, w)
			f(w)
			w.Client.Break(true)
			w.Run(time.Minute)
			if w.Client.State() != session.StateReady || count(w, 2) != 1 {
				t.Fatalf("%v after %d Identifies", w.Client.State(), count(w, 2))
			}
			last := w.Client.Dials[len(w.Client.Dials)-1]
			if !strings.HasPrefix(last.URL, MainURL) {
				t.Fatalf("ended at %s", last.URL)
			}
		})
	}
}

// discordgo: op 9 in answer to Resume, which is what Spacebar always gives,
// deadlocked for ever, and sends with it.
func TestInvalidSessionInAnswerToResume(t *testing.T) {
	w := world(t, fakegateway.Options{Profile: fakegateway.Spacebar, Interval: 3 * time.Second})
	ready(t, w)
	w.Client.Break(true)
	w.Until(time.Minute, func() bool { return count(w, 6) == 1 })
	if _, err := w.Client.Send(3, `{}`); !errors.Is(err, &session.Error{Code: session.ErrNotReady}) {
		t.Fatalf("a send meanwhile: %v", err)
	}
	dials := len(w.Client.Dials)
	reach(t, w, session.StateReady, 10*time.Second)
	if len(w.Client.Dials) != dials || count(w, 2) != 2 || len(w.Client.Gaps) != 1 {
		t.Fatalf("%d more dials, %d Identifies, %d gaps", len(w.Client.Dials)-dials, count(w, 2), len(w.Client.Gaps))
	}
	if _, err := w.Client.Send(3, `{"status":"online","since":null,"activities":[],"afk":false}`); err != nil {
		t.Fatal(err)
	}
}

// discordgo: a missing ACK was noticed after five intervals, and then closed with
// 1000, which ended the session.
func TestMissingACK(t *testing.T) {
	w := world(t, documented())
	ready(t, w)
	w.Server.SetFaults(w.Now(), fakegateway.Target{}, fakegateway.Faults{NoACK: true})
	began := w.Now()
	w.Until(time.Minute, func() bool { return len(w.Client.Dials) == 2 })
	if took := w.Now() - began; took > 3*3*time.Second {
		t.Fatalf("noticed after %v", took)
	}
	w.Server.SetFaults(w.Now(), fakegateway.Target{}, fakegateway.Faults{})
	w.Run(time.Minute)
	if w.Client.State() != session.StateReady || count(w, 2) != 1 {
		t.Fatalf("%v after %d Identifies", w.Client.State(), count(w, 2))
	}
}

// discordgo, Discord4J, discord.js, Discord.Net, DSharpPlus, Remora: fatal codes
// were retried for ever.
func TestFatalCodesStop(t *testing.T) {
	for _, code := range []int{4004, 4010, 4011, 4012, 4013, 4014} {
		w := world(t, documented())
		ready(t, w)
		w.Server.Close(w.Now(), fakegateway.Target{}, code, "")
		w.Run(10 * time.Minute)
		if w.Client.State() != session.StateClosed || len(w.Client.Dials) != 1 {
			t.Fatalf("%d: %v after %d dials", code, w.Client.State(), len(w.Client.Dials))
		}
	}
}

// arikawa, @discordjs/ws, tatsuworks: Resume was not answered while heartbeats
// were, and nobody ever noticed.
func TestResumeIsNotAnswered(t *testing.T) {
	w := world(t, documented())
	ready(t, w)
	w.Server.Plan(fakegateway.Faults{Resume: fakegateway.ResumeIgnore})
	w.Client.Break(true)
	w.Run(2 * time.Minute)
	if w.Client.State() != session.StateReady || count(w, 2) != 1 || count(w, 6) != 2 {
		t.Fatalf("%v after %d Identifies and %d Resumes", w.Client.State(), count(w, 2), count(w, 6))
	}
	// Nor while the replay went through without an end.
	w.Server.Plan(fakegateway.Faults{NoResumed: true})
	w.Client.Break(true)
	w.Run(2 * time.Minute)
	if w.Client.State() != session.StateReady {
		t.Fatalf("%v after a Resume without RESUMED", w.Client.State())
	}
}

// arikawa: op 9 with true led to Identify instead of Resume.
func TestInvalidSessionTrueResumes(t *testing.T) {
	w := world(t, documented())
	ready(t, w)
	w.Server.Plan(fakegateway.Faults{Resume: fakegateway.ResumeRetry})
	w.Client.Break(true)
	w.Until(time.Minute, func() bool { return count(w, 6) == 1 })
	w.Run(500 * time.Millisecond)
	w.Server.SetFaults(w.Now(), fakegateway.Target{}, fakegateway.Faults{})
	w.Run(time.Minute)
	if count(w, 6) < 2 || w.Client.State() != session.StateReady || len(w.Client.Gaps) != 0 {
		t.Fatalf("%d Resumes, %d Identifies, %v", count(w, 6), count(w, 2), w.Client.State())
	}
}

// arikawa: events that a consumer kept were overwritten by later ones.
func TestKeptEventsStay(t *testing.T) {
	w := world(t, documented())
	ready(t, w)
	for i := range 100 {
		w.Server.Dispatch(w.Now(), fakegateway.Target{}, "KEPT", fmt.Appendf(nil, `{"n":%d,"pad":%q}`, i, strings.Repeat("x", i)))
	}
	w.Run(time.Second)
	i := 0
	for _, e := range w.Client.Events {
		if e.Name == "KEPT" {
			if want := fmt.Sprintf(`{"n":%d,"pad":%q}`, i, strings.Repeat("x", i)); string(e.Data) != want {
				t.Fatalf("event %d is %s", i, e.Data)
			}
			i++
		}
	}
	if i != 100 {
		t.Fatalf("%d of 100 events", i)
	}
}

// arikawa: after the end, the session to resume was gone.
func TestSessionSurvivesClose(t *testing.T) {
	w := world(t, documented())
	ready(t, w)
	w.Run(time.Second)
	w.Client.Close(true)
	snap, ok := w.Client.S().Snapshot()
	if !ok || snap.ID == "" || snap.Seq < 1 {
		t.Fatalf("session %+v, %v", snap, ok)
	}
	w2 := world(t, documented(), func(c *session.Config) { c.Restore = &snap })
	ready(t, w2) // of another server, which does not know it
	if len(w2.Client.Gaps) != 1 {
		t.Fatalf("%d gaps", len(w2.Client.Gaps))
	}
}

// arikawa had this right: bad and unknown events are survived.
func TestBadAndUnknownEvents(t *testing.T) {
	w := world(t, documented())
	ready(t, w)
	for _, m := range []string{`{"op":0,"t":"NOBODY_KNOWS","s":3,"d":{"x":1}}`, `{"op":77,"d":{}}`, `{bad`, `[]`, ``, `{"op":0}`, `{"op":0,"t":5,"s":"x","d":1}`} {
		w.Server.Send(w.Now(), fakegateway.Target{}, []byte(m))
	}
	w.Run(time.Minute)
	if len(w.Client.Dials) != 1 || !slices.Contains(w.Client.Names(), "NOBODY_KNOWS") {
		t.Fatalf("%d dials, events %v", len(w.Client.Dials), w.Client.Names())
	}
}

// arikawa: READY's resume_gateway_url was ignored.
func TestResumeURLIsUsed(t *testing.T) {
	w := world(t, documented())
	ready(t, w)
	w.Client.Break(true)
	w.Run(time.Minute)
	if !strings.HasPrefix(w.Client.Dials[1].URL, ResumeURL+"?v=9&encoding=json") {
		t.Fatalf("resumed at %s", w.Client.Dials[1].URL)
	}
}

// @discordjs/ws: a send while resuming never settled, not even after RESUMED.
func TestSendWhileResuming(t *testing.T) {
	w := world(t, documented())
	ready(t, w)
	w.Server.Plan(fakegateway.Faults{Resume: fakegateway.ResumeIgnore})
	w.Client.Break(true)
	w.Until(time.Minute, func() bool { return w.Client.State() == session.StateResuming })
	if _, err := w.Client.Send(3, `{}`); !errors.Is(err, &session.Error{Code: session.ErrNotReady}) {
		t.Fatalf("send while resuming: %v", err)
	}
}

// @discordjs/ws, spacebarchat/client: a server that accepts and closes was dialed
// twice a second.
func TestAcceptThenCloseIsNotHammered(t *testing.T) {
	w := world(t, documented())
	ready(t, w)
	w.Server.SetFaults(w.Now(), fakegateway.Target{}, fakegateway.Faults{CloseOnConnect: 1000})
	w.Client.Break(true)
	w.Run(10 * time.Minute)
	if n := len(w.Client.Dials); n > 45 {
		t.Fatalf("%d dials in 10 minutes", n)
	}
	w.Server.SetFaults(w.Now(), fakegateway.Target{}, fakegateway.Faults{})
	reach(t, w, session.StateReady, 2*time.Minute)
}

// carbon, nostrum, twilight, spacebarchat/client: the missing ACK of one
// connection killed the next, and so on.
func TestMissingACKDoesNotOutliveItsConnection(t *testing.T) {
	w := world(t, documented())
	ready(t, w)
	w.Server.SetFaults(w.Now(), fakegateway.Target{}, fakegateway.Faults{NoACK: true})
	w.Until(time.Minute, func() bool { return len(w.Client.Dials) == 2 })
	w.Server.SetFaults(w.Now(), fakegateway.Target{}, fakegateway.Faults{})
	reach(t, w, session.StateReady, time.Minute)
	dials := len(w.Client.Dials)
	w.Run(10 * time.Minute)
	if len(w.Client.Dials) != dials {
		t.Fatalf("%d dials in 10 healthy minutes", len(w.Client.Dials)-dials)
	}
}

// eris, discord.js: frames of the old socket reached the new inflater, or a big
// compressed message was cut short.
func TestCompressedReconnect(t *testing.T) {
	for _, name := range []string{"json/zlib-stream", "json/zstd-stream", "etf/zlib-stream", "etf/zstd-stream"} {
		t.Run(name, func(t *testing.T) {
			server := documented()
			server.Guilds, server.Members = 20, 60
			w := world(t, server, func(c *session.Config) { c.Transports = transports(t, name) })
			ready(t, w)
			for i := range 20 {
				w.Server.Dispatch(w.Now(), fakegateway.Target{}, "N", fmt.Appendf(nil, `{"n":%d}`, i))
				if i%5 == 4 {
					w.Client.Break(true)
				}
				w.Run(10 * time.Second)
			}
			n := 0
			for _, e := range w.Client.Events {
				if e.Name == "N" {
					if string(e.Data) != fmt.Sprintf(`{"n":%d}`, n) {
						t.Fatalf("event %d is %s", n, e.Data)
					}
					n++
				}
			}
			if n != 20 || len(w.Client.Gaps) != 0 {
				t.Fatalf("%d of 20 events, %d gaps", n, len(w.Client.Gaps))
			}
			for _, e := range w.Client.Errors {
				if e.Code == session.ErrCorruptStream || e.Code == session.ErrMalformed {
					t.Fatal(e)
				}
			}
		})
	}
}

// Spacebar knows no Resume. Asking costs seconds each time, so after two refusals
// it is not asked any more; a server that resumes always is.
func TestServersThatCannotResumeAreNotAskedForEver(t *testing.T) {
	for _, profile := range []fakegateway.Profile{fakegateway.Spacebar, fakegateway.Documented} {
		w := world(t, fakegateway.Options{Profile: profile, Interval: 3 * time.Second})
		ready(t, w)
		for range 6 {
			w.Client.Break(true)
			w.Run(5 * time.Second)
			reach(t, w, session.StateReady, time.Minute)
			w.Run(40 * time.Second)
		}
		resumes, gaps := 6, 0
		if profile == fakegateway.Spacebar {
			resumes, gaps = 2, 6
		}
		if n := count(w, 6); n != resumes || len(w.Client.Gaps) != gaps {
			t.Errorf("%v: %d Resumes, want %d; %d gaps, want %d", profile, n, resumes, len(w.Client.Gaps), gaps)
		}
	}
}
