package gateway

import (
	"context"
	"sync/atomic"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
)

// Session is what it takes to resume a session on another connection or in
// another process (protocol section: Resuming).
type Session = session.Snapshot

// State of a connection.
type State = session.State

// The states of a connection.
const (
	StateIdle          = session.StateIdle
	StateDialing       = session.StateDialing
	StateAwaitingHello = session.StateAwaitingHello
	StateConnected     = session.StateConnected
	StateIdentifying   = session.StateIdentifying
	StateResuming      = session.StateResuming
	StateReady         = session.StateReady
	StateBackoff       = session.StateBackoff
	StateClosed        = session.StateClosed
)

// Connect dials the gateway at url, identifies (or resumes Options.Session) and
// returns when the session is ready. From then on the handle keeps itself
// connected until it is closed.
//
// It fails when ctx ends, with ErrTimeout and what the last try failed with, when
// the server refuses for good, or after Options.Attempts tries; and before it dials
// with ErrInvalidURL, ErrInvalidOption, or, for an Identify that servers would
// refuse, ErrInvalidPayload. Protocol section: Connecting.
func Connect(ctx context.Context, url string, opts Options) (*Handle, error) {
	payload, err := opts.identify()
	if err != nil {
		return nil, err
	}
	return open(ctx, url, opts, payload, StateReady)
}

// Spawn opens a connection only, and returns when the server has said Hello:
// the caller is to call SendIdentify, Identify, SendResume or Resume on the
// handle, within the minute or so that servers give. What is observed before
// that misses nothing. Once identified, the handle keeps itself connected like
// one of Connect.
func Spawn(ctx context.Context, url string, opts Options) (*Handle, error) {
	return open(ctx, url, opts, nil, StateConnected)
}

// open makes a handle and waits until it is in a state.
func open(ctx context.Context, url string, opts Options, identify []byte, want State) (*Handle, error) {
	c, err := newConn(url, opts, identify)
	if err != nil {
		return nil, err
	}
	h := &Handle{c: c, owner: true}
	reached := make(chan struct{})
	var failed atomic.Pointer[StateChange] // the last try that has failed
	stop := h.ObserveState(func(s StateChange) {
		if s.Err != nil {
			failed.Store(&s)
		}
		if s.State == want && reached != nil {
			close(reached)
			reached = nil
		}
	})
	defer stop()
	arrived := reached
	if opts.Setup != nil {
		opts.Setup(h)
	}
	c.start()
	select {
	case <-arrived:
		return h, nil
	case <-c.done:
		return nil, c.err
	case <-ctx.Done():
		_ = h.Close()
		causes := []error{context.Cause(ctx)}
		if s := failed.Load(); s != nil {
			causes = append(causes, s.Err)
		}
		return nil, caused(fail(session.ErrTimeout, "the connection was not ready in time"), causes...)
	}
}
