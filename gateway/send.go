package gateway

import (
	"context"
	"errors"
	"slices"
	"sync"
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
//     servers answer that by closing the connection. An *event.ValidationError in
//     it names the field;
//   - ErrNotReady if there is no session at present (Identify and Resume: if the
//     connection is not in StateConnected);
//   - ErrMessageTooLarge, ErrQueueFull, ErrClosed;
//
// with ErrDisconnected if the connection is lost while the message waits, and
// with ErrTimeout when ctx ends, or has ended before. What failed was not sent.
func (h *Handle) Send(ctx context.Context, payload event.Send) error {
	if err := payload.Validate(); err != nil {
		return invalidPayload(err)
	}
	return h.SendOp(ctx, payload.Opcode(), payload)
}

// invalidPayload says that a payload was refused before it was sent.
func invalidPayload(err error) error { return caused(fail(session.ErrInvalidPayload, ""), err) }

// SendOp sends any payload with any opcode: d is marshalled to JSON, unless it
// is a json.RawMessage. Nothing about it is checked but that it is JSON. See
// Send for the errors.
func (h *Handle) SendOp(ctx context.Context, op event.Op, d any) error {
	data, err := encode(d)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return waitError(ctx, "the message was not sent")
	}
	c := h.c
	if op == event.OpVoiceStateUpdate {
		c.voice.follow(c)
	}
	settled := make(chan *Error, 1)
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
		if err != nil {
			return err
		}
		return nil
	case <-ctx.Done():
	}
	c.mu.Lock()
	c.s.Cancel(id, fail(session.ErrTimeout, "the message could not be sent in time"))
	c.carryOut()
	c.mu.Unlock()
	if err := <-settled; err != nil {
		return caused(err, context.Cause(ctx))
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

// RateLimitError says that the server refuses a request for now. It matches
// ErrRateLimited.
type RateLimitError struct {
	// Op of the request.
	Op event.Op
	// RetryAfter is when the server takes it again.
	RetryAfter time.Duration
}

// Error describes the error.
func (e *RateLimitError) Error() string { return e.Unwrap().Error() }

// Unwrap returns an Error.
func (e *RateLimitError) Unwrap() error {
	return fail(codeRateLimited, "the server refuses "+e.Op.String()+" for "+e.RetryAfter.String()+"; try again then")
}

// request is a message that is sent for its answer.
type request struct {
	payload event.Send
	// names of the events that may be the answer.
	names []string
	// nonce of the payload, and the guilds it is about, by which the server tells
	// which request it refuses.
	nonce  string
	guilds []event.Snowflake
	// take is handed every such event, until it says that it has everything, or
	// until ask returns. It is called by the dispatcher and never at the same time
	// as what follows ask.
	take func(event.Dispatch) (part, done bool)
	// grace is how long to wait, after a part, for a rest that may not come: then
	// the part is the answer. 0 if there is no answer without the rest.
	grace time.Duration
}

// refused reports whether the server refuses this very request.
func (r *request) refused(l *event.RateLimited) bool {
	if l.Opcode != r.payload.Opcode() {
		return false
	}
	if nonce, ok := l.Meta.Nonce.Get(); ok {
		return nonce == r.nonce
	}
	guild, ok := l.Meta.GuildID.Get()
	return !ok || len(r.guilds) == 0 || slices.Contains(r.guilds, guild)
}

// ask sends a request and waits for the answer. It subscribes before it sends, so
// that nothing is missed, and ends when the session does.
func (h *Handle) ask(ctx context.Context, r request) error {
	var mu sync.Mutex
	over := false // nobody waits any more
	defer func() {
		mu.Lock()
		over = true
		mu.Unlock()
	}()
	result := make(chan error, 1)
	progress := make(chan struct{}, 1)
	finish := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			over = true
			result <- err
		}
	}
	op := r.payload.Opcode()
	stop := h.ObserveEvents(func(e *Event) {
		answer, err := e.Payload()
		if err != nil {
			finish(fail(codeDecode, e.Name+": "+err.Error()))
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if over {
			return
		}
		part, done := r.take(answer)
		if done {
			over = true
			result <- nil
		} else if part {
			select {
			case progress <- struct{}{}:
			default:
			}
		}
	}, r.names...)
	defer stop()
	stopLimited := Observe(h, func(l *event.RateLimited) {
		if r.refused(l) {
			finish(&RateLimitError{Op: op, RetryAfter: time.Duration(l.RetryAfter * float64(time.Second))})
		}
	})
	defer stopLimited()
	// Changes of the state from before the request may still be waiting to be told.
	before := h.socket()
	auth := op == event.OpIdentify || op == event.OpResume
	stopState := h.ObserveState(func(s StateChange) {
		switch {
		case s.State == StateReady, h.State() == StateReady && h.socket() == before:
			return // it was late
		case auth && (s.State == StateIdentifying || s.State == StateResuming):
			return
		}
		err := fail(session.ErrDisconnected, "the session ended before the answer to "+op.String()+" came")
		if s.Err == nil { // it was asked for, or the connection stays
			finish(err)
			return
		}
		finish(caused(err, s.Err))
	})
	defer stopState()
	if err := h.Send(ctx, r.payload); err != nil {
		return err
	}
	timeout := time.NewTimer(answerTimeout)
	defer timeout.Stop()
	enough := false // has come
	for {
		var err error
		select {
		case err := <-result:
			return err
		case <-progress:
			if enough = r.grace > 0; enough {
				timeout.Reset(r.grace)
			} else {
				timeout.Reset(answerTimeout)
			}
			continue
		case <-timeout.C:
			if enough {
				return nil
			}
			err = fail(session.ErrTimeout, "the server did not answer "+op.String()+" within "+answerTimeout.String())
		case <-h.c.done:
			err = h.c.err
		case <-ctx.Done():
			err = waitError(ctx, "the server did not answer "+op.String()+" in time")
		}
		select {
		case answered := <-result: // at the same moment
			return answered
		default:
			return err
		}
	}
}

