package session

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

const (
	testURL  = "wss://gateway.test/"
	identify = `{"token":"secret-token","properties":{}}`
	hello    = `{"op":10,"d":{"heartbeat_interval":30000}}`
	readyMsg = `{"op":0,"t":"READY","s":0,"d":{"v":9,"guilds":[{"session_id":"no"}],"session_id":"abc","resume_gateway_url":"wss://resume.test/x?y=1"}}`
)

// rig is a driver in virtual time.
type rig struct {
	t    testing.TB
	s    *Session
	now  time.Duration
	out  []Output // since the last take
	conn Conn     // of the last dial
	url  string
}

func newRig(t testing.TB, change ...func(*Config)) *rig {
	t.Helper()
	cfg := Config{URL: testURL, Identify: []byte(identify), Seed: 1, Kinds: new(Kinds)}
	cfg.Kinds.Observe("*")
	for _, f := range change {
		f(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, s: s, now: time.Hour}
}

func (r *rig) drain() {
	for o := r.s.Next(); o != nil; o = r.s.Next() {
		c := *o
		c.Data = append([]byte(nil), o.Data...)
		r.out = append(r.out, c)
		if c.Kind == OutputDial {
			r.conn, r.url = c.Conn, c.URL
		}
	}
}

// run lets time pass, ticking when the session asks for it.
func (r *rig) run(d time.Duration) {
	end := r.now + d
	for {
		at, ok := r.s.Deadline()
		if !ok || at > end {
			break
		}
		r.now = max(r.now, at)
		r.s.Tick(r.now)
		r.drain()
	}
	r.now = end
}

func (r *rig) start() *rig {
	r.s.Start(r.now)
	r.drain()
	return r
}

func (r *rig) opened() *rig {
	r.s.Opened(r.now, r.conn)
	r.drain()
	return r
}

func (r *rig) recv(msgs ...string) *rig {
	for _, m := range msgs {
		r.s.Received(r.now, r.conn, []byte(m), false)
		r.drain()
	}
	return r
}

func (r *rig) closed(code CloseCode) *rig {
	r.s.Closed(r.now, r.conn, code, "", "")
	r.drain()
	return r
}

// ready brings the session to Ready and forgets what that took.
func (r *rig) ready() *rig {
	r.t.Helper()
	r.start().opened().recv(hello, readyMsg)
	r.state(StateReady)
	r.out = nil
	return r
}

// redial lets time pass until the next dial, and opens it.
func (r *rig) redial() *rig {
	r.t.Helper()
	was := r.conn
	for range 100 {
		if r.conn != was {
			return r.opened().recv(hello)
		}
		at, ok := r.s.Deadline()
		if !ok {
			break
		}
		r.run(at - r.now)
	}
	r.t.Fatalf("no dial; the state is %v", r.s.State())
	return r
}

func (r *rig) state(want State) {
	r.t.Helper()
	if r.s.State() != want {
		r.t.Fatalf("state is %v, want %v; outputs: %s", r.s.State(), want, r.log())
	}
}

// take returns the outputs of a kind and forgets all.
func (r *rig) take(kind OutputKind) (found []Output) {
	for _, o := range r.out {
		if o.Kind == kind {
			found = append(found, o)
		}
	}
	r.out = nil
	return found
}

// writes returns what was written, and forgets all.
func (r *rig) writes() (msgs []string) {
	for _, o := range r.take(OutputWrite) {
		msgs = append(msgs, string(o.Data))
	}
	return msgs
}

func (r *rig) expectWrites(want ...string) {
	r.t.Helper()
	if got := r.writes(); fmt.Sprint(got) != fmt.Sprint(want) {
		r.t.Fatalf("wrote %q, want %q", got, want)
	}
}

func (r *rig) errs(code ErrorCode) (found []*Error) {
	for _, o := range r.out {
		if o.Kind == OutputError && o.Err.Code == code {
			found = append(found, o.Err)
		}
	}
	return found
}

func (r *rig) log() string {
	var b strings.Builder
	for _, o := range r.out {
		fmt.Fprintf(&b, "\n  %d %v data=%s url=%s code=%d err=%v", o.Kind, o.State, o.Data, o.URL, o.CloseCode, o.Err)
	}
	return b.String()
}

func event(name string, seq int) string {
	return fmt.Sprintf(`{"op":0,"t":%q,"s":%d,"d":{"n":%d}}`, name, seq, seq)
}

func TestConnect(t *testing.T) {
	r := newRig(t).start()
	r.state(StateDialing)
	if r.url != testURL+"?v=9&encoding=json" {
		t.Fatalf("dialed %s", r.url)
	}
	r.opened()
	r.state(StateAwaitingHello)
	if w := r.writes(); len(w) != 0 {
		t.Fatalf("sent %q before Hello", w)
	}
	r.recv(hello)
	r.state(StateIdentifying)
	r.expectWrites(`{"op":2,"d":` + identify + `}`)
	r.recv(readyMsg)
	r.state(StateReady)
	snap, ok := r.s.Snapshot()
	if want := (Snapshot{ID: "abc", Seq: 0, ResumeURL: "wss://resume.test/x?y=1"}); !ok || snap != want {
		t.Fatalf("snapshot %+v, %v", snap, ok)
	}
	if d := r.take(OutputDispatch); len(d) != 1 || d[0].Event.Name != "READY" || d[0].Seq != 0 {
		t.Fatalf("READY was dispatched %d times", len(d))
	}
}

func TestOutputOrderAtReady(t *testing.T) {
	r := newRig(t).start().opened().recv(hello)
	r.out = nil
	r.recv(readyMsg)
	var kinds []OutputKind
	for _, o := range r.out {
		kinds = append(kinds, o.Kind)
	}
	if want := []OutputKind{OutputState, OutputSession, OutputDispatch}; fmt.Sprint(kinds) != fmt.Sprint(want) {
		t.Fatalf("outputs %v, want %v: the state must be true before anybody is called", kinds, want)
	}
}

func TestHeartbeats(t *testing.T) {
	first := map[time.Duration]bool{}
	for seed := range uint64(50) {
		r := newRig(t, func(c *Config) { c.Seed = seed }).ready()
		began := r.now
		for len(r.out) == 0 {
			at, _ := r.s.Deadline()
			r.run(at - r.now)
		}
		wait := r.now - began
		if wait < 0 || wait > 30*time.Second {
			t.Fatalf("first heartbeat after %v", wait)
		}
		first[wait.Round(time.Second)] = true
		r.expectWrites(`{"op":1,"d":0}`)
		r.recv(event("X", 7), `{"op":11}`)
		r.take(OutputAck)
		r.run(30*time.Second - 1)
		r.expectWrites()
		r.run(1)
		r.expectWrites(`{"op":1,"d":7}`)
	}
	if len(first) < 15 {
		t.Fatalf("the first heartbeat is not spread over the interval: %v", first)
	}
}

func TestHeartbeatBeforeAnySequence(t *testing.T) {
	r := newRig(t).start().opened().recv(hello)
	r.out = nil
	r.run(29*time.Second + 999*time.Millisecond)
	r.expectWrites(`{"op":1,"d":null}`)
}

func TestLatency(t *testing.T) {
	r := newRig(t).ready()
	for len(r.writes()) == 0 {
		at, _ := r.s.Deadline()
		r.run(at - r.now)
	}
	r.run(70 * time.Millisecond)
	r.recv(`{"op":11}`)
	acks := r.take(OutputAck)
	if len(acks) != 1 || acks[0].Latency != 70*time.Millisecond || r.s.Latency() != 70*time.Millisecond {
		t.Fatalf("latency %v, %v", acks, r.s.Latency())
	}
	r.recv(`{"op":11}`)
	if len(r.take(OutputAck)) != 0 {
		t.Fatal("an ACK nobody waited for was counted")
	}
}

// A driver need not tell when a message came: it is asked where that matters.
func TestUntold(t *testing.T) {
	asked := 0
	var r *rig
	r = newRig(t, func(c *Config) { c.Clock = func() time.Duration { asked++; return r.now } })
	recv := func(msg string, want int) {
		t.Helper()
		asked = 0
		r.s.Received(Untold, r.conn, []byte(msg), false)
		r.drain()
		if asked != want {
			t.Fatalf("%s: asked for the time %d times, want %d", msg, asked, want)
		}
	}
	r.start().opened()
	recv(hello, 1)
	r.run(time.Second)
	recv(readyMsg, 1)
	recv(event("A", 5), 0)
	recv(`{"s":6,"op":0,"t":"A","d":{}}`, 0)
	r.out = nil
	for len(r.writes()) == 0 {
		at, _ := r.s.Deadline()
		r.run(at - r.now)
	}
	r.run(70 * time.Millisecond)
	recv(event("A", 7), 0)
	recv(`{"op":11}`, 1)
	if acks := r.take(OutputAck); len(acks) != 1 || acks[0].Latency != 70*time.Millisecond {
		t.Fatalf("latency %v", acks)
	}
	lastHeard := r.now
	r.run(time.Second)
	recv(`{"op":9,"d":false}`, 1)
	r.run(10 * time.Second)
	recv(readyMsg, 1)
	if gaps := r.take(OutputGap); len(gaps) != 1 || gaps[0].Gap.DisconnectedAt != lastHeard+time.Second || gaps[0].Gap.ReconnectedAt != r.now {
		t.Fatalf("gaps %v", gaps)
	}
}

// A connection on which nothing at all arrives for an interval after a
// heartbeat is dead; one on which only the ACK is missing is not.
func TestZombie(t *testing.T) {
	r := newRig(t).ready()
	r.run(61 * time.Second)
	if c := r.take(OutputClose); len(c) != 1 || c[0].CloseCode != CloseKeep {
		t.Fatalf("closes: %v", c)
	}
	if _, ok := r.s.Snapshot(); !ok {
		t.Fatal("the session was thrown away")
	}

	r = newRig(t).ready()
	for i := range 100 {
		r.run(10 * time.Second)
		r.recv(event("X", i))
	}
	r.state(StateReady)
	if n := len(r.take(OutputClose)); n != 0 {
		t.Fatalf("%d closes although events kept coming", n)
	}
}

func TestServerAsksForHeartbeat(t *testing.T) {
	r := newRig(t).ready()
	for range 3 {
		r.recv(`{"op":1}`)
		r.expectWrites(`{"op":1,"d":0}`)
	}
	// It says nothing about a missing ACK, even just before the regular beat.
	for range 40 {
		at, _ := r.s.Deadline()
		r.run(at - r.now - time.Millisecond)
		r.recv(`{"op":1}`)
		r.run(time.Millisecond)
		r.state(StateReady)
	}
}

func TestHostileIntervals(t *testing.T) {
	for _, d := range []string{`{"heartbeat_interval":0}`, `{"heartbeat_interval":1}`, `{"heartbeat_interval":-5}`, `{"heartbeat_interval":9007199254740992}`,
		`{"heartbeat_interval":1e300}`, `{"heartbeat_interval":"x"}`, `{"heartbeat_interval":null}`, `{}`, `null`, `[]`, `5`} {
		r := newRig(t).start().opened().recv(`{"op":10,"d":` + d + `}`)
		if len(r.errs(ErrProtocol)) != 1 {
			t.Errorf("%s: no protocol error reported", d)
		}
		r.recv(readyMsg)
		r.out = nil
		for i := range 60 {
			r.run(time.Second)
			r.recv(event("X", i))
		}
		if n := len(r.writes()); n > 61 {
			t.Errorf("%s: %d heartbeats in a minute", d, n)
		}
		if at, ok := r.s.Deadline(); !ok || at-r.now > 10*time.Minute {
			t.Errorf("%s: no heartbeat ever", d)
		}
	}
}

func TestSecondHelloIsIgnored(t *testing.T) {
	r := newRig(t).ready().recv(hello)
	r.state(StateReady)
	if len(r.errs(ErrProtocol)) != 1 || len(r.writes()) != 0 {
		t.Fatal("a second Hello must be reported and otherwise ignored")
	}
}

func TestResume(t *testing.T) {
	r := newRig(t).ready().recv(event("A", 1), event("B", 2)).closed(CloseAbnormal)
	r.state(StateBackoff)
	r.out = nil
	r.redial()
	if r.url != "wss://resume.test/x?v=9&encoding=json&y=1" {
		t.Fatalf("resumed at %s", r.url)
	}
	r.expectWrites(`{"op":6,"d":{"token":"secret-token","session_id":"abc","seq":2}}`)
	r.state(StateResuming)
	// B is replayed although it had come: it must not be delivered again.
	r.recv(event("B", 2), event("C", 3), `{"op":0,"t":"RESUMED","s":3,"d":{}}`, event("D", 4))
	r.state(StateReady)
	var names []string
	gap := false
	for _, o := range r.out {
		if o.Kind == OutputDispatch {
			names = append(names, o.Event.Name)
		}
		gap = gap || o.Kind == OutputGap
	}
	if fmt.Sprint(names) != "[C RESUMED D]" || gap {
		t.Fatalf("delivered %v, gap %v", names, gap)
	}
}

func TestReconnectOp7(t *testing.T) {
	r := newRig(t).ready().recv(`{"op":7,"d":null}`)
	if c := r.take(OutputClose); len(c) != 1 || c[0].CloseCode != CloseKeep {
		t.Fatalf("closes: %v", c)
	}
	r.state(StateBackoff)
	r.redial()
	r.expectWrites(`{"op":6,"d":{"token":"secret-token","session_id":"abc","seq":0}}`)
}

// A Spacebar server names a delay, closes by itself, and may still send events
// until then, which it will not replay.
func TestReconnectOp7WithDelay(t *testing.T) {
	r := newRig(t).ready().recv(`{"op":7,"s":2,"d":4268}`)
	began := r.now
	r.run(100 * time.Millisecond)
	r.recv(event("SESSIONS_REPLACE", 3))
	if d := r.take(OutputDispatch); len(d) != 1 {
		t.Fatalf("%d events delivered behind op 7", len(d))
	}
	r.closed(CloseNormal)
	r.out = nil
	r.redial()
	if wait := r.now - began; wait < 4268*time.Millisecond || wait > 6*time.Second {
		t.Fatalf("dialed after %v", wait)
	}
	r.expectWrites(`{"op":6,"d":{"token":"secret-token","session_id":"abc","seq":3}}`)

	// A server that does not close is left after a while.
	r = newRig(t).ready().recv(`{"op":7,"d":60000}`)
	r.run(3 * time.Second)
	if len(r.take(OutputClose)) != 1 {
		t.Fatal("the connection was not closed")
	}
	r.state(StateBackoff)
}

func TestOp7InALoop(t *testing.T) {
	r := newRig(t).ready()
	dials := 0
	for end := r.now + 10*time.Minute; r.now < end; dials++ {
		r.recv(`{"op":7}`)
		r.redial().recv(`{"op":0,"t":"RESUMED","s":1,"d":{}}`)
	}
	if dials > 40 {
		t.Fatalf("%d dials in 10 minutes", dials)
	}
}

func TestInvalidSession(t *testing.T) {
	for _, msg := range []string{`{"op":9,"d":false}`, `{"op":9,"s":4}`, `{"op":9,"d":null}`} {
		waits := map[time.Duration]bool{}
		for seed := range uint64(20) {
			r := newRig(t, func(c *Config) { c.Seed = seed }).ready().recv(event("A", 5)).closed(CloseAbnormal).redial()
			r.out = nil
			conn := r.conn
			r.recv(msg)
			r.state(StateIdentifying)
			began := r.now
			for {
				at, _ := r.s.Deadline()
				r.run(at - r.now)
				r.recv(`{"op":11}`)
				if r.now-began > 10*time.Second {
					t.Fatal("no Identify")
				}
				if strings.Contains(strings.Join(r.writes(), ""), `{"op":2,`) {
					break
				}
			}
			if r.conn != conn {
				t.Fatal("identified on another connection")
			}
			wait := r.now - began
			if wait < time.Second || wait > 5*time.Second {
				t.Fatalf("identified after %v", wait)
			}
			waits[wait.Round(time.Second/2)] = true
			r.recv(readyMsg)
			gaps := r.take(OutputGap)
			if len(gaps) != 1 || !gaps[0].Gap.SessionLost || gaps[0].Gap.Reason.Code != ErrInvalidSession {
				t.Fatalf("gaps: %v", gaps)
			}
		}
		if len(waits) < 4 {
			t.Fatalf("the pause is not random: %v", waits)
		}
	}
}

func TestInvalidSessionResumable(t *testing.T) {
	r := newRig(t).ready().closed(CloseAbnormal).redial()
	r.out = nil
	conn := r.conn
	r.recv(`{"op":9,"d":true}`)
	r.run(5 * time.Second)
	r.recv(`{"op":11}`)
	if w := strings.Join(r.writes(), " "); !strings.Contains(w, `{"op":6,"d":{"token":"secret-token","session_id":"abc","seq":0}}`) || strings.Contains(w, `"op":2`) || r.conn != conn {
		t.Fatalf("wrote %s", w)
	}
	r.recv(`{"op":0,"t":"RESUMED","s":1,"d":{}}`)
	r.state(StateReady)
	if len(r.take(OutputGap)) != 0 {
		t.Fatal("a gap was reported although the session was resumed")
	}

	// Not for ever.
	r = newRig(t).ready().closed(CloseAbnormal).redial()
	resumes := 1
	for range 20 {
		r.out = nil
		r.recv(`{"op":9,"d":true}`)
		r.run(5 * time.Second)
		w := strings.Join(r.writes(), " ")
		resumes += strings.Count(w, `"op":6`)
		if strings.Contains(w, `"op":2`) {
			break
		}
	}
	if resumes != maxResumes {
		t.Fatalf("%d resumes, want %d", resumes, maxResumes)
	}
}

// A replay that goes on although its session is over brings nothing twice.
func TestReplayAfterTheEnd(t *testing.T) {
	r := newRig(t).ready().recv(event("A", 5)).closed(CloseAbnormal).redial()
	r.recv(event("A", 6), event("A", 7), `{"op":9,"d":false}`)
	r.state(StateIdentifying)
	r.out = nil
	r.recv(event("A", 6), event("A", 7))
	r.run(5 * time.Second)
	r.recv(event("A", 6), event("A", 7), event("A", 8))
	if d := r.take(OutputDispatch); len(d) > 0 {
		t.Fatalf("delivered again: %v", d)
	}
	r.recv(readyMsg, event("A", 1))
	if d := r.take(OutputDispatch); len(d) != 2 {
		t.Fatalf("%d events of the new session, want 2", len(d))
	}
}

// Timers that come late come together: nothing is said on a connection that one of
// them ends.
func TestTimersThatComeTogether(t *testing.T) {
	r := newRig(t).ready().closed(CloseAbnormal).redial()
	r.recv(`{"op":9,"d":true}`, `{"op":7,"d":4000}`)
	r.out = nil
	r.now += 10 * time.Second
	r.s.Tick(r.now)
	r.drain()
	r.run(0)
	r.state(StateBackoff)
	if w := strings.Join(r.writes(), " "); strings.Contains(w, `"op":6`) {
		t.Fatalf("wrote %s on a connection that is let go", w)
	}
}

func TestInvalidSessionInALoop(t *testing.T) {
	r := newRig(t).start().opened().recv(hello)
	for range 1000 {
		r.recv(`{"op":9,"d":false}`)
		r.run(100 * time.Millisecond)
		if r.s.State() == StateBackoff {
			return
		}
	}
	t.Fatal("the connection was kept for ever")
}

func TestGap(t *testing.T) {
	r := newRig(t).ready().recv(event("A", 41))
	lastHeard := r.now
	r.run(3 * time.Second)
	r.closed(CloseSessionInvalid)
	r.redial()
	r.expectWritesContain(`"op":2`)
	// A second failure on the way must not hide what was lost first.
	r.closed(CloseAbnormal)
	r.redial()
	r.out = nil
	r.recv(readyMsg)
	gaps := r.take(OutputGap)
	if len(gaps) != 1 {
		t.Fatalf("%d gaps", len(gaps))
	}
	g := gaps[0].Gap
	if g.LastSeq != 41 || g.DisconnectedAt != lastHeard || g.ReconnectedAt != r.now || !g.SessionLost || g.Reason.CloseCode != CloseSessionInvalid {
		t.Fatalf("gap %+v", g)
	}
	r.closed(CloseAbnormal).redial().recv(`{"op":0,"t":"RESUMED","s":1,"d":{}}`)
	if len(r.take(OutputGap)) != 0 {
		t.Fatal("the gap was reported again")
	}
}

// A program that ends suddenly while there is no session, or one that cannot be
// resumed, leaves the gap to the next, and what a new session is to be told.
func TestLossOutlivesItsSession(t *testing.T) {
	nameless := strings.Replace(readyMsg, `"session_id":"abc",`, "", 1)
	for name, live := range map[string]struct {
		end     func(*rig)
		lastSeq int64
		code    CloseCode
	}{
		"between two sessions":       {func(r *rig) { r.closed(CloseSessionInvalid).redial() }, 41, CloseSessionInvalid},
		"in a session without id":    {func(r *rig) { r.closed(CloseSessionInvalid).redial().recv(nameless, event("B", 5)) }, 5, 0},
		"after one without an id":    {func(r *rig) { r.closed(CloseSessionInvalid).redial().recv(nameless).closed(CloseAbnormal) }, 0, CloseAbnormal},
		"after a failure on the way": {func(r *rig) { r.closed(CloseNotIdentified).redial().closed(CloseAbnormal).redial() }, 41, CloseNotIdentified},
	} {
		r := newRig(t).ready().recv(event("A", 41))
		if _, lost := r.s.Lost(); lost {
			t.Fatalf("%s: a loss in a session that can be resumed", name)
		}
		if _, err := send(t, r, 3, `{"status":"dnd"}`); err != nil {
			t.Fatal(err)
		}
		live.end(r)
		for process := range 3 {
			l, ok := r.s.Lost()
			if !ok {
				t.Fatalf("%s: nothing is left for process %d", name, process)
			}
			now := r.now
			r = newRig(t, func(c *Config) { c.Lost = &l })
			r.now = now
			r.start().opened().recv(hello)
		}
		r.out = nil
		r.recv(readyMsg)
		out := r.out
		g := r.take(OutputGap)
		if len(g) != 1 || g[0].Gap.LastSeq != live.lastSeq || g[0].Gap.Reason.CloseCode != live.code || g[0].Gap.DisconnectedAt > r.now || g[0].Gap.ReconnectedAt != r.now {
			t.Fatalf("%s: gaps %+v", name, g)
		}
		if r.out = out; !strings.Contains(strings.Join(r.writes(), " "), `{"op":3,"d":{"status":"dnd"}}`) {
			t.Fatalf("%s: the new session was not told what stands", name)
		}
		if l, lost := r.s.Lost(); lost {
			t.Fatalf("%s: %+v is left once it was reported", name, l)
		}
	}
}

// The program may end when a session has begun and the gap has not been taken yet:
// then that is left along with the session, and reported when it is resumed.
func TestLossIsLeftUntilItIsTaken(t *testing.T) {
	r := newRig(t).ready().recv(event("A", 41)).closed(CloseSessionInvalid).redial()
	r.s.Received(r.now, r.conn, []byte(readyMsg), false)
	for o := r.s.Next(); o.Kind != OutputSession; o = r.s.Next() {
	}
	snap, live := r.s.Snapshot()
	l, lost := r.s.Lost()
	if !live || !lost {
		t.Fatalf("left are a session: %v, and a gap: %v", live, lost)
	}
	r = newRig(t, func(c *Config) { c.Restore, c.Lost = &snap, &l }).start().opened().recv(hello)
	r.out = nil
	r.recv(`{"op":0,"t":"RESUMED","s":1,"d":{}}`)
	if g := r.take(OutputGap); len(g) != 1 || g[0].Gap.LastSeq != 41 {
		t.Fatalf("gaps %+v", g)
	}
	if _, lost := r.s.Lost(); lost {
		t.Fatal("the gap is left once it was reported")
	}
}

func (r *rig) expectWritesContain(part string) {
	r.t.Helper()
	if w := strings.Join(r.writes(), " "); !strings.Contains(w, part) {
		r.t.Fatalf("wrote %s, want %s in it", w, part)
	}
}

// READY in answer to Resume: the server has started over without saying so.
func TestReadyInsteadOfResumed(t *testing.T) {
	r := newRig(t).ready().recv(event("A", 9)).closed(CloseAbnormal).redial()
	r.out = nil
	r.recv(readyMsg)
	if g := r.take(OutputGap); len(g) != 1 || g[0].Gap.LastSeq != 9 {
		t.Fatalf("gaps: %v", g)
	}
	if r.s.Seq() != 0 {
		t.Fatalf("seq %d carried over into the new session", r.s.Seq())
	}
}

func TestResumeHostFallsBack(t *testing.T) {
	r := newRig(t).ready().closed(CloseAbnormal)
	r.run(time.Second)
	if !strings.HasPrefix(r.url, "wss://resume.test/") {
		t.Fatalf("dialed %s", r.url)
	}
	r.s.Closed(r.now, r.conn, CloseAbnormal, "", "503")
	r.drain()
	r.out = nil
	r.redial()
	if !strings.HasPrefix(r.url, testURL) {
		t.Fatalf("dialed %s", r.url)
	}
	// With the same session.
	r.expectWritesContain(`"session_id":"abc"`)

	// A resume host that accepts and stays silent is left as well.
	r = newRig(t).ready().closed(CloseAbnormal)
	r.run(time.Second)
	r.opened()
	r.run(helloTimeout + 5*time.Second)
	r.opened().recv(hello)
	if !strings.HasPrefix(r.url, testURL) {
		t.Fatalf("dialed %s", r.url)
	}
	r.expectWritesContain(`"session_id":"abc"`)
}

func TestResumesAreCapped(t *testing.T) {
	for name, fail := range map[string]func(r *rig){
		"closed": func(r *rig) { r.closed(CloseAbnormal) },
		"silent": func(r *rig) {
			for r.s.State() == StateResuming {
				r.run(time.Second)
				r.recv(`{"op":11}`)
				if r.now > 100*time.Hour {
					break
				}
			}
		},
	} {
		r := newRig(t).ready().closed(CloseAbnormal)
		for i := range maxResumes {
			r.redial()
			if r.state(StateResuming); !strings.Contains(strings.Join(r.writes(), ""), `"op":6`) {
				t.Fatalf("%s: attempt %d did not resume", name, i)
			}
			if name == "silent" {
				// Heartbeats are acknowledged, but RESUMED never comes.
				for range 100 {
					if r.s.State() != StateResuming {
						break
					}
					r.run(time.Second)
				}
				continue
			}
			fail(r)
		}
		r.redial()
		r.state(StateIdentifying)
		r.expectWritesContain(`"op":2`)
	}
}

// A long replay is progress, not a timeout.
func TestLongReplay(t *testing.T) {
	r := newRig(t).ready().closed(CloseAbnormal).redial()
	for i := range 200 {
		r.run(time.Second)
		r.recv(event("X", i+1))
	}
	r.state(StateResuming)
	r.recv(`{"op":0,"t":"RESUMED","s":300,"d":{}}`)
	r.state(StateReady)
}

// A server may replay more than it has to, an old RESUMED included.
func TestReplayOfWhatHasArrived(t *testing.T) {
	r := newRig(t).ready().recv(event("A", 1)).closed(CloseAbnormal).redial().recv(`{"op":0,"t":"RESUMED","s":2,"d":{}}`)
	r.recv(event("B", 3)).closed(CloseAbnormal).redial()
	r.out = nil
	r.recv(event("A", 1), `{"op":0,"t":"RESUMED","s":2,"d":{}}`, event("B", 3), event("C", 4), `{"op":0,"t":"RESUMED","s":5,"d":{}}`)
	var names []string
	for _, o := range r.take(OutputDispatch) {
		if o.Event.Name != "RESUMED" {
			names = append(names, o.Event.Name)
		}
	}
	if fmt.Sprint(names) != "[C]" {
		t.Fatalf("delivered %v", names)
	}
}

// RESUMED may be lost, and events come on.
func TestResumeWithoutEnd(t *testing.T) {
	r := newRig(t).ready().closed(CloseAbnormal).redial()
	for i := 0; r.s.State() == StateResuming; i++ {
		r.run(time.Second)
		r.recv(event("X", i+1))
		if i > 400 {
			t.Fatal("it resumes for ever")
		}
	}
	r.state(StateBackoff)
	if errs := r.errs(ErrTimeout); len(errs) != 1 || !strings.Contains(errs[0].Message, "finish") {
		t.Fatalf("errors: %v", errs)
	}
}

// A session that cannot be resumed for want of an id is missed like any other.
func TestLossOfSessionWithoutID(t *testing.T) {
	r := newRig(t).start().opened().recv(hello, `{"op":0,"t":"READY","s":1,"d":{"v":9}}`)
	r.state(StateReady)
	r.recv(event("X", 2)).closed(CloseAbnormal).redial()
	r.state(StateIdentifying)
	r.recv(readyMsg)
	if gaps := r.take(OutputGap); len(gaps) != 1 || gaps[0].Gap.LastSeq != 2 {
		t.Fatalf("gaps: %+v", gaps)
	}
}

// A READY that is cut short is none, in either encoding.
func TestUnreadableReady(t *testing.T) {
	etf := func(c *Config) { c.Transports = []wire.Transport{{Encoding: wire.ETF}} }
	r := newRig(t, etf).start().opened()
	term := func(text string) []byte {
		b, err := wire.AppendETF(nil, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	r.s.Received(r.now, r.s.conn, term(hello), true)
	r.drain()
	whole := term(`{"t":"READY","s":1,"op":0,"d":{"v":9,"session_id":"abc","guilds":[]}}`)
	r.s.Received(r.now, r.s.conn, whole[:len(whole)-9], true)
	r.drain()
	r.state(StateIdentifying)
}

// The number of a session that has gone is not told to the next server.
func TestHeartbeatBeforeReadyHasNoNumber(t *testing.T) {
	r := newRig(t).start().opened().recv(hello, event("X", 7)).closed(CloseAbnormal).redial()
	r.state(StateIdentifying)
	r.out = nil
	r.run(25 * time.Second)
	r.run(25 * time.Second)
	for _, msg := range r.writes() {
		if strings.Contains(msg, `"op":1,`) && msg != `{"op":1,"d":null}` {
			t.Fatalf("wrote %s", msg)
		}
	}
}

// An Identify that has worked is not taken for wrong because the server fails.
func TestFailingServerIsNotBadToken(t *testing.T) {
	r := newRig(t).ready().closed(CloseSessionInvalid)
	for range 2 * maxRejected {
		r.redial()
		r.state(StateIdentifying)
		r.closed(CloseUnknownError)
		r.state(StateBackoff)
	}
}

// A server may ask for a heartbeat every second; the user may send all the same.
func TestShortIntervalLeavesRoomToSend(t *testing.T) {
	r := newRig(t).start().opened().recv(`{"op":10,"d":{"heartbeat_interval":1000}}`, readyMsg)
	for range 120 {
		r.run(time.Second)
		r.recv(`{"op":11}`)
	}
	for range 50 {
		if _, err := send(t, r, 8, `{}`); err != nil {
			t.Fatal(err)
		}
		r.recv(`{"op":11}`)
	}
	if n := r.s.QueueLen(); n > 0 {
		t.Fatalf("%d of 50 sends wait", n)
	}
}

// Identify after Invalid Session counts, too.
func TestInvalidSessionsStayWithinTheLimit(t *testing.T) {
	r := newRig(t).start().opened().recv(`{"op":10,"d":{"heartbeat_interval":1000}}`, readyMsg)
	conn, began := r.s.conn, r.now
	for r.s.conn == conn && r.now < began+50*time.Second {
		for r.s.State() == StateReady && r.s.QueueLen() == 0 {
			if _, err := send(t, r, 8, `{}`); err != nil {
				t.Fatal(err)
			}
		}
		r.recv(`{"op":9,"d":false}`)
		r.run(time.Second)
		r.recv(`{"op":11}`, readyMsg)
	}
	n := 0
	for _, o := range r.take(OutputWrite) {
		if o.Conn == conn {
			n++
		}
	}
	if n > RateLimit || n < RateLimit/2 {
		t.Fatalf("%d messages within a minute", n)
	}
}

func TestSequence(t *testing.T) {
	r := newRig(t).ready()
	for _, step := range []struct {
		msg string
		seq int64
	}{
		{event("A", 77), 77}, {event("B", 79), 79}, {event("C", 78), 79}, {event("D", 80), 80}, // zstd overtaking
		{`{"op":0,"t":"CHANNEL_STATUSES","d":{}}`, 80},
		{`{"op":0,"t":"X","s":null,"d":{}}`, 80},
		{`{"op":0,"t":"BAD","s":81,"d":{"broken":}}`, 81}, // the envelope counts, whatever the payload
		{`{"op":0,"t":"NULL","s":82,"d":null}`, 82},
	} {
		r.recv(step.msg)
		if r.s.Seq() != step.seq {
			t.Fatalf("after %s seq is %d, want %d", step.msg, r.s.Seq(), step.seq)
		}
	}
	if n := len(r.take(OutputDispatch)); n != 8 {
		t.Fatalf("%d of 8 events delivered", n)
	}
	r.state(StateReady)
}

func TestMalformed(t *testing.T) {
	r := newRig(t).ready()
	for _, msg := range []string{`{bad`, `hello`, ``, `[]`, `null`, `{"op":"x"}`, `{}`, "\x00\xff", `{"op":99,"d":{}}`, `{"op":0,"t":"NEW_EVENT","s":1,"d":{}}`} {
		r.recv(msg)
		r.state(StateReady)
	}
	if n := len(r.errs(ErrMalformed)); n != 7 {
		t.Fatalf("%d malformed messages reported, want 7", n)
	}
}

func TestNotAGateway(t *testing.T) {
	r := newRig(t).start().opened().recv(`<html><body>no</body></html>`)
	if len(r.errs(ErrNotGateway)) != 1 {
		t.Fatal("HTML was not recognised")
	}
	r = newRig(t).start()
	for range 10 {
		r.opened()
		r.run(20 * time.Second)
	}
	r.state(StateClosed)
	fatal := r.out[len(r.out)-1].Err
	if fatal == nil || fatal.Code != ErrNotGateway || !fatal.Fatal {
		t.Fatalf("silence ended with %v", fatal)
	}
}

func TestUnreachable(t *testing.T) {
	r := newRig(t).start()
	for range DefaultAttempts {
		for r.s.State() == StateBackoff {
			r.run(10 * time.Millisecond)
		}
		r.s.Closed(r.now, r.conn, CloseAbnormal, "", "connection refused")
		r.drain()
	}
	r.state(StateClosed)
	if n := len(r.errs(ErrDialFailed)); n != DefaultAttempts {
		t.Fatalf("%d errors", n)
	}
	last := r.out[len(r.out)-1]
	if last.Kind != OutputState || last.Err.Code != ErrDialFailed || !strings.Contains(last.Err.Message, "gateway.test") || !strings.Contains(last.Err.Message, "connection refused") {
		t.Fatalf("ended with %v", last.Err)
	}
	// Dialing that never ends, ends.
	r = newRig(t).start()
	r.run(dialTimeout)
	if c := r.take(OutputClose); len(c) != 1 {
		t.Fatal("the dial was not given up")
	}
}

// Once it has been ready, a session never gives up.
func TestReconnectsForever(t *testing.T) {
	r := newRig(t).ready().closed(CloseAbnormal)
	for range 200 {
		r.run(time.Minute)
		r.s.Closed(r.now, r.conn, CloseAbnormal, "", "unreachable")
		r.drain()
	}
	r.state(StateBackoff)
}

func TestBackoff(t *testing.T) {
	const seeds = 300
	sums := make([]time.Duration, 10)
	for seed := range uint64(seeds) {
		r := newRig(t, func(c *Config) { c.Seed = seed }).ready().closed(CloseAbnormal)
		for i := range sums {
			last := r.out[len(r.out)-1]
			if last.State != StateBackoff {
				t.Fatalf("no back-off: %+v", last)
			}
			wait := last.RetryAt - r.now
			if limit := min(backoffCap, backoffBase<<i); wait < 0 || wait > limit {
				t.Fatalf("wait %d is %v, limit %v", i, wait, limit)
			}
			sums[i] += wait
			r.run(wait)
			r.s.Closed(r.now, r.conn, CloseAbnormal, "", "x")
			r.drain()
		}
	}
	for i, sum := range sums { // full jitter: the mean is half the limit
		mean, half := sum/seeds, min(backoffCap, backoffBase<<i)/2
		if mean < half*8/10 || mean > half*12/10 {
			t.Errorf("mean wait %d is %v, want about %v", i, mean, half)
		}
	}
}

func TestBackoffResetsOnlyWhenStable(t *testing.T) {
	r := newRig(t).ready()
	for range 8 { // ready, but never for long
		r.run(5 * time.Second)
		r.closed(CloseAbnormal).redial().recv(`{"op":0,"t":"RESUMED","s":1,"d":{}}`)
	}
	if r.s.attempts < 8 {
		t.Fatalf("the back-off started over after %d attempts", r.s.attempts)
	}
	for range 4 {
		r.run(10 * time.Second)
		r.recv(`{"op":11}`)
	}
	r.closed(CloseAbnormal)
	if r.s.attempts != 1 {
		t.Fatalf("the back-off did not start over after 40 s of Ready (%d)", r.s.attempts)
	}
}

// A session that stood for hours ends the back-off of an old outage, however it ends.
func TestBackoffResetsWhenTheSessionIsEnded(t *testing.T) {
	r := newRig(t).ready()
	for range 8 {
		r.closed(CloseAbnormal).redial().recv(`{"op":0,"t":"RESUMED","s":1,"d":{}}`)
	}
	for range 40 {
		r.run(10 * time.Second)
		r.recv(`{"op":11}`)
	}
	r.recv(`{"op":9,"s":5}`).closed(CloseSessionInvalid)
	if r.s.attempts != 1 {
		t.Fatalf("the back-off is that of %d attempts", r.s.attempts)
	}
}

// A server that accepts and closes at once must not be hammered.
func TestAcceptThenClose(t *testing.T) {
	r := newRig(t).ready().closed(CloseNormal)
	dials := Conn(0)
	began, first := r.now, r.conn
	for r.now < began+10*time.Minute {
		r.run(time.Second)
		if r.s.State() == StateDialing {
			r.opened().closed(CloseNormal)
			dials = r.conn - first
		}
	}
	if dials > 40 {
		t.Fatalf("%d dials in 10 minutes", dials)
	}
}

func TestLateInputsAreIgnored(t *testing.T) {
	r := newRig(t).ready()
	old := r.conn
	r.recv(`{"op":7}`).redial()
	r.recv(`{"op":0,"t":"RESUMED","s":1,"d":{}}`)
	r.out = nil
	r.s.Received(r.now, old, []byte(event("OLD", 50)), false)
	r.s.Closed(r.now, old, CloseAuthFailed, "", "")
	r.s.Opened(r.now, old)
	r.drain()
	r.state(StateReady)
	if len(r.out) != 0 || r.s.Seq() != 1 {
		t.Fatalf("the old connection did something: %s", r.log())
	}
}

// What was left of a heartbeat must not count against the next connection.
func TestHeartbeatStateEndsWithConnection(t *testing.T) {
	r := newRig(t).ready()
	r.run(31 * time.Second) // a heartbeat is out, unacknowledged
	r.closed(CloseAbnormal).redial().recv(`{"op":0,"t":"RESUMED","s":1,"d":{}}`)
	r.out = nil
	at := r.now
	for r.now < at+29*time.Second {
		r.run(time.Second)
		r.state(StateReady)
	}
}

func TestCloseCodes(t *testing.T) {
	want := map[CloseCode]struct{ fatal, keep bool }{
		1000: {false, true}, 1001: {false, true}, 1005: {false, true}, 1006: {false, true}, 1009: {false, true},
		4000: {false, true}, 4001: {false, true}, 4002: {false, true}, 4003: {false, false}, 4004: {true, false},
		4005: {false, true}, 4006: {false, false}, 4007: {false, false}, 4008: {false, true}, 4009: {false, true},
		4010: {true, false}, 4011: {true, false}, 4012: {true, false}, 4013: {true, false}, 4014: {true, false},
		4015: {true, false}, 4016: {true, false}, 4321: {false, true}, 3000: {false, true},
	}
	if n := len(ClosePolicies()); n != len(want)-2 {
		t.Errorf("the table has %d codes, this test %d", n, len(want)-2)
	}
	for code, w := range want {
		r := newRig(t).ready().closed(code)
		if w.fatal {
			r.state(StateClosed)
			if last := r.out[len(r.out)-1]; last.Err == nil || !last.Err.Fatal || last.Err.CloseCode != code {
				t.Errorf("%v: ended with %v", code, last.Err)
			}
			r.run(time.Hour)
			if len(r.take(OutputDial)) != 0 {
				t.Errorf("%v: dialed again", code)
			}
			continue
		}
		r.state(StateBackoff)
		if _, ok := r.s.Snapshot(); ok != w.keep {
			t.Errorf("%v: session kept = %v", code, ok)
		}
		r.out = nil
		r.redial()
		op := `"op":2`
		if w.keep {
			op = `"op":6`
		}
		r.expectWritesContain(op)
	}
	for _, p := range ClosePolicies() {
		if p.Name == "" || p.Advice == "" {
			t.Errorf("%d has no name or no advice", p.Code)
		}
	}
}

// A Spacebar server answers a wrong token with 4000, which otherwise asks for
// another try.
func TestWrongTokenOnSpacebar(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Attempts = -1 }).start().opened().recv(hello)
	for range maxRejected - 1 {
		r.closed(CloseUnknownError)
		r.state(StateBackoff)
		r.redial()
	}
	r.closed(CloseUnknownError)
	r.state(StateClosed)
	err := r.out[len(r.out)-1].Err
	if err.Code != ErrAuthentication || !err.Fatal || err.CloseCode != CloseUnknownError {
		t.Fatalf("ended with %v", err)
	}
	if strings.Contains(fmt.Sprintf("%+v %#v", *err, err), "secret-token") {
		t.Fatal("the error shows the token")
	}

	// Elsewhere 4000 stays an ordinary failure, however often.
	r = newRig(t).ready()
	for range 10 {
		r.closed(CloseUnknownError).redial().recv(`{"op":0,"t":"RESUMED","s":1,"d":{}}`)
	}
	r.state(StateReady)
}

// A token that is revoked is answered the same way; of one that has worked it takes
// more to tell, and no other failure in between.
func TestRevokedTokenOnSpacebar(t *testing.T) {
	r := newRig(t).ready().closed(CloseSessionInvalid)
	for range maxRevoked - 1 {
		r.redial().closed(CloseUnknownError)
		r.state(StateBackoff)
	}
	r.redial().closed(CloseAbnormal)
	for range maxRevoked - 1 {
		r.redial().closed(CloseUnknownError)
		r.state(StateBackoff)
	}
	r.redial().recv(readyMsg).closed(CloseSessionInvalid)
	for range maxRevoked - 1 {
		r.redial().closed(CloseUnknownError)
		r.state(StateBackoff)
	}
	r.redial().closed(CloseUnknownError)
	r.state(StateClosed)
	if err := r.out[len(r.out)-1].Err; err.Code != ErrAuthentication || !err.Fatal || err.CloseCode != CloseUnknownError {
		t.Fatalf("ended with %v", err)
	}
}

func TestIdentifyRejected(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Attempts = -1 }).start().opened().recv(hello)
	for range maxRejected - 1 {
		r.closed(CloseDecodeError).redial()
	}
	r.closed(CloseDecodeError)
	if err := r.out[len(r.out)-1].Err; err == nil || err.Code != ErrIdentifyRejected {
		t.Fatalf("ended with %v", err)
	}
}

