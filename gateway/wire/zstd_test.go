package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// zstdEncoders are one of each level, made when first used.
var zstdEncoders = sync.OnceValue(func() (all []*zstd.Encoder) {
	for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression, zstd.SpeedBestCompression} {
		for _, crc := range []bool{false, true} {
			w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(crc), zstd.WithWindowSize(1<<20))
			if err != nil {
				panic(err)
			}
			all = append(all, w)
		}
	}
	return all
})

var zstdDecoder = sync.OnceValue(func() *zstd.Decoder {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20), zstd.WithDecoderMaxWindow(defaultMaxWindow))
	if err != nil {
		panic(err)
	}
	return r
})

// unzstd feeds frames to a reader in the pieces that cut makes. It returns the
// output, and whether the input ended with a frame.
func unzstd(in []byte, most int, cut func(n int) int) (out []byte, complete bool, err error) {
	var z zstdReader
	z.reset(defaultMaxWindow)
	o := output{max: most}
	for {
		n := cut(len(in))
		piece := bytes.Clone(in[:n])
		in = in[n:]
		for i := 0; i < n; {
			var p progress
			if i, p, err = z.read(&o, piece, i); err != nil || p == full {
				return o.buf[:o.pos], false, err
			}
		}
		if len(in) == 0 {
			return o.buf[:o.pos], z.part == zstdMagic && z.have == 0, nil
		}
	}
}

// checkZstd compresses data in both ways that gateways do.
func checkZstd(t *testing.T, r *rand.Rand, data []byte) {
	t.Helper()
	all := zstdEncoders()
	w := all[r.IntN(len(all))]
	// Frames that know their size.
	packed := w.EncodeAll(data, nil)
	got, complete, err := unzstd(packed, 1<<30, randomCuts(r))
	if err != nil || !complete || !bytes.Equal(got, data) {
		t.Fatalf("frame of %d bytes: %d, %v, %v", len(data), len(got), complete, err)
	}
	// A stream, flushed here and there, and perhaps begun again.
	var b bytes.Buffer
	w.Reset(&b)
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 1+r.IntN(1<<r.IntN(18)))
		w.Write(rest[:n])
		rest = rest[n:]
		switch r.IntN(4) {
		case 0, 1:
			w.Flush()
		case 2:
			w.Close()
			b.WriteString("\x5e\x2a\x4d\x18\x03\x00\x00\x00xyz") // a skippable frame
			w.Reset(&b)
		}
	}
	w.Close()
	got, complete, err = unzstd(b.Bytes(), 1<<30, randomCuts(r))
	if err != nil || !complete || !bytes.Equal(got, data) {
		t.Fatalf("stream of %d bytes: %d, %v, %v", len(data), len(got), complete, err)
	}
}

func TestZstdRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	text := bytes.Join(captured(t), nil)
	for range 150 {
		var data []byte
		switch r.IntN(4) {
		case 0, 1:
			from := r.IntN(len(text))
			data = text[from:min(len(text), from+r.IntN(1<<r.IntN(20)))]
		case 2:
			for range r.IntN(20_000) {
				data = append(data, byte(r.Uint32()))
			}
		case 3:
			for range r.IntN(2_000) {
				data = append(data, bytes.Repeat([]byte("abcdefghijklmnop")[:1+r.IntN(16)], 1+r.IntN(40))...)
			}
		}
		checkZstd(t, r, data)
	}
}

// TestZstdWindow sends enough through one frame that its window slides.
func TestZstdWindow(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(256<<10), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	d := NewDecoder(JSON, Zstd, Limits{})
	for i := range 10_000 {
		want := smallMessage(r, i)
		w.Write(want)
		w.Flush()
		got := decodeAll(t, d, []frame{{b.Bytes(), true}})
		if len(got) != 1 || !bytes.Equal(got[0], want) {
			t.Fatalf("message %d: %q", i, got)
		}
		b.Reset()
	}
	if len(d.out.buf) > 2<<20 {
		t.Errorf("a window of 256 KiB takes %d bytes", len(d.out.buf))
	}
}

func TestZstdErrors(t *testing.T) {
	head := "\x28\xb5\x2f\xfd"
	for in, what := range map[string]string{
		"junk":                                         "zstd: not a zstd frame",
		head + "\x08\x58":                              "zstd: reserved bit is set",
		head + "\x01\x58\x07":                          "zstd: frame wants a dictionary",
		head + "\x00\x58\x07\x00\x00":                  "zstd: reserved block type",
		head + "\x00\x00\x01\x28\x00":                  "zstd: block is too large",
		head + "\x20\x05\x01\x00\x00":                  "zstd: frame has another size than it says",
		head + "\x20\x01\x13\x00\x00a":                 "zstd: block is too large",
		head + "\x24\x01\x09\x00\x00a\x00\x00\x00\x00": "zstd: wrong checksum",
	} {
		_, _, err := unzstd([]byte(in), 1<<20, whole)
		var e *Error
		if !errors.As(err, &e) || e.What != what {
			t.Errorf("%q: %v, want %s", in, err, what)
		}
	}
	_, _, err := unzstd([]byte(head+"\x00\xa8"), 1<<20, whole) // 2 GiB
	if e := (*LimitError)(nil); !errors.As(err, &e) || e.Limit != defaultMaxWindow {
		t.Errorf("window: %v", err)
	}
	// A dictionary named 0 is none.
	if out, complete, err := unzstd([]byte(head+"\x21\x00\x01\x09\x00\x00a"), 1<<20, whole); err != nil || !complete || string(out) != "a" {
		t.Errorf("%q, %v, %v", out, complete, err)
	}
}

