package shard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/shard"
	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

func TestID(t *testing.T) {
	for _, c := range []struct {
		guild event.Snowflake
		n     int
		want  int
	}{
		{0, 4, 0},
		{1 << 22, 4, 1},
		{4<<22 - 1, 4, 3},
		{4 << 22, 4, 0},
		{81384788765712384, 10, 8},
		{1<<64 - 1, 1000, 103},
		{81384788765712384, 1, 0},
		{81384788765712384, 0, 0},
	} {
		if got := shard.ID(c.guild, c.n); got != c.want {
			t.Errorf("guild %v of %d: shard %d, want %d", c.guild, c.n, got, c.want)
		}
	}
}

// network is a fake gateway on a network without sockets, so that it may be in a
// bubble of virtual time.
type network struct {
	*fakegateway.Server
	conns chan net.Conn
	gone  chan struct{}
}

const url = "ws://gateway.test/"

func listen(t *testing.T, o fakegateway.Options) *network {
	t.Helper()
	n := &network{conns: make(chan net.Conn), gone: make(chan struct{})}
	var err error
	if n.Server, err = fakegateway.New(o); err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: n.Server}
	go func() { _ = srv.Serve(n) }()
	t.Cleanup(func() {
		n.Server.Close()
		_ = srv.Close()
	})
	return n
}

// identifies are the shards that have identified, and when, in seconds.
func (n *network) identifies() string {
	var list []string
	for _, c := range n.State().Conns {
		for _, m := range c.Received {
			var d struct{ Shard [2]int }
			if m.Op == 2 && json.Unmarshal(m.D, &d) == nil {
				list = append(list, fmt.Sprintf("%2d:%d", m.AtMS/1000, d.Shard[0]))
			}
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.gone:
		return nil, net.ErrClosed
	}
}

func (n *network) Addr() net.Addr { return &net.TCPAddr{} }

func (n *network) Close() error {
	close(n.gone)
	return nil
}

// options connect to the network.
func (n *network) options(count int) shard.Options {
	dial := func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		select {
		case n.conns <- there:
			return here, nil
		case <-n.gone:
			return nil, net.ErrClosed
		}
	}
	return shard.Options{
		Count:   count,
		Gateway: gateway.Options{Token: fakegateway.AliceToken, HTTPClient: &http.Client{Transport: &http.Transport{DialContext: dial}}},
	}
}

func TestGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := listen(t, fakegateway.Options{})
		o := n.options(8)
		o.Limit = shard.Limit{Total: 1000, Remaining: 8, MaxConcurrency: 3}
		var mu sync.Mutex
		var order []string
		note := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, fmt.Sprintf(format, args...))
		}
		o.Gateway.Setup = func(*gateway.Handle) { note("set up") }
		o.Setup = func(id int, h *gateway.Handle) {
			gateway.Observe(h, func(r *event.Ready) { note("%d is ready as %v", id, r.Shard.Value()) })
		}
		g, err := shard.Connect(t.Context(), url, o)
		if err != nil {
			t.Fatal(err)
		}
		// Buckets 0 3 6, 1 4 7 and 2 5.
		if got, want := n.identifies(), " 0:0  0:1  0:2  5:3  5:4  5:5 10:6 10:7"; got != want {
			t.Errorf("identified\n%s, want\n%s", got, want)
		}
		synctest.Wait()
		if got := strings.Join(order, " "); strings.Count(got, "set up") != 8 || !strings.Contains(got, "7 is ready as [7 8]") || len(order) != 16 {
			t.Errorf("set up: %s", got)
		}

		if g.Count() != 8 || g.Shard(7).State() != gateway.StateReady || g.Shard(8) != nil || g.Shard(-1) != nil || g.Guild(11<<22) != g.Shard(3) {
			t.Error("the shards are not where they should be")
		}
		order = nil
		stop := shard.Observe(g, func(id int, m *event.MessageCreate) { note("%d", id) })
		dispatch := func() {
			if _, err := n.Dispatch("MESSAGE_CREATE", map[string]any{"id": "1", "channel_id": "2", "content": "x"}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		dispatch()
		slices.Sort(order)
		if got := fmt.Sprint(order); got != "[0 1 2 3 4 5 6 7]" {
			t.Errorf("observed by %s", got)
		}
		stop()
		_ = g.Shard(0).Close() // nobody else's business
		dispatch()
		if len(order) != 8 || g.Err() != nil || g.Shard(0).State() != gateway.StateReady {
			t.Errorf("after the end: %v, %v", order, g.Err())
		}

		// It may be closed from an observer.
		closed := make(chan struct{})
		g.Each(func(id int, h *gateway.Handle) func() {
			return h.ObserveEvents(func(*gateway.Event) {
				if id == 5 {
					_ = g.Close()
					close(closed)
				}
			}, "MESSAGE_CREATE")
		})
		dispatch()
		<-closed
		<-g.Done()
		if !errors.Is(g.Err(), gateway.ErrClosed) || g.Close() != nil {
			t.Errorf("closed with %v", g.Err())
		}
		for _, c := range n.State().Conns {
			if c.Open || c.ClientCode != 1000 {
				t.Errorf("connection %d was closed with %d", c.ID, c.ClientCode)
			}
		}
	})
}

