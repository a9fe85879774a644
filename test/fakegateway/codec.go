package fakegateway

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// Names of the transport compressions.
const (
	compressZlib = "zlib-stream"
	compressZstd = "zstd-stream"
)

// payloadCompressMinLen is the least that is compressed for compress:true.
const payloadCompressMinLen = 512

// flushSuffix ends every message of a zlib-stream.
var flushSuffix = []byte{0, 0, 0xff, 0xff}

// encoder turns messages, as JSON text, into the frames of one connection.
type encoder struct {
	etf     bool
	payload bool // compress large messages by themselves
	late    bool // the suffix of the last message is yet to be sent
	frames  *zstd.Encoder
	buf     bytes.Buffer
	zlib    *zlib.Writer
	zstd    *zstd.Encoder
}

func (e *Engine) newEncoder(etf bool, compress string) *encoder {
	enc := &encoder{etf: etf}
	switch {
	case compress == compressZlib:
		enc.zlib = zlibWriters.Get().(*zlib.Writer)
		enc.zlib.Reset(&enc.buf)
	case compress == compressZstd && e.rules.zstdFrames:
		enc.frames = e.zstd
	case compress == compressZstd:
		enc.zstd = zstdWriters.Get().(*zstd.Encoder)
		enc.zstd.Reset(&enc.buf)
	}
	return enc
}

// Compressors are large, and connections many.
var (
	zlibWriters = sync.Pool{New: func() any { return zlib.NewWriter(nil) }}
	zstdWriters = sync.Pool{New: func() any {
		// The options are valid, so there is no error.
		w, _ := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
		return w
	}}
)

// release gives back what others can use. Nothing may be encoded after it.
func (e *encoder) release() {
	if e.zlib != nil {
		e.zlib.Reset(nil)
		zlibWriters.Put(e.zlib)
	}
	if e.zstd != nil {
		e.zstd.Reset(nil)
		zstdWriters.Put(e.zstd)
	}
	e.zlib, e.zstd = nil, nil
}

// compressed tells whether there is a transport compression.
func (e *encoder) compressed() bool { return e.zlib != nil || e.zstd != nil || e.frames != nil }

// encode returns one message as it goes into a frame. What it returns is the
// caller's. Text that is not JSON stays as it is, also where ETF is due.
func (e *encoder) encode(msg []byte) (data []byte, binary bool) {
	if e.etf {
		if term, err := jsonToETF(msg); err == nil {
			msg = term
		}
	}
	return e.pack(msg, e.etf)
}

// pack compresses what is to be a message.
func (e *encoder) pack(msg []byte, binary bool) ([]byte, bool) {
	switch {
	case e.zlib != nil:
		// Writing to a buffer does not fail.
		e.buf.Reset()
		e.zlib.Write(msg)
		e.zlib.Flush()
		return bytes.Clone(e.buf.Bytes()), true
	case e.zstd != nil:
		e.buf.Reset()
		e.zstd.Write(msg)
		e.zstd.Flush()
		return bytes.Clone(e.buf.Bytes()), true
	case e.frames != nil:
		return plainFrame(e.frames.EncodeAll(msg, nil)), true
	case e.payload && len(msg) >= payloadCompressMinLen:
		var buf bytes.Buffer
		w := zlib.NewWriter(&buf)
		w.Write(msg)
		w.Close()
		return buf.Bytes(), true
	}
	return msg, binary
}

func newFrameEncoder() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false),
		zstd.WithSingleSegment(false), zstd.WithWindowSize(2<<20), zstd.WithZeroFrames(true))
}

// plainFrame gives a zstd frame the header that Spacebar's have: a window of
// 2 MiB, no content size, no checksum.
func plainFrame(frame []byte) []byte {
	const magic, descriptor = 4, 4
	sizes := [...]int{0, 2, 4, 8}
	header := magic + 2 + sizes[frame[descriptor]>>6]
	out := append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0x58}, frame[header:]...)
	return out
}

// inflator decompresses what a client sends: messages of one zlib stream, each
// flushed, or each a stream of its own.
type inflator struct{ window []byte }

const maxInflated = 1 << 20

var errTooLarge = errors.New("decompressed message is too large")

func (f *inflator) next(data []byte) ([]byte, error) {
	if len(data) > 2 && data[0]&15 == 8 && (int(data[0])<<8|int(data[1]))%31 == 0 {
		if out, err := inflateFlushed(data[2:], nil); err == nil {
			f.window = out
			return out, nil
		}
	}
	out, err := inflateFlushed(data, f.window)
	if err != nil {
		return nil, err
	}
	f.window = append(f.window, out...)
	f.window = f.window[max(0, len(f.window)-32<<10):]
	return out, nil
}

// inflateFlushed inflates data that ends in a flush or in the end of its stream.
func inflateFlushed(data, window []byte) ([]byte, error) {
	if !bytes.HasSuffix(data, flushSuffix) && len(data) < 4 {
		return nil, io.ErrUnexpectedEOF
	}
	out, err := io.ReadAll(io.LimitReader(flate.NewReaderDict(bytes.NewReader(data), window), maxInflated+1))
	if errors.Is(err, io.ErrUnexpectedEOF) && bytes.HasSuffix(data, flushSuffix) {
		err = nil
	}
	if err == nil && len(out) > maxInflated {
		err = errTooLarge
	}
	return out, err
}
