// Package shard divides the guilds of a bot among several connections
// (protocol section: Sharding).
//
//	bot, err := instance.GatewayBot(ctx, token, user.Options{})
//	…
//	group, err := shard.Connect(ctx, bot.URL, shard.Options{
//		Gateway: instance.GatewayOptions(gateway.Options{Token: token}),
//		Count:   bot.Shards,
//		Limit:   bot.Limit,
//	})
//	…
//	defer group.Close()
//	shard.Observe(group, func(id int, m *event.MessageCreate) { … })
//
// A server takes a few sessions of a bot at a time only: shards whose ids have
// the same remainder by Limit.MaxConcurrency share a bucket, in which there are
// five seconds between one Identify and the next. A group keeps to that while it
// connects. A shard that loses its session later begins a new one when its
// reconnect is due.
package shard

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
)

// ID returns the shard, of n, that the events of a guild go to: (guild >> 22) % n.
// What belongs to no guild goes to shard 0.
func ID(guild event.Snowflake, n int) int {
	if n <= 1 {
		return 0
	}
	return int((uint64(guild) >> 22) % uint64(n))
}

// Limit of the sessions that a bot may begin (protocol section: Session Start
// Limit Object). The zero Limit means one session after the other, and no more
// than that.
type Limit struct {
	// Total sessions that may be begun in a period; 0 for any number.
	Total int
	// Remaining of them in this period.
	Remaining int
	// ResetAfter is when the next period begins.
	ResetAfter time.Duration
	// MaxConcurrency is how many shards may identify at the same time; 0 means 1.
	MaxConcurrency int
}

// Options of a group.
type Options struct {
	// Gateway are the options of every shard. The shard in its Identify is filled
	// in; its Session does not count.
	Gateway gateway.Options
	// Count of all shards, in this process and elsewhere; 0 means 1.
	Count int
	// IDs of the shards to connect; nil means all. Processes that share the shards
	// of a bot should share them by bucket, for none knows when the others
	// identify.
	IDs []int
	// Limit that the server names.
	Limit Limit
	// Sessions to resume, by shard, as Group.CloseResumable gave them.
	Sessions map[int]gateway.Session
	// Setup is called with each shard's handle before it connects, after the Setup
	// of Gateway: what is observed here misses nothing.
	Setup func(id int, h *gateway.Handle)
}

// Error is what went wrong with one shard.
type Error struct {
	Shard int
	Err   error
}

// Error says what is wrong, and what to do about it.
func (e *Error) Error() string { return "shard " + strconv.Itoa(e.Shard) + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// LimitError says that the server allows fewer sessions in this period than are
// needed. Servers answer more with a token that is no longer valid.
type LimitError struct {
	// Needed and Remaining sessions.
	Needed, Remaining int
	// ResetAfter is how long it is until the next period.
	ResetAfter time.Duration
}

// Error says what is wrong, and what to do about it.
func (e *LimitError) Error() string {
	return fmt.Sprintf("shard: %d sessions are needed and the server allows %d more; try again in %v", e.Needed, e.Remaining, e.ResetAfter.Round(time.Second))
}

// Is matches gateway.ErrRateLimited.
func (e *LimitError) Is(target error) bool { return target == gateway.ErrRateLimited }

// Connect connects shards to the gateway at url and returns when all are ready.
// From then on they keep themselves connected until the group is closed, or one
// of them comes to an end it cannot help: then all are closed, for a bot that is
// deaf in some guilds is worse than one that is restarted.
//
// It fails with gateway.ErrInvalidOption, with a *LimitError before anything is
// connected, or with an *Error that wraps what gateway.Connect fails with; then
// no shard is left connected. When ctx ends, that is gateway.ErrTimeout.
func Connect(ctx context.Context, url string, o Options) (*Group, error) {
	ids, err := o.ids()
	if err != nil {
		return nil, err
	}
	need := 0
	for _, id := range ids {
		if _, resumes := o.Sessions[id]; !resumes {
			need++
		}
	}
	if l := o.Limit; l.Total > 0 && need > l.Remaining {
		return nil, &LimitError{Needed: need, Remaining: l.Remaining, ResetAfter: l.ResetAfter}
	}
	g := &Group{count: max(o.Count, 1), ids: ids, owners: map[int]*gateway.Handle{}, shards: map[int]*gateway.Handle{}, done: make(chan struct{})}
	if err := g.connect(ctx, url, &o); err != nil {
		return nil, err
	}
	for id, h := range g.owners {
		g.shards[id] = h.Clone()
	}
	for id, h := range g.owners {
		go func() {
			<-h.Done()
			g.end(&Error{id, h.Err()}, (*gateway.Handle).Close)
		}()
	}
	return g, nil
}

// ids returns the shards to connect, in order.
func (o *Options) ids() ([]int, error) {
	count := max(o.Count, 1)
	what := ""
	ids := slices.Sorted(slices.Values(o.IDs))
	if o.IDs == nil {
		for id := range count {
			ids = append(ids, id)
		}
	}
	switch {
	case o.Count < 0 || o.Limit.MaxConcurrency < 0:
		what = "the number of shards and the concurrency must not be negative"
	case len(ids) == 0:
		what = "there are no shards to connect"
	case ids[0] < 0 || ids[len(ids)-1] >= count:
		what = "the ids of shards go from 0 to " + strconv.Itoa(count-1)
	case len(slices.Compact(slices.Clone(ids))) < len(ids):
		what = "a shard is to be connected twice"
	default:
		return ids, nil
	}
	return nil, &gateway.Error{Code: session.ErrInvalidOption, Message: what}
}
