// Package hostile is a corpus of servers that mean harm, over real sockets: what
// they do, and what a client has to make of it. Its tests run the native client
// against them; the command serves them to the browser tests.
//
// The servers speak WebSocket by themselves, byte by byte, as no library lets
// one be this rude.
package hostile

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Token is what clients are to identify with. No message of a client may hold it.
const Token = "token-of-the-hostile-tests"

// StillHere is the event that a well-behaved connection gets in the end: a
// client that observes it has survived.
const StillHere = "STILL_HERE"

// Counts is what a client did on the connections of a case.
type Counts struct {
	// Requests of any kind, and those that became connections.
	Requests, Conns int
	// Open connections at present.
	Open int
	// Acted: the server has done its worst.
	Acted bool
	// Messages by opcode; -1 is what could not be read.
	Ops map[int]int
	// Sent is how many bytes the server got rid of.
	Sent int64
}

// Server serves every case of the corpus at a path of its name, with and
// without encryption.
type Server struct {
	plain, secure net.Listener
	http          []*http.Server
	certificate   *x509.Certificate

	mu     sync.Mutex
	counts map[string]*Counts
	conns  map[net.Conn]bool
	closed bool
	work   sync.WaitGroup
}

// Start serves on free ports of 127.0.0.1. Close it in the end.
func Start() (*Server, error) {
	s := &Server{counts: map[string]*Counts{}, conns: map[net.Conn]bool{}}
	config, err := s.encryption()
	if err != nil {
		return nil, err
	}
	if s.plain, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	if s.secure, err = tls.Listen("tcp", "127.0.0.1:0", config); err != nil {
		_ = s.plain.Close()
		return nil, err
	}
	for _, l := range []net.Listener{s.plain, s.secure} {
		server := &http.Server{Handler: http.HandlerFunc(s.handle), TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}}
		s.http = append(s.http, server)
		s.work.Go(func() { _ = server.Serve(l) }) // until Close
	}
	return s, nil
}

// encryption makes a certificate for the life of the server.
func (s *Server) encryption() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	s.certificate, err = x509.ParseCertificate(der)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, err
}

// Client trusts the server's certificate.
func (s *Server) Client() *http.Client {
	pool := x509.NewCertPool()
	pool.AddCert(s.certificate)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
}

// URL of a case.
func (s *Server) URL(c Case) string {
	if c.Secure {
		return "wss://" + s.secure.Addr().String() + "/" + c.Name
	}
	return s.plainURL() + c.Name
}

func (s *Server) plainURL() string { return "ws://" + s.plain.Addr().String() + "/" }

// Counts returns what has happened to a case; those of "/" are of requests that
// belong to none.
func (s *Server) Counts(name string) Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.count(name)
	out := *n
	out.Ops = map[int]int{}
	for op, times := range n.Ops {
		out.Ops[op] = times
	}
	return out
}

func (s *Server) count(name string) *Counts {
	if s.counts[name] == nil {
		s.counts[name] = &Counts{Ops: map[int]int{}}
	}
	return s.counts[name]
}

// Close cuts all connections and waits until nothing of the server is left.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	for _, server := range s.http {
		_ = server.Close()
	}
	s.work.Wait()
}

// handle takes a request: of a client for a case, or of a test for what the
// cases are and what has been counted.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	switch name {
	case "cases":
		list := Cases()
		for i := range list {
			list[i].URL = s.URL(list[i])
		}
		_ = json.NewEncoder(w).Encode(list)
		return
	case "counts":
		_ = json.NewEncoder(w).Encode(s.Counts(r.URL.Query().Get("case")))
		return
	}
	var c *Case
	for _, other := range corpus {
		if other.Name == name {
			c = &other
		}
	}
	if c == nil {
		s.mu.Lock()
		s.count("/").Requests++
		s.mu.Unlock()
		http.NotFound(w, r)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.mu.Lock()
	n := s.count(name)
	n.Requests++
	p := &Peer{s: s, c: c, n: n.Requests, conn: conn, in: rw.Reader, ops: make(chan int, 4096), gone: make(chan struct{}), request: r}
	s.conns[conn] = !s.closed
	if s.closed {
		_ = conn.Close()
	}
	s.work.Add(1)
	s.mu.Unlock()
	defer s.work.Done()
	p.serve()
	_ = conn.Close()
	s.mu.Lock()
	delete(s.conns, conn)
	s.mu.Unlock()
}

