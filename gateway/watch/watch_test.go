package watch

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

// house is a guild as GUILD_CREATE carries it.
func house() obj {
	return obj{
		"id": "10", "name": "house", "member_count": 2,
		"channels": []obj{{"id": "201", "type": 0, "name": "hall"}, {"id": "202", "type": 0, "name": "attic"}},
		"roles":    []obj{{"id": "41", "name": "owner"}},
		"members":  []obj{{"user": obj{"id": "51", "username": "ann"}, "roles": []string{"41"}}, {"user": obj{"id": "52", "username": "bob"}}},
	}
}

func watchHouse(t *testing.T, s *store, opts ...Option) *Watched[GuildState] {
	t.Helper()
	w := watchIn[GuildState](s, kindGuild, 0, 10, nil, opts...)
	play(t, s, "GUILD_CREATE", house())
	return w
}

// TestCaptures plays what a real server sent to its guilds, and holds that they
// end as the last READY or GUILD_CREATE and the events after it imply.
func TestCaptures(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "test", "captures", "*.expected.jsonl"))
	if err != nil || len(files) < 10 {
		t.Fatal(len(files), err)
	}
	type message struct {
		Op int
		T  string
		D  json.RawMessage
	}
	changes := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var events []message
		ids := map[string]bool{}
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, len(text)+1)
		for lines.Scan() {
			var m message
			if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
				t.Fatal(err)
			}
			if m.Op != 0 {
				continue
			}
			events = append(events, m)
			var d struct {
				ID     string
				Guilds []struct{ ID string }
			}
			if m.T == "READY" || m.T == "GUILD_CREATE" {
				if err := json.Unmarshal(m.D, &d); err != nil {
					t.Fatal(err)
				}
				for _, g := range d.Guilds {
					ids[g.ID] = true
				}
				ids[d.ID] = d.ID != "" || ids[""]
			}
		}
		delete(ids, "")
		if len(ids) < 2 {
			t.Fatalf("%s has %d guilds", file, len(ids))
		}
		s := newStore(nil)
		model := newNaive(slices.Sorted(maps.Keys(ids))...)
		watched := map[string]*Watched[GuildState]{}
		for id := range ids {
			watched[id] = watchIn[GuildState](s, kindGuild, 0, (&node{raw: []byte(id)}).id(), nil)
			watched[id].Subscribe(func(*GuildState) { changes++ })
		}
		for _, m := range events {
			var d any
			if err := json.Unmarshal(m.D, &d); err != nil {
				t.Fatal(err)
			}
			play(t, s, m.T, m.D)
			model.apply(m.T, object(d))
		}
		for id, w := range watched {
			want := model.guilds[id]
			if w.Stale() || (w.Current() == nil) != (want.own == nil) {
				t.Errorf("%s: guild %s: stale %v, known %v", file, id, w.Stale(), w.Current() != nil)
			} else if want.own != nil {
				if got, want := textOf(w.Current().Payload()), want.text(); got != want {
					t.Errorf("%s: guild %s: %s", filepath.Base(file), id, difference(got, want))
				}
			}
		}
	}
	if changes < 100 {
		t.Errorf("only %d changes", changes)
	}
}

func TestVersionsShare(t *testing.T) {
	s := newStore(nil)
	w := watchHouse(t, s)
	attic := watchIn[event.Channel](s, kindChannel, 0, 202, nil)
	before := w.Current()
	if attic.Current() == nil || attic.Current() != before.Channels().Get(202) {
		t.Fatal("what is watched twice is there twice")
	}
	play(t, s, "CHANNEL_UPDATE", obj{"guild_id": "10", "id": "202", "type": 0, "name": "cellar"})
	after := w.Current()
	if name := before.Channels().Get(202).Name.Value(); name != "attic" {
		t.Errorf("a version has changed: %q", name)
	}
	if after.Channels().Get(202).Name.Value() != "cellar" || after.Channels().Get(202) != attic.Current() {
		t.Error("no change, or another in each place")
	}
	if before.Channels().Get(201) != after.Channels().Get(201) || before.Members() != after.Members() || before.GatewayGuild != after.GatewayGuild {
		t.Error("what has not changed is not the same")
	}
	play(t, s, "MESSAGE_CREATE", obj{"guild_id": "11", "channel_id": "202", "id": "9"})
	if w.Current() != after {
		t.Error("an event of another guild has changed it")
	}
}

