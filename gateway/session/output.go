package session

import "time"

// Conn numbers the connections of a session, counted from 1.
type Conn uint32

// SendID numbers the sends of a session, counted from 1.
type SendID uint32

// State of a session.
type State uint8

// The states of a session. Each but Idle, Ready and Closed has a deadline.
const (
	// StateIdle: not started.
	StateIdle State = iota
	// StateDialing: a connection is being opened.
	StateDialing
	// StateAwaitingHello: the connection is open, Hello has not come.
	StateAwaitingHello
	// StateConnected: Hello has come; the caller is to send Identify or Resume.
	StateConnected
	// StateIdentifying: Identify is sent, or about to be; READY has not come.
	StateIdentifying
	// StateResuming: Resume is sent, or about to be; events may be replayed.
	StateResuming
	// StateReady: the session is live.
	StateReady
	// StateBackoff: waiting to dial again.
	StateBackoff
	// StateClosed: for good.
	StateClosed
)

var stateNames = [...]string{"idle", "dialing", "awaiting_hello", "connected", "identifying", "resuming", "ready", "backoff", "closed"}

// String returns the state's name, which is also its name in JavaScript.
func (s State) String() string {
	if int(s) >= len(stateNames) {
		return "unknown"
	}
	return stateNames[s]
}

// OutputKind says what an Output asks for, and so which of its fields count.
type OutputKind uint8

// The kinds of output.
const (
	// OutputDial: open a connection to URL; answer with Opened or Closed.
	OutputDial OutputKind = iota + 1
	// OutputWrite: write Data to the connection as one message, Binary or text.
	OutputWrite
	// OutputClose: close the connection with CloseCode, or stop dialing. Nothing
	// of it needs to be reported any more.
	OutputClose
	// OutputDispatch: an event that somebody observes has come: its Event, Seq,
	// payload Data, and, where the message is JSON, the whole Message. Both are
	// text that is valid only until the next call.
	OutputDispatch
	// OutputState: the state is now State. In Backoff, RetryAt says until when;
	// in Ready, Resumed says whether the session is the one from before. In
	// Backoff and Closed, Err is why (nil if the caller closed).
	OutputState
	// OutputError: Err happened and was dealt with; nothing needs to be done.
	OutputError
	// OutputGap: events were missed; Gap says which.
	OutputGap
	// OutputSent: the send with this ID is settled: written, or failed with Err.
	OutputSent
	// OutputSession: what Snapshot returns has changed in more than Seq.
	OutputSession
	// OutputAck: a heartbeat was acknowledged after Latency.
	OutputAck
)

// Output is one thing for the driver to do or to report.
type Output struct {
	Kind      OutputKind
	Conn      Conn
	State     State
	Binary    bool
	Resumed   bool
	CloseCode CloseCode
	ID        SendID
	Seq       int64
	Event     *Kind
	Data      []byte
	Message   []byte
	URL       string
	RetryAt   time.Duration
	Latency   time.Duration
	Err       *Error
	Gap       *Gap
}

// Gap tells what was missed: the session that ended, or the part of one that
// could not be replayed.
type Gap struct {
	// Reason the session was lost for.
	Reason *Error
	// LastSeq is the highest sequence number received before, -1 if none.
	LastSeq int64
	// DisconnectedAt is when the session was last heard; for a driver that does not
	// tell when each message came, up to a heartbeat interval before.
	DisconnectedAt time.Duration
	// ReconnectedAt is when events began to arrive again.
	ReconnectedAt time.Duration
	// SessionLost tells that a new session has taken the place of the old one,
	// so that all that happened between the two times is missing.
	SessionLost bool
}