// Peer is the server's end of one connection.
type Peer struct {
	s       *Server
	c       *Case
	n       int // requests of this case, this one included
	conn    net.Conn
	in      *bufio.Reader
	request *http.Request

	write sync.Mutex
	mute  bool // a frame has been begun that does not end

	ops  chan int      // opcodes received
	gone chan struct{} // closed when the client is
}

// serve is the life of a connection: the case does its worst on the first one,
// or on all; what follows is a server as it should be.
func (p *Peer) serve() {
	hostile := p.n == 1 || p.c.Always
	if hostile && p.c.http != nil {
		p.c.http(p)
		return
	}
	p.upgrade()
	p.s.mu.Lock()
	p.s.count(p.c.Name).Conns++
	p.s.count(p.c.Name).Open++
	p.s.mu.Unlock()
	go p.read()
	defer func() {
		_ = p.conn.Close()
		<-p.gone
		p.s.mu.Lock()
		p.s.count(p.c.Name).Open--
		p.s.mu.Unlock()
	}()
	if hostile && p.c.frames != nil {
		p.c.frames(p)
		<-p.gone
		return
	}
	if hostile && p.c.hello != nil {
		p.Text(*p.c.hello)
		if !p.within(200 * time.Millisecond) {
			return // no client identifies after that
		}
	} else {
		p.Text(fmt.Sprintf(`{"op":10,"d":{"heartbeat_interval":%d}}`, p.c.interval()))
		if !p.within(20 * time.Second) {
			return
		}
	}
	ready := `{"v":9,"session_id":"hostile","user":{"id":"1","username":"mallory"},"guilds":[],"users":[]}`
	if hostile && p.c.ready != "" {
		ready = p.c.ready
	}
	p.Text(`{"op":0,"t":"READY","s":1,"d":` + ready + `}`)
	if hostile && p.c.act != nil {
		p.c.act(p)
	}
	if hostile && p.c.ready != "" {
		// Whether it was taken or not: the client must come back from here.
		p.Event(StillHere, 2, `{}`)
		p.Pause(100 * time.Millisecond)
		return
	}
	p.s.mu.Lock()
	p.s.count(p.c.Name).Acted = true
	p.s.mu.Unlock()
	// Again and again: a client that cannot keep up may drop events.
	for n := 1 << 30; !p.Gone(); n++ {
		if !p.muted() {
			p.Event(StillHere, n, `{}`)
		}
		p.Pause(100 * time.Millisecond)
	}
}

// Event sends a dispatch.
func (p *Peer) Event(name string, seq int, d string) bool {
	return p.Text(fmt.Sprintf(`{"op":0,"t":%q,"s":%d,"d":%s}`, name, seq, d))
}

