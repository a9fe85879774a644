package fakegateway

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// session is what READY begins. In the Documented profile it outlives its
// connection and can be resumed; in the Spacebar profile it belongs to a token
// and all its connections.
type session struct {
	e         *Engine
	id, token string
	user      *User
	conns     []*EngineConn
	os        string
	seq       int64   // of the next event; unused where connections count
	replay    []event // the last events
	expiry    *timer  // of a session without a connection
	away      *timer  // until the user is seen to be offline
}

func (s *session) remember(ev event, most int) {
	if len(s.replay) >= 2*most {
		s.replay = append(s.replay[:0], s.replay[len(s.replay)-most+1:]...)
	}
	s.replay = append(s.replay, ev)
}

// since returns the events after seq, or false if the server does not have
// them all any more.
func (s *session) since(seq int64, most int) ([]event, bool) {
	kept := s.replay[max(0, len(s.replay)-most):]
	first := s.seq - int64(len(kept))
	if seq+1 < first {
		return nil, false
	}
	return kept[seq+1-first:], true
}

// identify is the payload of Identify, as far as it matters.
type identify struct {
	Token        string          `json:"token"`
	Properties   json.RawMessage `json:"properties"`
	Compress     bool            `json:"compress"`
	Capabilities json.RawMessage `json:"capabilities"`
	Intents      json.RawMessage `json:"intents"`
	Shard        json.RawMessage `json:"shard"`
	Presence     *presence       `json:"presence"`
}

type presence struct {
	Status     string          `json:"status"`
	Activities json.RawMessage `json:"activities"`
}

// bare is a token without the word that Spacebar lets stand before it.
func (e *Engine) bare(token string) string {
	if e.opt.Profile == Spacebar {
		for _, prefix := range []string{"Bearer ", "Bot "} {
			token = strings.TrimPrefix(token, prefix)
		}
	}
	return token
}

// userOf returns whose token it is, or nil.
func (e *Engine) userOf(token string) *User {
	if u := e.tokens[token]; u != nil || !e.opt.AnyToken || token == "" || token == BadToken || len(e.accounts) == 0 {
		return u
	}
	return e.world.names[e.accounts[0].Username]
}

func (c *EngineConn) onIdentify(m Message) {
	e := c.e
	e.counters.Identifies++
	if c.sess != nil {
		c.close(4005, "")
		return
	}
	if code := c.faults.CloseOnIdentify; code != 0 {
		c.close(code, "")
		return
	}
	var id identify
	if json.Unmarshal(m.D, &id) != nil || len(m.D) == 0 {
		c.close(4002, "")
		return
	}
	if c.faults.NoReady {
		e.stop(c.identify)
		return
	}
	c.answer(func() {
		if code := c.identified(id); code != 0 {
			c.close(code, "")
		}
	})
}

// identified begins a session, or returns the code to close with.
func (c *EngineConn) identified(id identify) int {
	e := c.e
	if c.sess != nil {
		return 4005
	}
	token := e.bare(id.Token)
	u := e.userOf(token)
	if u == nil {
		return e.rules.badToken
	}
	shard, ok := readShard(id.Shard)
	if !ok {
		return 4010
	}
	if intents, ok := number(id.Intents); ok && e.opt.Profile == Documented && intents&^knownIntents != 0 {
		return 4013
	}
	capabilities, _ := number(id.Capabilities)
	s := e.sessionFor(token, u)
	s.os = readOS(id.Properties)
	s.attach(c)
	if id.Presence != nil && id.Presence.Status != "" {
		u.status, u.activity = id.Presence.Status, orNil(id.Presence.Activities)
	} else {
		u.status = "online"
	}
	c.enc.payload = id.Compress && e.rules.payloadZlib && !c.enc.compressed()
	d := json.RawMessage(c.faults.Ready)
	switch {
	case len(d) > 0:
	case e.opt.Ready != nil:
		d = e.opt.Ready
	default:
		d = e.ready(c, s, capabilities, shard)
	}
	c.dispatch("READY", d)
	c.dispatch("READY_SUPPLEMENTAL", e.readySupplemental(s))
	e.toUser(u, "SESSIONS_REPLACE", e.sessionList(u))
	e.toUser(u, "PRESENCE_UPDATE", new(object).presence("", u, "", true, busDates).b)
	return 0
}

// readShard reads [id, count]; nil stands for none.
func readShard(v json.RawMessage) (shard []byte, ok bool) {
	if len(v) == 0 || string(v) == "null" {
		return nil, true
	}
	var pair []json.RawMessage
	if json.Unmarshal(v, &pair) != nil || len(pair) != 2 {
		return nil, false
	}
	id, ok1 := number(pair[0])
	count, ok2 := number(pair[1])
	return v, ok1 && ok2 && id >= 0 && id < count
}

func readOS(properties json.RawMessage) string {
	var p struct {
		OS string `json:"os"`
	}
	_ = json.Unmarshal(properties, &p) // whatever a client says of itself
	return p.OS
}

func orNil(list json.RawMessage) []byte {
	if len(list) == 0 || list[0] != '[' || string(list) == "[]" {
		return nil
	}
	return list
}

// sessionFor makes a session, or finds the one that belongs to the token.
func (e *Engine) sessionFor(token string, u *User) *session {
	if e.rules.sharedToken {
		for _, s := range e.sessions {
			if s.token == token {
				return s
			}
		}
	}
	e.limitSessions()
	s := &session{e: e, token: token, user: u, seq: e.rules.firstSeq}
	if e.opt.Profile == Spacebar {
		s.id = e.letters(10, upper)
	} else {
		s.id = e.letters(32, hexDigits)
	}
	e.sessions = append(e.sessions, s)
	return s
}

