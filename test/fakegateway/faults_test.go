package fakegateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

// all are the queries of all transports.
var all = []string{
	"?encoding=json", "?encoding=json&compress=zlib-stream", "?encoding=json&compress=zstd-stream",
	"?encoding=etf", "?encoding=etf&compress=zlib-stream", "?encoding=etf&compress=zstd-stream",
}

func TestTransports(t *testing.T) {
	for _, profile := range []fakegateway.Profile{spacebar, documented} {
		for _, query := range all {
			v := engine(t, fakegateway.Options{Profile: profile})
			c := v.open(query)
			text := strings.Contains(query, "json") && !strings.Contains(query, "compress")
			c.Receive(v.now, binaryIf(t, query, aliceIdentify), strings.Contains(query, "etf"))
			c.Receive(v.now, binaryIf(t, query, `{"op":1,"d":null}`), strings.Contains(query, "etf"))
			v.Dispatch(v.now, fakegateway.Target{}, "X", json.RawMessage(`{"a":[1,-2,"ü 🚀",null,true,875069521787904,1.5],"b":{}}`))
			if got := c.kinds(); !strings.Contains(got, "0/READY/") || !strings.Contains(got, " 11//- ") || c.last().T != "X" {
				t.Errorf("%s %s: %s", profile, query, got)
			}
			var d struct{ A []any }
			if err := json.Unmarshal(c.last().D, &d); err != nil || fmt.Sprint(d.A) != "[1 -2 ü 🚀 <nil> true 8.75069521787904e+14 1.5]" {
				t.Errorf("%s %s: the payload is %s", profile, query, c.last().D)
			}
			if len(c.frames) != len(c.msgs) {
				t.Errorf("%s %s: %d frames for %d messages", profile, query, len(c.frames), len(c.msgs))
			}
			for i, f := range c.frames {
				if f.binary == text {
					t.Errorf("%s %s: frame %d is binary: %v", profile, query, i, f.binary)
				}
				data := string(f.data)
				if strings.Contains(query, "zlib") && (!strings.HasSuffix(data, "\x00\x00\xff\xff") || strings.HasPrefix(data, "\x78\x9c") != (i == 0)) {
					t.Errorf("%s %s: frame %d begins %x and ends %x", profile, query, i, data[:2], data[len(data)-4:])
				}
				if strings.Contains(query, "zstd") {
					each := profile == spacebar || i == 0
					if strings.HasPrefix(data, "\x28\xb5\x2f\xfd") != each {
						t.Errorf("%s %s: frame %d begins %x", profile, query, i, data[:4])
					}
					if profile == spacebar && !strings.HasPrefix(data, "\x28\xb5\x2f\xfd\x00\x58") {
						t.Errorf("frame %d has the header %x", i, data[:6])
					}
				}
			}
		}
	}
}

func TestPayloadCompression(t *testing.T) {
	identify := strings.Replace(aliceIdentify, `"capabilities"`, `"compress":true,"capabilities"`, 1)
	for _, tc := range []struct {
		profile fakegateway.Profile
		query   string
		want    bool
	}{
		{documented, "?encoding=json", true}, {documented, "?encoding=etf", true},
		{documented, "?compress=zlib-stream", false}, {spacebar, "?encoding=json", false},
	} {
		v := engine(t, fakegateway.Options{Profile: tc.profile})
		c := v.open(tc.query)
		c.Receive(v.now, binaryIf(t, tc.query, identify), strings.Contains(tc.query, "etf"))
		if c.dec.payloadZlib != tc.want || c.last().T != "PRESENCE_UPDATE" {
			t.Errorf("%s %s: compressed %v, want %v: %s", tc.profile, tc.query, c.dec.payloadZlib, tc.want, c.kinds())
		}
		if tc.want {
			v.Dispatch(v.now, fakegateway.Target{}, "SMALL", []byte(`1`))
			if f := c.frames[len(c.frames)-1]; f.binary != strings.Contains(tc.query, "etf") || f.data[0] == 0x78 {
				t.Errorf("a small message is compressed: %x", f.data)
			}
		}
	}
}

func TestCompressedInbound(t *testing.T) {
	v := engine(t, fakegateway.Options{})
	c := v.open("?compress=zlib-stream")
	// Two messages of one stream, as the zlib of a client makes them.
	maker := engine(t, fakegateway.Options{})
	other := maker.open("?compress=zlib-stream")
	maker.Send(0, fakegateway.Target{}, []byte(`{"op":1,"d":null}`))
	maker.Send(0, fakegateway.Target{}, []byte(`{"op":1,"d":12345}`))
	if len(other.frames) != 3 {
		t.Fatal("the frames to send are not there")
	}
	for _, f := range other.frames {
		c.Receive(v.now, f.data, true)
	}
	if got := c.kinds(); got != "10//- 11//- 11//-" {
		t.Errorf("got %s", got) // the Hello that it was sent is ignored
	}
}

