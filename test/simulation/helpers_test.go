package simulation

import (
	"testing"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

// transports reads one transport.
func transports(t *testing.T, name string) []wire.Transport {
	t.Helper()
	tr, ok := wire.ParseTransport(name)
	if !ok {
		t.Fatalf("no transport %s", name)
	}
	return []wire.Transport{tr}
}
