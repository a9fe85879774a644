package simulation

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
)

// checker holds what must be true of the client whatever happens:
//
//   - every event of a session is delivered exactly once and in order; where the
//     session is lost, those up to some point;
//   - each lost session is reported by exactly one gap, with the number of the
//     last event delivered;
//   - there is at most one connection or attempt at one;
//   - dials are bounded by the back-off;
//   - no heartbeat is late while the machine runs;
//   - no more than 120 messages leave within 60 seconds;
//   - every send settles exactly once;
//   - fatal codes end the handle, nothing else does;
//   - after the end nothing happens.
type checker struct {
	c          *chaos
	violations []string
	closed     bool
	wakes      []time.Duration

	dialing   bool
	conn      session.Conn
	delivered int
	last      map[string]int // position in chaos.sent of the last event delivered
	lastSeq   int64
	sessions  int // that became ready
	gaps      int
	pending   map[session.SendID]bool
	seen      [4]int // how much of the client's lists has been looked at

	beatConn   session.Conn
	beatAt     time.Duration // the last heartbeat, or Hello
	interval   time.Duration
	disturbed  bool // the machine slept or its timers were throttled since beatAt
	readySince time.Duration
	calm       time.Duration // when the back-off last started over
}

func newChecker(c *chaos) *checker {
	k := &checker{c: c, last: map[string]int{}, pending: map[session.SendID]bool{}, interval: c.o.Server.Interval, lastSeq: -1}
	c.Client.OnOutput = k.output
	return k
}

func (k *checker) violated(format string, args ...any) {
	if len(k.violations) < 20 {
		text := fmt.Sprintf("%.3f: ", (k.c.Now()-start).Seconds()) + fmt.Sprintf(format, args...)
		k.violations = append(k.violations, text)
		k.c.logf("VIOLATED  %s", text)
	}
}

// output sees everything the session wants, before it is carried out.
func (k *checker) output(o *session.Output) {
	now := k.c.Now()
	if k.closed && o.Kind != session.OutputClose && o.Kind != session.OutputState && o.Kind != session.OutputSent && o.Kind != session.OutputSession {
		k.violated("output %d after the end", o.Kind)
	}
	switch o.Kind {
	case session.OutputDial:
		if k.c.Client.line != nil {
			k.violated("dials while there is a connection")
		}
		k.conn = o.Conn
		k.beatConn = 0
		k.dials(now)
	case session.OutputWrite:
		if o.Conn != k.conn || k.c.Client.line == nil {
			k.violated("writes to a connection that is gone")
		}
	case session.OutputClose:
		if o.Conn != k.conn {
			k.violated("closes a connection that is not the present one")
		}
	case session.OutputDispatch:
		k.dispatched(o)
	case session.OutputGap:
		k.gaps++
		// Opcodes 7 and 9 may have taken a number each.
		if o.Gap.LastSeq < k.lastSeq || o.Gap.LastSeq > k.lastSeq+3 {
			k.violated("the gap says the last event was %d, it was %d", o.Gap.LastSeq, k.lastSeq)
		}
		if o.Gap.ReconnectedAt != now || o.Gap.DisconnectedAt > now || !o.Gap.SessionLost || o.Gap.Reason == nil {
			k.violated("odd gap %+v", *o.Gap)
		}
	case session.OutputState:
		switch o.State {
		case session.StateReady:
			k.readySince = now
			if !o.Resumed {
				k.sessions++
			}
		case session.StateBackoff:
			if k.readySince != 0 && now-k.readySince >= 30*time.Second {
				k.calm = now
			}
			k.readySince = 0
			if o.RetryAt-now > 6*time.Minute {
				k.violated("waits %v before it dials", o.RetryAt-now)
			}
		case session.StateClosed:
			if !k.closed && !k.c.Client.Fatal && o.Err != nil {
				k.violated("ended by itself: %v", o.Err)
			}
		}
	case session.OutputSent:
		if !k.pending[o.ID] {
			// It may be settled before Send has returned its ID.
			k.pending[o.ID] = true
			return
		}
		delete(k.pending, o.ID)
	}
}

// sending notes a send that was accepted, or refused.
func (k *checker) sending(id session.SendID, err error) {
	switch {
	case err != nil && id != 0:
		k.violated("a send was refused and has an ID")
	case err == nil && k.pending[id]:
		delete(k.pending, id) // settled already
	case err == nil:
		k.pending[id] = true
	}
}

