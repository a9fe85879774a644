package event

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// message is a decoded message of a capture.
type message struct {
	where string
	name  string
	data  json.RawMessage
}

// captured returns the dispatches of all captures of a real Spacebar server.
func captured(t testing.TB) []message {
	t.Helper()
	var out []message
	err := filepath.WalkDir(filepath.Join("..", "..", "test", "captures"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".expected.jsonl") {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 64<<20)
		for n := 1; lines.Scan(); n++ {
			var m struct {
				Op int             `json:"op"`
				T  string          `json:"t"`
				D  json.RawMessage `json:"d"`
			}
			if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
				return err
			}
			if m.Op == 0 {
				out = append(out, message{fmt.Sprintf("%s:%d %s", filepath.Base(path), n, m.T), m.T, m.D})
			}
		}
		return lines.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCaptures(t *testing.T) {
	messages := captured(t)
	names := map[string]bool{}
	for _, m := range messages {
		names[m.name] = true
		v, warnings, err := Decode(m.name, m.data)
		if err != nil {
			t.Errorf("%s: %v", m.where, err)
			continue
		}
		for _, w := range warnings {
			t.Errorf("%s: %v", m.where, w)
		}
		eachUnknown(reflect.ValueOf(v), "", func(path string, u Unknown) {
			for key, raw := range u.All() {
				t.Errorf("%s: unknown field %s.%s: %.60s", m.where, path, key, raw)
			}
		})
		again, err := Marshal(v)
		if err != nil {
			t.Errorf("%s: %v", m.where, err)
			continue
		}
		for _, d := range differences(reflect.TypeOf(v), m.data, again) {
			t.Errorf("%s: %s", m.where, d)
		}
	}
	if len(messages) < 900 || len(names) < 47 {
		t.Errorf("only %d messages of %d events", len(messages), len(names))
	}
}

// eachUnknown calls f for every Unknown within v.
func eachUnknown(v reflect.Value, path string, f func(string, Unknown)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			eachUnknown(v.Elem(), path, f)
		}
	case reflect.Struct:
		if v.Type().Implements(optionalType) {
			// Fields of an Opt are not exported; its method is.
			eachUnknown(v.MethodByName("Value").Call(nil)[0], path, f)
			return
		}
		if u, ok := v.Interface().(Unknown); ok {
			f(path, u)
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				eachUnknown(v.Field(i), path+"."+v.Type().Field(i).Name, f)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			eachUnknown(v.Index(i), fmt.Sprintf("%s[%d]", path, i), f)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			eachUnknown(it.Value(), fmt.Sprintf("%s[%v]", path, it.Key()), f)
		}
	}
}

// differences compares JSON before and after decoding it into a type. It allows
// for what the spec says of a field: a lax one may turn from null into absent, a
// loose one from a string into a number, and a date is an instant.
func differences(t reflect.Type, before, after []byte) []string {
	var out []string
	compare(codecOf(t), parse(before), parse(after), "", "", &out)
	return out
}

func parse(data []byte) any {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		panic(err)
	}
	return v
}

func compare(c *codec, before, after any, path, rules string, out *[]string) {
	for c.kind == kindOpt || c.kind == kindPointer {
		c = c.elem
	}
	differ := func() { *out = append(*out, fmt.Sprintf("%s: was %v, is %v", path, before, after)) }
	switch b := before.(type) {
	case map[string]any:
		a, ok := after.(map[string]any)
		if !ok {
			differ()
			return
		}
		for key, value := range b {
			elem, rules, omit := c.elem, "", false
			if c.kind == kindStruct {
				n := c.find([]byte(key))
				if n < 0 {
					*out = append(*out, path+"."+key+": not in the type")
					continue
				}
				f := c.fields[n]
				elem, rules, omit = f.codec, f.rules, f.omit && f.codec.kind != kindOpt
			} else if c.kind != kindMap {
				elem = c
			}
			got, ok := a[key]
			if !ok && !(omit && value == nil) {
				*out = append(*out, path+"."+key+": lost")
			} else if ok {
				compare(elem, value, got, path+"."+key, rules, out)
			}
		}
		for key := range a {
			if _, ok := b[key]; !ok {
				*out = append(*out, path+"."+key+": added")
			}
		}
	case []any:
		a, ok := after.([]any)
		if !ok || len(a) != len(b) {
			differ()
			return
		}
		elem := c.elem
		if elem == nil {
			elem = c
		}
		for i := range b {
			compare(elem, b[i], a[i], fmt.Sprintf("%s[%d]", path, i), rules, out)
		}
	case string:
		if c.kind == kindTime {
			bt, err1 := time.Parse(time.RFC3339Nano, b)
			at, err2 := time.Parse(time.RFC3339Nano, after.(string))
			if err1 != nil || err2 != nil || !bt.Equal(at) {
				differ()
			}
			return
		}
		if n, ok := after.(json.Number); ok && rules == "loose" && n.String() == b {
			return
		}
		if before != after {
			differ()
		}
	default:
		if before != after {
			differ()
		}
	}
}
