package session

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

// A glance at the ends of a message does to a session what receiving the whole
// message does, or nothing, in whatever order the envelope is written and
// whatever was glanced at before.
func TestGlanceIsReceived(t *testing.T) {
	forms := []string{
		`{"op":0,"t":%[1]q,"d":{"a":"%[3]s"},"s":%[2]d}`,
		`{"t":%[1]q,"s":%[2]d,"op":0,"d":{"a":"%[3]s"}}`,
		`{"t":%[1]q,"op":0,"s":%[2]d,"d":{"a":"%[3]s"}}`,
		`{"op":0,"s":%[2]d,"t":%[1]q,"d":{"a":"%[3]s"}}`,
		`{"t":%[1]q,"s":%[2]d,"op":0,"d":["%[3]s"]}`,
		`{"t":%[1]q,"s":0%[2]d,"op":0,"d":{"a":"%[3]s"}}`,
		`{"t":%[1]q,"s":,"op":0,"d":{"a":"%[3]s%[2]d"}}`,
		`{"t":%[1]q,"s":null,"op":0,"d":{"a":"%[3]s%[2]d"}}`,
		`{"t":%[1]q,"s":99999999999999999%[2]d,"op":0,"d":{"a":"%[3]s"}}`,
		`{"t":%[1]q,"s":%[2]d,"op":1,"d":{"a":"%[3]s"}}`,
	}
	names := []string{"MESSAGE_CREATE", "MESSAGE_UPDATE", "GUILD_MEMBER_LIST_UPDATE", "A", "TYPING_START"}
	glanced, received := newRig(t).ready(), newRig(t).ready()
	for _, r := range []*rig{glanced, received} {
		r.s.kinds.Unobserve("*")
		r.s.kinds.Observe("MESSAGE_CREATE")
	}
	taken := map[string]int{}
	for seq := 2; seq < 2000; seq++ {
		form := forms[seq%7*seq%len(forms)]
		msg := fmt.Sprintf(form, names[seq%len(names)], seq, strings.Repeat("x", 150))
		begin := msg[:min(strings.IndexByte(msg[1:], '{')+2, 127)]
		if !strings.Contains(msg[1:], "{") {
			begin = msg[:127]
		}
		kind, result, alike := glanced.s.Glance(glanced.s.conn, []byte(begin), []byte(msg[strings.LastIndexByte(msg, ','):]))
		if result == GlancedNothing {
			continue
		}
		taken[form]++
		received.out = received.out[:0]
		received.recv(msg)
		if got, want := glanced.s.Seq(), received.s.Seq(); got != want {
			t.Fatalf("%s: the number is %d, received %d", msg, got, want)
		}
		if twin := received.s.kinds.find(kind.Name); twin == nil || twin.Count != kind.Count {
			t.Fatalf("%s: counted as %+v, received as %+v", msg, kind, twin)
		}
		if seen := len(received.out) > 0; seen != (result != GlancedUnobserved) {
			t.Fatalf("%s: a glance says %v, received %v", msg, result, received.out)
		}
		plain := strings.HasPrefix(form, `{"op":0,"t":%[1]q,"d":{`)
		if want := map[bool]Alike{true: AlikePlain, false: AlikeNumbered}[plain]; alike != want && !strings.Contains(form, `"d":[`) {
			t.Fatalf("%s: others that begin like it are said to be %v", msg, alike)
		}
		if payload := msg[len(begin)-1:]; result == GlancedPayloadLast && payload[:len(payload)-1] != string(received.out[0].Data) {
			t.Fatalf("%s: the payload is %s", msg, received.out[0].Data)
		}
	}
	if taken[forms[0]] == 0 || taken[forms[1]] == 0 || taken[forms[6]] > 0 || taken[forms[9]] > 0 {
		t.Fatalf("glanced at: %v", taken)
	}
}

// Again does what a glance does, too, but for what only glances can tell.
func TestAgainIsAGlance(t *testing.T) {
	glanced, again := newRig(t).ready(), newRig(t).ready()
	seen := func(s *Session, seq int) (*Kind, Glanced) {
		msg := fmt.Sprintf(`{"op":0,"t":"MESSAGE_CREATE","d":{"a":"%s"},"s":%d}`, strings.Repeat("x", 150), seq)
		kind, result, _ := s.Glance(s.conn, []byte(msg[:35]), []byte(msg[strings.LastIndexByte(msg, ','):]))
		return kind, result
	}
	seen(glanced.s, 5)
	kind, _ := seen(again.s, 5)
	same := func(seq int) {
		t.Helper()
		twin, want := seen(glanced.s, seq)
		got := again.s.Again(again.s.conn, kind, int64(seq))
		if want == GlancedPayload {
			want = GlancedEvent
		}
		if got != want || again.s.Seq() != glanced.s.Seq() || want != GlancedNothing && *twin != *kind {
			t.Fatalf("%d: %v, %d and %+v again; a glance says %v, %d and %+v", seq, got, again.s.Seq(), kind, want, glanced.s.Seq(), twin)
		}
	}
	same(6)
	same(9)
	same(8)
	for _, r := range []*rig{glanced, again} {
		r.s.kinds.Unobserve("*")
	}
	same(10)
	for _, r := range []*rig{glanced, again} {
		r.recv(`{"op":7}`)
	}
	same(11)
	for _, r := range []*rig{glanced, again} {
		r.redial().recv(event("A", 11), `{"op":0,"t":"RESUMED","s":12,"d":{}}`)
	}
	same(10) // which the replay has brought, or will
	same(13)
	if again.s.Again(again.s.conn+1, kind, 14) != GlancedNothing {
		t.Fatal("it takes what comes on another connection")
	}
}