// Some of the shards are another process's.
func TestIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := listen(t, fakegateway.Options{})
		o := n.options(16)
		o.IDs = []int{9, 1, 4}
		o.Limit.MaxConcurrency = 4
		identify := event.IdentifyDefault()
		identify.Shard = event.Some([2]int{99, 100})
		o.Gateway.Identify = &identify
		o.Gateway.Session = &gateway.Session{ID: "nobody's"}
		g, err := shard.Connect(t.Context(), url, o)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		if got := n.identifies(); got != " 0:1  0:4  5:9" {
			t.Errorf("identified %s", got)
		}
		if g.Shard(0) != nil || g.Guild(2<<22) != nil || g.Guild(9<<22) == nil || g.Count() != 16 {
			t.Error("there are others")
		}
		if fmt.Sprint(identify.Shard) != "[99 100]" {
			t.Error("the caller's Identify was changed")
		}
	})
}

func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := listen(t, fakegateway.Options{})
		for what, change := range map[string]func(*shard.Options){
			"negative count":       func(o *shard.Options) { o.Count = -1 },
			"negative concurrency": func(o *shard.Options) { o.Limit.MaxConcurrency = -1 },
			"no shards":            func(o *shard.Options) { o.IDs = []int{} },
			"a negative id":        func(o *shard.Options) { o.IDs = []int{-1} },
			"an id too large":      func(o *shard.Options) { o.IDs = []int{0, 4} },
			"an id twice":          func(o *shard.Options) { o.IDs = []int{2, 1, 2} },
			"an option":            func(o *shard.Options) { o.Gateway.MaxMessage = 1 },
			"no token":             func(o *shard.Options) { o.Gateway.Token = "" },
		} {
			o := n.options(4)
			change(&o)
			if _, err := shard.Connect(t.Context(), url, o); !errors.Is(err, gateway.ErrInvalidOption) {
				t.Errorf("%s: %v", what, err)
			}
		}
		o := n.options(4)
		o.Limit = shard.Limit{Total: 1000, Remaining: 3, ResetAfter: time.Hour}
		_, err := shard.Connect(t.Context(), url, o)
		var limit *shard.LimitError
		if !errors.As(err, &limit) || !errors.Is(err, gateway.ErrRateLimited) || limit.Needed != 4 || limit.Remaining != 3 || limit.ResetAfter != time.Hour {
			t.Errorf("no sessions left: %v", err)
		}
		if want := "shard: 4 sessions are needed and the server allows 3 more; try again in 1h0m0s"; err.Error() != want {
			t.Errorf("it says %v", err)
		}
		if d := n.State().Counters.Dials; d != 0 {
			t.Errorf("%d dials", d)
		}
	})
}

