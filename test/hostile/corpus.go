package hostile

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Case is one way to mean harm, and what a client has to make of it.
type Case struct {
	// Name of the case, and the path of its URL.
	Name string
	URL  string // in the answer to GET /cases
	// Secure serves it with encryption.
	Secure bool
	// Compress and Encoding that the client is to ask for; empty for none and
	// json. MaxReceive is the limit for messages that it is to set.
	Compress, Encoding string
	MaxReceive         int
	// Want is the code of an error that the client must report; empty if there
	// need not be one. With Fatal it must be the end, otherwise the client must
	// come to observe StillHere.
	Want  string
	Fatal bool
	// Loop: the server does it on every connection, so that the client never
	// comes to rest. Only that it keeps within the bounds counts.
	Loop bool
	// Dials and Sends bound what the client may do in the meantime. Brisk: it may
	// send once more for each second that it takes, as it beats once a second,
	// its lower bound, where it is asked to beat more often.
	Dials, Sends int
	Brisk        bool
	// Native cases are of the native client's sockets only: browsers read frames
	// and HTTP themselves.
	Native bool
	// Heavy cases are about memory.
	Heavy bool
	// Slow: the client's observers are to be stuck while the server does it.
	Slow bool
	// For is how long the client is to stay, once it has survived.
	For time.Duration

	Always   bool
	Interval int           `json:"-"` // of Hello, in ms
	hello    *string       // in place of Hello
	ready    string        // in place of the payload of READY
	act      func(p *Peer) // after READY
	frames   func(p *Peer) // in place of all, once there is a WebSocket
	http     func(p *Peer) // in place of all
}

func (c *Case) interval() int {
	if c.Interval != 0 {
		return c.Interval
	}
	return 41250
}

// Limits of the cases that do not say otherwise.
const (
	maxReceive = 1 << 20
	maxDials   = 2
	maxSends   = 6
)

// Cases returns the corpus.
func Cases() []Case { return append([]Case(nil), corpus...) }

var corpus = build()

func build() []Case {
	var all []Case
	add := func(c Case) {
		if c.MaxReceive == 0 {
			c.MaxReceive = maxReceive
		}
		if c.Dials == 0 {
			c.Dials = maxDials
		}
		if c.Sends == 0 {
			c.Sends = maxSends
		}
		c.Loop = c.Loop || c.Always && !c.Fatal
		all = append(all, c)
	}
	for i, group := range [][]Case{bombs(), floods(), hellos(), readies(), texts(), closes(), frames(), handshakes()} {
		for _, c := range group {
			c.Heavy = c.Heavy || i < 2
			c.Slow = i == 1
			add(c)
		}
	}
	return all
}

func hello(text string) *string { return &text }

// hellos are Hellos that no server should send.
func hellos() []Case {
	list := []Case{
		{Name: "hello-twice", Want: "protocol", act: func(p *Peer) { p.Text(`{"op":10,"d":{"heartbeat_interval":5}}`) }, For: 1500 * time.Millisecond},
		{Name: "hello-missing", hello: hello(`{"op":11}`)},
		{Name: "hello-not-json", hello: hello("\x1b]0;owned\a<html>"), Want: "not_a_gateway"},
		{Name: "hello-cut-short", hello: hello(`{"op":10,"d":{"heartbeat_interval":30000}`), Want: "not_a_gateway"},
		{Name: "hello-deep", hello: hello(`{"op":10,"d":` + nested(100_000) + `}`), Want: "protocol"},
		{Name: "hello-in-one-byte-a-second", Want: "not_a_gateway", frames: func(p *Peer) {
			p.Header(0x81, 1<<17)
			for p.Raw("{") && !p.Gone() {
				p.Pause(time.Second)
			}
		}},
		{Name: "ready-before-hello", hello: hello(`{"t":"READY","s":1,"op":0,"d":{"session_id":"early"}}`)},
		{Name: "invalid-session-before-hello", hello: hello(`{"op":9,"d":true}`)},
	}
	for name, interval := range map[string]string{
		"0": "0", "1ms": "1", "minus-1": "-1", "2-to-53": "9007199254740992", "over-2-to-53": "9007199254740993", "huge": "1e308", "20-digits": "99999999999999999999",
		"fraction": "0.5", "null": "null", "true": "true", "list": "[]", "object": `{"__proto__":1}`,
	} {
		list = append(list, Case{Name: "heartbeat-interval-" + name, hello: hello(`{"op":10,"d":{"heartbeat_interval":` + interval + `}}`), Want: "protocol", Sends: 3, Brisk: true, For: 2500 * time.Millisecond})
	}
	return list
}

