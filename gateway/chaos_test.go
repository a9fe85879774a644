package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

// TestChaos lets the native driver live through troubled hours in virtual time,
// on a network in memory: its goroutines, timers and queues, where
// test/simulation has only the session. A seed decides what goes wrong and when;
// only the order of goroutines is the scheduler's. A goroutine that is left in the
// end fails the test by itself.
func TestChaos(t *testing.T) {
	seeds := uint64(25)
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newChaos(t, seed).live() })
		})
	}
}

// chaos is a run.
type chaos struct {
	t        *testing.T
	r        *rand.Rand // of the one goroutine that makes trouble
	srv      *fakegateway.Server
	net      *chaosNet
	h        *gateway.Handle
	spacebar bool
	waits    sync.WaitGroup // calls that wait for something

	mu       sync.Mutex
	n        int
	sent     map[string][]int // by session or connection
	got      map[string]int
	sessions int
	gaps     int
	closed   bool
}

// numbered is the payload of an event that is counted.
type numbered struct {
	To string `json:"to"`
	N  int    `json:"n"`
}

func newChaos(t *testing.T, seed uint64) *chaos {
	c := &chaos{t: t, r: rand.New(rand.NewPCG(seed, 1)), sent: map[string][]int{}, got: map[string]int{}}
	o := fakegateway.Options{Seed: seed, Guilds: 1, Channels: 2, Members: 2, Interval: time.Duration(3+c.r.IntN(40)) * time.Second, ResumeURL: "ws://resume.test/"}
	opts := gateway.Options{Token: fakegateway.AliceToken, Attempts: -1, SendQueue: 20}
	if c.spacebar = c.r.IntN(3) == 0; c.spacebar {
		o.Profile, opts.MaxMessage = fakegateway.Spacebar, gateway.SpacebarMaxMessage
	} else {
		o.Profile = fakegateway.Documented
	}
	opts.Encoding = []gateway.Encoding{gateway.EncodingJSON, gateway.EncodingETF}[c.r.IntN(2)]
	opts.Compression = []gateway.Compression{gateway.CompressionNone, gateway.CompressionNone, gateway.CompressionZlib, gateway.CompressionZstd, gateway.CompressionAuto}[c.r.IntN(5)]
	var err error
	if c.srv, err = fakegateway.New(o); err != nil {
		t.Fatal(err)
	}
	c.net = &chaosNet{accept: make(chan net.Conn), done: make(chan struct{})}
	opts.HTTPClient = &http.Client{Transport: &http.Transport{DialContext: c.net.dial, DisableKeepAlives: true}}
	opts.Setup = c.observe
	web := &http.Server{Handler: c.srv}
	go func() { _ = web.Serve(c.net) }()
	t.Cleanup(func() {
		c.srv.Close()
		_ = web.Close()
	})
	if c.h, err = gateway.Connect(t.Context(), "ws://main.test/", opts); err != nil {
		t.Fatal(err)
	}
	return c
}

// observe sees to what must hold of everything that is reported.
func (c *chaos) observe(h *gateway.Handle) {
	h.ObserveEvents(func(e *gateway.Event) {
		var d numbered
		if err := json.Unmarshal(e.Data, &d); err != nil {
			c.t.Errorf("payload %s: %v", e.Data, err)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if i := c.got[d.To]; i >= len(c.sent[d.To]) || c.sent[d.To][i] != d.N {
			c.t.Errorf("event %d of %s was delivered where the one at %d of %v was due", d.N, d.To, i, c.sent[d.To])
		}
		c.got[d.To]++
		c.told("an event")
	}, "N")
	h.ObserveState(func(s gateway.StateChange) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if s.State == gateway.StateReady && !s.Resumed {
			c.sessions++
		}
		if s.State != gateway.StateClosed {
			c.told("a state")
		}
	})
	h.ObserveGaps(func(gateway.Gap) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.gaps++
		c.told("a gap")
	})
}

// told holds that nothing is reported after the end.
func (c *chaos) told(what string) {
	if c.closed {
		c.t.Errorf("%s is reported after the end", what)
	}
}

// dispatch sends an event to every session, or connection where none is resumed.
func (c *chaos) dispatch() {
	c.mu.Lock()
	c.n++
	n := c.n
	c.mu.Unlock()
	c.srv.Do(func(now time.Duration, e *fakegateway.Engine) {
		targets := map[string]fakegateway.Target{}
		for _, id := range e.Identified() {
			targets[fmt.Sprint("conn ", id)] = fakegateway.Target{Conn: id}
		}
		if !c.spacebar {
			clear(targets)
			for _, id := range e.SessionIDs() {
				targets[id] = fakegateway.Target{Session: id}
			}
		}
		for to, target := range targets {
			c.mu.Lock()
			c.sent[to] = append(c.sent[to], n)
			c.mu.Unlock()
			d, _ := json.Marshal(numbered{to, n})
			e.Dispatch(now, target, "N", d)
		}
	})
}

