package wire

// zlibReader decodes zlib streams (RFC 1950) that arrive in pieces.
type zlibReader struct {
	inflater
	part  zlibPart
	have  int    // bytes of the header or trailer that were read
	bytes uint32 // and what they were
}

type zlibPart uint8

const (
	zlibHeader zlibPart = iota
	zlibBody
	zlibTrailer
)

const (
	deflateWindow = 32 << 10

	methodDeflate  = 8
	flagDictionary = 1 << 5
)

// isZlibHeader reports whether b begins as a zlib stream of the usual window
// does. No JSON text begins with an x.
func isZlibHeader(b []byte) bool {
	return len(b) >= 2 && b[0] == 7<<4|methodDeflate && (uint(b[0])<<8|uint(b[1]))%31 == 0
}

func (z *zlibReader) reset() {
	z.part, z.have, z.bytes = zlibHeader, 0, 0
}

// read decodes from in[i:] into o until something is to be told.
//
// A stream may end, and another begin, if its checksum is right: that is a
// server which compresses each message by itself. It is not looked at where the content
// is no longer there, all of it having been handed out: the sum would have to be kept
// all along, for a fifth of the time that inflating takes, and would help nobody any
// more. What is no stream but seems to end shows at what follows, which must begin one.
func (z *zlibReader) read(o *output, in []byte, i int) (int, progress, error) {
	for {
		switch z.part {
		case zlibHeader:
			if i = z.collect(in, i, 2); z.have < 2 {
				return i, needInput, nil
			}
			switch {
			case z.bytes>>8&15 != methodDeflate || z.bytes>>12 > 7 || z.bytes%31 != 0:
				return i, 0, errorAt("zlib: not a zlib stream", i)
			case z.bytes&flagDictionary != 0:
				return i, 0, errorAt("zlib: stream wants a dictionary", i)
			}
			o.low, o.window = o.pos, deflateWindow
			z.have, z.bytes = 0, 0
			z.part = zlibBody
			z.inflater.reset()

		case zlibBody:
			var p progress
			var err error
			if i, p, err = z.inflate(o, in, i); err != nil || p != ended {
				return i, p, err
			}
			z.part = zlibTrailer

		case zlibTrailer:
			if i = z.collect(in, i, 4); z.have < 4 {
				return i, needInput, nil
			}
			switch {
			case o.low >= 0:
				if sumAdler(o.buf[o.low:o.pos]) != z.bytes {
					return i, 0, errorAt("zlib: wrong checksum", i)
				}
			case o.start < o.pos:
				return i, 0, errorAt("zlib: stream ends in the middle of a message", i)
			}
			o.forget()
			z.have, z.bytes = 0, 0
			z.part = zlibHeader
			return i, ended, nil
		}
	}
}

// collect reads bytes of the header or trailer until there are n.
func (z *zlibReader) collect(in []byte, i, n int) int {
	for ; z.have < n && i < len(in); z.have++ {
		z.bytes = z.bytes<<8 | uint32(in[i])
		i++
	}
	return i
}

// sumAdler is the checksum of a zlib stream (RFC 1950, 9), Adler-32.
func sumAdler(b []byte) uint32 {
	const (
		mod = 65521
		// Bytes after which the sums must be reduced to stay in 32 bits.
		run = 5552
	)
	s1, s2 := uint32(1), uint32(0)
	for len(b) > 0 {
		chunk := b[:min(run, len(b))]
		b = b[len(chunk):]
		for len(chunk) >= 8 {
			c := chunk[:8]
			s2 += 8*s1 + 8*uint32(c[0]) + 7*uint32(c[1]) + 6*uint32(c[2]) + 5*uint32(c[3]) +
				4*uint32(c[4]) + 3*uint32(c[5]) + 2*uint32(c[6]) + uint32(c[7])
			s1 += uint32(c[0]) + uint32(c[1]) + uint32(c[2]) + uint32(c[3]) +
				uint32(c[4]) + uint32(c[5]) + uint32(c[6]) + uint32(c[7])
			chunk = chunk[8:]
		}
		for _, c := range chunk {
			s1 += uint32(c)
			s2 += s1
		}
		s1, s2 = s1%mod, s2%mod
	}
	return s2<<16 | s1
}
