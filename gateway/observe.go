package gateway

import (
	"context"
	"iter"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
)

// Observer is a value that observes events of one type. Update is called with
// each event, in order, never twice at a time. The payload is shared with other
// observers: it is to be read, not changed.
type Observer[T event.Dispatch] interface {
	Update(payload T, e *Event)
}

// Observe calls fn with every event of the type T until unsubscribe is called:
//
//	stop := gateway.Observe(h, func(m *event.MessageCreate) { … })
//
// Observers of one connection are called one after the other, in the order in
// which they subscribed, and see the events in the order in which they arrived.
// One that is slow delays the others, but neither heartbeats nor reading; when
// too many events wait (Options.EventQueue), events are dropped and ErrOverflow
// is reported. A panic is reported as ErrObserverPanic. An event whose payload
// is not what it should be arrives with what could be read of it, and ErrDecode
// tells of the rest.
//
// An observer may call everything but what waits for an event: WaitFor, Events
// and the waiting sends would wait for themselves. Start a goroutine for those.
func Observe[T event.Dispatch](h *Handle, fn func(payload T)) (unsubscribe func()) {
	return observeTyped(h, false, func(payload T, _ *Event) { fn(payload) })
}

// Subscribe calls o.Update with every event of the type T until unsubscribe is
// called. See Observe.
func Subscribe[T event.Dispatch](h *Handle, o Observer[T]) (unsubscribe func()) {
	return observeTyped(h, true, o.Update)
}

func observeTyped[T event.Dispatch](h *Handle, keeps bool, fn func(payload T, e *Event)) (unsubscribe func()) {
	var zero T
	return h.observe(zero.EventName(), keeps, func(what any) {
		e := what.(*Event)
		payload, err := e.Payload()
		if err != nil {
			e.c.raise(fail(codeDecode, e.Name+": "+err.Error()))
			return
		}
		fn(payload.(T), e)
	})
}

// Once calls fn with the next event of the type T only.
func Once[T event.Dispatch](h *Handle, fn func(payload T)) (unsubscribe func()) {
	subscribed := make(chan struct{})
	done := false // used by the dispatcher alone
	unsubscribe = Observe(h, func(payload T) {
		if done {
			return
		}
		done = true
		<-subscribed
		unsubscribe()
		fn(payload)
	})
	close(subscribed)
	return unsubscribe
}

// WaitFor returns the next event of the type T for which match returns true; a
// nil match takes any. It fails when ctx ends or the handle is closed; a
// reconnect meanwhile does not disturb it.
func WaitFor[T event.Dispatch](ctx context.Context, h *Handle, match func(payload T) bool) (T, error) {
	found := make(chan T, 1)
	stop := Observe(h, func(payload T) {
		if match == nil || match(payload) {
			select {
			case found <- payload:
			default:
			}
		}
	})
	defer stop()
	var zero T
	var err error
	select {
	case payload := <-found:
		return payload, nil
	case <-h.c.done:
		err = h.c.err
	case <-ctx.Done():
		err = waitError(ctx, "no "+zero.EventName()+" came in time")
	}
	select {
	case payload := <-found: // at the same moment
		return payload, nil
	default:
		return zero, err
	}
}

// waitError says that a wait ended with its context.
func waitError(ctx context.Context, text string) error {
	return caused(fail(session.ErrTimeout, text), context.Cause(ctx))
}

// Events iterates over the events of the type T:
//
//	for m := range gateway.Events[*event.MessageCreate](ctx, h) { … }
//
// It ends when the loop does, when ctx ends, or when the handle is closed and the
// events that came before have been looked at. Events that arrive while the loop's
// body runs wait, as many as Options.EventQueue and 1024 at most; further ones are
// dropped and reported as ErrOverflow.
func Events[T event.Dispatch](ctx context.Context, h *Handle) iter.Seq[T] {
	return func(yield func(T) bool) {
		waiting := make(chan T, min(h.c.opts.EventQueue, 1024))
		stop := Observe(h, func(payload T) {
			select {
			case waiting <- payload:
			default:
				h.c.raise(fail(codeOverflow, "an event was dropped, as the loop over "+payload.EventName()+" is slow"))
			}
		})
		defer stop()
		done := h.c.done
		for ctx.Err() == nil {
			select {
			case payload, more := <-waiting:
				if !more || !yield(payload) {
					return
				}
			case <-ctx.Done():
			case <-done:
				done = nil
				close(waiting) // all observers have been told all
			}
		}
	}
}

// ObserveEvents calls fn with every event of these names, or with every event
// there is if no name is given, known to this library or not. It is how one
// observer serves many events: fn may call Payload and switch on its type.
func (h *Handle) ObserveEvents(fn func(*Event), names ...string) (unsubscribe func()) {
	if len(names) == 0 {
		names = []string{"*"}
	}
	var stops []func()
	for _, name := range names {
		if name == "" || name[0] == ' ' {
			continue // no event has such a name
		}
		stops = append(stops, h.observe(name, true, func(what any) {
			e := what.(*Event)
			e.trim()
			fn(e)
		}))
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// ObserveState calls fn with every change of the connection's state.
func (h *Handle) ObserveState(fn func(StateChange)) (unsubscribe func()) {
	return h.observe(onState, false, func(what any) { fn(what.(StateChange)) })
}

// ObserveErrors calls fn with every error, the one that ends the handle
// included. After all others the handle goes on. Errors of observers, such as
// ErrDecode and ErrObserverPanic, may come after the one that ends it.
func (h *Handle) ObserveErrors(fn func(error)) (unsubscribe func()) {
	return h.observe(onError, false, func(what any) { fn(what.(error)) })
}

// ObserveGaps calls fn whenever events were missed: once for each session that
// was lost, when the next one is ready.
func (h *Handle) ObserveGaps(fn func(Gap)) (unsubscribe func()) {
	return h.observe(onGap, false, func(what any) { fn(what.(Gap)) })
}

// ObserveSession calls fn when what it takes to resume has changed in more than
// Seq: there is a session that was not there before, one was resumed, or it is told
// what a session in its place would be told again (a presence, a voice state,
// subscriptions: every such send counts); and with ok false when the session is
// gone. Use it to save sessions; the Seq of a saved session should be brought up to
// date with Handle.Session before the program ends.
func (h *Handle) ObserveSession(fn func(s Session, ok bool)) (unsubscribe func()) {
	return h.observe(onSession, false, func(what any) {
		change := what.(sessionChange)
		fn(change.snap, change.ok)
	})
}
