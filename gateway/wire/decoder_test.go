package wire

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	kflate "github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// frame is a frame of a captured connection.
type frame struct {
	data   []byte
	binary bool
}

// capture is a connection that was recorded from a real server.
type capture struct {
	name     string
	enc      Encoding
	comp     Compression
	frames   []frame
	expected [][]byte // JSON texts
}

var allCaptures []capture

// captures reads the captures, once.
func captures(t testing.TB) []capture {
	t.Helper()
	if allCaptures == nil {
		allCaptures = readCaptures(t)
	}
	return allCaptures
}

func readCaptures(t testing.TB) (all []capture) {
	t.Helper()
	for _, pattern := range []string{"../../test/captures/*.expected.jsonl", "../../test/captures/probes/*.expected.jsonl"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no captures at %s (%v)", pattern, err)
		}
		for _, name := range files {
			name = strings.TrimSuffix(name, ".expected.jsonl")
			c := capture{name: filepath.Base(name), expected: readLines(t, name+".expected.jsonl")}
			for i, line := range readLines(t, name+".jsonl") {
				var l struct{ Query, Dir, Kind, Data string }
				if err := json.Unmarshal(line, &l); err != nil {
					t.Fatal(err)
				}
				switch {
				case i == 0:
					if strings.Contains(l.Query, "encoding=etf") {
						c.enc = ETF
					}
					if strings.Contains(l.Query, "compress=zlib-stream") {
						c.comp = Zlib
					} else if strings.Contains(l.Query, "compress=zstd-stream") {
						c.comp = Zstd
					}
				case l.Dir != "in":
				case l.Kind == "binary":
					data, err := base64.StdEncoding.DecodeString(l.Data)
					if err != nil {
						t.Fatal(err)
					}
					c.frames = append(c.frames, frame{data, true})
				default:
					c.frames = append(c.frames, frame{[]byte(l.Data), false})
				}
			}
			all = append(all, c)
		}
	}
	return all
}

func captureNamed(t testing.TB, name string) capture {
	for _, c := range captures(t) {
		if c.name == name {
			return c
		}
	}
	t.Fatal("no capture " + name)
	return capture{}
}

func readLines(t testing.TB, name string) (lines [][]byte) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<26)
	for s.Scan() {
		lines = append(lines, bytes.Clone(s.Bytes()))
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// decodeAll passes frames through d and returns copies of the messages.
func decodeAll(t testing.TB, d *Decoder, frames []frame) (msgs [][]byte) {
	t.Helper()
	for i, f := range frames {
		d.Write(f.data, f.binary)
		for {
			msg, err := d.Next()
			if err != nil {
				t.Fatalf("frame %d: %v", i, err)
			}
			if msg == nil {
				break
			}
			msgs = append(msgs, bytes.Clone(msg))
		}
	}
	return msgs
}

func TestCaptures(t *testing.T) {
	for _, c := range captures(t) {
		got := decodeAll(t, NewDecoder(c.enc, c.comp, Limits{}), c.frames)
		if len(got) != len(c.expected) {
			t.Errorf("%s: %d messages, want %d", c.name, len(got), len(c.expected))
			continue
		}
		for i := range got {
			if len(got[i]) > 0 && got[i][0] == etfVersion {
				got[i] = checkETF(t, got[i])
			}
			if !sameJSON(got[i], c.expected[i]) {
				t.Errorf("%s: message %d is %s, want %s", c.name, i, got[i], c.expected[i])
			}
		}
	}
}

// checkETF returns the JSON text of an ETF message, and compares the envelopes
// that the two have.
func checkETF(t testing.TB, msg []byte) []byte {
	t.Helper()
	text, err := AppendJSON(nil, msg)
	if err != nil {
		t.Fatalf("AppendJSON(%x): %v", msg, err)
	}
	var fromETF, fromJSON Message
	if err := ScanETF(msg, &fromETF); err != nil {
		t.Fatalf("ScanETF(%x): %v", msg, err)
	}
	if err := Scan(text, &fromJSON); err != nil {
		t.Fatalf("Scan(%s): %v", text, err)
	}
	var data []byte
	if len(fromETF.Data) > 0 {
		if data, err = AppendJSON(nil, fromETF.Data); err != nil {
			t.Fatalf("AppendJSON(%x): %v", fromETF.Data, err)
		}
	}
	if fromETF.Op != fromJSON.Op || fromETF.Seq != fromJSON.Seq || !bytes.Equal(fromETF.Type, fromJSON.Type) || !bytes.Equal(data, Trim(fromJSON.Data)) {
		t.Fatalf("envelope of %s: %+v, want %+v", text, fromETF, fromJSON)
	}
	return text
}

func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	ja, _ := json.Marshal(x)
	jb, _ := json.Marshal(y)
	return bytes.Equal(ja, jb)
}

