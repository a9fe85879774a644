//go:build js && wasm

package jsbridge

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/hack-pad/safejs"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
)

// call calls a control function as JavaScript does.
func call(t testing.TB, name string, args ...any) any {
	t.Helper()
	values := make(arguments, len(args))
	for i, a := range args {
		v, err := safejs.ValueOf(a)
		if err != nil {
			t.Fatal(err)
		}
		values[i] = v
	}
	return control[name](values)
}

func put(text string) int32 {
	buffer(int32(max(2*tailAt, len(text))))
	return int32(copy(input, text))
}

// data is what the record points to.
func data() string {
	return string(unsafe.Slice((*byte)(unsafe.Add(nil, record.data)), record.size))
}

// outputs takes all outputs, as "kind data".
func outputs(handle, first int32) (all []string) {
	for kind := first; kind != 0 && kind != outputNone; kind = next(handle) {
		all = append(all, fmt.Sprintf("%d %s", kind, data()))
	}
	return all
}

// ready opens a handle and brings it to Ready, playing JavaScript's part.
func ready(t testing.TB) int32 {
	t.Helper()
	handle, ok := call(t, "open", map[string]any{"url": "wss://x.test/", "identify": `{"token":"secret"}`, "transports": "json", "seed": 1}).(int)
	if !ok {
		t.Fatal("open failed")
	}
	h := int32(handle)
	setClock(1000)
	call(t, "start", handle, 1000.0)
	out := outputs(h, next(h))
	if len(out) != 2 || out[1] != `1 wss://x.test/?v=9&encoding=json` || !strings.Contains(out[0], `"dialing"`) {
		t.Fatalf("start: %q", out)
	}
	opened(h, 1, 1001)
	outputs(h, next(h))
	out = outputs(h, received(h, 1, put(`{"op":10,"d":{"heartbeat_interval":30000}}`), 0))
	if len(out) != 2 || out[1] != `2 {"op":2,"d":{"token":"secret"}}` {
		t.Fatalf("hello: %q", out)
	}
	out = outputs(h, received(h, 1, put(`{"op":0,"t":"READY","s":0,"d":{"session_id":"abc"}}`), 0))
	if len(out) != 2 || out[0] != `5 {"state":"ready","resumed":false}` {
		t.Fatalf("ready: %q", out)
	}
	return h
}

func message(name string, seq int) string {
	return fmt.Sprintf(`{"op":0,"t":%q,"d":{"content":%q},"s":%d}`, name, strings.Repeat("x", 300), seq)
}

// ends puts the two ends of a message where glance finds them, as core.ts does.
func ends(msg string) (head, tail int32) {
	put("")
	i := strings.IndexByte(msg[1:], '{') + 2
	j := strings.LastIndexByte(msg, ',')
	copy(input, msg[:i])
	copy(input[tailAt:], msg[j:])
	return int32(i), int32(len(msg) - j)
}

func TestHotPath(t *testing.T) {
	h := ready(t)
	call(t, "observe", int(h), "WANTED")
	head, tail := ends(message("OTHER", 5))
	if r := glance(h, 1, head, tail); r&7 != int32(session.GlancedUnobserved) {
		t.Fatalf("unobserved: %d", r)
	}
	head, tail = ends(message("WANTED", 6))
	r := glance(h, 1, head, tail)
	if r&7 != int32(session.GlancedPayload) || call(t, "kind", int(h), int(r>>5)) != "WANTED" {
		t.Fatalf("observed: %d", r)
	}
	if find(h).seq != 6 {
		t.Fatalf("seq in memory is %v", find(h).seq)
	}
	if session.Alike(r>>3&3) != session.AlikePlain {
		t.Fatal("others that begin alike are not recognized")
	}
	if r := again(h, 1, r>>5, 7); r != int32(session.GlancedEvent) || find(h).seq != 7 {
		t.Fatalf("again: %d, seq in memory is %v", r, find(h).seq)
	}
	payload := fmt.Sprintf(`{"content":%q}`, strings.Repeat("x", 300))
	if out := outputs(h, received(h, 1, put(message("WANTED", 7)), 0)); len(out) != 1 || out[0] != "4 "+message("WANTED", 7) {
		t.Fatalf("received: %q", out)
	}
	if record.from != fromFrame {
		t.Fatal("the message is the frame, and JavaScript should be told so")
	}
	if text := data(); record.more != 0 || text[record.head:len(text)-int(record.tail)] != payload || record.kind != r>>5 {
		t.Fatalf("the record is %+v", record)
	}
	// Where JavaScript could not count the bytes, it is not told where the payload lies.
	outputs(h, received(h, 1, put(`{"x":"é","op":0,"t":"WANTED","d":`+payload+`,"s":8}`), 0))
	if record.kind != 0 {
		t.Fatalf("the record is %+v", record)
	}
	outputs(h, received(h, 1, put(`{"op":1}`), 0))
	if _, ok := call(t, "snapshot", int(h)).(map[string]any); !ok {
		t.Fatal("no snapshot")
	}
	call(t, "close", int(h), 1006.0, true)
	out := outputs(h, next(h))
	if last := out[len(out)-1]; last != `5 {"state":"closed"}` {
		t.Fatalf("close: %q", out)
	}
	call(t, "release", int(h))
}