// readies are payloads of READY that no server should send.
func readies() []Case {
	list := []Case{
		{Name: "ready-without-fields", ready: `{}`, Want: "protocol"},
		{Name: "ready-null", ready: `null`, Want: "protocol"},
		{Name: "ready-of-wrong-types", ready: `{"session_id":7,"resume_gateway_url":{},"user":[],"guilds":"x","users":{}}`, Want: "protocol"},
		{Name: "ready-cut-short", ready: `{"session_id":"x`, Want: "protocol"},
		{Name: "ready-with-a-session-id-of-half-a-megabyte", ready: `{"session_id":"` + strings.Repeat("s", 500_000) + `"}`, Want: "protocol"},
		{Name: "ready-deep", ready: `{"session_id":"deep","guilds":` + nested(100_000) + `}`},
	}
	for name, url := range map[string]string{
		"javascript": "javascript:alert(1)", "file": "file:///etc/passwd", "http": "http://127.0.0.1/", "data": "data:text/html,x", "none": "//127.0.0.1/",
		"no-host": "ws://", "space": " ws://127.0.0.1 ", "long": "ws://127.0.0.1/" + strings.Repeat("x", 100_000),
	} {
		list = append(list, Case{Name: "resume-url-" + name, Want: "protocol", ready: `{"session_id":"hostile","resume_gateway_url":"` + url + `"}`})
	}
	list = append(list,
		// "RESUME" stands for a path of the same server without encryption.
		Case{Name: "resume-url-not-encrypted", Secure: true, Want: "protocol", frames: func(p *Peer) {
			p.Text(`{"op":10,"d":{"heartbeat_interval":41250}}`)
			if p.within(20 * time.Second) {
				p.Text(`{"op":0,"t":"READY","s":1,"d":{"session_id":"hostile","resume_gateway_url":"` + p.s.plainURL() + `"}}`)
				p.Pause(100 * time.Millisecond)
				_ = p.conn.Close()
			}
		}},
		Case{Name: "resume-url-that-does-not-exist", Dials: 4, ready: `{"session_id":"hostile","resume_gateway_url":"ws://127.0.0.1:1/"}`},
	)
	return list
}

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

const bombSize = 32 << 20

func deflated(write func(w io.Writer)) func() string {
	return sync.OnceValue(func() string {
		var b bytes.Buffer
		z := zlib.NewWriter(&b)
		write(z)
		_ = z.Flush()
		return b.String()
	})
}

// bomb writes a message of nothing but one letter.
func bomb(w io.Writer) {
	_, _ = io.WriteString(w, `{"op":0,"t":"BOMB","s":2,"d":"`)
	chunk := bytes.Repeat([]byte{'x'}, 1<<20)
	for range bombSize >> 20 {
		_, _ = w.Write(chunk)
	}
	_, _ = io.WriteString(w, `"}`)
}

// manyMessages writes as much in messages that are small.
func manyMessages(w io.Writer) {
	message := []byte(`{"op":0,"t":"BOMB","s":2,"d":{"a":"` + strings.Repeat("x", 4000) + `"}}`)
	for range bombSize / len(message) {
		_, _ = w.Write(message)
	}
}

