package watch

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
)

// store keeps what is watched through one handle. While nothing is, there is none.
//
// The handle's dispatcher hands it one event after the other. All that an event
// changes is changed under mu, published at once, and only then told to whoever
// subscribed, with nothing locked. Readers take what was published last.
type store struct {
	h *gateway.Handle

	mu    sync.Mutex
	roots [kindCount]map[event.Snowflake][]*root // several of one id if it is local
	count [kindCount]int                         // of roots
	uses  map[string]int                         // kinds that need an event
	stops map[string]func()
	other []func() // what is observed besides events
	lost  uint64   // events that the handle has dropped

	// Of the event that is being played:
	changed   []*root
	reports   []func()
	starting  *watcher // who has just begun, and need not be told with what
	name      string
	data      []byte
	counts    bool
	mentioned map[event.Snowflake]bool // guilds, since everything became stale

	// The last event that added to a number. A server that sends events more than
	// once (Spacebar does) sends them in a row.
	counted struct {
		name string
		data []byte
	}
}

// root is an object that is watched by itself. What is said to be under mu is
// under that of the store.
type root struct {
	*kind
	id event.Snowflake

	now atomic.Pointer[version]

	guild   event.Snowflake // that it belongs to, 0 if none is known; under mu
	next    version         // what now will be after the event; under mu
	dirty   bool            // next is not now; under mu
	draft   *GuildState     // next.value, while it is not published and may be changed; under mu
	touched []touched       // what of the draft is not as it was, or may be; under mu
	limits  [partCount]int  // under mu
	full    [partCount]bool // under mu
	watched []*watcher      // under mu; replaced, not changed
}

// touched is something in a guild that an event is about.
type touched struct {
	part Part
	id   event.Snowflake
}

// version is what is known of an object.
type version struct {
	value   any // nil if nothing is
	stale   bool
	deleted bool
}

// registry has the stores there are. It keeps neither handles nor stores alive:
// the subscriptions of a store with its connection do, and whoever watches.
var registry = struct {
	sync.Mutex
	stores map[weak.Pointer[gateway.Handle]]weak.Pointer[store]
}{stores: map[weak.Pointer[gateway.Handle]]weak.Pointer[store]{}}

// storeOf returns the store of a handle, locked.
func storeOf(h *gateway.Handle) *store {
	registry.Lock()
	key := weak.Make(h)
	s := registry.stores[key].Value()
	if s == nil {
		s = newStore(h)
		self := weak.Make(s)
		registry.stores[key] = self
		runtime.AddCleanup(s, func(key weak.Pointer[gateway.Handle]) {
			registry.Lock()
			defer registry.Unlock()
			if registry.stores[key] == self {
				delete(registry.stores, key)
			}
		}, key)
	}
	registry.Unlock()
	s.mu.Lock()
	return s
}

func newStore(h *gateway.Handle) *store {
	return &store{h: h, uses: map[string]int{}, stops: map[string]func(){}, mentioned: map[event.Snowflake]bool{}}
}

// add takes up an object, and observes what concerns it.
func (s *store) add(r *root) {
	if s.roots[r.kindID] == nil {
		s.roots[r.kindID] = map[event.Snowflake][]*root{}
	}
	s.roots[r.kindID][r.id] = append(s.roots[r.kindID][r.id], r)
	if s.count[r.kindID]++; s.count[r.kindID] > 1 || s.h == nil {
		return
	}
	if s.other == nil {
		s.lost = s.h.Stats().Dropped
		s.other = []func(){s.h.ObserveGaps(s.gap), s.h.ObserveErrors(s.overflow), s.h.ObserveState(s.closed)}
	}
	for _, name := range r.events {
		if s.uses[name]++; s.uses[name] == 1 {
			s.stops[name] = s.h.ObserveEvents(s.event, name)
		}
	}
}

// drop gives an object up, and observes no more what concerned it alone.
func (s *store) drop(r *root) {
	left := slices.DeleteFunc(s.roots[r.kindID][r.id], func(o *root) bool { return o == r })
	s.roots[r.kindID][r.id] = left
	if len(left) == 0 {
		delete(s.roots[r.kindID], r.id)
	}
	if s.count[r.kindID]--; s.count[r.kindID] > 0 {
		return
	}
	for _, name := range r.events {
		if s.uses[name]--; s.uses[name] == 0 {
			s.stops[name]()
			delete(s.stops, name)
		}
	}
	if s.count == [kindCount]int{} {
		for _, stop := range s.other {
			stop()
		}
		s.other = nil
	}
}

// find returns the root of an object, or nil.
func (s *store) find(k *kind, id, guild event.Snowflake) *root {
	for _, r := range s.roots[k.kindID][id] {
		if !k.local || r.guild == guild {
			return r
		}
	}
	return nil
}

// guild returns the root of a guild, or nil.
func (s *store) guild(id event.Snowflake) *root { return s.find(&kinds[kindGuild], id, 0) }

// contained returns what a watched guild has of an object, and which guild that is.
func (s *store) contained(k *kind, id, guild event.Snowflake) (version, event.Snowflake) {
	if k.part != 0 {
		for _, list := range s.roots[kindGuild] {
			g := list[0]
			if state := g.state(); state != nil && (!k.local || g.id == guild) {
				if v := state.parts[k.part-1].get(id); v != nil {
					return version{value: v, stale: g.next.stale}, g.id
				}
			}
		}
	}
	return version{}, guild
}

// do runs something that changes objects, publishes the changes and tells of them.
func (s *store) do(f func()) {
	s.mu.Lock()
	s.unlockAfter(f)
}

