package event

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// The codec is one decoder and one encoder driven by tables, which reflection
// builds from the struct types the first time a type is met. It exists because
// the rules of this package cannot be put on top of another decoder without
// giving up its speed: a field of the wrong type must cost that field only, an
// Opt has three states, and unknown fields must survive. README.md in this folder
// has the figures.
//
// Unsafe code is confined to this file, decode.go and encode.go. It does two
// things: it reaches the fields of a struct at the offsets that reflection gave,
// and it makes strings of bytes that nothing will write to again.

// kind says how a codec treats a Go type.
type kind uint8

const (
	kindBool       kind = iota
	kindInt             // an int of any size, also read from a string
	kindUint            // a uint of any size, also read from a string
	kindFloat           // a float of any size, also read from a string
	kindString          // a string or a named string
	kindNonce           // a string, also read from a number
	kindBitString       // a uint64 written as a decimal string: Snowflake, Permissions
	kindSnowflakes      // one Snowflake or an array of them
	kindTime            // time.Time
	kindRaw             // json.RawMessage
	kindNull            // NoPayload, or a struct of nothing else
	kindOpt             // Opt[T]
	kindPointer
	kindSlice
	kindArray
	kindMap
	kindStruct
	kindTuple   // a struct that is an array on the wire
	kindForeign // what go-json decodes: interfaces and types with methods of their own
)

// codec is the table of one Go type.
type codec struct {
	kind  kind
	rtype reflect.Type
	size  uintptr
	elem  *codec  // of Opt, pointer, slice, array, map
	state uintptr // offset of the state of an Opt
	want  string  // what to call the expected JSON in a warning

	// Structs only.
	fields     []field
	index      []uint16        // hash table of field numbers plus one
	follows    []atomic.Uint32 // by field number plus one: the field that came next the last time
	unknown    uintptr         // offset of the Unknown field
	hasUnknown bool
	bare       *field // the field that takes an array standing in for the object
}

// field is a field of a struct, those of embedded structs included.
type field struct {
	name  string
	key   string // the name quoted, with a colon
	off   uintptr
	codec *codec
	omit  bool   // leave out if zero
	rules string // the tag "event"
}

// at returns the address of the field within the struct at p.
func (f *field) at(p unsafe.Pointer) unsafe.Pointer { return unsafe.Add(p, f.off) }

