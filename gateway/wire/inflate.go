package wire

import "unsafe"

// inflater decodes one Deflate stream (RFC 1951) that arrives in pieces cut at
// any byte. It stops at every empty stored block, the mark a sync flush
// leaves, because that is how messages are told apart.
type inflater struct {
	bits uint64 // input not yet used, next bit lowest
	n    uint   // number of valid bits in bits

	state inflateState
	final bool // the current block is the last

	// The codes of the current block.
	lit, dist         []uint32
	litBits, distBits uint
	widest            uint // bits that a round of symbolsFast may use

	stored int // bytes left of a stored block

	// A dynamic block's header while it is being read (RFC 1951, 3.2.7).
	nlit, ndist, nlens, have int
	lens                     [litLens + distLens]uint8

	// Tables of dynamic blocks.
	dynLit  litTable
	dynDist distTable
}

type inflateState uint8

const (
	inflateBlock inflateState = iota // at a block header
	inflateStored
	inflateCopy
	inflateCounts
	inflateCodeLens
	inflateLens
	inflateSymbols
	inflateDone // behind the last block
)

const (
	maxLitCodes  = 286
	maxDistCodes = 30
	litLens      = 288 // numbers of codes of fixed blocks, and multiples of 8
	distLens     = 32
	maxMatch     = 258
)

// progress says why a decompressor returned.
type progress uint8

const (
	needInput progress = iota
	flushed            // at a boundary that may end a message
	ended              // the stream is complete
	full               // the message may not grow further
)

// reset makes z ready for a new stream.
func (z *inflater) reset() {
	deflateOnce.Do(makeDeflateTables)
	z.bits, z.n = 0, 0
	z.state, z.final = inflateBlock, false
}

// inflate decodes from in[i:] into o until something is to be told. It returns
// the index of the first byte it has not used; when it asks for more input it
// has taken all there was.
func (z *inflater) inflate(o *output, in []byte, i int) (int, progress, error) {
	for {
		switch z.state {
		case inflateBlock:
			if z.final {
				z.state = inflateDone
				continue
			}
			if i = z.fill(in, i, 3); z.n < 3 {
				return i, needInput, nil
			}
			z.final = z.bits&1 != 0
			kind := z.bits >> 1 & 3
			z.drop(3)
			switch kind {
			case 0:
				z.drop(z.n & 7)
				z.state = inflateStored
			case 1:
				z.lit, z.litBits = fixedLit[:], fixedLitBits
				z.dist, z.distBits = fixedDist[:], fixedDistBits
				z.widest = fixedWidest
				z.state = inflateSymbols
			case 2:
				z.state = inflateCounts
			default:
				return i, 0, errorAt("deflate: unknown block type", i)
			}

		case inflateStored:
			if i = z.fill(in, i, 32); z.n < 32 {
				return i, needInput, nil
			}
			size := uint32(z.bits) & 0xffff
			if size^0xffff != uint32(z.bits)>>16 {
				return i, 0, errorAt("deflate: bad length of a stored block", i)
			}
			z.drop(32)
			i = z.unread(i)
			if size == 0 {
				z.state = inflateBlock
				if !z.final {
					return i, flushed, nil
				}
				continue
			}
			z.stored = int(size)
			z.state = inflateCopy

		case inflateCopy:
			if o.over() {
				return i, full, nil
			}
			size := min(z.stored, len(in)-i)
			o.in, o.at = len(in), i
			o.room(size)
			o.pos += copy(o.buf[o.pos:], in[i:i+size])
			i += size
			if z.stored -= size; z.stored > 0 {
				return i, needInput, nil
			}
			z.state = inflateBlock

		case inflateCounts:
			if i = z.fill(in, i, 14); z.n < 14 {
				return i, needInput, nil
			}
			z.nlit = int(z.bits&31) + 257
			z.ndist = int(z.bits>>5&31) + 1
			z.nlens = int(z.bits>>10&15) + 4
			if z.nlit > maxLitCodes || z.ndist > maxDistCodes {
				return i, 0, errorAt("deflate: too many codes", i)
			}
			z.drop(14)
			z.have = 0
			clear(z.lens[:])
			z.state = inflateCodeLens

		case inflateCodeLens:
			for ; z.have < z.nlens; z.have++ {
				if i = z.fill(in, i, 3); z.n < 3 {
					return i, needInput, nil
				}
				z.lens[lensOrder[z.have]] = uint8(z.bits & 7)
				z.drop(3)
			}
			// The table of code lengths is needed only until those of the
			// distances are known, and lives in their place.
			var ok bool
			z.distBits, ok = buildTable(z.dynDist[:], z.lens[:24], lensEntries[:], lensRootBits)
			if !ok {
				return i, 0, errorAt("deflate: bad code of code lengths", i)
			}
			clear(z.lens[:24])
			z.have = 0
			z.state = inflateLens

		case inflateLens:
			var err error
			if i, err = z.readLens(in, i); err != nil {
				return i, 0, err
			}
			if z.have < z.nlit+z.ndist {
				return i, needInput, nil
			}
			if z.lens[256] == 0 {
				return i, 0, errorAt("deflate: block without an end", i)
			}
			copy(z.lens[litLens:], z.lens[z.nlit:z.have])
			clear(z.lens[z.nlit:litLens])
			var ok1, ok2 bool
			z.litBits, ok1 = buildTable(z.dynLit[:], z.lens[:litLens], litEntries[:], litRootBits)
			z.distBits, ok2 = buildTable(z.dynDist[:], z.lens[litLens:], distEntries[:], distRootBits)
			if !ok1 || !ok2 {
				return i, 0, errorAt("deflate: bad code", i)
			}
			z.lit, z.dist = z.dynLit[:], z.dynDist[:]
			z.widest = dynWidest
			z.state = inflateSymbols

		case inflateSymbols:
			if o.over() {
				return z.unread(i), full, nil
			}
			o.in, o.at = len(in), i
			o.room(inflateRoom)
			last := len(in)*8 - int(z.widest)
			if cap(in)-len(in) < inflateOver {
				last -= inflateOver * 8
			}
			i = z.symbolsFast(o, in, i, last)
			var st symbolsStop
			i, st = z.symbols(o, in, i, last)
			switch st {
			case stopEnd:
				z.state = inflateBlock
			case stopInput:
				return i, needInput, nil
			case stopCode:
				return i, 0, errorAt("deflate: bits that are no code", i)
			case stopDistance:
				return i, 0, errorAt("deflate: match reaches before the beginning", i)
			}

		case inflateDone:
			z.drop(z.n & 7)
			return z.unread(i), ended, nil
		}
	}
}