func (p *Peer) upgrade() {
	key := sha1.Sum([]byte(p.request.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	p.Raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(key[:]) + "\r\n\r\n")
}

// within waits for Identify or Resume, in whatever encoding.
func (p *Peer) within(d time.Duration) bool {
	late := time.NewTimer(d)
	defer late.Stop()
	for {
		select {
		case op := <-p.ops:
			if op == 2 || op == 6 {
				return true
			}
		case <-p.gone:
			return false
		case <-late.C:
			return false
		}
	}
}

// Pause waits, or until the client is gone.
func (p *Peer) Pause(d time.Duration) {
	select {
	case <-p.gone:
	case <-time.After(d):
	}
}

// Gone tells whether the client is.
func (p *Peer) Gone() bool {
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}

// read reads what the client sends and acknowledges its heartbeats.
func (p *Peer) read() {
	defer close(p.gone)
	for {
		op, payload, err := p.frame()
		if err != nil {
			return
		}
		switch {
		case op == 8:
			return
		case op > 8:
			continue
		}
		code := opOf(payload)
		p.s.mu.Lock()
		p.s.count(p.c.Name).Ops[code]++
		p.s.mu.Unlock()
		if code == 1 && !p.muted() {
			p.Text(`{"op":11}`)
		}
		select {
		case p.ops <- code:
		default: // counted it is
		}
	}
}

// opOf reads the opcode of a message in JSON or ETF, -1 if it has none.
func opOf(message []byte) int {
	var m struct{ Op *int }
	if json.Unmarshal(message, &m) == nil && m.Op != nil {
		return *m.Op
	}
	// {…, "op" => small integer, …}, whatever the key is written as.
	for i := 0; i+3 < len(message); i++ {
		if message[i] == 'o' && message[i+1] == 'p' && message[i+2] == 97 {
			return int(message[i+3])
		}
	}
	return -1
}

// frame reads one frame of a client.
func (p *Peer) frame() (op byte, payload []byte, err error) {
	head := make([]byte, 14)
	if _, err = io.ReadFull(p.in, head[:2]); err != nil {
		return 0, nil, err
	}
	size := uint64(head[1] & 0x7f)
	switch size {
	case 126:
		_, err = io.ReadFull(p.in, head[:2])
		size = uint64(binary.BigEndian.Uint16(head))
	case 127:
		_, err = io.ReadFull(p.in, head[:8])
		size = binary.BigEndian.Uint64(head)
	}
	if err != nil || size > 1<<20 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	op = head[0] & 0xf
	mask := make([]byte, 4)
	if _, err = io.ReadFull(p.in, mask); err != nil {
		return 0, nil, err
	}
	payload = make([]byte, size)
	_, err = io.ReadFull(p.in, payload)
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return op, payload, err
}

// Raw writes to the transport and reports whether that worked.
func (p *Peer) Raw(data string) bool {
	p.write.Lock()
	defer p.write.Unlock()
	n, err := io.WriteString(p.conn, data)
	p.s.mu.Lock()
	p.s.count(p.c.Name).Sent += int64(n)
	p.s.mu.Unlock()
	return err == nil
}

// Header begins a frame of that many bytes and silences everything else.
func (p *Peer) Header(first byte, size uint64) bool {
	head := []byte{first, 127}
	p.write.Lock()
	p.mute = true
	p.write.Unlock()
	return p.Raw(string(binary.BigEndian.AppendUint64(head, size)))
}

func (p *Peer) muted() bool {
	p.write.Lock()
	defer p.write.Unlock()
	return p.mute
}

// Frame sends a whole frame; first is its first byte.
func (p *Peer) Frame(first byte, payload string) bool {
	head := []byte{first, byte(len(payload))}
	switch {
	case len(payload) > 0xffff:
		head = binary.BigEndian.AppendUint64([]byte{first, 127}, uint64(len(payload)))
	case len(payload) > 125:
		head = binary.BigEndian.AppendUint16([]byte{first, 126}, uint16(len(payload)))
	}
	return p.Raw(string(head) + payload)
}

// Text sends a message as it is: clients take JSON in a text frame whatever
// encoding and compression they have asked for.
func (p *Peer) Text(message string) bool { return p.Frame(0x81, message) }

// Binary sends bytes as they are.
func (p *Peer) Binary(data string) bool { return p.Frame(0x82, data) }

// Close sends a close frame with this payload.
func (p *Peer) Close(payload string) {
	p.Frame(0x88, payload)
	p.Pause(5 * time.Second)
}

// HTTPURL is where the cases are listed.
func (s *Server) HTTPURL() string { return "http://" + s.plain.Addr().String() }
