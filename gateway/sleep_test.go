package gateway_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

// laptop connects in virtual time with the clocks of a machine that can sleep: its
// monotonic clock, by which timers run, then stands still.
func laptop(t *testing.T, test func(srv *fakegateway.Server, h *gateway.Handle, sleep func(time.Duration), wall func() time.Time)) {
	synctest.Test(t, func(t *testing.T) {
		srv, opts := virtualServer(t, fakegateway.Options{Interval: 40 * time.Second})
		origin := time.Now()
		var slept atomic.Int64
		wall := func() time.Time { return time.Now().Round(0).Add(time.Duration(slept.Load())) }
		opts.Setup = func(h *gateway.Handle) {
			h.SetClock(func() (time.Duration, time.Time) { return time.Since(origin), wall() })
		}
		h, err := gateway.Connect(t.Context(), "ws://gateway.test/", opts)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		time.Sleep(90 * time.Second) // a heartbeat has just been or is soon to be
		test(srv, h, func(d time.Duration) { slept.Add(int64(d)) }, wall)
	})
}

// Who has slept for a night and then finds the connection gone has missed the night.
func TestGapOfANight(t *testing.T) {
	laptop(t, func(srv *fakegateway.Server, h *gateway.Handle, sleep func(time.Duration), wall func() time.Time) {
		gaps := make(chan gateway.Gap, 1)
		h.ObserveGaps(func(g gateway.Gap) { gaps <- g })
		retries := make(chan time.Time, 1)
		h.ObserveState(func(s gateway.StateChange) {
			if s.State == gateway.StateBackoff {
				retries <- s.RetryAt
			}
		})
		evening := wall()
		sleep(8 * time.Hour)
		morning := wall()
		srv.Drop(fakegateway.Target{})
		if at := <-retries; at.Before(morning) || at.Sub(morning) > time.Minute {
			t.Errorf("it retries at %v, and it is %v", at, morning)
		}
		g := <-gaps
		if g.DisconnectedAt.After(evening) || evening.Sub(g.DisconnectedAt) > 40*time.Second {
			t.Errorf("disconnected at %v, and slept from %v", g.DisconnectedAt, evening)
		}
		if now := wall(); g.ReconnectedAt.Before(morning) || now.Sub(g.ReconnectedAt) > time.Second {
			t.Errorf("reconnected at %v, and it is %v", g.ReconnectedAt, now)
		}
	})
}

// A connection that has died in a sleep, and says nothing, is replaced as soon as
// the sleep is noticed, and not when a heartbeat has gone without an answer.
func TestSleepIsNoticed(t *testing.T) {
	laptop(t, func(srv *fakegateway.Server, h *gateway.Handle, sleep func(time.Duration), _ func() time.Time) {
		lost := make(chan struct{})
		h.ObserveState(func(s gateway.StateChange) {
			if s.State == gateway.StateBackoff {
				close(lost)
			}
		})
		srv.Freeze(fakegateway.Target{}, true)
		sleep(8 * time.Hour)
		woke := time.Now()
		<-lost
		if took := time.Since(woke); took > 40*time.Second+5*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
