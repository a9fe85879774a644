package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

// write writes the messages of one connection as they travel by a transport.
func write(path, transport string, messages []string) (err error) {
	encode, err := encoder(transport)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	for _, m := range messages {
		data, err := encode([]byte(m))
		if err != nil {
			return err
		}
		var head [5]byte
		if transport != "json" {
			head[0] = 1
		}
		binary.LittleEndian.PutUint32(head[1:], uint32(len(data)))
		w.Write(head[:]) // an error stays until Flush
		w.Write(data)
	}
	return w.Flush()
}

// encoder returns what makes frames of the messages of one connection.
func encoder(transport string) (func(msg []byte) ([]byte, error), error) {
	switch transport {
	case "json":
		return func(msg []byte) ([]byte, error) { return msg, nil }, nil
	case "etf":
		return func(msg []byte) ([]byte, error) { return wire.AppendETF(nil, msg) }, nil
	case "zstd":
		// The documented dialect: one stream and one frame, flushed after each
		// message.
		var buf bytes.Buffer
		enc, err := zstd.NewWriter(&buf, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
		return func(msg []byte) ([]byte, error) {
			buf.Reset()
			if _, err := enc.Write(msg); err != nil {
				return nil, err
			}
			err := enc.Flush()
			return bytes.Clone(buf.Bytes()), err
		}, err
	case "zstdframes":
		// Spacebar's dialect: a frame for each message.
		enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(false), zstd.WithWindowSize(2<<20))
		return func(msg []byte) ([]byte, error) { return plainFrame(enc.EncodeAll(msg, nil)), nil }, err
	}
	return nil, fmt.Errorf("unknown transport %s", transport)
}

// plainFrame gives a zstd frame the header that a Spacebar server's have: a
// window of 2 MiB, no content size, no checksum.
func plainFrame(frame []byte) []byte {
	const magic, descriptor = 4, 4
	sizes := [...]int{0, 2, 4, 8} // of the content size, by the top bits of the descriptor
	body := frame[magic+2+sizes[frame[descriptor]>>6]:]
	return append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0x58}, body...)
}
