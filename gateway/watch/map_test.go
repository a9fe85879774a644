package watch

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
)

// check holds that a tree is well formed and has what a map has, in order.
func check(t *testing.T, tr tree, want map[event.Snowflake]any) {
	t.Helper()
	if tr.size != len(want) {
		t.Fatalf("size %d, want %d", tr.size, len(want))
	}
	var keys []event.Snowflake
	tr.each(func(id event.Snowflake, v any) bool {
		if want[id] != v || tr.get(id) != v {
			t.Fatalf("%d is %v and %v, want %v", id, v, tr.get(id), want[id])
		}
		keys = append(keys, id)
		return true
	})
	if len(keys) != len(want) || !slices.IsSorted(keys) {
		t.Fatalf("%d keys, sorted: %v", len(keys), slices.IsSorted(keys))
	}
	if tr.root != nil {
		depth(t, tr.root, true)
	}
}

// depth checks the nodes and returns how many levels there are.
func depth(t *testing.T, b *branch, root bool) int {
	t.Helper()
	if len(b.keys) == 0 || len(b.keys) > maxWidth || len(b.keys) != len(b.vals)+len(b.kids) || (root && len(b.kids) == 1) {
		t.Fatalf("a node has %d keys, %d values, %d children", len(b.keys), len(b.vals), len(b.kids))
	}
	levels := 0
	for i, kid := range b.kids {
		d := depth(t, kid, false)
		if i > 0 && d != levels {
			t.Fatal("leaves at different depths")
		}
		levels = d
	}
	return levels + 1
}

// TestTree compares the tree with a map, and holds that versions do not change.
func TestTree(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 0))
		tr, want := tree{}, map[event.Snowflake]any{}
		type saved struct {
			tree
			want map[event.Snowflake]any
		}
		var old []saved
		space := uint64(1) << (4 + 2*seed)
		for i := range 6000 {
			id := event.Snowflake(rng.Uint64N(space))
			if rng.IntN(10) < 4+3*(i/1500%2) { // grows and shrinks in turn
				tr, want[id] = tr.put(id, i), i
			} else {
				tr = tr.remove(id)
				delete(want, id)
			}
			if i%500 == 0 {
				check(t, tr, want)
				old = append(old, saved{tr, maps.Clone(want)})
			}
		}
		for id := range maps.Clone(want) {
			tr = tr.remove(id)
			delete(want, id)
		}
		check(t, tr, want)
		for _, s := range old {
			check(t, s.tree, s.want)
		}
	}
}

func TestTreeOf(t *testing.T) {
	for _, n := range []int{0, 1, 24, 25, 600, 5000} {
		var list []entry
		want := map[event.Snowflake]any{}
		for i := range n {
			id := event.Snowflake(i * 7919 % max(1, n*3/4)) // some of them twice
			list = append(list, entry{id, i})
			want[id] = i
		}
		tr := treeOf(list)
		check(t, tr, want)
		for i := range n {
			tr = tr.put(event.Snowflake(i), -i)
			want[event.Snowflake(i)] = -i
		}
		check(t, tr, want)
	}
}

func TestMap(t *testing.T) {
	one, two := &event.Role{Name: "one"}, &event.Role{Name: "two"}
	m := Map[event.Role]{treeOf([]entry{{2, two}, {1, one}})}
	if m.Len() != 2 || m.Get(1) != one || m.Get(3) != nil || (Map[event.Role]{}).Get(1) != nil {
		t.Error(m.Len(), m.Get(1), m.Get(3))
	}
	var got string
	for id, role := range m.All() {
		got += fmt.Sprint(id, role.Name, " ")
	}
	for range m.All() {
		got += "stop"
		break
	}
	if got != "1one 2two stop" && got != "1 one 2 two stop" {
		t.Error(got)
	}
}

func BenchmarkTreePut(b *testing.B) {
	for _, n := range []int{100, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			tr := tree{}
			for i := range n {
				tr = tr.put(event.Snowflake(i), i)
			}
			v := any(new(int))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				tr = tr.put(event.Snowflake(i*7919%n), v)
			}
		})
	}
}
