package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// envelope is what a real JSON parser makes of a message.
type envelope struct {
	Op   *float64        `json:"op"`
	Seq  *float64        `json:"s"`
	Type *string         `json:"t"`
	Data json.RawMessage `json:"d"`
}

// check compares a scan with the parser. It reports false if the parser would
// not take the message.
func check(t testing.TB, msg []byte) bool {
	t.Helper()
	var want envelope
	keys := map[string]int{}
	ok := Members(msg, func(k, _ []byte) bool { keys[string(k)]++; return true })
	for k, n := range keys {
		if n > 1 || (k != "op" && k != "t" && k != "s" && k != "d" && strings.EqualFold(k, "op")) ||
			(len(k) == 1 && strings.Contains("TSD", k)) {
			return false // duplicate keys, and encoding/json's case folding, have no one answer
		}
	}
	if !utf8.Valid(msg) || !json.Valid(msg) || json.Unmarshal(msg, &want) != nil {
		var m Message
		_ = Scan(msg, &m) // must not panic
		return false
	}
	if bytes.HasPrefix(bytes.TrimSpace(msg), []byte("{")) && !ok {
		t.Fatalf("Members refuses the valid object %s", msg)
	}
	var m Message
	err := Scan(msg, &m)
	if want.Op == nil || *want.Op < 0 || *want.Op > 1<<16 || *want.Op != float64(int(*want.Op)) {
		if err == nil {
			t.Fatalf("op of %s taken as %d", msg, m.Op)
		}
		return true
	}
	if err != nil {
		t.Fatalf("Scan(%s): %v", msg, err)
	}
	if m.Op != int(*want.Op) {
		t.Fatalf("op of %s = %d, want %v", msg, m.Op, *want.Op)
	}
	wantSeq := int64(-1)
	if want.Seq != nil && *want.Seq >= 0 && *want.Seq < 1<<53 && *want.Seq == float64(int64(*want.Seq)) {
		wantSeq = int64(*want.Seq)
	}
	if m.Seq != wantSeq && (want.Seq == nil || *want.Seq < 1<<53) {
		t.Fatalf("s of %s = %d, want %d", msg, m.Seq, wantSeq)
	}
	wantType := ""
	if want.Type != nil {
		wantType = *want.Type
	}
	if string(m.Type) != wantType {
		t.Fatalf("t of %s = %q, want %q", msg, m.Type, wantType)
	}
	data := m.Data
	if !json.Valid(data) {
		data = Trim(data)
	}
	if data = bytes.TrimSpace(data); string(data) == "null" {
		data = nil
	}
	wantData := bytes.TrimSpace(want.Data)
	if string(wantData) == "null" {
		wantData = nil
	}
	if !bytes.Equal(data, wantData) {
		t.Fatalf("d of %s = %s, want %s", msg, data, wantData)
	}
	return true
}

