package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

const (
	// hello asks for no heartbeat while anything is measured.
	hello = `{"op":10,"d":{"heartbeat_interval":600000}}`
	ready = `{"op":0,"t":"READY","s":0,"d":{"v":9,"user":{"id":"1574334091996799013","username":"alice","discriminator":"3184","avatar":null},` +
		`"guilds":[],"private_channels":[],"session_id":"5b1e","resume_gateway_url":"","application":{"id":"1574334091996799014","flags":0}}}`
	// marker is an event that every client knows and that costs next to nothing:
	// observers of it learn where the events to measure begin and end.
	marker = "GUILD_INTEGRATIONS_UPDATE"
)

// order is how a server writes the envelope of an event.
type order func(name string, d []byte, seq int) string

func spacebar(name string, d []byte, seq int) string {
	return fmt.Sprintf(`{"op":0,"t":%q,"d":%s,"s":%d}`, name, d, seq)
}

func discord(name string, d []byte, seq int) string {
	return fmt.Sprintf(`{"t":%q,"s":%d,"op":0,"d":%s}`, name, seq, d)
}

var transports = []string{"json", "etf", "zstd", "zstdframes"}

func everything() ([]*corpus, error) {
	e, err := fakegateway.NewEngine(fakegateway.Options{Members: 400, Guilds: 6})
	if err != nil {
		return nil, err
	}
	world := e.World()
	all := []*corpus{
		connection("small", transports, spacebar, messages(world, small, size720, memberOf)),
		connection("small-discord", []string{"json"}, discord, messages(world, small, size720, memberOf)),
		connection("small500", []string{"json"}, spacebar, messages(world, small, size500, memberOf, optional)),
		halves(world),
		marked("mix", transports, world.Mix(warm+mix, fakegateway.MixOptions{Seed: 7})),
		marked("page", transports, world.Mix(warm+page, fakegateway.MixOptions{Seed: 8})),
	}
	r, err := largeReady()
	if err != nil {
		return nil, err
	}
	all = append(all, r)
	return append(all, sizes(world)...), nil
}

// connection is a corpus of these events.
func connection(name string, transports []string, order order, events []fakegateway.Event) *corpus {
	c := &corpus{name: name, transports: transports, messages: []string{hello, ready}}
	for i, ev := range events {
		c.messages = append(c.messages, order(ev.Name, ev.Data, i+1))
	}
	return c
}

// What a message can do without: the author as a member of the guild, which only
// messages in guilds have, and what a server of another version leaves out.
var (
	memberOf = regexp.MustCompile(`"member":\{[^{}]*\},`)
	optional = regexp.MustCompile(`"(avatar_decoration_data|bot|system|banner|accent_color|mention_channels|components)":(null|false|\[\]),`)
)

// messages are MESSAGE_CREATE events as a Spacebar server writes those of
// private channels, with a sentence or two in them: of about so many bytes with
// their envelopes.
func messages(w *fakegateway.World, n, size int, without ...*regexp.Regexp) (list []fakegateway.Event) {
	for _, ev := range w.Mix(5*n, fakegateway.MixOptions{Seed: 1, Message: size}) {
		if ev.Name == "MESSAGE_CREATE" {
			for _, w := range without {
				ev.Data = w.ReplaceAll(ev.Data, nil)
			}
			list = append(list, ev)
		}
	}
	return list
}

// The sizes to ask for, so that with envelopes and without the members (448
// bytes) and the rest (130) 720 and 500 bytes are left.
const (
	size720 = 720 - 46 + 448
	size500 = 500 - 46 + 448 + 130
)

// halves are messages of 500 bytes, of which every fifth is new and the others
// are edited ones.
func halves(w *fakegateway.World) *corpus {
	events := messages(w, warm+small, size500, memberOf, optional)
	for i := range events {
		if i%5 != 0 {
			events[i].Name = "MESSAGE_UPDATE"
		}
	}
	return marked("half", []string{"json"}, events)
}

// marked puts a marker before and behind what is to be measured.
func marked(name string, transports []string, events []fakegateway.Event) *corpus {
	mark := func(guild string) fakegateway.Event {
		return fakegateway.Event{Name: marker, Data: json.RawMessage(`{"guild_id":"` + guild + `"}`)}
	}
	list := append([]fakegateway.Event{}, events[:warm]...)
	list = append(list, mark("1"))
	list = append(list, events[warm:]...)
	list = append(list, mark("2"))
	c := connection(name, transports, spacebar, list)
	c.warm = warm
	return c
}

// largeReady is a connection whose READY has 4 MB, and nothing else.
func largeReady() (*corpus, error) {
	const guilds = 650
	e, err := fakegateway.NewEngine(fakegateway.Options{Members: 20, Guilds: guilds, Channels: 12})
	if err != nil {
		return nil, err
	}
	conn, status := e.Dial(0, fakegateway.Request{
		Path: "/", Host: "127.0.0.1", Query: url.Values{"v": {"9"}, "encoding": {"json"}}, Header: http.Header{"User-Agent": {"bench"}},
	})
	if status != fakegateway.DialAccepted {
		return nil, errors.New("the engine takes no connection")
	}
	var got recorder
	conn.Open(0, &got)
	conn.Receive(0, []byte(`{"op":2,"d":{"token":"`+fakegateway.AliceToken+`","properties":{"os":"Linux"}}}`), false)
	e.Tick(time.Second)
	for _, text := range got {
		if strings.Contains(text[:min(len(text), 40)], `"READY"`) {
			// A resume URL would name a server that is not there.
			text = strings.Replace(text, `"resume_gateway_url":"ws://127.0.0.1"`, `"resume_gateway_url":""`, 1)
			return &corpus{name: "ready", transports: transports, messages: []string{hello, text}}, nil
		}
	}
	return nil, errors.New("the engine sends no READY")
}

// recorder is a link that keeps what it is given.
type recorder []string

func (r *recorder) Send(data []byte, binary bool) { *r = append(*r, string(data)) }
func (r *recorder) Close(code int, reason string) {}
func (r *recorder) Drop()                         {}

// sizes are connections of messages of one size each, from 100 B to 10 MB.
func sizes(w *fakegateway.World) (all []*corpus) {
	parts := w.Mix(4000, fakegateway.MixOptions{Seed: 3})
	next := 0
	for _, size := range []int{100, 300, 1e3, 3e3, 10e3, 30e3, 100e3, 300e3, 1e6, 3e6, 10e6} {
		c := &corpus{name: fmt.Sprintf("size-%d", size), transports: []string{"json", "zstdframes"}, messages: []string{hello, ready}}
		for seq := range min(max(6e6/size, 2), 3000) {
			var d strings.Builder
			d.WriteString(`{"list":[`)
			empty := len(spacebar("MESSAGE_CREATE", []byte(`{"list":[],"pad":""}`), seq+1))
			for first := true; ; first = false {
				part := parts[next%len(parts)].Data
				if empty+d.Len()-len(`{"list":[`)+len(part)+1 > size {
					break
				}
				if !first {
					d.WriteByte(',')
				}
				d.Write(part)
				next++
			}
			pad := max(0, size-empty-d.Len()+len(`{"list":[`))
			fmt.Fprintf(&d, `],"pad":%q}`, strings.Repeat("lorem ipsum ", pad/12+1)[:pad])
			c.messages = append(c.messages, spacebar("MESSAGE_CREATE", []byte(d.String()), seq+1))
		}
		all = append(all, c)
	}
	return all
}
