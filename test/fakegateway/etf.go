package fakegateway

import (
	"errors"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

// This file alone uses a package of the client, for the external term format.

const etfVersion = 131

var errNotETF = errors.New("not the external term format")

func jsonToETF(text []byte) ([]byte, error) { return wire.AppendETF(nil, text) }

func etfToJSON(data []byte) ([]byte, error) {
	if len(data) < 2 || data[0] != etfVersion {
		return nil, errNotETF
	}
	return wire.AppendJSON(nil, data[1:])
}