// recut joins the data of frames and cuts it at other places.
func recut(r *rand.Rand, frames []frame, mean int) (again []frame) {
	var all []byte
	for _, f := range frames {
		all = append(all, f.data...)
	}
	for len(all) > 0 {
		n := min(len(all), 1+r.IntN(2*mean))
		again = append(again, frame{bytes.Clone(all[:n]), true})
		all = all[n:]
		if r.IntN(8) == 0 {
			again = append(again, frame{nil, true})
		}
	}
	return again
}

// TestCuts cuts the compressed captures at any bytes: messages that span frames
// and frames that hold several messages.
func TestCuts(t *testing.T) {
	for _, c := range captures(t) {
		if c.comp == None {
			continue
		}
		want := decodeAll(t, NewDecoder(c.enc, c.comp, Limits{}), c.frames)
		for seed := range uint64(12) {
			r := rand.New(rand.NewPCG(seed, 1))
			got := decodeAll(t, NewDecoder(c.enc, c.comp, Limits{}), recut(r, c.frames, 1<<seed))
			sameMessages(t, c.name, got, want)
		}
	}
	// So too where zstd frames are not one to a message.
	r := rand.New(rand.NewPCG(2, 2))
	want := smallMessages(300)
	for seed := range 12 {
		got := decodeAll(t, NewDecoder(JSON, Zstd, Limits{}), recut(r, zstdFrames(t, want, true), 1<<seed))
		sameMessages(t, "zstd stream", got, want)
	}
}

func sameMessages(t *testing.T, name string, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d messages, want %d", name, len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("%s: message %d is %.300s, want %.300s", name, i, got[i], want[i])
		}
	}
}

