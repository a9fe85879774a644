package session

import (
	"strconv"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

// This file is the life of a connection: dial, Hello, Identify or Resume,
// heartbeats, and how it ends.

// dial opens the next connection. A session that may be resumed goes to the
// host that READY named, unless that one has failed.
func (s *Session) dial(now time.Duration) {
	s.conn++
	s.open = true
	s.dialedAt = now
	s.stats.Dials++
	s.sentAuth, s.invalids, s.blamed = false, 0, false
	s.beatAt, s.heard = never, false
	s.reconnectIn, s.reconnectAt = never, 0
	s.stopTimers()
	s.resumed = -1
	if !s.live {
		s.snap.Seq = -1 // what came before a READY that did not come
	}
	url := s.cfg.URL
	if s.onResumeHost = s.live && !s.badHost && s.resumable() && s.snap.ResumeURL != ""; s.onResumeHost {
		url = s.snap.ResumeURL
	}
	s.enter(StateDialing)
	s.set(timerState, now+dialTimeout)
	s.emit(Output{Kind: OutputDial, Conn: s.conn, URL: buildURL(url, s.cfg.Version, s.Transport())})
}

// fire does what a timer is for.
func (s *Session) fire(now time.Duration, timer int) {
	switch timer {
	case timerRetry:
		s.dial(now)
	case timerBeat:
		// Whatever came since the last heartbeat proves that the server lives:
		// an ACK may be stuck behind a flood of events.
		if s.beatAt != never && !s.heard && now-s.beatAt >= s.interval {
			s.lose(now, &Error{Code: ErrHeartbeat, Message: "nothing was heard since the last heartbeat " + s.interval.String() + " ago; reconnecting"}, true, CloseKeep)
			return
		}
		s.beat(now)
		s.set(timerBeat, now+s.interval)
	case timerProbe:
		s.lose(now, &Error{Code: ErrHeartbeat, Message: "the connection did not answer a probe within " + probeTimeout.String() + "; reconnecting"}, true, CloseKeep)
	case timerIdentify:
		if s.state == StateResuming {
			s.sendResume(now)
		} else {
			s.sendIdentify(now)
		}
	case timerQueue:
		s.flush(now)
	case timerTell:
		s.tellNext(now)
	case timerDrain:
		s.lose(now, &Error{Code: ErrReconnect, Message: "the server asked for a reconnect"}, true, CloseKeep)
	case timerState:
		s.overdue(now)
	}
}

// overdue ends a state that has lasted too long.
func (s *Session) overdue(now time.Duration) {
	err := &Error{Code: ErrTimeout}
	switch s.state {
	case StateDialing:
		err.Code = ErrDialFailed
		err.Message = "could not connect to " + s.host() + " within " + dialTimeout.String()
	case StateAwaitingHello:
		err.Code = ErrNotGateway
		err.Message = s.host() + " accepted the connection but sent no Hello within " + helloTimeout.String() + "; is this the URL of a gateway?"
	case StateConnected:
		err.Message = "neither Identify nor Resume was sent within " + connectedLimit.String()
		err.Fatal = true
	case StateIdentifying:
		err.Message = "the server did not answer Identify with READY within " + identifyTimeout.String()
	case StateResuming:
		err.Message = "the server did not answer Resume with events or RESUMED within " + identifyTimeout.String()
		if now >= s.resumeBy {
			err.Message = "the server did not finish to resume within " + resumeLimit.String()
		}
	}
	s.lose(now, err, true, CloseKeep)
}

// hello starts the heartbeats and the session.
func (s *Session) hello(now time.Duration, d []byte) {
	if s.state != StateAwaitingHello {
		s.report(ErrProtocol, "the server sent Hello again; ignored")
		return
	}
	s.interval = s.heartbeatInterval(d)
	s.limit.reset(s.interval)
	s.refused = 0
	s.set(timerBeat, now+s.between(0, s.interval))
	if s.live && !s.resumable() {
		s.loseSession(&Error{Code: ErrInvalidSession, Message: "the server does not resume sessions"})
	}
	switch {
	case s.live && s.token != "":
		s.sendResume(now)
	case len(s.identify) > 0:
		s.sendIdentify(now)
	default:
		s.enter(StateConnected)
		s.set(timerState, now+connectedLimit)
	}
}

// heartbeatInterval reads the interval of a Hello and brings it within bounds:
// a server must not be able to silence the client or to make it spin.
func (s *Session) heartbeatInterval(hello []byte) time.Duration {
	ms, ok := int64(0), false
	wire.Members(hello, func(key, value []byte) bool {
		if string(key) == "heartbeat_interval" {
			ms, ok = wire.Int(value)
			return false
		}
		return true
	})
	interval := time.Duration(min(max(ms, 0), maxInterval.Milliseconds()+1)) * time.Millisecond
	switch {
	case !ok || ms <= 0:
		interval = defaultInterval
	case interval < minInterval:
		interval = minInterval
	case interval > maxInterval:
		interval = maxInterval
	default:
		return interval
	}
	s.report(ErrProtocol, "the server asked for an impossible heartbeat interval; using "+interval.String())
	return interval
}

func (s *Session) sendIdentify(now time.Duration) {
	s.sentAuth = true
	if s.resumed >= 0 {
		s.resumed = maxSeq // whatever comes before READY is of a session that is over
	}
	if s.state != StateIdentifying {
		s.enter(StateIdentifying)
	}
	s.set(timerState, now+identifyTimeout)
	msg, err := s.encode(opIdentify, s.identify)
	if err != nil {
		s.lose(now, &Error{Code: ErrInvalidPayload, Message: "Identify is not valid JSON", Fatal: true}, false, CloseNormal)
		return
	}
	s.write(now, msg)
}

func (s *Session) sendResume(now time.Duration) {
	s.sentAuth = true
	if s.state != StateResuming {
		s.enter(StateResuming)
	}
	s.set(timerState, now+identifyTimeout)
	s.resumed, s.resumeBy = s.snap.Seq, now+resumeLimit
	d := append([]byte(nil), `{"token":`...)
	d = wire.AppendString(d, s.token)
	d = append(d, `,"session_id":`...)
	d = wire.AppendString(d, s.snap.ID)
	d = append(d, `,"seq":`...)
	d = strconv.AppendInt(d, max(s.snap.Seq, 0), 10)
	d = append(d, '}')
	msg, _ := s.encode(opResume, d)
	s.write(now, msg)
}

// beat sends a heartbeat, which passes by the queue. Those out of turn must be
// counted by the caller; the regular ones have a share of their own.
func (s *Session) beat(now time.Duration) {
	d := []byte("null")
	if s.snap.Seq >= 0 {
		d = strconv.AppendInt(d[:0], s.snap.Seq, 10)
	}
	msg, _ := s.encode(opHeartbeat, d)
	s.emitWrite(msg)
	s.beatAt, s.heard = now, false
}

// encode builds a message.
func (s *Session) encode(op int, d []byte) ([]byte, error) {
	msg := make([]byte, 0, len(d)+20)
	msg = append(msg, `{"op":`...)
	msg = strconv.AppendInt(msg, int64(op), 10)
	msg = append(msg, `,"d":`...)
	msg = append(msg, d...)
	msg = append(msg, '}')
	if s.Transport().Encoding == wire.ETF {
		return wire.AppendETF(nil, msg)
	}
	return msg, nil
}

// write sends a message that the rate limit counts.
func (s *Session) write(now time.Duration, msg []byte) {
	s.limit.count(now)
	s.emitWrite(msg)
}

func (s *Session) emitWrite(msg []byte) {
	s.emit(Output{Kind: OutputWrite, Conn: s.conn, Data: msg, Binary: s.Transport().Encoding == wire.ETF})
}

// flush sends what the rate limit lets through of the queue.
func (s *Session) flush(now time.Duration) {
	n := 0
	for ; n < len(s.queue) && s.limit.userMay(now); n++ {
		s.writeSend(now, s.queue[n])
	}
	s.queue = append(s.queue[:0], s.queue[n:]...)
	if len(s.queue) > 0 {
		s.set(timerQueue, s.limit.userNext(now))
	}
}

// settle fails all that waits to be sent.
func (s *Session) settle(err *Error) {
	for _, p := range s.queue {
		s.settleSend(p, err)
	}
	s.queue = s.queue[:0]
	s.set(timerQueue, never)
	s.set(timerTell, never)
}

// leave gives the connection up: it is closed with code if it is still open,
// and what was to be sent on it fails with err.
func (s *Session) leave(code CloseCode, err *Error) {
	if s.open {
		s.emit(Output{Kind: OutputClose, Conn: s.conn, CloseCode: code})
	}
	s.open, s.dec = false, nil
	s.settle(err)
	s.stopTimers()
}

// lose ends the connection because of cause and arranges for the next one, or
// for the end. The session is kept for a resume if keep says so. code is what
// to close the connection with if it is still open.
func (s *Session) lose(now time.Duration, cause *Error, keep bool, code CloseCode) {
	was, asked := s.state, s.reconnectIn != never
	s.leave(code, &Error{Code: ErrDisconnected, Message: "the connection was lost before the message was sent", CloseCode: cause.CloseCode})
	if was == StateReady {
		s.leaveReady(now)
		s.doubtStanding(now, cause.CloseCode)
	}
	switch was {
	case StateDialing, StateAwaitingHello:
		s.badHost = s.badHost || s.onResumeHost
		if was == StateAwaitingHello && s.stepDown(cause.CloseCode) {
			cause.Fatal = false
			s.emit(Output{Kind: OutputError, Err: cause})
			s.backoff(now, cause, 0)
			return
		}
	case StateConnected:
		if cause.CloseCode == CloseSessionTimeout || cause.CloseCode == CloseNotIdentified {
			cause.Fatal = true
		}
	case StateIdentifying:
		s.rejected(cause)
	case StateResuming:
		if s.sentAuth && !s.resumeAgain() && keep {
			keep = false
			s.report(ErrResumeFailed, "the session could not be resumed in "+strconv.Itoa(maxResumes)+" attempts; starting a new one")
		}
	}
	if !keep || !s.live {
		s.loseSession(cause)
	}
	if !s.wasReady && !cause.Fatal && !s.blamed {
		if s.failures++; s.cfg.Attempts > 0 && s.failures >= s.cfg.Attempts {
			cause.Fatal = true
			cause.Message += " (gave up after " + strconv.Itoa(s.failures) + " attempts)"
		}
	}
	s.emit(Output{Kind: OutputError, Err: cause})
	if cause.Fatal {
		s.state = StateClosed
		s.emit(Output{Kind: OutputState, State: StateClosed, Err: cause})
		return
	}
	delay := s.between(0, min(backoffCap, backoffBase<<min(s.attempts, 10)))
	s.attempts++
	if asked {
		delay = max(delay, s.reconnectAt-now)
	}
	s.backoff(now, cause, delay)
}

// leaveReady notes the end of a session, or of its connection. The back-off starts
// over if it has stood for a time.
func (s *Session) leaveReady(now time.Duration) {
	s.goneAt = s.heardAt
	if now-s.readyAt >= stableAfter {
		s.attempts = 0
	}
}

func (s *Session) backoff(now time.Duration, cause *Error, delay time.Duration) {
	s.state = StateBackoff
	s.set(timerRetry, now+delay)
	s.emit(Output{Kind: OutputState, State: StateBackoff, Err: cause, RetryAt: now + delay})
}

// resumable reports whether a Resume is worth the try. Some servers, Spacebar
// among them, know no Resume at all: one that has refused fresh sessions only is
// not asked again, which saves the seconds that its refusal would cost.
func (s *Session) resumable() bool {
	return s.refusals < maxRefusals || len(s.identify) == 0
}

// resumeAgain counts a resume that failed and reports whether to try another.
func (s *Session) resumeAgain() bool {
	s.resumes++
	return s.resumes < maxResumes
}

// rejected looks at a connection that ended between Identify and READY. Some
// servers answer a wrong token, or an Identify they cannot read, with a code
// that otherwise asks for another try: after a few of those the answer is
// plain. Of an Identify that has worked it takes many: the server may fail, but the
// token may also have been revoked.
func (s *Session) rejected(cause *Error) {
	code, most := cause.CloseCode, maxRejected
	if s.wasReady {
		most = maxRevoked
	}
	switch {
	case !s.sentAuth:
		return
	case s.wasReady && code != CloseUnknownError:
		s.rejections = 0 // the server fails, in more ways than one
		return
	case code != CloseUnknownError && code != CloseDecodeError:
		return
	}
	if s.rejections++; s.rejections < most {
		return
	}
	cause.Fatal = true
	if code == CloseUnknownError {
		cause.Code = ErrAuthentication
		cause.Message = "the server closed with " + code.String() + " straight after Identify, " + strconv.Itoa(s.rejections) + " times in a row: the token is most likely not valid; log in again"
	} else {
		cause.Code = ErrIdentifyRejected
		cause.Message = "the server closed with " + code.String() + " straight after Identify, " + strconv.Itoa(s.rejections) + " times in a row: it does not take this Identify; a Spacebar server refuses unknown fields"
	}
}

// stepDown moves on to the next transport if the server seems to refuse the
// present one: it accepted the connection and closed before Hello. A lost
// connection must happen twice to count. A transport that has worked is not
// doubted, unless the code says that it is what the URL asks for.
func (s *Session) stepDown(code CloseCode) bool {
	if s.lastTransport() || code == 0 || code.Policy().Fatal && code != CloseInvalidVersion {
		return false
	}
	if s.worked && code != CloseDecodeError && code != CloseInvalidVersion {
		return false
	}
	s.blamed = true
	s.refused++
	if (code == CloseAbnormal || code == CloseNormal || code == CloseGoingAway) && s.refused < 2 {
		return false
	}
	s.nextTransport()
	return true
}

func (s *Session) lastTransport() bool { return s.transport+1 >= len(s.cfg.Transports) }

func (s *Session) nextTransport() {
	s.transport++
	s.refused, s.corrupt, s.worked = 0, 0, false
}

// broken ends a connection whose bytes cannot be decompressed. What they might
// have meant is not guessed at: the session is resumed, with the next transport if
// this one's streams have been broken twice in some time, or ask for more than can
// be given, which they would again.
func (s *Session) broken(err error) {
	now := s.time()
	cause := &Error{Code: ErrCorruptStream, Message: "the compressed stream is broken (" + err.Error() + "); reconnecting"}
	if now-s.corruptAt >= corruptFor {
		s.corrupt = 0
	}
	s.corrupt, s.corruptAt = s.corrupt+1, now
	most := maxCorrupt
	if limit, ok := err.(*wire.LimitError); ok {
		cause = &Error{Code: ErrMessageTooBig, Message: "the server sent more than is taken (" + err.Error() + ")"}
		switch {
		case !limit.Stream:
			cause.Message += "; raise the limit of " + strconv.Itoa(limit.Limit) + " bytes if the server is to be trusted"
			cause.Fatal = true
		case s.lastTransport():
			cause.Message += "; choose another compression"
			cause.Fatal = true
		default:
			cause.Message += "; reconnecting with another compression"
			most = 1
		}
	}
	if !cause.Fatal && !s.lastTransport() {
		s.blamed = true
		if s.corrupt >= most {
			s.nextTransport()
		}
	}
	s.lose(now, cause, true, CloseKeep)
}

// loseSession notes that the session is gone, and since when.
func (s *Session) loseSession(cause *Error) {
	if !s.begun {
		return
	}
	s.begun, s.live = false, false
	if s.resumed >= 0 {
		s.resumed = max(s.resumed, s.snap.Seq) // the replay may go on
	}
	s.badHost, s.resumes = false, 0
	if s.lost == nil {
		s.lost = &Gap{Reason: cause, LastSeq: s.snap.Seq, DisconnectedAt: s.goneAt, SessionLost: true}
	}
	s.snap = Snapshot{Seq: -1}
	s.emit(Output{Kind: OutputSession})
}
