package gateway

import (
	"context"
	"errors"
	"strconv"

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

// ask sends payload and hands what is answered to take, until that says that
// it has everything, or fails. names are the events that may be the answer. What
// comes is seen even if it comes before send returns, and the wait ends when
// the session does.
func (h *Handle) ask(ctx context.Context, payload event.Send, names []string, take func(event.Dispatch) (done bool, err error)) error {
	result := make(chan error, 1)
	finish := func(err error) {
		select {
		case result <- err:
		default:
		}
	}
	op := payload.Opcode()
	stop := h.ObserveEvents(func(e *Event) {
		answer, err := e.Payload()
		if err == nil {
			var done bool
			if done, err = take(answer); err == nil && !done {
				return
			}
		}
		finish(err)
	}, names...)
	defer stop()
	stopLimited := Observe(h, func(r *event.RateLimited) {
		if r.Opcode == op {
			finish(fail(codeRateLimited, "the server refuses opcode "+strconv.Itoa(int(op))+" for "+strconv.FormatFloat(r.RetryAfter, 'g', 4, 64)+" s; try again then"))
		}
	})
	defer stopLimited()
	stopState := h.ObserveState(func(s StateChange) {
		if s.State != StateReady && s.State != StateIdentifying && s.State != StateResuming || op != event.OpIdentify && op != event.OpResume {
			finish(fail(session.ErrDisconnected, "the connection was lost before the answer came"))
		}
	})
	defer stopState()
	if err := h.Send(ctx, payload); err != nil {
		return err
	}
	select {
	case err := <-result:
		return err
	case <-h.c.done:
		return h.c.err
	case <-ctx.Done():
		return waitError(ctx, "no answer came in time")
	}
}

// first makes a take function that wants the first answer for which match
// returns true.
func first[T event.Dispatch](found *T, match func(T) bool) func(event.Dispatch) (bool, error) {
	return func(d event.Dispatch) (bool, error) {
		answer, ok := d.(T)
		if !ok || match != nil && !match(answer) {
			return false, nil
		}
		*found = answer
		return true, nil
	}
}