func TestFrameFaults(t *testing.T) {
	for _, query := range all {
		compressed := strings.Contains(query, "compress")
		for name, tc := range map[string]struct {
			faults fakegateway.Faults
			frames func(c *vconn) bool
		}{
			"split": {fakegateway.Faults{SplitFrames: 7}, func(c *vconn) bool {
				for _, f := range c.frames {
					if compressed && len(f.data) > 7 {
						return false
					}
				}
				return (len(c.frames) > len(c.msgs)) == compressed
			}},
			"byte by byte": {fakegateway.Faults{SplitFrames: 1}, func(c *vconn) bool {
				return compressed == (len(c.frames[0].data) == 1)
			}},
			"merged": {fakegateway.Faults{MergeMessages: 3}, func(c *vconn) bool {
				return (len(c.frames) < len(c.msgs)) == compressed
			}},
			"empty": {fakegateway.Faults{EmptyFrames: true}, func(c *vconn) bool {
				return len(c.frames) == 2*len(c.msgs) && len(c.frames[0].data) == 0 && len(c.frames[1].data) > 0
			}},
			"late suffix": {fakegateway.Faults{Suffix: fakegateway.SuffixLate}, func(c *vconn) bool {
				zlib := strings.Contains(query, "zlib")
				return strings.HasPrefix(string(c.frames[1].data), "\x00\x00\xff\xff") == zlib
			}},
		} {
			// The documented zstd-stream can be cut anywhere and put together.
			profile := documented
			if name == "empty" || strings.Contains(name, "suffix") {
				profile = spacebar
			}
			v := engine(t, fakegateway.Options{Profile: profile, Faults: tc.faults})
			c := v.open(query)
			c.Receive(v.now, binaryIf(t, query, `{"op":1,"d":null}`), strings.Contains(query, "etf"))
			c.Receive(v.now, binaryIf(t, query, `{"op":1,"d":null}`), strings.Contains(query, "etf"))
			v.sleep(time.Second)
			if !tc.frames(c) {
				t.Errorf("%s %s: %d frames, %d messages", query, name, len(c.frames), len(c.msgs))
			}
			if got := c.kinds(); got != "10//- 11//- 11//-" {
				t.Errorf("%s %s: %s", query, name, got)
			}
		}
	}
}

func TestTruncate(t *testing.T) {
	for _, query := range all {
		v := engine(t, fakegateway.Options{})
		c := v.identified(query)
		c.quiet = true
		n := len(c.frames)
		v.Truncate(v.now, fakegateway.Target{}, fakegateway.Event{Name: "X", Data: []byte(`{"a":"` + strings.Repeat("x", 500) + `"}`)}, 15, 1006)
		if len(c.frames) != n+1 || len(c.frames[n].data) != 15 || c.code != 1006 {
			t.Errorf("%s: %d frames more, closed with %d", query, len(c.frames)-n, c.code)
		}
	}
}

func TestLatencyAndDelay(t *testing.T) {
	v := engine(t, fakegateway.Options{Faults: fakegateway.Faults{Latency: 50 * time.Millisecond, HelloDelay: 10 * time.Millisecond, AnswerDelay: time.Second}})
	c := v.open("?compress=zlib-stream")
	v.sleep(60*time.Millisecond - 1)
	if c.kinds() != "" {
		t.Errorf("too early: %s", c.kinds())
	}
	v.sleep(1)
	if c.kinds() != "10//-" {
		t.Errorf("too late: %s", c.kinds())
	}
	c.send(aliceIdentify)
	c.send(`{"op":1,"d":null}`)
	v.sleep(50 * time.Millisecond)
	if c.kinds() != "10//- 11//-" {
		t.Errorf("the ACK is late, or READY early: %s", c.kinds())
	}
	v.sleep(time.Second)
	if c.last().T != "PRESENCE_UPDATE" {
		t.Errorf("READY is late: %s", c.kinds())
	}
	v.Close(v.now, fakegateway.Target{}, 4000, "")
	if c.code != 0 {
		t.Error("the close is early")
	}
	v.sleep(50 * time.Millisecond)
	if c.code != 4000 {
		t.Error("the close is late")
	}
}