// TestFlushes has flushes that are missing, or in the middle of a message.
func TestFlushes(t *testing.T) {
	want := smallMessages(200)
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	take := func() frame { defer b.Reset(); return frame{bytes.Clone(b.Bytes()), true} }

	var frames []frame
	for i, m := range want {
		cut := bytes.IndexByte(m[i:], ',') + i // not behind a brace
		w.Write(m[:cut])
		w.Flush()
		frames = append(frames, take())
		w.Write(m[cut:])
		w.Flush()
		frames = append(frames, take())
	}
	sameMessages(t, "flushed twice", decodeAll(t, NewDecoder(JSON, Zlib, Limits{}), frames), want)
	sameMessages(t, "flushed twice", decodeAll(t, NewDecoder(JSON, Zlib, Limits{}), recut(rand.New(rand.NewPCG(1, 1)), frames, 100)), want)

	// The marker comes with the next message. The message is complete all the
	// same, if its last bits are in what came: which they are, as the block
	// that the marker is the body of begins behind them.
	d := NewDecoder(JSON, Zlib, Limits{})
	var late []byte
	for i, f := range zlibFrames(want) {
		data := append(late, f.data[:len(f.data)-4]...)
		late = f.data[len(f.data)-4:]
		got := decodeAll(t, d, []frame{{data, true}})
		if len(got) != 1 || !bytes.Equal(got[0], want[i]) {
			t.Fatalf("message %d: %q", i, got)
		}
	}

	// Several messages to one flush, with white space between.
	b.Reset()
	w.Reset(&b)
	for i := 0; i < len(want); i += 4 {
		w.Write(bytes.Join(want[i:i+4], []byte("\n ")))
		w.Write([]byte("\n"))
		w.Flush()
	}
	sameMessages(t, "joined", decodeAll(t, NewDecoder(JSON, Zlib, Limits{}), []frame{take()}), want)

	// And without, as objects that begin and end a frame.
	for size := 2; size <= 40; size++ {
		few := [][]byte{smallMessages(1)[0][:0:0], []byte(`{"op":1,"d":null}`), []byte(`{"op":0,"t":"X","d":{"a":"}{\"}{"},"s":3}`)}
		few[0] = append(append([]byte(`{"op":11,"d":"`), bytes.Repeat([]byte("a"), size)...), `"}`...)
		joined := bytes.Join(few, nil)
		sameMessages(t, "joined closely, zlib", decodeAll(t, NewDecoder(JSON, Zlib, Limits{}), zlibFrames([][]byte{joined})), few)
		sameMessages(t, "joined closely, zstd", decodeAll(t, NewDecoder(JSON, Zstd, Limits{}), zstdFrames(t, [][]byte{joined}, true)), few)
	}

	// Events with rising numbers, whether their numbers were to be expected or not.
	event := func(s int) []byte {
		return fmt.Appendf(nil, `{"op":0,"t":"MESSAGE_CREATE","d":{"content":"%d"},"s":%d}`, s, s)
	}
	events := [][]byte{event(8), event(9), event(10), event(11), event(12), event(14), event(15), event(13), event(99_999), event(100_000), event(100_001)}
	var flushes [][]byte
	for k, n := 0, 0; k < len(events); k, n = k+n, n%3+1 {
		n = max(n, 1)
		flushes = append(flushes, bytes.Join(events[k:min(k+n, len(events))], nil))
	}
	for _, all := range [][][]byte{flushes, {bytes.Join(events, nil)}, events} {
		sameMessages(t, "events, zlib", decodeAll(t, NewDecoder(JSON, Zlib, Limits{}), zlibFrames(all)), events)
		sameMessages(t, "events, zstd", decodeAll(t, NewDecoder(JSON, Zstd, Limits{}), zstdFrames(t, all, true)), events)
	}

	// A stream to each message.
	frames = nil
	for _, m := range want {
		b.Reset()
		w.Reset(&b)
		w.Write(m)
		w.Close()
		frames = append(frames, take())
	}
	sameMessages(t, "streams", decodeAll(t, NewDecoder(JSON, Zlib, Limits{}), frames), want)
	sameMessages(t, "streams", decodeAll(t, NewDecoder(JSON, Zlib, Limits{}), recut(rand.New(rand.NewPCG(1, 1)), frames, 100)), want)
	// That is also what payload compression looks like.
	sameMessages(t, "payloads", decodeAll(t, NewDecoder(JSON, None, Limits{}), frames), want)

	// A stream that carried much more than its window ends, and another begins; or one
	// whose only message was flushed and is not kept.
	d.Reset()
	for range 2 {
		b.Reset()
		w.Reset(&b)
		for _, m := range want {
			w.Write(m)
			w.Flush()
		}
		w.Close()
		sameMessages(t, "shared stream that ends", decodeAll(t, d, []frame{take()}), want)
		large := readyMessage(t)
		w.Reset(&b)
		w.Write(large)
		w.Flush()
		w.Close()
		sameMessages(t, "large stream that ends", decodeAll(t, d, []frame{take()}), [][]byte{large})
	}
	// What comes behind must begin a stream.
	d.Write([]byte("garbage"), true)
	if _, err := d.Next(); err == nil || err.Error() != "wire: zlib: not a zlib stream" {
		t.Errorf("garbage behind a stream: %v", err)
	}
	// One that ends while a message is pending has to be right.
	b.Reset()
	w.Reset(&b)
	for _, m := range want {
		w.Write(m)
		w.Flush()
	}
	w.Write([]byte(`{"a":`))
	w.Close()
	d.Reset()
	d.Write(b.Bytes(), true)
	for range want {
		if msg, err := d.Next(); msg == nil || err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Next(); err == nil || err.Error() != "wire: zlib: stream ends in the middle of a message" {
		t.Errorf("end in a message: %v", err)
	}
}

func TestPlainFrames(t *testing.T) {
	text := []byte(`{"op":11,"d":{}}`)
	term, err := AppendETF(nil, text)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write(term[1:])
	w.Close()
	compressedTerm := append(append([]byte{etfVersion, tagCompressed}, 0, 0, 0, byte(len(term)-1)), b.Bytes()...)
	b.Reset()
	w.Reset(&b)
	w.Write(term)
	w.Close()
	compressed := b.Bytes()

	for _, c := range []struct {
		enc  Encoding
		comp Compression
		frame
		want []byte
	}{
		{JSON, None, frame{text, false}, text},
		{JSON, None, frame{text, true}, text},
		{JSON, Zlib, frame{text, false}, text},
		{JSON, Zstd, frame{text, false}, text},
		{ETF, Zlib, frame{text, false}, text},
		{ETF, None, frame{term, true}, term},
		{ETF, None, frame{compressed, true}, term},
		{ETF, None, frame{compressedTerm, true}, term},
		{ETF, None, frame{nil, true}, nil},
		{JSON, Zlib, frame{nil, true}, nil},
		{JSON, None, frame{nil, false}, nil},
		{JSON, None, frame{[]byte("hello"), false}, []byte("hello")}, // Scan will say that it is no message
	} {
		d := NewDecoder(c.enc, c.comp, Limits{})
		for range 2 {
			d.Write(c.data, c.binary)
			got, err := d.Next()
			if err != nil || !bytes.Equal(got, c.want) {
				t.Errorf("%+v: %q, %v", c, got, err)
			}
			if got, err := d.Next(); got != nil || err != nil {
				t.Errorf("%+v: then %q, %v", c, got, err)
			}
		}
	}

	wrongSize := bytes.Clone(compressedTerm)
	wrongSize[5]++
	for _, bad := range [][]byte{wrongSize, compressed[:len(compressed)-1], append(compressed[:len(compressed):len(compressed)], 0)} {
		d := NewDecoder(ETF, None, Limits{})
		d.Write(bad, true)
		_, err := d.Next()
		if !errors.As(err, new(*Error)) {
			t.Errorf("%x: %v", bad, err)
		}
		// Dead until Reset.
		d.Write(term, true)
		if _, again := d.Next(); again != err {
			t.Errorf("after %v: %v", err, again)
		}
		d.Reset()
		d.Write(term, true)
		if msg, err := d.Next(); err != nil || !bytes.Equal(msg, term) {
			t.Errorf("after Reset: %q, %v", msg, err)
		}
	}
}

// TestBombs has messages that are small on the wire only.
func TestBombs(t *testing.T) {
	const most = 4 << 20
	zeros := func(n int) []byte { return append([]byte(`{"a":"`), bytes.Repeat([]byte("a"), n)...) }
	deflated := zlibFrames([][]byte{zeros(40 << 20)})
	encoder := zstdEncoders()[0]
	var rle []byte
	rle = append(rle, "\x28\xb5\x2f\xfd\x00\x58"...)
	for range 10_000 {
		rle = append(rle, 0x02, 0, 0x10, 'a') // 128 KiB of one byte
	}
	for name, c := range map[string]struct {
		d     *Decoder
		frame []byte
		limit int
	}{
		"zlib":       {NewDecoder(JSON, Zlib, Limits{MaxMessage: most}), deflated[0].data, most},
		"zlib, ETF":  {NewDecoder(ETF, Zlib, Limits{MaxMessage: most}), zlibFrames([][]byte{append([]byte("\x83\x6d\x3f\xff\xff\xff"), make([]byte, 40<<20)...)})[0].data, most},
		"payload":    {NewDecoder(JSON, None, Limits{MaxMessage: most}), deflated[0].data, most},
		"term":       {NewDecoder(ETF, None, Limits{MaxMessage: most}), []byte("\x83\x50\x7f\xff\xff\xff\x78\x9c"), most},
		"plain":      {NewDecoder(JSON, None, Limits{MaxMessage: most}), make([]byte, most+1), most},
		"zstd":       {NewDecoder(JSON, Zstd, Limits{MaxMessage: most}), encoder.EncodeAll(append(bytes.Repeat([]byte("[1234567890"), 10_000), zeros(40<<20)...), nil), most},
		"zstd, RLE":  {NewDecoder(JSON, Zstd, Limits{}), rle, maxRatio},
		"zstd, long": {NewDecoder(JSON, Zstd, Limits{MaxMessage: most}), encoder.EncodeAll(append([]byte("["), bytes.Repeat(smallMessages(1)[0], 10_000)...), nil), most},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c.d.Write(c.frame, true)
		msg, err := c.d.Next()
		runtime.ReadMemStats(&after)
		var e *LimitError
		if msg != nil || !errors.As(err, &e) || e.Limit != c.limit {
			t.Errorf("%s: %d bytes, %v", name, len(msg), err)
		}
		if size := after.TotalAlloc - before.TotalAlloc; size > 5*most {
			t.Errorf("%s: %d bytes were allocated", name, size)
		}
	}

	// Frames that keep a decoder busy with next to nothing: white space, which is no
	// message, and messages of two bytes.
	var spaces []byte
	for range 4096 {
		spaces = append(spaces, "\x28\xb5\x2f\xfd\x00\x58"...)
		for k := range 8 {
			spaces = append(spaces, 0x02|byte(k/7), 0, 0x10, ' ')
		}
	}
	for name, c := range map[string]struct {
		comp  Compression
		frame []byte
	}{
		"white space, zstd": {Zstd, spaces},
		"white space, zlib": {Zlib, flushedZlib(bytes.Repeat([]byte(" "), 1<<20), 256)},
		"empty objects":     {Zlib, zlibFrames([][]byte{bytes.Repeat([]byte("{}"), most)})[0].data},
	} {
		d := NewDecoder(JSON, c.comp, Limits{MaxMessage: most})
		d.Write(c.frame, true)
		n := 0
		msg, err := d.Next()
		for ; msg != nil && err == nil; msg, err = d.Next() {
			n++
		}
		if !errors.As(err, new(*LimitError)) || n > 5*most/messageLeast {
			t.Errorf("%s: %d messages, %v", name, n, err)
		}
	}

	// A zstd frame of a single segment, which has all of its content for a window, here a
	// terabyte: many messages must not make it keep more than one may have.
	d := NewDecoder(JSON, Zstd, Limits{MaxMessage: most})
	d.Write([]byte("\x28\xb5\x2f\xfd\xe0\x00\x00\x00\x00\x00\x01\x00\x00"), true)
	if msg, err := d.Next(); msg != nil || err != nil {
		t.Fatal(err)
	}
	message := "\x30\x00\x00{\"a\":\"" + "\x02\x00\x10x" + "\x10\x00\x00\"}"
	for n := 0; n < 1000; n += 100 {
		got := len(decodeAll(t, d, []frame{{[]byte(strings.Repeat(message, 100)), true}}))
		if got != 100 || len(d.out.buf) > 40<<20 {
			t.Fatalf("%d messages, %d bytes of buffer", got, len(d.out.buf))
		}
	}
	// And a window that small messages move over is not made anew again and again.
	d = NewDecoder(JSON, Zstd, Limits{MaxMessage: 4096})
	frames := zstdFrames(t, smallMessages(20_000), true)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	decodeAll(t, d, frames)
	runtime.ReadMemStats(&after)
	if size := after.TotalAlloc - before.TotalAlloc; size > 100<<20 {
		t.Errorf("%d bytes were allocated for small messages in a large window", size)
	}

	// A message that is just small enough, and several that are not together.
	for _, comp := range []Compression{Zlib, Zstd} {
		m := append([]byte(`{"a":"`), bytes.Repeat([]byte("0123456789abcde\n"), most/16)...)
		m = append(m[:most-2], `"}`...)
		pack := func(msgs ...[]byte) []frame {
			if comp == Zlib {
				return zlibFrames(msgs)
			}
			return zstdFrames(t, msgs, true)
		}
		d := NewDecoder(JSON, comp, Limits{MaxMessage: most})
		sameMessages(t, "largest", decodeAll(t, d, pack(m, m)), [][]byte{m, m})
		d.Reset()
		sameMessages(t, "joined", decodeAll(t, d, pack(bytes.Join([][]byte{m, m, m}, nil))), [][]byte{m, m, m})
		d.Reset()
		d.Write(pack(append([]byte{'{'}, m...))[0].data, true)
		if _, err := d.Next(); !errors.As(err, new(*LimitError)) {
			t.Errorf("one byte too many: %v", err)
		}
	}
}

// flushedZlib is a zlib stream of n times text, flushed after each.
func flushedZlib(text []byte, n int) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	for range n {
		w.Write(text)
		w.Flush()
	}
	return b.Bytes()
}