func TestSubscribe(t *testing.T) {
	s := newStore(nil)
	w := watchHouse(t, s)
	role := watchIn[event.Role](s, kindRole, 10, 41, nil)
	var told []string
	w.Subscribe(func(now *GuildState) {
		// Whatever is watched has taken in the event.
		told = append(told, now.Roles().Get(41).Name+" "+role.Current().Name)
	})
	stop := w.Subscribe(func(*GuildState) { told = append(told, "second") })
	rename := func(name string) {
		play(t, s, "GUILD_ROLE_UPDATE", obj{"guild_id": "10", "role": obj{"id": "41", "name": name}})
	}
	rename("a")
	rename("a") // no change
	stop()
	stop()
	rename("b")
	if got := strings.Join(told, ","); got != "a a,second,b b" {
		t.Error(got)
	}
	<-w.Changes() // both in one
	select {
	case <-w.Changes():
		t.Error("changes that nobody awaited pile up")
	default:
	}
}

func TestPanickingSubscriber(t *testing.T) {
	s := newStore(nil)
	w := watchHouse(t, s)
	called := 0
	w.Subscribe(func(*GuildState) { panic("of the user's") })
	w.Subscribe(func(*GuildState) { called++ })
	func() {
		defer func() {
			if p := recover(); p != "of the user's" {
				t.Errorf("the handle is not told: %v", p)
			}
		}()
		play(t, s, "GUILD_UPDATE", obj{"id": "10", "name": "villa"})
	}()
	if called != 1 || w.Current().Name.Value() != "villa" {
		t.Error(called, w.Current().Name.Value())
	}
	s.mu.Lock() // is free
	defer s.mu.Unlock()
}

func TestRelease(t *testing.T) {
	h := connect(t, nil)
	role := Role(h, 10, &event.Role{ID: 41, Name: "owner"})
	s := role.w.store
	few := slices.Sorted(maps.Keys(s.stops))
	if !slices.Contains(few, "GUILD_ROLE_UPDATE") || slices.Contains(few, "MESSAGE_CREATE") || slices.Contains(few, "PRESENCE_UPDATE") {
		t.Error("for a role it observes", few)
	}
	guild, again := Guild(h, event.Snowflake(10)), Guild(h, event.Snowflake(10))
	guild.Release()
	guild.Release() // does nothing more
	if s.stops["PRESENCE_UPDATE"] == nil {
		t.Error("somebody still watches the guild")
	}
	again.Release()
	if now := slices.Sorted(maps.Keys(s.stops)); !slices.Equal(now, few) {
		t.Error("with the guild released it observes", now)
	}
	role.Release()
	if len(s.stops) != 0 || s.other != nil || s.count != [kindCount]int{} {
		t.Error("with all released it observes", slices.Sorted(maps.Keys(s.stops)))
	}
	for _, byID := range s.roots {
		if len(byID) != 0 {
			t.Error("kept", byID)
		}
	}
	if role.Current().Name != "owner" {
		t.Error("the last version is gone")
	}
	if _, more := <-role.Changes(); more {
		t.Error("Changes is not closed, or tells of what was there at the start")
	}
	role.Subscribe(func(*event.Role) { t.Error("called after release") })
	play(t, s, "GUILD_ROLE_UPDATE", obj{"guild_id": "10", "role": obj{"id": "41", "name": "none"}})
	if Role(h, 10, event.Snowflake(41)).Current() != nil {
		t.Error("something was kept")
	}
}