func TestLocalClose(t *testing.T) {
	for keep, code := range map[bool]CloseCode{true: CloseKeep, false: CloseNormal} {
		r := newRig(t).ready().recv(event("A", 3))
		r.out = nil
		r.s.Close(r.now, keep)
		r.drain()
		if c := r.take(OutputClose); len(c) != 1 || c[0].CloseCode != code {
			t.Fatalf("closes: %v", c)
		}
		snap, ok := r.s.Snapshot()
		if ok != keep || keep && (snap.ID != "abc" || snap.Seq != 3) {
			t.Fatalf("snapshot %+v, %v after close(keep=%v)", snap, ok, keep)
		}
		r.recv(event("B", 4)).closed(1000)
		r.run(time.Hour)
		r.s.Wake(r.now)
		r.s.Start(r.now)
		r.s.Close(r.now, keep)
		r.drain()
		if len(r.out) != 0 {
			t.Fatalf("something followed the close: %s", r.log())
		}
		_, err := r.s.Send(r.now, 3, nil)
		if !errors.Is(err, &Error{Code: ErrClosed}) {
			t.Fatalf("send after close: %v", err)
		}
	}
	// Closing at any other moment.
	for _, at := range []func(*rig){
		func(r *rig) {}, func(r *rig) { r.start() }, func(r *rig) { r.start().opened() }, func(r *rig) { r.start().opened().recv(hello) },
		func(r *rig) { r.ready().closed(1006) },
	} {
		r := newRig(t)
		at(r)
		r.s.Close(r.now, false)
		r.drain()
		r.state(StateClosed)
		if _, ok := r.s.Deadline(); ok {
			t.Fatal("a timer outlived the close")
		}
	}
}