// TestManyInOne has many messages to one flush, together far over the limit of
// one, so that decoding stops for want of room at many places.
func TestManyInOne(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 20 {
		var want [][]byte
		for range 300 {
			m := smallMessage(r, len(want))
			text := AppendString(nil, string(m[:len(m)-r.IntN(300)]))
			if r.IntN(2) == 0 {
				want = append(want, fmt.Appendf(nil, "[%s]", text), []byte("{}"))
			} else {
				want = append(want, fmt.Appendf(nil, `{"}{":%s}`, text))
			}
		}
		joined := bytes.Join(want, nil)
		limit := 1500 + r.IntN(1000)
		d := NewDecoder(JSON, Zlib, Limits{MaxMessage: limit})
		sameMessages(t, "zlib", decodeAll(t, d, zlibFrames([][]byte{joined})), want)
		d.Reset()
		sameMessages(t, "zlib, cut", decodeAll(t, d, recut(r, zlibFrames([][]byte{joined}), 100)), want)
		var b bytes.Buffer
		w, _ := zlib.NewWriterLevel(&b, zlib.HuffmanOnly)
		w.Write(joined)
		w.Flush()
		d.Reset()
		sameMessages(t, "zlib, literals", decodeAll(t, d, []frame{{b.Bytes(), true}}), want)
		d = NewDecoder(JSON, Zstd, Limits{MaxMessage: limit})
		sameMessages(t, "zstd", decodeAll(t, d, zstdFrames(t, [][]byte{joined}, true)), want)
	}
}

