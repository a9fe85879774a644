package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

// pipes is a network without sockets, so that it may be in a bubble of virtual
// time.
type pipes struct {
	conns chan net.Conn
	gone  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.gone:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) Close() error {
	close(p.gone)
	return nil
}

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.gone:
		return nil, net.ErrClosed
	}
}

// virtual runs a test in virtual time, with a connection to a fake gateway.
func virtual(t *testing.T, o fakegateway.Options, test func(t *testing.T, srv *fakegateway.Server, h *gateway.Handle)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv, opts := virtualServer(t, o)
		h, err := gateway.Connect(t.Context(), "ws://gateway.test/", opts)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		test(t, srv, h)
	})
}

func virtualServer(t *testing.T, o fakegateway.Options) (*fakegateway.Server, gateway.Options) {
	t.Helper()
	srv, err := fakegateway.New(o)
	if err != nil {
		t.Fatal(err)
	}
	p := &pipes{conns: make(chan net.Conn), gone: make(chan struct{})}
	web := &http.Server{Handler: srv}
	go func() { _ = web.Serve(p) }()
	t.Cleanup(func() {
		srv.Close()
		_ = web.Close()
	})
	return srv, gateway.Options{Token: fakegateway.AliceToken, HTTPClient: &http.Client{Transport: &http.Transport{DialContext: p.dial}}}
}