func TestRestore(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Restore = &Snapshot{ID: "old", Seq: 17, ResumeURL: "wss://resume.test"} }).start()
	if r.url != "wss://resume.test/?v=9&encoding=json" {
		t.Fatalf("dialed %s", r.url)
	}
	r.opened().recv(hello)
	r.expectWrites(`{"op":6,"d":{"token":"secret-token","session_id":"old","seq":17}}`)
	r.recv(`{"op":9,"d":false}`)
	r.run(6 * time.Second)
	r.recv(readyMsg)
	if g := r.take(OutputGap); len(g) != 1 || g[0].Gap.LastSeq != 17 {
		t.Fatalf("gaps: %v", g)
	}
}

func TestSpawn(t *testing.T) {
	spawn := func(c *Config) { c.Identify = nil }
	r := newRig(t, spawn).start().opened().recv(hello)
	r.state(StateConnected)
	if _, err := r.s.Send(r.now, 3, nil); !errors.Is(err, &Error{Code: ErrNotReady}) {
		t.Fatalf("presence before Identify: %v", err)
	}
	if _, err := r.s.Send(r.now, opIdentify, []byte(`{}`)); !errors.Is(err, &Error{Code: ErrInvalidPayload}) {
		t.Fatalf("Identify without token: %v", err)
	}
	r.out = nil
	id, err := r.s.Send(r.now, opIdentify, []byte(identify))
	if err != nil {
		t.Fatal(err)
	}
	r.drain()
	if sent := r.take(OutputSent); len(sent) != 1 || sent[0].ID != id || sent[0].Err != nil {
		t.Fatalf("sent: %v", sent)
	}
	r.recv(readyMsg)
	r.state(StateReady)
	if _, err := r.s.Send(r.now, opIdentify, []byte(identify)); !errors.Is(err, &Error{Code: ErrAlreadyIdentified}) {
		t.Fatalf("second Identify: %v", err)
	}
	// From here on the session looks after itself.
	r.closed(CloseSessionInvalid).redial()
	r.expectWritesContain(`{"op":2,"d":` + identify + `}`)

	r = newRig(t, spawn).start().opened().recv(hello)
	r.out = nil
	if _, err := r.s.Send(r.now, opResume, []byte(`{"token":"t","session_id":"s","seq":5}`)); err != nil {
		t.Fatal(err)
	}
	r.drain()
	r.expectWrites(`{"op":6,"d":{"token":"t","session_id":"s","seq":5}}`)
	r.recv(`{"op":9,"d":false}`)
	r.state(StateConnected) // nothing to identify with: the caller's turn

	// A server loses patience with a connection that never identifies.
	r = newRig(t, spawn).start().opened().recv(hello).closed(CloseSessionTimeout)
	r.state(StateClosed)
	r = newRig(t, spawn).start().opened().recv(hello)
	for range 70 {
		r.run(time.Second)
		r.recv(`{"op":11}`)
	}
	r.state(StateClosed)
}

