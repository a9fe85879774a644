package shard

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Turns come in order and five seconds apart, those of other buckets do not
// matter, and whoever gives up costs nobody time.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(2)
		start := time.Now()
		var mu sync.Mutex
		var log []string
		var work sync.WaitGroup
		ask := func(ctx context.Context, shard int) {
			work.Go(func() {
				err := g.wait(ctx, shard)
				mu.Lock()
				defer mu.Unlock()
				log = append(log, fmt.Sprintf("%2v:%d %v", time.Since(start).Seconds(), shard, err == nil))
			})
			synctest.Wait() // so that they come in this order
		}
		soon, cancel := context.WithTimeout(t.Context(), 6*time.Second)
		defer cancel()
		ask(t.Context(), 0)
		ask(t.Context(), 1)
		ask(t.Context(), 2)
		ask(soon, 4) // has its turn, and waits for its time
		ask(soon, 6) // waits for its turn
		ask(t.Context(), 8)
		ask(t.Context(), 3)
		time.Sleep(12 * time.Second)
		g.identified(0) // again, by itself
		ask(t.Context(), 10)
		work.Wait()
		slices.Sort(log)
		want := " 0:0 true| 0:1 true| 5:2 true| 5:3 true| 6:4 false| 6:6 false|10:8 true|17:10 true"
		if got := strings.Join(log, "|"); got != want {
			t.Errorf("the turns were\n%s, want\n%s", got, want)
		}
	})
}
