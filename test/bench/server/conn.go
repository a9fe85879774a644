package main

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// The server speaks just enough WebSocket (RFC 6455) to write frames that were
// made beforehand: a library would make each anew.

const (
	opClose = 8
	opData  = 2 // and below
)

// serve is one connection, until the client closes it.
func serve(w http.ResponseWriter, r *http.Request, o options) {
	key := r.Header.Get("Sec-WebSocket-Key")
	hijacker, ok := w.(http.Hijacker)
	if key == "" || !ok {
		http.Error(w, "this is a WebSocket", http.StatusUpgradeRequired)
		return
	}
	conn, buffered, err := hijacker.Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	identified := make(chan struct{})
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		listen(buffered.Reader, identified)
		conn.Write(appendFrame(nil, opClose, []byte{3, 232})) // if it is still there
		conn.Close()
	}()
	send(conn, o, identified, gone)
	<-gone
}

// listen reads what the client sends and tells of its first message. It returns
// when the client closes.
func listen(r *bufio.Reader, identified chan struct{}) {
	for first := true; ; {
		var head [14]byte
		if _, err := io.ReadFull(r, head[:2]); err != nil {
			return
		}
		n := uint64(head[1] & 127)
		more := map[uint64]int{126: 2, 127: 8}[n]
		if _, err := io.ReadFull(r, head[2:2+more+4]); err != nil { // and the mask
			return
		}
		switch n {
		case 126:
			n = uint64(binary.BigEndian.Uint16(head[2:]))
		case 127:
			n = binary.BigEndian.Uint64(head[2:])
		}
		if _, err := io.CopyN(io.Discard, r, int64(n)); err != nil || head[0]&15 == opClose {
			return
		}
		if first && head[0]&15 <= opData {
			first = false
			close(identified)
		}
	}
}

// send plays the corpus.
func send(conn net.Conn, o options, identified, gone chan struct{}) {
	s := o.stream
	const hello, ready, events = 0, 1, 2
	conn.Write(s.frames(hello, ready))
	select {
	case <-identified:
	case <-gone:
		return
	}
	end := s.len()
	first := min(events+o.warm, end)
	if conn.Write(s.frames(ready, first)); first == end {
		return
	}
	select {
	case <-o.start:
	case <-gone:
		return
	}
	last := end - 1 // which tells the client that it was the last
	to := last
	if o.events > 0 {
		to = min(first+o.events, last)
	}
	for range o.loop {
		if !paced(conn, s, first, to, o.rate) {
			return
		}
	}
	conn.Write(s.frames(last, end))
}

// paced sends frames at a rate, and tells whether that succeeded.
func paced(conn net.Conn, s *stream, from, to, rate int) bool {
	if rate == 0 {
		_, err := conn.Write(s.frames(from, to))
		return err == nil
	}
	begin := time.Now()
	for i := from; i < to; {
		due := min(from+1+int(time.Since(begin).Seconds()*float64(rate)), to)
		if due > i {
			if _, err := conn.Write(s.frames(i, due)); err != nil {
				return false
			}
			i = due
		}
		time.Sleep(time.Until(begin.Add(time.Duration(i-from) * time.Second / time.Duration(rate))))
	}
	return true
}
