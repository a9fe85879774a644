//go:build !unix

package gateway

import "net"

// directReader is not for this system.
type directReader struct{ raw any }

func (r *directReader) init(net.Conn, func()) {}

func (r *directReader) read([]byte) (int, error) { return 0, net.ErrClosed }
