package gateway_test

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
)

// stubborn is a gateway that says Hello and then nothing more. It does not confirm
// closes, and, unless it reads, does not take them either.
func stubborn(reads bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		accept := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		hello := `{"op":10,"d":{"heartbeat_interval":41250}}`
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n\x81%c%s",
			base64.StdEncoding.EncodeToString(accept[:]), len(hello), hello)
		if reads {
			_, _ = io.Copy(io.Discard, conn)
		}
	})
}

// Closing takes no longer than is said, whatever the peer does.
func TestCloseIsBounded(t *testing.T) {
	for name, reads := range map[string]bool{"no answer": true, "does not read": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &pipes{conns: make(chan net.Conn), gone: make(chan struct{})}
				web := &http.Server{Handler: stubborn(reads)}
				go func() { _ = web.Serve(p) }()
				defer web.Close()
				client := &http.Client{Transport: &http.Transport{DialContext: p.dial}}
				h, err := gateway.Spawn(t.Context(), "ws://gateway.test/", gateway.Options{HTTPClient: client, Compression: gateway.CompressionNone})
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				h.Close()
				if took := time.Since(start); took != 2*time.Second {
					t.Errorf("closing took %v", took)
				}
				<-h.Done()
			})
		})
	}
}

// It is so where the connection is encrypted, too.
func TestCloseIsBoundedOverTLS(t *testing.T) {
	srv := httptest.NewTLSServer(stubborn(true))
	defer srv.Close()
	h, err := gateway.Spawn(context10(t), "wss"+srv.URL[len("https"):], gateway.Options{HTTPClient: srv.Client(), Compression: gateway.CompressionNone})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	h.Close()
	if took := time.Since(start); took < time.Second || took > 4*time.Second {
		t.Errorf("closing took %v", took)
	}
}

// A connection that a refused dial leaves behind is nobody else's: its socket
// belongs to the handle that dialed it.
func TestDialsShareNoConnection(t *testing.T) {
	var mu sync.Mutex
	from := map[string]int{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		from[r.RemoteAddr]++
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer srv.Close()
	const dials = 3
	for range dials {
		_, err := gateway.Connect(context10(t), "ws"+srv.URL[len("http"):], gateway.Options{Token: "x", Attempts: 1})
		if err == nil {
			t.Fatal("connected")
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(from) != dials {
		t.Errorf("%d dials shared connections: %v", dials, from)
	}
}
