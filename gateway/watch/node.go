package watch

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

// node is a value within the JSON text of a payload. It is taken apart when it is
// asked for what is in it, and only once: the rules of an event look at the same
// few values again and again, and at most of a payload never. Whether the text is
// valid is found out by whoever decodes it.
type node struct {
	raw     []byte // nil if there is no such value
	parsed  bool
	members []member
	elems   []node
}

type member struct {
	key []byte
	node
}

// absent is what is not there.
var absent = &node{parsed: true}

// exists reports whether there is a value, null included.
func (n *node) exists() bool { return n.raw != nil }

// yes reports whether there is a value that is neither null nor false.
func (n *node) yes() bool {
	return n.exists() && !wire.IsNull(n.raw) && string(n.raw) != "false"
}

func (n *node) isObject() bool { return len(n.raw) > 0 && n.raw[0] == '{' }

func (n *node) isArray() bool { return len(n.raw) > 0 && n.raw[0] == '[' }

func (n *node) parse() {
	if n.parsed {
		return
	}
	n.parsed = true
	switch {
	case n.isObject():
		wire.Members(n.raw, func(key, value []byte) bool {
			n.members = append(n.members, member{key, node{raw: value}})
			return true
		})
	case n.isArray():
		elements(n.raw, func(value []byte) { n.elems = append(n.elems, node{raw: value}) })
	}
}

// get returns the value of a key, the last one if a text has it more than once.
func (n *node) get(key string) *node {
	n.parse()
	for i := len(n.members) - 1; i >= 0; i-- {
		if string(n.members[i].key) == key {
			return &n.members[i].node
		}
	}
	return absent
}

// each returns the elements of an array.
func (n *node) each() []node {
	n.parse()
	return n.elems
}

// id returns the id that the value is, or 0.
func (n *node) id() event.Snowflake {
	digits := bytes.Trim(n.raw, `"`)
	if len(digits) == 0 || len(digits) > 20 {
		return 0
	}
	var id uint64
	for _, c := range digits {
		if c < '0' || c > '9' || id > (1<<64-1)/10 {
			return 0
		}
		next := id*10 + uint64(c-'0')
		if next < id {
			return 0
		}
		id = next
	}
	return event.Snowflake(id)
}

// number returns the integer that the value is.
func (n *node) number() (int64, bool) { return wire.Int(n.raw) }

// path leads from one value to others: by keys, by "[]" to each element of an
// array, and by "[i]" to each element as well, whose number another path can go by.
type path []string

// follow returns the value that a path without "[]" leads to.
func (n *node) follow(p path, index int) *node {
	for _, step := range p {
		if step != "[i]" {
			n = n.get(step)
		} else if list := n.each(); uint(index) < uint(len(list)) {
			n = &list[index]
		} else {
			return absent
		}
	}
	return n
}

// walk calls visit with every value that a path leads to.
func (n *node) walk(p path, index int, visit func(n *node, index int)) {
	for i, step := range p {
		switch step {
		case "[]", "[i]":
			list := n.each()
			for j := range list {
				if step == "[i]" {
					index = j
				}
				list[j].walk(p[i+1:], index, visit)
			}
			return
		default:
			n = n.get(step)
		}
	}
	if n.exists() {
		visit(n, index)
	}
}

// firstID returns the id that the first of some paths leads to. What is no object
// is the id itself.
func (n *node) firstID(paths []path) event.Snowflake {
	if !n.isObject() {
		return n.id()
	}
	for _, p := range paths {
		if id := n.follow(p, -1).id(); id != 0 {
			return id
		}
	}
	return 0
}

// without returns an object without some keys.
func (n *node) without(keys []string) *node {
	want := func(key []byte) bool {
		return !slices.ContainsFunc(keys, func(k string) bool { return k == string(key) })
	}
	if n.parse(); len(keys) == 0 || !slices.ContainsFunc(n.members, func(m member) bool { return !want(m.key) }) {
		return n
	}
	out := &node{parsed: true, raw: []byte{'{'}}
	for _, m := range n.members {
		if want(m.key) {
			if len(out.raw) > 1 {
				out.raw = append(out.raw, ',')
			}
			out.raw = append(append(wire.AppendString(out.raw, string(m.key)), ':'), m.raw...)
			out.members = append(out.members, m)
		}
	}
	out.raw = append(out.raw, '}')
	return out
}

// objectOf returns an object with one key.
func objectOf(key string, value *node) *node {
	raw := append(strconv.AppendQuote([]byte{'{'}, key), ':')
	raw = append(append(raw, value.raw...), '}')
	return &node{parsed: true, raw: raw, members: []member{{[]byte(key), *value}}}
}

// arrayOf returns an array.
func arrayOf(elems []*node) *node {
	raw := []byte{'['}
	for i, e := range elems {
		if i > 0 {
			raw = append(raw, ',')
		}
		raw = append(raw, e.raw...)
	}
	return &node{raw: append(raw, ']')}
}

// elements calls visit with each element of a JSON array, as far as it is one. It
// is the counterpart of wire.Members.
func elements(array []byte, visit func(value []byte)) {
	start, depth := 1, 0
	for i := 1; i < len(array); i++ {
		switch c := array[i]; {
		case c == '"':
			for escaped := true; escaped; {
				n := bytes.IndexByte(array[i+1:], '"')
				if n < 0 {
					return
				}
				text := array[i+1 : i+1+n]
				escaped = (len(text)-len(bytes.TrimRight(text, "\\")))%2 == 1
				i += 1 + n
			}
		case c == '{' || c == '[':
			depth++
		case depth > 0 && (c == '}' || c == ']'):
			depth--
		case depth == 0 && (c == ',' || c == ']'):
			if value := bytes.TrimSpace(array[start:i]); len(value) > 0 {
				visit(value)
			}
			if start = i + 1; c == ']' {
				return
			}
		}
	}
}