// maxDetached is how many sessions without a connection are kept, with all that
// they have missed.
const maxDetached = 64

// limitSessions forgets the oldest sessions that nobody is connected to, if
// there are too many.
func (e *Engine) limitSessions() {
	var detached []*session
	for _, s := range e.sessions {
		if len(s.conns) == 0 {
			detached = append(detached, s)
		}
	}
	for len(detached) > maxDetached {
		e.forget(detached[0])
		detached = detached[1:]
	}
}

func (s *session) attach(c *EngineConn) {
	s.e.stop(s.expiry)
	s.e.stop(s.away)
	s.conns = append(s.conns, c)
	c.sess, c.live = s, true
	c.session, c.user = s.id, s.user.Username
	s.e.stop(c.identify)
}

// awayAfter is how long Spacebar waits before others see a user offline.
const awayAfter = 10 * time.Second

// detach takes a connection from its session; ended says that the session ends
// with it, where sessions end.
func (s *session) detach(c *EngineConn, ended bool) {
	e := s.e
	s.conns = slices.DeleteFunc(s.conns, func(other *EngineConn) bool { return other == c })
	switch {
	case !e.rules.resume:
		e.toUser(s.user, "SESSIONS_REPLACE", e.sessionList(s.user))
		e.toUser(s.user, "PRESENCE_UPDATE", new(object).presence("", s.user, "", true, busDates).b)
		if len(s.conns) == 0 {
			e.stop(s.away)
			s.away = e.after(awayAfter, s.leave)
		}
	case ended:
		e.forget(s)
		s.leave()
	case len(s.conns) == 0:
		e.stop(s.expiry)
		s.expiry = e.after(e.opt.SessionTTL, func() {
			e.forget(s)
			s.leave()
		})
	}
}

// leave shows the user offline and out of voice, if this was the last session
// that was connected.
func (s *session) leave() {
	e, u := s.e, s.user
	for _, other := range e.sessions {
		if other.user == u && len(other.conns) > 0 {
			return
		}
	}
	if v := u.voice; v != nil && v.session == s.id {
		e.leaveVoice(u, nil)
	}
	u.status, u.activity = "offline", nil
	e.emit(Target{}, event{name: "PRESENCE_UPDATE", d: new(object).presence("", u, "", true, busDates).b})
}

// forget removes a session, so that it cannot be resumed.
func (e *Engine) forget(s *session) {
	e.stop(s.expiry)
	e.stop(s.away)
	e.sessions = slices.DeleteFunc(e.sessions, func(other *session) bool { return other == s })
}

func (e *Engine) session(id string) *session {
	for _, s := range e.sessions {
		if s.id == id {
			return s
		}
	}
	return nil
}

// toUser sends an event to all sessions of a user.
func (e *Engine) toUser(u *User, name string, d []byte) {
	e.emit(Target{User: u.Username}, event{name: name, d: d})
}

// sessionList is the payload of SESSIONS_REPLACE.
func (e *Engine) sessionList(u *User) []byte {
	o := new(object).list("")
	for _, s := range e.sessions {
		if s.user == u {
			o.session(s)
		}
	}
	return o.end().b
}

func (o *object) session(s *session) {
	status := "offline"
	if len(s.conns) > 0 {
		status = s.user.status
	}
	o.open("").str("session_id", s.id).open("client_info").str("client", "").str("os", s.os).num("version", 0).close().
		str("status", status).raw("activities", s.user.activities()).none("hidden_activities").bool("active", len(s.conns) > 0).close()
}

func (c *EngineConn) onResume(m Message) {
	e := c.e
	e.counters.Resumes++
	switch {
	case c.faults.CloseOnResume != 0:
		c.close(c.faults.CloseOnResume, "")
		return
	case c.faults.Resume == ResumeIgnore:
		e.stop(c.identify)
		return
	case c.faults.Resume == ResumeRefuse || c.faults.Resume == ResumeRetry:
		c.sendOp(opInvalidSession, []byte(boolText(c.faults.Resume == ResumeRetry)))
		return
	case !e.rules.resume:
		c.sendOp(opInvalidSession, []byte("false"))
		return
	case c.sess != nil:
		c.close(4005, "")
		return
	}
	var d struct {
		Token     string `json:"token"`
		SessionID string `json:"session_id"`
		Seq       int64  `json:"seq"`
	}
	if json.Unmarshal(m.D, &d) != nil || len(m.D) == 0 {
		c.close(4002, "")
		return
	}
	c.answer(func() { c.resume(d.Token, d.SessionID, d.Seq) })
}

func (c *EngineConn) resume(token, id string, seq int64) {
	e := c.e
	if e.userOf(token) == nil {
		c.close(e.rules.badToken, "")
		return
	}
	s := e.session(id)
	if s == nil || s.token != token || c.sess != nil {
		c.sendOp(opInvalidSession, []byte("false"))
		return
	}
	if seq >= s.seq {
		e.forget(s)
		c.close(4007, "")
		return
	}
	missed, ok := s.since(seq, e.opt.Replay)
	if !ok {
		e.forget(s)
		c.sendOp(opInvalidSession, []byte("false"))
		return
	}
	for _, old := range slices.Clone(s.conns) {
		old.close(4000, "")
	}
	s.attach(c)
	e.counters.Resumed++
	missed = slices.Clone(missed)
	for _, ev := range missed {
		c.event(ev)
	}
	if !c.faults.NoResumed {
		c.dispatch("RESUMED", newObject().strs("_trace", `["gateway-fake",{"micros":0}]`).done())
	}
}

func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}
