package watch

import (
	"iter"
	"slices"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
)

// Map is a collection of one version of a guild: what it contains, by id, in the
// order of the ids, which is that of their creation. It never changes; the next
// version shares all of it but what has changed. The zero Map is empty.
type Map[V any] struct{ t tree }

// Len returns how many there are.
func (m Map[V]) Len() int { return m.t.size }

// Get returns the one of an id, or nil.
func (m Map[V]) Get(id event.Snowflake) *V {
	v, _ := m.t.get(id).(*V)
	return v
}

// All iterates over all of them.
func (m Map[V]) All() iter.Seq2[event.Snowflake, *V] {
	return func(yield func(event.Snowflake, *V) bool) {
		m.t.each(func(id event.Snowflake, v any) bool { return yield(id, v.(*V)) })
	}
}

// values returns what is in a map as events carry it.
func values[V any](m Map[V]) []V {
	list := make([]V, 0, m.Len())
	for _, v := range m.All() {
		list = append(list, *v)
	}
	return list
}

// tree is a persistent B+ tree. A change copies the nodes on the way to one leaf,
// a few hundred bytes each, however many values there are.
type tree struct {
	root *branch
	size int
}

// branch is a node. Its keys are those of its values or, above the leaves, lower
// bounds of those of its children. It is not changed once a tree has it.
type branch struct {
	keys []event.Snowflake
	vals []any
	kids []*branch
}

const maxWidth = 32 // of a node

// find returns the index of the first key that is not less than id.
func (b *branch) find(id event.Snowflake) (int, bool) {
	return slices.BinarySearch(b.keys, id)
}

// kid returns the index of the child that an id belongs in.
func (b *branch) kid(id event.Snowflake) int {
	i, found := b.find(id)
	if !found && i > 0 {
		i--
	}
	return i
}

func (t tree) get(id event.Snowflake) any {
	b := t.root
	if b == nil {
		return nil
	}
	for b.kids != nil {
		b = b.kids[b.kid(id)]
	}
	if i, found := b.find(id); found {
		return b.vals[i]
	}
	return nil
}

// put returns a tree that has v at id.
func (t tree) put(id event.Snowflake, v any) tree {
	if t.root == nil {
		return tree{&branch{keys: []event.Snowflake{id}, vals: []any{v}}, 1}
	}
	left, right, added := t.root.put(id, v)
	if right != nil {
		left = &branch{keys: []event.Snowflake{left.keys[0], right.keys[0]}, kids: []*branch{left, right}}
	}
	if added {
		t.size++
	}
	return tree{left, t.size}
}

// put returns the node with v, in two if it grew too wide.
func (b *branch) put(id event.Snowflake, v any) (left, right *branch, added bool) {
	if b.kids == nil {
		i, found := b.find(id)
		if found {
			c := &branch{keys: b.keys, vals: slices.Clone(b.vals)}
			c.vals[i] = v
			return c, nil, false
		}
		left, right = split(&branch{keys: inserted(b.keys, i, id), vals: inserted(b.vals, i, v)})
		return left, right, true
	}
	i := b.kid(id)
	first, second, added := b.kids[i].put(id, v)
	c := &branch{keys: b.keys, kids: slices.Clone(b.kids)}
	c.kids[i] = first
	if id < c.keys[i] {
		c.keys = slices.Clone(c.keys)
		c.keys[i] = id
	}
	if second != nil {
		c.keys = inserted(c.keys, i+1, second.keys[0])
		c.kids = inserted(c.kids, i+1, second)
	}
	left, right = split(c)
	return left, right, added
}

// inserted returns a copy of a list with one more element.
func inserted[T any](list []T, i int, v T) []T {
	out := make([]T, len(list)+1)
	copy(out, list[:i])
	out[i] = v
	copy(out[i+1:], list[i:])
	return out
}