// spaces writes as much that is nothing at all, ever again.
func spaces(w io.Writer) {
	chunk := bytes.Repeat([]byte{' '}, 1<<20)
	for range bombSize >> 20 {
		_, _ = w.Write(chunk)
		_ = w.(interface{ Flush() error }).Flush()
	}
}

// emptyMessages writes messages that hold nothing.
func emptyMessages(w io.Writer) {
	_, _ = w.Write(bytes.Repeat([]byte("{}"), bombSize/4))
}

func zstdOf(write func(w io.Writer)) func() string {
	return sync.OnceValue(func() string {
		var b bytes.Buffer
		z, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
		if err != nil {
			panic(err)
		}
		write(z)
		_ = z.Flush()
		return b.String()
	})
}

func binaryOnce(data string) func(p *Peer) { return func(p *Peer) { p.Binary(data) } }

// binaryLater sends what is made only when it is needed.
func binaryLater(before string, data func() string) func(p *Peer) {
	return func(p *Peer) { p.Binary(before + data()) }
}

// dispatch is an event in ETF whose payload is the term.
func dispatch(term string) string {
	return "\x83t\x00\x00\x00\x04" + key("op") + "a\x00" + key("t") + "m\x00\x00\x00\x01X" + key("s") + "a\x02" + key("d") + term
}

func key(k string) string { return "m\x00\x00\x00" + string(rune(len(k))) + k }

// bombs are small and want to be large.
func bombs() []Case {
	const tooLarge, corrupt, malformed = "received_too_large", "corrupt_stream", "malformed_message"
	deflatedBomb := deflated(bomb)
	big := string(binary.BigEndian.AppendUint32([]byte("o"), 900_000)) + "\x00" + strings.Repeat("\xff", 900_000)
	return []Case{
		{Name: "zlib-bomb", Compress: "zlib-stream", Want: tooLarge, Fatal: true, Dials: 1, act: binaryLater("", deflatedBomb)},
		{Name: "zlib-bomb-of-small-messages", Compress: "zlib-stream", Want: tooLarge, Fatal: true, Dials: 1, act: binaryLater("", deflated(manyMessages))},
		{Name: "zlib-bomb-of-spaces", Compress: "zlib-stream", Want: tooLarge, Fatal: true, Dials: 1, act: binaryLater("", deflated(spaces))},
		{Name: "zlib-bomb-of-empty-messages", Compress: "zlib-stream", Want: tooLarge, Fatal: true, Dials: 1, act: binaryLater("", deflated(emptyMessages))},
		{Name: "zlib-payload-bomb", Want: tooLarge, Fatal: true, Dials: 1, act: binaryLater("", deflatedBomb)},
		{Name: "zlib-nonsense", Compress: "zlib-stream", Want: corrupt, act: binaryOnce("\x78\x9c\xff\xff\xff\xff\xff")},
		{Name: "zlib-nonsense-always", Compress: "zlib-stream", Want: corrupt, Always: true, Dials: 9, Sends: 40, act: binaryOnce("\x78\x9c\xff\xff\xff\xff\xff")},
		{Name: "zstd-bomb", Compress: "zstd-stream", Want: tooLarge, Fatal: true, Dials: 1, act: binaryLater("", zstdOf(bomb))},
		{Name: "zstd-bomb-of-small-messages", Compress: "zstd-stream", Want: tooLarge, Fatal: true, Dials: 1, act: binaryLater("", zstdOf(manyMessages))},
		{Name: "zstd-bomb-of-spaces", Compress: "zstd-stream", Want: tooLarge, Fatal: true, Dials: 1, act: binaryLater("", zstdOf(spaces))},
		{Name: "zstd-bomb-of-empty-frames", Compress: "zstd-stream", act: binaryOnce(strings.Repeat("\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00", 100_000))},
		{Name: "zstd-window-of-gigabytes", Compress: "zstd-stream", Want: tooLarge, Fatal: true, Dials: 1, act: binaryOnce("\x28\xb5\x2f\xfd\x00\xff\x03\x00\x00x")},
		{Name: "zstd-size-of-exabytes", Compress: "zstd-stream", Want: corrupt, act: binaryOnce("\x28\xb5\x2f\xfd\xe0\xff\xff\xff\xff\xff\xff\xff\x7f\x03\x00\x00x")},
		{Name: "zstd-nonsense", Compress: "zstd-stream", Want: corrupt, act: binaryOnce("\x28\xb5\x2f\xfd\x00\x58\xff\xff\xff\xff")},
		{Name: "etf-tuple-of-4-billion", Encoding: "etf", Want: malformed, act: binaryOnce(dispatch("i\xff\xff\xff\xff"))},
		{Name: "etf-list-of-4-billion", Encoding: "etf", Want: malformed, act: binaryOnce(dispatch("l\xff\xff\xff\xff"))},
		{Name: "etf-map-of-4-billion", Encoding: "etf", Want: malformed, act: binaryOnce("\x83t\xff\xff\xff\xff")},
		{Name: "etf-binary-of-4-gigabytes", Encoding: "etf", Want: malformed, act: binaryOnce(dispatch("m\xff\xff\xff\xffx"))},
		{Name: "etf-compressed-4-gigabytes", Encoding: "etf", Want: tooLarge, Fatal: true, Dials: 1, act: binaryOnce("\x83P\xff\xff\xff\xff\x78\x9c")},
		{Name: "etf-compressed-bomb", Encoding: "etf", Want: tooLarge, Fatal: true, Dials: 1, act: binaryLater("\x83P\x04\x00\x00\x00", deflatedBomb)},
		{Name: "etf-text-of-escapes", Encoding: "etf", Want: malformed, act: binaryOnce(dispatch("m\x00\x08\x00\x00" + strings.Repeat("\x00", 512<<10)))},
		{Name: "etf-deep", Encoding: "etf", Want: malformed, act: binaryOnce(dispatch(strings.Repeat("l\x00\x00\x00\x01", 100_000) + strings.Repeat("j", 100_001)))},
		{Name: "etf-number-of-2-million-digits", Encoding: "etf", act: binaryOnce(dispatch(big))},
		{Name: "etf-unknown-tag", Encoding: "etf", Want: malformed, act: binaryOnce(dispatch("\x07"))},
		{Name: "etf-empty", Encoding: "etf", act: binaryOnce("\x83")},
	}
}

