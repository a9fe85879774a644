package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestETFVectors translates terms made by the packers that servers and clients
// of gateways have used; testdata/README.md tells how they were made.
func TestETFVectors(t *testing.T) {
	for _, line := range readLines(t, "testdata/etf-vectors.jsonl") {
		var v struct{ Packer, ETF, JSON string }
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		term, err := hex.DecodeString(v.ETF)
		if err != nil {
			t.Fatal(err)
		}
		text, err := AppendJSON(nil, term)
		if err != nil {
			t.Errorf("%s: AppendJSON(%s): %v, want %s", v.Packer, v.ETF, err, v.JSON)
			continue
		}
		if string(text) != v.JSON && !sameJSON(text, []byte(v.JSON)) {
			t.Errorf("%s: AppendJSON(%s) = %s, want %s", v.Packer, v.ETF, text, v.JSON)
		}
	}
}

// etfCases are terms that no packer at hand makes.
var etfCases = map[string]string{
	"\x68\x02\x61\x01\x6d\x00\x00\x00\x01a":            `[1,"a"]`, // small tuple
	"\x68\x00":                                         `[]`,
	"\x69\x00\x00\x00\x01\x61\x05":                     `[5]`, // large tuple
	"\x6b\x00\x03\x01\x02\xff":                         `[1,2,255]`,
	"\x6b\x00\x00":                                     `[]`,
	"\x6c\x00\x00\x00\x00\x6a":                         `[]`,
	"\x6c\x00\x00\x00\x01\x6a\x6a":                     `[[]]`,
	"\x64\x00\x04atom":                                 `"atom"`,
	"\x64\x00\x03nil":                                  `null`,
	"\x76\x00\x04null":                                 `null`,
	"\x77\x04true":                                     `true`,
	"\x73\x05false":                                    `false`,
	"\x73\x02\xe9\"":                                   `"é\""`, // Latin-1
	"\x77\x02\xc3\xa9":                                 `"é"`,
	"\x74\x00\x00\x00\x01\x61\x07\x61\x08":             `{"7":8}`,
	"\x74\x00\x00\x00\x01\x62\xff\xff\xff\xff\x61\x08": `{"-1":8}`,
	"\x74\x00\x00\x00\x01\x73\x03nil\x61\x08":          `{"nil":8}`,
	"\x74\x00\x00\x00\x01\x6e\x08\x00\x01\x00\x00\x00\x00\x00\x00\x80\x61\x08": `{"9223372036854775809":8}`,
	"\x6e\x01\x00\x05": `5`,
	"\x6e\x00\x00":     `0`,
	"\x6e\x01\x01\x05": `-5`,
	"\x6e\x07\x00\x00\x00\x00\x00\x00\x00\x20":                         `9007199254740992`,
	"\x6e\x07\x00\x01\x00\x00\x00\x00\x00\x20":                         `"9007199254740993"`,
	"\x6e\x07\x01\x01\x00\x00\x00\x00\x00\x20":                         `"-9007199254740993"`,
	"\x6e\x08\x01\x00\x00\x00\x00\x00\x00\x00\x80":                     `"-9223372036854775808"`,
	"\x6e\x0a\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00":             `5`,
	"\x6f\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01":     `"18446744073709551616"`,
	"\x63" + "1.50000000000000000000e+00\x00\x00\x00\x00\x00":          `1.5`,
	"\x46\x7f\xf8\x00\x00\x00\x00\x00\x00":                             `null`, // NaN
	"\x46\x80\x00\x00\x00\x00\x00\x00\x00":                             `0`,    // -0
	"\x46\x43\x40\x00\x00\x00\x00\x00\x01":                             `9.007199254740994e+15`,
	"\x74\x00\x00\x00\x01\x46\x43\x40\x00\x00\x00\x00\x00\x01\x61\x01": `{"9007199254740994":1}`,
	"\x74\x00\x00\x00\x01\x46\x3f\xf8\x00\x00\x00\x00\x00\x00\x61\x01": `{"1.5":1}`,
	"\x6d\x00\x00\x00\x04a\xff\xfeb":                                   `"a��b"`,
	"\x6d\x00\x00\x00\x0b0123456789\"":                                 `"0123456789\""`,
}