// split halves a node that is too wide.
func split(b *branch) (left, right *branch) {
	if len(b.keys) <= maxWidth {
		return b, nil
	}
	half := len(b.keys) / 2
	left, right = &branch{keys: b.keys[:half:half]}, &branch{keys: b.keys[half:]}
	if b.kids == nil {
		left.vals, right.vals = b.vals[:half:half], b.vals[half:]
	} else {
		left.kids, right.kids = b.kids[:half:half], b.kids[half:]
	}
	return left, right
}

// remove returns a tree that has nothing at id.
func (t tree) remove(id event.Snowflake) tree {
	if t.get(id) == nil {
		return t
	}
	root := t.root.remove(id)
	for len(root.kids) == 1 {
		root = root.kids[0]
	}
	if len(root.keys) == 0 {
		root = nil
	}
	return tree{root, t.size - 1}
}

// remove returns the node without id, which it has; it may be left empty.
func (b *branch) remove(id event.Snowflake) *branch {
	if b.kids == nil {
		i, _ := b.find(id)
		return &branch{keys: without(b.keys, i), vals: without(b.vals, i)}
	}
	i := b.kid(id)
	kid := b.kids[i].remove(id)
	if len(kid.keys) == 0 {
		return &branch{keys: without(b.keys, i), kids: without(b.kids, i)}
	}
	c := &branch{keys: b.keys, kids: slices.Clone(b.kids)}
	c.kids[i] = kid
	if i+1 == len(c.kids) {
		i-- // the last one's neighbour is before it
	}
	if i >= 0 && len(c.kids[i].keys)+len(c.kids[i+1].keys) <= maxWidth/2 {
		a, b := c.kids[i], c.kids[i+1]
		c.kids[i] = &branch{keys: slices.Concat(a.keys, b.keys)}
		if a.kids == nil {
			c.kids[i].vals = slices.Concat(a.vals, b.vals)
		} else {
			c.kids[i].kids = slices.Concat(a.kids, b.kids)
		}
		c.keys, c.kids = without(c.keys, i+1), slices.Delete(c.kids, i+1, i+2)
	}
	return c
}

// without returns a copy of a list without one element.
func without[T any](list []T, i int) []T {
	return append(list[:i:i], list[i+1:]...)
}

// each calls f with every value, in order, until it returns false.
func (t tree) each(f func(id event.Snowflake, v any) bool) {
	if t.root != nil {
		t.root.each(f)
	}
}

func (b *branch) each(f func(id event.Snowflake, v any) bool) bool {
	for i, v := range b.vals {
		if !f(b.keys[i], v) {
			return false
		}
	}
	for _, kid := range b.kids {
		if !kid.each(f) {
			return false
		}
	}
	return true
}

// entry is a value on its way into a tree.
type entry struct {
	id event.Snowflake
	v  any
}

// treeOf makes a tree of a list, which it sorts. Of two values with one id the
// later counts.
func treeOf(list []entry) tree {
	slices.SortStableFunc(list, func(a, b entry) int {
		if a.id < b.id {
			return -1
		}
		if a.id > b.id {
			return 1
		}
		return 0
	})
	n := 0
	for i := range list {
		if i+1 == len(list) || list[i].id != list[i+1].id {
			list[n] = list[i]
			n++
		}
	}
	list = list[:n]
	if n == 0 {
		return tree{}
	}
	const width = maxWidth * 3 / 4 // leaves room for more
	var level []*branch
	for chunk := range slices.Chunk(list, width) {
		b := &branch{}
		for _, e := range chunk {
			b.keys, b.vals = append(b.keys, e.id), append(b.vals, e.v)
		}
		level = append(level, b)
	}
	for len(level) > 1 {
		var above []*branch
		for chunk := range slices.Chunk(level, width) {
			b := &branch{kids: slices.Clip(chunk)}
			for _, kid := range chunk {
				b.keys = append(b.keys, kid.keys[0])
			}
			above = append(above, b)
		}
		level = above
	}
	return tree{level[0], n}
}