// TestMemory holds the Decoder to small buffers for small messages, also after
// a large one, and to no allocations.
func TestMemory(t *testing.T) {
	large := readyMessage(t)
	small := smallMessages(1000)
	for name, c := range map[string]struct {
		comp   Compression
		frames []frame
		keep   int
	}{
		"zlib":        {Zlib, zlibFrames(append([][]byte{large}, small...)), 1 << 20},
		"zstd stream": {Zstd, zstdFrames(t, append([][]byte{large}, small...), true), 8 << 20},
		"zstd frames": {Zstd, zstdFrames(t, append([][]byte{large}, small...), false), 8 << 20},
	} {
		d := NewDecoder(JSON, c.comp, Limits{})
		decodeAll(t, d, c.frames[:900])
		if len(d.out.buf) > c.keep {
			t.Errorf("%s: %d bytes are kept", name, len(d.out.buf))
		}
		rest := c.frames[900:]
		if n := testing.AllocsPerRun(50, func() {
			d.Write(rest[0].data, true)
			for {
				if msg, err := d.Next(); err != nil {
					t.Fatal(err)
				} else if msg == nil {
					break
				}
			}
			rest = rest[1:]
		}); n > 0 {
			t.Errorf("%s: %v allocations a message", name, n)
		}
	}
}

