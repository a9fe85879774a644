package session

import (
	"sync"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

// Hosts remembers which transport a server was found to take after it had
// refused a better one, so that the next session does not have to find out
// again. Sessions may share it from any goroutine. The zero value is ready for
// use, and remembers nothing yet.
type Hosts struct {
	mu    sync.Mutex
	known map[string]wire.Transport
}

// maxHosts bounds what is remembered; whoever talks to more hosts starts over.
const maxHosts = 256

func (h *Hosts) learn(url string, t wire.Transport) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known == nil || len(h.known) >= maxHosts {
		h.known = map[string]wire.Transport{}
	}
	_, host, _ := splitURL(url)
	h.known[host] = t
}

// best returns where in a list of transports to begin with a server.
func (h *Hosts) best(url string, transports []wire.Transport) int {
	if h == nil {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, host, _ := splitURL(url)
	if known, ok := h.known[host]; ok {
		for i, t := range transports {
			if t == known {
				return i
			}
		}
	}
	return 0
}