func TestStale(t *testing.T) {
	s := newStore(nil)
	w := watchHouse(t, s)
	role := watchIn[event.Role](s, kindRole, 10, 41, nil)
	other := watchIn[GuildState](s, kindGuild, 0, 11, nil)
	play(t, s, "GUILD_CREATE", obj{"id": "11"})
	state := func() string {
		return fmt.Sprint(w.Stale(), role.Stale(), w.Deleted(), other.Deleted())
	}
	for _, step := range []struct {
		what string
		do   func()
		want string
	}{
		{"a gap", func() { s.gap(gateway.Gap{}) }, "true true false false"},
		{"a part of it", func() { play(t, s, "GUILD_UPDATE", obj{"id": "10", "name": "house"}) }, "true true false false"},
		{"READY", func() { play(t, s, "READY", obj{"user": obj{"id": "1"}, "guilds": []obj{house()}}) }, "false false false true"},
		{"an outage", func() { play(t, s, "GUILD_DELETE", obj{"id": "10", "unavailable": true}) }, "true true false true"},
		{"its end", func() { play(t, s, "GUILD_CREATE", house()) }, "false false false true"},
		{"what is no JSON", func() { play(t, s, "GUILD_UPDATE", json.RawMessage(`{"id":"10","name":nope}`)) }, "true true false true"},
		{"GUILD_CREATE", func() { play(t, s, "GUILD_CREATE", house()) }, "false false false true"},
		{"backing off", func() { s.closed(gateway.StateChange{State: gateway.StateBackoff}) }, "false false false true"},
		{"the end", func() { s.closed(gateway.StateChange{State: gateway.StateClosed}) }, "true true false true"},
		{"leaving", func() { play(t, s, "GUILD_DELETE", obj{"id": "10"}) }, "false false true true"},
	} {
		if step.do(); state() != step.want {
			t.Fatalf("after %s: %s, want %s", step.what, state(), step.want)
		}
	}
	if w.Current() != nil || role.Current() != nil || !role.Deleted() {
		t.Error("it is still there")
	}
}

// connect returns a handle at a fake gateway.
func connect(t *testing.T, setup func(*gateway.Handle)) *gateway.Handle {
	t.Helper()
	h, _ := connectTo(t, setup)
	return h
}