// checkAnyFrames feeds any bytes to a Decoder, cut to frames.
func checkAnyFrames(t *testing.T, r *rand.Rand, enc Encoding, comp Compression, data []byte) {
	const most = 1 << 16
	d := NewDecoder(enc, comp, Limits{MaxMessage: most, MaxWindow: 1 << 20})
	cut := randomCuts(r)
	made := 0
	for len(data) > 0 {
		n := cut(len(data))
		d.Write(bytes.Clone(data[:n]), true)
		data = data[n:]
		for {
			msg, err := d.Next()
			if err != nil {
				if _, again := d.Next(); again != err {
					t.Fatalf("%v, then %v", err, again)
				}
				return
			}
			if msg == nil {
				break
			}
			if made += len(msg); len(msg) == 0 || len(msg) > most {
				t.Fatalf("a message of %d bytes", len(msg))
			}
		}
		if len(d.out.buf) > 8<<20 {
			t.Fatalf("%d bytes of buffer", len(d.out.buf))
		}
	}
}

// TestGroups has messages of all kinds with rising numbers, as many to a flush as it
// happens, in frames that are cut and joined as it happens.
func TestGroups(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	payloads := []string{`{}`, `null`, `{"a":"}{"}`, `{"s":7,"d":{"s":8}}`, `[{"a":1},{"b":"\\"}]`, `{"content":"\"}{\",\"s\":5}"}`}
	for range 300 {
		seq := r.IntN(20)
		var want, groups [][]byte
		for len(want) < 60 {
			var group [][]byte
			for n := 1 + r.IntN(1+r.IntN(4)); n > 0; n-- {
				d := payloads[r.IntN(len(payloads))]
				switch r.IntN(6) {
				case 0, 1, 2:
					seq += 1 + r.IntN(1+r.IntN(2))
					group = append(group, fmt.Appendf(nil, `{"op":0,"t":"MESSAGE_CREATE_AND_MORE","d":%s,"s":%d}`, d, seq))
				case 3:
					seq++
					group = append(group, fmt.Appendf(nil, `{"t":"MESSAGE_CREATE_AND_MORE","s":%d,"op":0,"d":%s}`, seq, d))
				case 4:
					seq++
					group = append(group, fmt.Appendf(nil, `{"op":0,"t":"MESSAGE_CREATE_AND_MORE","s":%d,"d":%s}`, seq, d))
				case 5:
					group = append(group, fmt.Appendf(nil, `{"op":11,"d":%s}`, d))
				}
			}
			want = append(want, group...)
			groups = append(groups, bytes.Join(group, nil))
		}
		for comp, frames := range map[Compression][]frame{Zlib: zlibFrames(groups), Zstd: zstdFrames(t, groups, r.IntN(2) == 0)} {
			sameMessages(t, "in groups", decodeAll(t, NewDecoder(JSON, comp, Limits{}), frames), want)
			sameMessages(t, "in groups, cut", decodeAll(t, NewDecoder(JSON, comp, Limits{}), recut(r, frames, 1+r.IntN(200))), want)
		}
	}
}

func TestMayBeJoined(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	joined := 0
	for range 100_000 {
		b := make([]byte, r.IntN(120))
		for i := range b {
			b[i] = "}{|zax\"\x7d\xfd\xfb"[r.IntN(3+r.IntN(8))]
		}
		if r.IntN(2) == 0 {
			b = bytes.ReplaceAll(b, []byte("}{"), []byte("|"))
		}
		want := bytes.Contains(b, []byte("}{"))
		if got := mayBeJoined(b); got != want {
			t.Fatalf("%q: %v", b, got)
		}
		if want {
			joined++
		}
	}
	if joined < 1000 {
		t.Errorf("only %d were joined", joined)
	}
}

func TestValueScanner(t *testing.T) {
	for _, m := range append(captured(t), []byte(`{"a\\\"}":"]\\","b":[{},[[]],"\\\\"]}`), []byte(`[]`), []byte(`["\\u005d"]`)) {
		if m[0] != '{' && m[0] != '[' || !json.Valid(m) {
			continue
		}
		padded := append(bytes.Clone(m), m...)
		steps := 1
		if len(m) > 5000 {
			steps = len(m) / 100
		}
		var v valueScanner
		for n := 1; n < len(m); n += steps {
			if end := v.json(padded[:n]); end >= 0 {
				t.Fatalf("%.300s ends at %d of %d", m, end, n)
			}
		}
		if end := v.json(padded); end != len(m) {
			t.Fatalf("%.300s ends at %d of %d", m, end, len(m))
		}
		v = valueScanner{}
		if end := v.json(padded); end != len(m) {
			t.Fatalf("%.300s ends at %d of %d", m, end, len(m))
		}
	}
}

// zlibFrames compresses messages as a gateway does: one stream, one flushed
// frame for each.
func zlibFrames(msgs [][]byte) (frames []frame) {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	for _, m := range msgs {
		w.Write(m)
		w.Flush()
		frames = append(frames, frame{bytes.Clone(b.Bytes()), true})
		b.Reset()
	}
	return frames
}

// smallMessages returns dispatches of about 720 bytes in which ids, times,
// names and texts change from one to the next.
func smallMessages(n int) (msgs [][]byte) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		msgs = append(msgs, smallMessage(r, i))
	}
	return msgs
}