func TestAppendJSON(t *testing.T) {
	for term, want := range etfCases {
		for _, term := range []string{term, "\x83" + term} {
			got, err := AppendJSON([]byte("x"), []byte(term))
			if err != nil || string(got) != "x"+want {
				t.Errorf("AppendJSON(%q) = %s, %v; want %s", term, got, err, want)
			}
		}
	}
	for term, what := range map[string]string{
		"":                                     "cut short",
		"\x83":                                 "cut short",
		"\x6d":                                 "cut short",
		"\x6d\x00\x00\x00\x05abcd":             "cut short",
		"\x61":                                 "cut short",
		"\x62\x00":                             "cut short",
		"\x6e\x08\x00":                         "cut short",
		"\x6c\x00\x00\x00\x01\x61\x01":         "tail",
		"\x6c\x00\x00\x00\x01\x61\x01\x61\x02": "tail",
		"\x6c\x00\x00\x00\x02\x61\x01":         "cut short",
		"\x6c\xff\xff\xff\xff\x61\x01":         "cut short",
		"\x74\xff\xff\xff\xff\x61\x01\x61\x01": "cut short",
		"\x74\x00\x00\x00\x01\x6a\x61\x01":     "key",
		"\x74\x00\x00\x00\x01\x68\x00\x61\x01": "key",
		"\x50\x00\x00\x00\x05":                 "unknown term",
		"\x58":                                 "unknown term",
		"\x61\x01\x61\x01":                     "behind",
		"\x63" + strings.Repeat("x", 31):       "not a number",
		"\x6f\x00\x00\x01\x01\x00" + strings.Repeat("\xff", 257): "too large",
	} {
		_, err := AppendJSON(nil, []byte(term))
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(e.What, what) {
			t.Errorf("AppendJSON(%q): %v, want %q", term, err, what)
		}
	}
}

func TestBigIntegers(t *testing.T) {
	for _, n := range []string{"0", "-0", "255", "256", "-1", "2147483647", "2147483648", "-2147483648", "-2147483649",
		"999999999999999999", "1000000000000000000", "18446744073709551615", "18446744073709551616", "-100000000000000000000000000000000000001",
		"9007199254740992", "9007199254740993", strings.Repeat("9", 614)} {
		term, err := AppendETF(nil, []byte(n))
		if err != nil {
			t.Errorf("AppendETF(%s): %v", n, err)
			continue
		}
		want := n
		if isUnsafe(n) {
			want = `"` + n + `"`
		} else if n == "-0" {
			want = "0"
		}
		if got, err := AppendJSON(nil, term); string(got) != want {
			t.Errorf("%s came back as %s (%v)", n, got, err)
		}
	}
	if _, err := AppendETF(nil, []byte(strings.Repeat("9", 615))); err == nil {
		t.Error("an integer of more than 255 bytes was taken")
	}
	// The largest that is translated.
	digits, err := AppendJSON(nil, append([]byte("\x6f\x00\x00\x01\x00\x00"), bytes.Repeat([]byte{0xff}, 256)...))
	if err != nil || len(digits) != 617+2 {
		t.Errorf("2^2048-1 has %d digits (%v)", len(digits)-2, err)
	}
}