func connectTo(t *testing.T, setup func(*gateway.Handle)) (*gateway.Handle, *fakegateway.Server) {
	t.Helper()
	srv, err := fakegateway.Start(fakegateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	h, err := gateway.Connect(ctx, srv.URL(), gateway.Options{Token: fakegateway.AliceToken, Setup: setup})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h, srv
}

// TestGap loses a session for good: the guild is stale until the READY of the next.
func TestGap(t *testing.T) {
	guilds := make(chan *Watched[GuildState], 1)
	var once sync.Once
	_, srv := connectTo(t, func(h *gateway.Handle) {
		gateway.Observe(h, func(ready *event.Ready) {
			once.Do(func() { guilds <- Guild(h, &ready.Guilds[0]) })
		})
	})
	w := <-guilds
	before := w.Current()
	if before == nil || before.Channels().Len() == 0 || w.Stale() {
		t.Fatal("it does not begin with what READY has")
	}
	states := make(chan bool, 64)
	w.Subscribe(func(*GuildState) { states <- w.Stale() })
	srv.Forget(fakegateway.Target{})
	srv.Drop(fakegateway.Target{})
	late := time.After(20 * time.Second)
	for _, want := range []bool{true, false} {
		for stale := !want; stale != want; {
			select {
			case stale = <-states:
			case <-late:
				t.Fatalf("never became stale: %v", want)
			}
		}
	}
	if w.Current().Channels() != before.Channels() {
		t.Error("channels that are the same are others")
	}
}

func TestLimit(t *testing.T) {
	s := newStore(nil)
	var told []Limited
	w := watchHouse(t, s, Limit(PartMembers, 2), Limit(PartRoles, 0), OnLimit(func(l Limited) { told = append(told, l) }))
	if w.Current().Members().Len() != 2 || w.Current().Roles().Len() != 0 || told != nil {
		t.Fatal(w.Current().Members().Len(), w.Current().Roles().Len(), told)
	}
	member := func(id string) obj { return obj{"guild_id": "10", "user": obj{"id": id}, "nick": "x"} }
	ids := func() (ids []event.Snowflake) {
		for id := range w.Current().Members().All() {
			ids = append(ids, id)
		}
		return ids
	}
	for _, id := range []string{"53", "54", "52"} {
		play(t, s, "GUILD_MEMBER_UPDATE", member(id))
	}
	if want := []Limited{{10, PartMembers, 2}}; !slices.Equal(told, want) {
		t.Error(told)
	}
	if !slices.Equal(ids(), []event.Snowflake{51, 52}) || w.Current().Members().Get(52).Nick.Value() != "x" {
		t.Error(ids(), "who is known is kept up to date")
	}
	play(t, s, "GUILD_MEMBER_REMOVE", member("51"))
	play(t, s, "GUILD_MEMBER_UPDATE", member("53"))
	if !slices.Equal(ids(), []event.Snowflake{52, 53}) {
		t.Error(ids())
	}
	watchIn[GuildState](s, kindGuild, 0, 10, nil, Limit(PartMembers, 3))
	play(t, s, "GUILD_MEMBER_UPDATE", member("54"))
	if len(ids()) != 3 || len(told) != 1 {
		t.Error("the higher limit does not prevail", ids(), told)
	}
	if (Limited{10, PartMembers, 2}).Part.String() != "members" || Part(99).String() != "no part" {
		t.Error(PartMembers, Part(99))
	}
}

func TestSeed(t *testing.T) {
	s := newStore(nil)
	first := watchIn[event.GuildMember](s, kindMember, 10, 51, obj{"user": obj{"id": "51"}, "nick": "a"})
	second := watchIn[event.GuildMember](s, kindMember, 10, 51, obj{"user": obj{"id": "51"}, "nick": "b"})
	if first.Current().Nick.Value() != "a" || first.Current() != second.Current() {
		t.Error("who comes first knows better")
	}
	if w := watchIn[GuildState](s, kindGuild, 0, 13, obj{"id": "13", "unavailable": true}); w.Current() != nil {
		t.Error("that is no guild to speak of")
	}
	if w := watchIn[event.Channel](s, kindChannel, 0, 7, nil); w.Current() != nil || w.Stale() || w.Deleted() {
		t.Error("nothing is known of it")
	}
}

// TestHostile gives every event payloads that are not what they should be.
func TestHostile(t *testing.T) {
	s := newStore(nil)
	w := watchHouse(t, s)
	watchIn[UserState](s, kindUser, 0, 51, nil)
	watchIn[event.VoiceState](s, kindVoiceState, 10, 51, nil)
	nested := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	for name := range rules {
		for _, payload := range []string{
			``, `null`, `5`, `"x"`, `[]`, `[[]]`, `{}`, `{`, `{"id":`, `[{`, `{"id":"10"}`, `{"guilds":5,"members":"x"}`,
			`{"guild_id":"10","user":null,"members":[null,5,[]],"ops":[null,{"items":5}],"channels":[[]],"threads":7,"role":"x","emojis":{}}`,
			`{"guild_id":"10","id":"51","user":{"id":"51"},"__proto__":{"x":1},"constructor":{"prototype":{"x":1}}}`,
			`{"guild_id":"10","id":"99999999999999999999999","user":{"id":-5},"member_count":"many"}`,
			`{"guild_id":"10","user":{"id":"51"},"x":` + nested + `,"members":[` + nested + `],"channels":` + nested + `}`,
		} {
			s.do(func() { s.play(name, []byte(payload)) })
			_ = textOf2(w.Current())
		}
	}
	play(t, s, "GUILD_CREATE", json.RawMessage(`{"id":"10","__proto__":{"x":1},"members":[{"user":{"id":"51","__proto__":{"y":1}}},{"user":{"id":"__proto__"}}]}`))
	if w.Stale() || w.Current().Members().Len() != 1 {
		t.Error(w.Stale(), w.Current().Members().Len())
	}
	if raw := w.Current().Unknown.Get("__proto__"); string(raw) != `{"x":1}` {
		t.Errorf("a key like any other is lost: %s", raw)
	}
}

// textOf2 is textOf for what may be nil.
func textOf2(g *GuildState) string {
	if g == nil {
		return ""
	}
	return textOf(g.Payload())
}

// TestConcurrentReads reads while events are played; the race detector watches.
func TestConcurrentReads(t *testing.T) {
	s := newStore(nil)
	w := watchHouse(t, s)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				now := w.Current()
				n := 0
				for id, m := range now.Members().All() {
					if m.User.Value().ID == id && now.Members().Get(id) == m {
						n++
					}
				}
				if n != now.Members().Len() {
					t.Errorf("%d of %d members", n, now.Members().Len())
					return
				}
				again := watchIn[event.Role](s, kindRole, 10, 41, nil)
				again.Subscribe(func(*event.Role) {})
				again.Release()
			}
		})
	}
	for i := range 500 {
		play(t, s, []string{"GUILD_MEMBER_ADD", "GUILD_MEMBER_REMOVE"}[i/50%2], obj{"guild_id": "10", "user": obj{"id": fmt.Sprint(100 + i%50)}})
		play(t, s, "GUILD_ROLE_UPDATE", obj{"guild_id": "10", "role": obj{"id": "41", "name": fmt.Sprint(i)}})
	}
	close(done)
	readers.Wait()
}

