package wire

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"hash/adler32"
	"io"
	"math/rand/v2"
	"testing"
)

// inflateAll feeds a zlib or Deflate stream to read in the pieces that cut
// makes, and returns the output and how it ended.
func inflateAll(o *output, read func(o *output, in []byte, i int) (int, progress, error), in []byte, cut func(n int) int) (progress, error) {
	for {
		n := cut(len(in))
		piece := odd(in[:n])
		in = in[n:]
		for i := 0; ; {
			var p progress
			var err error
			if i, p, err = read(o, piece, i); err != nil {
				return p, err
			}
			if p == ended || p == full {
				return p, nil
			}
			if p == needInput {
				if i != len(piece) {
					panic("input left over")
				}
				break
			}
		}
		if len(in) == 0 {
			return needInput, nil
		}
	}
}

// odd copies a piece of input into one with as much capacity as its content
// decides, and other bytes than those that follow behind its end, so that using
// those is noticed.
func odd(in []byte) []byte {
	room := 0
	if len(in) > 0 {
		room = int(in[0]) % 3 * inflateOver
	}
	piece := make([]byte, len(in)+room)
	for i := copy(piece, in); i < len(piece); i++ {
		piece[i] = 0xb5
	}
	return piece[: len(in) : len(in)+room]
}

func whole(n int) int { return n }

func randomCuts(r *rand.Rand) func(n int) int {
	mean := 1 << r.IntN(12)
	return func(n int) int { return min(n, r.IntN(2*mean)+r.IntN(2)) }
}

// compress makes a stream of data with std's compressor, flushed here and there.
func compress(r *rand.Rand, data []byte) []byte {
	var b bytes.Buffer
	w, err := zlib.NewWriterLevel(&b, r.IntN(12)-2)
	if err != nil {
		panic(err)
	}
	for len(data) > 0 {
		n := min(len(data), 1+r.IntN(1<<r.IntN(14)))
		w.Write(data[:n])
		data = data[n:]
		if r.IntN(2) == 0 {
			w.Flush()
		}
	}
	w.Close()
	return b.Bytes()
}

func TestZlibRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	text := bytes.Join(captured(t), nil)
	for range 150 {
		var data []byte
		switch r.IntN(3) {
		case 0:
			from := r.IntN(len(text))
			data = text[from:min(len(text), from+r.IntN(300_000))]
		case 1: // nothing to compress: stored blocks
			for range r.IntN(20_000) {
				data = append(data, byte(r.Uint32()))
			}
		case 2: // short repeats, so short distances
			for range r.IntN(2_000) {
				data = append(data, bytes.Repeat([]byte("abcdefghijklmnop")[:1+r.IntN(16)], 1+r.IntN(40))...)
			}
		}
		checkZlib(t, r, data)
	}
}

func checkZlib(t *testing.T, r *rand.Rand, data []byte) {
	t.Helper()
	packed := compress(r, data)
	var z zlibReader
	o := output{max: 1 << 30}
	if p, err := inflateAll(&o, z.read, packed, randomCuts(r)); err != nil || p != ended {
		t.Fatalf("%d bytes: %v, %v", len(data), p, err)
	}
	if !bytes.Equal(o.buf[:o.pos], data) {
		t.Fatalf("%d bytes came back as %d others", len(data), o.pos)
	}
	// What is taken away is not noticed before the end, or at all.
	o.reset()
	z.reset()
	if p, err := inflateAll(&o, z.read, packed[:r.IntN(len(packed))], whole); err != nil || p != needInput {
		t.Fatalf("cut short: %v, %v", p, err)
	}
	// A wrong checksum is.
	packed[len(packed)-1]++
	o.reset()
	z.reset()
	if _, err := inflateAll(&o, z.read, packed, whole); !errors.As(err, new(*Error)) {
		t.Fatalf("wrong checksum: %v", err)
	}
}

