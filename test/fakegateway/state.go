package fakegateway

import (
	"time"
)

// Counters are what has happened since the server began.
type Counters struct {
	Dials      int   `json:"dials"`
	Refused    int   `json:"refused"`
	Identifies int   `json:"identifies"`
	Resumes    int   `json:"resumes"`
	Resumed    int   `json:"resumed"`
	Heartbeats int   `json:"heartbeats"`
	ACKs       int   `json:"acks"`
	Events     int   `json:"events"`
	Sent       int   `json:"sent"`
	SentBytes  int64 `json:"sent_bytes"`
	Received   int   `json:"received"`
}

// State is a picture of the server.
type State struct {
	Profile  string         `json:"profile"`
	NowMS    int64          `json:"now_ms"`
	Counters Counters       `json:"counters"`
	Conns    []ConnState    `json:"conns"`
	Sessions []SessionState `json:"sessions"`
	Faults   Faults         `json:"faults"`
	Planned  int            `json:"planned"`
}

// ConnState is a picture of a connection. Closed ones are remembered for a
// while.
type ConnState struct {
	ID        int    `json:"id"`
	Open      bool   `json:"open"`
	Path      string `json:"path"`
	Query     string `json:"query"`
	UserAgent string `json:"user_agent"`
	Origin    string `json:"origin,omitempty"`
	OpenedMS  int64  `json:"opened_ms"`
	ClosedMS  int64  `json:"closed_ms,omitempty"`
	// Session and User once identified or resumed.
	Session string `json:"session,omitempty"`
	User    string `json:"user,omitempty"`
	// Sent and Events are messages, and dispatches among them.
	Sent   int `json:"sent"`
	Events int `json:"events"`
	// Backlog is what waits to be sent, in bytes.
	Backlog int `json:"backlog"`
	// Frozen connections neither read nor write.
	Frozen bool `json:"frozen,omitempty"`
	// Received are the latest messages of the client, without tokens.
	Received []Message `json:"received"`
	// ClosedBy is server, client or network; CloseCode and CloseReason are the
	// server's, ClientCode and ClientReason what the client sent: by itself, or
	// to confirm.
	ClosedBy     string `json:"closed_by,omitempty"`
	CloseCode    int    `json:"close_code,omitempty"`
	CloseReason  string `json:"close_reason,omitempty"`
	ClientCode   int    `json:"client_code,omitempty"`
	ClientReason string `json:"client_reason,omitempty"`
}

// SessionState is a picture of a session.
type SessionState struct {
	ID   string `json:"id"`
	User string `json:"user"`
	// Seq is the last sequence number, -1 if there is none; for the Spacebar
	// profile see the connections, which count for themselves.
	Seq   int64 `json:"seq"`
	Conns []int `json:"conns"`
}

// State returns a picture of the server.
func (e *Engine) State() State {
	s := State{
		Profile: e.opt.Profile.String(), NowMS: e.now.Milliseconds(), Counters: e.counters,
		Conns: []ConnState{}, Sessions: []SessionState{}, Faults: e.faults, Planned: len(e.plan),
	}
	for _, list := range [][]*EngineConn{e.past, e.conns} {
		for _, c := range list {
			s.Conns = append(s.Conns, c.State())
		}
	}
	for _, se := range e.sessions {
		st := SessionState{ID: se.id, User: se.user.Username, Seq: -1, Conns: []int{}}
		if e.rules.resume {
			st.Seq = se.seq - 1
		}
		for _, c := range se.conns {
			st.Conns = append(st.Conns, c.ID)
		}
		s.Sessions = append(s.Sessions, st)
	}
	return s
}

// State returns a picture of the connection.
func (c *EngineConn) State() ConnState {
	s := ConnState{
		ID: c.ID, Open: !c.closed && !c.gone, Path: c.Request.Path, Query: c.Request.Query.Encode(),
		UserAgent: c.Request.Header.Get("User-Agent"), Origin: c.Request.Header.Get("Origin"),
		OpenedMS: c.openedAt.Milliseconds(), Sent: c.sent, Events: c.events, Backlog: c.outbox.bytes, Frozen: c.frozen,
		Session: c.session, User: c.user, Received: c.received(), ClosedBy: c.closedBy,
		CloseCode: c.closeCode, CloseReason: c.closeReason, ClientCode: c.clientCode, ClientReason: c.clientReason,
	}
	if l, ok := c.link.(Backlogged); ok {
		s.Backlog += l.Backlog()
	}
	if c.closed {
		s.ClosedMS = c.closedAt.Milliseconds()
	}
	return s
}

// Now is the time that the engine was last told.
func (e *Engine) Now() time.Duration { return e.now }

// SessionIDs returns the ids of the sessions that the server keeps, connected or
// not.
func (e *Engine) SessionIDs() (ids []string) {
	for _, s := range e.sessions {
		ids = append(ids, s.id)
	}
	return ids
}

// Identified returns the ids of the open connections that have a session.
func (e *Engine) Identified() (ids []int) {
	for _, c := range e.conns {
		if !c.closed && c.sess != nil {
			ids = append(ids, c.ID)
		}
	}
	return ids
}
