// Package soak holds that many connections and many events leave nothing behind
// natively. GATEWAY_SOAK=full (./build.sh soak) makes them ten thousand and a
// million. Its twin for browsers is test/browser/soak.test.mjs.
package soak

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

// of chooses how many: for every day, or in full.
func of(short, full int) int {
	if os.Getenv("GATEWAY_SOAK") == "full" {
		return full
	}
	return short
}

// alive is what there is when everything has come to rest.
type alive struct {
	goroutines int
	heap       uint64
}

func (a alive) String() string { return fmt.Sprintf("%d goroutines, %d KB", a.goroutines, a.heap>>10) }

func measure() alive {
	http.DefaultClient.CloseIdleConnections()
	runtime.GC()
	runtime.GC() // the pools keep what they held for one collection
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return alive{runtime.NumGoroutine(), m.HeapAlloc}
}

// same waits until what is alive is what was, give or take.
func same(t *testing.T, what string, before alive, slack uint64) {
	t.Helper()
	var now alive
	for deadline := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		if now = measure(); now.goroutines <= before.goroutines && now.heap <= before.heap+slack {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v before, %v after", what, before, now)
		}
	}
	t.Logf("%s: %v before, %v after", what, before, now)
}

func TestConnections(t *testing.T) {
	n := of(300, 10_000)
	cycles := func(n int) {
		// A server for each part: what it remembers is not what is measured.
		srv, err := fakegateway.Start(fakegateway.Options{Profile: fakegateway.Documented})
		if err != nil {
			t.Fatal(err)
		}
		defer srv.Close()
		var left atomic.Int64
		left.Store(int64(n))
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for left.Add(-1) >= 0 {
					ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
					h, err := gateway.Connect(ctx, srv.URL(), gateway.Options{Token: fakegateway.AliceToken, Setup: func(h *gateway.Handle) {
						gateway.Observe(h, func(*event.Ready) {})
						h.ObserveErrors(func(error) {})
					}})
					cancel()
					if err != nil {
						t.Error(err)
						return
					}
					gateway.Observe(h.Clone(), func(*event.MessageCreate) {})
					_ = h.Close()
					<-h.Done()
				}
			})
		}
		all.Wait()
	}
	cycles(50)
	before := measure()
	began := time.Now()
	for done := 0; done < n; done += 100 {
		cycles(100)
	}
	same(t, fmt.Sprintf("%d connections in %.0f s", n, time.Since(began).Seconds()), before, 1<<20)
}

func TestEvents(t *testing.T) {
	n := of(50_000, 1_000_000)
	srv, err := fakegateway.Start(fakegateway.Options{Profile: fakegateway.Documented, Replay: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	h, err := gateway.Connect(t.Context(), srv.URL(), gateway.Options{Token: fakegateway.AliceToken})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	var seen atomic.Int64
	more := make(chan struct{}, 1)
	h.ObserveEvents(func(e *gateway.Event) {
		if _, err := e.Payload(); err == nil {
			seen.Add(1)
		}
		select {
		case more <- struct{}{}:
		default:
		}
	}, "MESSAGE_CREATE")
	ev := fakegateway.Event{Name: "MESSAGE_CREATE", Data: []byte(`{"id":"1","channel_id":"2","content":"x","author":{"id":"3","username":"bob"}}`)}
	flood := func(n int) {
		until := seen.Load() + int64(n)
		srv.Flood(fakegateway.Target{}, n, ev)
		for late := time.After(time.Minute); seen.Load() < until; {
			select {
			case <-more:
			case <-late:
				t.Fatalf("%d events are missing", until-seen.Load())
			}
		}
	}
	const part = 10_000 // fewer than may wait, so that none is dropped
	flood(part)
	before := measure()
	began := time.Now()
	for done := 0; done < n; done += part {
		flood(part)
	}
	same(t, fmt.Sprintf("%d events in %.1f s", n, time.Since(began).Seconds()), before, 2<<20)
}