// texts are messages that are more, or less, than they seem.
func texts() []Case {
	send := func(messages ...string) func(p *Peer) {
		return func(p *Peer) {
			for _, m := range messages {
				p.Text(m)
			}
		}
	}
	of := func(name, d string) string { return fmt.Sprintf(`{"op":0,"t":%q,"s":2,"d":%s}`, name, d) }
	const million = 1_000_000
	return []Case{
		{Name: "json-100000-deep", act: send(of("MESSAGE_CREATE", nested(100_000)), of("X", nested(100_000)), of("MESSAGE_CREATE", `{"id":"1","embeds":`+nested(100_000)+`,"new":`+nested(100_000)+`}`))},
		{Name: "json-millions-deep", MaxReceive: 32 << 20, act: send(
			of("MESSAGE_CREATE", `{"id":"1","new":`+nested(8*million)+`}`),
			of("MESSAGE_CREATE", strings.Repeat(`{"referenced_message":`, million)+"null"+strings.Repeat("}", million)),
			of("MESSAGE_CREATE", strings.Repeat(`{"components":[`, million)+strings.Repeat("]}", million)),
		)},
		{Name: "json-deep-envelope", act: send(`{"x":` + nested(100_000) + `,"t":"X","op":0,"d":{}}`)},
		{Name: "json-never-closed", Want: "malformed_message", act: send(strings.Repeat("[", 100_000), `{"op":0,"t":"X","d":`+strings.Repeat(`{"a":`, 100_000))},
		{Name: "json-prototype-keys", act: send(
			of("__proto__", `{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}`),
			of("constructor", `{"id":"1"}`), of("toString", `{"id":"1"}`), of("hasOwnProperty", `{"id":"1"}`),
			`{"__proto__":{"op":10},"op":0,"t":"MESSAGE_CREATE","s":2,"d":{"id":"1","__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}}`,
			of("GUILD_CREATE", `{"id":"__proto__","__proto__":{"polluted":1}}`), of("MESSAGE_CREATE", `{"id":"constructor","author":{"id":"__proto__"}}`),
		)},
		{Name: "json-odd-names", act: send(
			`{"op":0,"d":{}}`, of("", `{}`), of("*", `{}`), of(" error", `{}`), of(" state", `{}`), of(" gap", `{}`), of(" session", `{}`),
			`{"op":0,"t":null,"d":{}}`, `{"op":0,"t":7,"d":{}}`, `{"op":0,"t":[],"d":{}}`, of(strings.Repeat("N", 500_000), `{}`), `{"op":0,"t":"\u001b[31m\u0000\u2028","d":{}}`,
		)},
		{Name: "json-odd-numbers", act: send(
			`{"op":0,"t":"X","s":9007199254740993,"d":{}}`, `{"op":0,"t":"X","s":-5,"d":{}}`, `{"op":0,"t":"X","s":1e400,"d":{}}`, `{"op":0,"t":"X","s":"7","d":{}}`,
			`{"op":65536,"d":null}`, `{"op":11,"d":null}`, `{"op":11,"d":null}`,
		)},
		{Name: "json-odd-opcodes", Want: "malformed_message", act: send(`{"op":-1}`, `{"op":1e99}`, `{"op":"x"}`, `{"op":null}`, `{}`, `[]`, `null`, `0`, `""`, ` `)},
		{Name: "json-number-of-a-million-digits", act: send(of("MESSAGE_CREATE", `{"id":`+strings.Repeat("9", million/2)+`,"nonce":`+strings.Repeat("9", million/4)+`}`))},
		{Name: "json-long-string-before-a-large-number", MaxReceive: 32 << 20, act: send(of("MESSAGE_CREATE", `{"content":"`+strings.Repeat("x", 16*million)+`","id":12345678901234567890}`))},
		{Name: "json-colours-in-a-bad-payload", act: send(of("MESSAGE_CREATE", `{"\u001b[31mred":[`), of("MESSAGE_CREATE", `{"author":{"\u001b[31m":1,"id":"\u001b[31m"}}`))},
		{Name: "invalid-session-of-wrong-type", Want: "invalid_session", Sends: 8, act: send(`{"op":9,"d":{"__proto__":true}}`)},
		{Name: "reconnect-in-292-million-years", Want: "reconnect", Loop: true, act: send(`{"op":7,"d":9223372036854775807}`)},
		{Name: "reconnect-before-now", Want: "reconnect", act: send(`{"op":7,"d":-9223372036854775808}`)},
		{Name: "ready-twice", act: send(`{"op":0,"t":"READY","s":2,"d":{"session_id":"other"}}`, `{"op":0,"t":"RESUMED","s":3,"d":{}}`)},
	}
}

