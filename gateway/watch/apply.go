package watch

import (
	"slices"
	"strconv"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
)

// scope is where an object is to be looked for: in a guild, in every guild or, with
// neither, outside of guilds.
type scope struct {
	guild      event.Snowflake
	everywhere bool
}

// edit makes the next version of an object of the present one, which is nil if
// nothing is known. It returns nil for an object that is not or no more, and, with
// or without an error, the same if nothing changes.
type edit func(old any) (any, error)

// known is an edit of what is known only.
func known(f edit) edit {
	return func(old any) (any, error) {
		if old == nil {
			return nil, nil
		}
		return f(old)
	}
}

// run does what rules say of a payload. The error is that of the last object which
// is not JSON; the others are done nevertheless.
func (s *store) run(rules []rule, payload *node) (failed error) {
	for i := range rules {
		r := &rules[i]
		if r.kinds == nil {
			s.allStale() // the one verb that can do without
			continue
		}
		if !s.concerned(r) {
			continue
		}
		payload.walk(r.at, -1, func(obj *node, index int) {
			if !r.applies(obj) {
				return
			}
			way := r.in
			if way == nil {
				way = path{"guild_id"}
			}
			in := scope{guild: payload.follow(way, index).id()}
			in.everywhere = r.everywhere && in.guild == 0
			for n, id := range r.kinds {
				if err := s.apply(r, &kinds[id], n == 0, payload, obj, in); err != nil {
					failed = err
				}
			}
		})
	}
	return failed
}

// concerned reports whether a rule is about anything that is watched.
func (s *store) concerned(r *rule) bool {
	return slices.ContainsFunc(r.kinds, func(id kindID) bool {
		return s.count[id] > 0 || s.count[kindGuild] > 0 && kinds[id].part != 0 ||
			id == kindGuild && r.field == "" // with a guild goes what it contains
	})
}

// apply does what a rule says of one object as one kind.
func (s *store) apply(r *rule, k *kind, first bool, payload, obj *node, in scope) error {
	if k.kindID == kindGuild && r.field == "" {
		return s.applyGuild(r.verb, obj)
	}
	id := r.idOf(k, obj)
	switch r.verb {
	case putVerb:
		return s.alter(k, id, in, true, func(old any) (any, error) {
			if old == nil && !k.fits(obj, first) {
				return nil, nil
			}
			return k.merge(old, obj)
		})
	case resetVerb:
		return s.alter(k, id, in, true, func(old any) (any, error) {
			if !k.fits(obj, first) {
				return old, nil
			}
			return k.replace(old, obj)
		})
	case updateVerb:
		return s.alter(k, id, in, false, known(func(old any) (any, error) { return k.merge(old, obj) }))
	case setVerb:
		value := obj.follow(r.from, -1).without(r.omit)
		if !value.exists() {
			return nil
		}
		return s.alter(k, id, in, false, known(func(old any) (any, error) { return k.model.set(old, r.field, value) }))
	case addVerb, removeVerb:
		return s.alter(k, id, in, false, known(func(old any) (any, error) { return r.editList(k, old, obj.follow(r.from, -1)) }))
	case countVerb:
		if s.counts = true; s.isRepeat() {
			return nil
		}
		return s.alter(k, id, in, false, known(func(old any) (any, error) {
			n, ok := k.model.json(old).get(r.field).number()
			if !ok {
				return old, nil
			}
			return k.model.set(old, r.field, &node{raw: strconv.AppendInt(nil, n+r.step, 10)})
		}))
	case deleteVerb:
		if r.by != "" {
			return s.deleteBy(k, r.by, id, in)
		}
		return s.alter(k, id, in, false, func(any) (any, error) { return nil, nil })
	case listVerb:
		all := func(any) bool { return true }
		if among := payload.get(r.within); r.within != "" && among.exists() {
			all = func(v any) bool {
				owner := k.model.json(v).get(r.by).id()
				return slices.ContainsFunc(among.each(), func(n node) bool { return n.id() == owner })
			}
			return s.list(k, obj, in, all, false)
		}
		return s.list(k, obj, in, all, k.complete)
	case staleVerb:
		for _, root := range s.roots[k.kindID][id] {
			s.stale(root)
		}
	case sweepVerb:
		s.all(k.kindID, func(root *root) {
			if root.guild == 0 && root.next.stale {
				s.change(root, nil, false)
			}
		})
	}
	return nil
}