func smallMessage(r *rand.Rand, seq int) []byte {
	words := strings.Fields(`the gateway sends an event whenever somebody writes into a channel that you can see and this
		one was written by hand to look like people talk about lunch trains music weather games servers code and cats`)
	id := func(n uint64) string { return "15743340" + jsonInt(10000000000+n%90000000000) }
	var text []string
	for range 8 + r.IntN(12) {
		text = append(text, words[r.IntN(len(words))])
	}
	user := r.Uint64N(8)
	avatar := hex.EncodeToString(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, r.Uint64()), r.Uint64()))
	return []byte(`{"op":0,"t":"MESSAGE_CREATE","d":{"type":0,"content":"` + strings.Join(text, " ") +
		`","mentions":[],"mention_roles":[],"attachments":[],"embeds":[],"timestamp":"2026-11-23T08:` +
		jsonInt(10+r.Uint64N(49)) + `:` + jsonInt(10+r.Uint64N(49)) + `.` + jsonInt(100+r.Uint64N(899)) + `000+00:00","edited_timestamp":null,"flags":0,"components":[],"id":"` +
		id(r.Uint64()) + `","channel_id":"` + id(user%3*77777777777) + `","author":{"id":"` + id(user*999999937) +
		`","username":"` + words[user] + `","avatar":"` + avatar + `","discriminator":"0000","public_flags":0,"global_name":null,"bot":false},"pinned":false,"mention_everyone":false,"tts":false,"guild_id":"` +
		id(user%2*5555555555) + `","member":{"roles":[],"joined_at":"2026-11-23T07:59:` + jsonInt(10+user) + `.000Z","nick":null,"avatar":null},"nonce":"` + id(r.Uint64()) + `"},"s":` + jsonInt(uint64(seq)) + `}`)
}

func jsonInt(n uint64) string { b, _ := json.Marshal(n); return string(b) }

// readyMessage returns a READY of about 4 MB: that of the captured account
// with 40 guilds, its guilds many times over with other ids and names.
func readyMessage(t testing.TB) []byte {
	c := captureNamed(t, "ready40-json-plain")
	for _, f := range c.frames {
		if !bytes.Contains(f.data[:min(100, len(f.data))], []byte(`"READY"`)) {
			continue
		}
		var m map[string]json.RawMessage
		var d map[string]json.RawMessage
		var guilds []json.RawMessage
		json.Unmarshal(f.data, &m)
		json.Unmarshal(m["d"], &d)
		json.Unmarshal(d["guilds"], &guilds)
		r := rand.New(rand.NewPCG(3, 4))
		digits := func(g []byte) []byte {
			g = bytes.Clone(g)
			for i := 0; i < len(g); i++ {
				n := 0
				for i+n < len(g) && g[i+n]-'0' <= 9 {
					n++
				}
				if n >= 17 {
					for k := i + 6; k < i+n; k++ {
						g[k] = '0' + byte(r.IntN(10))
					}
				}
				i += n
			}
			return g
		}
		var all []json.RawMessage
		for size := 0; size < 3_700_000; {
			g := digits(guilds[len(all)%len(guilds)])
			g = bytes.ReplaceAll(g, []byte(`"icon":null`), []byte(`"icon":"`+hex.EncodeToString(binary.BigEndian.AppendUint64(nil, r.Uint64()))+`"`))
			for bytes.Contains(g, []byte(`"topic":null`)) {
				g = bytes.Replace(g, []byte(`"topic":null`), []byte(`"topic":"about `+strconv.FormatUint(r.Uint64(), 36)+`"`), 1)
			}
			all = append(all, g)
			size += len(g)
		}
		d["guilds"], _ = json.Marshal(all)
		m["d"], _ = json.Marshal(d)
		out, _ := json.Marshal(m)
		return out
	}
	t.Fatal("no READY")
	return nil
}

