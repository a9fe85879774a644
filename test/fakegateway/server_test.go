package fakegateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

func TestServerTransports(t *testing.T) {
	for _, profile := range []fakegateway.Profile{spacebar, documented} {
		srv := start(t, fakegateway.Options{Profile: profile, Guilds: 6, Channels: 10})
		for _, query := range all {
			c := online(t, srv, "/any/path"+query)
			c.send(`{"op":1,"d":null}`)
			c.until(11, "")
			if _, err := srv.Dispatch("X", map[string]int{"n": 1}); err != nil {
				t.Fatal(err)
			}
			if m := c.until(0, "X"); string(m.D) != `{"n":1}` {
				t.Errorf("%s: got %s", query, m.D)
			}
			c.ws.Close(1000, "bye")
		}
	}
}

// until waits for a state of the server.
func until(t *testing.T, srv *fakegateway.Server, cond func(fakegateway.State) bool) {
	t.Helper()
	if err := srv.Wait(ctxFor(t), cond); err != nil {
		t.Fatalf("%v: %+v", err, srv.State())
	}
}

func TestServerState(t *testing.T) {
	srv := start(t, fakegateway.Options{})
	c := online(t, srv, "/x?v=9&encoding=json")
	c.send(`{"op":1,"d":"` + "7" + `"}`)
	c.send(`{"op":6,"d":{"token":"secret\"x","session_id":"s","seq":1}}`)
	c.send(`{"token":"secret`)
	c.send(`not JSON at all: ` + fakegateway.AliceToken)
	c.ws.Write(ctxFor(t), websocket.MessageBinary, []byte("\x83t\x00\x00\x00\x01m\x00\x00\x00\x05tokenm\x00\x00\x00\x06secret"))
	c.until(9, "")
	c.ws.Close(4321, "enough")
	until(t, srv, func(s fakegateway.State) bool { return !s.Conns[0].Open })
	s := srv.State()
	conn := s.Conns[0]
	if conn.ClientCode != 4321 || conn.ClientReason != "enough" || conn.ClosedBy != "client" || conn.User != "alice" ||
		conn.Path != "/x" || conn.Query != "encoding=json&v=9" || !strings.HasPrefix(conn.UserAgent, "Go-http-client") {
		t.Errorf("the connection is %+v", conn)
	}
	if s.Counters.Identifies != 1 || s.Counters.Resumes != 1 || s.Counters.Heartbeats != 1 || s.Counters.Dials != 1 || s.Counters.Events != 4 || len(s.Sessions) != 1 {
		t.Errorf("counted %+v", s.Counters)
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "secret") || strings.Contains(string(text), fakegateway.AliceToken) {
		t.Errorf("a token shows: %s", text)
	}
	ops := []int{}
	for _, m := range conn.Received {
		ops = append(ops, m.Op)
	}
	if len(ops) != 6 || ops[0] != 2 || ops[5] != -1 || !strings.Contains(string(conn.Received[0].D), `"token":"[redacted]"`) {
		t.Errorf("received %v: %s", ops, conn.Received[0].D)
	}
}

func TestServerClosesAndDrops(t *testing.T) {
	srv := start(t, fakegateway.Options{})
	for _, tc := range []struct {
		code, want int
		reason     string
	}{{4000, 4000, ""}, {1000, 1000, "good bye"}, {1001, 1001, ""}, {1012, 1012, ""}, {4999, 4999, strings.Repeat("r", 123)}, {1005, 1005, ""}, {1006, 1006, ""}} {
		c := online(t, srv, "")
		srv.CloseConns(fakegateway.Target{User: "alice"}, tc.code, tc.reason)
		if code, reason := c.closed(); code != tc.want || reason != tc.reason {
			t.Errorf("closed with %d %q, want %d %q", code, reason, tc.want, tc.reason)
		}
	}
	c := online(t, srv, "")
	srv.CloseConns(fakegateway.Target{}, 4000, strings.Repeat("r", 500))
	if code, reason := c.closed(); code != 4000 || len(reason) != 123 {
		t.Errorf("closed with %d and %d bytes of reason", code, len(reason))
	}
	c = online(t, srv, "")
	srv.Drop(fakegateway.Target{})
	c.wantClosed(1006)
	// A code that must not be: the client's library calls it an error.
	c = online(t, srv, "")
	srv.CloseConns(fakegateway.Target{}, 999, "")
	c.wantClosed(1006)
	until(t, srv, func(s fakegateway.State) bool {
		for _, c := range s.Conns {
			if c.Open {
				return false
			}
		}
		return true
	})
}