// TestGate: events pass JavaScript by itself only where the one before was taken by the
// session, which the next call of whatever kind tells of them.
func TestGate(t *testing.T) {
	h := ready(t)
	defer call(t, "release", int(h))
	c := find(h)
	head, tail := ends(message("OTHER", 5))
	kind := glance(h, 1, head, tail) >> 5
	if c.gate != 1 || coreAddress(h) != address(&c.seq) || c.gate != 0 || address(&c.gate)-address(&c.seq) != 8 || address(&c.passed)-address(&c.gate) != 4 {
		t.Fatalf("the gate is not where JavaScript looks for it, or a call does not close it: %+v", c)
	}
	count := (*uint64)(unsafe.Add(nil, countAddress(h, kind)))
	if *count != 1 {
		t.Fatalf("1 event, %d counted", *count)
	}
	pass := func(seq int) {
		t.Helper()
		if c.gate != 1 {
			t.Fatal("the gate is closed")
		}
		*count++
		c.passed = int32(seq)
	}
	calls := map[string]func(){
		"again":    func() { again(h, 1, kind, 3) },
		"glance":   func() { glance(h, 1, head, tail) },
		"received": func() { outputs(h, received(h, 1, put(message("OTHER", 3)), 0)) },
		"next":     func() { next(h) },
		"deadline": func() { deadline(h) },
		"tick":     func() { tick(h, 1002) },
		"opened":   func() { opened(h, 9, 1002) },
		"observe":  func() { call(t, "observe", int(h), "OTHER") },
		"stats":    func() { call(t, "stats", int(h)) },
		"send":     func() { call(t, "send", int(h), 3, "{}", 1002.0); outputs(h, next(h)) },
	}
	seq := 5
	for name, f := range calls {
		head, tail = ends(message("OTHER", seq))
		again(h, 1, kind, float64(seq))
		seq += 2
		pass(seq)
		f()
		if c.s.Seq() != int64(seq) || c.seq != float64(seq) {
			t.Errorf("after %s the session is at %d, should be at %d: %+v", name, c.s.Seq(), seq, c)
		}
		if open := name == "again" || name == "glance"; open != (c.gate == 1) {
			t.Errorf("after %s the gate is open on %d", name, c.gate)
		}
	}
	again(h, 1, kind, float64(seq+1))
	pass(seq + 3)
	if snap := call(t, "snapshot", int(h)).(map[string]any); snap["seq"] != float64(seq+3) {
		t.Errorf("the snapshot is %v", snap)
	}
	again(h, 1, kind, 1<<31)
	if c.gate != 0 || c.seq != 1<<31 || again(h, 1, kind, 1<<31+1) == int32(session.GlancedNothing) {
		t.Errorf("the gate is open for numbers that have no room: %+v", c)
	}
	// Where the session takes nothing, nothing may pass.
	wake(h, 2000)
	outputs(h, next(h))
	if again(h, 1, kind, 1<<31+2) != int32(session.GlancedNothing) || c.gate != 0 {
		t.Errorf("the gate is open while the connection is on probation: %+v", c)
	}
}

