package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

// TestMain holds that nothing of all the connections of all tests is left.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	deadline := time.Now().Add(10 * time.Second)
	for code == 0 && runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			fmt.Printf("%d goroutines are left:\n%s\n", runtime.NumGoroutine()-before, buf[:runtime.Stack(buf, true)])
			code = 1
			break
		}
		http.DefaultClient.CloseIdleConnections()
		runtime.Gosched()
	}
	os.Exit(code)
}

func serve(t *testing.T, o fakegateway.Options) *fakegateway.Server {
	t.Helper()
	srv, err := fakegateway.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv
}

func context10(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func connect(t *testing.T, srv *fakegateway.Server, change ...func(*gateway.Options)) *gateway.Handle {
	t.Helper()
	opts := gateway.Options{Token: fakegateway.AliceToken}
	for _, f := range change {
		f(&opts)
	}
	h, err := gateway.Connect(context10(t), srv.URL(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// collector gathers what an observer sees.
type collector[T any] struct {
	mu   sync.Mutex
	list []T
	more chan struct{}
}

func collect[T any]() *collector[T] { return &collector[T]{more: make(chan struct{}, 1)} }

func (c *collector[T]) add(v T) {
	c.mu.Lock()
	c.list = append(c.list, v)
	c.mu.Unlock()
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// wait waits until enough says so of what has been gathered.
func (c *collector[T]) wait(t *testing.T, what string, enough func([]T) bool) []T {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		c.mu.Lock()
		list := slices.Clone(c.list)
		c.mu.Unlock()
		if enough(list) {
			return list
		}
		select {
		case <-c.more:
		case <-late:
			t.Fatalf("waited in vain for %s; there is %v", what, list)
		}
	}
}

func atLeast[T any](n int) func([]T) bool { return func(l []T) bool { return len(l) >= n } }

func TestConnectObserveSend(t *testing.T) {
	for _, profile := range []fakegateway.Profile{fakegateway.Documented, fakegateway.Spacebar} {
		t.Run(profile.String(), func(t *testing.T) {
			srv := serve(t, fakegateway.Options{Profile: profile})
			ready := collect[*event.Ready]()
			states := collect[gateway.State]()
			h := connect(t, srv, func(o *gateway.Options) {
				o.MaxMessage = gateway.SpacebarMaxMessage
				o.Setup = func(h *gateway.Handle) {
					gateway.Observe(h, ready.add)
					h.ObserveState(func(s gateway.StateChange) { states.add(s.State) })
				}
			})
			if r := ready.wait(t, "READY", atLeast[*event.Ready](1)); r[0].User.Username != "alice" || len(r[0].Guilds) != 2 {
				t.Fatalf("READY for %s in %d guilds", r[0].User.Username, len(r[0].Guilds))
			}
			want := []gateway.State{gateway.StateDialing, gateway.StateAwaitingHello, gateway.StateIdentifying, gateway.StateReady}
			if s := states.wait(t, "states", atLeast[gateway.State](4)); !slices.Equal(s[:4], want) {
				t.Fatalf("states %v", s)
			}
			if s, ok := h.Session(); !ok || s.ID == "" || h.State() != gateway.StateReady {
				t.Fatalf("session %+v, %v", s, ok)
			}

			messages := collect[*event.MessageCreate]()
			stop := gateway.Observe(h, messages.add)
			send := func(content string) {
				if _, err := srv.Dispatch("MESSAGE_CREATE", map[string]any{"id": "1", "channel_id": "2", "content": content, "author": map[string]any{"id": "3", "username": "bob"}}); err != nil {
					t.Fatal(err)
				}
			}
			send("one")
			send("two")
			got := messages.wait(t, "messages", func(l []*event.MessageCreate) bool { return len(l) > 0 && l[len(l)-1].Content == "two" })
			if got[len(got)-2].Content != "one" || got[len(got)-1].Author.Username != "bob" {
				t.Fatalf("messages %v", got)
			}
			stop()
			stop() // again does nothing

			ctx := context10(t)
			guild := srv.World().Guilds[0]
			id := func(s string) event.Snowflake { n, _ := event.ParseSnowflake(s); return n }
			members, err := h.RequestGuildMembers(ctx, event.RequestGuildMembers{GuildID: event.Snowflakes{id(guild.ID)}, Query: event.Some(""), Limit: event.Some(0)})
			if err != nil || len(members.Members) < 10 {
				t.Fatalf("members: %+v, %v", members, err)
			}
			members, err = h.RequestGuildMembers(ctx, event.RequestGuildMembers{GuildID: event.Snowflakes{id(guild.ID)}, UserIDs: event.Some(event.Snowflakes{12345}), Presences: event.Some(true)})
			if err != nil || len(members.Members) != 0 || !slices.Equal(members.NotFound, []event.Snowflake{12345}) {
				t.Fatalf("members: %+v, %v", members, err)
			}
			var voice, text event.Snowflake
			for _, c := range guild.Channels {
				switch c.Type {
				case 0:
					text = id(c.ID)
				case 2:
					voice = id(c.ID)
				}
			}
			join := event.UpdateVoiceState{GuildID: event.Some(id(guild.ID)), ChannelID: event.Some(voice), SelfMute: true}
			v, err := h.UpdateVoiceState(ctx, join)
			if err != nil || v.State.ChannelID.Value() != voice || v.Server == nil || v.Server.Endpoint.Value() == "" {
				t.Fatalf("voice: %+v, %v", v, err)
			}
			join.SelfMute = false
			if v, err = h.UpdateVoiceState(ctx, join); err != nil || v.State.SelfMute || v.Server != nil {
				t.Fatalf("unmute: %+v, %v", v, err)
			}
			if v, err = h.UpdateVoiceState(ctx, event.UpdateVoiceState{GuildID: event.Some(id(guild.ID)), ChannelID: event.Null[event.Snowflake]()}); err != nil || v.State.ChannelID.IsSet() {
				t.Fatalf("leave: %+v, %v", v, err)
			}
			if err := h.SendUpdatePresence(ctx, event.UpdatePresence{Status: event.StatusDND, Since: event.Null[int64]()}); err != nil {
				t.Fatal(err)
			}
			if profile == fakegateway.Documented {
				last, err := h.RequestLastMessages(ctx, event.RequestLastMessages{GuildID: id(guild.ID), ChannelIDs: []event.Snowflake{text}})
				if err != nil || len(last.Messages) == 0 {
					t.Fatalf("last messages: %+v, %v", last, err)
				}
			}
			list, err := h.LazyRequest(ctx, event.LazyRequest{GuildID: id(guild.ID), Channels: event.Some(map[event.Snowflake][][2]int{text: {{0, 99}}})})
			if err != nil || len(list.Ops) == 0 {
				t.Fatalf("lazy request: %+v, %v", list, err)
			}
			if info, err := h.RequestChannelInfo(ctx, event.RequestChannelInfo{GuildID: id(guild.ID), Fields: []event.ChannelInfoField{"status", "voice_start_time"}}); err != nil || info.GuildID != id(guild.ID) {
				t.Fatalf("channel info: %+v, %v", info, err)
			}
			n := 0
			for chunk, err := range h.GuildMemberChunks(ctx, event.RequestGuildMembers{GuildID: event.Snowflakes{id(guild.ID)}, Query: event.Some(""), Limit: event.Some(0)}) {
				if err != nil || chunk.ChunkIndex != n {
					t.Fatalf("chunk %d: %+v, %v", n, chunk, err)
				}
				n++
			}
			if n == 0 {
				t.Fatal("no chunk")
			}
			if err := h.SendOp(ctx, 1, json.RawMessage("null")); err != nil {
				t.Fatal(err)
			}

			stats := h.Stats()
			if stats.Dials != 1 || stats.Events["READY"] != 1 || stats.BytesReceived == 0 || stats.BytesSent == 0 {
				t.Fatalf("stats %+v", stats)
			}
			h.Close()
			if err := h.Err(); h.State() != gateway.StateClosed || !waitDone(h) || !errors.Is(h.Err(), gateway.ErrClosed) {
				t.Fatalf("after Close: %v, %v", h.State(), err)
			}
			if err := h.SendUpdatePresence(ctx, event.UpdatePresence{Status: event.StatusOnline}); !errors.Is(err, gateway.ErrClosed) {
				t.Fatalf("send after Close: %v", err)
			}
			if err := srv.Wait(ctx, func(s fakegateway.State) bool { return !s.Conns[0].Open && s.Conns[0].ClientCode == 1000 }); err != nil {
				t.Fatal(err)
			}
			if ua := srv.State().Conns[0].UserAgent; !strings.HasPrefix(ua, "spacebar-gateway/") {
				t.Fatalf("User-Agent %q", ua)
			}
		})
	}
}

func waitDone(h *gateway.Handle) bool {
	select {
	case <-h.Done():
		return true
	case <-time.After(20 * time.Second):
		return false
	}
}

// TestCaptures plays what a real server sent, in every transport and every
// probe: each message is dispatched exactly once, in order, with the payload
// that the capture expects.
func TestCaptures(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../test/captures/*.jsonl", "../test/captures/probes/*.jsonl"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if !strings.HasSuffix(f, ".expected.jsonl") {
				files = append(files, f)
			}
		}
	}
	if len(files) < 60 {
		t.Fatalf("only %d captures found", len(files))
	}
	var total atomic.Int64
	t.Run("all", func(t *testing.T) {
		for _, file := range files {
			capture, err := fakegateway.LoadCapture(file)
			if err != nil {
				t.Fatal(err)
			}
			t.Run(capture.Name, func(t *testing.T) {
				t.Parallel()
				total.Add(int64(playCapture(t, capture)))
			})
		}
	})
	if total.Load() != 928 {
		t.Fatalf("%d events in all captures, want 928", total.Load())
	}
}

func playCapture(t *testing.T, capture *fakegateway.Capture) int {
	srv := serve(t, fakegateway.Options{Playback: []*fakegateway.Capture{capture}})
	type message struct {
		Op int
		T  string
		S  *int64
		D  any
	}
	var want []message
	for _, text := range capture.Expected {
		var m message
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		if m.Op == 0 {
			want = append(want, m)
		}
	}
	events := collect[*gateway.Event]()
	query := capture.Values()
	compression := gateway.Compression(query.Get("compress"))
	if compression == "" || compression == "gzip" {
		compression = gateway.CompressionNone
	}
	ctx := context10(t)
	h, err := gateway.Spawn(ctx, srv.URL(), gateway.Options{
		Encoding: gateway.Encoding(query.Get("encoding")), Compression: compression, Attempts: 1,
		Setup: func(h *gateway.Handle) {
			h.ObserveEvents(events.add)
			h.ObserveState(func(s gateway.StateChange) {
				if s.State == gateway.StateConnected {
					id := event.IdentifyCommon()
					id.Token = fakegateway.AliceToken
					_ = h.SendIdentify(ctx, id) // some captures have closed by now
				}
			})
		},
	})
	if err != nil && len(want) > 0 {
		t.Fatal(err)
	}
	got := events.wait(t, "the capture's events", atLeast[*gateway.Event](len(want)))
	if h != nil {
		h.Close()
	}
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
	for i, e := range got {
		var d any
		if err := json.Unmarshal(e.Data, &d); err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
		seq := int64(-1)
		if want[i].S != nil {
			seq = *want[i].S
		}
		if e.Name != want[i].T || e.Seq != seq || !reflect.DeepEqual(d, want[i].D) {
			t.Fatalf("event %d is %s %d %s\nwant %s %d %v", i, e.Name, e.Seq, e.Data, want[i].T, seq, want[i].D)
		}
		if _, err := e.Payload(); err != nil {
			t.Fatalf("event %d, %s: %v", i, e.Name, err)
		}
	}
	return len(got)
}

func TestResume(t *testing.T) {
	srv := serve(t, fakegateway.Options{Profile: fakegateway.Documented})
	counts := collect[string]()
	gaps := collect[gateway.Gap]()
	resumed := collect[bool]()
	h := connect(t, srv, func(o *gateway.Options) {
		o.Setup = func(h *gateway.Handle) {
			h.ObserveEvents(func(e *gateway.Event) { counts.add(string(e.Data)) }, "COUNT")
			h.ObserveGaps(gaps.add)
			h.ObserveState(func(s gateway.StateChange) {
				if s.State == gateway.StateReady {
					resumed.add(s.Resumed)
				}
			})
		}
	})
	n := 0
	for round := range 5 {
		for range 20 {
			srv.Dispatch("COUNT", n)
			n++
		}
		if round%2 == 0 {
			srv.Drop(fakegateway.Target{})
		} else {
			srv.Reconnect(fakegateway.Target{}, -1, false)
		}
		for range 20 {
			srv.Dispatch("COUNT", n)
			n++
		}
		resumed.wait(t, "a resume", atLeast[bool](round+2))
	}
	for i, got := range counts.wait(t, "all events", atLeast[string](n)) {
		if got != fmt.Sprint(i) {
			t.Fatalf("event %d is %s", i, got)
		}
	}
	h.Close()
	if len(gaps.list) != 0 || srv.State().Counters.Identifies != 1 {
		t.Fatalf("%d gaps, %d Identifies", len(gaps.list), srv.State().Counters.Identifies)
	}
}

func TestGapOnSpacebar(t *testing.T) {
	srv := serve(t, fakegateway.Options{})
	gaps := collect[gateway.Gap]()
	before := time.Now()
	connect(t, srv, func(o *gateway.Options) {
		o.Setup = func(h *gateway.Handle) { h.ObserveGaps(gaps.add) }
	})
	srv.Drop(fakegateway.Target{})
	g := gaps.wait(t, "a gap", atLeast[gateway.Gap](1))[0]
	if !g.SessionLost || g.LastSeq < 0 || g.DisconnectedAt.Before(before) || g.ReconnectedAt.Sub(g.DisconnectedAt) < time.Second || time.Since(g.ReconnectedAt) > 10*time.Second {
		t.Fatalf("gap %+v", g)
	}
}

func TestSpawnAndRestore(t *testing.T) {
	srv := serve(t, fakegateway.Options{Profile: fakegateway.Documented})
	ctx := context10(t)
	spawn := func() *gateway.Handle {
		h, err := gateway.Spawn(ctx, srv.URL(), gateway.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close() })
		return h
	}
	h := spawn()
	if err := h.SendUpdatePresence(ctx, event.UpdatePresence{Status: event.StatusOnline}); !errors.Is(err, gateway.ErrNotReady) {
		t.Fatalf("presence before Identify: %v", err)
	}
	id := event.IdentifyCommon()
	if _, err := h.Identify(ctx, id); !errors.Is(err, gateway.ErrInvalidPayload) {
		t.Fatalf("Identify without token: %v", err)
	}
	id.Token = fakegateway.AliceToken
	ready, err := h.Identify(ctx, id)
	if err != nil || ready.User.Username != "alice" {
		t.Fatalf("%+v, %v", ready, err)
	}
	if err := h.SendIdentify(ctx, id); !errors.Is(err, gateway.ErrAlreadyIdentified) {
		t.Fatalf("second Identify: %v", err)
	}
	s, ok := h.CloseResumable()
	if !ok {
		t.Fatal("no session to resume")
	}

	h = spawn()
	if _, err := h.Resume(ctx, event.Resume{Token: fakegateway.AliceToken, SessionID: s.ID, Seq: s.Seq}); err != nil {
		t.Fatal(err)
	}
	s, _ = h.CloseResumable()
	resumed := false
	h = connect(t, srv, func(o *gateway.Options) {
		o.Session = &s
		o.Setup = func(h *gateway.Handle) {
			h.ObserveState(func(c gateway.StateChange) { resumed = resumed || c.Resumed })
		}
	})
	h.Close()
	if waitDone(h); !resumed || srv.State().Counters.Identifies != 1 {
		t.Fatalf("resumed: %v, %d Identifies", resumed, srv.State().Counters.Identifies)
	}
	h = spawn()
	if _, err := h.Resume(ctx, event.Resume{Token: fakegateway.AliceToken, SessionID: "nobody's", Seq: 5}); !errors.Is(err, gateway.ErrDisconnected) {
		t.Fatalf("resume of an unknown session: %v", err)
	}
	if h.State() != gateway.StateConnected {
		t.Fatalf("then %v", h.State())
	}
}

func TestObservers(t *testing.T) {
	srv := serve(t, fakegateway.Options{Profile: fakegateway.Documented})
	h := connect(t, srv)
	log := collect[string]()
	errs := collect[error]()
	h.ObserveErrors(errs.add)
	note := func(who string) func(*event.MessageDelete) {
		return func(m *event.MessageDelete) { log.add(fmt.Sprintf("%s %d", who, m.ID)) }
	}
	gateway.Observe(h, note("first"))
	gateway.Observe(h, func(*event.MessageDelete) { panic("on purpose") })
	var stopSelf func()
	ready := make(chan struct{})
	stopSelf = gateway.Observe(h, func(m *event.MessageDelete) {
		<-ready
		note("self")(m)
		stopSelf()
	})
	close(ready)
	gateway.Once(h, note("once"))
	gateway.Subscribe(h, updater{log})
	clone := h.Clone()
	gateway.Observe(clone, note("clone"))
	names := collect[string]()
	h.ObserveEvents(func(e *gateway.Event) {
		p, err := e.Payload()
		names.add(fmt.Sprintf("%s %T %v", e.Name, p, err))
	}, "MESSAGE_DELETE", "NOBODYS")
	dispatch := func(name string, id int) { srv.Dispatch(name, map[string]any{"id": fmt.Sprint(id), "channel_id": "1"}) }

	dispatch("MESSAGE_DELETE", 1)
	dispatch("NOBODYS", 2)
	if got := names.wait(t, "NOBODYS", atLeast[string](2)); got[0] != "MESSAGE_DELETE *event.MessageDelete <nil>" || got[1] != "NOBODYS <nil> event: unknown event" {
		t.Fatalf("many events: %q", got)
	}
	if got := log.wait(t, "the first round", atLeast[string](5)); !slices.Equal(got, []string{"first 1", "self 1", "once 1", "value 1 MESSAGE_DELETE", "clone 1"}) {
		t.Fatalf("first round: %q", got)
	}
	if e := errs.wait(t, "the panic", atLeast[error](1))[0]; !errors.Is(e, gateway.ErrObserverPanic) || !strings.Contains(e.Error(), "on purpose") {
		t.Fatalf("panic: %v", e)
	}
	clone.Close()
	if h.State() != gateway.StateReady {
		t.Fatal("closing a clone closed the connection")
	}
	dispatch("MESSAGE_DELETE", 3)
	if got := log.wait(t, "the second round", atLeast[string](7)); !slices.Equal(got[5:], []string{"first 3", "value 3 MESSAGE_DELETE"}) {
		t.Fatalf("second round: %q", got[5:])
	}

	// Waiting and iterating.
	ctx := context10(t)
	found := make(chan event.Snowflake, 1)
	go func() {
		m, err := gateway.WaitFor(ctx, h, func(m *event.MessageDelete) bool { return m.ID == 12 })
		if err == nil {
			found <- m.ID
		}
	}()
	iterated := make(chan []event.Snowflake, 1)
	go func() {
		var ids []event.Snowflake
		for m := range gateway.Events[*event.MessageDelete](ctx, h) {
			ids = append(ids, m.ID)
			if len(ids) == 3 {
				break
			}
		}
		iterated <- ids
	}()
	for subscribed := false; !subscribed; runtime.Gosched() {
		// Both are there when an event reaches both; it takes a moment.
		dispatch("MESSAGE_DELETE", 12)
		select {
		case id := <-found:
			subscribed = id == 12
		default:
		}
	}
	for len(iterated) == 0 {
		dispatch("MESSAGE_DELETE", 13)
		runtime.Gosched()
	}
	if ids := <-iterated; len(ids) != 3 {
		t.Fatalf("iterated over %v", ids)
	}
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if _, err := gateway.WaitFor[*event.GuildDelete](short, h, nil); !errors.Is(err, gateway.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("WaitFor with a short context: %v", err)
	}
	done := make(chan error, 2)
	go func() {
		_, err := gateway.WaitFor[*event.GuildDelete](ctx, h, nil)
		done <- err
	}()
	go func() {
		for range gateway.Events[*event.GuildDelete](ctx, h) {
		}
		done <- gateway.ErrClosed
	}()
	h.Close()
	for range 2 {
		if err := <-done; !errors.Is(err, gateway.ErrClosed) {
			t.Fatalf("a wait ended with %v", err)
		}
	}
}

type updater struct{ log *collector[string] }

func (u updater) Update(m *event.MessageDelete, e *gateway.Event) {
	u.log.add(fmt.Sprintf("value %d %s", m.ID, e.Name))
}

type updateFunc func(m *event.MessageDelete, e *gateway.Event)

func (f updateFunc) Update(m *event.MessageDelete, e *gateway.Event) { f(m, e) }

// What an observer was given stays what it was, however many events come after it:
// payloads in any case, and the text of an event if the observer is given one.
func TestEventsAreKept(t *testing.T) {
	srv := serve(t, fakegateway.Options{Profile: fakegateway.Documented})
	h := connect(t, srv)
	const count = 300
	text := func(i int) string {
		filler := strings.Repeat(string(rune('a'+i%26)), 30*i) // the last are longer than a block
		return fmt.Sprintf(`{"id":"%d","channel_id":"%d","new":"%s"}`, i, 2*i, filler)
	}
	payloads := collect[*event.MessageDelete]()
	raw, late := collect[*gateway.Event](), collect[*gateway.Event]()
	gateway.Observe(h, func(m *event.MessageDelete) {
		payloads.add(m)
		if m.ID == count/2 { // the text of those that wait is wanted from here on
			h.ObserveEvents(late.add, m.EventName())
		}
	})
	h.ObserveEvents(raw.add, "RAW")
	for i := 1; i <= count; i++ {
		for _, name := range []string{"MESSAGE_DELETE", "RAW"} {
			if _, err := srv.Dispatch(name, json.RawMessage(text(i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, e := range raw.wait(t, "all events", atLeast[*gateway.Event](count)) {
		if e.Name != "RAW" || string(e.Data) != text(i+1) {
			t.Fatalf("%s %d became %.60s", e.Name, i+1, e.Data)
		}
	}
	for i, m := range payloads.wait(t, "all payloads", atLeast[*event.MessageDelete](count)) {
		i++
		if field := m.Unknown.Get("new"); m.ID != event.Snowflake(i) || len(field) != 2+30*i || !strings.Contains(text(i), string(field)) {
			t.Fatalf("payload %d became %d, %.60s", i, m.ID, field)
		}
	}
	for i, e := range late.wait(t, "the later events", atLeast[*gateway.Event](count-count/2)) {
		i += count/2 + 1
		if p, err := e.Payload(); string(e.Data) != text(i) || err != nil || p.(*event.MessageDelete).ID != event.Snowflake(i) {
			t.Fatalf("event %d became %.60s, %v", i, e.Data, err)
		}
	}
}

// An event that observers keep may be decoded by their goroutines while others are
// told of it; the race detector watches.
func TestEventIsShared(t *testing.T) {
	srv := serve(t, fakegateway.Options{Profile: fakegateway.Documented})
	h := connect(t, srv)
	errs := collect[error]()
	h.ObserveErrors(errs.add)
	const count = 100
	var work sync.WaitGroup
	work.Add(2 * count)
	decode := func(e *gateway.Event) {
		go func() {
			defer work.Done()
			if p, err := e.Payload(); err != nil || p.(*event.MessageDelete).ChannelID != 7 || !json.Valid(e.Data) {
				t.Errorf("%+v, %v, %s", p, err, e.Data)
			}
		}()
	}
	got := collect[*event.MessageDelete]()
	h.ObserveEvents(decode, "MESSAGE_DELETE")
	gateway.Subscribe(h, updateFunc(func(_ *event.MessageDelete, e *gateway.Event) { decode(e) }))
	gateway.Observe(h, got.add)
	for i := range count {
		rest := []string{"", `,"op":0`}[i%2] // behind the payload
		srv.Send(fakegateway.Target{}, fmt.Sprintf(`{"op":0,"t":"MESSAGE_DELETE","s":%d,"d":{"id":{"no":1},"channel_id":"7"}%s}`, 100+i, rest))
	}
	got.wait(t, "all events", atLeast[*event.MessageDelete](count))
	work.Wait()
	if e := errs.wait(t, "a warning of each", atLeast[error](count)); len(e) != count {
		t.Errorf("%d warnings of %d events", len(e), count)
	}
}

// A slow observer holds up neither heartbeats nor reading; what does not fit is
// dropped and reported.
func TestSlowObserver(t *testing.T) {
	srv := serve(t, fakegateway.Options{Profile: fakegateway.Documented, Interval: time.Second})
	errs := collect[error]()
	var seen atomic.Int64
	began, block := make(chan struct{}), make(chan struct{})
	h := connect(t, srv, func(o *gateway.Options) { o.EventQueue = 100 })
	h.ObserveErrors(errs.add)
	h.ObserveEvents(func(*gateway.Event) {
		if seen.Add(1) == 1 {
			close(began)
			<-block
		}
	}, "SLOW")
	srv.Dispatch("SLOW", 1)
	<-began
	for range 499 {
		srv.Dispatch("SLOW", 1)
	}
	// While the observer is stuck the server sees heartbeats.
	beats := srv.State().Counters.Heartbeats
	if err := srv.Wait(context10(t), func(s fakegateway.State) bool { return s.Counters.Heartbeats >= beats+3 }); err != nil {
		t.Fatal(err)
	}
	if h.State() != gateway.StateReady || h.Stats().Events["SLOW"] != 500 || srv.State().Counters.Dials != 1 {
		t.Fatalf("%v, %v events", h.State(), h.Stats().Events["SLOW"])
	}
	close(block)
	srv.Dispatch("SLOW", 2)
	e := errs.wait(t, "the overflow", atLeast[error](1))[0]
	if !errors.Is(e, gateway.ErrOverflow) || !strings.Contains(e.Error(), "SLOW is slow") {
		t.Fatalf("overflow: %v", e)
	}
	if d := h.Stats().Dropped; d < 390 || d > 400 {
		t.Fatalf("%d events dropped of 501, with room for 100", d)
	}
}

func TestBadEventCostsNothingElse(t *testing.T) {
	srv := serve(t, fakegateway.Options{Profile: fakegateway.Documented})
	h := connect(t, srv)
	errs := collect[error]()
	h.ObserveErrors(errs.add)
	got := collect[*event.MessageDelete]()
	gateway.Observe(h, got.add)
	srv.Send(fakegateway.Target{}, `{"op":0,"t":"MESSAGE_DELETE","s":100,"d":{"id":}}`)
	srv.Send(fakegateway.Target{}, `{"op":0,"t":"MESSAGE_DELETE","s":101,"d":{"id":{"no":1},"channel_id":"7"}}`)
	srv.Send(fakegateway.Target{}, `{"op":0,"t":"MESSAGE_DELETE","s":102,"d":{"id":9,"channel_id":"8"},"extra":{}}`)
	list := got.wait(t, "two events", atLeast[*event.MessageDelete](2))
	if list[0].ID != 0 || list[0].ChannelID != 7 || list[1].ID != 9 {
		t.Fatalf("got %+v %+v", list[0], list[1])
	}
	reported := errs.wait(t, "two errors", atLeast[error](2))
	for _, e := range reported {
		if !errors.Is(e, gateway.ErrDecode) || !strings.Contains(e.Error(), "MESSAGE_DELETE") {
			t.Fatalf("reported %v", e)
		}
	}
	if s, _ := h.Session(); s.Seq != 102 || h.State() != gateway.StateReady {
		t.Fatalf("seq %d, %v", s.Seq, h.State())
	}
}

// Every bad input is a clear error of its type, and shows no token.
func TestBadInput(t *testing.T) {
	srv := serve(t, fakegateway.Options{Profile: fakegateway.Documented})
	spacebar := serve(t, fakegateway.Options{})
	html := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>hello</html>") }))
	defer html.Close()
	ctx := context10(t)
	ok := gateway.Options{Token: "secret-token", Attempts: 1}
	with := func(f func(*gateway.Options)) gateway.Options { o := ok; f(&o); return o }
	for name, c := range map[string]struct {
		url  string
		opts gateway.Options
		want error
		text string
	}{
		"no URL":      {"", ok, gateway.ErrInvalidURL, "empty"},
		"http URL":    {"http://x", ok, gateway.ErrInvalidURL, "wss://"},
		"no token":    {srv.URL(), gateway.Options{}, gateway.ErrInvalidOption, "token"},
		"encoding":    {srv.URL(), with(func(o *gateway.Options) { o.Encoding = "xml" }), gateway.ErrInvalidOption, "xml"},
		"compression": {srv.URL(), with(func(o *gateway.Options) { o.Compression = "gzip" }), gateway.ErrInvalidOption, "gzip"},
		"max message": {srv.URL(), with(func(o *gateway.Options) { o.MaxMessage = 5 }), gateway.ErrInvalidOption, "512"},
		"event queue": {srv.URL(), with(func(o *gateway.Options) { o.EventQueue = -1 }), gateway.ErrInvalidOption, "queue"},
		"unreachable": {"ws://127.0.0.1:1/", ok, gateway.ErrDialFailed, "127.0.0.1:1"},
		"HTML":        {strings.Replace(html.URL, "http", "ws", 1), ok, gateway.ErrDialFailed, "200"},
		"wrong token": {srv.URL(), ok, gateway.ErrAuthentication, "4004"},
		"on Spacebar": {spacebar.URL(), gateway.Options{Token: "secret-token"}, gateway.ErrAuthentication, "4000"},
		"wrong shard": {spacebar.URL(), gateway.Options{Token: fakegateway.AliceToken, Identify: &event.Identify{Shard: event.Some([2]int{3, 2})}}, gateway.ErrInvalidPayload, "shard"},
	} {
		_, err := gateway.Connect(ctx, c.url, c.opts)
		if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.text) {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "secret-token") {
			t.Errorf("%s: the error shows the token", name)
		}
	}
	silent := serve(t, fakegateway.Options{Faults: fakegateway.Faults{NoHello: true}})
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := gateway.Connect(short, silent.URL(), ok); !errors.Is(err, gateway.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("silence: %v", err)
	}

	h := connect(t, srv)
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"func":    {h.SendOp(ctx, 3, func() {}), gateway.ErrInvalidPayload},
		"channel": {h.SendOp(ctx, 3, make(chan int)), gateway.ErrInvalidPayload},
		"raw":     {h.SendOp(ctx, 3, json.RawMessage("{")), gateway.ErrInvalidPayload},
		"large":   {h.SendOp(ctx, 3, strings.Repeat("x", 20000)), gateway.ErrMessageTooLarge},
		"missing": {h.SendUpdatePresence(ctx, event.UpdatePresence{}), gateway.ErrInvalidPayload},
		"range":   {h.SendRequestGuildMembers(ctx, event.RequestGuildMembers{GuildID: event.Snowflakes{1}, Limit: event.Some(500)}), gateway.ErrInvalidPayload},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	if h.State() != gateway.StateReady {
		t.Errorf("bad sends cost the connection: %v", h.State())
	}
	var e *gateway.Error
	if _, err := gateway.Connect(ctx, srv.URL(), ok); !errors.As(err, &e) || e.CloseCode != 4004 || !e.Fatal || !e.CloseCode.Policy().Fatal {
		t.Errorf("the error of a wrong token: %+v", e)
	}
}

// Connect that runs out of time says in one line what kept it.
func TestConnectSaysWhatKeptIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, opts := virtualServer(t, fakegateway.Options{Faults: fakegateway.Faults{RefuseStatus: 503}})
		opts.Attempts = -1
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := gateway.Connect(ctx, "ws://gateway.test/", opts)
		var kind *gateway.Error
		if !errors.Is(err, gateway.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, gateway.ErrDialFailed) || !errors.As(err, &kind) || kind.Code != "timeout" {
			t.Errorf("it is %v", err)
		}
		if text := fmt.Sprint(err); strings.Contains(text, "\n") || !strings.Contains(text, "503") || strings.Count(text, "gateway: ") != 1 {
			t.Errorf("it says %q", text)
		}
	})
}

// Who identifies by hand is told why the server does not want it.
func TestIdentifyRefused(t *testing.T) {
	srv := serve(t, fakegateway.Options{Profile: fakegateway.Documented})
	id := event.IdentifyCommon()
	id.Token = "wrong"
	for range 20 { // the answer and the end may come at the same moment
		h, err := gateway.Spawn(context10(t), srv.URL(), gateway.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Identify(context10(t), id); !errors.Is(err, gateway.ErrAuthentication) || !strings.Contains(err.Error(), "4004") || strings.Contains(err.Error(), "\n") {
			t.Fatalf("Identify with a wrong token: %v", err)
		}
		h.Close()
	}
}

// Events that came before the end of a handle are not lost to a slow loop, but are
// to one whose context ends.
func TestEventsAtTheEnd(t *testing.T) {
	quiet(t, func(t *testing.T, srv *fakegateway.Server, h *gateway.Handle) {
		const count = 50
		loop := func(ctx context.Context, seen *int, slow <-chan struct{}) later {
			return begin(func() error {
				for range gateway.Events[*event.GuildDelete](ctx, h) {
					*seen++
					<-slow
				}
				return nil
			})
		}
		var seen, unwanted int
		slow := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		patient, gone := loop(t.Context(), &seen, slow), loop(ctx, &unwanted, slow)
		for range count {
			dispatch(t, srv, "GUILD_DELETE", `{"id":"1"}`)
		}
		cancel()
		h.Close()
		<-h.Done()
		close(slow)
		if <-patient.err; seen != count {
			t.Errorf("the loop saw %d events of %d", seen, count)
		}
		if <-gone.err; unwanted != 1 {
			t.Errorf("the loop that was ended saw %d events", unwanted)
		}
	})
}

// What goes wrong while the last events are told is told as well, and logged.
func TestErrorsAtTheEnd(t *testing.T) {
	quiet(t, func(t *testing.T, srv *fakegateway.Server, h *gateway.Handle) {
		var errs []error
		h.ObserveErrors(func(err error) { errs = append(errs, err) })
		began, block := make(chan struct{}), make(chan struct{})
		h.ObserveEvents(func(*gateway.Event) {
			close(began)
			<-block
		}, "SLOW")
		gateway.Observe(h, func(*event.MessageDelete) { panic("oh") })
		dispatch(t, srv, "SLOW", "1")
		<-began
		dispatch(t, srv, "MESSAGE_DELETE", `{"id":{"no":1},"channel_id":"7"}`)
		h.Close()
		close(block)
		<-h.Done()
		if len(errs) != 2 || !errors.Is(errs[0], gateway.ErrDecode) || !errors.Is(errs[1], gateway.ErrObserverPanic) {
			t.Errorf("told of %v", errs)
		}
	})
}

// What has ended before it is sent is not sent.
func TestSendWithoutTime(t *testing.T) {
	srv := serve(t, fakegateway.Options{Profile: fakegateway.Documented})
	h := connect(t, srv)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.SendUpdatePresence(ctx, event.UpdatePresence{Status: event.StatusOnline}); !errors.Is(err, gateway.ErrTimeout) || !errors.Is(err, context.Canceled) {
		t.Errorf("it was sent: %v", err)
	}
	if err := h.SendUpdatePresence(t.Context(), event.UpdatePresence{Status: event.StatusIdle}); err != nil {
		t.Fatal(err)
	}
	if err := srv.Wait(context10(t), func(s fakegateway.State) bool { return received(s, 3) > 0 }); err != nil {
		t.Fatal(err)
	}
	if n := received(srv.State(), 3); n != 1 {
		t.Errorf("%d messages were sent", n)
	}
}

// The forms that wait for an answer do not wait for one that cannot come.
func TestAnswersThatDoNotCome(t *testing.T) {
	srv := serve(t, fakegateway.Options{Profile: fakegateway.Documented})
	ctx := context10(t)
	h := connect(t, srv)
	guild, _ := event.ParseSnowflake(srv.World().Guilds[0].ID)
	request := event.RequestGuildMembers{GuildID: event.Snowflakes{guild}, Query: event.Some(""), Limit: event.Some(0)}

	srv.SetFaults(fakegateway.Target{}, fakegateway.Faults{RateLimitRequests: 1})
	if _, err := h.RequestGuildMembers(ctx, request); !errors.Is(err, gateway.ErrRateLimited) {
		t.Fatalf("rate limited: %v", err)
	}
	if m, err := h.RequestGuildMembers(ctx, request); err != nil || len(m.Members) == 0 {
		t.Fatalf("afterwards: %v", err)
	}

	srv.SetFaults(fakegateway.Target{}, fakegateway.Faults{AnswerDelay: time.Hour})
	short, cancel := context.WithCancel(ctx)
	result := make(chan error, 1)
	go func() {
		_, err := h.RequestGuildMembers(short, request)
		result <- err
	}()
	if err := srv.Wait(ctx, func(s fakegateway.State) bool { return received(s, 8) == 3 }); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-result; !errors.Is(err, gateway.ErrTimeout) || !errors.Is(err, context.Canceled) {
		t.Fatalf("canceled: %v", err)
	}
	go func() {
		_, err := h.RequestGuildMembers(ctx, request)
		result <- err
	}()
	if err := srv.Wait(ctx, func(s fakegateway.State) bool { return received(s, 8) == 4 }); err != nil {
		t.Fatal(err)
	}
	srv.Drop(fakegateway.Target{})
	if err := <-result; !errors.Is(err, gateway.ErrDisconnected) {
		t.Fatalf("dropped: %v", err)
	}
	for _, err := range h.GuildMemberChunks(ctx, event.RequestGuildMembers{}) {
		if !errors.Is(err, gateway.ErrInvalidPayload) {
			t.Fatalf("chunks of a bad request: %v", err)
		}
	}
}

func received(s fakegateway.State, op int) (n int) {
	for _, c := range s.Conns {
		for _, m := range c.Received {
			if m.Op == op {
				n++
			}
		}
	}
	return n
}

// Closing works from everywhere, at any time.
func TestClose(t *testing.T) {
	srv := serve(t, fakegateway.Options{Profile: fakegateway.Documented})
	h := connect(t, srv)
	gateway.Observe(h, func(*event.MessageDelete) { h.Close() })
	srv.Dispatch("MESSAGE_DELETE", map[string]any{"id": "1", "channel_id": "1"})
	if !waitDone(h) {
		t.Fatal("closing from an observer hangs")
	}
	h.Close()

	// In Setup, before anything has happened.
	_, err := gateway.Connect(context10(t), srv.URL(), gateway.Options{Token: fakegateway.AliceToken, Setup: func(h *gateway.Handle) { h.Close() }})
	if !errors.Is(err, gateway.ErrClosed) {
		t.Fatalf("closed in Setup: %v", err)
	}

	// While dialing a server that does not answer, and on a frozen connection.
	hang := serve(t, fakegateway.Options{Faults: fakegateway.Faults{HangDial: true}})
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() {
		_, err := gateway.Connect(ctx, hang.URL(), gateway.Options{Token: "x"})
		result <- err
	}()
	if err := hang.Wait(context10(t), func(s fakegateway.State) bool { return s.Counters.Dials == 1 }); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Fatalf("canceled while dialing: %v", err)
	}
	h = connect(t, srv)
	srv.Freeze(fakegateway.Target{}, true)
	began := time.Now()
	h.Close()
	if !waitDone(h) || time.Since(began) > 10*time.Second {
		t.Fatal("closing a frozen connection hangs")
	}
	srv.Freeze(fakegateway.Target{}, false)
}

// Handles are used from many goroutines at once; the race detector watches.
func TestConcurrentUse(t *testing.T) {
	srv := serve(t, fakegateway.Options{Profile: fakegateway.Documented, RateLimit: -1})
	h := connect(t, srv, func(o *gateway.Options) { o.SendQueue = 10000 })
	ctx, cancel := context.WithCancel(context10(t))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for j := 0; ctx.Err() == nil && j < 200; j++ {
				switch (i + j) % 7 {
				case 0:
					stop := gateway.Observe(h, func(*event.MessageDelete) {})
					stop()
				case 1:
					c := h.Clone()
					gateway.Observe(c, func(*event.MessageDelete) {})
					c.Close()
				case 2:
					short, done := context.WithTimeout(ctx, time.Millisecond)
					_ = h.SendUpdatePresence(short, event.UpdatePresence{Status: event.StatusOnline})
					done()
				case 3:
					_, _, _, _ = h.State(), h.Latency(), h.Stats(), h.Err()
					h.Session()
				case 4:
					srv.Dispatch("MESSAGE_DELETE", map[string]any{"id": "1", "channel_id": "1"})
				case 5:
					h.Wake()
				case 6:
					if j%20 == 6 {
						srv.Drop(fakegateway.Target{})
					}
				}
			}
		}()
	}
	wg.Wait()
	cancel()
	h.Close()
	if !waitDone(h) {
		t.Fatal("not done")
	}
}
