package simulation

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

// checker holds what must be true of the client whatever happens:
//
//   - every event of a session is delivered exactly once and in order; where the
//     session is lost, those up to some point;
//   - each lost session is reported by exactly one gap, with the number of the
//     last event delivered;
//   - there is at most one connection or attempt at one;
//   - a connection is let go soon after opcode 7, and the next dial waits for as long
//     as that has asked for;
//   - a session that the server has ended is not resumed, and no other is given up;
//   - an opcode 9 is obeyed, and a state that waits for the server comes to its end;
//   - dials are bounded by the back-off, and its waits are drawn by lot, as is the
//     first heartbeat of each connection;
//   - no heartbeat is late while the machine runs, and each says what was received;
//   - Resume names the session and what was received of it;
//   - Identify and Resume are not repeated within a second;
//   - no more than 120 messages leave within 60 seconds;
//   - every send settles exactly once, in time, and at once when the session goes;
//     what failed is not sent, and what is refused is not told to sessions for ever;
//   - a latency is not longer than its connection;
//   - fatal codes end the handle, nothing else does;
//   - after the end nothing happens.
type checker struct {
	c          *chaos
	violations []string
	closed     bool
	wakes      []time.Duration

	conn      session.Conn
	delivered int
	last      map[string]int // position in chaos.sent of the last event delivered
	lastSeq   int64
	connSeq   int64        // the highest number that has come on this connection
	asked     session.Conn // on which Resume has been sent
	anew      bool         // READY has come on it: what came before was of no session
	missed    int64        // messages that the network has lost since the last event
	sessions  int          // that became ready
	gaps      int
	loose     bool                             // not all events of this session are observed
	named     bool                             // only some are observed by now
	pending   map[session.SendID]time.Duration // since when; settled ones whose Send has not returned are at 0
	window    []time.Duration                  // when the last messages left on this connection
	authAt    time.Duration                    // when the last Identify or Resume left on this connection
	dialedAt  time.Duration
	waits     map[time.Duration]int // that were drawn by lot, and how often

	moment time.Duration // that has been reached
	steps  int           // what has happened then

	beatConn   session.Conn
	beatAt     time.Duration // the last heartbeat, or Hello
	interval   time.Duration
	disturbed  bool          // the machine slept or its timers were throttled since beatAt
	absent     bool          // it does
	awayAt     time.Duration // when it last did
	readySince time.Duration
	everReady  bool          // since the client was made
	state      session.State // the present one, and since when
	stateAt    time.Duration
	fatal      bool          // a fatal code has come
	calm       time.Duration // when the back-off last started over
	retryAt    time.Duration // until when the client says it waits
	backoffAt  time.Duration // since when

	// What the server has said.
	leaveBy   time.Duration // when a connection on which opcode 7 came is to be gone
	notBefore time.Duration // when it may be dialed again
	invalid   bool          // opcode 9 has just come
	over      bool          // the session has been ended
	doubted   bool          // the session may be given up
	blind     bool          // what comes on this connection cannot be read here
	resumable bool          // there is one
	resumes   int           // of it, in a row
	refusals  int           // of resumes, in a row
	rejected  int           // Identify, with 4000, in a row

	// Joins of voice channels.
	joins   int
	joining map[session.SendID]string // how to tell them
	failed  []string                  // and those that were not sent, as the client says
}

func newChecker(c *chaos) *checker {
	k := &checker{c: c, last: map[string]int{}, pending: map[session.SendID]time.Duration{}, waits: map[time.Duration]int{}, joining: map[session.SendID]string{}, interval: c.o.Server.Interval, lastSeq: -1}
	k.listen()
	return k
}

// listen sees what the client does and hears.
func (k *checker) listen() {
	cl := k.c.Client
	cl.OnOutput, cl.OnReceived, cl.OnClosed = k.output, k.received, k.closing
}

// watch changes what is observed between everything and some events by name. What
// is counted here is observed either way.
func (k *checker) watch() {
	kinds := k.c.Client.Kinds
	if k.c.Client.State() == session.StateIdle {
		kinds.Observe("*")
		return
	}
	for _, name := range []string{"N", "READY", "RESUMED"} {
		if k.named {
			kinds.Unobserve(name)
		} else {
			kinds.Observe(name)
		}
	}
	if k.named {
		kinds.Observe("*")
	} else {
		kinds.Unobserve("*")
		k.loose = true
	}
	k.named = !k.named
}

