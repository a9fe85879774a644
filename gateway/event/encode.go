package event

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	gojson "github.com/goccy/go-json"
)

// Marshal encodes a value as JSON. See [Append].
func Marshal(v any) ([]byte, error) { return Append(nil, v) }

// Append appends the JSON of a value to dst.
//
// Besides what encoding/json does it writes back the unknown fields of an object,
// and writes an empty array or object for a slice or map that is nil, because
// servers take null for neither. Absent fields are left out: Spacebar closes the
// connection on a key that it does not know.
func Append(dst []byte, v any) ([]byte, error) {
	r := reflect.ValueOf(v)
	if !r.IsValid() {
		return append(dst, "null"...), nil
	}
	if r.Kind() != reflect.Pointer {
		p := reflect.New(r.Type())
		p.Elem().Set(r)
		r = p
	} else if r.IsNil() {
		return append(dst, "null"...), nil
	}
	e := encoder{dst}
	if err := e.value(codecOf(r.Type().Elem()), r.UnsafePointer()); err != nil {
		return dst, err
	}
	return e.buf, nil
}

type encoder struct{ buf []byte }

func (e *encoder) word(s string) { e.buf = append(e.buf, s...) }
func (e *encoder) byte(b byte)   { e.buf = append(e.buf, b) }

// value encodes the value at p.
func (e *encoder) value(c *codec, p unsafe.Pointer) error {
	switch c.kind {
	case kindBool:
		e.buf = strconv.AppendBool(e.buf, *(*bool)(p))
	case kindInt:
		e.buf = strconv.AppendInt(e.buf, reflect.NewAt(c.rtype, p).Elem().Int(), 10)
	case kindUint:
		e.buf = strconv.AppendUint(e.buf, reflect.NewAt(c.rtype, p).Elem().Uint(), 10)
	case kindFloat:
		return e.float(reflect.NewAt(c.rtype, p).Elem().Float(), int(8*c.size))
	case kindString, kindNonce:
		e.string(*(*string)(p))
	case kindBitString:
		e.byte('"')
		e.buf = strconv.AppendUint(e.buf, *(*uint64)(p), 10)
		e.byte('"')
	case kindSnowflakes:
		if s := *(*Snowflakes)(p); len(s) == 1 {
			return e.value(snowflakeList.elem, unsafe.Pointer(&s[0]))
		}
		return e.slice(snowflakeList, p)
	case kindTime:
		return e.time(*(*time.Time)(p))
	case kindRaw:
		return e.raw(*(*json.RawMessage)(p))
	case kindNull:
		e.word("null")
	case kindOpt:
		if *(*optState)(unsafe.Add(p, c.state)) == optValue {
			return e.value(c.elem, p)
		}
		e.word("null")
	case kindPointer:
		if v := *(*unsafe.Pointer)(p); v != nil {
			return e.value(c.elem, v)
		}
		e.word("null")
	case kindSlice:
		return e.slice(c, p)
	case kindArray:
		return e.array(c, p, c.rtype.Len())
	case kindMap:
		return e.mapping(c, p)
	case kindStruct:
		return e.object(c, p)
	case kindTuple:
		return e.tuple(c, p)
	case kindForeign:
		b, err := gojson.Marshal(reflect.NewAt(c.rtype, p).Interface())
		if err != nil {
			return err
		}
		e.buf = append(e.buf, b...)
	}
	return nil
}

func (e *encoder) slice(c *codec, p unsafe.Pointer) error {
	h := (*sliceHeader)(p)
	return e.array(c, h.data, h.len)
}

func (e *encoder) array(c *codec, p unsafe.Pointer, n int) error {
	e.byte('[')
	for i := range n {
		if i > 0 {
			e.byte(',')
		}
		if err := e.value(c.elem, unsafe.Add(p, uintptr(i)*c.elem.size)); err != nil {
			return err
		}
	}
	e.byte(']')
	return nil
}

func (e *encoder) object(c *codec, p unsafe.Pointer) error {
	start := len(e.buf)
	for i := range c.fields {
		f := &c.fields[i]
		if f.omit && f.codec.isZero(f.at(p)) {
			continue
		}
		e.byte(',')
		e.word(f.key)
		if err := e.value(f.codec, f.at(p)); err != nil {
			return err
		}
	}
	if c.hasUnknown {
		for key, raw := range (*Unknown)(unsafe.Add(p, c.unknown)).All() {
			e.byte(',')
			e.string(key)
			e.byte(':')
			if err := e.raw(raw); err != nil {
				return err
			}
		}
	}
	if len(e.buf) == start {
		e.byte(',')
	}
	e.buf[start] = '{' // in the place of the first comma
	e.byte('}')
	return nil
}