func TestOverflow(t *testing.T) {
	h := connect(t, nil)
	w := Role(h, 10, &event.Role{ID: 41})
	w.w.store.overflow(errors.New("something else"))
	w.w.store.overflow(gateway.ErrOverflow) // of somebody else's loop: the handle has dropped nothing
	if w.Stale() {
		t.Error("nothing was missed")
	}
	w.w.store.lost-- // as if it had
	w.w.store.overflow(gateway.ErrOverflow)
	if !w.Stale() {
		t.Error("events were missed")
	}
}

// TestKinds holds that no kind of object loses what nobody knows.
func TestKinds(t *testing.T) {
	for i := range kinds {
		k := &kinds[i]
		v, err := k.model.merge(nil, &node{raw: []byte(`{"new_field":[1]}`)})
		if err != nil || reflect.TypeOf(v).Kind() != reflect.Pointer {
			t.Errorf("%s: %T %v", k.name, v, err)
			continue
		}
		if text := string(k.model.json(v).raw); !strings.Contains(text, `"new_field":[1]`) {
			t.Errorf("%s loses what nobody knows: %s", k.name, text)
		}
	}
}

// Every kind of object can be watched through a handle, and is made and changed by
// the events that concern it.
func TestEveryKindByItsFunction(t *testing.T) {
	h := connect(t, nil)
	channel, thread := Channel(h, event.Snowflake(21)), Thread(h, event.Snowflake(31))
	member, user := Member(h, 10, event.Snowflake(51)), User(h, event.Snowflake(51))
	rule, voice := AutoModerationRule(h, event.Snowflake(61)), VoiceState(h, 10, event.Snowflake(51))
	s := channel.w.store
	someone := obj{"id": "51", "username": "ann"}
	play(t, s, "CHANNEL_CREATE", obj{"id": "21", "guild_id": "10", "type": 0, "name": "general"})
	play(t, s, "THREAD_CREATE", obj{"id": "31", "guild_id": "10", "parent_id": "21", "type": 11, "name": "aside"})
	play(t, s, "GUILD_MEMBER_ADD", obj{"guild_id": "10", "user": someone, "roles": []any{}, "nick": "annie"})
	play(t, s, "AUTO_MODERATION_RULE_CREATE", obj{"id": "61", "guild_id": "10", "name": "no spam"})
	play(t, s, "VOICE_STATE_UPDATE", obj{"guild_id": "10", "channel_id": "22", "user_id": "51", "session_id": "x"})
	told := func() []string {
		all := []any{channel.Current(), thread.Current(), member.Current(), user.Current(), rule.Current(), voice.Current()}
		texts := make([]string, len(all))
		for i, v := range all {
			text, err := event.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			texts[i] = string(text)
		}
		return texts
	}
	holds := func(want ...string) {
		t.Helper()
		for i, text := range told() {
			if !strings.Contains(text, want[i]) {
				t.Errorf("%s lacks %s", text, want[i])
			}
		}
	}
	holds(`"general"`, `"aside"`, `"annie"`, `"ann"`, `"no spam"`, `"channel_id":"22"`)
	play(t, s, "CHANNEL_UPDATE", obj{"id": "21", "guild_id": "10", "type": 0, "name": "lobby"})
	play(t, s, "THREAD_UPDATE", obj{"id": "31", "guild_id": "10", "parent_id": "21", "type": 11, "name": "detour"})
	play(t, s, "GUILD_MEMBER_UPDATE", obj{"guild_id": "10", "user": obj{"id": "51", "username": "anna"}, "roles": []any{}, "nick": "nan"})
	play(t, s, "AUTO_MODERATION_RULE_UPDATE", obj{"id": "61", "guild_id": "10", "name": "less spam"})
	play(t, s, "VOICE_STATE_UPDATE", obj{"guild_id": "10", "channel_id": "23", "user_id": "51", "session_id": "x"})
	holds(`"lobby"`, `"detour"`, `"nan"`, `"anna"`, `"less spam"`, `"channel_id":"23"`)
	play(t, s, "VOICE_STATE_UPDATE", obj{"guild_id": "10", "channel_id": nil, "user_id": "51", "session_id": "x"})
	play(t, s, "CHANNEL_DELETE", obj{"id": "21", "guild_id": "10", "type": 0})
	if voice.Current() != nil || !channel.Deleted() {
		t.Error("someone who has left still speaks, or a channel that is deleted is there")
	}
}