func (c *chaos) soon(mean time.Duration) time.Duration {
	return time.Duration(c.r.ExpFloat64() * float64(mean))
}

// live is trouble, then peace, then the end; some close in the trouble.
func (c *chaos) live() {
	trouble := time.Now().Add(time.Duration(5+c.r.IntN(20)) * time.Minute)
	for time.Now().Before(trouble) {
		time.Sleep(c.soon(2 * time.Second))
		switch c.r.IntN(8) {
		default:
			c.dispatch()
		case 0:
			c.fault()
		case 1:
			c.user()
		}
	}
	if c.r.IntN(4) > 0 {
		c.peace()
	}
	c.end()
}

// fault is something that goes wrong.
func (c *chaos) fault() {
	all := fakegateway.Target{}
	switch c.r.IntN(16) {
	case 0:
		c.srv.Drop(all)
	case 1:
		c.srv.CloseConns(all, []int{1000, 1001, 1011, 4000, 4003, 4007, 4008, 4009}[c.r.IntN(8)], "reason")
	case 2:
		c.srv.Reconnect(all, -1, c.r.IntN(2) == 0)
	case 3:
		c.srv.Reconnect(all, c.soon(2*time.Second), true)
	case 4:
		c.srv.InvalidSession(all, "false")
		c.srv.Forget(all)
	case 5:
		c.srv.InvalidSession(all, "true")
	case 6:
		c.srv.Forget(all)
		c.srv.Drop(all)
	case 7:
		for range 1 + c.r.IntN(200) {
			c.srv.RequestHeartbeat(all)
		}
	case 8:
		c.srv.Freeze(all, true) // half-open
	case 9:
		c.net.cut()
	case 10:
		c.net.setOffline(true)
		c.net.cut()
		time.Sleep(c.soon(time.Minute))
		c.net.setOffline(false)
		c.h.Wake()
	case 11:
		c.srv.SetFaults(all, fakegateway.Faults{NoACK: true})
		time.Sleep(c.soon(30 * time.Second))
		c.srv.SetFaults(all, fakegateway.Faults{})
	case 12:
		c.srv.SetFaults(all, fakegateway.Faults{SplitFrames: 1 + c.r.IntN(20), Latency: c.soon(2 * time.Second)})
		time.Sleep(c.soon(30 * time.Second))
		c.srv.SetFaults(all, fakegateway.Faults{})
	case 13:
		c.srv.Plan([]fakegateway.Faults{
			{RefuseStatus: 503}, {HangDial: true}, {CloseOnConnect: 1006}, {NoHello: true}, {NoReady: true},
			{CloseOnIdentify: 1012}, {CloseOnResume: 1006}, {Resume: fakegateway.ResumeIgnore}, {Resume: fakegateway.ResumeRefuse},
		}[c.r.IntN(9)])
		c.srv.Drop(all)
	case 14:
		c.srv.Send(all, []string{`{bad`, `[]`, `{"op":77}`, `{"op":11}`, `{"op":10,"d":{"heartbeat_interval":5000}}`}[c.r.IntN(5)])
	case 15:
		c.h.Wake()
	}
}

// wait runs a call that waits for something, which must return by itself.
func (c *chaos) wait(call func(ctx context.Context) error) {
	limit := c.soon(time.Minute)
	c.waits.Add(1)
	go func() {
		defer c.waits.Done()
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		began := time.Now()
		err := call(ctx)
		if took := time.Since(began); took > limit {
			c.t.Errorf("a call returned %v after its context was over", took-limit)
		}
		var e *gateway.Error
		if err != nil && !errors.As(err, &e) {
			c.t.Errorf("an error without a code: %v", err)
		}
	}()
}

// once does something when the next event comes, as its observer.
func (c *chaos) once(do func()) {
	subscription := make(chan func(), 1)
	subscription <- c.h.ObserveEvents(func(*gateway.Event) {
		stop := <-subscription
		stop()
		do()
	}, "N")
}