var (
	codecs     sync.Map // reflect.Type -> *codec
	codecsLock sync.Mutex

	optionalType    = reflect.TypeFor[interface{ optional() }]()
	bitStringType   = reflect.TypeFor[interface{ bitString() }]()
	unmarshalerType = reflect.TypeFor[json.Unmarshaler]()
	marshalerType   = reflect.TypeFor[json.Marshaler]()
	textType        = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// codecOf returns the table of a type. A table that others can see is complete.
func codecOf(t reflect.Type) *codec {
	if c, ok := codecs.Load(t); ok {
		return c.(*codec)
	}
	codecsLock.Lock()
	defer codecsLock.Unlock()
	b := builder{}
	c := b.build(t)
	for t, c := range b {
		codecs.Store(t, c)
	}
	return c
}

// builder holds the tables made since the lock was taken, so that a type which
// contains itself finds its own.
type builder map[reflect.Type]*codec

func (b builder) build(t reflect.Type) *codec {
	if c, ok := b[t]; ok {
		return c
	}
	if c, ok := codecs.Load(t); ok {
		return c.(*codec)
	}
	c := &codec{rtype: t, size: t.Size()}
	b[t] = c
	c.kind, c.want = b.classify(t)
	switch c.kind {
	case kindOpt:
		c.elem = b.build(t.Field(0).Type)
		c.state = t.Field(1).Offset
		c.want = c.elem.want
	case kindPointer:
		c.elem = b.build(t.Elem())
		c.want = c.elem.want
	case kindSlice, kindArray, kindMap:
		c.elem = b.build(t.Elem())
	case kindStruct, kindTuple:
		b.fields(c, t, 0, 0, map[string]int{})
		c.finish()
	}
	return c
}

func (b builder) classify(t reflect.Type) (kind, string) {
	switch t {
	case reflect.TypeFor[time.Time]():
		return kindTime, "timestamp"
	case reflect.TypeFor[json.RawMessage]():
		return kindRaw, "value"
	case reflect.TypeFor[Nonce]():
		return kindNonce, "string or number"
	case reflect.TypeFor[Snowflakes]():
		return kindSnowflakes, "snowflake or array"
	case reflect.TypeFor[Snowflake]():
		return kindBitString, "snowflake"
	case reflect.TypeFor[NoPayload]():
		return kindNull, "null"
	case reflect.TypeFor[json.Number]():
		return kindForeign, "number"
	}
	if t.Implements(optionalType) {
		return kindOpt, ""
	}
	if t.Kind() == reflect.Struct {
		if t.NumField() == 1 && t.Field(0).Type == reflect.TypeFor[NoPayload]() {
			return kindNull, "null"
		}
		if f, ok := t.FieldByName("Unknown"); ok && hasTag(f, "tuple") {
			return kindTuple, "array"
		}
	}
	if t.Implements(bitStringType) {
		return kindBitString, "flags in a string"
	}
	p := reflect.PointerTo(t)
	if p.Implements(unmarshalerType) || p.Implements(marshalerType) || p.Implements(textType) {
		return kindForeign, "value"
	}
	switch t.Kind() {
	case reflect.Bool:
		return kindBool, "boolean"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return kindInt, "integer"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return kindUint, "integer"
	case reflect.Float32, reflect.Float64:
		return kindFloat, "number"
	case reflect.String:
		return kindString, "string"
	case reflect.Pointer:
		return kindPointer, ""
	case reflect.Slice:
		if t.Elem().Kind() != reflect.Uint8 { // bytes are base64 in JSON
			return kindSlice, "array"
		}
	case reflect.Array:
		return kindArray, "array"
	case reflect.Map:
		k := t.Key()
		if k.Kind() <= reflect.Uintptr && k.Kind() >= reflect.Int || k.Kind() == reflect.String || reflect.PointerTo(k).Implements(textType) {
			return kindMap, "object"
		}
	case reflect.Struct:
		if known(t) {
			return kindStruct, "object"
		}
	}
	return kindForeign, "value"
}

// known reports whether a struct uses nothing that the types of this package do
// not. A struct of a user's that does is left to go-json as a whole.
func known(t reflect.Type) bool {
	for i := range t.NumField() {
		f := t.Field(i)
		_, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if opts != "" && opts != "omitzero" || f.Anonymous && f.Type.Kind() != reflect.Struct {
			return false
		}
	}
	return true
}

func hasTag(f reflect.StructField, tag string) bool {
	return slices.Contains(strings.Split(f.Tag.Get("event"), ","), tag)
}

// fields adds the fields of t, which lies at offset off of the struct of c and is
// embedded that deeply. A field hides those of its name that lie deeper; depths
// has where each was found.
func (b builder) fields(c *codec, t reflect.Type, off uintptr, depth int, depths map[string]int) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, tagged := f.Tag.Lookup("json")
		name, opts, _ := strings.Cut(tag, ",")
		switch {
		case f.Type == reflect.TypeFor[Unknown]() && f.Name == "Unknown":
			if !c.hasUnknown || depth == 0 {
				c.unknown, c.hasUnknown = off+f.Offset, true
			}
			continue
		case name == "-" && opts == "":
			continue
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct && b.embeds(f.Type):
			b.fields(c, f.Type, off+f.Offset, depth+1, depths)
			continue
		case !f.IsExported():
			continue
		}
		if !tagged || name == "" {
			name = f.Name
		}
		add := field{
			name:  name,
			key:   strconv.Quote(name) + ":",
			off:   off + f.Offset,
			codec: b.build(f.Type),
			omit:  opts == "omitzero",
			rules: f.Tag.Get("event"),
		}
		if at, ok := depths[name]; ok {
			if at > depth {
				c.fields = slices.DeleteFunc(c.fields, func(f field) bool { return f.name == name })
			} else if at < depth {
				continue
			}
		}
		depths[name] = depth
		c.fields = append(c.fields, add)
	}
}

// embeds reports whether the fields of an embedded struct are those of the outer.
func (b builder) embeds(t reflect.Type) bool {
	k, _ := b.classify(t)
	return k == kindStruct
}

// finish builds the index once all fields are known.
func (c *codec) finish() {
	n := 8
	for n < 2*len(c.fields) {
		n *= 2
	}
	c.index = make([]uint16, n)
	c.follows = make([]atomic.Uint32, len(c.fields)+1)
	for i := range c.fields {
		c.follows[i].Store(uint32(i)) // the order of the spec, to begin with
	}
	for i, f := range c.fields {
		h := hash(f.name)
		for c.index[h&uint32(n-1)] != 0 {
			h++
		}
		c.index[h&uint32(n-1)] = uint16(i + 1)
		if f.name == "entries" {
			c.bare = &c.fields[i]
		}
	}
	if c.bare != nil {
		u, ok := c.rtype.FieldByName("Unknown")
		if !ok || !hasTag(u, "bare") {
			c.bare = nil
		}
	}
}

// hash mixes the length of a key with bytes from its ends and its middle, where
// keys like guild_id and channel_id differ.
func hash[S string | []byte](s S) uint32 {
	n := len(s)
	if n == 0 {
		return 0
	}
	h := uint32(n) | uint32(s[0])<<8 | uint32(s[n>>1])<<16 | uint32(s[n-1])<<24
	if n > 4 {
		h ^= uint32(s[n-3])*31 ^ uint32(s[2])<<12
	}
	h *= 0x9e3779b1
	return h ^ h>>15
}

// find returns the number of the field of a name, or -1.
func (c *codec) find(name []byte) int {
	mask := uint32(len(c.index) - 1)
	for h := hash(name); ; h++ {
		i := int(c.index[h&mask]) - 1
		if i < 0 || c.fields[i].name == string(name) {
			return i
		}
	}
}

// pointerTo returns the address of the value that v points to, and its table.
func pointerTo(v any) (unsafe.Pointer, *codec, error) {
	r := reflect.ValueOf(v)
	if r.Kind() != reflect.Pointer || r.IsNil() {
		return nil, nil, fmt.Errorf("event: cannot decode into a %T, only into what a pointer points to", v)
	}
	return r.UnsafePointer(), codecOf(r.Type().Elem()), nil
}