// Events that pass a driver by itself leave the session as Again would.
func TestPassedIsAgain(t *testing.T) {
	again, passed := newRig(t).ready(), newRig(t).ready()
	kinds := [2]*Kind{}
	for i, r := range []*rig{again, passed} {
		r.recv(event("A", 5))
		kinds[i] = r.s.kinds.arrived([]byte("A"))
		r.s.heard = false
	}
	for seq := int64(6); seq < 20; seq += 3 {
		if r := again.s.Again(again.s.conn, kinds[0], seq); r != GlancedEvent {
			t.Fatal(r)
		}
		kinds[1].Count++
	}
	passed.s.Passed(18)
	if passed.s.Seq() != 18 || again.s.Seq() != 18 || *kinds[0] != *kinds[1] || !passed.s.heard || !again.s.heard {
		t.Fatalf("%d, %v and %+v passed; %d, %v and %+v again", passed.s.Seq(), passed.s.heard, *kinds[1], again.s.Seq(), again.s.heard, *kinds[0])
	}
	passed.s.Passed(7)
	if passed.s.Seq() != 18 {
		t.Fatalf("the sequence goes back to %d", passed.s.Seq())
	}
}

// A message that is recognized is read as the scan reads it.
func TestRecognizedIsScanned(t *testing.T) {
	forms := []string{
		`{"op":0,"t":%[1]q,"d":{"a":"%[3]s"},"s":%[2]d}`,
		`{"t":%[1]q,"s":%[2]d,"op":0,"d":{"a":"%[3]s"}}`,
		`{"t":%[1]q,"op":0,"s":%[2]d,"d":{"a":"%[3]s"}}`,
		`{"op":0,"s":%[2]d,"t":%[1]q,"d":{"a":"%[3]s"}}`,
		`{"op":0,"t":%[1]q,"d":["%[3]s",{}],"s":%[2]d}`,
		`{"op":0,"t":%[1]q,"d":{"a":"%[3]s","s":%[2]d}}`,
		`{"op":0,"t":%[1]q,"d":{"a":"%[3]s"},"x":{},"s":%[2]d}`,
		`{"op":0,"t":%[1]q,"d":{"a":"%[3]s"},"s":%[2]d} `,
		`{"t":%[1]q,"s":%[2]d,"op":0,"d":{"a":"%[3]s"}} `,
		`{"t":%[1]q,"s":%[2]d,"op":0,"x":{"a":"%[3]s"},"d":{}}`,
		`{"t":%[1]q,"s":%[2]d,"op":0,"d":{"a":"%[3]s"`,
		`{"op":1,"t":%[1]q,"d":{"a":"%[3]s"},"s":%[2]d}`,
		`{"op":0,"t":%[1]q,"d":{"a":"%[3]s"},"s":null,"y":%[2]d}`,
		`{"op":0,"t":%[1]q,"s":12345678901234567%[2]d,"d":{"a":"%[3]s"}}`,
		`{"op":0,"t":%[1]q,"d":{`,
		`{"op":0,"t":%[1]q,"d":{}`,
		`{"op":0}`, `{`, ``,
	}
	names := []string{"MESSAGE_CREATE", "GUILD_MEMBER_LIST_UPDATE", "A", "READY", strings.Repeat("LONG", 40), "ü\"{"}
	s := newRig(t).ready().s
	taken := map[string]int{}
	for seq := 2; seq < 3000; seq++ {
		form := forms[seq%len(forms)]
		msg := []byte(fmt.Sprintf(form, names[seq%len(names)], seq, strings.Repeat("x", seq%300)))
		if !strings.Contains(form, "%") {
			msg = []byte(form)
		}
		var got, want wire.Message
		kind := s.recognize(msg, &got)
		if kind == nil {
			continue
		}
		taken[form]++
		if err := wire.Scan(msg, &want); err != nil || want.Op != got.Op || want.Seq != got.Seq || string(want.Data) != string(got.Data) || string(want.Type) != kind.Name {
			t.Fatalf("%s is recognized as %s %d %s, scanned as %s %d %s, error %v", msg, kind.Name, got.Seq, got.Data, want.Type, want.Seq, want.Data, err)
		}
	}
	if taken[forms[0]] == 0 || taken[forms[1]] == 0 || taken[forms[11]] > 0 {
		t.Fatalf("recognized: %v", taken)
	}
}

// Kinds whose heads are remembered in the same place take turns at no cost.
func TestHeadsCostNothing(t *testing.T) {
	for _, form := range []string{`{"op":0,"t":"%s","d":{"id":"1"},"s":%d}`, `{"t":"%s","s":%d,"op":0,"d":{"id":"1"}}`} {
		r := newRig(t).start().ready()
		var msgs [][]byte
		for i := range 300 { // more than there are heads
			msgs = append(msgs, fmt.Appendf(nil, form, fmt.Sprintf("EVENT_NUMBER_%d", i), 100+i))
		}
		play := func() {
			for _, msg := range msgs {
				r.s.Received(r.now, r.conn, msg, false)
				for r.s.Next() != nil {
				}
			}
		}
		play()
		if n := testing.AllocsPerRun(10, play); n > 0 {
			t.Errorf("%s: %.1f objects for %d events", form, n, len(msgs))
		}
	}
}
