package simulation

import (
	"testing"

	wirepkg "github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

// transports reads one transport.
func transports(t *testing.T, name string) []wirepkg.Transport {
	t.Helper()
	tr, ok := wirepkg.ParseTransport(name)
	if !ok {
		t.Fatalf("no transport %s", name)
	}
	return []wirepkg.Transport{tr}
}
