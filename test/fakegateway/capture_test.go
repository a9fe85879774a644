package fakegateway_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

// TestPlayback plays every capture and wants its frames byte for byte, then the
// close that the server made, if it did.
func TestPlayback(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(captures, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	probes, err := filepath.Glob(filepath.Join(captures, "probes", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	srv := start(t, fakegateway.Options{})
	played := 0
	for _, file := range append(files, probes...) {
		if strings.HasSuffix(file, ".expected.jsonl") {
			continue
		}
		played++
		c, err := fakegateway.LoadCapture(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := srv.Play(c, false); err != nil {
			t.Fatal(err)
		}
		_, query, _ := strings.Cut(c.Query, "?")
		cl := dial(t, srv, "?"+query)
		said := false
		for i, f := range c.Frames {
			if f.Out {
				if !said {
					said = true
					if err := cl.ws.Write(ctxFor(t), websocket.MessageText, []byte(`{"op":2,"d":{}}`)); err != nil {
						t.Fatal(err)
					}
				}
				continue
			}
			data, binary, err := cl.rawFrame()
			if err != nil {
				t.Fatalf("%s: frame %d: %v", c.Name, i, err)
			}
			if binary != f.Binary || !bytes.Equal(data, f.Data) {
				t.Fatalf("%s: frame %d differs", c.Name, i)
			}
		}
		if !c.ServerClosed() {
			cl.ws.CloseNow()
			continue
		}
		code, reason := cl.closed()
		want := c.CloseCode
		if want == 0 {
			want = 1006
		}
		if code != want || reason != c.CloseReason {
			t.Errorf("%s: closed with %d %q, want %d %q", c.Name, code, reason, want, c.CloseReason)
		}
	}
	if played < 60 {
		t.Errorf("only %d captures were found", played)
	}
}

func TestPlaybackWaitsForTheClient(t *testing.T) {
	c := capture(t, "alice-json-plain")
	v := engine(t, fakegateway.Options{Playback: []*fakegateway.Capture{c}})
	conn := v.open("?encoding=json")
	if len(conn.frames) != 1 {
		t.Fatalf("%d frames before the client says anything", len(conn.frames))
	}
	conn.send(aliceIdentify)
	if len(conn.msgs) != len(c.Expected) || conn.code != 0 {
		t.Errorf("%d messages, want %d; closed with %d", len(conn.msgs), len(c.Expected), conn.code)
	}
	n := len(conn.msgs)
	conn.send(`{"op":1,"d":null}`)
	if len(conn.msgs) != n {
		t.Error("after the end it speaks")
	}
	if next := v.open(""); next.kinds() != "10//-" {
		t.Errorf("the next connection gets %s", next.kinds())
	}
}

func TestPlaybackInRealTime(t *testing.T) {
	c := capture(t, "probes/shutdown-json")
	v := engine(t, fakegateway.Options{})
	if err := v.Play(0, c, true); err != nil {
		t.Fatal(err)
	}
	conn := v.open("")
	v.sleep(time.Minute)
	if len(conn.msgs) != 1 {
		t.Fatalf("%s before Identify", conn.kinds())
	}
	conn.send(aliceIdentify) // in the capture at 8 ms, the last frame at 1712
	v.sleep((1712-8)*time.Millisecond - 1)
	if got := len(conn.msgs); got != len(c.Expected)-1 || conn.code != 0 {
		t.Errorf("%d messages, want one fewer than %d", got, len(c.Expected))
	}
	v.sleep(c.ClosedAt - 1712*time.Millisecond + 1)
	if got := len(conn.msgs); got != len(c.Expected) || conn.code != 1000 {
		t.Errorf("%d messages, want %d; closed with %d", got, len(c.Expected), conn.code)
	}
}

func TestPlaybackOfAnotherTransport(t *testing.T) {
	v := engine(t, fakegateway.Options{Playback: []*fakegateway.Capture{capture(t, "alice-json-zlib")}})
	conn := v.open("?encoding=json")
	if conn.code != 4002 || !strings.Contains(conn.reason, "compress=zlib-stream") {
		t.Errorf("closed with %d %q", conn.code, conn.reason)
	}
}

func TestCaptureIsRead(t *testing.T) {
	c := capture(t, "alice-etf-zlib")
	if c.Name != "alice-etf-zlib" || c.Values().Get("compress") != "zlib-stream" || c.CloseCode != 1000 || c.ServerClosed() ||
		c.ClosedAt != 67551*time.Millisecond || !c.Frames[0].Binary || c.Frames[0].Out || !c.Frames[1].Out {
		t.Errorf("got %+v", c.Frames[0])
	}
	n := 0
	for _, f := range c.Frames {
		if !f.Out {
			n++
		}
	}
	if n != len(c.Expected) || !json.Valid(c.Expected[0]) {
		t.Errorf("%d frames, %d expected payloads", n, len(c.Expected))
	}

	for name, text := range map[string]string{
		"empty":      "",
		"no JSON":    "x",
		"bad frame":  "{\"query\":\"\"}\nx",
		"bad base64": "{\"query\":\"\"}\n{\"dir\":\"in\",\"kind\":\"binary\",\"data\":\"!\"}",
	} {
		if _, err := fakegateway.ParseCapture(strings.NewReader(text), nil); err == nil || !strings.HasPrefix(err.Error(), "fakegateway: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := fakegateway.ParseCapture(strings.NewReader(`{"query":"?v=9"}`), strings.NewReader("x")); err == nil {
		t.Error("expected payloads that are no JSON are taken")
	}
	if _, err := fakegateway.LoadCapture("no such file"); !os.IsNotExist(err) {
		t.Errorf("got %v", err)
	}
	file := filepath.Join(t.TempDir(), "own.jsonl")
	if err := os.WriteFile(file, []byte("{\"query\":\"?v=9\",\"close\":{\"code\":4000,\"reason\":\"r\"}}\n{\"dir\":\"in\",\"t_ms\":1.5,\"kind\":\"text\",\"data\":\"{}\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	own, err := fakegateway.LoadCapture(file)
	want := &fakegateway.Capture{Name: "own", Query: "?v=9", CloseCode: 4000, CloseReason: "r",
		Frames: []fakegateway.Frame{{At: 1500 * time.Microsecond, Data: []byte("{}")}}}
	if err != nil || !reflect.DeepEqual(own, want) {
		t.Errorf("got %+v, %v", own, err)
	}
}