func snowflake(t *testing.T, id string) event.Snowflake {
	t.Helper()
	n, err := event.ParseSnowflake(id)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Every send that the server answers can wait for its answer.
func TestEveryAnswerCanBeWaitedFor(t *testing.T) {
	handle := reflect.TypeFor[*gateway.Handle]()
	n := 0
	for m := range handle.Methods() {
		name, sends := strings.CutPrefix(m.Name, "Send")
		if !sends || m.Type.NumIn() != 3 || !m.Type.In(2).Implements(reflect.TypeFor[event.Send]()) || m.Type.In(2).Kind() == reflect.Interface {
			continue
		}
		payload := reflect.Zero(m.Type.In(2)).Interface().(event.Send)
		if len(event.Answers(payload.Opcode())) == 0 || name == "UpdatePresence" { // which all sessions are told of, as of a change
			continue
		}
		if _, ok := handle.MethodByName(name); !ok {
			t.Errorf("%s has no form that waits for %v", m.Name, event.Answers(payload.Opcode()))
		}
		n++
	}
	if n < 26 {
		t.Errorf("only %d sends were found", n)
	}
}

func TestRequests(t *testing.T) {
	virtual(t, fakegateway.Options{Profile: fakegateway.Documented}, func(t *testing.T, srv *fakegateway.Server, h *gateway.Handle) {
		w := srv.World()
		g, other := snowflake(t, w.Guilds[0].ID), snowflake(t, w.Guilds[1].ID)
		text, voice, dm := snowflake(t, w.Guilds[0].Text().ID), snowflake(t, w.Guilds[0].Voice().ID), snowflake(t, w.Private[0].ID)
		otherText := snowflake(t, w.Guilds[1].Text().ID)
		ranges := func(channel event.Snowflake) event.Opt[map[event.Snowflake][][2]int] {
			return event.Some(map[event.Snowflake][][2]int{channel: {{0, 99}}})
		}
		ctx := t.Context()
		for name, ask := range map[string]func() (bool, error){
			"last messages": func() (bool, error) {
				a, err := h.RequestLastMessages(ctx, event.RequestLastMessages{GuildID: g, ChannelIDs: []event.Snowflake{text}})
				return err == nil && a.GuildID == g && a.Messages[0].ChannelID == text, err
			},
			"channel statuses": func() (bool, error) {
				a, err := h.RequestChannelStatuses(ctx, event.RequestChannelStatuses{GuildID: other})
				return err == nil && a.GuildID == other, err
			},
			"channel info": func() (bool, error) {
				a, err := h.RequestChannelInfo(ctx, event.RequestChannelInfo{GuildID: g, Fields: []event.ChannelInfoField{"status"}})
				return err == nil && a.GuildID == g, err
			},
			"channel member count": func() (bool, error) {
				a, err := h.RequestChannelMemberCount(ctx, event.RequestChannelMemberCount{GuildID: g, ChannelID: text})
				return err == nil && a.MemberCount > 0, err
			},
			"deleted entities": func() (bool, error) {
				a, err := h.RequestDeletedEntityIDs(ctx, event.RequestDeletedEntityIDs{GuildID: g})
				return err == nil && a.GuildID == g, err
			},
			"channels again": func() (bool, error) {
				a, err := h.ResyncGuildChannels(ctx, event.ResyncGuildChannels{GuildID: g, ObfuscatedChannelIDs: []event.Snowflake{text}})
				return err == nil && len(a.Channels) == 1 && a.Channels[0].ID == text, err
			},
			"soundboard sounds": func() (bool, error) {
				a, err := h.RequestSoundboardSounds(ctx, event.RequestSoundboardSounds{GuildIDs: []event.Snowflake{other, g}})
				return err == nil && len(a) == 2 && a[0].GuildID == other && a[1].GuildID == g && len(a[1].SoundboardSounds) == 1, err
			},
			"guild sync": func() (bool, error) {
				a, err := h.RequestGuildSync(ctx, event.RequestGuildSync{g, other})
				return err == nil && len(a) == 2 && a[0].ID == g && a[1].ID == other && len(a[1].Members) > 0, err
			},
			"lazy request": func() (bool, error) {
				a, err := h.LazyRequest(ctx, event.LazyRequest{GuildID: g, Channels: ranges(text)})
				return err == nil && a.GuildID == g && len(a.Ops) == 1, err
			},
			"subscriptions": func() (bool, error) {
				a, err := h.UpdateGuildSubscriptions(ctx, event.UpdateGuildSubscriptions{Subscriptions: map[event.Snowflake]event.GuildSubscription{
					g: {Channels: ranges(text)}, other: {Channels: ranges(otherText)}, 5: {Typing: event.Some(true)},
				}})
				return err == nil && len(a) == 2, err
			},
			"recent members": func() (bool, error) {
				a, err := h.SearchRecentMembers(ctx, event.SearchRecentMembers{GuildID: g, Query: "b", ContinuationToken: event.Null[event.Snowflake]()})
				return err == nil && len(a.Members) > 0, err
			},
			"call": func() (bool, error) {
				a, err := h.RequestCallConnect(ctx, event.RequestCallConnect{ChannelID: dm})
				if err == nil {
					_, err = h.CallSync(ctx, event.RequestCallConnect{ChannelID: dm})
				}
				return err == nil && a.ChannelID == dm, err
			},
			"voice": func() (bool, error) {
				v, err := h.UpdateVoiceState(ctx, event.UpdateVoiceState{GuildID: event.Some(g), ChannelID: event.Some(voice)})
				if err != nil {
					return false, err
				}
				again, err := h.PingVoiceServer(ctx)
				return err == nil && v.Server.GuildID.Value() == g && again.GuildID.Value() == g, err
			},
			"lobbies": func() (bool, error) {
				a, err := h.UpdateLobbyVoiceStates(ctx, event.UpdateLobbyVoiceStates{{LobbyID: 5}, {LobbyID: 6, SelfMute: true}})
				if err != nil {
					return false, err
				}
				s, err := h.PingLobbyVoiceServer(ctx, event.PingLobbyVoiceServer{LobbyID: 6})
				return err == nil && len(a) == 2 && a[1].LobbyID.Value() == 6 && a[1].SelfMute && s.LobbyID == 6, err
			},
			"streams": func() (bool, error) {
				a, err := h.CreateStream(ctx, event.CreateStream{Type: event.StreamTypeGuild, GuildID: event.Some(g), ChannelID: voice})
				if err != nil {
					return false, err
				}
				key := a.Stream.StreamKey
				call, err := h.CreateStream(ctx, event.CreateStream{Type: event.StreamTypeCall, ChannelID: dm})
				if err != nil || call.Stream.StreamKey == key || call.Server.StreamKey != call.Stream.StreamKey {
					return false, err
				}
				watched, err := h.WatchStream(ctx, event.WatchStream{StreamKey: key})
				if err != nil || watched.Stream.StreamKey != key || watched.Server.Token == "" {
					return false, err
				}
				paused, err := h.SetStreamPaused(ctx, event.SetStreamPaused{StreamKey: key, Paused: true})
				if err != nil || !paused.Paused {
					return false, err
				}
				if s, err := h.PingStreamServer(ctx, event.PingStreamServer{StreamKey: key}); err != nil || s.StreamKey != key {
					return false, err
				}
				gone, err := h.DeleteStream(ctx, event.DeleteStream{StreamKey: key})
				return err == nil && gone.StreamKey == key && a.Server.StreamKey == key, err
			},
		} {
			if ok, err := ask(); !ok || err != nil {
				t.Errorf("%s: %v, %v", name, ok, err)
			}
		}
		for name, ask := range map[string]func() error{
			"a lazy request for nothing": func() error { _, err := h.LazyRequest(ctx, event.LazyRequest{GuildID: g}); return err },
			"no subscriptions": func() error {
				_, err := h.UpdateGuildSubscriptions(ctx, event.UpdateGuildSubscriptions{})
				return err
			},
			"no guilds": func() error { _, err := h.RequestGuildSync(ctx, nil); return err },
			"no channels": func() error {
				_, err := h.RequestLastMessages(ctx, event.RequestLastMessages{GuildID: g})
				return err
			},
		} {
			if err := ask(); !errors.Is(err, gateway.ErrInvalidPayload) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// silence keeps a server from answering, so that the test can.
var silence = fakegateway.Faults{AnswerDelay: 1000 * time.Hour}

// dispatch makes the server send an event, and waits until all have seen it.
func dispatch(t *testing.T, srv *fakegateway.Server, name, payload string) {
	t.Helper()
	if n := srv.Send(fakegateway.Target{}, `{"op":0,"s":9,"t":"`+name+`","d":`+payload+`}`); n != 1 {
		t.Fatalf("%s went to %d connections", name, n)
	}
	synctest.Wait()
}

// quiet runs a test in virtual time, with a server whose answers the test makes up.
func quiet(t *testing.T, test func(t *testing.T, srv *fakegateway.Server, h *gateway.Handle)) {
	t.Helper()
	virtual(t, fakegateway.Options{Profile: fakegateway.Documented}, func(t *testing.T, srv *fakegateway.Server, h *gateway.Handle) {
		srv.SetFaults(fakegateway.Target{}, silence)
		test(t, srv, h)
	})
}

// later is the result of a call that is still going on.
type later struct{ err chan error }

func begin(call func() error) later {
	l := later{make(chan error, 1)}
	go func() { l.err <- call() }()
	synctest.Wait()
	return l
}

// pending reports whether there is no result yet.
func (l later) pending() bool {
	select {
	case err := <-l.err:
		l.err <- err
		return false
	default:
		return true
	}
}

func TestChunks(t *testing.T) {
	quiet(t, func(t *testing.T, srv *fakegateway.Server, h *gateway.Handle) {
		chunk := func(guild, index, count, user int, nonce, rest string) {
			dispatch(t, srv, "GUILD_MEMBERS_CHUNK", fmt.Sprintf(`{"guild_id":"%d","chunk_index":%d,"chunk_count":%d,"members":[{"user":{"id":"%d"}}],"nonce":%q%s}`, guild, index, count, user, nonce, rest))
		}
		request := event.RequestGuildMembers{GuildID: event.Snowflakes{7, 8}, UserIDs: event.Some(event.Snowflakes{1}), Nonce: event.Some("n")}
		var all *gateway.GuildMembers
		var order []string
		collected := begin(func() (err error) {
			all, err = h.RequestGuildMembers(t.Context(), request)
			return err
		})
		iterated := begin(func() error {
			for c, err := range h.GuildMemberChunks(t.Context(), request) {
				if err != nil {
					return err
				}
				order = append(order, fmt.Sprintf("%v:%d", c.GuildID, c.ChunkIndex))
			}
			return nil
		})
		chunk(7, 1, 3, 71, "n", "")
		time.Sleep(29 * time.Second)
		chunk(7, 0, 3, 70, "another's", "")
		chunk(9, 0, 1, 90, "n", "")
		chunk(7, 0, 3, 70, "n", `,"not_found":["1","2"],"presences":[{"user":{"id":"70"},"status":"online"}]`)
		chunk(7, 0, 3, 70, "n", "") // again
		time.Sleep(29 * time.Second)
		chunk(8, 0, 1, 80, "n", "")
		if !collected.pending() || !iterated.pending() {
			t.Fatal("a chunk is missing, and it ended")
		}
		chunk(7, 2, 3, 72, "n", "")
		if err := errors.Join(<-collected.err, <-iterated.err); err != nil {
			t.Fatal(err)
		}
		var users []string
		for _, m := range all.Members {
			users = append(users, m.User.Value().ID.String())
		}
		if got := strings.Join(users, " "); got != "70 71 80 72" || len(all.Presences) != 1 || !slices.Equal(all.NotFound, []event.Snowflake{1, 2}) {
			t.Errorf("members %s, %d presences, not found %v", got, len(all.Presences), all.NotFound)
		}
		if got := strings.Join(order, " "); got != "7:0 7:1 8:0 7:2" {
			t.Errorf("the chunks came as %s", got)
		}

		// Too long between two chunks.
		start := time.Now()
		order = nil
		late := begin(func() error {
			for c, err := range h.GuildMemberChunks(t.Context(), request) {
				if err != nil {
					return err
				}
				order = append(order, fmt.Sprint(c.ChunkIndex))
			}
			return nil
		})
		time.Sleep(20 * time.Second)
		chunk(7, 0, 2, 1, "n", "")
		if err := <-late.err; !errors.Is(err, gateway.ErrTimeout) || time.Since(start) != 50*time.Second || len(order) != 1 {
			t.Errorf("after %v and %v: %v", time.Since(start), order, err)
		}

		// Whoever leaves the loop leaves nothing behind; the test would not end.
		left := begin(func() error {
			for range h.GuildMemberChunks(t.Context(), request) {
				return nil
			}
			return errors.New("nothing came")
		})
		chunk(7, 0, 2, 1, "n", "")
		if err := <-left.err; err != nil {
			t.Error(err)
		}
	})
}

// RATE_LIMITED is about one request.
func TestRateLimitedRequest(t *testing.T) {
	quiet(t, func(t *testing.T, srv *fakegateway.Server, h *gateway.Handle) {
		members := func(guild event.Snowflake, nonce string) later {
			return begin(func() error {
				_, err := h.RequestGuildMembers(t.Context(), event.RequestGuildMembers{GuildID: event.Snowflakes{guild}, UserIDs: event.Some(event.Snowflakes{1}), Nonce: event.Some(nonce)})
				return err
			})
		}
		sounds := func(guild event.Snowflake) later {
			return begin(func() error {
				_, err := h.RequestSoundboardSounds(t.Context(), event.RequestSoundboardSounds{GuildIDs: []event.Snowflake{guild}})
				return err
			})
		}
		all := []later{members(7, "a"), members(7, "b"), members(8, "c"), sounds(7), sounds(8)}
		for _, step := range []struct {
			limited string
			refuses int
		}{
			{`{"opcode":34,"retry_after":2.5,"meta":{}}`, -1},
			{`{"opcode":8,"retry_after":2.5,"meta":{"guild_id":"7","nonce":"x"}}`, -1},
			{`{"opcode":8,"retry_after":2.5,"meta":{"guild_id":"7","nonce":"b"}}`, 1},
			{`{"opcode":8,"retry_after":2.5,"meta":{"guild_id":"8"}}`, 2},
			{`{"opcode":31,"retry_after":2.5,"meta":{"guild_id":"8"}}`, 4},
			{`{"opcode":31,"retry_after":2.5,"meta":{}}`, 3},
			{`{"opcode":8,"retry_after":2.5,"meta":{}}`, 0},
		} {
			dispatch(t, srv, "RATE_LIMITED", step.limited)
			for i, l := range all {
				if l.err == nil {
					continue
				}
				if l.pending() == (i == step.refuses) {
					t.Fatalf("after %s request %d is pending: %v", step.limited, i, l.pending())
				}
			}
			if step.refuses < 0 {
				continue
			}
			err := <-all[step.refuses].err
			var limited *gateway.RateLimitError
			if !errors.As(err, &limited) || !errors.Is(err, gateway.ErrRateLimited) || limited.RetryAfter != 2500*time.Millisecond {
				t.Errorf("%s: %v", step.limited, err)
			}
			all[step.refuses].err = nil
		}
	})
}

// A session that stays in its channel is told of no server, and one that was put
// out of it and comes back is.
func TestVoiceAfterKick(t *testing.T) {
	quiet(t, func(t *testing.T, srv *fakegateway.Server, h *gateway.Handle) {
		me, _ := h.Session()
		var v *gateway.VoiceConnection
		join := func() later {
			return begin(func() (err error) {
				v, err = h.UpdateVoiceState(t.Context(), event.UpdateVoiceState{GuildID: event.Some[event.Snowflake](7), ChannelID: event.Some[event.Snowflake](70)})
				return err
			})
		}
		state := func(session, channel string) {
			dispatch(t, srv, "VOICE_STATE_UPDATE", `{"guild_id":"7","channel_id":`+channel+`,"user_id":"1","session_id":"`+session+`"}`)
		}
		server := func(guild string) {
			dispatch(t, srv, "VOICE_SERVER_UPDATE", `{"token":"t","guild_id":"`+guild+`","endpoint":"e"}`)
		}
		for round, kicked := range []bool{true, false, true} {
			l := join()
			state("another's", `"70"`)
			server("8")
			if !l.pending() {
				t.Fatalf("round %d: what is another's was taken", round)
			}
			state(me.ID, `"70"`)
			if round == 2 { // it stays
				if err := <-l.err; err != nil || v.Server != nil {
					t.Fatalf("round %d: %+v, %v", round, v, err)
				}
				continue
			}
			if !l.pending() {
				t.Fatalf("round %d: it did not wait for the server", round)
			}
			server("7")
			if err := <-l.err; err != nil || v.Server == nil || v.State.SessionID != me.ID {
				t.Fatalf("round %d: %+v, %v", round, v, err)
			}
			if kicked {
				state(me.ID, "null")
			}
		}
	})
}

// Who only mutes is not made to wait for a voice server that is not named, however
// the channel was joined.
func TestMute(t *testing.T) {
	quiet(t, func(t *testing.T, srv *fakegateway.Server, h *gateway.Handle) {
		payload := event.UpdateVoiceState{GuildID: event.Some[event.Snowflake](7), ChannelID: event.Some[event.Snowflake](70)}
		state := func() {
			me, _ := h.Session()
			dispatch(t, srv, "VOICE_STATE_UPDATE", `{"guild_id":"7","channel_id":"70","user_id":"1","session_id":"`+me.ID+`"}`)
		}
		mute := func(after time.Duration) {
			t.Helper()
			var v *gateway.VoiceConnection
			start := time.Now()
			l := begin(func() (err error) {
				payload.SelfMute = !payload.SelfMute
				v, err = h.UpdateVoiceState(t.Context(), payload)
				return err
			})
			state()
			if err := <-l.err; err != nil || v.State == nil || v.Server != nil || time.Since(start) != after {
				t.Errorf("after %v: %+v, %v", time.Since(start), v, err)
			}
		}
		if err := h.SendUpdateVoiceState(t.Context(), payload); err != nil { // joins
			t.Fatal(err)
		}
		state()
		dispatch(t, srv, "VOICE_SERVER_UPDATE", `{"token":"t","guild_id":"7","endpoint":"e"}`)
		mute(0)

		srv.SetFaults(fakegateway.Target{}, fakegateway.Faults{})
		old, _ := h.Session()
		srv.Forget(fakegateway.Target{})
		srv.Drop(fakegateway.Target{})
		time.Sleep(time.Minute)
		srv.SetFaults(fakegateway.Target{}, silence)
		if now, _ := h.Session(); now.ID == "" || now.ID == old.ID {
			t.Fatalf("the session is %q, and was %q", now.ID, old.ID)
		}
		state() // the new session is told to the server again, and it answers
		mute(0)
	})

	// In a process that knows nothing of what the session did before.
	quiet(t, func(t *testing.T, srv *fakegateway.Server, h *gateway.Handle) {
		me, _ := h.Session()
		var v *gateway.VoiceConnection
		l := begin(func() (err error) {
			v, err = h.UpdateVoiceState(t.Context(), event.UpdateVoiceState{GuildID: event.Some[event.Snowflake](7), ChannelID: event.Some[event.Snowflake](70), SelfMute: true})
			return err
		})
		start := time.Now()
		dispatch(t, srv, "VOICE_STATE_UPDATE", `{"guild_id":"7","channel_id":"70","user_id":"1","session_id":"`+me.ID+`"}`)
		if err := <-l.err; err != nil || v.State == nil || v.Server != nil || time.Since(start) != 10*time.Second {
			t.Errorf("after %v: %+v, %v", time.Since(start), v, err)
		}
	})
}

// Whatever ends the wait ends it at once, and what comes afterwards is nobody's.
func TestRequestsEnd(t *testing.T) {
	quiet(t, func(t *testing.T, srv *fakegateway.Server, h *gateway.Handle) {
		ask := func(ctx context.Context) later {
			return begin(func() error {
				_, err := h.RequestChannelStatuses(ctx, event.RequestChannelStatuses{GuildID: 7})
				return err
			})
		}
		start := time.Now()
		if err := <-ask(t.Context()).err; !errors.Is(err, gateway.ErrTimeout) || time.Since(start) != 30*time.Second {
			t.Errorf("no answer: after %v: %v", time.Since(start), err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		canceled := ask(ctx)
		cancel()
		if err := <-canceled.err; !errors.Is(err, gateway.ErrTimeout) || !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
		answered := ask(t.Context())
		dispatch(t, srv, "CHANNEL_STATUSES", `{"guild_id":"7","channels":[]}`)
		dispatch(t, srv, "CHANNEL_STATUSES", `{"guild_id":"7","channels":[]}`)
		if err := <-answered.err; err != nil {
			t.Errorf("answered twice: %v", err)
		}
		dropped := ask(t.Context())
		srv.SetFaults(fakegateway.Target{}, fakegateway.Faults{})
		srv.Drop(fakegateway.Target{})
		if err := <-dropped.err; !errors.Is(err, gateway.ErrDisconnected) {
			t.Errorf("dropped: %v", err)
		}
		if err := <-ask(t.Context()).err; !errors.Is(err, gateway.ErrNotReady) {
			t.Errorf("without a session: %v", err)
		}
		time.Sleep(time.Minute)
		srv.SetFaults(fakegateway.Target{}, silence)
		closed := ask(t.Context())
		h.Close()
		if err := <-closed.err; !errors.Is(err, gateway.ErrDisconnected) && !errors.Is(err, gateway.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

// A request that is made as soon as there is a session is not disturbed by changes
// of the state that slow observers have not been told yet.
func TestRequestBeforeTheStateIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, opts := virtualServer(t, fakegateway.Options{Profile: fakegateway.Documented})
		var h *gateway.Handle
		slow := make(chan struct{})
		opts.Setup = func(handle *gateway.Handle) {
			h = handle
			handle.ObserveState(func(s gateway.StateChange) {
				if s.State == gateway.StateAwaitingHello {
					<-slow
				}
			})
		}
		connected := begin(func() error {
			_, err := gateway.Connect(t.Context(), "ws://gateway.test/", opts)
			return err
		})
		if h.State() != gateway.StateReady {
			t.Fatalf("it is %v", h.State())
		}
		asked := begin(func() error {
			_, err := h.RequestChannelStatuses(t.Context(), event.RequestChannelStatuses{GuildID: 7})
			return err
		})
		close(slow)
		if err := errors.Join(<-connected.err, <-asked.err); err != nil {
			t.Error(err)
		}
		h.Close()
	})
}

// What is refused before it is sent is the same in Go and in JavaScript, whose
// tests read the same table.
func TestRefusedSends(t *testing.T) {
	text, err := os.ReadFile("testdata/sends.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Send    string
		Payload json.RawMessage
		Refused *string // the field, empty for the payload as a whole
		JS      bool    // Go's types do not allow it
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	srv := serve(t, fakegateway.Options{Profile: fakegateway.Documented})
	h := connect(t, srv)
	seen := map[string]bool{}
	for _, c := range cases {
		if c.JS {
			continue
		}
		var method reflect.Method
		for m := range reflect.TypeFor[*gateway.Handle]().Methods() {
			if strings.EqualFold(m.Name, c.Send) && strings.HasPrefix(m.Name, "Send") || strings.EqualFold(m.Name, "Send"+c.Send) {
				method = m
			}
		}
		if method.Type == nil {
			t.Fatalf("there is no send %s", c.Send)
		}
		seen[method.Name] = true
		payload := reflect.New(method.Type.In(2))
		what := c.Send + " " + string(c.Payload)
		if json.Unmarshal(c.Payload, payload.Interface()) != nil {
			if c.Refused == nil {
				t.Errorf("%s is of the wrong type, and is not to be refused", what)
			}
			continue
		}
		err := payload.Elem().Interface().(event.Send).Validate()
		if (err != nil) != (c.Refused != nil) {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if err == nil {
			continue
		}
		var invalid *event.ValidationError
		err = h.Send(t.Context(), payload.Elem().Interface().(event.Send))
		var kind *gateway.Error
		if !errors.Is(err, gateway.ErrInvalidPayload) || !errors.As(err, &kind) || !errors.As(err, &invalid) || invalid.Field != *c.Refused {
			t.Errorf("%s: %v, want one about %q", what, err, *c.Refused)
		}
	}
	if len(seen) != 32 {
		t.Errorf("%d sends were tried, want 32", len(seen))
	}
	if m := srv.State().Conns[0].Received; len(m) != 1 {
		t.Errorf("what is refused was sent: %v", m)
	}
}
