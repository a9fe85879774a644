package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"github.com/coder/websocket"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// bare is the least that any client on coder/websocket and klauspost's inflaters
// does: it reads every message and looks at none.
func bare(j *job, ready func()) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, j.url, nil)
	if err != nil {
		return err
	}
	defer func() { _ = ws.CloseNow() }()
	ws.SetReadLimit(-1)
	if err := ws.Write(ctx, websocket.MessageText, []byte(`{"op":2,"d":{}}`)); err != nil {
		return err
	}
	m := &messages{ws: ws, warm: j.warm, ready: ready, left: j.frames, buf: make([]byte, 64<<10)}
	switch j.transport {
	case "zlib":
		z, err := zlib.NewReader(bufio.NewReaderSize(m, 64<<10))
		if err != nil {
			return err
		}
		return drain(z)
	case "zstd":
		z, err := zstd.NewReader(m, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return err
		}
		defer z.Close()
		return drain(z)
	case "zstdframes":
		z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return err
		}
		defer z.Close()
		var out []byte
		for {
			msg, err := m.next()
			if err != nil {
				return ended(err)
			}
			if out, err = z.DecodeAll(msg, out[:0]); err != nil {
				return err
			}
			if len(out) < 4 || binary.LittleEndian.Uint32(out) == 0 {
				return errors.New("an empty message")
			}
		}
	}
	for {
		if _, err := m.next(); err != nil {
			return ended(err)
		}
	}
}

func drain(r io.Reader) error {
	buf := make([]byte, 256<<10)
	for {
		if _, err := r.Read(buf); err != nil {
			return ended(err)
		}
	}
}

var errAll = errors.New("that was all")

func ended(err error) error {
	if errors.Is(err, errAll) {
		return nil
	}
	return err
}

// messages reads messages into one buffer; as a reader, one behind the other.
type messages struct {
	ws    *websocket.Conn
	warm  int // messages before what is measured
	ready func()
	left  int
	buf   []byte
	rest  []byte
}

func (m *messages) next() ([]byte, error) {
	if m.left == 0 {
		return nil, errAll
	}
	m.left--
	if m.warm--; m.warm == -1 {
		m.ready()
	}
	_, r, err := m.ws.Reader(context.Background())
	if err != nil {
		return nil, err
	}
	for n := 0; ; {
		if n == len(m.buf) {
			m.buf = append(m.buf, make([]byte, len(m.buf))...)
		}
		k, err := r.Read(m.buf[n:])
		n += k
		if err == io.EOF {
			return m.buf[:n], nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (m *messages) Read(p []byte) (n int, err error) {
	for len(m.rest) == 0 {
		if m.rest, err = m.next(); err != nil {
			return 0, err
		}
	}
	n = copy(p, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}
