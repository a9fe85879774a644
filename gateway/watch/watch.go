package watch

import (
	"slices"
	"sync"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
)

// Watched is an object that keeps itself up to date. It may be used from any
// goroutine.
type Watched[T any] struct{ w *watcher }

// Current returns the present version, or nil if there is none: no event has
// brought the object yet, or it is deleted. A version never changes, and what it
// leads to is not to be changed either: other versions share it.
func (w *Watched[T]) Current() *T {
	v, _ := w.w.root.now.Load().value.(*T)
	return v
}

// Stale reports whether events may have been missed since the present version
// was made. It stays so until the server tells the whole of the object again, at
// the latest with the READY that begins a session if READY contains it.
func (w *Watched[T]) Stale() bool { return w.w.root.now.Load().stale }

// Deleted reports whether the object was there and is no more, as far as the
// account can see. It may come back.
func (w *Watched[T]) Deleted() bool { return w.w.root.now.Load().deleted }

// Subscribe calls fn after every change, with what Current returns then, until
// unsubscribe is called or the object released. A change of Stale or Deleted is a
// change too. An event that changes several things is one change, and one that
// leaves everything as it was is none.
//
// fn is called in the way of gateway.Observe: by the handle, for one event after
// the other, so it should be quick. When it is called all watched objects have
// taken in the event.
func (w *Watched[T]) Subscribe(fn func(current *T)) (unsubscribe func()) {
	return w.w.subscribe(func() { fn(w.Current()) })
}

// Changes returns a channel that has something to receive when the object has
// changed since the last time. It is closed by Release.
//
//	for range w.Changes() {
//		show(w.Current())
//	}
func (w *Watched[T]) Changes() <-chan struct{} { return w.w.changes }

// Release ends it: nothing is kept up to date for this Watched any more, and,
// if it was the last one of its object, nothing is observed for it. Current goes
// on returning the last version there was.
func (w *Watched[T]) Release() { w.w.release() }

// Option is an option of watching something.
type Option func(*watcher)

// Limit changes how many objects a part of a watched guild may contain, 100,000 by
// default; of 0 none are kept. Whoever watches the same guild with a higher limit
// prevails.
func Limit(part Part, most int) Option {
	return func(w *watcher) {
		if part > 0 && int(part) <= partCount {
			w.limits[part-1] = max(0, most)
		}
	}
}

// OnLimit has fn called when a guild contains more than a limit allows. What is
// more is not kept. It is called once, and again when the guild has been made anew
// by READY or GUILD_CREATE.
func OnLimit(fn func(Limited)) Option {
	return func(w *watcher) { w.onLimit = fn }
}

// Limited tells of a part of a guild that is not complete.
type Limited struct {
	Guild event.Snowflake
	Part  Part
	Max   int
}

// GuildState is one version of a watched guild: the guild's own fields, wherever
// the server put them, and by its methods all that it contains. The lists within
// the fields are empty.
type GuildState struct {
	*event.GatewayGuild

	parts [partCount]tree
}

// Guild watches a guild: its own fields, channels, threads, roles, members and
// the rest of its parts.
func Guild[G event.Snowflake | *event.GatewayGuild | *event.GuildCreate](h *gateway.Handle, guild G, opts ...Option) *Watched[GuildState] {
	return start[GuildState](h, kindGuild, 0, guild, opts)
}

// Channel watches a channel of a guild, or a private one.
func Channel[C event.Snowflake | *event.Channel | *event.ChannelCreate | *event.ChannelUpdate](h *gateway.Handle, channel C, opts ...Option) *Watched[event.Channel] {
	return start[event.Channel](h, kindChannel, 0, channel, opts)
}

// Thread watches a thread.
func Thread[C event.Snowflake | *event.Channel | *event.ThreadCreate | *event.ThreadUpdate](h *gateway.Handle, thread C, opts ...Option) *Watched[event.Channel] {
	return start[event.Channel](h, kindThread, 0, thread, opts)
}

// Role watches a role of a guild.
func Role[R event.Snowflake | *event.Role](h *gateway.Handle, guild event.Snowflake, role R, opts ...Option) *Watched[event.Role] {
	return start[event.Role](h, kindRole, guild, role, opts)
}

// Member watches a member of a guild, whose id is that of the user, and the
// member's presence.
func Member[M event.Snowflake | *event.GuildMember | *event.GuildMemberAdd](h *gateway.Handle, guild event.Snowflake, member M, opts ...Option) *Watched[event.GuildMember] {
	return start[event.GuildMember](h, kindMember, guild, member, opts)
}

