package fakegateway_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/klauspost/compress/zstd"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

// wait is how long a test waits for what must happen. It decides nothing.
const wait = 20 * time.Second

// decoder turns the frames of one connection into JSON texts, by libraries that
// neither the server nor the client uses for it where there is a choice.
type decoder struct {
	etf         bool
	compress    string
	oneStream   bool // zstd is one stream
	stream      []byte
	read        int
	pending     []byte // decompressed, not yet a whole message
	payloadZlib bool
}

func newDecoder(query string, profile fakegateway.Profile) *decoder {
	q, _ := url.ParseQuery(strings.TrimPrefix(query, "?"))
	return &decoder{etf: q.Get("encoding") == "etf", compress: q.Get("compress"), oneStream: profile == fakegateway.Documented}
}

var zstdFrames, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))

// frame decodes a frame and returns the messages that are complete with it.
func (d *decoder) frame(data []byte, binary bool) (texts [][]byte, err error) {
	switch {
	case len(data) == 0:
		return nil, nil
	case d.compress == "zlib-stream":
		data, err = d.inflate(data, func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) })
	case d.compress == "zstd-stream" && d.oneStream:
		data, err = d.inflate(data, func(r io.Reader) (io.Reader, error) {
			return zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		})
	case d.compress == "zstd-stream":
		data, err = zstdFrames.DecodeAll(data, nil)
	case data[0] == 0x78:
		var r io.Reader
		if r, err = zlib.NewReader(bytes.NewReader(data)); err == nil {
			d.payloadZlib = true
			data, err = io.ReadAll(r)
		}
	case binary != d.etf:
		err = fmt.Errorf("binary is %v", binary)
	}
	if err != nil {
		return nil, err
	}
	d.pending = append(d.pending, data...)
	for len(d.pending) > 0 {
		n, err := d.message()
		if err != nil || n == 0 {
			return texts, err
		}
		text := bytes.Clone(d.pending[:n])
		d.pending = d.pending[n:]
		if d.etf {
			if text, err = wire.AppendJSON(nil, text[1:]); err != nil {
				return texts, err
			}
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// message returns how long the first message of what is pending is, 0 if it is
// not complete.
func (d *decoder) message() (int, error) {
	if !d.etf {
		dec := json.NewDecoder(bytes.NewReader(d.pending))
		var v json.RawMessage
		err := dec.Decode(&v)
		if errors.Is(err, io.ErrUnexpectedEOF) && d.compress != "" {
			return 0, nil
		}
		return int(dec.InputOffset()), err
	}
	if d.pending[0] != 131 {
		return 0, fmt.Errorf("not ETF: % x", d.pending[:min(len(d.pending), 16)])
	}
	end, complete := termEnd(d.pending, 1)
	if !complete {
		return 0, nil
	}
	return end, nil
}

// termEnd returns where the term that begins at i ends.
func termEnd(b []byte, i int) (end int, complete bool) {
	length := func(width int) (n int, ok bool) {
		if i+1+width > len(b) {
			return 0, false
		}
		for _, c := range b[i+1 : i+1+width] {
			n = n<<8 | int(c)
		}
		return n, true
	}
	if i >= len(b) {
		return 0, false
	}
	terms := 0
	switch b[i] {
	case 97: // small integer
		end = i + 2
	case 98: // integer
		end = i + 5
	case 70: // float
		end = i + 9
	case 106: // nil
		end = i + 1
	case 109, 115, 119, 110, 118, 100: // binary, atoms, big integer
		width := map[byte]int{109: 4, 115: 1, 119: 1, 110: 1, 118: 2, 100: 2}[b[i]]
		n, ok := length(width)
		if !ok {
			return 0, false
		}
		end = i + 1 + width + n
		if b[i] == 110 {
			end++
		}
	case 108, 116: // list, map
		n, ok := length(4)
		if !ok {
			return 0, false
		}
		end, terms = i+5, 2*n
		if b[i] == 108 {
			terms = n + 1
		}
	}
	for range terms {
		var ok bool
		if end, ok = termEnd(b, end); !ok {
			return 0, false
		}
	}
	return end, end > 0 && end <= len(b)
}

// inflate reads the stream from its beginning and returns what is new.
func (d *decoder) inflate(data []byte, open func(io.Reader) (io.Reader, error)) ([]byte, error) {
	d.stream = append(d.stream, data...)
	r, err := open(bytes.NewReader(d.stream))
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := io.ReadAll(r)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	fresh := all[d.read:]
	d.read = len(all)
	return fresh, nil
}

// message is what a server says, decoded.
type message struct {
	Op   int
	T    string
	S    *int64
	D    json.RawMessage
	text string
}

func parse(t testing.TB, text []byte) message {
	t.Helper()
	m := message{text: string(text)}
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatalf("the server's message cannot be read: %v: %.200s", err, text)
	}
	return m
}

func (m message) String() string {
	s := "-"
	if m.S != nil {
		s = fmt.Sprint(*m.S)
	}
	return fmt.Sprintf("%d/%s/%s", m.Op, m.T, s)
}

// field reads a string of the payload.
func (m message) field(name string) (s string) {
	var d map[string]json.RawMessage
	_ = json.Unmarshal(m.D, &d)
	_ = json.Unmarshal(d[name], &s)
	return s
}

// client is a plain WebSocket client.
type client struct {
	t   testing.TB
	ws  *websocket.Conn
	dec *decoder
	// got are the messages read, frames the frames.
	got, ahead []message
	frames     [][]byte
}

func start(t testing.TB, o fakegateway.Options) *fakegateway.Server {
	t.Helper()
	srv, err := fakegateway.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv
}

func ctxFor(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	t.Cleanup(cancel)
	return ctx
}

func dialErr(t testing.TB, srv *fakegateway.Server, query string) (*client, *http.Response, error) {
	ws, resp, err := websocket.Dial(ctxFor(t), srv.URL()+query, nil)
	if err != nil {
		return nil, resp, err
	}
	ws.SetReadLimit(-1)
	t.Cleanup(func() { ws.CloseNow() })
	profile, _ := fakegateway.ParseProfile(srv.State().Profile)
	_, query, _ = strings.Cut(query, "?")
	return &client{t: t, ws: ws, dec: newDecoder(query, profile)}, resp, nil
}

func dial(t testing.TB, srv *fakegateway.Server, query string) *client {
	t.Helper()
	c, _, err := dialErr(t, srv, query)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// rawFrame reads a frame.
func (c *client) rawFrame() ([]byte, bool, error) {
	kind, data, err := c.ws.Read(ctxFor(c.t))
	if err == nil {
		c.frames = append(c.frames, data)
	}
	return data, kind == websocket.MessageBinary, err
}

// next reads the next message.
func (c *client) next() message {
	c.t.Helper()
	for len(c.ahead) == 0 {
		data, binary, err := c.rawFrame()
		if err != nil {
			c.t.Fatalf("reading after %v: %v", c.got, err)
		}
		texts, err := c.dec.frame(data, binary)
		if err != nil {
			c.t.Fatalf("a frame after %v cannot be decoded: %v", c.got, err)
		}
		for _, text := range texts {
			c.ahead = append(c.ahead, parse(c.t, text))
		}
	}
	m := c.ahead[0]
	c.ahead = c.ahead[1:]
	c.got = append(c.got, m)
	return m
}

// until reads up to a message with this opcode, and this name if it is not empty.
func (c *client) until(op int, name string) message {
	c.t.Helper()
	for {
		if m := c.next(); m.Op == op && (name == "" || m.T == name) {
			return m
		}
	}
}

// closed reads to the end and returns the close code, 1006 if it broke.
func (c *client) closed() (code int, reason string) {
	c.t.Helper()
	for {
		_, _, err := c.rawFrame()
		var ce websocket.CloseError
		switch {
		case err == nil:
			continue
		case errors.As(err, &ce):
			return int(ce.Code), ce.Reason
		case errors.Is(err, context.DeadlineExceeded):
			c.t.Fatal("the connection stays open")
		}
		return 1006, ""
	}
}

func (c *client) wantClosed(code int) {
	c.t.Helper()
	if got, _ := c.closed(); got != code {
		c.t.Fatalf("closed with %d, want %d", got, code)
	}
}

func (c *client) send(text string) {
	c.t.Helper()
	kind, data := websocket.MessageText, []byte(text)
	if c.dec.etf && json.Valid(data) {
		kind = websocket.MessageBinary
		var err error
		if data, err = wire.AppendETF(nil, data); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := c.ws.Write(ctxFor(c.t), kind, data); err != nil {
		c.t.Fatal(err)
	}
}

const aliceIdentify = `{"op":2,"d":{"token":"` + fakegateway.AliceToken + `","capabilities":16381,"properties":{"os":"Linux"}}}`

// ready goes through Hello, Identify and what follows READY, and returns READY.
func (c *client) ready() message {
	c.t.Helper()
	c.until(10, "")
	c.send(aliceIdentify)
	ready := c.until(0, "READY")
	c.until(0, "PRESENCE_UPDATE")
	return ready
}

// online dials and identifies.
func online(t testing.TB, srv *fakegateway.Server, query string) *client {
	t.Helper()
	c := dial(t, srv, query)
	c.ready()
	return c
}

// fakeLink is a Link in virtual time.
type fakeLink struct {
	t      testing.TB
	dec    *decoder
	frames []frame
	msgs   []message
	code   int // 0 while open
	reason string
	quiet  bool // what comes need not be decodable
}

type frame struct {
	data   []byte
	binary bool
}

func (l *fakeLink) Send(data []byte, binary bool) {
	if l.code != 0 {
		l.t.Errorf("a message after the close: %.100q", data)
	}
	l.frames = append(l.frames, frame{data, binary})
	if l.quiet {
		return
	}
	texts, err := l.dec.frame(data, binary)
	if err != nil {
		l.t.Errorf("a frame cannot be decoded: %v: %.100q", err, data)
	}
	for _, text := range texts {
		l.msgs = append(l.msgs, parse(l.t, text))
	}
}

func (l *fakeLink) Close(code int, reason string) {
	if l.code != 0 {
		l.t.Errorf("closed twice: %d, %d", l.code, code)
	}
	l.code, l.reason = code, reason
}

func (l *fakeLink) Drop() {
	if l.code == 0 {
		l.Close(1006, "")
	}
}

// kinds are op, name and number of the messages, and the close code.
func (l *fakeLink) kinds() string {
	var list []string
	for _, m := range l.msgs {
		list = append(list, m.String())
	}
	if l.code != 0 {
		list = append(list, fmt.Sprint("close ", l.code))
	}
	return strings.Join(list, " ")
}

// virtual is an engine in virtual time.
type virtual struct {
	*fakegateway.Engine
	t       testing.TB
	profile fakegateway.Profile
	now     time.Duration
}

func engine(t testing.TB, o fakegateway.Options) *virtual {
	t.Helper()
	e, err := fakegateway.NewEngine(o)
	if err != nil {
		t.Fatal(err)
	}
	return &virtual{Engine: e, t: t, profile: o.Profile}
}

// sleep lets time pass, timer by timer.
func (v *virtual) sleep(d time.Duration) {
	end := v.now + d
	for {
		at, ok := v.Deadline()
		if !ok || at > end {
			break
		}
		v.now = max(v.now, at)
		v.Tick(v.now)
	}
	v.now = end
	v.Tick(v.now)
}

// vconn is a connection in virtual time.
type vconn struct {
	*fakegateway.EngineConn
	*fakeLink
	v *virtual
}

func request(query string) fakegateway.Request {
	path, query, _ := strings.Cut(query, "?")
	q, _ := url.ParseQuery(query)
	return fakegateway.Request{Path: "/" + path, Query: q, Header: http.Header{"User-Agent": {"test"}}, Host: "127.0.0.1:1"}
}

func (v *virtual) open(query string) *vconn { return v.openRequest(request(query)) }

func (v *virtual) openRequest(r fakegateway.Request) *vconn {
	v.t.Helper()
	c, status := v.Dial(v.now, r)
	if status != fakegateway.DialAccepted {
		v.t.Fatalf("the dial was refused: %d", status)
	}
	link := &fakeLink{t: v.t, dec: newDecoder(r.Query.Encode(), v.profile)}
	c.Open(v.now, link)
	return &vconn{c, link, v}
}

func (c *vconn) send(text string) { c.Receive(c.v.now, []byte(text), false) }

// identified opens and identifies.
func (v *virtual) identified(query string) *vconn {
	c := v.open(query)
	c.Receive(v.now, binaryIf(v.t, query, aliceIdentify), strings.Contains(query, "etf"))
	return c
}

// last is the last message.
func (l *fakeLink) last() message {
	if len(l.msgs) == 0 {
		return message{Op: -1}
	}
	return l.msgs[len(l.msgs)-1]
}

// keysOf lists the keys of an object in their order.
func keysOf(text string) (keys []string) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.Token()
	for dec.More() {
		k, _ := dec.Token()
		keys = append(keys, fmt.Sprint(k))
		var v json.RawMessage
		if dec.Decode(&v) != nil {
			break
		}
	}
	return keys
}

// binaryIf encodes a message as the query asks for.
func binaryIf(t testing.TB, query, text string) []byte {
	t.Helper()
	if !strings.Contains(query, "encoding=etf") {
		return []byte(text)
	}
	data, err := wire.AppendETF(nil, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