// TestNothingIsAllocated is the promise of the hot path.
func TestNothingIsAllocated(t *testing.T) {
	h := ready(t)
	defer call(t, "release", int(h))
	call(t, "observe", int(h), "WANTED")
	for _, name := range []string{"WANTED", "OTHER"} {
		msg := message(name, 9)
		head, tail := ends(msg)
		glance(h, 1, head, tail)
		if n := testing.AllocsPerRun(1000, func() { glance(h, 1, head, tail) }); n != 0 {
			t.Errorf("a glance at %s allocates %v times", name, n)
		}
		if n := testing.AllocsPerRun(1000, func() { again(h, 1, 1, 10) }); n != 0 {
			t.Errorf("%s again allocates %v times", name, n)
		}
		size := put(msg)
		received(h, 1, size, 0)
		if n := testing.AllocsPerRun(1000, func() {
			received(h, 1, size, 0)
			for next(h) != 0 {
			}
		}); n != 0 {
			t.Errorf("receiving %s allocates %v times", name, n)
		}
	}
}

// TestBadCalls: a mistake on the other side is harmless.
func TestBadCalls(t *testing.T) {
	for _, h := range []int32{-1, 0, 999} {
		received(h, 1, put("{}"), 0)
		glance(h, 1, 10, 10)
		again(h, 1, 1, 5)
		opened(h, 1, 0)
		closed(h, 1, 1000, 0, 0, 0)
		tick(h, 0)
		wake(h, 0)
		if next(h) != 0 || deadline(h) != -1 || coreAddress(h) != 0 || countAddress(h, 1) != 0 {
			t.Errorf("handle %d exists", h)
		}
		if e, ok := call(t, "send", int(h), 3, "{}", 0.0).(map[string]any); !ok || e["code"] != "closed" {
			t.Errorf("send on handle %d: %v", h, e)
		}
	}
	h := ready(t)
	defer call(t, "release", int(h))
	if received(h, 1, 1<<30, 0) != 0 || glance(h, 1, tailAt+1, 0) != 0 || glance(h, 1, -1, -1) != 0 || again(h, 1, -1, 5) != 0 || again(h, 1, 0, 5) != 0 || again(h, 1, 99, 5) != 0 {
		t.Error("sizes are not checked")
	}
	closed(h, 1, 1000, 1<<30, 0, 0)
	closed(h, 1, 1000, -5, 3, 0)
	for name, args := range map[string][]any{"open": {"text"}, "observe": {int(h)}, "send": {}, "kind": {int(h), 99}, "cancel": {int(h), "x"}} {
		func() {
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("%s panics on bad arguments: %v", name, p)
				}
			}()
			call(t, name, args...)
		}()
	}
	for config, code := range map[string]string{"http://x": "invalid_url", "": "invalid_url"} {
		if e, ok := call(t, "open", map[string]any{"url": config}).(map[string]any); !ok || e["code"] != code {
			t.Errorf("open(%q): %v", config, e)
		}
	}
	if e, ok := call(t, "open", map[string]any{"url": "ws://x", "transports": "json/gzip"}).(map[string]any); !ok || e["code"] != "invalid_option" {
		t.Errorf("open with gzip: %v", e)
	}
}

// TestInputIsGivenBack: a large input does not stay, and what is in it does.
func TestInputIsGivenBack(t *testing.T) {
	for _, n := range []int32{1 << 20, 1 << 16, 1 << 17} {
		put("kept")
		at := buffer(n)
		if len(input) != int(n) || at != address(&input[0]) || at != buffer(n) || string(input[:4]) != "kept" {
			t.Fatalf("of %d bytes: %d, which begin with %q", n, len(input), input[:4])
		}
	}
}

// TestHandlesAreReused: a page that opens and closes for ever needs no more
// memory for it.
func TestHandlesAreReused(t *testing.T) {
	before := len(cores)
	for range 1000 {
		h := ready(t)
		call(t, "close", int(h), 2000.0, false)
		outputs(h, next(h))
		call(t, "release", int(h))
	}
	if n := len(cores); n > before+1 {
		t.Fatalf("%d handles for one at a time", n-before)
	}
}
