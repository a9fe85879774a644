package session

// ErrorCode says in one stable word what went wrong. The same words are the
// codes of errors in JavaScript.
type ErrorCode string

// The error codes.
const (
	// ErrInvalidURL: the URL is not one of a gateway (ws:// or wss:// and a host).
	ErrInvalidURL ErrorCode = "invalid_url"
	// ErrInvalidOption: an option has a value it cannot have, or is unknown.
	ErrInvalidOption ErrorCode = "invalid_option"
	// ErrInvalidPayload: what was to be sent cannot be: it is not serialisable,
	// or lacks what the protocol demands.
	ErrInvalidPayload ErrorCode = "invalid_payload"
	// ErrNotReady: the message needs a session, and there is none at present.
	ErrNotReady ErrorCode = "not_ready"
	// ErrAlreadyIdentified: Identify or Resume on a connection that has a session.
	ErrAlreadyIdentified ErrorCode = "already_identified"
	// ErrClosed: the handle is closed.
	ErrClosed ErrorCode = "closed"
	// ErrDisconnected: the connection went away before the matter was settled.
	ErrDisconnected ErrorCode = "disconnected"
	// ErrQueueFull: as many sends wait for the rate limit as may.
	ErrQueueFull ErrorCode = "queue_full"
	// ErrMessageTooLarge: the message to be sent is larger than the server takes.
	ErrMessageTooLarge ErrorCode = "message_too_large"
	// ErrDialFailed: the connection could not be opened.
	ErrDialFailed ErrorCode = "dial_failed"
	// ErrNotGateway: what answered at the URL does not speak the protocol.
	ErrNotGateway ErrorCode = "not_a_gateway"
	// ErrTimeout: the server did not answer in time.
	ErrTimeout ErrorCode = "timeout"
	// ErrHeartbeat: nothing was heard since the last heartbeat.
	ErrHeartbeat ErrorCode = "heartbeat_timeout"
	// ErrConnectionClosed: the server closed; CloseCode says with which code.
	ErrConnectionClosed ErrorCode = "connection_closed"
	// ErrReconnect: the server asked for a reconnect.
	ErrReconnect ErrorCode = "reconnect"
	// ErrInvalidSession: the server does not know the session, or ended it.
	ErrInvalidSession ErrorCode = "invalid_session"
	// ErrResumeFailed: resuming was tried as often as it may be.
	ErrResumeFailed ErrorCode = "resume_failed"
	// ErrAuthentication: the token was refused.
	ErrAuthentication ErrorCode = "authentication_failed"
	// ErrIdentifyRejected: the server closes whenever it is sent this Identify.
	ErrIdentifyRejected ErrorCode = "identify_rejected"
	// ErrProtocol: the server sent something the protocol does not allow. It
	// was set right or ignored.
	ErrProtocol ErrorCode = "protocol"
	// ErrMalformed: a message was not readable. It was dropped.
	ErrMalformed ErrorCode = "malformed_message"
	// ErrCorruptStream: the compressed stream is broken; reconnecting.
	ErrCorruptStream ErrorCode = "corrupt_stream"
	// ErrMessageTooBig: a message received is larger than the limit.
	ErrMessageTooBig ErrorCode = "received_too_large"
)

// Error is every error of the session. Its text says what was wrong and what
// to do; it never holds a token.
type Error struct {
	Code ErrorCode
	// Message in words.
	Message string
	// CloseCode with which the connection closed; 0 if it did not.
	CloseCode CloseCode
	// Fatal errors end the handle; after all others the session goes on.
	Fatal bool
}

// Error says what is wrong, and what to do about it.
func (e *Error) Error() string { return "gateway: " + e.Message }

// Is makes errors.Is match errors of the same code, so that
// errors.Is(err, &Error{Code: ErrNotReady}) asks for the kind of error.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}