func TestServerDials(t *testing.T) {
	srv := start(t, fakegateway.Options{})
	srv.Plan(fakegateway.Faults{RefuseStatus: 503}, fakegateway.Faults{CloseOnConnect: 4010}, fakegateway.Faults{CloseOnConnect: 1006})
	if _, resp, err := dialErr(t, srv, ""); err == nil || resp == nil || resp.StatusCode != 503 {
		t.Errorf("the refused dial gets %v, %v", resp, err)
	}
	dial(t, srv, "").wantClosed(4010)
	dial(t, srv, "").wantClosed(1006)

	srv.Plan(fakegateway.Faults{HangDial: true})
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error)
	go func() {
		_, _, err := websocket.Dial(ctx, srv.URL(), nil)
		result <- err
	}()
	until(t, srv, func(s fakegateway.State) bool { return s.Counters.Dials == 4 })
	cancel()
	if err := <-result; err == nil {
		t.Error("the hanging dial succeeds")
	}
}

func TestServerUserAgent(t *testing.T) {
	srv := start(t, fakegateway.Options{})
	ws, _, err := websocket.Dial(ctxFor(t), srv.URL(), &websocket.DialOptions{
		HTTPHeader: http.Header{"User-Agent": {""}}, Subprotocols: []string{"first", "second"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	_, _, err = ws.Read(ctxFor(t))
	var ce websocket.CloseError
	if !errors.As(err, &ce) || ce.Code != 4002 || ce.Reason != "Gateway connection rejected: User-Agent header is required." {
		t.Errorf("got %v", err)
	}
	if ws.Subprotocol() != "first" {
		t.Errorf("the subprotocol is %q", ws.Subprotocol())
	}
}

func TestServerSizeLimit(t *testing.T) {
	srv := start(t, fakegateway.Options{})
	c := online(t, srv, "")
	c.send(`{"op":1,"d":null}` + strings.Repeat(" ", 4096-17))
	c.until(11, "")
	c.send(`{"op":1,"d":null}` + strings.Repeat(" ", 4097-17))
	c.wantClosed(1009)
}

func TestServerFreeze(t *testing.T) {
	srv := start(t, fakegateway.Options{})
	c := online(t, srv, "")
	srv.Freeze(fakegateway.Target{}, true)
	c.send(`{"op":1,"d":null}`)
	srv.Dispatch("X", nil)
	// Not even a ping is answered. That nothing comes takes a little time to see.
	short, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	reading := make(chan message, 1)
	go func() { reading <- c.next() }()
	if err := c.ws.Ping(short); err == nil {
		t.Error("a frozen connection answers pings")
	}
	srv.Freeze(fakegateway.Target{}, false)
	if m := <-reading; m.T != "X" {
		t.Errorf("after the thaw came %s", m)
	}
	c.until(11, "")

	srv.Freeze(fakegateway.Target{}, true)
	srv.Close() // must not hang
}

func TestServerNetworkFaults(t *testing.T) {
	for name, f := range map[string]fakegateway.Faults{
		"fragments": {FragmentSize: 3},
		"writes":    {WriteSize: 1},
		"both":      {FragmentSize: 1000, WriteSize: 17},
		"split":     {SplitFrames: 5},
		"merged":    {MergeMessages: 4},
		"empty":     {EmptyFrames: true},
		"late":      {Suffix: fakegateway.SuffixLate},
		"latency":   {Latency: 5 * time.Millisecond},
	} {
		srv := start(t, fakegateway.Options{Faults: f})
		c := online(t, srv, "?compress=zlib-stream")
		c.send(`{"op":1,"d":null}`)
		c.until(11, "")
		if name == "split" && len(c.frames[0]) != 5 {
			t.Errorf("the first frame has %d bytes", len(c.frames[0]))
		}
		if name == "empty" && len(c.frames[0]) != 0 {
			t.Errorf("the first frame has %d bytes", len(c.frames[0]))
		}
	}
}

func TestServerMissingSuffix(t *testing.T) {
	srv := start(t, fakegateway.Options{Faults: fakegateway.Faults{Suffix: fakegateway.SuffixNone}})
	c := dial(t, srv, "?compress=zlib-stream")
	for range 2 {
		data, _, err := c.rawFrame()
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(string(data), "\x00\x00\xff\xff") {
			t.Error("the suffix is there")
		}
		c.send(`{"op":1,"d":null}`)
	}
}

func TestServerRawAndTruncated(t *testing.T) {
	srv := start(t, fakegateway.Options{})
	c := online(t, srv, "?compress=zlib-stream")
	srv.Send(fakegateway.Target{}, `{"op":99,"d":{}}`)
	if m := c.next(); m.Op != 99 {
		t.Errorf("got %s", m)
	}
	srv.SendFrame(fakegateway.Target{}, []byte(`{malformed`), false)
	data, binary, err := c.rawFrame()
	if string(data) != `{malformed` || binary || err != nil {
		t.Errorf("got %q, %v, %v", data, binary, err)
	}
	srv.SendFrame(fakegateway.Target{}, nil, true)
	if data, binary, err := c.rawFrame(); len(data) != 0 || !binary || err != nil {
		t.Errorf("got %q, %v, %v", data, binary, err)
	}
	srv.Do(func(now time.Duration, e *fakegateway.Engine) {
		e.Truncate(now, fakegateway.Target{}, fakegateway.Event{Name: "X", Data: []byte("null")}, 5, 4000)
	})
	if data, _, _ := c.rawFrame(); len(data) != 5 {
		t.Errorf("the truncated frame has %d bytes", len(data))
	}
	c.wantClosed(4000)
}

func TestServerFlood(t *testing.T) {
	srv := start(t, fakegateway.Options{})
	const n = 1200
	c := online(t, srv, "?compress=zstd-stream")
	srv.Flood(fakegateway.Target{}, n, srv.World().Mix(100, fakegateway.MixOptions{Presence: 4000, Message: 6000})...)
	most := 0
	for i := range n {
		if m := c.next(); m.S == nil || *m.S != int64(4+i) {
			t.Fatalf("event %d is %s", i, m)
		}
		c.got, c.frames = nil, nil
		if i%1000 == 0 {
			most = max(most, srv.State().Conns[0].Backlog)
		}
	}
	if most > 3<<20 {
		t.Errorf("up to %d bytes waited", most)
	}
}

func TestServerHugeMessage(t *testing.T) {
	srv := start(t, fakegateway.Options{})
	for _, query := range []string{"", "?compress=zlib-stream", "?compress=zstd-stream"} {
		c := online(t, srv, query)
		srv.Dispatch("HUGE", strings.Repeat("x", 2<<20))
		if m := c.until(0, "HUGE"); len(m.D) != 2<<20+2 {
			t.Errorf("%s: got %d bytes", query, len(m.D))
		}
		c.ws.CloseNow()
	}
}

func TestServerResume(t *testing.T) {
	srv := start(t, fakegateway.Options{Profile: documented})
	c := dial(t, srv, "?v=9")
	ready := c.ready()
	if got := ready.field("resume_gateway_url"); got != srv.URL() {
		t.Errorf("the resume URL is %s, want %s", got, srv.URL())
	}
	srv.Drop(fakegateway.Target{})
	c.wantClosed(1006)
	until(t, srv, func(s fakegateway.State) bool { return len(s.Sessions[0].Conns) == 0 })
	srv.Dispatch("MISSED", nil)
	c = dial(t, srv, "?v=9")
	c.send(resume(ready.field("session_id"), 4))
	c.until(0, "MISSED")
	if m := c.next(); m.T != "RESUMED" || *m.S != 6 {
		t.Errorf("got %s", m)
	}
}

func TestServerDeadlines(t *testing.T) {
	srv := start(t, fakegateway.Options{Interval: 100 * time.Millisecond, IdentifyWithin: -1})
	c := online(t, srv, "")
	c.wantClosed(4009)
	if err := srv.SetInterval(time.Hour); err != nil {
		t.Fatal(err)
	}
	if m := dial(t, srv, "").next(); string(m.D) != `{"heartbeat_interval":3600000}` {
		t.Errorf("Hello says %s", m.D)
	}
	if srv.SetInterval(0) == nil {
		t.Error("an interval of 0 is taken")
	}
}

func TestServerControls(t *testing.T) {
	srv := start(t, fakegateway.Options{Profile: documented})
	srv.SetResumeURL("ws://127.0.0.1:1")
	c := dial(t, srv, "")
	if got := c.ready().field("resume_gateway_url"); got != "ws://127.0.0.1:1" {
		t.Errorf("the resume URL is %s", got)
	}
	everybody := fakegateway.Target{}
	for _, tc := range []struct {
		name string
		do   func() int
		op   int
		d    string
	}{
		{"heartbeat", func() int { return srv.RequestHeartbeat(everybody) }, 1, "null"},
		{"reconnect", func() int { return srv.Reconnect(everybody, -1, false) }, 7, "null"},
		{"delayed reconnect", func() int { return srv.Reconnect(everybody, time.Second, false) }, 7, "1000"},
		{"resumable", func() int { return srv.InvalidSession(fakegateway.Target{Conn: 1}, "true") }, 9, "true"},
	} {
		if n := tc.do(); n != 1 {
			t.Errorf("%s reaches %d connections", tc.name, n)
		}
		if m := c.next(); m.Op != tc.op || string(m.D) != tc.d {
			t.Errorf("%s: got %s", tc.name, m.text)
		}
	}
	if n := srv.Forget(fakegateway.Target{Conn: 2}); n != 0 {
		t.Errorf("forgot %d sessions of no connection", n)
	}
	if n := srv.Forget(fakegateway.Target{Conn: 1}); n != 1 {
		t.Errorf("forgot %d sessions", n)
	}
	c.send(aliceIdentify)
	c.until(0, "PRESENCE_UPDATE")
	if n := srv.RemoveSession(fakegateway.Target{User: "alice"}); n != 1 {
		t.Errorf("removed %d sessions", n)
	}
	c.until(9, "")
	c.wantClosed(4006)
	c = online(t, srv, "")
	srv.Shutdown()
	c.until(7, "")
	c.wantClosed(1000)
	if _, err := srv.DispatchTo(everybody, "X", func() {}); err == nil {
		t.Error("a function is taken for a payload")
	}
	if w := srv.World(); w.Guild(w.Guilds[0].ID) == nil || w.Channel(w.Private[0].ID) == nil || w.Channel("1") != nil {
		t.Error("the copy of the world does not find what is in it")
	}
}

func TestServerLife(t *testing.T) {
	srv := start(t, fakegateway.Options{Life: 200})
	c := online(t, srv, "")
	c.until(0, "MESSAGE_CREATE")
	c.until(0, "TYPING_START")
	srv.Life(0)
}

func TestMounted(t *testing.T) {
	srv, err := fakegateway.New(fakegateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	mux := http.NewServeMux()
	mux.Handle("/", srv)
	host := httptest.NewServer(mux)
	defer host.Close()
	if srv.URL() != "" {
		t.Errorf("the URL is %s", srv.URL())
	}
	url := "ws" + strings.TrimPrefix(host.URL, "http")
	ws, _, err := websocket.Dial(ctxFor(t), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(-1)
	c := &client{t: t, ws: ws, dec: newDecoder("", spacebar)}
	if got := c.ready().field("resume_gateway_url"); got != url {
		t.Errorf("the resume URL is %s, want %s", got, url)
	}
	srv.Close()
	c.wantClosed(1006)
	if resp, err := http.Get(host.URL); err != nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after the end: %v, %v", resp, err)
	}
}

func TestStartFails(t *testing.T) {
	srv := start(t, fakegateway.Options{})
	if _, err := fakegateway.Start(fakegateway.Options{Addr: strings.TrimPrefix(srv.HTTPURL(), "http://")}); err == nil || !strings.HasPrefix(err.Error(), "fakegateway: ") {
		t.Errorf("got %v", err)
	}
}

// TestNothingRemains uses all that starts a goroutine and wants none to be left
// when Close returns.
func TestNothingRemains(t *testing.T) {
	http.DefaultClient.CloseIdleConnections()
	before := runtime.NumGoroutine()
	srv, err := fakegateway.Start(fakegateway.Options{Life: 100, Control: true})
	if err != nil {
		t.Fatal(err)
	}
	var dialing sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	for i := range 8 {
		if i == 4 {
			srv.OnConn(func(_ int, c *fakegateway.Conn) { c.WaitFor(99) })
		}
		ws, _, err := websocket.Dial(ctx, srv.URL()+all[i%len(all)], nil)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.CloseNow()
		if i%2 == 0 {
			ws.Write(ctx, websocket.MessageText, []byte(aliceIdentify))
		}
	}
	srv.SetFaults(fakegateway.Target{}, fakegateway.Faults{HangDial: true})
	srv.Freeze(fakegateway.Target{Conn: 2}, true)
	srv.CloseConns(fakegateway.Target{Conn: 3}, 4000, "") // nobody confirms this close
	srv.Flood(fakegateway.Target{}, 1e6)                  // nobody reads this
	dialing.Add(3)
	go func() {
		defer dialing.Done()
		websocket.Dial(ctx, srv.URL(), nil)
	}()
	go func() {
		defer dialing.Done()
		srv.Wait(ctx, func(fakegateway.State) bool { return false })
	}()
	go func() {
		defer dialing.Done()
		srv.Control(ctx, []byte(`{"action":"wait","op":98}`))
	}()
	until(t, srv, func(s fakegateway.State) bool { return s.Counters.Refused == 1 })
	srv.Close()
	srv.Close() // again is fine
	dialing.Wait()
	cancel()
	var stacks []byte
	for end := time.Now().Add(wait); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		http.DefaultClient.CloseIdleConnections()
		if runtime.NumGoroutine() <= before {
			return
		}
		stacks = make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if !strings.Contains(string(stacks), "fakegateway.(*") {
			return // what is left is the client's and the HTTP library's
		}
	}
	t.Errorf("goroutines are left:\n%s", stacks)
}

func BenchmarkFlood(b *testing.B) {
	for _, query := range all[:3] {
		b.Run(query, func(b *testing.B) {
			srv, err := fakegateway.Start(fakegateway.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer srv.Close()
			c := online(b, srv, query)
			events := srv.World().Mix(500, fakegateway.MixOptions{Presence: 600, Message: 900})
			b.ResetTimer()
			srv.Flood(fakegateway.Target{}, b.N, events...)
			for range b.N {
				if _, _, err := c.ws.Read(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