func TestAdler32(t *testing.T) {
	b := bytes.Repeat([]byte{0xff, 0xfe, 0xff}, 10_000)
	for n := 0; n < len(b); n += 1 + n/3 {
		if got, want := sumAdler(b[:n]), adler32.Checksum(b[:n]); got != want {
			t.Errorf("of %d bytes: %x, want %x", n, got, want)
		}
	}
}

func TestZlibErrors(t *testing.T) {
	for in, what := range map[string]string{
		"\x79\x9c":                     "zlib: not a zlib stream",
		"\x78\x9d":                     "zlib: not a zlib stream",
		"\x88\x1c":                     "zlib: not a zlib stream",
		"\x78\xbb":                     "zlib: stream wants a dictionary",
		"\x78\x9c\x07":                 "deflate: unknown block type",
		"\x78\x9c\x00\x01\x00\x00\x00": "deflate: bad length of a stored block",
		"\x78\x9c\x03\x02\x00":         "deflate: match reaches before the beginning",
	} {
		var z zlibReader
		o := output{max: 1 << 20, window: deflateWindow}
		_, err := inflateAll(&o, z.read, []byte(in), whole)
		var e *Error
		if !errors.As(err, &e) || e.What != what {
			t.Errorf("%q: %v, want %s", in, err, what)
		}
	}
}

// checkDeflate compares the outcome of any bytes with std's.
func checkDeflate(t *testing.T, r *rand.Rand, data []byte) {
	const most = 1 << 20
	in := bytes.NewReader(data)
	want, stdErr := io.ReadAll(io.LimitReader(flate.NewReader(in), most))
	if len(want) == most {
		return
	}
	run := func(cut func(int) int) (output, progress, error) {
		var z inflater
		o := output{max: most, window: deflateWindow}
		p, err := inflateAll(&o, z.inflate, data, cut)
		return o, p, err
	}
	o, p, err := run(whole)
	got := o.buf[:o.pos]
	switch {
	case stdErr == nil:
		if err != nil || p != ended || !bytes.Equal(got, want) {
			t.Fatalf("%x: %v, %v, %d bytes; std has %d bytes", data, p, err, len(got), len(want))
		}
	case p == ended && err == nil:
		t.Fatalf("%x: taken; std: %v", data, stdErr)
	case errors.Is(stdErr, io.ErrUnexpectedEOF) && err != nil && err.Error() != "wire: deflate: block without an end":
		// std does not mind a block that cannot end.
		t.Fatalf("%x: %v; std: %v", data, err, stdErr)
	case err == nil && !bytes.HasPrefix(got, want):
		// Where std stops for want of input it may not have handed out all.
		t.Fatalf("%x: got %x, std %x", data, got, want)
	}
	// In pieces it is the same.
	o2, p2, err2 := run(randomCuts(r))
	if p2 != p || (err2 == nil) != (err == nil) || !bytes.Equal(o2.buf[:o2.pos], got) {
		t.Fatalf("%x: %v, %v, in pieces %v, %v", data, p, err, p2, err2)
	}
	if err != nil && err.Error() != err2.Error() {
		t.Fatalf("%x: %v, in pieces %v", data, err, err2)
	}
}

func FuzzZlib(f *testing.F) {
	for i, m := range captured(f) {
		if i%100 == 0 && len(m) < 2000 {
			f.Add(m, uint64(i))
			f.Add(compress(rand.New(rand.NewPCG(1, uint64(i))), m)[2:], uint64(i))
		}
	}
	c := captureNamed(f, "alice-json-zlib")
	f.Add(c.frames[1].data, uint64(1)) // dynamic codes
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		checkZlib(t, r, data)
		checkDeflate(t, r, data)
		checkAnyFrames(t, r, JSON, Zlib, append([]byte("\x78\x9c"), data...))
		checkAnyFrames(t, r, ETF, None, append([]byte("\x78\x9c"), data...))
	})
}
