package shard

import (
	"context"
	"sync"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
)

// Group is a number of shards that are connected. It may be used from any
// goroutine.
type Group struct {
	count  int
	ids    []int                   // in order
	owners map[int]*gateway.Handle // the handles that may close the connections
	shards map[int]*gateway.Handle // clones of them, which may not

	ending sync.Once
	done   chan struct{}
	err    error // to be read after done
}

// connect connects the shards: those of a bucket one after the other, the buckets
// at the same time.
func (g *Group) connect(ctx context.Context, url string, o *Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	gate := newGate(o.Limit.MaxConcurrency)
	buckets := map[int][]int{}
	for _, id := range g.ids {
		b := gate.bucket(id)
		buckets[b] = append(buckets[b], id)
	}
	var mu sync.Mutex // over g.owners and failed
	var failed error
	var work sync.WaitGroup
	for _, ids := range buckets {
		work.Go(func() {
			for _, id := range ids {
				h, err := connectOne(ctx, url, o, id, g.count, gate)
				mu.Lock()
				if err == nil {
					g.owners[id] = h
				} else if failed == nil { // what fails after the first does so because of it
					failed = &Error{id, err}
					cancel()
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	work.Wait()
	if failed != nil {
		g.closeAll((*gateway.Handle).Close)
	}
	return failed
}

// connectOne connects one shard, when its bucket lets it.
func connectOne(ctx context.Context, url string, o *Options, id, count int, gate *gate) (*gateway.Handle, error) {
	opts := o.Gateway
	identify := event.IdentifyCommon()
	if opts.Identify != nil {
		identify = *opts.Identify
	}
	identify.Shard = event.Some([2]int{id, count})
	opts.Identify = &identify
	opts.Session = nil
	if s, ok := o.Sessions[id]; ok {
		opts.Session = &s
	} else if err := gate.wait(ctx, id); err != nil {
		return nil, err
	}
	opts.Setup = func(h *gateway.Handle) {
		h.ObserveState(func(s gateway.StateChange) {
			if s.State == gateway.StateIdentifying {
				gate.identified(id)
			}
		})
		if o.Gateway.Setup != nil {
			o.Gateway.Setup(h)
		}
		if o.Setup != nil {
			o.Setup(id, h)
		}
	}
	return gateway.Connect(ctx, url, opts)
}

// Count returns the number of all shards, in this process and elsewhere.
func (g *Group) Count() int { return g.count }

// Shard returns the handle of a shard, or nil if it is not of this group. Closing
// it ends what was subscribed through it, and not the shard.
func (g *Group) Shard(id int) *gateway.Handle { return g.shards[id] }

// Guild returns the handle of the shard that the events of a guild come from, or
// nil if it is not of this group. It is the one to send with what is about the
// guild.
func (g *Group) Guild(id event.Snowflake) *gateway.Handle { return g.shards[ID(id, g.count)] }

// Each calls subscribe with every shard, in the order of their ids, and returns a
// function that ends all that was subscribed:
//
//	stop := group.Each(func(id int, h *gateway.Handle) func() {
//		return h.ObserveErrors(func(err error) { log.Println("shard", id, err) })
//	})
func (g *Group) Each(subscribe func(id int, h *gateway.Handle) (unsubscribe func())) (unsubscribe func()) {
	stops := make([]func(), 0, len(g.ids))
	for _, id := range g.ids {
		stops = append(stops, subscribe(id, g.shards[id]))
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// Observe calls fn with every event of the type T on any shard, until unsubscribe
// is called. The events of one shard come in order, one at a time; those of
// different shards at the same time. See gateway.Observe.
func Observe[T event.Dispatch](g *Group, fn func(id int, payload T)) (unsubscribe func()) {
	return g.Each(func(id int, h *gateway.Handle) func() {
		return gateway.Observe(h, func(payload T) { fn(id, payload) })
	})
}

// Close ends the sessions and the connections of all shards, at the same time: it
// takes two seconds at most. Like Handle.Close it may be called from an observer,
// and again.
func (g *Group) Close() error {
	g.end(gateway.ErrClosed, (*gateway.Handle).Close)
	return nil
}

// CloseResumable closes like Close, but leaves the sessions to be resumed, and
// returns them by shard, for Options.Sessions.
func (g *Group) CloseResumable() map[int]gateway.Session {
	g.end(gateway.ErrClosed, func(h *gateway.Handle) error {
		h.CloseResumable()
		return nil
	})
	sessions := map[int]gateway.Session{}
	for id, h := range g.owners {
		if s, ok := h.Session(); ok {
			sessions[id] = s
		}
	}
	return sessions
}

// end closes all shards because of err.
func (g *Group) end(err error, shut func(*gateway.Handle) error) {
	g.ending.Do(func() {
		g.err = err
		g.closeAll(shut)
		go func() { // an observer may be waiting here, which Done waits for
			for _, h := range g.owners {
				<-h.Done()
			}
			close(g.done)
		}()
	})
}

// closeAll closes all shards at the same time: one may take its server's time.
func (g *Group) closeAll(shut func(*gateway.Handle) error) {
	var all sync.WaitGroup
	for _, h := range g.owners {
		all.Go(func() { _ = shut(h) })
	}
	all.Wait()
}

// Done is closed when all shards are at their end and all observers have been
// told.
func (g *Group) Done() <-chan struct{} { return g.done }

// Err tells why the group ended: gateway.ErrClosed if it was closed, an *Error if
// a shard came to its end. It is nil before Done is closed.
func (g *Group) Err() error {
	select {
	case <-g.done:
		return g.err
	default:
		return nil
	}
}
