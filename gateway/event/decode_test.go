package event_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
)

// Nothing of a payload refers to the text that it was read from, nor changes when
// others are read, although their strings share memory: the text is overwritten
// each time, and readers work side by side.
func TestPayloadsAreKept(t *testing.T) {
	text := func(i int) string {
		return fmt.Sprintf(`{"id":"%d","content":"%s","nonce":"n%d","author":{"username":"né\u00e9%d"},"new":{"k%d":[%d]}}`,
			i, strings.Repeat(string(rune('a'+i%26)), i%200), i, i, i, i)
	}
	var readers sync.WaitGroup
	for r := range 4 {
		readers.Go(func() {
			var kept []*event.MessageCreate
			var buf []byte
			for i := range 500 {
				buf = append(buf[:0], text(1000*r+i)...)
				p, warnings, err := event.Decode("MESSAGE_CREATE", buf)
				if err != nil || warnings != nil {
					t.Error(warnings, err)
					return
				}
				kept = append(kept, p.(*event.MessageCreate))
			}
			clear(buf)
			for i, m := range kept {
				i += 1000 * r
				got := fmt.Sprintf(`{"id":"%d","content":"%s","nonce":"%s","author":{"username":"%s"},"new":%s}`,
					m.ID, m.Content, m.Nonce.Value(), strings.Replace(m.Author.Username, "éé", `é\u00e9`, 1), m.Unknown.Get("new"))
				if got != text(i) {
					t.Errorf("%s became %s", text(i), got)
					return
				}
			}
		})
	}
	readers.Wait()
}
