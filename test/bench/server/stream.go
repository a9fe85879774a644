package main

import (
	"encoding/binary"
	"errors"
	"os"
)

// stream is a corpus as it goes over the wire: WebSocket frames, one behind the
// other.
type stream struct {
	wire []byte
	at   []int // where each frame begins, and the end
}

func load(path string) (*stream, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &stream{wire: make([]byte, 0, len(data)+len(data)/8)}
	for len(data) > 0 {
		if len(data) < 5 || uint64(len(data)-5) < uint64(binary.LittleEndian.Uint32(data[1:])) {
			return nil, errors.New(path + " is cut short")
		}
		n := int(binary.LittleEndian.Uint32(data[1:]))
		s.at = append(s.at, len(s.wire))
		s.wire = appendFrame(s.wire, 1+data[0], data[5:5+n])
		data = data[5+n:]
	}
	s.at = append(s.at, len(s.wire))
	return s, nil
}

// frames are the bytes of the frames from one number to before another.
func (s *stream) frames(from, to int) []byte { return s.wire[s.at[from]:s.at[to]] }

func (s *stream) len() int { return len(s.at) - 1 }

// appendFrame appends a whole message of a server (RFC 6455, 5.2).
func appendFrame(b []byte, opcode byte, data []byte) []byte {
	b = append(b, 0x80|opcode)
	switch n := len(data); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, data...)
}
