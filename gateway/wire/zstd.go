package wire

import "encoding/binary"

// zstdReader decodes zstd frames (RFC 8878) that arrive in pieces: one frame
// that never ends, flushed after each message, or one frame for each message.
// It decodes a block when all of it is there.
type zstdReader struct {
	part zstdPart

	// Input that is being collected: want bytes at pend[zstdPad:], of which
	// have are there. Blocks are decoded where they were collected, with
	// padding on both sides, so that the bit readers may load whole words
	// anywhere.
	pend       []byte
	have, want int

	skip uint32 // bytes left of a skippable frame

	// The frame.
	maxWindow   int
	window      int
	maxBlock    int   // what one of its blocks may hold
	size, wants int64 // bytes decoded, and promised (-1: nothing)
	checksummed bool
	hash        xxh64
	kind        zstdBlock
	last        bool
	blockSize   int
	reps        [3]uint32 // repeat offsets, latest first
	lits        []byte    // literals of a block, with padding behind
	huff        huffTable
	seqs        [3]seqTable
	scratch     fseScratch
}

type zstdPart uint8

const (
	zstdMagic zstdPart = iota
	zstdHeader
	zstdSkipSize
	zstdSkip
	zstdBlockHeader
	zstdBody
	zstdChecksum
)

type zstdBlock uint8

const (
	blockRaw zstdBlock = iota
	blockRLE
	blockCompressed
	blockReserved
)

const (
	zstdMagicNumber = 0xfd2fb528
	zstdSkippable   = 0x184d2a50 // to ...5f
	zstdMaxBlock    = 128 << 10  // RFC 8878, 3.1.1.2.4

	// zstdPad is how far a bit reader may reach over the ends of a block.
	zstdPad = 32

	// A message of more than ratioFrom bytes that was compressed more than
	// maxRatio times is refused. A block of a single long match, as when a
	// READY is sent a second time, makes 128 KiB of a dozen bytes; more than
	// that takes blocks of one repeated byte, which is no JSON.
	ratioFrom = 1 << 20
	maxRatio  = 16 << 10
)

func (z *zstdReader) reset(maxWindow int) {
	z.maxWindow = maxWindow
	z.expect(zstdMagic, 4)
}

// between reports whether the stream stands between two blocks or frames.
func (z *zstdReader) between() bool {
	return z.have == 0 && (z.part == zstdBlockHeader || z.part == zstdMagic)
}

// expect begins to collect n bytes.
func (z *zstdReader) expect(part zstdPart, n int) {
	z.part, z.have, z.want = part, 0, n
}

// collect moves input to pend until what is wanted is there.
func (z *zstdReader) collect(in []byte, i int) int {
	if need := z.want + 2*zstdPad; len(z.pend) < need {
		pend := make([]byte, max(2*len(z.pend), need, 1<<10))
		copy(pend, z.pend[:min(zstdPad+z.have, len(z.pend))])
		z.pend = pend
	}
	n := copy(z.pend[zstdPad+z.have:zstdPad+z.want], in[i:])
	z.have += n
	return i + n
}

// read decodes from in[i:] into o until something is to be told.
func (z *zstdReader) read(o *output, in []byte, i int) (int, progress, error) {
	blocks, last := 0, 0    // how many there were, and what the last one made
	one := o.pos == o.start // nothing was pending, and the blocks look like one message
	for {
		if z.part == zstdSkip {
			n := min(uint64(z.skip), uint64(len(in)-i))
			i += int(n)
			if z.skip -= uint32(n); z.skip > 0 {
				return i, needInput, nil
			}
			z.expect(zstdMagic, 4)
		}
		if i = z.collect(in, i); z.have < z.want {
			// The end of a block is the end of a message if nothing speaks
			// against it: that others stand before it which are not as large as
			// blocks get, as those are which a long message is cut into, or that
			// it is so large itself.
			if z.part == zstdBlockHeader && z.have == 0 && blocks > 0 && one && last < zstdMaxBlock {
				return i, flushed, nil
			}
			return i, needInput, nil
		}
		b := z.pend[zstdPad : zstdPad+z.want]
		switch z.part {
		case zstdMagic:
			switch magic := binary.LittleEndian.Uint32(b); {
			case magic == zstdMagicNumber:
				z.expect(zstdHeader, 1)
			case magic&^15 == zstdSkippable:
				z.expect(zstdSkipSize, 4)
			default:
				return i, 0, errorAt("zstd: not a zstd frame", i)
			}

		case zstdSkipSize:
			z.part = zstdSkip
			z.skip = binary.LittleEndian.Uint32(b)

		case zstdHeader:
			if n := frameHeaderSize(b[0]); z.want < n {
				z.want = n
				continue
			}
			if err := z.frameHeader(b); err != nil {
				return i, 0, err
			}
			o.low, o.window, o.handed = o.pos, z.window, false
			z.expect(zstdBlockHeader, 3)

		case zstdBlockHeader:
			head := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
			z.last = head&1 != 0
			z.kind = zstdBlock(head >> 1 & 3)
			z.blockSize = int(head >> 3)
			if z.blockSize > z.maxBlock {
				return i, 0, errorAt("zstd: block is too large", i)
			}
			n := z.blockSize
			if z.kind == blockRLE {
				n = 1
			}
			z.expect(zstdBody, n)

		case zstdBody:
			if o.over() {
				return i, full, nil
			}
			if blocks > 0 && (last != zstdMaxBlock || o.buf[o.pos-1] == '}') {
				one = false // one may have ended with the last block
			}
			o.in, o.at = len(in), i
			before := z.size
			if err := z.block(o, b); err != nil {
				err.Offset += i - len(b) // right, if the block came in one piece
				return i, 0, err
			}
			blocks++
			last = int(z.size - before)
			if size := o.pos - o.start; size > ratioFrom && size/maxRatio > o.fed {
				return i, 0, &LimitError{"message is compressed beyond reason", maxRatio, true}
			}
			switch {
			case !z.last:
				z.expect(zstdBlockHeader, 3)
			case z.checksummed:
				z.expect(zstdChecksum, 4)
			default:
				return i, ended, z.endFrame(o, i)
			}

		case zstdChecksum:
			if !o.handed && uint32(z.hash.sum()) != binary.LittleEndian.Uint32(b) {
				return i, 0, errorAt("zstd: wrong checksum", i)
			}
			return i, ended, z.endFrame(o, i)
		}
	}
}