// fill reads bytes into the bit buffer until it holds want bits (at most 57)
// or there are no more.
//
//go:noinline
func (z *inflater) fill(in []byte, i int, want uint) int {
	for z.n < want && i < len(in) {
		z.bits |= uint64(in[i]) << (z.n & 63)
		z.n += 8
		i++
	}
	return i
}

// unread gives back the whole bytes of the bit buffer that came from in[:i]. At
// the end of a block that is all of them: what was left of an earlier piece was
// not enough for one more step, so it was used by the first.
func (z *inflater) unread(i int) int {
	k := min(int(z.n>>3), i)
	z.n -= uint(k) * 8
	z.bits &= 1<<z.n - 1
	return i - k
}

func (z *inflater) drop(n uint) {
	z.bits >>= n & 63
	z.n -= n
}

// readLens reads the code lengths of a dynamic block.
func (z *inflater) readLens(in []byte, i int) (int, error) {
	for z.have < z.nlit+z.ndist {
		// A code has at most 7 bits, and at most 7 more follow.
		i = z.fill(in, i, 14)
		e := z.dynDist[z.bits&(1<<z.distBits-1)]
		width := uint(e & 63)
		if width > z.n {
			return i, nil
		}
		if e&entryExcept != 0 {
			return i, errorAt("deflate: bits that are no code length", i)
		}
		count := int(e>>24) + int(z.bits&(1<<width-1)>>(e>>8&15))
		var l uint8
		switch sym := uint8(e >> 16); {
		case sym < 16:
			l = sym
		case sym == 16:
			if z.have == 0 {
				return i, errorAt("deflate: nothing to repeat", i)
			}
			l = z.lens[z.have-1]
		}
		if z.have+count > z.nlit+z.ndist {
			return i, errorAt("deflate: too many code lengths", i)
		}
		if l != 0 { // the array was cleared
			run := z.lens[z.have : z.have+count]
			for k := range run {
				run[k] = l
			}
		}
		z.have += count
		z.drop(width)
	}
	return i, nil
}

// lensOrder is the order in which the lengths of the code lengths' codes come.
var lensOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// symbolsStop says why decoding symbols stopped.
type symbolsStop uint8

const (
	stopNot      symbolsStop = iota // there is more that symbolsFast may know, or no room
	stopEnd                         // the block ended
	stopInput                       // the next symbol is not complete
	stopCode                        // invalid code
	stopDistance                    // match from before the first byte
)

const (
	inflateOver = 16                            // input behind the end that one round of symbolsFast may load
	inflateRoom = 2 + maxMatch + matchSlack + 8 // room that one round may write to

	// Two literals, a length and a distance with their extra bits.
	fixedWidest = 2*9 + 8 + 5 + 5 + 13
	dynWidest   = 2*maxCodeLen + maxCodeLen + 5 + maxCodeLen + 13
)