// One shard that cannot connect takes the others with it.
func TestConnectFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := listen(t, fakegateway.Options{Profile: fakegateway.Documented})
		n.Plan(fakegateway.Faults{}, fakegateway.Faults{}, fakegateway.Faults{CloseOnIdentify: 4014})
		start := time.Now()
		_, err := shard.Connect(t.Context(), url, n.options(8))
		var failed *shard.Error
		if took := time.Since(start); !errors.As(err, &failed) || failed.Shard != 2 || took != 10*time.Second {
			t.Fatalf("after %v: %v", took, err)
		}
		var refused *gateway.Error
		if !errors.As(err, &refused) || refused.CloseCode != 4014 || err.Error()[:9] != "shard 2: " {
			t.Errorf("%v", err)
		}
		synctest.Wait()
		for _, c := range n.State().Conns {
			if c.Open {
				t.Errorf("connection %d is still open", c.ID)
			}
		}

		why := errors.New("no patience")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 12*time.Second, why)
		defer cancel()
		start = time.Now()
		_, err = shard.Connect(ctx, url, n.options(8))
		if took := time.Since(start); !errors.As(err, &failed) || failed.Shard != 3 || !errors.Is(err, gateway.ErrTimeout) || !errors.Is(err, why) || took != 12*time.Second {
			t.Errorf("no patience: after %v: %v", took, err)
		}
	})
}

// Shards whose servers do not confirm that they close are closed at the same time.
func TestConnectFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := listen(t, fakegateway.Options{Profile: fakegateway.Documented})
		n.Plan(fakegateway.Faults{}, fakegateway.Faults{}, fakegateway.Faults{}, fakegateway.Faults{NoReady: true})
		o := n.options(4)
		o.Limit.MaxConcurrency = 4
		result := make(chan error)
		go func() {
			_, err := shard.Connect(t.Context(), url, o)
			result <- err
		}()
		synctest.Wait()
		for id := 1; id <= 3; id++ {
			n.Freeze(fakegateway.Target{Conn: id}, true)
		}
		start := time.Now()
		n.CloseConns(fakegateway.Target{Conn: 4}, 4014, "")
		if err := <-result; err == nil || time.Since(start) != 2*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// One shard that comes to its end takes the others with it.
func TestShardEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := listen(t, fakegateway.Options{Profile: fakegateway.Documented})
		o := n.options(4)
		o.Limit.MaxConcurrency = 4
		g, err := shard.Connect(t.Context(), url, o)
		if err != nil {
			t.Fatal(err)
		}
		var of int
		for _, c := range n.State().Conns {
			if c.Open && strings.Contains(string(c.Received[0].D), `"shard":[2,4]`) {
				of = c.ID
			}
		}
		n.CloseConns(fakegateway.Target{Conn: of}, 4011, "")
		<-g.Done()
		var failed *shard.Error
		if !errors.As(g.Err(), &failed) || failed.Shard != 2 {
			t.Errorf("ended with %v", g.Err())
		}
		for id := range 4 {
			if s := g.Shard(id).State(); s != gateway.StateClosed {
				t.Errorf("shard %d is %v", id, s)
			}
		}
	})
}

// Sessions that are resumed neither wait nor count.
func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := listen(t, fakegateway.Options{Profile: fakegateway.Documented, ResumeURL: url})
		g, err := shard.Connect(t.Context(), url, n.options(4))
		if err != nil {
			t.Fatal(err)
		}
		sessions := g.CloseResumable()
		<-g.Done()
		if len(sessions) != 4 || sessions[3].ID == "" {
			t.Fatalf("the sessions are %v", sessions)
		}
		start := time.Now()
		o := n.options(4)
		delete(sessions, 1)
		o.Sessions = sessions
		o.Limit = shard.Limit{Total: 1000, Remaining: 1}
		g, err = shard.Connect(t.Context(), url, o)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v", took)
		}
		_ = g.Close()
		if s := n.State().Counters; s.Resumed != 3 || s.Identifies != 5 {
			t.Errorf("%+v", s)
		}
	})
}