func TestAppendETF(t *testing.T) {
	for text, want := range map[string]string{
		`{"op":1,"d":251}`:         "\x83\x74\x00\x00\x00\x02\x6d\x00\x00\x00\x02op\x61\x01\x6d\x00\x00\x00\x01d\x61\xfb",
		` [ ] `:                    "\x83\x6a",
		`[[],{}]`:                  "\x83\x6c\x00\x00\x00\x02\x6a\x74\x00\x00\x00\x00\x6a",
		`"\u00e9\ud83d\ude00\n\/"`: "\x83\x6d\x00\x00\x00\x08é😀\n/",
		`"\ud800\u0041"`:           "\x83\x6d\x00\x00\x00\x04\xef\xbf\xbdA",
		`"1574334091996799013"`:    "\x83\x6d\x00\x00\x00\x131574334091996799013",
		`null`:                     "\x83\x73\x03nil",
		`-1`:                       "\x83\x62\xff\xff\xff\xff",
		`1.5e0`:                    "\x83\x46\x3f\xf8\x00\x00\x00\x00\x00\x00",
		`4294967296`:               "\x83\x6e\x05\x00\x00\x00\x00\x00\x01",
	} {
		got, err := AppendETF([]byte("x"), []byte(text))
		if err != nil || string(got) != "x"+want {
			t.Errorf("AppendETF(%s) = %q, %v; want %q", text, got, err, want)
		}
	}
	for text, offset := range map[string]int{
		``: 0, `{`: 1, `[1,]`: 3, `{"a"}`: 4, `{"a":1,}`: 7, `{a:1}`: 1, `[1 2]`: 3, `[1}`: 2, `{"a":1]`: 6, `01`: 0, `-`: 0, `1.`: 0,
		`1e`: 0, `1e999`: 0, `tru`: 0, `nulL`: 0, `"a`: 2, "\"\x01\"": 1, `"\x"`: 1, `"\u12"`: 1, "\"\xff\"": 1, `1 1`: 2, `[`: 1, `]`: 0, `{"a":`: 5,
	} {
		out, err := AppendETF(nil, []byte(text))
		var e *Error
		if !errors.As(err, &e) || e.Offset != offset {
			t.Errorf("AppendETF(%s) = %q, %v at %+v; want an error at %d", text, out, err, e, offset)
		}
	}
}

// TestPackersAgree holds AppendETF to the bytes that the first gateway's own
// packer makes, where both write integers alike.
func TestPackersAgree(t *testing.T) {
	n := 0
	for _, line := range readLines(t, "testdata/etf-vectors.jsonl") {
		var v struct{ Packer, ETF, JSON string }
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		got, err := AppendETF(nil, []byte(v.JSON))
		if err != nil {
			t.Fatal(err)
		}
		var f float64
		if v.Packer != "erlpack@0.1.4" || strings.Contains(v.JSON, `"1":`) || json.Unmarshal([]byte(v.JSON), &f) == nil && (math.Abs(f) > math.MaxInt32 || v.JSON == "null") {
			continue
		}
		if n++; hex.EncodeToString(got) != v.ETF {
			t.Errorf("AppendETF(%s) = %x, want %s", v.JSON, got, v.ETF)
		}
	}
	if n < 30 {
		t.Errorf("only %d compared", n)
	}
}

