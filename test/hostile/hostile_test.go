package hostile_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/test/hostile"
)

const (
	patience = 25 * time.Second // for what must happen
	loop     = 4 * time.Second  // that a client is left with a server which never comes to rest
	overhead = 40 << 20         // of memory, beside what the receive limit allows
)

// TestMain holds that nothing of all the connections of all tests is left.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	for deadline := time.Now().Add(10 * time.Second); code == 0 && runtime.NumGoroutine() > before; runtime.Gosched() {
		http.DefaultClient.CloseIdleConnections()
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			fmt.Printf("%d goroutines are left:\n%s\n", runtime.NumGoroutine()-before, buf[:runtime.Stack(buf, true)])
			code = 1
		}
	}
	os.Exit(code)
}

// witness observes all that can be observed of a handle.
type witness struct {
	mu     sync.Mutex
	errors []error
	alive  atomic.Bool   // StillHere came
	gate   chan struct{} // closed to let observers go on
}

func (w *witness) failed(err error) {
	if err == nil {
		return
	}
	w.mu.Lock()
	// Of a flood its beginning and its end will do.
	if len(w.errors) < 100 {
		w.errors = append(w.errors, err)
	} else {
		w.errors[99] = err
	}
	w.mu.Unlock()
}

func (w *witness) observe(h *gateway.Handle) {
	h.ObserveErrors(func(err error) { <-w.gate; w.failed(err) })
	h.ObserveState(func(s gateway.StateChange) { w.failed(s.Err) })
	h.ObserveGaps(func(g gateway.Gap) { w.failed(g.Reason) })
	h.ObserveSession(func(gateway.Session, bool) {})
	h.ObserveEvents(func(e *gateway.Event) {
		<-w.gate
		_, _ = e.Payload()
		if e.Name == hostile.StillHere {
			w.alive.Store(true)
		}
	})
	gateway.Observe(h, func(*event.Ready) {})
	gateway.Observe(h, func(*event.MessageCreate) {})
	gateway.Observe(h, func(*event.GuildCreate) {})
}

func (w *witness) saw(code string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.errors, func(err error) bool {
		var e *gateway.Error
		return errors.As(err, &e) && string(e.Code) == code
	})
}

// eventually waits for something that no channel tells of.
func eventually(t *testing.T, what string, is func() bool) bool {
	for deadline := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("waited in vain for %s", what)
			return false
		}
	}
	return true
}

// heap is the memory of objects, dead ones included that were not yet swept.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// highWater measures what the heap grows by until stop is called.
func highWater() (stop func() uint64) {
	percent := debug.SetGCPercent(20) // so that little of it is dead
	runtime.GC()
	before := heap()
	var most atomic.Uint64
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			most.Store(max(most.Load(), heap()))
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return func() uint64 {
		close(done)
		<-ended
		debug.SetGCPercent(percent)
		return most.Load() - min(before, most.Load())
	}
}

// TestHostileServers runs the corpus: whatever the server does, the client
// reports an error of a type, recovers or ends as it should, and keeps within
// bounds of memory, dials and sends.
func TestHostileServers(t *testing.T) {
	srv, err := hostile.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	client := srv.Client()
	defer client.CloseIdleConnections()
	// What is about memory comes first, one by one; the rest waits, mostly.
	var rest []hostile.Case
	for _, c := range hostile.Cases() {
		if !c.Heavy {
			rest = append(rest, c)
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			stop := highWater()
			run(t, srv, client, c)
			if grown, bound := stop(), uint64(overhead+8*c.MaxReceive); grown > bound {
				t.Errorf("the heap grew by %d MB, more than %d MB", grown>>20, bound>>20)
			} else {
				t.Logf("the heap grew by %.1f MB", float64(grown)/(1<<20))
			}
		})
	}
	var all sync.WaitGroup
	seats := make(chan struct{}, 24)
	for _, c := range rest {
		seats <- struct{}{}
		all.Go(func() {
			defer func() { <-seats }()
			t.Run(c.Name, func(t *testing.T) { run(t, srv, client, c) })
		})
	}
	all.Wait()
	if n := srv.Counts("/").Requests; n != 0 {
		t.Errorf("%d requests went where a hostile server sent the client", n)
	}
}

func run(t *testing.T, srv *hostile.Server, client *http.Client, c hostile.Case) {
	w := &witness{gate: make(chan struct{})}
	opts := gateway.Options{
		Token: hostile.Token, Encoding: gateway.Encoding(c.Encoding), Compression: gateway.CompressionNone, MaxReceive: c.MaxReceive,
		HTTPClient: client, Setup: w.observe,
	}
	if c.Compress != "" {
		opts.Compression = gateway.Compression(c.Compress)
	}
	began := time.Now()
	var once sync.Once
	open := func() { once.Do(func() { close(w.gate) }) }
	if !c.Slow || c.Loop || c.Fatal {
		open()
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	h, err := gateway.Connect(ctx, srv.URL(c), opts)
	w.failed(err)
	if h != nil {
		defer h.Close()
	}
	if c.Slow && !c.Loop && !c.Fatal {
		// Observers are stuck while the server does its worst.
		eventually(t, "the server", func() bool { return srv.Counts(c.Name).Acted })
		open()
	}
	switch {
	case c.Loop:
		timeout := time.After(loop)
		if h != nil {
			select {
			case <-h.Done():
				t.Errorf("the handle ended: %v", h.Err())
			case <-timeout:
			}
		}
	case c.Fatal:
		if h != nil {
			select {
			case <-h.Done():
				w.failed(h.Err())
			case <-ctx.Done():
				t.Fatal("the handle does not end")
			}
		}
		if !w.saw(c.Want) {
			t.Errorf("it ended without %s", c.Want)
		}
	default:
		if err != nil {
			t.Fatalf("no session: %v", err)
		}
		eventually(t, "a sign of life", w.alive.Load)
		time.Sleep(c.For) // for heartbeats that come too often
	}
	if c.Want != "" {
		eventually(t, c.Want, func() bool { return w.saw(c.Want) })
	}
	if h != nil {
		h.Close()
		select {
		case <-h.Done():
		case <-ctx.Done():
			t.Error("closing hangs")
		}
	}
	eventually(t, "the connections to close", func() bool { return srv.Counts(c.Name).Open == 0 })
	counts := srv.Counts(c.Name)
	sends := 0
	for _, n := range counts.Ops {
		sends += n
	}
	most := c.Sends
	if c.Brisk {
		most += int(math.Ceil(time.Since(began).Seconds()))
	}
	if counts.Requests > c.Dials || sends > most || counts.Ops[-1] > 0 {
		t.Errorf("%d dials, at most %d; messages by opcode %v, at most %d in all", counts.Requests, c.Dials, counts.Ops, most)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, err := range w.errors {
		var e *gateway.Error
		text := fmt.Sprintf("%v %+v %#v", err, err, err)
		switch {
		case !errors.As(err, &e) || e.Code == "":
			t.Errorf("an error without a type: %v", err)
		case strings.Contains(text, hostile.Token):
			t.Errorf("an error shows the token")
		case len(err.Error()) > 1000:
			t.Errorf("an error is %d bytes long: %.200q…", len(err.Error()), err)
		case strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }):
			t.Errorf("an error is not printable: %q", err)
		}
	}
	if t.Failed() {
		t.Logf("errors: %.2000q", w.errors)
	}
}