func TestEveryStateHasADeadline(t *testing.T) {
	for name, r := range map[string]*rig{
		"dialing":     newRig(t).start(),
		"hello":       newRig(t).start().opened(),
		"connected":   newRig(t, func(c *Config) { c.Identify = nil }).start().opened().recv(hello),
		"identifying": newRig(t).start().opened().recv(hello),
		"resuming":    newRig(t).ready().closed(1006).redial(),
		"backoff":     newRig(t).ready().closed(1006),
	} {
		was, conn := r.s.State(), r.conn
		for range 70 {
			r.run(time.Second)
			if r.s.State() >= StateConnected && r.s.State() <= StateReady {
				r.recv(`{"op":11}`) // heartbeats are answered, nothing else
			}
			if r.s.State() != was || r.conn != conn {
				break
			}
		}
		if r.s.State() == was && r.conn == conn {
			t.Errorf("%s lasts for ever", name)
		}
	}
}

func send(t *testing.T, r *rig, op int, d string) (SendID, error) {
	t.Helper()
	id, err := r.s.Send(r.now, op, []byte(d))
	r.drain()
	return id, err
}

// At no time may more than 120 messages have gone out within 60 s, and the
// heartbeats must always get through.
func TestRateLimit(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Queue = 5000 }).ready()
	var sent []time.Duration
	heartbeats := 0
	note := func() {
		for _, o := range r.take(OutputWrite) {
			sent = append(sent, r.now)
			if strings.HasPrefix(string(o.Data), `{"op":1,`) {
				heartbeats++
			}
		}
	}
	sent = append(sent, r.now) // Identify
	for i := range 1000 {
		if _, err := send(t, r, 8, fmt.Sprintf(`{"n":%d}`, i)); err != nil {
			t.Fatal(err)
		}
		note()
	}
	began := r.now
	for r.now < began+5*time.Minute {
		r.run(100 * time.Millisecond)
		note()
		if r.now/time.Second%10 == 0 {
			r.recv(`{"op":1}`)
			note()
			r.recv(`{"op":11}`)
		}
	}
	for i := range sent {
		n := 0
		for _, at := range sent[i:] {
			if at < sent[i]+RateWindow {
				n++
			}
		}
		if n > RateLimit {
			t.Fatalf("%d messages within a window", n)
		}
	}
	if len(sent) < 5*100 {
		t.Fatalf("only %d messages in 5 minutes: the limit is not used", len(sent))
	}
	if heartbeats < 10 {
		t.Fatalf("%d heartbeats in 5 minutes", heartbeats)
	}
	if r.s.limit.userLimit() != RateLimit-3-2 {
		t.Fatalf("the user's share at 30 s is %d", r.s.limit.userLimit())
	}
}

