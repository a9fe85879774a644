//go:build unix

package gateway

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// directReader reads from a socket as its Read does, but knows before it waits
// that it is going to. The runtime's poller does the waiting, so deadlines and
// Close are heeded.
type directReader struct {
	raw  syscall.RawConn // nil for what is no socket of the system's
	wait func()          // called before it waits

	try func(fd uintptr) bool
	p   []byte // to read into, n what was read, err why not more
	n   int
	err error
}

func (r *directReader) init(conn net.Conn, wait func()) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	r.raw, r.wait = raw, wait
	r.try = func(fd uintptr) bool { // made once, as it is on the heap
		for {
			r.n, r.err = syscall.Read(int(fd), r.p)
			switch r.err {
			case syscall.EINTR:
			case syscall.EAGAIN:
				r.wait()
				return false
			default:
				return true
			}
		}
	}
}

func (r *directReader) read(p []byte) (int, error) {
	r.p = p
	err := r.raw.Read(r.try)
	r.p = nil
	switch {
	case err != nil: // its deadline has passed, or it was closed
		if inner := errors.Unwrap(err); inner != nil {
			err = inner
		}
		return 0, err
	case r.err != nil:
		return 0, os.NewSyscallError("read", r.err)
	case r.n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return r.n, nil
}