func TestFreeze(t *testing.T) {
	v := engine(t, fakegateway.Options{})
	c := v.identified("")
	n := len(c.msgs)
	v.Freeze(v.now, fakegateway.Target{}, true)
	c.send(`{"op":1,"d":null}`)
	v.Dispatch(v.now, fakegateway.Target{}, "X", nil)
	v.sleep(10 * time.Second)
	if len(c.msgs) != n || !v.State().Conns[0].Frozen {
		t.Fatalf("a frozen connection speaks: %s", c.kinds())
	}
	v.Freeze(v.now, fakegateway.Target{}, false)
	if got := names(c.msgs[n:]); got != "X " || c.last().Op != 11 {
		t.Errorf("after the thaw: %s", c.kinds())
	}
	v.Freeze(v.now, fakegateway.Target{}, true)
	v.sleep(45 * time.Second) // the server's deadline passes, the client hears nothing
	if c.code != 0 {
		t.Errorf("closed with %d while frozen", c.code)
	}
	v.Drop(v.now, fakegateway.Target{})
	if c.code != 1006 {
		t.Errorf("closed with %d, want 1006", c.code)
	}
	c = v.identified("")
	v.Freeze(v.now, fakegateway.Target{}, true)
	for range 5000 {
		c.send(`{"op":1,"d":null}`)
	}
	if c.code != 1006 {
		t.Errorf("5000 messages wait for a frozen connection")
	}
}

func TestOvertake(t *testing.T) {
	v := engine(t, fakegateway.Options{Faults: fakegateway.Faults{Overtake: 3}})
	c := v.identified("?compress=zstd-stream")
	for range 5 {
		v.Dispatch(v.now, fakegateway.Target{}, "X", nil)
	}
	var order []int64
	for _, m := range c.msgs[1:] {
		order = append(order, *m.S)
	}
	if got := fmt.Sprint(order); got != "[0 1 3 2 4 6 5 7]" {
		t.Errorf("the numbers come as %s", got)
	}
	v.sleep(time.Second)
	if got := *c.last().S; got != 8 {
		t.Errorf("the last event is %d, want 8: nothing overtook it", got)
	}
}

func TestDuplicate(t *testing.T) {
	v := engine(t, fakegateway.Options{Faults: fakegateway.Faults{Duplicate: true}})
	g := v.World().Guilds[0].ID
	c := v.identified("")
	event := func(name, more string) int {
		before := len(c.msgs)
		v.Dispatch(v.now, fakegateway.Target{}, name, []byte(`{"guild_id":"`+g+`"`+more+`}`))
		return len(c.msgs) - before
	}
	for i, want := range []int{1, 2, 4, 8, 16} {
		if got := event("GUILD_UPDATE", ""); got != want {
			t.Errorf("after %d channels a guild's event comes %d times, want %d", i, got, want)
		}
		event("CHANNEL_CREATE", "")
	}
	if got := event("MESSAGE_CREATE", `,"channel_id":"1"`); got != 1 {
		t.Errorf("a message comes %d times", got)
	}
}

func TestHostile(t *testing.T) {
	for _, hello := range fakegateway.HostileHellos() {
		v := engine(t, fakegateway.Options{})
		v.Plan(fakegateway.Faults{Hello: hello})
		c, _ := v.Dial(v.now, request(""))
		link := &fakeLink{t: t, dec: newDecoder("", spacebar), quiet: true}
		c.Open(v.now, link)
		if hello != "" && (len(link.frames) != 1 || string(link.frames[0].data) != hello) {
			t.Errorf("%.100q is not sent as it is", hello)
		}
	}
	for _, ready := range fakegateway.HostileReadies() {
		v := engine(t, fakegateway.Options{Faults: fakegateway.Faults{Ready: ready}})
		c := v.open("")
		c.quiet = true
		c.send(aliceIdentify)
		if got, want := string(c.frames[1].data), `{"op":0,"t":"READY","s":0,"d":`+ready+`}`; got != want {
			t.Errorf("%.100q is not sent as it is", ready)
		}
	}
}

func TestFaultsOfAnswers(t *testing.T) {
	for _, tc := range []struct {
		faults fakegateway.Faults
		want   string
	}{
		{fakegateway.Faults{NoHello: true}, "0/READY/0 0/READY_SUPPLEMENTAL/1 0/SESSIONS_REPLACE/2 0/PRESENCE_UPDATE/3 11//-"},
		{fakegateway.Faults{NoReady: true}, "10//- 11//-"},
		{fakegateway.Faults{NoACK: true}, "10//- 0/READY/0 0/READY_SUPPLEMENTAL/1 0/SESSIONS_REPLACE/2 0/PRESENCE_UPDATE/3"},
		{fakegateway.Faults{CloseOnIdentify: 4011}, "10//- close 4011"},
		{fakegateway.Faults{CloseOnConnect: 4008}, "close 4008"},
		{fakegateway.Faults{CloseOnConnect: 1006}, "close 1006"},
	} {
		v := engine(t, fakegateway.Options{Faults: tc.faults})
		c := v.identified("")
		c.send(`{"op":1,"d":null}`)
		if got := c.kinds(); got != tc.want {
			t.Errorf("%+v: got %s, want %s", tc.faults, got, tc.want)
		}
	}
}