// socket is what the session is connected by at present, nil if by nothing.
func (h *Handle) socket() *socket {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	return h.c.sock
}

// askFirst sends payload and returns the first event of the type T for which
// match returns true; a nil match takes any.
func askFirst[T event.Dispatch](ctx context.Context, h *Handle, payload event.Send, guild event.Snowflake, match func(T) bool) (T, error) {
	var found, none T
	r := request{
		payload: payload,
		names:   []string{found.EventName()},
		take: func(d event.Dispatch) (part, done bool) {
			answer, ok := d.(T)
			if !ok || match != nil && !match(answer) {
				return false, false
			}
			found = answer
			return true, true
		},
	}
	if guild != 0 {
		r.guilds = []event.Snowflake{guild}
	}
	if err := h.ask(ctx, r); err != nil {
		return none, err
	}
	return found, nil
}

// askEach sends payload and returns the answers of the type T, one for each id,
// in the order in which they come. A nil mine takes any.
func askEach[T event.Dispatch](ctx context.Context, h *Handle, payload event.Send, ids, guilds []event.Snowflake, id func(T) event.Snowflake, mine func(T) bool) ([]T, error) {
	left := map[event.Snowflake]bool{}
	for _, id := range ids {
		left[id] = true
	}
	var all []T
	var zero T
	err := h.ask(ctx, request{
		payload: payload,
		names:   []string{zero.EventName()},
		guilds:  guilds,
		take: func(d event.Dispatch) (part, done bool) {
			answer, ok := d.(T)
			if !ok || !left[id(answer)] || mine != nil && !mine(answer) {
				return false, false
			}
			delete(left, id(answer))
			all = append(all, answer)
			return true, len(left) == 0
		},
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// askPair sends payload and returns two events that come in any order: the first
// A that match takes, and the B of the same key. Without needB, A alone will do; with
// a grace it will do if no B comes within it.
func askPair[A, B event.Dispatch](ctx context.Context, h *Handle, payload event.Send, guild event.Snowflake, match func(A) bool, key func(A) string, keyB func(B) string, needB bool, grace time.Duration) (A, B, error) {
	var a, noA A
	var b, noB B
	have := false
	servers := map[string]B{}
	r := request{
		payload: payload,
		names:   []string{a.EventName(), b.EventName()},
		take: func(d event.Dispatch) (part, done bool) {
			switch d := d.(type) {
			case A:
				if !have && match(d) {
					a, have, part = d, true, true
				}
			case B:
				servers[keyB(d)] = d
			}
			if !have {
				return part, false
			}
			b, done = servers[key(a)]
			return part, done || !needB
		},
		grace: grace,
	}
	if guild != 0 {
		r.guilds = []event.Snowflake{guild}
	}
	if err := h.ask(ctx, r); err != nil {
		return noA, noB, err
	}
	return a, b, nil
}
