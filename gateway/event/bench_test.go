package event

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	gojson "github.com/goccy/go-json"
)

// frequent returns the payloads of the ten most frequent events of the captures,
// without the white space that the wire has not either.
func frequent(b *testing.B) []struct {
	name     string
	payloads [][]byte
} {
	by := map[string][][]byte{}
	for _, m := range captured(b) {
		var compact bytes.Buffer
		if err := json.Compact(&compact, m.data); err != nil {
			b.Fatal(err)
		}
		by[m.name] = append(by[m.name], compact.Bytes())
	}
	type group = struct {
		name     string
		payloads [][]byte
	}
	var out []group
	for name, payloads := range by {
		out = append(out, group{name, payloads})
	}
	slices.SortFunc(out, func(a, b group) int {
		return cmp.Or(len(b.payloads)-len(a.payloads), strings.Compare(a.name, b.name))
	})
	return out[:10]
}

// decoders are what is measured side by side. All fill the same types but the last:
// "go-json, plain" fills types with pointers in the place of Opt, the way one
// would write them for go-json, and so with neither the third state nor Unknown.
var decoders = []struct {
	name   string
	decode func(data []byte, v any) error
	plain  bool
}{
	{"ours", func(data []byte, v any) error { _, err := Unmarshal(data, v); return err }, false},
	{"go-json", gojson.Unmarshal, false},
	{"go-json,plain", gojson.Unmarshal, true},
	{"encoding-json", json.Unmarshal, false},
	{"encoding-json,plain", json.Unmarshal, true},
}

func BenchmarkDecode(b *testing.B) {
	for _, group := range frequent(b) {
		benchmarkDecoders(b, group.name, group.payloads)
	}
}

func BenchmarkDecodeReady4MB(b *testing.B) {
	benchmarkDecoders(b, "READY", [][]byte{bigReady(b, 4<<20)})
}

func benchmarkDecoders(b *testing.B, name string, payloads [][]byte) {
	same := reflect.TypeOf(New(name)).Elem()
	// Only ours can read a number out of a string, as some payloads need.
	payloads = slices.DeleteFunc(payloads, func(p []byte) bool {
		return json.Unmarshal(p, reflect.New(plain(same, nil)).Interface()) != nil
	})
	size := 0
	for _, p := range payloads {
		size += len(p)
	}
	for _, d := range decoders {
		t := same
		if d.plain {
			t = plain(same, nil)
		}
		b.Run(name+"/"+d.name, func(b *testing.B) {
			b.SetBytes(int64(size / len(payloads)))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := d.decode(payloads[i%len(payloads)], reflect.New(t).Interface()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, group := range frequent(b) {
		var values []any
		for _, p := range group.payloads {
			v, _, err := Decode(group.name, p)
			if err != nil {
				b.Fatal(err)
			}
			values = append(values, v)
		}
		for _, e := range []struct {
			name   string
			encode func(any) ([]byte, error)
		}{{"ours", Marshal}, {"go-json", gojson.Marshal}, {"encoding-json", json.Marshal}} {
			b.Run(group.name+"/"+e.name, func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if _, err := e.encode(values[i%len(values)]); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// plain makes a type with pointers instead of Opt and without Unknown. A type
// within itself becomes raw JSON, which favours it.
func plain(t reflect.Type, within []reflect.Type) reflect.Type {
	switch {
	case slices.Contains(within, t):
		return reflect.TypeFor[json.RawMessage]()
	case t.Implements(optionalType):
		v := t.Field(0).Type
		if v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice || v.Kind() == reflect.Map {
			return plain(v, within)
		}
		return reflect.PointerTo(plain(v, within))
	case t == reflect.TypeFor[time.Time](), t == reflect.TypeFor[json.RawMessage](), t == reflect.TypeFor[Snowflake]():
		return t
	case t.Kind() == reflect.Pointer:
		return reflect.PointerTo(plain(t.Elem(), within))
	case t.Kind() == reflect.Slice:
		return reflect.SliceOf(plain(t.Elem(), within))
	case t.Kind() == reflect.Map:
		return reflect.MapOf(t.Key(), plain(t.Elem(), within))
	case t.Kind() == reflect.Struct:
		var fields []reflect.StructField
		for _, f := range codecOf(t).fields {
			fields = append(fields, reflect.StructField{
				Name: fmt.Sprintf("F%d", len(fields)),
				Type: plain(f.codec.rtype, append(within, t)),
				Tag:  reflect.StructTag(fmt.Sprintf(`json:"%s"`, f.name)),
			})
		}
		return reflect.StructOf(fields)
	}
	return t
}

// bigReady makes a READY of about the given size out of a captured one: with as
// many guilds, each with its channels, roles and own id, as it takes.
func bigReady(t testing.TB, size int) []byte {
	t.Helper()
	var ready Ready
	for _, m := range captured(t) {
		if m.name != "READY" {
			continue
		}
		// One account has many guilds, others know other users.
		var r Ready
		if _, err := Unmarshal(m.data, &r); err != nil {
			t.Fatal(err)
		}
		if len(r.Guilds) > len(ready.Guilds) {
			users, members := ready.Users, ready.MergedMembers
			ready = r
			ready.Users, ready.MergedMembers = users, members
		}
		if len(r.Users) > len(ready.Users) {
			ready.Users, ready.MergedMembers = r.Users, r.MergedMembers
		}
	}
	guilds, users, members := ready.Guilds, ready.Users, ready.MergedMembers
	encoded := func() []byte {
		data, err := Marshal(&ready)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for n := 1; len(encoded()) < size; n++ {
		for i, g := range guilds {
			g.ID += Snowflake(n)<<22 + Snowflake(i)
			ready.Guilds = append(ready.Guilds, g)
		}
		for i, u := range users {
			u.ID += Snowflake(n)<<22 + Snowflake(i)
			ready.Users = append(ready.Users, u)
		}
		ready.MergedMembers = append(ready.MergedMembers, members...)
	}
	return encoded()
}