func (e *encoder) tuple(c *codec, p unsafe.Pointer) error {
	for i := range c.fields {
		f := &c.fields[i]
		if i == 0 {
			e.byte('[')
		} else {
			e.byte(',')
		}
		if err := e.value(f.codec, f.at(p)); err != nil {
			return err
		}
	}
	e.byte(']')
	return nil
}

// mapping encodes a map, in the order of its keys.
func (e *encoder) mapping(c *codec, p unsafe.Pointer) error {
	m := reflect.NewAt(c.rtype, p).Elem()
	type entry struct {
		key   string
		value reflect.Value
	}
	entries := make([]entry, 0, m.Len())
	for it := m.MapRange(); it.Next(); {
		// What a map holds has no address, and encoding needs one.
		v := reflect.New(c.elem.rtype)
		v.Elem().Set(it.Value())
		key, err := mapKey(it.Key())
		if err != nil {
			return err
		}
		entries = append(entries, entry{key, v})
	}
	slices.SortFunc(entries, func(a, b entry) int {
		if len(a.key) != len(b.key) && c.rtype.Key().Kind() != reflect.String {
			return len(a.key) - len(b.key) // numbers
		}
		return strings.Compare(a.key, b.key)
	})
	e.byte('{')
	for i, entry := range entries {
		if i > 0 {
			e.byte(',')
		}
		e.string(entry.key)
		e.byte(':')
		if err := e.value(c.elem, entry.value.UnsafePointer()); err != nil {
			return err
		}
	}
	e.byte('}')
	return nil
}

func mapKey(key reflect.Value) (string, error) {
	if t, ok := key.Interface().(interface{ MarshalText() ([]byte, error) }); ok {
		b, err := t.MarshalText()
		return string(b), err
	}
	switch {
	case key.CanInt():
		return strconv.FormatInt(key.Int(), 10), nil
	case key.CanUint():
		return strconv.FormatUint(key.Uint(), 10), nil
	default:
		return key.String(), nil
	}
}

// isZero reports whether a field is to be left out.
func (c *codec) isZero(p unsafe.Pointer) bool {
	switch c.kind {
	case kindOpt:
		return *(*optState)(unsafe.Add(p, c.state)) == optAbsent
	case kindString, kindNonce:
		return *(*string)(p) == ""
	case kindBitString:
		return *(*uint64)(p) == 0
	case kindSlice, kindSnowflakes, kindRaw:
		return (*sliceHeader)(p).data == nil
	case kindTime:
		return (*time.Time)(p).IsZero()
	default:
		v := reflect.NewAt(c.rtype, p).Elem()
		if z, ok := v.Interface().(interface{ IsZero() bool }); ok {
			return z.IsZero()
		}
		return v.IsZero()
	}
}

// raw appends JSON text, after checking that it is.
func (e *encoder) raw(raw json.RawMessage) error {
	if raw == nil {
		e.word("null")
		return nil
	}
	s := scanner{data: raw}
	if s.whole() < 0 {
		return s.err
	}
	e.buf = append(e.buf, raw...)
	return nil
}

// time appends a time in UTC.
func (e *encoder) time(t time.Time) error {
	t = t.UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		return fmt.Errorf("event: cannot encode the year %d", y)
	}
	e.byte('"')
	e.buf = t.AppendFormat(e.buf, time.RFC3339Nano)
	e.byte('"')
	return nil
}

// float appends a number in the form that ECMAScript and encoding/json use.
func (e *encoder) float(f float64, bits int) error {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return fmt.Errorf("event: JSON has no number for %v", f)
	}
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	e.buf = strconv.AppendFloat(e.buf, f, format, -1, bits)
	return nil
}

const hexDigits = "0123456789abcdef"

// string appends a string. Only what JSON demands is escaped, and what is not
// UTF-8 becomes U+FFFD.
func (e *encoder) string(s string) {
	e.byte('"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		}
		e.word(s[start:i])
		switch c {
		case '"', '\\':
			e.buf = append(e.buf, '\\', c)
		case '\n':
			e.word(`\n`)
		case '\r':
			e.word(`\r`)
		case '\t':
			e.word(`\t`)
		default:
			if c < ' ' {
				e.buf = append(e.buf, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			} else {
				e.word("\uFFFD")
			}
		}
		i++
		start = i
	}
	e.word(s[start:])
	e.byte('"')
}
