package session

import (
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

// Idle reports whether Next would find nothing: no output is ready, and no message
// of the last frame is left to look at.
func (s *Session) Idle() bool { return s.taken == len(s.out) && (s.dec == nil || !s.dec.Pending()) }

// time is when the present message came.
func (s *Session) time() time.Duration {
	if s.untold {
		s.heardAt, s.untold = s.cfg.Clock(), false
	}
	return s.heardAt
}

// message acts on one message of the server.
func (s *Session) message(msg []byte) {
	var m wire.Message
	etf := wire.IsETF(msg)
	if !etf {
		if kind := s.recognize(msg, &m); kind != nil {
			s.dispatch(kind, &m, msg, false)
			return
		}
	}
	var err error
	if etf {
		err = wire.ScanETF(msg, &m)
	} else {
		err = wire.Scan(msg, &m)
	}
	if err != nil {
		text := err.Error()
		if s.state == StateAwaitingHello {
			s.lose(s.time(), &Error{Code: ErrNotGateway, Message: s.host() + " does not speak the gateway protocol (" + text + "); is this the URL of a gateway?"}, true, CloseKeep)
			return
		}
		s.report(ErrMalformed, "a message that cannot be read was dropped ("+text+")")
		return
	}
	if m.Op == opDispatch {
		s.dispatch(s.kinds.arrived(m.Type), &m, msg, etf)
		return
	}
	now := s.time()
	// The server's numbers run on through op 7 and op 9.
	s.snap.Seq = max(s.snap.Seq, m.Seq)
	d := m.Data
	if etf {
		if d, err = s.translate(d); err != nil {
			s.report(ErrMalformed, "a message that cannot be read was dropped ("+err.Error()+")")
			return
		}
	}
	switch m.Op {
	case opHeartbeat:
		// Asked for by the server, so it says nothing about a missed ACK.
		if s.beating() && s.limit.extraMay(now) {
			s.limit.count(now)
			s.beat(now)
		}
	case opHeartbeatACK:
		if s.beatAt != never {
			latency := now - s.beatAt
			s.latencies.add(latency)
			s.beatAt = never
			s.emit(Output{Kind: OutputAck, Latency: latency})
		}
	case opHello:
		s.hello(now, d)
	case opReconnect:
		s.reconnect(now, d)
	case opInvalidSession:
		s.invalidSession(now, string(d) == "true")
	default:
		// An opcode we do not know is for a newer client than us.
	}
}

// translate turns an ETF payload into JSON that is valid until the next one. A
// message need not have one.
func (s *Session) translate(term []byte) (d []byte, err error) {
	if len(term) == 0 {
		return nil, nil
	}
	if cap(s.text) > keptText && len(term) < keptText/8 {
		s.text = nil // after a READY of megabytes
	}
	s.text, err = wire.AppendJSON(s.text[:0], term)
	return s.text, err
}

// dispatch acts on an event. Its number counts before anything can go wrong
// with its payload, and its payload is only touched if somebody wants it.
func (s *Session) dispatch(kind *Kind, m *wire.Message, msg []byte, etf bool) {
	kind.Count++
	switch {
	case kind.role == roleReady:
		if !s.ready(s.time(), m, etf) {
			return
		}
	case kind.role == roleResumed:
		s.snap.Seq = max(s.snap.Seq, m.Seq)
		if s.state == StateResuming {
			s.refusals = 0
			s.becomeReady(s.time(), true)
		}
	default:
		if s.state == StateResuming {
			// The replay makes progress, which an ACK would not show.
			s.set(timerState, min(s.time()+identifyTimeout, s.resumeBy))
			if m.Seq >= 0 && m.Seq <= s.snap.Seq {
				return // it had arrived before
			}
		}
		if m.Seq >= 0 && m.Seq <= s.resumed {
			return // as had this, though an old RESUMED was replayed before it
		}
		s.snap.Seq = max(s.snap.Seq, m.Seq)
	}
	if !s.kinds.wants(kind) {
		return
	}
	d := m.Data
	if etf {
		msg = nil
		var err error
		if d, err = s.translate(d); err != nil {
			s.report(ErrMalformed, "the payload of "+printable(kind.Name)+" cannot be read ("+err.Error()+")")
			return
		}
	}
	s.emit(Output{Kind: OutputDispatch, Event: kind, Seq: m.Seq, Data: d, Message: msg})
}

// ready takes up the session that READY begins. It reports false for one that
// cannot be read: the server's other answer to Identify is awaited, in vain.
func (s *Session) ready(now time.Duration, m *wire.Message, etf bool) bool {
	d := m.Data
	if etf {
		var err error
		if d, err = s.translate(d); err != nil {
			s.report(ErrMalformed, "READY cannot be read ("+err.Error()+")")
			return false
		}
	}
	snap := Snapshot{Seq: m.Seq}
	wire.Members(d, func(key, value []byte) bool {
		switch string(key) {
		case "session_id":
			snap.ID, _ = wire.String(value)
		case "resume_gateway_url":
			snap.ResumeURL, _ = wire.String(value)
		}
		return snap.ID == "" || snap.ResumeURL == ""
	})
	if len(snap.ID) > maxSessionText {
		snap.ID = "" // a Resume with it would be larger than servers take
	}
	if snap.ID == "" {
		s.report(ErrProtocol, "READY has no session_id that could be sent back; this session cannot be resumed")
	}
	if snap.ResumeURL != "" && (len(snap.ResumeURL) > maxSessionText || !resumeURLAllowed(s.cfg.URL, snap.ResumeURL)) {
		s.report(ErrProtocol, "READY names a resume URL that is no WebSocket, or less secure than the gateway's; ignored")
		snap.ResumeURL = ""
	}
	if s.begun {
		// READY where RESUMED was due: the server has started over.
		s.loseSession(&Error{Code: ErrInvalidSession, Message: "the server began a new session"})
	}
	s.snap, s.live, s.begun, s.resumed = snap, snap.ID != "", true, -1 // READY may also answer Resume
	for i := range s.standing.list {
		s.standing.list[i].due = true
	}
	s.becomeReady(now, false)
	return true
}

func (s *Session) becomeReady(now time.Duration, resumed bool) {
	s.state = StateReady
	s.readyAt = now
	s.wasReady, s.worked = true, true
	if resumed {
		s.stats.Resumes++
	}
	if s.transport > 0 {
		s.cfg.Hosts.learn(s.cfg.URL, s.Transport())
	}
	s.badHost = false
	s.failures, s.resumes, s.rejections, s.invalids = 0, 0, 0, 0
	s.set(timerState, never)
	s.set(timerIdentify, never)
	s.emit(Output{Kind: OutputState, State: StateReady, Resumed: resumed})
	s.emit(Output{Kind: OutputSession})
	if gap := s.lost; gap != nil {
		s.lost = nil
		gap.ReconnectedAt = now
		s.stats.Gaps++
		s.emit(Output{Kind: OutputGap, Gap: gap})
	}
	s.standAgain(now)
}

// reconnect obeys op 7. A server that names a delay (Spacebar: milliseconds)
// closes by itself, and what it still sends until then is worth having: it
// does not replay.
func (s *Session) reconnect(now time.Duration, d []byte) {
	if s.reconnectIn != never {
		return
	}
	ms, ok := wire.Int(d)
	if !ok || ms < 0 {
		s.reconnectIn, s.reconnectAt = 0, now
		s.lose(now, &Error{Code: ErrReconnect, Message: "the server asked for a reconnect"}, true, CloseKeep)
		return
	}
	s.reconnectIn = min(time.Duration(min(ms, maxReconnectDelay.Milliseconds()))*time.Millisecond, maxReconnectDelay)
	s.reconnectAt = now + s.reconnectIn
	s.set(timerDrain, now+min(s.reconnectIn, drainAfterOp7))
}

// invalidSession obeys op 9: resume again, or identify again, on the same
// connection, after a pause that keeps a restarting server from being rushed.
func (s *Session) invalidSession(now time.Duration, resumable bool) {
	if !s.beating() {
		return
	}
	cause := &Error{Code: ErrInvalidSession, Message: "the server does not know the session"}
	if s.state == StateReady {
		cause.Message = "the server ended the session"
	}
	if s.invalids++; s.invalids > maxInvalid || !s.limit.authMay(now) {
		s.lose(now, cause, resumable && s.invalids <= maxInvalid, CloseKeep)
		return
	}
	s.settle(&Error{Code: ErrDisconnected, Message: "the session was ended before the message was sent"})
	if s.state == StateReady {
		s.leaveReady(now)
	}
	if s.state == StateResuming && s.sentAuth && !resumable && now-s.goneAt < freshFor {
		s.refusals++
	}
	failed := s.state == StateResuming && !s.resumeAgain()
	if resumable && s.live && s.token != "" && !failed {
		s.report(ErrInvalidSession, cause.Message+"; resuming again")
		s.again(now, StateResuming)
		return
	}
	s.loseSession(cause)
	s.report(ErrInvalidSession, cause.Message+"; a new one is needed")
	if len(s.identify) == 0 {
		s.enter(StateConnected)
		s.set(timerState, now+connectedLimit)
		return
	}
	s.again(now, StateIdentifying)
}

// again waits in state to send Identify or Resume once more.
func (s *Session) again(now time.Duration, state State) {
	wait := s.between(time.Second, 5*time.Second)
	if s.state != state {
		s.enter(state)
	}
	s.sentAuth = false
	s.set(timerIdentify, now+wait)
	s.set(timerState, now+wait+identifyTimeout)
}