func TestHeartbeatFlood(t *testing.T) {
	r := newRig(t).ready()
	for range 10000 {
		r.recv(`{"op":1}`)
	}
	if n := len(r.writes()); n > RateLimit-2 {
		t.Fatalf("%d heartbeats sent at once", n)
	}
	r.run(31 * time.Second) // the regular one still has its place
	r.expectWritesContain(`"op":1`)
}

func TestQueue(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Queue = 3 }).ready()
	for r.s.QueueLen() == 0 {
		if _, err := send(t, r, 8, `{}`); err != nil {
			t.Fatal(err)
		}
	}
	r.out = nil
	first, _ := send(t, r, opPresence, `{"status":"idle"}`)
	last, _ := send(t, r, 4, `{"v":1}`)
	if _, err := send(t, r, 8, `{}`); !errors.Is(err, &Error{Code: ErrQueueFull}) {
		t.Fatalf("a full queue: %v", err)
	}
	// The last presence counts, even in a full queue; the one before shares its fate.
	second, err := send(t, r, opPresence, `{"status":"dnd"}`)
	if err != nil {
		t.Fatal(err)
	}
	if sent := r.take(OutputSent); len(sent) != 0 {
		t.Fatalf("sent: %v", sent)
	}
	if !r.s.Cancel(last, &Error{Code: ErrTimeout}) || r.s.Cancel(last, nil) {
		t.Fatal("cancel")
	}
	r.drain()
	r.out = nil
	for range 130 {
		r.run(500 * time.Millisecond)
		r.recv(`{"op":11}`)
	}
	var done []SendID
	text := ""
	for _, o := range r.out {
		if o.Kind == OutputSent {
			done = append(done, o.ID)
		}
		if o.Kind == OutputWrite {
			text += string(o.Data)
		}
	}
	if fmt.Sprint(done[max(0, len(done)-2):]) != fmt.Sprint([]SendID{first, second}) || strings.Contains(text, "idle") || !strings.Contains(text, "dnd") || strings.Contains(text, `"v":1`) {
		t.Fatalf("settled %v, wrote %s", done, text)
	}
}