// floods are too much of something. Clients are slow to observe it.
func floods() []Case {
	flood := func(n int, message func(i int) string) func(p *Peer) {
		return func(p *Peer) {
			for i := 0; i < n && p.Text(message(i)); i++ {
			}
		}
	}
	same := func(m string) func(int) string { return func(int) string { return m } }
	const sends = 125 // the limit of messages a minute, and its first few
	return []Case{
		{Name: "flood-of-op-1", Sends: sends, act: flood(20_000, same(`{"op":1,"d":null}`))},
		{Name: "flood-of-op-11", act: flood(20_000, same(`{"op":11,"d":null}`))},
		{Name: "flood-of-hellos", Want: "protocol", act: flood(20_000, same(`{"op":10,"d":{"heartbeat_interval":1}}`))},
		{Name: "flood-of-readies", act: flood(5_000, func(i int) string {
			return fmt.Sprintf(`{"op":0,"t":"READY","s":%d,"d":{"session_id":"%d%s"}}`, i, i, strings.Repeat("x", 1500))
		})},
		{Name: "flood-of-nonsense", Want: "malformed_message", act: flood(30_000, same(`{}`))},
		{Name: "flood-of-names", act: flood(20_000, func(i int) string { return fmt.Sprintf(`{"op":0,"t":"%d%s","d":{}}`, i, strings.Repeat("N", 3000)) })},
		{Name: "flood-of-events", act: flood(30_000, func(i int) string {
			return fmt.Sprintf(`{"op":0,"t":"X","s":%d,"d":{"a":"%s"}}`, i, strings.Repeat("x", 500))
		})},
		{Name: "flood-of-invalid-sessions", Want: "invalid_session", Sends: 30, Dials: 3, act: flood(10_000, same(`{"op":9,"d":false}`))},
		{Name: "flood-of-resumable-invalid-sessions", Want: "invalid_session", Sends: 30, Dials: 3, act: flood(10_000, same(`{"op":9,"d":true}`))},
		{Name: "flood-of-pings", Native: true, act: func(p *Peer) {
			for i := 0; i < 20_000 && p.Frame(0x89, "ping"); i++ {
			}
		}},
		{Name: "flood-of-empty-frames", act: func(p *Peer) {
			for i := 0; i < 20_000 && p.Frame(0x82, ""); i++ {
			}
		}},
		{Name: "reconnect-in-a-loop", Want: "reconnect", Always: true, Dials: 9, Sends: 40, act: func(p *Peer) { p.Text(`{"op":7,"d":null}`); p.Pause(time.Minute) }},
		{Name: "reconnect-at-once-in-a-loop", Want: "reconnect", Always: true, Dials: 9, Sends: 40, act: func(p *Peer) { p.Text(`{"op":7,"d":0}`); p.Pause(time.Minute) }},
		{Name: "close-in-a-loop", Want: "connection_closed", Always: true, Dials: 9, Sends: 40, act: func(p *Peer) { p.Close("\x0f\xa0") }},
		{Name: "close-before-hello-in-a-loop", Want: "connection_closed", Fatal: true, Always: true, Dials: 3, frames: func(p *Peer) { p.Close("\x0f\xa0") }},
	}
}