// endFrame checks a frame that is complete and awaits the next.
func (z *zstdReader) endFrame(o *output, i int) error {
	if z.wants >= 0 && z.size != z.wants {
		return errorAt("zstd: frame has another size than it says", i)
	}
	o.forget()
	z.expect(zstdMagic, 4)
	return nil
}

// frameHeaderSize returns the size of a frame header whose descriptor is desc
// (RFC 8878, 3.1.1.1).
func frameHeaderSize(desc byte) int {
	n := 1 + [4]int{0, 1, 2, 4}[desc&3] + [4]int{0, 2, 4, 8}[desc>>6]
	switch {
	case desc&0x20 == 0:
		n++ // window descriptor
	case desc>>6 == 0:
		n++ // a single segment always has its size
	}
	return n
}

func (z *zstdReader) frameHeader(b []byte) error {
	zstdOnce.Do(makeZstdTables)
	desc := b[0]
	if desc&8 != 0 {
		return errorAt("zstd: reserved bit is set", 0)
	}
	single := desc&0x20 != 0
	z.checksummed = desc&4 != 0
	b = b[1:]
	window := uint64(0)
	if !single {
		base := uint64(1) << (10 + b[0]>>3)
		window = base + base>>3*uint64(b[0]&7)
		b = b[1:]
	}
	for n := [4]int{0, 1, 2, 4}[desc&3]; n > 0; n-- {
		if b[0] != 0 {
			return errorAt("zstd: frame wants a dictionary", 0)
		}
		b = b[1:]
	}
	z.wants = -1
	if len(b) > 0 {
		size := uint64(0)
		for k, c := range b {
			size |= uint64(c) << (8 * k)
		}
		if len(b) == 2 {
			size += 256
		}
		z.wants = int64(min(size, 1<<62))
	}
	switch {
	case single:
		// The window is the content: no more memory than that of the message.
		window = uint64(z.wants)
	case window > uint64(z.maxWindow):
		return &LimitError{"zstd: window is too large", z.maxWindow, true}
	}
	z.window = int(min(window, 1<<30))
	z.maxBlock = min(z.window, zstdMaxBlock)
	z.size = 0
	z.reps = [3]uint32{1, 4, 8}
	z.huff.bits = 0
	for k := range z.seqs {
		z.seqs[k].states = nil
	}
	z.hash.reset()
	return nil
}

// block decodes the block b into o.
func (z *zstdReader) block(o *output, b []byte) *Error {
	size := 0
	switch z.kind {
	case blockRaw:
		o.room(len(b))
		size = copy(o.buf[o.pos:], b)
		o.pos += size
	case blockRLE:
		size = z.blockSize
		o.room(size)
		run := o.buf[o.pos : o.pos+size]
		for k := range run {
			run[k] = b[0]
		}
		o.pos += size
	case blockCompressed:
		var err *Error
		if size, err = z.compressed(o, len(b)); err != nil {
			return err
		}
	default:
		return errorAt("zstd: reserved block type", 0)
	}
	o.fed += len(b) + 3
	z.size += int64(size)
	if z.wants >= 0 && z.size > z.wants {
		return errorAt("zstd: frame has another size than it says", 0)
	}
	if z.checksummed && !o.handed {
		// Of a frame of which messages have been handed out it would help nobody.
		z.hash.write(o.buf[o.pos-size : o.pos])
	}
	return nil
}
