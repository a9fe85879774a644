package session

import (
	"strconv"
	"strings"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

// The opcodes that the session itself acts on (protocol section: Gateway
// Opcodes). All others pass through it unread.
const (
	opDispatch       = 0
	opHeartbeat      = 1
	opIdentify       = 2
	opPresence       = 3
	opResume         = 6
	opReconnect      = 7
	opInvalidSession = 9
	opHello          = 10
	opHeartbeatACK   = 11
)

// The timers of a session; unset ones are at never. Of several that are due at a
// time, those that may end the connection come before those that send on it.
const (
	timerState    = iota // the deadline of the present state
	timerProbe           // the answer to a probe
	timerDrain           // the server has had time to close after op 7
	timerBeat            // the next heartbeat
	timerIdentify        // Identify or Resume again after Invalid Session
	timerQueue           // the rate limit lets the next send through
	timerTell            // the next thing that stands is told again, with care
	timerRetry           // the next dial
	timerCount
)

const (
	never  = time.Duration(1<<63 - 1)
	maxSeq = 1<<63 - 1
)

// Session is one gateway session over as many connections as it takes. It is
// not safe for concurrent use: a driver guards it.
type Session struct {
	cfg   Config
	kinds *Kinds
	rng   uint64
	out   []Output
	taken int // of out

	state    State
	conn     Conn
	open     bool // conn is being dialed or is open
	timers   [timerCount]time.Duration
	deadline time.Duration // the earliest of timers

	// The connection.
	dec          *wire.Decoder
	transport    int
	onResumeHost bool
	dialedAt     time.Duration
	heardAt      time.Duration
	untold       bool // it does not count the present message yet
	heard        bool // since the last heartbeat
	interval     time.Duration
	beatAt       time.Duration // of the last heartbeat not acknowledged; never if none
	sentAuth     bool          // Identify or Resume went out on this connection
	reconnectIn  time.Duration // what op 7 asked for; never if it did not come
	reconnectAt  time.Duration
	limit        limiter
	queue        []pending
	text         []byte // a payload translated to JSON
	heads        [1 << headBits]knownHead

	// The session.
	identify []byte
	token    string
	snap     Snapshot
	live     bool // snap is that of a session that may be resumed
	begun    bool // a session was ready, or is to be resumed, and its loss is not noted
	lost     *Gap // the session before, while there is no new one
	standing standing
	careful  bool // what stands is told again one thing at a time
	readyAt  time.Duration
	resumed  int64         // after a Resume on this connection, the number up to which events are known; -1 without one
	resumeBy time.Duration // when a resume is given up, whatever it still replays
	goneAt   time.Duration // when a Ready session was last heard
	wasReady bool

	// What failed, how often in a row.
	attempts   int // dials, for the back-off
	failures   int // connections before the first Ready
	resumes    int // resumes
	refusals   int // of fresh sessions, with no resume that worked
	badHost    bool
	rejections int // 4000 or 4002 straight after Identify
	invalids   int // op 9 on this connection
	corrupt    int // streams on this transport, the last of them
	corruptAt  time.Duration
	refused    int  // connections on this transport, closed before Hello
	worked     bool // there was a Ready on this transport
	blamed     bool // this connection may have failed for its transport, and there is another

	lastID    SendID
	latencies latencies
	stats     Stats
}

// pending is a send that waits for the rate limit.
type pending struct {
	id   SendID
	op   int
	d    []byte // to be remembered as standing once it is written, if it leaves anything so
	msg  []byte
	more bool      // other parts of the same send follow
	over []pending // presences in whose place it waits, the oldest first: they share its fate
}

// New makes a session. Nothing happens before Start.
func New(cfg Config) (*Session, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Session{cfg: cfg, kinds: cfg.Kinds, rng: cfg.Seed, snap: Snapshot{Seq: -1}, beatAt: never, reconnectIn: never}
	s.transport = cfg.Hosts.best(cfg.URL, s.cfg.Transports)
	s.stopTimers()
	s.setIdentify(cfg.Identify)
	if r := cfg.Restore; r != nil {
		s.snap, s.live, s.begun = *r, true, true
		s.standing.restore(r.Standing)
	}
	if l := cfg.Lost; l != nil {
		gap := l.Gap
		s.lost = &gap
		if cfg.Restore == nil {
			s.standing.restore(l.Standing)
		}
	}
	return s, nil
}

// State returns the present state.
func (s *Session) State() State { return s.state }

// Snapshot returns what it takes to resume the session elsewhere; ok is false
// if there is no session to resume. It stays valid after a close that kept the
// session.
func (s *Session) Snapshot() (snap Snapshot, ok bool) {
	snap = s.snap
	snap.Standing = s.standing.text()
	return snap, s.live
}

// Lost returns what is to be reported yet of a session that is gone, or has no id
// to be resumed by, so that another Session can go on from there if this one comes
// to a sudden end; ok is false if there is nothing. It can only change together
// with an OutputSession or an OutputGap.
func (s *Session) Lost() (l Loss, ok bool) {
	l.Standing = s.standing.text()
	for i := range s.out[s.taken:] {
		if o := &s.out[s.taken+i]; o.Kind == OutputGap {
			l.Gap = *o.Gap
			return l, true
		}
	}
	switch {
	case s.lost != nil:
		l.Gap = *s.lost
	case s.begun && !s.live:
		cause := &Error{Code: ErrInvalidSession, Message: "the session had no id that could be sent back"}
		l.Gap = Gap{Reason: cause, LastSeq: s.snap.Seq, DisconnectedAt: s.heardAt, SessionLost: true}
	default:
		return Loss{}, false
	}
	return l, true
}

// Seq returns the highest sequence number received, -1 if there is none.
func (s *Session) Seq() int64 { return s.snap.Seq }

// Latency is the time from the last acknowledged heartbeat to its ACK; 0 before
// the first.
func (s *Session) Latency() time.Duration { return s.latencies.last() }

// QueueLen returns how many sends wait for the rate limit.
func (s *Session) QueueLen() int { return len(s.queue) }

// Transport returns what the present or next connection uses.
func (s *Session) Transport() wire.Transport { return s.cfg.Transports[s.transport] }

// Deadline returns when Tick is to be called next; ok is false if never.
func (s *Session) Deadline() (at time.Duration, ok bool) { return s.deadline, s.deadline != never }

// Next returns the next thing to do, or nil if there is none for now. What it
// points to is valid until the next call of any method.
func (s *Session) Next() *Output {
	for {
		if s.taken < len(s.out) {
			s.taken++
			return &s.out[s.taken-1]
		}
		s.out, s.taken = s.out[:0], 0
		if s.dec == nil {
			return nil
		}
		msg, err := s.dec.Next()
		switch {
		case err != nil:
			s.broken(err)
		case msg == nil:
			return nil
		default:
			s.stats.Decoded += uint64(len(msg))
			s.message(msg)
		}
	}
}

// Start begins to connect.
func (s *Session) Start(now time.Duration) {
	if s.state == StateIdle {
		s.goneAt = now
		s.dial(now)
	}
}

// Opened tells that the connection is open.
func (s *Session) Opened(now time.Duration, conn Conn) {
	if !s.is(conn) || s.state != StateDialing {
		return
	}
	s.heardAt = now
	t := s.Transport()
	s.dec = wire.NewDecoder(t.Encoding, t.Compression, wire.Limits{MaxMessage: s.cfg.MaxReceive})
	s.enter(StateAwaitingHello)
	s.set(timerState, now+helloTimeout)
}

// Untold may be given to Received in place of the time by a driver whose clock is
// dear, as a browser's is: the few messages to which the time matters ask
// Config.Clock.
const Untold time.Duration = -1

// Received hands over one WebSocket message, which must stay unchanged until
// Next has returned nil.
func (s *Session) Received(now time.Duration, conn Conn, frame []byte, binary bool) {
	if !s.is(conn) || s.dec == nil {
		return
	}
	s.heard, s.untold = true, now == Untold
	if !s.untold {
		s.heardAt = now
	}
	if s.timers[timerProbe] != never {
		s.set(timerProbe, never)
	}
	s.dec.Write(frame, binary)
}

// Closed tells that the connection has closed by itself, or could not be
// opened: with this code and reason, or because of cause (in words; empty if
// the code says it all).
func (s *Session) Closed(now time.Duration, conn Conn, code CloseCode, reason, cause string) {
	if !s.is(conn) {
		return
	}
	s.open = false
	cause = printable(cause)
	if s.state == StateDialing {
		if cause == "" {
			cause = "closed with " + code.String()
		}
		s.lose(now, &Error{Code: ErrDialFailed, Message: "could not connect to " + s.host() + ": " + cause, CloseCode: code}, true, 0)
		return
	}
	policy := code.Policy()
	text := "connection closed with " + code.String()
	if reason = printable(reason); reason != "" {
		text += ": " + reason
	}
	if cause != "" {
		text += " (" + cause + ")"
	}
	err := &Error{Code: ErrConnectionClosed, Message: text + "; " + policy.Advice, CloseCode: code, Fatal: policy.Fatal}
	if code == CloseAuthFailed {
		err.Code = ErrAuthentication
	}
	if s.reconnectIn != never {
		err = &Error{Code: ErrReconnect, Message: "the server asked for a reconnect", CloseCode: code, Fatal: policy.Fatal}
	}
	s.lose(now, err, policy.KeepsSession, 0)
}

// Tick tells that the Deadline has been reached.
func (s *Session) Tick(now time.Duration) {
	if now < s.deadline || s.state == StateClosed {
		return
	}
	if s.open && s.deadline+lateTick < now {
		s.overslept(now)
		return
	}
	for timer := range s.timers {
		if s.timers[timer] <= now {
			s.set(timer, never)
			s.fire(now, timer)
		}
	}
}

// overslept is what a Tick does that comes far too late: the deadlines that
// passed meanwhile say nothing about the server, so ask it.
func (s *Session) overslept(now time.Duration) {
	for timer, at := range s.timers {
		if at < now {
			switch timer {
			case timerBeat:
				s.set(timer, now+s.interval)
			case timerState, timerProbe:
				s.set(timer, now+probeTimeout)
			default:
				s.set(timer, now)
			}
		}
	}
	s.Wake(now)
}

// Wake tells that the machine or the page may have been away, or that the
// network is back: a wait to dial is cut short, and a connection that looks
// open must prove it within five seconds.
func (s *Session) Wake(now time.Duration) {
	switch s.state {
	case StateBackoff:
		if at := max(now, s.dialedAt+wakeInterval, s.reconnectAt); at < s.timers[timerRetry] {
			s.set(timerRetry, at)
		}
	case StateDialing, StateAwaitingHello:
		s.set(timerState, min(s.timers[timerState], now+probeTimeout))
	case StateConnected, StateIdentifying, StateResuming, StateReady:
		if s.timers[timerProbe] == never && s.limit.extraMay(now) {
			s.limit.count(now)
			s.beat(now)
			s.set(timerProbe, now+probeTimeout)
		}
	}
}

// Close ends the session's life. With keep, the server is left in the belief
// that the connection broke, so that the Snapshot may be resumed later.
func (s *Session) Close(now time.Duration, keep bool) {
	if s.state == StateClosed {
		return
	}
	code := CloseNormal
	if keep {
		code = CloseKeep
	} else {
		s.live = false
	}
	s.leave(code, &Error{Code: ErrClosed, Message: "the handle was closed"})
	s.emit(Output{Kind: OutputSession})
	s.enter(StateClosed)
}

// Send asks for a message with opcode op and payload d (JSON) to be sent. It
// fails at once if that cannot be; otherwise the ID it returns is answered by
// one OutputSent. Identify and Resume are sent when the session is Connected,
// everything else when it is Ready.
func (s *Session) Send(now time.Duration, op int, d []byte) (SendID, error) {
	fail := func(code ErrorCode, text string) (SendID, error) {
		return 0, &Error{Code: code, Message: text}
	}
	if len(d) == 0 {
		d = []byte("null")
	}
	msg, err := s.encode(op, d)
	auth := op == opIdentify || op == opResume
	switch {
	case s.state == StateClosed:
		return fail(ErrClosed, "cannot send: the handle is closed")
	case err != nil:
		return fail(ErrInvalidPayload, "the payload of opcode "+strconv.Itoa(op)+" is not valid JSON")
	case len(msg) > s.cfg.MaxMessage && s.state == StateReady && op == opSubscriptions:
		if parts := messages(subscriptions(d), s.cfg.MaxMessage, s.measure); len(parts) > 0 {
			return s.sendParts(now, parts)
		}
		fallthrough
	case len(msg) > s.cfg.MaxMessage:
		return fail(ErrMessageTooLarge, "the message has "+strconv.Itoa(len(msg))+" bytes and the server takes "+strconv.Itoa(s.cfg.MaxMessage)+"; send less at once")
	case auth && (s.state == StateIdentifying || s.state == StateResuming || s.state == StateReady):
		return fail(ErrAlreadyIdentified, "this connection has a session already; connect another handle for another one")
	case auth && s.state != StateConnected:
		return fail(ErrNotReady, "cannot identify: the connection is "+s.state.String()+"; wait until it is connected")
	case auth && token(d) == "":
		return fail(ErrInvalidPayload, "Identify and Resume need the token of the account")
	case op == opHeartbeat && !s.beating():
		return fail(ErrNotReady, "cannot send a heartbeat: there is no connection")
	case op != opHeartbeat && !auth && s.state != StateReady:
		return fail(ErrNotReady, "cannot send: the session is "+s.state.String()+"; wait until it is ready")
	}
	s.lastID++
	id := s.lastID
	switch {
	case op == opIdentify:
		s.setIdentify(d)
		s.sendIdentify(now)
	case op == opResume:
		if !s.setResume(d) {
			return fail(ErrInvalidPayload, "Resume needs token, session_id and seq")
		}
		s.sendResume(now)
	case op == opHeartbeat:
		if !s.limit.extraMay(now) {
			return fail(ErrQueueFull, "too many heartbeats")
		}
		s.write(now, msg)
	default:
		p := pending{id: id, op: op, msg: msg}
		if stands(op) {
			p.d = append([]byte(nil), d...)
		}
		if err := s.submit(now, p); err != nil {
			return 0, err
		}
		return id, nil
	}
	s.emit(Output{Kind: OutputSent, ID: id})
	return id, nil
}

// submit sends a message, now or when the rate limit lets it through.
func (s *Session) submit(now time.Duration, p pending) error {
	if len(s.queue) == 0 && s.limit.userMay(now) {
		s.writeSend(now, p)
		return nil
	}
	return s.enqueue(now, p)
}

// writeSend writes a send, which only now leaves something standing: what fails was
// not sent, and is not to be sent with another session either.
func (s *Session) writeSend(now time.Duration, p pending) {
	s.write(now, p.msg)
	own := p.id != 0
	if p.d != nil && s.standing.note(p.op, p.d, told{s.conn, now, own}) && own {
		s.emit(Output{Kind: OutputSession})
	}
	s.settleSend(p, nil)
}

// sendParts sends a message in parts, all of them or none. The last one settles the
// send.
func (s *Session) sendParts(now time.Duration, parts []message) (SendID, error) {
	if len(s.queue)+len(parts) > s.cfg.Queue {
		return 0, &Error{Code: ErrQueueFull, Message: "cannot send: the message has to be sent in " + strconv.Itoa(len(parts)) + " parts, for which the queue has no room"}
	}
	sends := make([]pending, 0, len(parts))
	for i, part := range parts {
		msg, err := s.encode(part.op, part.d)
		if err == nil && len(msg) > s.cfg.MaxMessage {
			err = &Error{Code: ErrMessageTooLarge, Message: "a part of the message has " + strconv.Itoa(len(msg)) + " bytes and the server takes " + strconv.Itoa(s.cfg.MaxMessage) + "; subscribe to less of one guild"}
		}
		if err != nil {
			return 0, err
		}
		sends = append(sends, pending{id: s.lastID + 1, op: part.op, d: part.d, msg: msg, more: i < len(parts)-1})
	}
	s.lastID++
	for _, p := range sends {
		_ = s.submit(now, p) // for which there is room
	}
	return s.lastID, nil
}

// settleSend settles a send, and those whose place it has taken.
func (s *Session) settleSend(p pending, err *Error) {
	for _, o := range p.over {
		s.sent(o.id, err)
	}
	if !p.more {
		s.sent(p.id, err)
	}
}

// sent settles a send; those that nobody asked for have no ID.
func (s *Session) sent(id SendID, err *Error) {
	if id != 0 {
		s.emit(Output{Kind: OutputSent, ID: id, Err: err})
	}
}

// Cancel takes back a send that still waits, or what still waits of it. It reports
// whether it did; the send is then settled with err.
func (s *Session) Cancel(id SendID, err *Error) bool {
	if id == 0 {
		return false
	}
	waits := false
	kept := s.queue[:0]
	for _, p := range s.queue {
		if n := len(p.over) - 1; p.id == id {
			waits = true
			if n < 0 {
				continue
			}
			// The one before is the last again.
			over := p.over[:n]
			p = p.over[n]
			p.over = over
		} else {
			for i := range p.over {
				if p.over[i].id == id {
					waits = true
					p.over = append(p.over[:i], p.over[i+1:]...)
					break
				}
			}
		}
		kept = append(kept, p)
	}
	s.queue = kept
	if waits {
		s.sent(id, err)
	}
	return waits
}

// enqueue puts a send behind those that wait for the rate limit. A presence
// update takes the place of one that waits: only the last one counts.
func (s *Session) enqueue(now time.Duration, p pending) error {
	waits := len(s.queue)
	if p.op == opPresence {
		for i := range s.queue {
			q := &s.queue[i]
			if q.op != opPresence {
				continue
			}
			if waits = len(q.over); waits < s.cfg.Queue {
				over := q.over
				q.over = nil
				p.over = append(over, *q)
				*q = p
				return nil
			}
		}
	}
	if waits >= s.cfg.Queue && p.id != 0 {
		return &Error{Code: ErrQueueFull, Message: "cannot send: " + strconv.Itoa(waits) + " messages wait for the rate limit (" + strconv.Itoa(RateLimit) + " a minute); send less often"}
	}
	s.queue = append(s.queue, p)
	s.set(timerQueue, s.limit.userNext(now))
	return nil
}

// is reports whether an input belongs to the present connection.
func (s *Session) is(conn Conn) bool { return s.open && conn == s.conn }

// beating reports whether the connection is one on which heartbeats run.
func (s *Session) beating() bool { return s.state >= StateConnected && s.state <= StateReady }

func (s *Session) emit(o Output) {
	s.out = append(s.out, o)
}

// report emits an error that needs nobody to act.
func (s *Session) report(code ErrorCode, text string) {
	s.emit(Output{Kind: OutputError, Err: &Error{Code: code, Message: text}})
}

func (s *Session) enter(state State) {
	s.state = state
	s.emit(Output{Kind: OutputState, State: state})
}

func (s *Session) set(timer int, at time.Duration) {
	s.timers[timer] = at
	s.deadline = never
	for _, at := range s.timers {
		s.deadline = min(s.deadline, at)
	}
}

func (s *Session) stopTimers() {
	for timer := range s.timers {
		s.timers[timer] = never
	}
	s.deadline = never
}

// random returns the next number in [0, 1) (splitmix64: every seed will do).
func (s *Session) random() float64 {
	s.rng += 0x9e3779b97f4a7c15
	z := s.rng
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return float64((z^z>>31)>>11) / (1 << 53)
}

// between returns a random time between a and b.
func (s *Session) between(a, b time.Duration) time.Duration {
	return a + time.Duration(s.random()*float64(b-a))
}

func (s *Session) setIdentify(payload []byte) {
	s.identify = append([]byte(nil), payload...)
	s.token = token(payload)
}

// setResume takes the session to resume from the payload of a Resume.
func (s *Session) setResume(payload []byte) bool {
	snap := Snapshot{Seq: -1}
	seq := false
	wire.Members(payload, func(key, value []byte) bool {
		switch string(key) {
		case "session_id":
			snap.ID, _ = wire.String(value)
		case "seq":
			snap.Seq, seq = wire.Int(value)
		}
		return true
	})
	if snap.ID == "" || !seq {
		return false
	}
	s.token = token(payload)
	s.snap, s.live, s.begun = snap, true, true
	return true
}

// host names the server in messages, without path and query.
func (s *Session) host() string {
	u := s.cfg.URL
	if s.onResumeHost {
		u = s.snap.ResumeURL
	}
	_, host, _ := splitURL(u)
	return host[strings.LastIndexByte(host, '@')+1:] // a restored URL may name a user
}

// printable bounds a text that a server chose, and takes what could disturb a
// terminal or a log out of it.
func printable(text string) string {
	b := make([]byte, 0, len(text))
	for _, r := range text {
		if len(b) >= 200 {
			return string(b) + "…"
		}
		if r < ' ' || 0x7f <= r && r < 0xa0 || 0x2028 <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 {
			r = ' '
		}
		b = append(b, string(r)...)
	}
	return string(b)
}