func benchDecoder(b *testing.B, d *Decoder, frames []frame) {
	b.ReportAllocs()
	n, size, in := 0, 0, 0
	for _, f := range frames {
		in += len(f.data)
	}
	for b.Loop() {
		d.Reset()
		for _, f := range frames {
			d.Write(f.data, f.binary)
			for {
				msg, err := d.Next()
				if err != nil {
					b.Fatal(err)
				}
				if msg == nil {
					break
				}
				n++
				size += len(msg)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/msg")
	b.ReportMetric(float64(size)/float64(n), "B/msg")
	b.ReportMetric(float64(in)/float64(len(frames)), "Bin/msg")
}

func BenchmarkZlibSmall(b *testing.B) { benchZlib(b, zlibFrames(smallMessages(500))) }
func BenchmarkZlibCapture(b *testing.B) {
	benchZlib(b, captureNamed(b, "alice-json-zlib").frames)
}
func BenchmarkZlibETF(b *testing.B) {
	benchDecoder(b, NewDecoder(ETF, Zlib, Limits{}), captureNamed(b, "alice-etf-zlib").frames)
}
func BenchmarkZlibREADY(b *testing.B) { benchZlib(b, zlibFrames([][]byte{readyMessage(b)})) }

func BenchmarkZstdSmall(b *testing.B)   { benchZstd(b, zstdFrames(b, smallMessages(500), true)) }
func BenchmarkZstdFrames(b *testing.B)  { benchZstd(b, zstdFrames(b, smallMessages(500), false)) }
func BenchmarkZstdCapture(b *testing.B) { benchZstd(b, captureNamed(b, "alice-json-zstd").frames) }
func BenchmarkZstdREADY(b *testing.B) {
	benchZstd(b, zstdFrames(b, [][]byte{readyMessage(b)}, true))
}
func BenchmarkZstdREADYFrame(b *testing.B) {
	benchZstd(b, zstdFrames(b, [][]byte{readyMessage(b)}, false))
}

// zstdFrames compresses messages as a gateway does: in one stream that is
// flushed after each, or in a zstd frame for each.
func zstdFrames(t testing.TB, msgs [][]byte, shared bool) (frames []frame) {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(2<<20), zstd.WithEncoderCRC(false))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range msgs {
		if shared {
			w.Write(m)
			w.Flush()
		} else {
			w.Reset(&b)
			w.Write(m)
			w.Close()
		}
		frames = append(frames, frame{bytes.Clone(b.Bytes()), true})
		b.Reset()
	}
	return frames
}

func BenchmarkETF(b *testing.B) {
	var term []byte
	for _, m := range smallMessages(1) {
		term, _ = AppendETF(nil, m)
	}
	text, _ := AppendJSON(nil, term)
	b.Run("scan", func(b *testing.B) {
		b.ReportAllocs()
		var m Message
		for b.Loop() {
			if ScanETF(term, &m) != nil {
				b.Fatal("bad")
			}
		}
	})
	b.Run("toJSON", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 0, 4096)
		for b.Loop() {
			if _, err := AppendJSON(buf, term); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(text)), "B/msg")
	})
	b.Run("toETF", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 0, 4096)
		for b.Loop() {
			if _, err := AppendETF(buf, text); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func benchZstd(b *testing.B, frames []frame) {
	b.Run("wire", func(b *testing.B) { benchDecoder(b, NewDecoder(JSON, Zstd, Limits{}), frames) })
	b.Run("klauspost", func(b *testing.B) {
		// All frames as one stream, read message by message.
		var in []byte
		var sizes []int
		d := NewDecoder(JSON, Zstd, Limits{})
		for _, f := range frames {
			in = append(in, f.data...)
			for _, m := range decodeAll(b, d, []frame{f}) {
				sizes = append(sizes, len(m))
			}
		}
		src := bytes.NewReader(in)
		z, _ := zstd.NewReader(src, zstd.WithDecoderConcurrency(1))
		buf := make([]byte, 1<<20)
		n := 0
		for b.Loop() {
			if len(frames) == 1 {
				buf = make([]byte, 4<<20) // as in benchPeer
			}
			src.Reset(in)
			z.Reset(src)
			for _, size := range sizes {
				if _, err := io.ReadFull(z, buf[:size]); err != nil {
					b.Fatal(err)
				}
				n++
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/msg")
	})
}

func benchZlib(b *testing.B, frames []frame) {
	b.Run("wire", func(b *testing.B) { benchDecoder(b, NewDecoder(JSON, Zlib, Limits{}), frames) })
	b.Run("std", func(b *testing.B) { benchPeer(b, frames, flate.NewReader) })
	b.Run("klauspost", func(b *testing.B) { benchPeer(b, frames, kflate.NewReader) })
}

// benchPeer runs an inflater that pulls, in the way that is cheapest for it: a
// reset with the last 32 KiB as dictionary for each message.
func benchPeer(b *testing.B, frames []frame, newReader func(io.Reader) io.ReadCloser) {
	in := bytes.NewReader(nil)
	z := newReader(in)
	type resetter interface {
		Reset(io.Reader, []byte) error
	}
	buf := make([]byte, 1<<20)
	n := 0
	for b.Loop() {
		if len(frames) == 1 {
			buf = make([]byte, 4<<20) // a large message takes memory that is not at hand
		}
		pos := 0
		for k, f := range frames {
			data := f.data
			if k == 0 {
				data = data[2:]
			}
			if pos > len(buf)/2 {
				pos = copy(buf, buf[pos-32<<10:pos])
			}
			in.Reset(data)
			z.(resetter).Reset(in, buf[max(0, pos-32<<10):pos])
			for {
				m, err := z.Read(buf[pos:])
				pos += m
				if err != nil {
					break
				}
			}
			n++
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/msg")
}
