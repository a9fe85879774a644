package gateway

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/goccy/go-json"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
)

// Send sends a payload of package event, such as an *event.UpdatePresence. It
// returns when the message is on its way, which the rate limit may delay
// (Options.SendQueue). It fails at once with
//
//   - ErrInvalidPayload if the payload lacks something, or a value is out of range:
//     servers answer that by closing the connection;
//   - ErrNotReady if there is no session at present (Identify and Resume: if the
//     connection is not in StateConnected);
//   - ErrMessageTooLarge, ErrQueueFull, ErrClosed;
//
// with ErrDisconnected if the connection is lost while the message waits, and
// with ErrTimeout when ctx ends. What failed was not sent.
func (h *Handle) Send(ctx context.Context, payload event.Send) error {
	if err := payload.Validate(); err != nil {
		return fail(session.ErrInvalidPayload, err.Error())
	}
	return h.SendOp(ctx, payload.Opcode(), payload)
}

// SendOp sends any payload with any opcode: d is marshalled to JSON, unless it
// is a json.RawMessage. Nothing about it is checked but that it is JSON. See
// Send for the errors.
func (h *Handle) SendOp(ctx context.Context, op event.Op, d any) error {
	data, err := encode(d)
	if err != nil {
		return err
	}
	c := h.c
	settled := make(chan error, 1)
	c.mu.Lock()
	id, err := c.s.Send(c.now(), int(op), data)
	if err == nil {
		c.sends[id] = settled
	}
	c.carryOut()
	c.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case err := <-settled:
		return err
	case <-ctx.Done():
	}
	c.mu.Lock()
	c.s.Cancel(id, fail(session.ErrTimeout, "the message could not be sent in time"))
	c.carryOut()
	c.mu.Unlock()
	if err := <-settled; err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return nil // it had just gone
}

// encode makes a payload JSON text.
func encode(d any) ([]byte, error) {
	var data []byte
	var err error
	switch d := d.(type) {
	case json.RawMessage:
		data = d
		if !json.Valid(data) {
			err = errors.New("not valid JSON")
		}
	case event.Send:
		data, err = event.Marshal(d)
	default:
		data, err = json.Marshal(d)
	}
	if err != nil {
		return nil, fail(session.ErrInvalidPayload, "the payload cannot be serialised: "+err.Error())
	}
	return data, nil
}

// answerTimeout is how long a server may take for an answer, or for the next
// part of one, before the request fails whatever its context says.
const answerTimeout = 30 * time.Second

// request is a message that is sent for its answer.
type request struct {
	payload event.Send
	// names of the events that may be the answer.
	names []string
	// take is handed every such event, until it says that it has everything, or
	// fails. It is called by the dispatcher.
	take func(event.Dispatch) (part, done bool, err error)
	// limited reports whether a RATE_LIMITED for the opcode is about this request;
	// nil means yes.
	limited func(*event.RateLimited) bool
}

// ask sends a request and waits for the answer. It subscribes before it sends, so
// that nothing is missed, and ends when the session does.
func (h *Handle) ask(ctx context.Context, r request) error {
	result := make(chan error, 1)
	progress := make(chan struct{}, 1)
	finish := func(err error) {
		select {
		case result <- err:
		default:
		}
	}
	op := r.payload.Opcode()
	auth := op == event.OpIdentify || op == event.OpResume
	stop := h.ObserveEvents(func(e *Event) {
		answer, err := e.Payload()
		if err != nil {
			finish(fail(codeDecode, e.Name+": "+err.Error()))
			return
		}
		part, done, err := r.take(answer)
		if done || err != nil {
			finish(err)
		} else if part {
			select {
			case progress <- struct{}{}:
			default:
			}
		}
	}, r.names...)
	defer stop()
	stopLimited := Observe(h, func(l *event.RateLimited) {
		if l.Opcode == op && (r.limited == nil || r.limited(l)) {
			finish(fail(codeRateLimited, "the server refuses "+op.String()+" for "+strconv.FormatFloat(l.RetryAfter, 'g', 4, 64)+" s; try again then"))
		}
	})
	defer stopLimited()
	stopState := h.ObserveState(func(s StateChange) {
		if auth && (s.State == StateIdentifying || s.State == StateResuming || s.State == StateReady) {
			return
		}
		finish(fail(session.ErrDisconnected, "the session ended before the answer came"))
	})
	defer stopState()
	if err := h.Send(ctx, r.payload); err != nil {
		return err
	}
	timeout := time.NewTimer(answerTimeout)
	defer timeout.Stop()
	for {
		select {
		case err := <-result:
			return err
		case <-progress:
			timeout.Reset(answerTimeout)
		case <-timeout.C:
			return fail(session.ErrTimeout, "the server did not answer "+op.String()+" within "+answerTimeout.String())
		case <-h.c.done:
			return h.c.err
		case <-ctx.Done():
			return waitError(ctx, "the server did not answer "+op.String()+" in time")
		}
	}
}

// askFirst sends payload and returns the first event of the type T for which
// match returns true; a nil match takes any.
func askFirst[T event.Dispatch](ctx context.Context, h *Handle, payload event.Send, match func(T) bool) (T, error) {
	var found T
	err := h.ask(ctx, request{
		payload: payload,
		names:   []string{found.EventName()},
		take: func(d event.Dispatch) (part, done bool, err error) {
			answer, ok := d.(T)
			if !ok || match != nil && !match(answer) {
				return false, false, nil
			}
			found = answer
			return true, true, nil
		},
	})
	return found, err
}