// A checksum can keep back a message that is wrong, and says nothing of those that
// have been handed out.
func TestZstdChecksum(t *testing.T) {
	var buf bytes.Buffer
	w, err := zstd.NewWriter(&buf, zstd.WithEncoderCRC(true), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	const msg = `{"op":11}`
	_, _ = w.Write([]byte(msg))
	_ = w.Flush()
	flushed := buf.Len()
	_ = w.Close()
	stream := buf.Bytes()
	stream[len(stream)-1] ^= 1

	next := func(d *Decoder, frame []byte) (string, error) {
		d.Write(frame, true)
		m, err := d.Next()
		return string(m), err
	}
	if m, err := next(NewDecoder(JSON, Zstd, Limits{}), stream); err == nil || m != "" {
		t.Fatalf("all at once: %q, %v", m, err)
	}
	d := NewDecoder(JSON, Zstd, Limits{})
	if m, err := next(d, stream[:flushed]); err != nil || m != msg {
		t.Fatalf("the message: %q, %v", m, err)
	}
	if m, err := next(d, stream[flushed:]); err != nil || m != "" {
		t.Fatalf("what is behind it: %q, %v", m, err)
	}
}

func FuzzZstd(f *testing.F) {
	text := captured(f)
	for i, m := range text {
		if i%100 == 0 && len(m) < 2000 {
			f.Add(m, uint64(i))
			for k, w := range zstdEncoders() {
				f.Add(w.EncodeAll(m, nil), uint64(k))
			}
		}
	}
	for i, frame := range captureNamed(f, "alice-json-zstd").frames {
		if i%20 == 0 {
			f.Add(frame.data, uint64(i))
		}
	}
	f.Add(zstdEncoders()[6].EncodeAll(bytes.Join(text, nil)[:20_000], nil), uint64(0))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		checkZstd(t, r, data)
		checkAnyZstd(t, r, data)
		checkAnyFrames(t, r, JSON, Zstd, data)
	})
}

// checkAnyZstd compares the outcome of any bytes with klauspost's.
func checkAnyZstd(t *testing.T, r *rand.Rand, data []byte) {
	const most = 1 << 20
	got, complete, err := unzstd(data, most, whole)
	if len(got) > most {
		return
	}
	// In pieces it is the same.
	again, complete2, err2 := unzstd(data, most, randomCuts(r))
	if complete2 != complete || (err2 == nil) != (err == nil) || err == nil && !bytes.Equal(got, again) || err != nil && err2.Error() != err.Error() {
		t.Fatalf("%x: %v, %v, in pieces %v, %v", data, complete, err, complete2, err2)
	}
	if err != nil || !complete {
		return
	}
	want, err := zstdDecoder().DecodeAll(data, nil)
	if err != nil && strings.Contains(err.Error(), "fse decompress returned") {
		return // of weights that the zstd command, too, takes
	}
	if err != nil {
		t.Fatalf("%x: taken; klauspost: %v", data, err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%x: %x, klauspost %x", data, got, want)
	}
}

func TestXXH64(t *testing.T) {
	// The checksum of a frame of each length, as the encoder made it.
	w := zstdEncoders()[1]
	data := bytes.Repeat([]byte("Spacebar gateway "), 20)
	for n := 1; n < len(data); n++ {
		packed := w.EncodeAll(data[:n], nil)
		var h xxh64
		h.reset()
		h.write(data[:n/3])
		h.write(data[n/3 : n])
		if got, want := uint32(h.sum()), binary.LittleEndian.Uint32(packed[len(packed)-4:]); got != want {
			t.Fatalf("of %d bytes: %x, want %x", n, got, want)
		}
	}
}

// What fills its blocks is one message, unless one can have ended with a block.
func TestZstdBlocks(t *testing.T) {
	message := func(size int) string { return `{"d":"` + strings.Repeat("x", size-8) + `"}` }
	for _, sizes := range [][]int{
		{zstdMaxBlock - 1}, {zstdMaxBlock}, {zstdMaxBlock + 1}, {3*zstdMaxBlock + 5}, {4 * zstdMaxBlock},
		{zstdMaxBlock, 100}, {2 * zstdMaxBlock, 100, zstdMaxBlock, 3 * zstdMaxBlock},
		{100, 100}, {zstdMaxBlock + 1, 100}, {100, 2*zstdMaxBlock + 7, 100},
	} {
		var out bytes.Buffer
		w, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
		if err != nil {
			t.Fatal(err)
		}
		d := NewDecoder(JSON, Zstd, Limits{})
		for range 2 { // the second frame has no header
			out.Reset()
			for _, size := range sizes {
				_, _ = w.Write([]byte(message(size)))
				if err := w.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			d.Write(bytes.Clone(out.Bytes()), true)
			for i, size := range sizes {
				msg, err := d.Next()
				if err != nil || string(msg) != message(size) {
					t.Fatalf("sizes %v: message %d has %d bytes, error %v", sizes, i, len(msg), err)
				}
				if i < len(sizes)-1 && !d.Pending() {
					t.Errorf("sizes %v: nothing is pending behind message %d", sizes, i)
				}
			}
			if msg, err := d.Next(); msg != nil || err != nil {
				t.Fatalf("sizes %v: %d bytes more, error %v", sizes, len(msg), err)
			}
			if d.Pending() {
				t.Errorf("sizes %v: something is pending at the end", sizes)
			}
		}
	}
}