// user is something that the user does.
func (c *chaos) user() {
	presence := &event.UpdatePresence{Status: "dnd", Activities: []event.Activity{}}
	switch c.r.IntN(7) {
	case 0:
		c.wait(func(ctx context.Context) error { return c.h.Send(ctx, presence) })
	case 1:
		for range 1 + c.r.IntN(150) {
			c.wait(func(ctx context.Context) error {
				return c.h.SendOp(ctx, 8, map[string]any{"guild_id": "1", "query": "", "limit": 0})
			})
		}
	case 2:
		c.wait(func(ctx context.Context) error {
			_, err := gateway.WaitFor[*event.MessageCreate](ctx, c.h, nil)
			return err
		})
	case 3:
		clone := c.h.Clone()
		clone.ObserveEvents(func(*gateway.Event) {})
		gateway.Observe(clone, func(*event.Ready) {})
		c.waits.Add(1)
		later := c.soon(time.Minute)
		go func() {
			defer c.waits.Done()
			time.Sleep(later)
			_ = clone.Close()
			_ = clone.Close()
		}()
	case 4: // slow, but not so slow that events are dropped
		c.once(func() { time.Sleep(20 * time.Second) })
	case 5:
		c.once(func() { panic("an observer") })
	case 6:
		c.waits.Add(1)
		ctx, cancel := context.WithTimeout(context.Background(), c.soon(time.Minute))
		go func() {
			defer c.waits.Done()
			defer cancel()
			for range gateway.Events[*event.Ready](ctx, c.h) {
				break
			}
		}()
	}
}

// peace holds that in a healthy world the handle is soon ready and misses nothing.
func (c *chaos) peace() {
	c.net.setOffline(false)
	c.srv.SetFaults(fakegateway.Target{}, fakegateway.Faults{})
	c.srv.Do(func(_ time.Duration, e *fakegateway.Engine) { e.ClearPlan() })
	for range 40 {
		time.Sleep(3 * time.Second)
		c.dispatch()
	}
	for end := time.Now().Add(6 * time.Minute); c.h.State() != gateway.StateReady; time.Sleep(time.Second) {
		if time.Now().After(end) {
			c.t.Fatalf("%v in a healthy world", c.h.State())
		}
	}
	time.Sleep(time.Minute)
	c.mu.Lock()
	defer c.mu.Unlock()
	to := ""
	if s, ok := c.h.Session(); ok && !c.spacebar {
		to = s.ID
	}
	c.srv.Do(func(_ time.Duration, e *fakegateway.Engine) {
		if ids := e.Identified(); c.spacebar && len(ids) > 0 {
			to = fmt.Sprint("conn ", ids[len(ids)-1])
		}
	})
	if len(c.sent[to]) == 0 || c.got[to] != len(c.sent[to]) {
		c.t.Errorf("%d of %d events of %q were delivered", c.got[to], len(c.sent[to]), to)
	}
	if c.gaps != c.sessions-1 {
		c.t.Errorf("%d gaps for %d sessions", c.gaps, c.sessions)
	}
	if n := c.net.open(); n != 1 {
		c.t.Errorf("%d sockets are open", n)
	}
}

// end holds that everything that waits returns and nothing is left.
func (c *chaos) end() {
	if c.r.IntN(2) == 0 {
		_ = c.h.Close()
	} else {
		c.h.CloseResumable()
	}
	<-c.h.Done()
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	if err := c.h.SendOp(c.t.Context(), 3, struct{}{}); !errors.Is(err, gateway.ErrClosed) {
		c.t.Errorf("a send after the end: %v", err)
	}
	if n := c.net.open(); n != 0 {
		c.t.Errorf("%d sockets are left", n)
	}
	c.dispatch()
	c.h.Wake()
	c.waits.Wait()
	time.Sleep(10 * time.Minute)
}

// chaosNet is a network in memory, and the server's end of it a net.Listener.
type chaosNet struct {
	accept chan net.Conn
	done   chan struct{}
	once   sync.Once

	mu      sync.Mutex
	offline bool
	conns   map[*chaosPipe]bool // the client's ends
}

// chaosPipe is the client's end of a connection.
type chaosPipe struct {
	net.Conn
	p *chaosNet
}

func (c *chaosPipe) Close() error {
	c.p.mu.Lock()
	delete(c.p.conns, c)
	c.p.mu.Unlock()
	return c.Conn.Close()
}

var errOffline = errors.New("the network is gone")

func (p *chaosNet) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	p.mu.Lock()
	offline := p.offline
	p.mu.Unlock()
	if offline {
		return nil, errOffline
	}
	client, server := net.Pipe()
	select {
	case p.accept <- server:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.done:
		return nil, net.ErrClosed
	}
	c := &chaosPipe{client, p}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		p.conns = map[*chaosPipe]bool{}
	}
	p.conns[c] = true
	return c, nil
}

func (p *chaosNet) setOffline(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.offline = on
}

// cut breaks what is open, as a network does.
func (p *chaosNet) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Conn.Close()
	}
}

// open is how many connections the client has not closed.
func (p *chaosNet) open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

func (p *chaosNet) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *chaosNet) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *chaosNet) Addr() net.Addr { return &net.TCPAddr{} }