// alter edits an object wherever it is watched: by itself, and in guilds. What is
// made of it is known to be true now, if fresh is set.
func (s *store) alter(k *kind, id event.Snowflake, in scope, fresh bool, f edit) (failed error) {
	if id == 0 {
		return nil
	}
	next := shared(f, &failed)
	for _, r := range s.roots[k.kindID][id] {
		switch {
		case k.kindID == kindGuild:
			if state := r.state(); state != nil {
				if own := next(state.GatewayGuild); own != any(state.GatewayGuild) {
					s.edit(r).GatewayGuild = own.(*event.GatewayGuild)
				}
			}
			continue
		case !k.local:
			if k.inGuild && in.guild != 0 {
				r.guild = in.guild
			}
		case r.guild != in.guild && !in.everywhere:
			continue
		}
		s.change(r, next(r.next.value), fresh)
	}
	if k.part == 0 {
		return failed
	}
	if in.everywhere {
		s.all(kindGuild, func(g *root) { s.alterPart(g, k, id, next) })
	} else if g := s.guild(in.guild); g != nil {
		s.alterPart(g, k, id, next)
	}
	return failed
}

func (s *store) alterPart(g *root, k *kind, id event.Snowflake, next func(old any) any) {
	state := g.state()
	if state == nil {
		return
	}
	part := state.parts[k.part-1]
	old := part.get(id)
	switch v := next(old); {
	case v == old:
		return
	case v == nil:
		part = part.remove(id)
	case old == nil && !s.room(g, k.part, part.size):
		return
	default:
		part = part.put(id, v)
	}
	s.edit(g).parts[k.part-1] = part
	g.touched = append(g.touched, touched{k.part, id})
}

// shared runs an edit once for all places that have the same version of an object,
// so that they go on having the same.
func shared(f edit, failed *error) func(old any) any {
	var was, is any
	ran := false
	return func(old any) any {
		if !ran || old != was {
			v, err := f(old)
			if err != nil {
				*failed = err
			}
			was, is, ran = old, v, true
		}
		return is
	}
}

// editList returns an object with an element of one of its lists added or removed.
func (r *rule) editList(k *kind, old any, value *node) (any, error) {
	id := value.get(r.by).id()
	if id == 0 {
		return old, nil
	}
	var list []*node
	found := false
	elems := k.model.json(old).get(r.field).each()
	for i := range elems {
		if elems[i].get(r.by).id() != id {
			list = append(list, &elems[i])
		} else if found = true; r.verb == addVerb {
			list = append(list, value)
		}
	}
	if !found {
		if r.verb == removeVerb {
			return old, nil
		}
		list = append(list, value)
	}
	return k.model.set(old, r.field, arrayOf(list))
}

// deleteBy deletes the objects that have an id in a field.
func (s *store) deleteBy(k *kind, field string, id event.Snowflake, in scope) (failed error) {
	gone := map[event.Snowflake]bool{}
	see := func(id2 event.Snowflake, v any) bool {
		if k.model.json(v).get(field).id() == id {
			gone[id2] = true
		}
		return true
	}
	if g := s.guild(in.guild); g != nil && g.state() != nil {
		g.state().parts[k.part-1].each(see)
	}
	s.all(k.kindID, func(r *root) {
		if r.next.value != nil {
			see(r.id, r.next.value)
		}
	})
	for id := range gone {
		if err := s.alter(k, id, in, false, func(any) (any, error) { return nil, nil }); err != nil {
			failed = err
		}
	}
	return failed
}

