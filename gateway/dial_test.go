package gateway

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
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
	conn := newAheadConn(ours, nil)
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
	conn := newAheadConn(ours, &before)
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

// A socket of the system's knows whether it is going to wait: who asked is called
// only then, however often it reads. Its ends are those of any other.
func TestBeforeWaiting(t *testing.T) {
	pair := func(t *testing.T, calls *atomic.Int32) (ours net.Conn, peer *net.TCPConn) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() })
		dialed, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		call := func() { calls.Add(1) }
		var before atomic.Pointer[func()]
		before.Store(&call)
		ours = newAheadConn(dialed, &before)
		t.Cleanup(func() { _, _ = ours.Close(), accepted.Close() })
		return ours, accepted.(*net.TCPConn)
	}

	t.Run("end", func(t *testing.T) {
		var calls atomic.Int32
		ours, peer := pair(t, &calls)
		if newAheadConn(peer, nil).direct.raw == nil {
			t.Skip("not on this system")
		}
		const size = 8 * readAhead
		go func() {
			_, _ = peer.Write(make([]byte, size))
			_ = peer.CloseWrite()
		}()
		n, err := io.Copy(io.Discard, ours)
		if n != size || err != nil {
			t.Fatalf("%d bytes, %v", n, err)
		}
		// The peer is done and all is there: nothing is waited for any more.
		told := calls.Load()
		if n, err := ours.Read(make([]byte, 1)); n != 0 || err != io.EOF || calls.Load() != told {
			t.Fatalf("at the end: %d bytes, %v, called %d times more", n, err, calls.Load()-told)
		}
	})
	t.Run("wait", func(t *testing.T) {
		var calls atomic.Int32
		ours, peer := pair(t, &calls)
		read := make(chan error)
		go func() {
			_, err := ours.Read(make([]byte, 1))
			read <- err
		}()
		for calls.Load() == 0 {
			runtime.Gosched()
		}
		_, _ = peer.Write([]byte{1})
		if err := <-read; err != nil {
			t.Fatal(err)
		}
	})
	t.Run("deadline", func(t *testing.T) {
		var calls atomic.Int32
		ours, _ := pair(t, &calls)
		_ = ours.SetReadDeadline(time.Now().Add(-time.Second))
		if n, err := ours.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%d bytes, %v", n, err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		var calls atomic.Int32
		ours, _ := pair(t, &calls)
		_ = ours.Close()
		if n, err := ours.Read(make([]byte, 1)); n != 0 || !errors.Is(err, net.ErrClosed) {
			t.Fatalf("%d bytes, %v", n, err)
		}
	})
	t.Run("reset", func(t *testing.T) {
		var calls atomic.Int32
		ours, peer := pair(t, &calls)
		_ = peer.SetLinger(0)
		_ = peer.Close()
		if n, err := ours.Read(make([]byte, 1)); n != 0 || err == nil || err == io.EOF {
			t.Fatalf("%d bytes, %v", n, err)
		}
	})
}