// Whatever waits is settled when the connection goes.
func TestSendsSettle(t *testing.T) {
	for name, end := range map[string]func(*rig){
		"lost":    func(r *rig) { r.closed(1006) },
		"closed":  func(r *rig) { r.s.Close(r.now, false); r.drain() },
		"invalid": func(r *rig) { r.recv(`{"op":9,"d":false}`) },
		"fatal":   func(r *rig) { r.closed(4004) },
	} {
		r := newRig(t).ready()
		ids := map[SendID]bool{}
		for range 150 {
			id, err := send(t, r, 8, `{}`)
			if err != nil {
				t.Fatal(err)
			}
			ids[id] = true
		}
		end(r)
		failed := 0
		for _, o := range r.out {
			if o.Kind == OutputSent {
				if !ids[o.ID] {
					t.Fatalf("%s: %d settled twice", name, o.ID)
				}
				delete(ids, o.ID)
				if o.Err != nil {
					failed++
				}
			}
		}
		if len(ids) != 0 || failed == 0 {
			t.Fatalf("%s: %d sends never settled, %d failed", name, len(ids), failed)
		}
	}
}

func TestMessageSize(t *testing.T) {
	for _, limit := range []int{DefaultMaxMessage, SpacebarMaxMessage} {
		r := newRig(t, func(c *Config) { c.MaxMessage = limit }).ready()
		fits := `"` + strings.Repeat("x", limit-len(`{"op":8,"d":""}`)) + `"`
		if _, err := send(t, r, 8, fits); err != nil {
			t.Fatalf("%d bytes refused: %v", limit, err)
		}
		if w := r.writes(); len(w[0]) != limit {
			t.Fatalf("the test's message has %d bytes", len(w[0]))
		}
		_, err := send(t, r, 8, fits[:1]+"x"+fits[1:])
		if !errors.Is(err, &Error{Code: ErrMessageTooLarge}) {
			t.Fatalf("%d bytes: %v", limit+1, err)
		}
		r.state(StateReady)
	}
}