func TestScan(t *testing.T) {
	for _, msg := range []string{
		`{"op":10,"d":{"heartbeat_interval":30000}}`,
		`{"op":0,"t":"READY","s":0,"d":{"v":9}}`,
		`{"op":0,"t":"X","d":{"a":{"s":5}},"s":123}`,
		`{"op":0,"t":"X","d":{"a":1}}`,
		`{"op":0,"s":78,"t":"X","d":[]}`,
		`{"t":"X","s":1,"op":0,"d":{"s":9,"op":4}}`,
		`{"d":{"t":"no"},"op":0,"t":"X","s":1}`,
		`{"op":9,"s":4}`,
		`{"op":7,"s":2,"d":2500}`,
		`{"op":9,"d":false}`,
		`{"t":null,"s":null,"op":11,"d":null}`,
		`{"op":0,"t":"X","d":"text with \" and ,\"s\":1}","s":3}`,
		`{"op":0,"t":"X","d":5,"s":3}`,
		`{"op":0,"t":"X","d":{},"s":null}`,
		"  {\n \"op\" : 0 ,\t\"t\" : \"X\" , \"d\" : { } , \"s\" : 3 } \n",
		`{"op":0,"t":"X","s":3,"d":{"a":1},"x":{}}`,
		`{"op":0,"t":"X","d":{"a":1},"x":{},"s":3}`,
		`{"\u006fp":0,"\u0074":"\u0058Y","d":{},"s":3}`,
		`{"op":0,"t":"X","d":{},"s":1e2}`,
		`{"op":0,"t":"X","d":{},"s":-1}`,
		`{"op":0,"t":"","d":{},"s":1}`,
		`{}`, `{"t":"X"}`, `{"op":-1}`, `{"op":1.5}`,
	} {
		if !check(t, []byte(msg)) {
			t.Errorf("the test's own message is not valid JSON: %s", msg)
		}
	}
	for _, msg := range []string{``, ` `, `{`, `{"op"`, `{"op":`, `{"op":0`, `{"op":0,`, `{"op":0,"d":{`, `{"op":0,"d":"`,
		`{"op":0,"t":"X","d":`, `{"op":}`, `{"op":true}`, `[]`, `1`, `"x"`, `{,}`, `{"op":0 "t":1}`, `{"a\`, `{"op":11}{"op":1}`, `{"op":11} x`} {
		var m Message
		if err := Scan([]byte(msg), &m); err == nil {
			t.Errorf("Scan(%q) succeeded: %+v", msg, m)
		}
	}
}

// TestScanCaptures holds the scan against a parser on everything a real server
// sent.
func TestScanCaptures(t *testing.T) {
	n := 0
	for _, msg := range captured(t) {
		if check(t, msg) {
			n++
		}
	}
	if n < 1400 {
		t.Fatalf("only %d captured messages compared", n)
	}
}

// captured returns every message of the captures, as the JSON text that each
// decodes to and, where it was sent as text, as it was sent.
func captured(t testing.TB) (msgs [][]byte) {
	t.Helper()
	for _, pattern := range []string{"../../test/captures/*.jsonl", "../../test/captures/probes/*.jsonl"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no captures at %s (%v)", pattern, err)
		}
		for _, name := range files {
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(f)
			lines.Buffer(nil, 1<<26)
			for lines.Scan() {
				if strings.HasSuffix(name, ".expected.jsonl") {
					msgs = append(msgs, bytes.Clone(lines.Bytes()))
					continue
				}
				var frame struct{ Dir, Kind, Data string }
				if json.Unmarshal(lines.Bytes(), &frame) == nil && frame.Dir == "in" && frame.Kind == "text" {
					msgs = append(msgs, []byte(frame.Data))
				}
			}
			if err := lines.Err(); err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
	}
	return msgs
}

func FuzzScan(f *testing.F) {
	for i, msg := range captured(f) {
		if i%20 == 0 && len(msg) < 2000 {
			f.Add(msg)
		}
	}
	f.Add([]byte(`{"op":0,"t":"X","d":{"a":{"s":5}},"s":123}`))
	f.Add([]byte(`{"\u006fp":0,"\u0074":"\ud83d\ude00","d":[[]],"s":3.0}`))
	f.Fuzz(func(t *testing.T, msg []byte) {
		if check(t, msg) {
			checkGlance(t, msg)
		}
	})
}

func TestStrings(t *testing.T) {
	for _, s := range []string{"", "plain", "quote\" back\\slash /", "tab\t nl\n \x00\x1f", "ümlaut 日本 😀", "a\u2028b"} {
		quoted := AppendString(nil, s)
		var back string
		if err := json.Unmarshal(quoted, &back); err != nil || back != s {
			t.Errorf("AppendString(%q) = %s, which a parser reads as %q (%v)", s, quoted, back, err)
		}
		std, _ := json.Marshal(s)
		if got, ok := String(std); !ok || got != s {
			t.Errorf("String(%s) = %q, %v", std, got, ok)
		}
	}
	for in, want := range map[string]int64{"5": 5, `"17"`: 17, "-3": -3, "1.0": 1, "1e3": 1000, "9223372036854775807": 1<<63 - 1} {
		if n, ok := Int([]byte(in)); !ok || n != want {
			t.Errorf("Int(%s) = %d, %v", in, n, ok)
		}
	}
	for _, in := range []string{"", "x", "1.5", "null", "true", "{}", "1e300", "9223372036854775808", `""`, "NaN"} {
		if n, ok := Int([]byte(in)); ok {
			t.Errorf("Int(%s) = %d", in, n)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	for name, msg := range map[string]string{
		"op-t-d-s":  `{"op":0,"t":"MESSAGE_CREATE","d":{"content":"` + strings.Repeat("x", 460) + `"},"s":123}`,
		"t-s-op-d":  `{"t":"MESSAGE_CREATE","s":123,"op":0,"d":{"content":"` + strings.Repeat("x", 460) + `"}}`,
		"unordered": `{"d":{"content":"` + strings.Repeat("x", 460) + `"},"t":"MESSAGE_CREATE","s":123,"op":0}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var m Message
			raw := []byte(msg)
			for b.Loop() {
				if Scan(raw, &m) != nil || m.Seq != 123 {
					b.Fatal("bad scan")
				}
			}
		})
	}
}