func TestPlan(t *testing.T) {
	v := engine(t, fakegateway.Options{})
	v.Plan(fakegateway.Faults{RefuseStatus: http.StatusServiceUnavailable}, fakegateway.Faults{HangDial: true}, fakegateway.Faults{NoHello: true})
	if c, status := v.Dial(v.now, request("")); c != nil || status != 503 {
		t.Errorf("the first dial gets %d", status)
	}
	if c, status := v.Dial(v.now, request("")); c != nil || status != fakegateway.DialHangs {
		t.Errorf("the second dial gets %d", status)
	}
	if c := v.open(""); c.kinds() != "" {
		t.Errorf("the third dial gets %s", c.kinds())
	}
	if c := v.open(""); c.kinds() != "10//-" {
		t.Errorf("the fourth dial gets %s", c.kinds())
	}
	if n := v.State().Counters; n.Dials != 4 || n.Refused != 2 {
		t.Errorf("counted %+v", n)
	}
}

func TestSetFaultsOfOne(t *testing.T) {
	v := engine(t, fakegateway.Options{})
	a, b := v.open(""), v.open("")
	v.SetFaults(v.now, fakegateway.Target{Conn: a.ID}, fakegateway.Faults{NoACK: true})
	a.send(`{"op":1}`)
	b.send(`{"op":1}`)
	if a.kinds() != "10//-" || b.kinds() != "10//- 11//-" {
		t.Errorf("a: %s, b: %s", a.kinds(), b.kinds())
	}
	v.SetFaults(v.now, fakegateway.Target{}, fakegateway.Faults{})
	a.send(`{"op":1}`)
	if a.kinds() != "10//- 11//-" {
		t.Errorf("a: %s", a.kinds())
	}
}

func TestFaultsAsJSON(t *testing.T) {
	full := fakegateway.Faults{RefuseStatus: 503, Hello: "x", Latency: 1500 * time.Microsecond, HelloDelay: time.Second, AnswerDelay: time.Minute, Suffix: "late", Resume: "retry", NoACK: true}
	text, err := json.Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"latency_ms":1.5`) || strings.Contains(string(text), "no_hello") {
		t.Errorf("got %s", text)
	}
	var back fakegateway.Faults
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, full) {
		t.Errorf("got %+v, %v", back, err)
	}
	for _, bad := range []string{`{"latncy_ms":1}`, `{"resume":"perhaps"}`, `{"suffix":"x"}`, `{"latency_ms":"1"}`} {
		if err := json.Unmarshal([]byte(bad), new(fakegateway.Faults)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestFlood(t *testing.T) {
	v := engine(t, fakegateway.Options{})
	c := v.identified("")
	n := len(c.msgs)
	if got := v.Flood(v.now, fakegateway.Target{}, 700); got != 1 {
		t.Errorf("the flood reaches %d connections", got)
	}
	if got := len(c.msgs) - n; got != 700 {
		t.Errorf("%d events came", got)
	}
	n = len(c.msgs)
	v.SetFaults(v.now, fakegateway.Target{}, fakegateway.Faults{Latency: time.Second})
	v.Flood(v.now, fakegateway.Target{}, 400, fakegateway.Event{Name: "BIG", Data: []byte(`"` + strings.Repeat("x", 5000) + `"`)})
	if b := v.State().Conns[0].Backlog; b > 2<<20 {
		t.Errorf("%d bytes wait", b)
	}
	v.sleep(20 * time.Second)
	if got := len(c.msgs) - n; got != 400 {
		t.Errorf("%d events came through a slow network", got)
	}
}

func TestSlowClientIsDropped(t *testing.T) {
	v := engine(t, fakegateway.Options{MaxPending: 10_000})
	c := v.identified("")
	v.Freeze(v.now, fakegateway.Target{}, true)
	for range 3 {
		v.Dispatch(v.now, fakegateway.Target{}, "X", []byte(`"`+strings.Repeat("x", 5000)+`"`))
	}
	if c.code != 1006 {
		t.Errorf("closed with %d, want 1006", c.code)
	}
}