func TestReceiveLimit(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxReceive = 5000 }).ready()
	r.recv(`{"op":0,"t":"X","s":1,"d":"` + strings.Repeat("x", 6000) + `"}`)
	r.state(StateClosed)
	if err := r.out[len(r.out)-1].Err; err.Code != ErrMessageTooBig {
		t.Fatalf("ended with %v", err)
	}
}

func TestNotObservedIsNotDispatched(t *testing.T) {
	var kinds *Kinds
	r := newRig(t, func(c *Config) { c.Kinds = new(Kinds); kinds = c.Kinds }).ready()
	kinds.Observe("WANTED")
	r.recv(event("WANTED", 1), event("OTHER", 2))
	if d := r.take(OutputDispatch); len(d) != 1 || d[0].Event.Name != "WANTED" {
		t.Fatalf("dispatched %v", d)
	}
	kinds.Unobserve("WANTED")
	kinds.Unobserve("WANTED")
	r.recv(event("WANTED", 3))
	if len(r.take(OutputDispatch)) != 0 || r.s.Seq() != 3 {
		t.Fatal("an event nobody observes must count, and no more")
	}
}

func TestWake(t *testing.T) {
	// A live connection answers the probe.
	r := newRig(t).ready()
	r.s.Wake(r.now)
	r.drain()
	r.expectWrites(`{"op":1,"d":0}`)
	r.s.Wake(r.now) // one at a time
	r.drain()
	r.expectWrites()
	r.run(time.Second)
	r.recv(event("X", 1))
	r.run(10 * time.Second)
	r.state(StateReady)
	// A dead one is replaced after five seconds.
	r.s.Wake(r.now)
	r.run(5 * time.Second)
	if r.s.State() == StateReady {
		t.Fatal("a dead connection outlived the probe")
	}
	// A wait is cut short, but not to a busy loop.
	dials := 0
	r = newRig(t).ready().closed(1006)
	for range 9 {
		r.run(time.Minute)
		r.s.Closed(r.now, r.conn, 1006, "", "x")
		r.drain()
	}
	r.out = nil
	began := r.now
	for r.now < began+10*time.Second {
		r.s.Wake(r.now)
		r.run(10 * time.Millisecond)
		if len(r.take(OutputDial)) > 0 {
			dials++
			r.s.Closed(r.now, r.conn, 1006, "", "x")
			r.drain()
		}
	}
	if dials == 0 || dials > 11 {
		t.Fatalf("%d dials in 10 s of wake-ups", dials)
	}
}

// After hours of sleep the timers say nothing about the server. A connection
// that survived is kept, one that did not is replaced within seconds.
func TestSleep(t *testing.T) {
	for _, survived := range []bool{true, false} {
		r := newRig(t).ready()
		r.run(31 * time.Second)
		r.recv(`{"op":11}`)
		r.out = nil
		r.now += 8 * time.Hour
		r.s.Tick(r.now)
		r.drain()
		r.state(StateReady)
		r.expectWritesContain(`"op":1`)
		if survived {
			r.recv(`{"op":11}`)
			r.run(20 * time.Second)
			r.state(StateReady)
		} else {
			r.run(5 * time.Second)
			if r.s.State() == StateReady {
				t.Fatal("the dead connection was kept")
			}
		}
	}
}

func TestTransportStepsDown(t *testing.T) {
	list := []wire.Transport{{Compression: wire.Zstd}, {Compression: wire.Zlib}, {}}
	r := newRig(t, func(c *Config) { c.Transports = list }).start()
	for i, want := range []string{"&compress=zstd-stream", "&compress=zlib-stream", ""} {
		if r.url != testURL+"?v=9&encoding=json"+want {
			t.Fatalf("dialed %s", r.url)
		}
		if i == 2 {
			break
		}
		r.opened().closed(CloseDecodeError)
		r.state(StateBackoff)
		r.run(0)
	}
	if r.opened(); r.s.Transport() != (wire.Transport{}) {
		t.Fatal("not at the last transport")
	}
	r.closed(CloseDecodeError)
	if r.s.Transport() != (wire.Transport{}) {
		t.Fatal("stepped beyond the last transport")
	}
}

func auto(c *Config) {
	c.Transports = []wire.Transport{{Compression: wire.Zstd}, {Compression: wire.Zlib}, {}}
}

// garbage is nothing that a compressed stream may hold.
func (r *rig) garbage() *rig {
	r.s.Received(r.now, r.conn, []byte("garbage"), true)
	r.drain()
	return r
}

// again lets time pass until the next dial, and opens it, without Hello.
func (r *rig) again() *rig {
	r.t.Helper()
	was := r.conn
	for r.conn == was {
		at, ok := r.s.Deadline()
		if !ok {
			r.t.Fatalf("no dial; the state is %v; %s", r.s.State(), r.log())
		}
		r.run(at - r.now)
	}
	return r.opened()
}

// Finding out which transport a server takes does not use up the attempts.
func TestTransportsAreTriedBeforeGivingUp(t *testing.T) {
	for name, fail := range map[string]func(*rig){
		"corrupt": func(r *rig) { r.garbage() },
		"lost":    func(r *rig) { r.closed(CloseAbnormal) },
		"lost or corrupt": func(r *rig) {
			if r.conn%2 == 0 {
				r.garbage()
			} else {
				r.closed(CloseAbnormal)
			}
		},
	} {
		r := newRig(t, auto).start().opened()
		for range 10 {
			if r.s.Transport() == (wire.Transport{}) {
				break
			}
			fail(r)
			r.again()
		}
		if r.s.Transport() != (wire.Transport{}) {
			t.Fatalf("%s: still at %v", name, r.s.Transport())
		}
		r.recv(hello, readyMsg)
		r.state(StateReady)
	}
	// A server that never works is given up all the same.
	r := newRig(t, auto).start().opened()
	for range 10 {
		if r.s.Transport() != (wire.Transport{}) {
			r.garbage()
		} else {
			r.closed(CloseAbnormal)
		}
		if r.s.State() == StateClosed {
			return
		}
		r.again()
	}
	t.Fatalf("not given up after %d dials", r.conn)
}

// A transport that has worked is not given up because the server fails.
func TestTransportThatWorkedIsKept(t *testing.T) {
	hosts := new(Hosts)
	set := func(c *Config) { auto(c); c.Hosts = hosts }
	zstd := wire.Transport{Compression: wire.Zstd}
	for _, code := range []CloseCode{1000, 1001, 1006, 1011, 1012, 1013, 4000} {
		r := newRig(t, set).ready()
		r.run(40 * time.Second)
		r.closed(CloseAbnormal)
		for range 5 {
			r.again().closed(code)
		}
		if r.redial().recv(readyMsg); r.s.Transport() != zstd || hosts.best(testURL, r.s.cfg.Transports) != 0 {
			t.Fatalf("%v: now at %v", code, r.s.Transport())
		}
	}
	// One that the server refuses by name is.
	for _, code := range []CloseCode{CloseDecodeError, CloseInvalidVersion} {
		if r := newRig(t, set).ready().closed(CloseAbnormal).again().closed(code); r.s.Transport() == zstd {
			t.Fatalf("%v: still at %v", code, r.s.Transport())
		}
	}
	// Streams that break now and then say nothing; two within some time do.
	r := newRig(t, set).ready()
	for range 5 {
		r.run(2 * corruptFor)
		if r.s.State() != StateReady {
			r.redial().recv(readyMsg)
		}
		r.garbage().redial().recv(readyMsg)
	}
	if r.s.Transport() != zstd {
		t.Fatalf("after two corrupt streams in a day at %v", r.s.Transport())
	}
	if r.garbage(); r.s.Transport() == zstd {
		t.Fatal("still at a transport that is broken")
	}
}

// A stream that asks for too much asks for it again: the next transport may not. A
// message that is too large is so in any.
func TestStreamLimitStepsDown(t *testing.T) {
	window := "\x28\xb5\x2f\xfd\x00\xff\x03\x00\x00x" // of gigabytes
	r := newRig(t, auto).start().opened()
	r.s.Received(r.now, r.conn, []byte(window), true)
	r.drain()
	if err := r.errs(ErrMessageTooBig); len(err) != 1 || err[0].Fatal || !strings.Contains(err[0].Message, "window is too large") || strings.Contains(err[0].Message, "raise") {
		t.Fatalf("reported %v", err)
	}
	if r.again(); r.s.Transport().Compression != wire.Zlib {
		t.Fatalf("at %v", r.s.Transport())
	}
	r = newRig(t, func(c *Config) { c.Transports = []wire.Transport{{Compression: wire.Zstd}} }).start().opened()
	r.s.Received(r.now, r.conn, []byte(window), true)
	r.drain()
	r.state(StateClosed)
	if err := r.errs(ErrMessageTooBig); len(err) != 1 || !err[0].Fatal || strings.Contains(err[0].Message, "raise") {
		t.Fatalf("reported %v", err)
	}
	r = newRig(t, auto, func(c *Config) { c.MaxReceive = 5000 }).ready()
	r.recv(`{"op":0,"t":"X","s":1,"d":"` + strings.Repeat("x", 6000) + `"}`)
	r.state(StateClosed)
	if err := r.errs(ErrMessageTooBig); len(err) != 1 || !strings.Contains(err[0].Message, "message is too large") || !strings.Contains(err[0].Message, "raise the limit of 5000 bytes") {
		t.Fatalf("reported %v", err)
	}
}