// handedOver goes on with another client.
func (k *checker) handedOver(ok bool) {
	k.listen()
	k.everReady = false
	k.conn, k.asked, k.beatConn, k.dialedAt = 0, 0, 0, 0
	k.retryAt, k.notBefore, k.leaveBy, k.invalid = 0, 0, 0, false
	clear(k.joining)
	k.resumable, k.doubted, k.resumes, k.refusals, k.rejected = ok, false, 0, 0, 0
	k.named = false
	k.watch()
	k.wakes = append(k.wakes, k.c.Now())
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
	if k.closed {
		k.violated("output %d after the end", o.Kind)
	}
	switch o.Kind {
	case session.OutputDial:
		if k.c.Client.line != nil {
			k.violated("dials while there is a connection")
		}
		k.early(now)
		k.conn, k.dialedAt = o.Conn, now
		k.leaveBy, k.notBefore, k.invalid = 0, 0, false
		if k.blind = strings.Contains(o.URL, "compress="); k.blind {
			k.doubted, k.refusals = true, 2 // for all that can be told
		}
		k.beatConn, k.authAt, k.connSeq = 0, 0, -1
		k.window = k.window[:0]
		k.c.report.Dials++
		k.dials(now)
	case session.OutputWrite:
		if o.Conn != k.conn || k.c.Client.line == nil {
			k.violated("writes to a connection that is gone")
		}
		if k.c.spacebar && len(o.Data) > session.SpacebarMaxMessage {
			k.violated("a message of %d bytes", len(o.Data))
		}
		m := Write{At: now, Conn: o.Conn}
		m.Op, m.Data = read(o.Data, o.Binary)
		k.wrote(&m)
	case session.OutputClose:
		if o.Conn != k.conn {
			k.violated("closes a connection that is not the present one")
		}
	case session.OutputDispatch:
		k.dispatched(o)
	case session.OutputGap:
		k.gaps++
		// Opcodes 7 and 9 may have taken a number each.
		if o.Gap.LastSeq < k.lastSeq || !k.loose && o.Gap.LastSeq > k.lastSeq+k.numberless() {
			k.violated("the gap says the last event was %d, it was %d", o.Gap.LastSeq, k.lastSeq)
		}
		if o.Gap.ReconnectedAt != now || o.Gap.DisconnectedAt > now || !o.Gap.SessionLost || o.Gap.Reason == nil {
			k.violated("odd gap %+v", *o.Gap)
		}
	case session.OutputError:
		k.invalid = false
	case session.OutputState:
		k.state, k.stateAt, k.invalid = o.State, now, false
		switch o.State {
		case session.StateReady:
			k.readySince, k.everReady = now, true
			_, k.resumable = k.c.Client.S().Snapshot()
			k.over, k.doubted, k.resumes, k.rejected = false, k.blind, 0, 0
			if o.Resumed {
				k.refusals = 0
			} else {
				k.sessions++
			}
		case session.StateBackoff:
			if k.readySince != 0 && now-k.readySince >= 30*time.Second {
				k.calm = now
			}
			k.readySince = 0
			k.retryAt, k.backoffAt = o.RetryAt, now
			if o.RetryAt-now > 6*time.Minute {
				k.violated("waits %v before it dials", o.RetryAt-now)
			}
			if o.Err.Code == session.ErrHeartbeat && k.c.Client.heardAt > k.beatAt {
				k.violated("a connection is given up on which something was heard %v ago", now-k.c.Client.heardAt)
			}
			if o.Err.Code != session.ErrReconnect && o.RetryAt > now {
				k.lot("waits", o.RetryAt-now)
			}
			if n := k.c.Client.S().QueueLen(); n > 0 {
				k.violated("%d sends are queued without a connection", n)
			}
		case session.StateClosed:
			switch {
			case o.Err == nil || k.fatal:
			case !k.everReady && (o.Err.Code == session.ErrAuthentication || o.Err.Code == session.ErrIdentifyRejected):
				k.fatal = true // it may give up an Identify that has never worked
			case o.Err.Code == session.ErrAuthentication && k.rejected >= 10:
				k.fatal = true // or that has ceased to
			default:
				k.violated("ended by itself: %v", o.Err)
			}
		}
	case session.OutputSent:
		if mark := k.joining[o.ID]; mark != "" && o.Err != nil {
			k.failed = append(k.failed, mark)
		}
		since, waits := k.pending[o.ID]
		switch {
		case !waits:
			k.pending[o.ID] = 0 // it may be settled before Send has returned its ID
		case since == 0:
			k.violated("a send is settled twice")
		default:
			delete(k.pending, o.ID)
			if now-since > 3*time.Minute && !k.away(since) {
				k.violated("a send was settled after %v", now-since)
			}
		}
	case session.OutputAck:
		if o.Latency < 0 || o.Latency > now-k.dialedAt {
			k.violated("a latency of %v on a connection of %v", o.Latency, now-k.dialedAt)
		}
	}
}

