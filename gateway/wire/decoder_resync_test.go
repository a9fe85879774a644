package wire

import (
	"bytes"
	"compress/zlib"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// What a server sends that is no message costs that, and not what follows.
func TestGarbageDoesNotSwallowWhatFollows(t *testing.T) {
	frames := []string{`{"op":10}`, `{bad`, `{"op":1}`, `hello`, `[1,{`, `{"a":"`, `{"op":2,"d":{"x":[]}}`, `{"op":3}`}
	want := []string{`{"op":10}`, `{bad`, `{"op":1}`, `hello`, `[1,{{"a":"`, `{"op":2,"d":{"x":[]}}`, `{"op":3}`}
	var out bytes.Buffer
	zw := zlib.NewWriter(&out)
	sw, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	one, _ := zstd.NewWriter(nil)
	for name, c := range map[string]struct {
		comp   Compression
		encode func(string)
	}{
		"zlib-stream": {Zlib, func(s string) { zw.Write([]byte(s)); zw.Flush() }},
		"zstd-stream": {Zstd, func(s string) { sw.Write([]byte(s)); sw.Flush() }},
		"zstd frames": {Zstd, func(s string) { out.Write(one.EncodeAll([]byte(s), nil)) }},
	} {
		out.Reset()
		d := NewDecoder(JSON, c.comp, Limits{})
		var got []string
		for _, text := range frames {
			c.encode(text)
			d.Write(bytes.Clone(out.Bytes()), true)
			out.Reset()
			for {
				msg, err := d.Next()
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if msg == nil {
					break
				}
				got = append(got, string(msg))
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%s: %q, want %q", name, got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: message %d is %q, want %q", name, i, got[i], want[i])
			}
		}
	}
	_ = sw.Close()
}

// Nor if it begins with white space, which is no part of it, and comes in two blocks.
func TestGarbageBehindSpace(t *testing.T) {
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	d := NewDecoder(JSON, Zstd, Limits{})
	for _, text := range []string{"  {bad", "worse"} {
		w.Write([]byte(text))
		w.Flush()
	}
	frames := []frame{{bytes.Clone(out.Bytes()), true}}
	out.Reset()
	w.Write([]byte(`{"op":1}`))
	w.Flush()
	frames = append(frames, frame{out.Bytes(), true})
	sameMessages(t, "behind white space", decodeAll(t, d, frames), [][]byte{[]byte("{badworse"), []byte(`{"op":1}`)})
}