func TestScanETF(t *testing.T) {
	for _, text := range []string{
		`{"op":10,"d":{"heartbeat_interval":30000}}`,
		`{"op":0,"t":"READY","s":0,"d":{"v":9}}`,
		`{"op":0,"t":"X","d":{"a":{"s":5}},"s":123}`,
		`{"op":0,"t":"X","d":{"a":{"s":5}},"s":70000}`,
		`{"op":0,"t":"X","d":{"a":{"s":5}},"s":null}`,
		`{"op":0,"t":"X","d":{"a":1},"x":1}`,
		`{"op":0,"t":"X","d":{"a":1},"x":1,"s":3}`,
		`{"op":0,"s":78,"t":"X","d":[]}`,
		`{"d":{"t":"no"},"op":0,"t":"X","s":1}`,
		`{"op":9,"s":4}`, `{"op":9,"d":false}`, `{"t":null,"s":null,"op":11,"d":null}`,
		`{"op":0,"t":"X","d":{},"s":-1}`, `{"op":0,"t":"X","d":{},"s":3000000000}`, `{"op":0,"t":"X","d":{},"s":1e2}`,
	} {
		term, err := AppendETF(nil, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		checkETF(t, term)
		var m Message
		for cut := range term {
			if ScanETF(term[:cut], &m) == nil && m.Data == nil {
				t.Errorf("%s cut to %d bytes is taken", text, cut)
			}
		}
	}
	// Keys and names may be atoms.
	var m Message
	err := ScanETF([]byte("\x83\x74\x00\x00\x00\x03\x77\x02op\x61\x00\x64\x00\x01t\x73\x01X\x73\x01s\x46\x40\x14\x00\x00\x00\x00\x00\x00"), &m)
	if err != nil || m.Op != 0 || string(m.Type) != "X" || m.Seq != 5 {
		t.Errorf("%+v, %v", m, err)
	}
	for _, term := range []string{"", "\x83", "\x83\x6a", "\x83\x74\x00\x00\x00\x00", "\x83\x74\xff\xff\xff\xff", "\x83\x74\x00\x00\x00\x01\x6d\x00\x00\x00\x02op\x6a",
		"\x83\x74\x00\x00\x00\x01\x6d\x00\x00\x00\x02op\x61\x01x", "\x83\x74\x00\x00\x00\x01\x6d\x00\x00\x00\x02op\x50"} {
		if ScanETF([]byte(term), &m) == nil {
			t.Errorf("ScanETF(%q) succeeded", term)
		}
	}
}

// TestETFBombs has terms that promise or nest more than they hold.
func TestETFBombs(t *testing.T) {
	nested := func(head string, depth int) []byte {
		return append(bytes.Repeat([]byte(head), depth), 0x61, 1)
	}
	bombs := map[string][]byte{
		"nested tuples": nested("\x68\x01", 1<<20),
		"nested lists":  nested("\x6c\x00\x00\x00\x01", 1<<20),
		"arities":       nested("\x6c\xff\xff\xff\xff", 1<<20),
		"maps":          nested("\x74\x7f\xff\xff\xff\x61\x01", 1<<20),
		"long binary":   []byte("\x6d\xff\xff\xff\xff"),
		"long integer":  append([]byte("\x6f\x00\x10\x00\x00\x00"), make([]byte, 1<<20)...),
	}
	bombs["long integer"][len(bombs["long integer"])-1] = 1
	// Texts that grow when they are translated.
	zeros := func(n int) []byte {
		return append([]byte{tagBinary, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, make([]byte, n)...)
	}
	bombs["escapes"] = zeros(1 << 20)
	bombs["many escapes"] = append([]byte("\x6c\x00\x00\x01\x00"), bytes.Repeat(zeros(10_000), 256)...)
	bombs["lists of bytes"] = append([]byte("\x6c\x00\x00\x01\x00"), bytes.Repeat(append([]byte("\x6b\xff\xff"), bytes.Repeat([]byte{255}, 65535)...), 256)...)
	for name, term := range bombs {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		AppendJSON(nil, term)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > uint64(10*len(term)+1<<20) {
			t.Errorf("%s: %d bytes were allocated for a term of %d", name, got, len(term))
		}
		size := testing.AllocsPerRun(1, func() {
			if _, err := AppendJSON(nil, term); !errors.As(err, new(*Error)) {
				t.Errorf("%s: %v", name, err)
			}
		})
		if size > 20 {
			t.Errorf("%s: %v allocations", name, size)
		}
		msg := append([]byte("\x83\x74\x00\x00\x00\x02\x6d\x00\x00\x00\x01d"), term...)
		var m Message
		if err := ScanETF(append(msg, "\x61\x01"...), &m); err == nil {
			t.Errorf("%s: scanned", name)
		}
	}
	if _, err := AppendETF(nil, bytes.Repeat([]byte("["), 1<<20)); !errors.As(err, new(*Error)) {
		t.Error(err)
	}
	// What is just within the bound.
	deep := strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)
	term, err := AppendETF(nil, []byte(deep))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := AppendJSON(nil, term); err != nil || string(text) != deep {
		t.Errorf("%d levels: %v", maxDepth, err)
	}
}

func FuzzETF(f *testing.F) {
	for i, m := range captured(f) {
		if i%100 == 0 && len(m) < 2000 {
			f.Add(m)
		}
	}
	for term := range etfCases {
		f.Add([]byte(term))
	}
	for _, c := range captures(f) {
		if c.enc == ETF && c.comp == None {
			for i, frame := range c.frames {
				if i%20 == 0 && len(frame.data) < 2000 {
					f.Add(frame.data)
				}
			}
		}
	}
	f.Add([]byte(`{"a":[1,-1,2147483648,1e300,1.5e-7,true,false,null,"\u00e9\ud83d\ude00\"",[],{}],"9007199254740993":9007199254740993}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		checkJSONToETF(t, data)
		checkETFToJSON(t, data)
	})
}

// checkETFToJSON reads any bytes as a term.
func checkETFToJSON(t *testing.T, data []byte) {
	var m Message
	_ = ScanETF(data, &m)
	text, err := AppendJSON(nil, data)
	start := 0
	if len(data) > 0 && data[0] == etfVersion {
		start = 1
	}
	end, left, skipErr := skipTerms(data, start, 1)
	if err != nil {
		if text != nil {
			t.Fatalf("AppendJSON(%x) failed and returned %s", data, text)
		}
		return
	}
	if skipErr != nil || left > 0 || end != len(data) {
		t.Fatalf("AppendJSON took %x, skipTerms did not: %d of %d, %d left, %v", data, end, len(data), left, skipErr)
	}
	if !json.Valid(text) || !utf8.Valid(text) {
		t.Fatalf("AppendJSON(%x) = %q", data, text)
	}
	if len(text) > 8*len(data)+32 {
		t.Fatalf("%d bytes became %d", len(data), len(text))
	}
	// Into a buffer that is too small, behind what is there.
	if again, err := AppendJSON(append(make([]byte, 0, 3), "ab"...), data); err != nil || string(again) != "ab"+string(text) {
		t.Fatalf("AppendJSON(%x) = %q, %v; want %q", data, again, err, text)
	}
	// In pieces.
	if start == 1 {
		var v valueScanner
		for n := 1; n <= len(data); n++ {
			if end, err := v.etf(data[:n]); err != nil || (end >= 0) != (n == len(data)) {
				t.Fatalf("%d bytes of %x: %d, %v", n, data, end, err)
			}
		}
	}
}

// checkJSONToETF reads any bytes as JSON, as a real parser does, and compares
// what comes out of ETF again.
func checkJSONToETF(t *testing.T, data []byte) {
	term, err := AppendETF(nil, data)
	if !json.Valid(data) || !utf8.Valid(data) {
		if err == nil {
			t.Fatalf("AppendETF takes %q", data)
		}
		return
	}
	if err != nil {
		var e *Error
		if errors.As(err, &e) && (strings.Contains(e.What, "too deep") || e.What == "json: malformed number" && outOfRange(data, e.Offset)) {
			return
		}
		t.Fatalf("AppendETF(%q): %v", data, err)
	}
	text, err := AppendJSON(nil, term)
	if err != nil {
		t.Fatalf("AppendJSON(%x), from %q: %v", term, data, err)
	}
	want, got := json.NewDecoder(bytes.NewReader(data)), json.NewDecoder(bytes.NewReader(text))
	want.UseNumber()
	got.UseNumber()
	for {
		w, err := want.Token()
		g, err2 := got.Token()
		if err != nil || err2 != nil {
			if (err == nil) != (err2 == nil) {
				t.Fatalf("%q came back as %q", data, text)
			}
			return
		}
		if n, ok := w.(json.Number); ok && w != g {
			if isUnsafe(string(n)) {
				w = string(n)
			} else if h, ok := g.(json.Number); ok {
				x, _ := strconv.ParseFloat(string(n), 64)
				y, err := strconv.ParseFloat(string(h), 64)
				if err == nil && x == y {
					continue
				}
			}
		}
		if w != g {
			t.Fatalf("%q came back as %q: %v, want %v", data, text, g, w)
		}
	}
}

// isUnsafe reports whether the text of a number is an integer that a JavaScript
// number cannot hold.
func isUnsafe(text string) bool {
	n, ok := new(big.Int).SetString(text, 10)
	return ok && n.CmpAbs(big.NewInt(maxSafeInt)) > 0
}

// outOfRange reports whether the number at i is more than a float64 or an
// integer of 255 bytes holds.
func outOfRange(data []byte, i int) bool {
	end := i
	for end < len(data) && bytes.IndexByte([]byte("+-.0123456789Ee"), data[end]) >= 0 {
		end++
	}
	_, err := strconv.ParseFloat(string(data[i:end]), 64)
	return err != nil || end-i > 614
}