// received sees what has come of the present connection. What is compressed cannot
// be read here.
func (k *checker) received(l *line, data []byte, binary bool) {
	var m wire.Message
	scan := wire.Scan
	if binary {
		scan = wire.ScanETF
	}
	if l.compressed || scan(data, &m) != nil {
		return
	}
	d := m.Data
	if binary {
		d, _ = wire.AppendJSON(nil, d)
	}
	now, st := k.c.Now(), k.c.Client.State()
	switch m.Op {
	case 7:
		if k.leaveBy != 0 {
			return
		}
		// One that names a delay, in milliseconds, closes by itself.
		ms, err := strconv.ParseInt(string(d), 10, 64)
		delay := time.Duration(ms) * time.Millisecond
		if err != nil {
			delay = 0
		}
		k.leaveBy, k.notBefore = now+min(delay, drain), now+delay
	case 9:
		if st != session.StateIdentifying && st != session.StateResuming && st != session.StateReady {
			return
		}
		k.invalid, k.doubted = true, true
		if string(d) != "true" {
			k.over = true
			if st == session.StateResuming {
				k.refusals++
			}
		}
	}
}

// drain is for how long a connection may be kept after an opcode 7 that names a
// delay.
const drain = 2 * time.Second

// closing sees the code with which the present connection has closed. What codes
// mean is said here anew (protocol section: Gateway Close Event Codes).
func (k *checker) closing(code session.CloseCode) {
	st := k.c.Client.State()
	if st == session.StateIdentifying {
		if k.rejected++; code != 4000 {
			k.rejected = 0
		}
	}
	switch {
	case code == 4004 || 4010 <= code && code <= 4016:
		k.fatal = true
	case code == 4003 || code == 4006 || code == 4007:
		k.doubted = true
		k.over = k.over || st == session.StateReady || st == session.StateResuming
	}
}

// early holds that a dial waits for its time. A wake-up may cut the back-off short,
// though not to less than a second, nor what opcode 7 has asked for.
func (k *checker) early(now time.Duration) {
	if now < k.notBefore {
		k.violated("dials %v before the time that opcode 7 has named", k.notBefore-now)
	}
	if now >= k.retryAt {
		return
	}
	if n := len(k.wakes); n == 0 || k.wakes[n-1] < k.backoffAt {
		k.violated("dials %v before the time it has told", k.retryAt-now)
	}
	if now-k.dialedAt < time.Second {
		k.violated("a wake-up makes it dial %v after the last dial", now-k.dialedAt)
	}
}

// lot notes a wait that is drawn by lot from the nanoseconds of a second or more:
// none comes again and again.
func (k *checker) lot(what string, wait time.Duration) {
	if k.waits[wait]++; k.waits[wait] == 3 {
		k.violated("%s %v for the third time: there is no jitter", what, wait)
	}
}

// sending notes a send that was accepted, or refused.
func (k *checker) sending(id session.SendID, err error) {
	switch {
	case err != nil && id != 0:
		k.violated("a send was refused and has an ID")
	case err != nil:
	default:
		if since, settled := k.pending[id]; settled && since == 0 {
			delete(k.pending, id)
		} else {
			k.pending[id] = k.c.Now()
		}
	}
}