// symbolsFast decodes symbols as long as one round may take: while no more than
// last bits of the input are used, and there is room. Two literals and a match,
// or three literals, make a round. It stops before a symbol that it does not know:
// those of long codes, matches that overlap themselves closely, the end of the
// block, and whatever is wrong.
//
// There is no merging of rare ways with frequent ones in it, as each of those would
// be a jump of the frequent one in WebAssembly, and no call, before which it would
// have to put its variables into memory.
func (z *inflater) symbolsFast(o *output, in []byte, i, last int) int {
	src := unsafe.Pointer(unsafe.SliceData(in))
	dst := unsafe.Pointer(unsafe.SliceData(o.buf))
	lit, dist := unsafe.Pointer(unsafe.SliceData(z.lit)), unsafe.Pointer(unsafe.SliceData(z.dist))
	litMask, distMask := uint64(1)<<z.litBits-1, uint64(1)<<z.distBits-1
	limit := len(o.buf) - inflateRoom
	p, low := o.pos, o.low
	bits, n := z.bits, z.n

	for i<<3-int(n) <= last && p <= limit {
		bits |= load64(src, i) << (n & 63)
		i += int((63 - n) >> 3)
		n |= 56
		e := entryAt(lit, bits&litMask)
		if int32(e) < 0 {
			store8(dst, p, byte(e>>16))
			p++
			bits >>= e & 63
			n -= uint(e & 63)
			e = entryAt(lit, bits&litMask)
			if int32(e) < 0 {
				store8(dst, p, byte(e>>16))
				p++
				bits >>= e & 63
				n -= uint(e & 63)
				e = entryAt(lit, bits&litMask)
				if int32(e) < 0 {
					store8(dst, p, byte(e>>16))
					p++
					bits >>= e & 63
					n -= uint(e & 63)
					continue
				}
			}
		}
		if e&entryExcept != 0 {
			break
		}
		bits |= load64(src, i) << (n & 63)
		i += int((63 - n) >> 3)
		n |= 56
		d := entryAt(dist, bits>>(e&63)&distMask)
		if d&entryExcept != 0 {
			break
		}
		length := int(e>>16) + int(bits&(1<<(e&63)-1)>>(e>>8&15))
		rest := bits >> (e & 63)
		distance := int(d>>16) + int(rest&(1<<(d&63)-1)>>(d>>8&15))
		if distance < 8 || distance > p-low {
			break
		}
		bits = rest >> (d & 63)
		n -= uint(e&63) + uint(d&63)
		end := p + length
		q := p - distance
		for {
			store64(dst, p, load64(dst, q))
			store64(dst, p+8, load64(dst, q+8))
			store64(dst, p+16, load64(dst, q+16))
			store64(dst, p+24, load64(dst, q+24))
			p += 32
			q += 32
			if p >= end {
				break
			}
		}
		p = end
	}
	if i > len(in) {
		n -= uint(i-len(in)) * 8
		i = len(in)
	}
	o.pos = p
	z.bits, z.n = bits&(1<<n-1), n
	return i
}

// entryAt returns the i-th entry of a table.
func entryAt(table unsafe.Pointer, i uint64) uint32 {
	return *(*uint32)(unsafe.Add(table, i*4))
}

// symbols decodes a symbol that symbolsFast does not know, and those near the end
// of the input, taking nothing of a symbol until all of it is there.
func (z *inflater) symbols(o *output, in []byte, i, last int) (int, symbolsStop) {
	dst := unsafe.Pointer(unsafe.SliceData(o.buf))
	limit := len(o.buf) - inflateRoom
	for o.pos <= limit {
		if z.n < 48 {
			i = z.fill(in, i, 56)
		}
		bits := z.bits
		e := z.lit[bits&(1<<z.litBits-1)]
		if e&entryLink != 0 && e&entryExcept != 0 {
			e = z.lit[uint64(e>>16)+bits>>z.litBits&(1<<(e>>8&15)-1)]
		}
		width := uint(e & 63)
		if width > z.n {
			return i, stopInput
		}
		if int32(e) < 0 {
			store8(dst, o.pos, byte(e>>16))
			o.pos++
			z.drop(width)
		} else if e&entryExcept != 0 {
			if e&entryEnd == 0 {
				return i, stopCode
			}
			z.drop(width)
			return i, stopEnd
		} else {
			length := int(e>>16) + int(bits&(1<<width-1)>>(e>>8&15))
			bits >>= width
			e = z.dist[bits&(1<<z.distBits-1)]
			if e&entryLink != 0 && e&entryExcept != 0 {
				e = z.dist[uint64(e>>16)+bits>>z.distBits&(1<<(e>>8&15)-1)]
			}
			if width += uint(e & 63); width > z.n {
				return i, stopInput
			}
			if e&entryExcept != 0 {
				return i, stopCode
			}
			distance := int(e>>16) + int(bits&(1<<(e&63)-1)>>(e>>8&15))
			if distance > o.pos-o.low {
				return i, stopDistance
			}
			copyMatch(dst, o.pos, distance, length)
			o.pos += length
			z.drop(width)
		}
		if i<<3-int(z.n) <= last {
			return i, stopNot
		}
	}
	return i, stopNot
}