func (k *checker) dispatched(o *session.Output) {
	switch st := k.c.Client.State(); {
	case o.Event.Name == "READY":
		k.lastSeq = o.Seq // a new session; the gap was reported before
	case st == session.StateReady || st == session.StateResuming:
		k.lastSeq = max(k.lastSeq, o.Seq)
	}
	if o.Event.Name != "N" {
		return
	}
	k.delivered++
	var d struct {
		To string
		N  int
	}
	if err := json.Unmarshal(o.Data, &d); err != nil {
		k.violated("payload %s", o.Data)
		return
	}
	sent := k.c.sent[d.To]
	i := k.last[d.To]
	if i >= len(sent) || sent[i] != d.N {
		k.violated("session %s: event %d delivered where number %d of %v was due", d.To, d.N, i, sent[max(0, i-2):min(len(sent), i+3)])
		for j, n := range sent {
			if n == d.N {
				i = j
			}
		}
	}
	k.last[d.To] = i + 1
}

// dials holds the back-off: between two times of calm, waits double.
func (k *checker) dials(now time.Duration) {
	dials := k.c.Client.Dials
	// Those of the last two minutes, since the back-off started over.
	const window = 2 * time.Minute
	n := 1
	for i := len(dials) - 1; i >= 0 && dials[i].At > now-window && dials[i].At >= k.calm; i-- {
		n++
	}
	for i := len(k.wakes) - 1; i >= 0 && k.wakes[i] > now-window; i-- {
		n-- // each may cause one
	}
	// With full jitter seven waits below a minute sum up to half a minute on
	// average; luck may make it twice as many dials, but not more.
	if n > 18 {
		k.violated("%d dials in %v", n, window)
	}
}

// step looks at everything after each thing that happens.
func (k *checker) step() {
	now := k.c.Now()
	cl := k.c.Client
	if cl.Asleep() || cl.Throttle > 0 {
		k.disturbed = true
	}
	for ; k.seen[0] < len(cl.Writes); k.seen[0]++ {
		m := cl.Writes[k.seen[0]]
		k.rate(k.seen[0])
		if m.Op == 1 && m.Conn == k.conn {
			k.beat(m.At)
			k.beatConn = m.Conn
		}
		if (m.Op == 2 || m.Op == 6) && k.beatConn != m.Conn {
			// Hello has come with it.
			k.beatConn, k.beatAt, k.disturbed = m.Conn, m.At, false
		}
	}
	st := cl.State()
	if k.beatConn == k.conn && cl.line != nil && (st == session.StateReady || st == session.StateIdentifying || st == session.StateResuming) {
		k.overdue(now)
	}
	if k.closed && (cl.line != nil || st != session.StateClosed) {
		k.violated("still %v after the end", st)
	}
	if _, ok := cl.S.Deadline(); ok && st == session.StateClosed {
		k.violated("a timer runs after the end")
	}
	if cl.S.QueueLen() > 20+maxStandingSends {
		k.violated("%d sends wait", cl.S.QueueLen())
	}
}

// maxStandingSends is how many messages may be told a new session beyond what
// the queue may hold.
const maxStandingSends = 4

func (k *checker) beat(at time.Duration) {
	k.beatAt, k.disturbed = at, false
}

// overdue holds that a heartbeat is sent in every interval. Servers may ask for
// odd ones, which are brought within 1 s and 10 min.
func (k *checker) overdue(now time.Duration) {
	limit := max(k.interval, 42*time.Second)
	if !k.disturbed && !k.c.Client.Asleep() && now-k.beatAt > limit+time.Millisecond {
		k.violated("no heartbeat for %v at an interval of %v", now-k.beatAt, k.interval)
		k.beatAt = now
	}
}

// rate holds the limit over the messages of one connection, the one at i being
// the last.
func (k *checker) rate(i int) {
	w := k.c.Client.Writes
	n := 0
	for j := i; j >= 0 && w[j].At > w[i].At-session.RateWindow; j-- {
		if w[j].Conn == w[i].Conn {
			n++
		}
	}
	if n > session.RateLimit {
		k.violated("%d messages in %v", n, session.RateWindow)
	}
}

// complete holds that in peace everything has arrived.
func (k *checker) complete() {
	snap, ok := k.c.Client.S.Snapshot()
	to := snap.ID
	if k.c.spacebar {
		ids := k.c.Server.Identified()
		if len(ids) == 0 {
			k.violated("ready, but not on the server")
			return
		}
		to = fmt.Sprint("conn ", ids[len(ids)-1])
	}
	if !ok || k.last[to] != len(k.c.sent[to]) || k.last[to] < 5 {
		k.violated("in peace %d of %d events of %s were delivered", k.last[to], len(k.c.sent[to]), to)
	}
	if k.gaps != k.sessions-1 {
		k.violated("%d gaps for %d sessions", k.gaps, k.sessions)
	}
}

// fatalCode holds that a fatal code was the end.
func (k *checker) fatalCode() {
	if st := k.c.Client.State(); st != session.StateClosed {
		k.violated("%v after a fatal close", st)
	}
}

// end holds that nothing is left.
func (k *checker) end() {
	if n := len(k.pending); n > 0 {
		k.violated("%d sends never settled", n)
	}
	if n := k.c.Client.S.QueueLen(); n > 0 {
		k.violated("%d sends are still queued", n)
	}
}