func (k *checker) dispatched(o *session.Output) {
	k.missed = 0
	k.connSeq = max(k.connSeq, o.Seq)
	switch st := k.c.Client.State(); {
	case o.Event.Name == "READY":
		k.lastSeq = o.Seq // a new session; the gap was reported before
		k.anew = k.asked == k.conn
		k.loose = k.named
	case st == session.StateReady || st == session.StateResuming:
		k.lastSeq = max(k.lastSeq, o.Seq)
	}
	if o.Event.Name != "N" {
		return
	}
	k.delivered++
	to, got := numbered(o.Data)
	if got < 0 {
		k.violated("payload %s", o.Data)
		return
	}
	sent := k.c.sent[to]
	i := k.last[to]
	for i < len(sent) && sent[i] != got && (k.anew || k.c.spoiled[sent[i]]) {
		i++
	}
	k.anew = false
	if i >= len(sent) || sent[i] != got {
		k.violated("session %s: event %d delivered where number %d of %v was due", to, got, i, sent[max(0, i-2):min(len(sent), i+3)])
		for j, n := range sent {
			if n == got {
				i = j
			}
		}
	}
	k.last[to] = i + 1
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
	was := k.absent
	k.absent = cl.Asleep() || cl.Throttle > 0
	if was || k.absent {
		k.disturbed, k.awayAt = true, now
	}
	st := cl.State()
	k.waiting(st)
	if k.fatal && st != session.StateClosed {
		k.violated("%v after a fatal close", st)
	}
	if k.invalid {
		k.invalid = false
		k.violated("opcode 9 has changed nothing")
	}
	if k.beatConn == k.conn && cl.line != nil && (st == session.StateReady || st == session.StateIdentifying || st == session.StateResuming) {
		k.overdue(now)
	}
	if n := cl.S().QueueLen(); n > 0 && st != session.StateReady {
		k.violated("%d sends wait, but the client is %v", n, st)
	}
	if k.closed && (cl.line != nil || st != session.StateClosed) {
		k.violated("still %v after the end", st)
	}
	if _, ok := cl.S().Deadline(); ok && st == session.StateClosed {
		k.violated("a timer runs after the end")
	}
	if cl.S().QueueLen() > 20+maxStandingSends {
		k.violated("%d sends wait", cl.S().QueueLen())
	}
}

// waiting holds that nothing that the server owes is waited for too long.
func (k *checker) waiting(st session.State) {
	now := k.c.Now()
	over := func(what string, since, limit time.Duration) {
		if now-since > limit && !k.away(since) && !k.c.Client.Asleep() {
			k.violated("%s for %v", what, now-since)
		}
	}
	switch {
	case k.c.Client.line == nil:
	case k.leaveBy != 0 && now > k.leaveBy:
		over("a connection is kept after opcode 7", k.leaveBy, 0)
	case st == session.StateDialing, st == session.StateAwaitingHello:
		over(st.String(), k.stateAt, 15*time.Second)
	case st == session.StateIdentifying:
		over("READY is waited", max(k.stateAt, k.authAt), 36*time.Second)
	case st == session.StateResuming:
		over("RESUMED is waited", max(k.stateAt, k.authAt), 5*time.Minute+6*time.Second)
	}
}

var errSpins = errors.New("simulation: the world spins")

// spins holds that time goes on. A world that does not has to end here. What a slow
// network has held back arrives at one time, byte by byte if a fault splits frames.
func (k *checker) spins() {
	const limit = 1000000
	if now := k.c.Now(); now != k.moment {
		k.moment, k.steps = now, 0
	}
	if k.steps++; k.steps > limit {
		k.violated("%d things happen at one time", limit)
		panic(errSpins)
	}
}

// maxStandingSends is how many messages may be told a new session beyond what
// the queue may hold.
const maxStandingSends = 8

// join joins a voice channel, in a way that can be told from all others.
func (k *checker) join(guild, channel string) (session.SendID, error) {
	k.joins++
	mark := fmt.Sprintf(`"preferred_region":"join %d"`, k.joins)
	id, err := k.c.send(4, `{"guild_id":"`+guild+`","channel_id":"`+channel+`","self_mute":false,"self_deaf":false,`+mark+`}`)
	if err == nil {
		k.joining[id] = mark
	}
	return id, err
}

