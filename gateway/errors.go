package gateway

import (
	"strings"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
)

// Error is every error of this package that comes from the gateway, and most
// others: its Code says in one word what went wrong, its text what to do about
// it. Use errors.As to look at one, and errors.Is with the Err variables to ask
// for a kind.
type Error = session.Error

// ErrorCode is the code of an Error.
type ErrorCode = session.ErrorCode

// CloseCode is the code a connection closes with; its Policy method tells what
// the client makes of it (protocol section: Gateway Close Event Codes).
type CloseCode = session.CloseCode

// The kinds of error, for errors.Is.
var (
	// ErrInvalidURL: the URL is not that of a gateway.
	ErrInvalidURL error = &Error{Code: session.ErrInvalidURL, Message: "not the URL of a gateway"}
	// ErrInvalidOption: an option has a value it cannot have.
	ErrInvalidOption error = &Error{Code: session.ErrInvalidOption, Message: "invalid option"}
	// ErrInvalidPayload: what was to be sent cannot be, or lacks something.
	ErrInvalidPayload error = &Error{Code: session.ErrInvalidPayload, Message: "invalid payload"}
	// ErrNotReady: there is no session at present to send on.
	ErrNotReady error = &Error{Code: session.ErrNotReady, Message: "not ready"}
	// ErrAlreadyIdentified: the connection has a session already.
	ErrAlreadyIdentified error = &Error{Code: session.ErrAlreadyIdentified, Message: "already identified"}
	// ErrClosed: the handle is closed.
	ErrClosed error = &Error{Code: session.ErrClosed, Message: "the handle is closed"}
	// ErrDisconnected: the connection went away before the matter was settled. The
	// error of an answer that does not come matches the reason, too, such as
	// ErrAuthentication.
	ErrDisconnected error = &Error{Code: session.ErrDisconnected, Message: "disconnected"}
	// ErrQueueFull: as many sends wait for the rate limit as may.
	ErrQueueFull error = &Error{Code: session.ErrQueueFull, Message: "the send queue is full"}
	// ErrMessageTooLarge: a message to be sent is larger than the server takes
	// (Options.MaxMessage); it was not sent. See ErrMessageTooBig for one received.
	ErrMessageTooLarge error = &Error{Code: session.ErrMessageTooLarge, Message: "message too large"}
	// ErrDialFailed: the connection could not be opened.
	ErrDialFailed error = &Error{Code: session.ErrDialFailed, Message: "could not connect"}
	// ErrNotGateway: what answers at the URL does not speak the protocol.
	ErrNotGateway error = &Error{Code: session.ErrNotGateway, Message: "not a gateway"}
	// ErrTimeout: the server did not answer in time.
	ErrTimeout error = &Error{Code: session.ErrTimeout, Message: "timeout"}
	// ErrAuthentication: the token was refused.
	ErrAuthentication error = &Error{Code: session.ErrAuthentication, Message: "authentication failed"}
	// ErrIdentifyRejected: the server closes whenever it is sent this Identify.
	ErrIdentifyRejected error = &Error{Code: session.ErrIdentifyRejected, Message: "identify rejected"}
	// ErrConnectionClosed: the server closed the connection.
	ErrConnectionClosed error = &Error{Code: session.ErrConnectionClosed, Message: "connection closed"}
	// ErrMessageTooBig: a message received is larger than Options.MaxReceive; it ends
	// the handle. See ErrMessageTooLarge for one to be sent.
	ErrMessageTooBig error = &Error{Code: session.ErrMessageTooBig, Message: "a message received is too large"}
	// ErrRateLimited: the server refused a request for now.
	ErrRateLimited error = &Error{Code: codeRateLimited, Message: "rate limited"}
	// ErrOverflow: observers were too slow and events were dropped.
	ErrOverflow error = &Error{Code: codeOverflow, Message: "events were dropped"}
	// ErrObserverPanic: an observer panicked.
	ErrObserverPanic error = &Error{Code: codeObserverPanic, Message: "an observer panicked"}
	// ErrDecode: a payload, or a field of one, is not of its type.
	ErrDecode error = &Error{Code: codeDecode, Message: "a payload could not be decoded"}
)

// The codes of errors that arise outside the session.
const (
	codeRateLimited   ErrorCode = "rate_limited"
	codeOverflow      ErrorCode = "overflow"
	codeObserverPanic ErrorCode = "observer_threw"
	codeDecode        ErrorCode = "decode"
)

// fail makes an error of a code.
func fail(code ErrorCode, text string) *Error { return &Error{Code: code, Message: text} }

// causedError is an Error that matches what it came from as well.
type causedError struct {
	kind   *Error
	causes []error
}

func (e *causedError) Error() string   { return e.kind.Error() }
func (e *causedError) Unwrap() []error { return append([]error{e.kind}, e.causes...) }

// caused makes an error of one kind that tells, in the same line, what it came
// from.
func caused(kind *Error, causes ...error) error {
	e := *kind
	for _, cause := range causes {
		text := cause.Error()
		for _, pkg := range []string{"gateway: ", "event: "} {
			text = strings.TrimPrefix(text, pkg)
		}
		if e.Message != "" {
			e.Message += ": "
		}
		e.Message += text
	}
	return &causedError{&e, causes}
}
