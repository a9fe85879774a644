package wire

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

// Decoding tables of Deflate's Huffman codes (RFC 1951, 3.2).
//
// A table is indexed by the next rootBits of input, first bit lowest. A code
// that is longer has a subtable behind the root, indexed by the bits that
// follow. Each entry is one word that holds all there is to know of a symbol:
//
//	bits 0-5    bits to consume: the code (in a subtable: all of it) and its extra bits
//	bits 8-11   bits of the code alone; in a link, index bits of the subtable
//	bit  13     end of block
//	bit  14     link to a subtable
//	bit  15     exception: end of block, link, or not a code
//	bits 16-30  literal byte, base of length or distance, or start of the subtable
//	bit  31     literal
const (
	entryEnd     = 1 << 13
	entryLink    = 1 << 14
	entryExcept  = 1 << 15
	entryLiteral = 1 << 31
	entryInvalid = entryExcept
)

const (
	maxCodeLen = 15 // RFC 1951, 3.2.7

	litRootBits  = 10
	distRootBits = 8
	lensRootBits = 7

	// Powers of two, so that a masked index needs no bounds check. The largest
	// tables there can be have 1334 and 402 entries (zlib's examples/enough.c
	// counts them).
	litTableSize  = 2048
	distTableSize = 512
)

type (
	litTable  [litTableSize]uint32
	distTable [distTableSize]uint32
)

// What all streams have in common. It is made for the first of them, as many programs
// never see one, and making it costs a twentieth of the time that the binary takes to start.
var (
	deflateOnce sync.Once

	// Entries of the symbols, without their code's length.
	litEntries  [288]uint32
	distEntries [32]uint32
	lensEntries [19]uint32

	// The tables of fixed blocks (RFC 1951, 3.2.6). Short messages, which is
	// nearly all, come in these.
	fixedLit  litTable
	fixedDist distTable
)

const (
	fixedLitBits  = 9
	fixedDistBits = 5
)

func makeDeflateTables() {
	litEntries, distEntries, lensEntries = makeLitEntries(), makeDistEntries(), makeLensEntries()
	var lens [288]uint8
	for i := range lens {
		switch {
		case i < 144:
			lens[i] = 8
		case i < 256:
			lens[i] = 9
		case i < 280:
			lens[i] = 7
		default:
			lens[i] = 8
		}
	}
	buildTable(fixedLit[:], lens[:], litEntries[:], fixedLitBits)
	for i := range 32 {
		lens[i] = 5
	}
	buildTable(fixedDist[:], lens[:32], distEntries[:], fixedDistBits)
}

// makeLitEntries follows RFC 1951, 3.2.5.
func makeLitEntries() (e [288]uint32) {
	for i := range 256 {
		e[i] = entryLiteral | uint32(i)<<16
	}
	e[256] = entryExcept | entryEnd
	base := uint32(3)
	for i := 257; i < 285; i++ {
		extra := uint32(0)
		if i >= 265 {
			extra = uint32(i-261) >> 2
		}
		e[i] = base<<16 | extra
		base += 1 << extra
	}
	e[285] = 258 << 16
	e[286], e[287] = entryInvalid, entryInvalid
	return e
}

func makeDistEntries() (e [32]uint32) {
	base := uint32(1)
	for i := range 30 {
		extra := uint32(0)
		if i >= 4 {
			extra = uint32(i-2) >> 1
		}
		e[i] = base<<16 | extra
		base += 1 << extra
	}
	e[30], e[31] = entryInvalid, entryInvalid
	return e
}

// makeLensEntries makes the entries of the code length symbols: the symbol in bits
// 16-23, the least number of lengths it stands for from bit 24.
func makeLensEntries() (e [19]uint32) {
	for i := range uint32(16) {
		e[i] = 1<<24 | i<<16
	}
	e[16] = 3<<24 | 16<<16 | 2
	e[17] = 3<<24 | 17<<16 | 3
	e[18] = 11<<24 | 18<<16 | 7
	return e
}