// list makes an array all that there is in a part of a guild, of what covers says
// that it could be in the array. If it is complete, an object that is watched by
// itself and is not in it is gone; otherwise nothing is known of that. Without an
// array the part is empty, and nothing is known of what is in it.
func (s *store) list(k *kind, array *node, in scope, covers func(v any) bool, complete bool) (failed error) {
	var before tree
	g := s.guild(in.guild)
	if g != nil && g.state() != nil {
		before = g.state().parts[k.part-1]
	} else if g = nil; s.count[k.kindID] == 0 {
		return nil
	}
	var now []entry
	var differ []touched
	before.each(func(id event.Snowflake, v any) bool {
		if !covers(v) {
			now = append(now, entry{id, v})
		}
		return true
	})
	listed := map[event.Snowflake]bool{}
	elems := array.each()
	for i := range elems {
		id := elems[i].firstID(k.id)
		if id == 0 || !elems[i].isObject() || !k.fits(&elems[i], true) {
			continue
		}
		next := shared(func(old any) (any, error) {
			v, err := k.replace(old, &elems[i])
			return k.model.same(old, v), err
		}, &failed)
		for _, r := range s.roots[k.kindID][id] {
			if k.local && r.guild != in.guild {
				continue
			}
			r.guild, listed[id] = in.guild, true
			s.change(r, next(r.next.value), true)
		}
		if g == nil {
			continue
		}
		old := before.get(id)
		if v := next(old); v != nil && s.room(g, k.part, len(now)) {
			now = append(now, entry{id, v})
			if v != old {
				differ = append(differ, touched{k.part, id})
			}
		}
	}
	if g != nil {
		after := treeOf(now)
		before.each(func(id event.Snowflake, _ any) bool {
			if after.get(id) == nil {
				differ = append(differ, touched{k.part, id})
			}
			return true
		})
		if len(differ) > 0 {
			s.edit(g).parts[k.part-1] = after
			g.touched = append(g.touched, differ...)
		}
	}
	if complete && array.isArray() {
		s.all(k.kindID, func(r *root) {
			if r.guild == in.guild && !listed[r.id] {
				s.change(r, nil, false)
			}
		})
	}
	return failed
}

// applyGuild does what a rule says of a guild and all that it contains.
func (s *store) applyGuild(v verb, obj *node) (failed error) {
	k := &kinds[kindGuild]
	id := obj.firstID(k.id)
	switch v {
	case deleteVerb, staleVerb, sweepVerb:
		s.everything(func(r *root) {
			guild := r.guild
			if r.kindID == kindGuild {
				guild = r.id
			}
			switch {
			case guild == 0:
			case v == sweepVerb && !s.mentioned[guild], v == deleteVerb && guild == id:
				s.change(r, nil, false)
			case v == staleVerb && guild == id:
				s.stale(r)
			}
		})
		return nil
	}
	if id == 0 {
		return nil
	}
	s.mentioned[id] = true
	see := func(err error) {
		if err != nil {
			failed = err
		}
	}
	if r := s.guild(id); r != nil {
		see(s.alterOwn(r, v, obj))
	}
	for i, kind := range partKinds {
		if list := obj.get(partNames[i]); list.isArray() || v == resetVerb {
			see(s.list(kind, list, scope{guild: id}, func(any) bool { return true }, kind.complete))
		}
	}
	if v != updateVerb {
		see(s.run(k.then, obj))
	}
	return failed
}

// alterOwn does to a guild's own fields what a rule says of the whole.
func (s *store) alterOwn(r *root, v verb, obj *node) error {
	var old any
	if state := r.state(); state != nil {
		old = state.GatewayGuild
	} else if v == updateVerb {
		return nil
	}
	lay := r.merge
	if v == resetVerb {
		lay = r.replace
		clear(r.full[:])
	}
	own, err := lay(old, obj)
	if own != old {
		s.edit(r).GatewayGuild = own.(*event.GatewayGuild)
	}
	if v != updateVerb && r.next.stale {
		r.next.stale = false
		s.touch(r)
	}
	return err
}
