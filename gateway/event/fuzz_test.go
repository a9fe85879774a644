package event

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// FuzzUnmarshal decodes any bytes as any event and holds the codec to what it
// promises: it takes exactly what is JSON, what it wrote it reads back as the
// same, and where encoding/json can read a payload at all both read the same.
func FuzzUnmarshal(f *testing.F) {
	names := Names()
	index := map[string]uint16{}
	for i, name := range names {
		index[name] = uint16(i)
	}
	seen := map[string]bool{}
	for _, m := range captured(f) {
		if !seen[m.name] && len(m.data) < 5000 {
			seen[m.name] = true
			f.Add(index[m.name], []byte(m.data))
		}
	}
	for _, text := range []string{
		``, `null`, `[]`, `{}`, `{"id":1}`, `{"id":"1","id":2}`, `{"id":18446744073709551615}`, `{"id":-1}`, `{"id":1e3}`,
		`{"i\u0064":"7","content":"\ud83d\ude00\ud800\n"}`, "{\"content\":\"\xff\"}", `{"x":[{"y":null}]}`, `{"flags":"12","type":4.0}`,
		`{"timestamp":"2024-02-29T23:59:60Z"}`, `{"timestamp":"2024-02-29T23:59:59.123456789-11:30"}`, `{"embeds":[1,{},"x"]}`,
		`{"nonce":-1.5e-7,"components":[{"type":1,"value":{"a":[1,2,3e400]}}]}`, `[{"session_id":0}]`, `{"a":"\u12"}`, `{"a":01}`, `[1,]`,
	} {
		f.Add(index["MESSAGE_CREATE"], []byte(text))
		f.Add(index["SESSIONS_REPLACE"], []byte(text))
	}
	f.Add(index["READY"], []byte(`{"experiments":[[1,2,3]],"read_state":[{"id":"1"}],"guild_experiments":[[1,null,0,[[[[0,[{"s":0,"e":9}]]],[]]],[{"b":1,"k":["2"]}],[],null,null,0,0]]}`))

	f.Fuzz(func(t *testing.T, n uint16, data []byte) {
		checkCodec(t, names[int(n)%len(names)], data)
	})
}

// TestMutations does the same with captured messages in which values were put in
// the place of others, which chance alone would hardly find.
func TestMutations(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	rounds := 50
	if testing.Short() {
		rounds = 20
	}
	seen := map[string]bool{}
	for _, m := range captured(t) {
		if seen[m.name] {
			continue
		}
		seen[m.name] = true
		for range rounds {
			tree := parse(m.data)
			for range 1 + random.IntN(3) {
				tree = mutate(random, tree)
			}
			data, err := json.Marshal(tree)
			if err != nil {
				t.Fatal(err)
			}
			checkCodec(t, m.name, data)
			if t.Failed() {
				t.Fatalf("%s: %s", m.name, data)
			}
		}
	}
}

// mutate replaces one value within a tree.
func mutate(random *rand.Rand, tree any) any {
	switch v := tree.(type) {
	case map[string]any:
		if len(v) > 0 && random.IntN(20) > 0 {
			key := slices.Sorted(maps.Keys(v))[random.IntN(len(v))]
			switch random.IntN(20) {
			case 0:
				delete(v, key)
			case 1:
				v[key+"_"] = v[key]
			default:
				v[key] = mutate(random, v[key])
			}
			return v
		}
	case []any:
		if len(v) > 0 && random.IntN(20) > 0 {
			i := random.IntN(len(v))
			v[i] = mutate(random, v[i])
			return v
		}
	}
	values := []any{
		nil, true, false, "", "text", "12", "-7", "1.5", "1e3", "99999999999999999999", "2024-01-02T03:04:05Z", "9999-12-31T23:59:59-05:00", "\ufffd\u2028\"\\",
		json.Number("0"), json.Number("-0"), json.Number("7"), json.Number("-7"), json.Number("1e3"), json.Number("1.50"), json.Number("18446744073709551615"), json.Number("18446744073709551616"), json.Number("1e400"),
		map[string]any{}, map[string]any{"id": "1"}, map[string]any{"1": nil, "x": []any{}}, []any{}, []any{nil}, []any{json.Number("1"), "2"}, []any{[]any{map[string]any{}}},
	}
	return values[random.IntN(len(values))]
}

// checkCodec fails the test if the codec breaks one of its promises.
func checkCodec(t *testing.T, name string, data []byte) {
	t.Helper()
	input := bytes.Clone(data)
	v, warnings, err := Decode(name, data)
	if !bytes.Equal(input, data) {
		t.Fatal("the input was changed")
	}
	if (err == nil) != json.Valid(data) {
		if e, ok := err.(*SyntaxError); ok && e.Reason == "nested too deeply" {
			return
		}
		t.Fatalf("err = %v, json.Valid = %v", err, json.Valid(data))
	}
	if err != nil {
		return
	}
	clear(data) // nothing may refer to it
	first, err := Marshal(v)
	if err != nil {
		t.Fatalf("cannot encode what was decoded: %v", err)
	}
	if !json.Valid(first) {
		t.Fatalf("not JSON: %s", first)
	}
	again, _, err := Decode(name, first)
	if err != nil {
		t.Fatalf("cannot decode what was encoded: %v\n%s", err, first)
	}
	second, err := Marshal(again)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Fatalf("encoded as\n%s\nthen as\n%s", first, second)
	}
	clean := warnings == nil && !hasDuplicates(input)
	eachUnknown(reflect.ValueOf(v), "", func(_ string, u Unknown) { clean = clean && u.Len() == 0 })
	if std := New(name); clean && json.Unmarshal(input, std) == nil {
		want, err := Marshal(std)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, want) {
			t.Fatalf("decoded\n%s\nencoding/json decoded\n%s", first, want)
		}
	}
}

// hasDuplicates reports whether an object has a key twice, which encoding/json
// merges and the codec replaces.
func hasDuplicates(data []byte) bool {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var value func() bool
	value = func() bool {
		t, err := d.Token()
		if err != nil {
			return err != io.EOF
		}
		switch t {
		case json.Delim('{'):
			keys := map[string]bool{}
			for d.More() {
				key, _ := d.Token()
				if k, ok := key.(string); !ok || keys[k] {
					return true
				} else {
					keys[k] = true
				}
				if value() {
					return true
				}
			}
			_, _ = d.Token()
		case json.Delim('['):
			for d.More() {
				if value() {
					return true
				}
			}
			_, _ = d.Token()
		}
		return false
	}
	return value()
}
