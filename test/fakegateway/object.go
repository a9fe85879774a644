package fakegateway

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// object builds JSON text in the order of its calls, because the order of keys
// is part of what a server shows. An empty key makes an element of a list.
type object struct{ b []byte }

// newObject begins an object; done ends it.
func newObject() *object { return &object{b: []byte{'{'}} }

func (o *object) done() json.RawMessage { return append(o.b, '}') }

func (o *object) key(k string) {
	if n := len(o.b); n > 0 && o.b[n-1] != '{' && o.b[n-1] != '[' {
		o.b = append(o.b, ',')
	}
	if k != "" {
		o.b = append(o.b, '"')
		o.b = append(o.b, k...)
		o.b = append(o.b, '"', ':')
	}
}

func (o *object) open(k string) *object {
	o.key(k)
	o.b = append(o.b, '{')
	return o
}

func (o *object) close() *object {
	o.b = append(o.b, '}')
	return o
}

func (o *object) list(k string) *object {
	o.key(k)
	o.b = append(o.b, '[')
	return o
}

func (o *object) end() *object {
	o.b = append(o.b, ']')
	return o
}

func (o *object) str(k, v string) *object {
	o.key(k)
	o.b = appendJSONString(o.b, v)
	return o
}

// optStr writes v, or null if it is empty.
func (o *object) optStr(k, v string) *object {
	if v == "" {
		return o.null(k)
	}
	return o.str(k, v)
}

func (o *object) strs(k string, v ...string) *object {
	o.list(k)
	for _, s := range v {
		o.str("", s)
	}
	return o.end()
}

func (o *object) num(k string, v int64) *object {
	o.key(k)
	o.b = strconv.AppendInt(o.b, v, 10)
	return o
}

func (o *object) bool(k string, v bool) *object {
	o.key(k)
	o.b = strconv.AppendBool(o.b, v)
	return o
}

func (o *object) null(keys ...string) *object {
	for _, k := range keys {
		o.key(k)
		o.b = append(o.b, "null"...)
	}
	return o
}

// none writes empty lists.
func (o *object) none(keys ...string) *object {
	for _, k := range keys {
		o.key(k)
		o.b = append(o.b, "[]"...)
	}
	return o
}

func (o *object) raw(k string, v []byte) *object {
	o.key(k)
	if len(v) == 0 {
		v = []byte("null")
	}
	o.b = append(o.b, v...)
	return o
}

// appendJSONString quotes s as JavaScript's JSON.stringify does, which leaves
// everything readable as it is.
func appendJSONString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
			i++
		case c == '\n':
			b = append(b, '\\', 'n')
			i++
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			i++
		case c < utf8.RuneSelf:
			b = append(b, c)
			i++
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += n
		}
	}
	return append(b, '"')
}