// User watches a user, the account's own or another, and the user's presence.
func User[U event.Snowflake | *event.User | *event.PartialUser](h *gateway.Handle, user U, opts ...Option) *Watched[UserState] {
	return start[UserState](h, kindUser, 0, user, opts)
}

// AutoModerationRule watches a rule of a guild's auto moderation.
func AutoModerationRule[R event.Snowflake | *event.AutoModRule](h *gateway.Handle, rule R, opts ...Option) *Watched[event.AutoModRule] {
	return start[event.AutoModRule](h, kindAutoModerationRule, 0, rule, opts)
}

// VoiceState watches where in a guild a user speaks, or, if guild is 0, in which
// call outside of guilds. Someone who is in no voice channel has no voice state:
// Current returns nil.
func VoiceState[S event.Snowflake | *event.VoiceState](h *gateway.Handle, guild event.Snowflake, user S, opts ...Option) *Watched[event.VoiceState] {
	return start[event.VoiceState](h, kindVoiceState, guild, user, opts)
}

// start watches an object, given itself or by its id.
func start[T any](h *gateway.Handle, id kindID, guild event.Snowflake, object any, opts []Option) *Watched[T] {
	k := &kinds[id]
	w := &watcher{changes: make(chan struct{}, 1)}
	for i := range w.limits {
		w.limits[i] = k.limit
	}
	for _, opt := range opts {
		opt(w)
	}
	var seed *node
	of, ok := object.(event.Snowflake)
	if !ok {
		raw, _ := event.Marshal(object)
		seed = &node{raw: raw}
		of = seed.firstID(k.id)
		if guild == 0 {
			guild = seed.get("guild_id").id()
		}
	}
	s := storeOf(h)
	s.unlockAfter(func() { s.watch(w, k, of, guild, seed) })
	return &Watched[T]{w}
}

// watch adds a watcher to its object.
func (s *store) watch(w *watcher, k *kind, id, guild event.Snowflake, seed *node) {
	r := s.find(k, id, guild)
	if r == nil {
		r = &root{kind: k, id: id}
		r.next, r.guild = s.contained(k, id, guild)
		r.now.Store(&version{})
		r.publish()
		s.add(r)
	}
	w.store, w.root, s.starting = s, r, w
	r.watched = append(slices.Clip(r.watched), w)
	for i, most := range w.limits {
		r.limits[i] = max(r.limits[i], most)
	}
	if seed != nil && r.next.value == nil && !r.next.deleted {
		s.seed(r, seed)
	}
}

// seed makes what a caller knows of an object its first version: as the event would
// that brings it, but to nobody else who watches something of it, and may know
// better.
func (s *store) seed(r *root, obj *node) {
	apart := newStore(nil)
	apart.add(r)
	if r.kindID == kindGuild {
		_ = apart.run(rules["GUILD_CREATE"], obj)
	} else {
		_ = apart.alter(r.kind, r.id, scope{guild: r.guild}, true, func(old any) (any, error) { return r.replace(old, obj) })
	}
	s.changed = append(s.changed, apart.changed...)
	s.reports = append(s.reports, apart.reports...)
}

// watcher is one of those who watch an object.
type watcher struct {
	store   *store
	root    *root
	limits  [partCount]int
	onLimit func(Limited)
	changes chan struct{}

	mu       sync.Mutex
	subs     []*subscription // replaced, not changed
	released bool
}

type subscription struct{ call func() }

func (w *watcher) subscribe(call func()) (unsubscribe func()) {
	sub := &subscription{call}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.released {
		w.subs = append(slices.Clip(w.subs), sub)
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.subs = slices.DeleteFunc(slices.Clone(w.subs), func(o *subscription) bool { return o == sub })
	}
}

// tell tells everybody who subscribed that the object has changed.
func (w *watcher) tell(try func(func())) {
	w.mu.Lock()
	subs := w.subs
	if !w.released {
		select {
		case w.changes <- struct{}{}:
		default:
		}
	}
	w.mu.Unlock()
	for _, sub := range subs {
		w.mu.Lock()
		there := slices.Contains(w.subs, sub)
		w.mu.Unlock()
		if there {
			try(sub.call)
		}
	}
}

func (w *watcher) release() {
	w.mu.Lock()
	released := w.released
	w.released, w.subs = true, nil
	if !released {
		close(w.changes)
	}
	w.mu.Unlock()
	if released {
		return
	}
	s, r := w.store, w.root
	s.mu.Lock()
	defer s.mu.Unlock()
	r.watched = slices.DeleteFunc(slices.Clone(r.watched), func(o *watcher) bool { return o == w })
	if len(r.watched) == 0 {
		s.drop(r)
	}
}