// unlockAfter is do for who has the lock.
func (s *store) unlockAfter(f func()) {
	f()
	changed, reports, starting := s.changed, s.reports, s.starting
	s.changed, s.reports, s.starting = nil, nil, nil
	var tell []*watcher
	for _, r := range changed {
		if r.publish() {
			tell = append(tell, slices.DeleteFunc(slices.Clone(r.watched), func(w *watcher) bool { return w == starting })...)
		}
	}
	s.mu.Unlock()
	var panicked any
	try := func(f func()) {
		defer func() {
			if p := recover(); p != nil && panicked == nil {
				panicked = p
			}
		}()
		f()
	}
	for _, report := range reports {
		try(report)
	}
	for _, w := range tell {
		w.tell(try)
	}
	if panicked != nil {
		panic(panicked) // the handle reports it, as it does for any observer
	}
}

// event plays one event.
func (s *store) event(e *gateway.Event) {
	s.do(func() {
		s.play(e.Name, e.Data)
	})
}

// play does what the table says of an event.
func (s *store) play(name string, data []byte) {
	s.name, s.data, s.counts = name, data, false
	if s.run(rules[name], &node{raw: data}) != nil {
		// It is not JSON, so nobody knows what it would have changed.
		s.allStale()
	}
	if s.counts {
		s.counted.name, s.counted.data = name, data
	}
}

// gap, overflow and closed: events have been missed, or will be.
func (s *store) gap(gateway.Gap) { s.do(s.allStale) }

func (s *store) overflow(err error) {
	if !errors.Is(err, gateway.ErrOverflow) {
		return
	}
	// It may be the loop of somebody else that was slow.
	if dropped := s.h.Stats().Dropped; dropped != s.lost {
		s.lost = dropped
		s.do(s.allStale)
	}
}

func (s *store) closed(c gateway.StateChange) {
	if c.State == gateway.StateClosed {
		s.do(s.allStale)
	}
}

// isRepeat reports whether the event that is being played is the one that was
// counted last.
func (s *store) isRepeat() bool {
	return s.name == s.counted.name && bytes.Equal(s.data, s.counted.data)
}

// all calls f with every root of a kind.
func (s *store) all(k kindID, f func(r *root)) {
	for _, list := range s.roots[k] {
		for _, r := range list {
			f(r)
		}
	}
}

func (s *store) everything(f func(r *root)) {
	for k := range kindCount {
		s.all(k, f)
	}
}

func (s *store) allStale() {
	clear(s.mentioned)
	s.everything(s.stale)
}

func (s *store) stale(r *root) {
	if r.next.value != nil && !r.next.stale {
		r.next.stale = true
		s.touch(r)
	}
}

// touch notes that a root has changed.
func (s *store) touch(r *root) {
	if !r.dirty {
		r.dirty = true
		s.changed = append(s.changed, r)
	}
}

// change gives a root its next value, or deletes it. What the event says is true
// now, if fresh is set.
func (s *store) change(r *root, value any, fresh bool) {
	if value == nil {
		if r.next.value != nil {
			r.next, r.draft = version{deleted: true}, nil
			s.touch(r)
		}
		return
	}
	next := version{value: value, stale: r.next.stale && !fresh}
	if r.next != next {
		r.next = next
		s.touch(r)
	}
}

// publish makes the next version the present one, and reports whether that is
// another.
func (r *root) publish() bool {
	now := r.now.Load()
	r.settle(now.value)
	r.dirty, r.draft, r.touched = false, nil, nil
	if *now == r.next {
		return false
	}
	next := r.next
	r.now.Store(&next)
	return true
}

// settle gives back its identity to what was made anew but is as it was before
// the event, whatever it has been in between.
func (r *root) settle(before any) {
	was, ok := before.(*GuildState)
	if !ok {
		r.next.value = r.model.same(before, r.next.value)
		return
	}
	if r.draft == nil {
		return
	}
	r.draft.GatewayGuild = r.model.same(was.GatewayGuild, r.draft.GatewayGuild).(*event.GatewayGuild)
	changed := [partCount]bool{}
	for _, t := range r.touched {
		part := &r.draft.parts[t.part-1]
		old, v := was.parts[t.part-1].get(t.id), part.get(t.id)
		if old != v && old != nil && v != nil && partKinds[t.part-1].model.same(old, v) == old {
			*part, v = part.put(t.id, old), old
		}
		changed[t.part-1] = changed[t.part-1] || old != v
	}
	for i := range changed {
		if !changed[i] {
			r.draft.parts[i] = was.parts[i]
		}
	}
	if *r.draft == *was {
		r.next.value = was
	}
}

// state returns what a guild will be after the event, to be read.
func (r *root) state() *GuildState {
	state, _ := r.next.value.(*GuildState)
	return state
}

// edit returns what a guild will be after the event, to be changed.
func (s *store) edit(r *root) *GuildState {
	if r.draft == nil {
		r.draft = &GuildState{}
		if state := r.state(); state != nil {
			*r.draft = *state
		}
		r.next.value, r.next.deleted = r.draft, false
		s.touch(r)
	}
	return r.draft
}

// room reports whether one more fits into a part of a guild that has size.
func (s *store) room(r *root, part Part, size int) bool {
	i := part - 1
	if size < r.limits[i] {
		return true
	}
	if !r.full[i] && r.limits[i] > 0 {
		r.full[i] = true
		limit := Limited{Guild: r.id, Part: part, Max: r.limits[i]}
		for _, w := range r.watched {
			if w.onLimit != nil {
				s.reports = append(s.reports, func() { w.onLimit(limit) })
			}
		}
	}
	return false
}