// wrote looks at a message that has left.
func (k *checker) wrote(m *Write) {
	k.rate(m.At)
	switch m.Op {
	case 4:
		for _, mark := range k.failed {
			if strings.Contains(m.Data, mark) {
				k.violated("a join is sent that has failed: %s", m.Data)
			}
		}
	case 1:
		if k.beatConn == m.Conn && k.beatAt == k.authAt && m.At > k.authAt {
			k.lot("the first heartbeat comes after", m.At-k.authAt)
		}
		k.beatConn, k.beatAt, k.disturbed = m.Conn, m.At, false
		k.number("a heartbeat", m.Data)
	case 2, 6:
		if k.beatConn != m.Conn {
			// Hello has come with it.
			k.beatConn, k.beatAt, k.disturbed = m.Conn, m.At, false
		} else if m.At-k.authAt < time.Second {
			k.violated("opcode %d comes %v after the last Identify or Resume", m.Op, m.At-k.authAt)
		}
		k.authAt = m.At
		if m.Op == 2 && k.resumable && !k.doubted && k.resumes < 3 && k.refusals < 2 {
			k.violated("identifies, though nothing has ended the session")
		}
		if m.Op == 6 {
			k.asked = m.Conn
			k.c.report.Resumes++
			k.resumes++
			if k.over {
				k.violated("resumes a session that the server has ended")
			}
			var d struct {
				Token, SessionID string
				Seq              json.RawMessage
			}
			snap, _ := k.c.Client.S().Snapshot()
			if err := json.Unmarshal([]byte(strings.Replace(m.Data, "session_id", "SessionID", 1)), &d); err != nil || d.Token == "" || d.SessionID != snap.ID {
				k.violated("Resume %s where the session is %s", m.Data, snap.ID)
			}
			k.number("Resume", string(d.Seq))
		}
	}
}

// number holds that a message says how far the session has come. Messages other
// than events may have taken a number, and those that were lost may not.
func (k *checker) number(what, text string) {
	if _, live := k.c.Client.S().Snapshot(); !live && k.c.Client.State() != session.StateReady {
		// Between two sessions: what has come on this connection is all there is.
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && k.sessions > 0 && !k.loose && k.asked != k.conn && n > max(k.connSeq, 0)+k.numberless() {
			k.violated("%s says that %s was received last, without a session", what, text)
		}
		return
	}
	if text == "null" && k.lastSeq < 0 {
		return
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < k.lastSeq || !k.loose && n > max(k.lastSeq, 0)+k.numberless() {
		k.violated("%s says that %s was received last, it was %d", what, text, k.lastSeq)
	}
}

// numberless is how far the number of a message that is not an event may be ahead
// of the last event: a few others may have taken one, and what the network has lost.
func (k *checker) numberless() int64 { return 3 + k.missed }

// away reports whether the machine may have slept since.
func (k *checker) away(since time.Duration) bool {
	return k.awayAt >= since
}

// overdue holds that a heartbeat is sent in every interval. Where a server has
// asked for an odd one, it was brought within bounds.
func (k *checker) overdue(now time.Duration) {
	limit := k.interval
	if k.c.Client.line.odd {
		limit = max(limit, 42*time.Second) // that of a Hello that names none
	}
	if !k.disturbed && !k.c.Client.Asleep() && now-k.beatAt > limit+time.Millisecond {
		k.violated("no heartbeat for %v at an interval of %v", now-k.beatAt, k.interval)
		k.beatAt = now
	}
}

// rate holds the limit over the messages of one connection, of which one has just
// left.
func (k *checker) rate(now time.Duration) {
	k.window = append(k.window, now)
	for k.window[0] <= now-session.RateWindow {
		k.window = k.window[1:]
	}
	if n := len(k.window); n > session.RateLimit {
		k.violated("%d messages in %v", n, session.RateWindow)
	}
}

// complete holds that in peace everything has arrived.
func (k *checker) complete() {
	snap, ok := k.c.Client.S().Snapshot()
	to := snap.ID
	if !ok {
		ids := k.c.Server.SessionIDs() // READY did not name it
		if len(ids) == 0 {
			k.violated("ready, but not on the server")
			return
		}
		to = ids[len(ids)-1]
	}
	if k.c.spacebar {
		ids := k.c.Server.Identified()
		if len(ids) == 0 {
			k.violated("ready, but not on the server")
			return
		}
		to = fmt.Sprint("conn ", ids[len(ids)-1])
	}
	sent := k.c.sent[to]
	for k.last[to] < len(sent) && k.c.spoiled[sent[k.last[to]]] {
		k.last[to]++
	}
	if k.last[to] != len(sent) || k.last[to] < 5 {
		k.violated("in peace %d of %d events of %s were delivered", k.last[to], len(sent), to)
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
		clear(k.pending)
	}
	if n := k.c.Client.S().QueueLen(); n > 0 {
		k.violated("%d sends are still queued", n)
	}
}
