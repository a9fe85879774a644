package gateway

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
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
