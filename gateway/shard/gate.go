package shard

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
)

// interval between one Identify and the next in a bucket (protocol section:
// Rate Limiting, Identify).
const interval = 5 * time.Second

// gate lets shards identify, one in each bucket at a time.
type gate struct {
	buckets []bucket
}

// bucket is the shards whose ids have the same remainder.
type bucket struct {
	turn chan struct{} // held by the shard that waits for its time; others queue
	mu   sync.Mutex
	last time.Time // of the last Identify
}

func newGate(concurrency int) *gate {
	g := &gate{make([]bucket, max(concurrency, 1))}
	for i := range g.buckets {
		g.buckets[i].turn = make(chan struct{}, 1)
	}
	return g
}

func (g *gate) bucket(shard int) int { return shard % len(g.buckets) }

// wait returns when a shard may identify. Those of a bucket get their turn in the
// order in which they came; one whose ctx ends leaves the queue, and costs the
// others no time.
func (g *gate) wait(ctx context.Context, shard int) error {
	b := &g.buckets[g.bucket(shard)]
	late := func() error {
		return fmt.Errorf("%w: %w", &gateway.Error{Code: session.ErrTimeout, Message: "the shard's turn to identify did not come in time"}, context.Cause(ctx))
	}
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return late()
	}
	for {
		left := b.take()
		if left <= 0 {
			return nil
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return late()
		}
	}
}

// take returns how long it is until a shard of the bucket may identify, and takes
// the time if it is now.
func (b *bucket) take() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.last.IsZero() {
		if left := time.Until(b.last.Add(interval)); left > 0 {
			return left
		}
	}
	b.last = time.Now()
	return 0
}

// identified notes that a shard has identified now.
func (g *gate) identified(shard int) {
	b := &g.buckets[g.bucket(shard)]
	b.mu.Lock()
	b.last = time.Now()
	b.mu.Unlock()
}