// closes are odd ways to end a connection.
func closes() []Case {
	list := []Case{}
	for name, payload := range map[string]string{
		"control-characters": "\x0f\xa1" + strings.Repeat("\x1b[31m\x00\x07\r\n\u202e\u2028", 6),
		"markup":             "\x0f\xa1<img src=x onerror=alert(1)>{{7*7}}%s%n${x}",
		"not-utf-8":          "\x0f\xa1\xff\xfe\xc3\x28",
		"one-byte":           "\x0f",
		"no-code":            "",
		"code-0":             "\x00\x00",
		"code-1005":          "\x03\xed",
		"code-1006":          "\x03\xee",
		"code-2999":          "\x0b\xb7",
		"code-65535":         "\xff\xff",
	} {
		list = append(list, Case{Name: "close-" + name, Want: "connection_closed", act: func(p *Peer) { p.Close(payload) }})
	}
	return list
}

// frames are what WebSockets forbid, or should.
func frames() []Case {
	list := []Case{
		{Name: "frame-of-a-gigabyte", Native: true, Heavy: true, Want: "received_too_large", Fatal: true, Dials: 1, act: func(p *Peer) {
			p.Header(0x81, 1<<30)
			chunk := strings.Repeat("x", 1<<16)
			for i := 0; i < 1<<14 && p.Raw(chunk); i++ {
			}
		}},
		{Name: "frame-of-a-gigabyte-that-does-not-come", Want: "heartbeat_timeout", Interval: 1000, act: func(p *Peer) { p.Header(0x81, 1<<30) }},
		{Name: "frame-in-one-byte-a-second", Want: "heartbeat_timeout", Interval: 1000, act: func(p *Peer) {
			p.Header(0x81, 1<<20)
			for p.Raw("x") && !p.Gone() {
				p.Pause(time.Second)
			}
		}},
		{Name: "message-in-fragments-without-end", Native: true, Heavy: true, Want: "received_too_large", Fatal: true, Dials: 1, act: func(p *Peer) {
			p.mute = true
			chunk := strings.Repeat("x", 1<<16)
			p.Frame(0x01, chunk)
			for i := 0; i < 1<<14 && p.Frame(0x00, chunk); i++ {
			}
		}},
		{Name: "message-in-fragments-of-a-byte", act: func(p *Peer) {
			message := `{"op":0,"t":"X","s":2,"d":"` + strings.Repeat("x", 20_000) + `"}`
			p.Frame(0x01, message[:1])
			for i := 1; i < len(message)-1; i++ {
				p.Frame(0x00, message[i:i+1])
			}
			p.Frame(0x80, message[len(message)-1:])
		}},
	}
	for name, raw := range map[string]string{
		"masked": "\x81\x82\x00\x00\x00\x00{}", "reserved-bits": "\xf1\x02{}", "reserved-opcode": "\x8b\x00", "long-ping": "\x89\x7e\x01\x00" + strings.Repeat("x", 256),
		"ping-in-fragments": "\x09\x01x", "continuation-of-nothing": "\x80\x02{}", "text-not-utf-8": "\x81\x02\xff\xfe", "negative-size": "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		c := Case{Name: "frame-" + name, Want: "connection_closed", act: func(p *Peer) { p.Raw(raw); p.Pause(time.Second); _ = p.conn.Close() }}
		if name == "text-not-utf-8" {
			c.Want, c.act = "", func(p *Peer) { p.Raw(raw); p.Pause(50 * time.Millisecond); _ = p.conn.Close() } // a client may pass it on
		}
		list = append(list, c)
	}
	return list
}