// buildTable fills table for the canonical code (RFC 1951, 3.2.2) in which
// symbol i has lens[i] bits, and returns the index bits of its root, which are
// fewer than rootBits if no code is that long. It returns false if the lengths
// are not a complete code; as in zlib, a code of a single 1-bit symbol is let
// pass, and so is one of no symbols.
//
// The number of lengths is a multiple of 8: the code of a short message leaves
// most symbols out, and they are passed over eight at a time. (Building tables
// is half of what a short message costs that comes in a dynamic block.)
func buildTable(table []uint32, lens []uint8, entries []uint32, rootBits uint) (uint, bool) {
	var count [maxCodeLen + 1]uint16
	for i := 0; i+8 <= len(lens); i += 8 {
		if w := lens[i : i+8 : i+8]; binary.LittleEndian.Uint64(w) != 0 {
			for _, l := range w {
				count[l&15]++
			}
		}
	}
	longest := uint(maxCodeLen)
	for longest > 0 && count[longest] == 0 {
		longest--
	}
	if longest == 0 {
		table[0], table[1] = entryInvalid|1, entryInvalid|1
		return 1, true
	}

	// offsets[l] is where the symbols of length l begin in sorted.
	var offsets [maxCodeLen + 2]uint16
	left := 1
	for l := 1; l <= maxCodeLen; l++ {
		left = left<<1 - int(count[l])
		if left < 0 {
			return 0, false
		}
		offsets[l+1] = offsets[l] + count[l]
	}
	if left > 0 && (longest != 1 || count[1] != 1) {
		return 0, false
	}
	var sorted [288]uint16
	for i := 0; i+8 <= len(lens); i += 8 {
		w := lens[i : i+8 : i+8]
		if binary.LittleEndian.Uint64(w) == 0 {
			continue
		}
		for k, l := range w {
			if l != 0 {
				sorted[offsets[l&15]] = uint16(i + k)
				offsets[l&15]++
			}
		}
	}

	root := min(rootBits, longest)
	if left > 0 {
		table[1] = entryInvalid | 1
	}
	// The codes in increasing order, held with their bits reversed. At length
	// l the root has 2^l entries and each symbol fills one; then the root is
	// doubled for the next length.
	next, code := 0, uint(0)
	l := uint(1)
	for ; l <= root; l++ {
		if half := 1 << (l - 1); next > 0 {
			copy(table[half:2*half], table[:half])
		}
		for range count[l] {
			s := sorted[next]
			next++
			table[code] = codeEntry(entries[s], l)
			code = nextCode(code, l)
		}
	}
	// Longer codes share one subtable for each root prefix, which gets as many
	// index bits as the codes that are left need to fill it.
	prefix, start, subBits := ^uint(0), uint(0), uint(0)
	end := uint(1) << root
	for ; l <= longest; l++ {
		for ; count[l] > 0; count[l]-- {
			if p := code & (1<<root - 1); p != prefix {
				prefix, start, subBits = p, end, l-root
				for used := uint(count[l]); used < 1<<subBits; {
					subBits++
					used = used<<1 + uint(count[root+subBits])
				}
				end += 1 << subBits
				table[prefix] = entryExcept | entryLink | uint32(start)<<16 | uint32(subBits)<<8 | uint32(root)
			}
			e := codeEntry(entries[sorted[next]], l)
			next++
			for i := code >> root; i < 1<<subBits; i += 1 << (l - root) {
				table[start+i] = e
			}
			code = nextCode(code, l)
		}
	}
	return root, true
}

// codeEntry completes the entry of a symbol whose code has l bits.
func codeEntry(e uint32, l uint) uint32 { return e + uint32(l)<<8 + uint32(l) }

// nextCode increments a code of l bits that is held in reversed order.
func nextCode(code, l uint) uint {
	// The carry runs from the last digit, the highest here, down to the first
	// that is 0.
	bit := uint(1) << bits.Len(^code&(1<<l-1)) >> 1
	return code&(bit-1) | bit
}