func TestURLs(t *testing.T) {
	zlib := wire.Transport{Compression: wire.Zlib}
	for in, want := range map[string]string{
		"wss://x":        "wss://x/?v=9&encoding=json&compress=zlib-stream",
		"wss://x/":       "wss://x/?v=9&encoding=json&compress=zlib-stream",
		"ws://x:1/a?b=c": "ws://x:1/a?v=9&encoding=json&compress=zlib-stream&b=c",
		"wss://x?v=8&encoding=etf&compress=no&keep=1": "wss://x/?v=9&encoding=json&compress=zlib-stream&keep=1",
		"WSS://x/#frag": "wss://x/?v=9&encoding=json&compress=zlib-stream",
	} {
		if got := buildURL(in, 9, zlib); got != want {
			t.Errorf("buildURL(%s) = %s, want %s", in, got, want)
		}
	}
	for _, bad := range []string{"", "x", "http://x", "https://x", "wss://", "wss:///path", "file:///etc/passwd", "javascript:alert(1)", "wss://a b", "wss://a\n", "ws//x", "wss://:80", "//x", "wss://user:hunter2@x", "wss://hunter2@x/", "wss://@x"} {
		if _, err := New(Config{URL: bad}); !errors.Is(err, &Error{Code: ErrInvalidURL}) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("New(%q): %v", bad, err)
		}
	}
	if err := checkURL("wss://x/a@b?c=d@e"); err != nil {
		t.Errorf("an @ behind the host: %v", err)
	}
	for resume, ok := range map[string]bool{"wss://a": true, "ws://a": false, "https://a": false, "file:///x": false, "javascript:x": false, "": false, "wss://u:p@a": false} {
		if resumeURLAllowed("wss://m", resume) != ok {
			t.Errorf("resume at %q allowed = %v", resume, !ok)
		}
	}
	if !resumeURLAllowed("ws://m", "ws://a") || !resumeURLAllowed("ws://m", "wss://a") {
		t.Error("an open gateway may name any WebSocket")
	}
	r := newRig(t).start().opened().recv(hello, strings.Replace(readyMsg, "wss://resume.test/x?y=1", "ws://evil.test", 1))
	if snap, _ := r.s.Snapshot(); snap.ResumeURL != "" || len(r.errs(ErrProtocol)) != 1 {
		t.Errorf("resume URL %q taken", snap.ResumeURL)
	}
}

func TestReadyWithoutFields(t *testing.T) {
	for _, d := range []string{`{}`, `null`, `[]`, `"x"`, `{"session_id":5,"resume_gateway_url":{}}`, `{"session_id":""}`} {
		r := newRig(t).start().opened().recv(hello, `{"op":0,"t":"READY","s":1,"d":`+d+`}`)
		r.state(StateReady)
		if _, ok := r.s.Snapshot(); ok {
			t.Errorf("%s makes a session", d)
		}
		r.closed(1006).redial()
		r.expectWritesContain(`"op":2`)
	}
}

func TestOptions(t *testing.T) {
	ok := Config{URL: testURL, Identify: []byte(identify)}
	for what, change := range map[string]func(*Config){
		"version": func(c *Config) { c.Version = -1 },
		"message": func(c *Config) { c.MaxMessage = 10 },
		"receive": func(c *Config) { c.MaxReceive = 10 },
		"queue":   func(c *Config) { c.Queue = -1 },
		"restore": func(c *Config) { c.Restore = &Snapshot{} },
		"token":   func(c *Config) { c.Identify = []byte(`{"properties":{}}`) },
	} {
		c := ok
		change(&c)
		if _, err := New(c); !errors.Is(err, &Error{Code: ErrInvalidOption}) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestPrintable(t *testing.T) {
	if got := printable("a\x1b[31m\n\u202eb" + strings.Repeat("x", 500)); strings.ContainsAny(got, "\x1b\n\u202e") || len(got) > 210 {
		t.Fatalf("%q", got)
	}
}

func TestKindsTable(t *testing.T) {
	k := new(Kinds)
	for i := range 3 * maxKinds { // a server that makes names up
		name := fmt.Sprintf("EVENT_%d", i)
		if kind := k.arrived([]byte(name)); kind.Name != name {
			t.Fatalf("%s found as %s", name, kind.Name)
		}
	}
	if k.Len() != maxKinds {
		t.Fatalf("%d kinds kept", k.Len())
	}
	for i := range maxKinds {
		name := fmt.Sprintf("EVENT_%d", i)
		if kind := k.arrived([]byte(name)); kind.ID != i+1 {
			t.Fatalf("%s has ID %d", name, kind.ID)
		}
	}
}

// A year with a bad network: the session never stops, and it is over in a
// moment.
func TestAYear(t *testing.T) {
	r := newRig(t).ready()
	end := r.now + 365*24*time.Hour
	seq, drops := 0, 0
	for r.now < end {
		r.run(time.Duration(r.s.random() * float64(20*time.Minute)))
		if r.s.State() == StateReady {
			seq++
			r.recv(event("X", seq))
		}
		if len(r.out) > 1000 {
			r.out = nil
		}
		for r.s.State() != StateReady {
			r.run(time.Second)
			switch r.s.State() {
			case StateDialing:
				r.opened().recv(hello)
			case StateResuming:
				r.recv(`{"op":0,"t":"RESUMED","s":1,"d":{}}`)
				drops++
			case StateIdentifying:
				r.recv(readyMsg)
			case StateClosed:
				t.Fatal("the session ended")
			}
		}
	}
	if drops < 1000 {
		t.Fatalf("only %d reconnects in a year without ACKs", drops)
	}
}

func TestReceivedAllocatesNothing(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Kinds = new(Kinds); c.Kinds.Observe("WANTED") }).ready()
	for _, name := range []string{"WANTED", "OTHER"} {
		msg := []byte(event(name, 5))
		if n := testing.AllocsPerRun(1000, func() {
			r.s.Received(r.now, r.conn, msg, false)
			for r.s.Next() != nil {
			}
		}); n != 0 {
			t.Errorf("%s costs %v allocations", name, n)
		}
	}
}

func BenchmarkReceived(b *testing.B) {
	for _, name := range []string{"WANTED", "OTHER"} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b, func(c *Config) { c.Kinds = new(Kinds); c.Kinds.Observe("WANTED") }).ready()
			msg := []byte(`{"op":0,"t":"` + name + `","d":{"x":"` + strings.Repeat("x", 450) + `"},"s":5}`)
			b.ReportAllocs()
			for b.Loop() {
				r.s.Received(r.now, r.conn, msg, false)
				for r.s.Next() != nil {
				}
			}
		})
	}
}

// What was restored may name a user, which is nobody's business either.
func TestRestoredUserIsNotPrinted(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Restore = &Snapshot{ID: "abc", ResumeURL: "wss://user:hunter2@resume.test/"} }).start()
	r.s.Closed(r.now, r.conn, CloseAbnormal, "", "no route")
	r.drain()
	if err := r.errs(ErrDialFailed); len(err) != 1 || strings.Contains(err[0].Message, "hunter2") || !strings.Contains(err[0].Message, "to resume.test:") {
		t.Fatalf("reported %v", err)
	}
}

// etfRig is ready over ETF; the function it returns gives it messages.
func etfRig(t *testing.T, change ...func(*Config)) (r *rig, feed func(text string)) {
	r = newRig(t, append(change, func(c *Config) { c.Transports = []wire.Transport{{Encoding: wire.ETF}} })...).start().opened()
	feed = func(text string) {
		t.Helper()
		b, err := wire.AppendETF(nil, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		r.s.Received(r.now, r.conn, b, true)
		r.drain()
	}
	feed(hello)
	feed(readyMsg)
	r.state(StateReady)
	r.out = nil
	return r, feed
}

// An event without a payload is one, in either encoding.
func TestEventWithoutPayload(t *testing.T) {
	const msg = `{"op":0,"t":"X","s":5}`
	etf, feed := etfRig(t)
	feed(msg)
	for enc, r := range map[string]*rig{"json": newRig(t).ready().recv(msg), "etf": etf} {
		if len(r.errs(ErrMalformed)) != 0 {
			t.Errorf("%s: %s", enc, r.log())
		}
		if d := r.take(OutputDispatch); len(d) != 1 || len(d[0].Data) != 0 || d[0].Seq != 5 {
			t.Errorf("%s: dispatched %v", enc, d)
		}
	}
}

// A large payload does not take its room for good.
func TestTranslationIsLetGo(t *testing.T) {
	r, feed := etfRig(t)
	feed(`{"op":0,"t":"X","s":5,"d":"` + strings.Repeat("x", 2*keptText) + `"}`)
	feed(event("X", 6))
	if n := cap(r.s.text); n > keptText {
		t.Fatalf("%d bytes are kept", n)
	}
}

func TestStateString(t *testing.T) {
	if s := State(200).String(); s != "unknown" || StateClosed.String() != "closed" {
		t.Fatalf("%s, %v", s, StateClosed)
	}
}