// handshakes are answers to the request to open a WebSocket.
func handshakes() []Case {
	answer := func(text string) func(p *Peer) { return func(p *Peer) { p.Raw(text) } }
	const failed = "dial_failed"
	return []Case{
		{Name: "http-nothing", Want: failed, http: answer("")},
		{Name: "http-nonsense", Want: failed, http: answer("\x00\xff\x1b[31mSSH-2.0\r\n\r\n")},
		{Name: "http-status-with-control-characters", Want: failed, http: answer("HTTP/1.1 500 \x1b[31mred\x07\r\nContent-Length: 0\r\n\r\n")},
		{Name: "http-wrong-accept", Want: failed, http: answer("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n")},
		{Name: "http-headers-without-end", Native: true, Heavy: true, Want: failed, http: func(p *Peer) {
			p.Raw("HTTP/1.1 101 x\r\n")
			for i := 0; i < 1<<15 && p.Raw("X-Header: "+strings.Repeat("x", 1<<15)+"\r\n"); i++ {
			}
		}},
		{Name: "http-in-one-byte-a-second", Want: failed, http: func(p *Peer) {
			for i := 0; i < 60 && p.Raw("H"); i++ {
				time.Sleep(time.Second)
			}
		}},
		{Name: "http-redirect-in-a-loop", Always: true, Want: failed, Fatal: true, Dials: 3, http: func(p *Peer) {
			p.Raw("HTTP/1.1 302 Found\r\nLocation: " + p.request.URL.String() + "\r\nContent-Length: 0\r\n\r\n")
		}},
		{Name: "http-redirect-to-no-encryption", Secure: true, Always: true, Want: failed, Fatal: true, Dials: 3, http: func(p *Peer) {
			p.Raw("HTTP/1.1 302 Found\r\nLocation: " + strings.Replace(p.s.plainURL(), "ws", "http", 1) + "\r\nContent-Length: 0\r\n\r\n")
		}},
		{Name: "http-redirect-to-a-file", Always: true, Want: failed, Fatal: true, Dials: 3, http: answer("HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n")},
	}
}
