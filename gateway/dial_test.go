package gateway

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
)

// What is read through a socket that reads ahead is what was written, whatever
// the sizes of the reads, and its end comes behind it.
func TestReadAhead(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	sent := make([]byte, 5*readAhead)
	for i := range sent {
		sent[i] = byte(rng.Uint32())
	}
	ours, peer := net.Pipe()
	go func() {
		for rest := sent; len(rest) > 0; {
			n := min(len(rest), 1+rng.IntN(2*readAhead))
			if _, err := peer.Write(rest[:n]); err != nil {
				t.Error(err)
			}
			rest = rest[n:]
		}
		_ = peer.Close()
	}()
	conn := &aheadConn{Conn: ours}
	var got []byte
	sizes := []int{1, 2, 14, 4096, readAhead - 1, readAhead, 3 * readAhead}
	for i := 0; ; i++ {
		p := make([]byte, sizes[i%len(sizes)])
		n, err := conn.Read(p)
		got = append(got, p[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, sent) {
		t.Fatalf("%d bytes were read of %d, or others", len(got), len(sent))
	}
}

// Whoever asked is called before a socket waits for the network, and not while
// there is something at hand.
func TestBeforeReading(t *testing.T) {
	ours, peer := net.Pipe()
	calls := 0
	call := func() { calls++ }
	var before atomic.Pointer[func()]
	conn := &aheadConn{Conn: ours, before: &before}
	before.Store(&call)
	go func() {
		_, _ = peer.Write(make([]byte, 100))
		_, _ = peer.Write(make([]byte, 1))
	}()
	for i, want := range []int{1, 1, 2} {
		if n, err := conn.Read(make([]byte, 50)); err != nil || n == 0 || calls != want {
			t.Fatalf("read %d: %d bytes, %v, %d calls, want %d", i, n, err, calls, want)
		}
	}
}