// TestGlance holds that a glance either agrees with the scan, or declines, and
// that it declines nothing that real servers send all the time.
func TestGlance(t *testing.T) {
	taken, dispatches := 0, 0
	for _, msg := range captured(t) {
		var scanned Message
		if Scan(msg, &scanned) == nil && scanned.Op == 0 {
			dispatches++
		}
		if checkGlance(t, msg) {
			taken++
		}
	}
	// The expected texts are written with spaces, which no server does.
	if taken == 0 || taken < dispatches/6 {
		t.Fatalf("%d of %d events taken", taken, dispatches)
	}
	for _, msg := range []string{
		`{"op":0,"t":"X","d":{},"s":1}`, `{"t":"X","s":1,"op":0,"d":{"a":1}}`, `{"op":0,"s":3,"t":"X","d":[]}`, `{"op":0,"t":"X","s":0,"d":null}`,
	} {
		if !checkGlance(t, []byte(msg)) {
			t.Errorf("declined %s", msg)
		}
	}
	for _, msg := range []string{
		``, `{`, `{"op":0,"t":"X","d":{}}`, `{"op":1}`, `{"op":10,"d":{"heartbeat_interval":1}}`, `{"op":0,"t":"X\"","d":{},"s":1}`, `{"op":0,"t":null,"d":{},"s":1}`,
		`{"op":0,"t":"X","d":{},"s":null}`, `{"op":0,"t":"X","d":{},"s":12345678901234567890}`, `{"op":00,"t":"X","d":{},"s":1}`, `{"op":0,"t":"X"`, `{"x":0,"t":"X","d":{},"s":1}`,
	} {
		if checkGlance(t, []byte(msg)) {
			t.Errorf("took %s", msg)
		}
	}
}

// checkGlance compares a glance at the ends, as a browser cuts them, with the
// scan of the whole. It reports whether the glance was enough.
func checkGlance(t testing.TB, msg []byte) bool {
	t.Helper()
	head := msg[:min(len(msg), 128)]
	if i := bytes.IndexByte(head[min(1, len(head)):], '{'); i >= 0 {
		head = head[:i+2]
	}
	tail := msg[max(0, len(msg)-24):]
	tail = tail[max(0, bytes.LastIndexByte(tail, ',')):]
	var glanced, scanned Message
	if !GlanceHead(head, &glanced) {
		return false
	}
	if glanced.Seq < 0 {
		var ok bool
		if glanced.Seq, ok = GlanceTail(tail); !ok {
			return false
		}
	}
	if err := Scan(msg, &scanned); err != nil {
		if json.Valid(msg) {
			t.Fatalf("Glance takes %s, Scan says %v", msg, err)
		}
		return true
	}
	if glanced.Op != scanned.Op || glanced.Seq != scanned.Seq || !bytes.Equal(glanced.Type, scanned.Type) {
		t.Fatalf("Glance(%s) = %+v, Scan %+v", msg, glanced, scanned)
	}
	return true
}
