package wire

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// backBits reads the bit streams of zstd's entropy coders, which are read from
// their end to their beginning (RFC 8878, 4.1). It loads whole words, and so
// up to zstdPad bytes around the stream; what it reads there counts as more
// than was left, which the reader's user has to look at.
type backBits struct {
	src   unsafe.Pointer
	start int    // index of the stream's first byte
	pos   int    // index of the word in bits
	bits  uint64 // the word
	used  uint   // bits of it that were read, from the highest down
}

// open begins to read src[start:end]. It returns false if the stream does not
// end in the 1 bit that marks its end.
func (r *backBits) open(src unsafe.Pointer, start, end int) bool {
	if start >= end {
		return false
	}
	r.src, r.start, r.pos = src, start, end-8
	r.bits = load64(src, r.pos)
	r.used = uint(bits.LeadingZeros64(r.bits)) + 1
	return r.used <= 8
}

// left returns how many bits are left, less than 0 if too many were read.
func (r *backBits) left() int { return (r.pos-r.start)*8 + 64 - int(r.used) }

// fill makes at least 57 bits ready to be read. It must not be called when
// more than left were read.
func (r *backBits) fill() {
	r.pos -= int(r.used >> 3)
	r.used &= 7
	r.bits = load64(r.src, r.pos)
}

// read returns the next n bits, at most 57 between two fills.
func (r *backBits) read(n uint) uint64 {
	v := r.bits << (r.used & 63) >> 1 >> ((63 - n) & 63)
	r.used += n
	return v
}

// fseScratch is what building tables needs.
type fseScratch struct {
	norm [64]int16 // probabilities of the symbols; -1 is "less than 1"
	next [64]uint16
	syms [512]uint8
}

// readNorm reads the distribution of an FSE table (RFC 8878, 4.1.1) of at most
// maxSyms symbols from src[i:end]. It returns the table's accuracy, the number
// of symbols and the index behind the distribution, or false.
func (s *fseScratch) readNorm(src []byte, i, end int, maxLog uint, maxSyms int) (log uint, n, next int, ok bool) {
	p := unsafe.Pointer(unsafe.SliceData(src))
	pos := i * 8 // in bits
	log = uint(load64(p, i)&15) + 5
	if i >= end || log > maxLog {
		return 0, 0, 0, false
	}
	pos += 4
	left := 1 << log
	for left > 0 {
		if n >= maxSyms || pos > end*8 {
			return 0, 0, 0, false
		}
		w := load64(p, pos>>3) >> (pos & 7)
		// A value from 0 to left+1; the lowest take one bit less.
		width := uint(bits.Len(uint(left + 1)))
		short := 1<<width - 1 - (left + 1)
		v := int(w & (1<<(width-1) - 1))
		if v < short {
			pos += int(width) - 1
		} else {
			v = int(w & (1<<width - 1))
			if v >= 1<<(width-1) {
				v -= short
			}
			pos += int(width)
		}
		v--
		s.norm[n] = int16(v)
		n++
		if v < 0 {
			left--
			continue
		}
		left -= v
		for v == 0 {
			// How many more symbols have none, two bits at a time.
			rep := int(load64(p, pos>>3) >> (pos & 7) & 3)
			pos += 2
			if n+rep > maxSyms || pos > end*8 {
				return 0, 0, 0, false
			}
			for range rep {
				s.norm[n] = 0
				n++
			}
			if rep < 3 {
				break
			}
		}
	}
	next = (pos + 7) >> 3
	// left cannot fall below 0: the values stop at left+1, less 1.
	return log, n, next, next <= end && n > 1
}

// spread lays out the n symbols of norm over a table of 1<<log states, and
// prepares next, for states to be numbered by number (RFC 8878, 4.1.1).
func (s *fseScratch) spread(n int, log uint) {
	size := 1 << log
	mask := size - 1
	high := mask
	for sym, p := range s.norm[:n] {
		if p < 0 {
			s.syms[high&511] = uint8(sym)
			high--
			p = 1
		}
		s.next[sym] = uint16(p)
	}
	step := size>>1 + size>>3 + 3
	pos := 0
	for sym, p := range s.norm[:n] {
		for range p {
			s.syms[pos&511] = uint8(sym)
			pos = (pos + step) & mask
			for pos > high {
				pos = (pos + step) & mask
			}
		}
	}
}

// number returns the next state of a symbol in a table of 1<<log states: how
// many bits its successor takes, and the base they are added to.
func (s *fseScratch) number(sym uint8, log uint) (width uint, base uint) {
	x := uint(s.next[sym&63])
	s.next[sym&63]++
	width = log - uint(bits.Len(x)) + 1
	return width & 63, x<<(width&63) - 1<<log
}

// huffTable is a Huffman code for literals (RFC 8878, 4.2). An entry has the
// symbol in its high byte and the bits of its code in the low one.
type huffTable struct {
	entries [1 << huffMaxBits]uint16
	bits    uint // of the longest code; 0: there is no code yet
}

const (
	huffMaxBits    = 11
	weightsMaxBits = 6
)

// readTable reads the description of a code from src[i:end] (RFC 8878, 4.2.1)
// and returns the index behind it, or -1.
func (h *huffTable) readTable(s *fseScratch, src []byte, i, end int) int {
	h.bits = 0
	if i >= end {
		return -1
	}
	var weights [256]uint8
	n := 0
	head := int(src[i])
	i++
	if head >= 128 {
		n = head - 127
		next := i + (n+1)/2
		if next > end {
			return -1
		}
		for k := 0; k < n; k += 2 {
			weights[k] = src[i] >> 4
			weights[k+1] = src[i] & 15
			i++
		}
		weights[n] = 0
	} else {
		next := i + head
		if next > end {
			return -1
		}
		if n = s.readWeights(&weights, src, i, next); n < 0 {
			return -1
		}
		i = next
	}

	// Weight w stands for a share of 2^(w-1); the last symbol has the rest.
	// Most weights are 0: they are passed over eight at a time.
	clear(weights[n:])
	var count [16]uint16
	for k := 0; k < n; k += 8 {
		if w := weights[k : k+8 : k+8]; binary.LittleEndian.Uint64(w) != 0 {
			for _, w := range w {
				count[w&15]++
			}
		}
	}
	total := uint(0)
	for w := uint(1); w < uint(len(count)); w++ {
		total += uint(count[w]) << (w - 1)
	}
	width := uint(bits.Len(total))
	rest := uint(1)<<width - total
	if total == 0 || width > huffMaxBits || rest&(rest-1) != 0 {
		return -1
	}
	weights[n] = uint8(bits.Len(rest))
	count[weights[n]]++
	if count[1] < 2 {
		return -1 // the longest codes come in pairs
	}

	// The table in order of weight, then symbol. Its shares add up to its size,
	// and those of four entries or more begin at a multiple of four.
	table := unsafe.Pointer(&h.entries)
	var at [huffMaxBits + 2]uint16
	for w := uint(1); w <= width; w++ {
		at[w+1] = at[w] + count[w]<<(w-1)
	}
	for k := 0; k <= n; k += 8 {
		eight := weights[k : k+8 : k+8]
		if binary.LittleEndian.Uint64(eight) == 0 {
			continue
		}
		for sym, w := range eight {
			if w == 0 {
				continue
			}
			e := uint16(k+sym)<<8 | uint16(width+1-uint(w))
			p := at[w]
			size := uint16(1) << (w - 1)
			at[w] += size
			if size < 4 {
				h.entries[p] = e
				h.entries[p+size-1] = e
				continue
			}
			four := uint64(e) * 0x0001000100010001
			for end := int(p+size) * 2; int(p)*2 < end; p += 4 {
				store64(table, int(p)*2, four)
			}
		}
	}
	h.bits = width
	return i
}

// readWeights reads weights coded by FSE from src[i:end] (RFC 8878, 4.2.1.2)
// and returns how many there were, or -1.
func (s *fseScratch) readWeights(weights *[256]uint8, src []byte, i, end int) int {
	log, n, i, ok := s.readNorm(src, i, end, weightsMaxBits, 16)
	if !ok {
		return -1
	}
	s.spread(n, log)
	// A state: the base of the next in bits 16-31, its width in bits 8-15, and
	// the symbol.
	var table [1 << weightsMaxBits]uint32
	for k := range 1 << log {
		sym := s.syms[k]
		width, base := s.number(sym, log)
		table[k&63] = uint32(base)<<16 | uint32(width)<<8 | uint32(sym)
	}
	var r backBits
	if !r.open(unsafe.Pointer(unsafe.SliceData(src)), i, end) {
		return -1
	}
	a, b := r.read(log), r.read(log)
	if r.left() < 0 {
		return -1
	}
	// Two states take turns, four steps to a load while the bits last.
	p, out := r.src, unsafe.Pointer(weights)
	start, pos, used := i, r.pos, r.used
	n = 0
	for n < 250 && (pos-start)*8+64-int(used) >= 4*weightsMaxBits {
		pos -= int(used >> 3)
		used &= 7
		w := load64(p, pos) << used
		e := table[a&63]
		f := table[b&63]
		store8(out, n, byte(e))
		store8(out, n+1, byte(f))
		a = uint64(e>>16) + w>>1>>((63-e>>8)&63)
		w <<= e >> 8 & 63
		b = uint64(f>>16) + w>>1>>((63-f>>8)&63)
		w <<= f >> 8 & 63
		used += uint(e>>8&63 + f>>8&63)
		e = table[a&63]
		f = table[b&63]
		store8(out, n+2, byte(e))
		store8(out, n+3, byte(f))
		a = uint64(e>>16) + w>>1>>((63-e>>8)&63)
		w <<= e >> 8 & 63
		b = uint64(f>>16) + w>>1>>((63-f>>8)&63)
		used += uint(e>>8&63 + f>>8&63)
		n += 4
	}
	// When there are not bits enough for the next of one state, the other has
	// the last symbol.
	for ; n < 254; n++ {
		pos -= int(used >> 3)
		used &= 7
		w := load64(p, pos) << used
		e := table[a&63]
		store8(out, n, byte(e))
		a, b = b, uint64(e>>16)+w>>1>>((63-e>>8)&63)
		if used += uint(e >> 8 & 63); (pos-start)*8+64 < int(used) {
			store8(out, n+1, byte(table[a&63]))
			return n + 2
		}
	}
	return -1
}

// decode decodes the stream src[start:end] to the n symbols dst[p:p+n].
func (h *huffTable) decode(src unsafe.Pointer, start, end int, dst unsafe.Pointer, p, n int) bool {
	var r backBits
	if !r.open(src, start, end) {
		return false
	}
	table, shift := unsafe.Pointer(&h.entries), (64-h.bits)&63
	pos, used := r.pos, r.used
	stop := p + n
	for p+5 <= stop && pos >= start {
		pos -= int(used >> 3)
		used &= 7
		w := load64(src, pos) << used
		for k := range 5 {
			e := huffAt(table, w>>shift)
			store8(dst, p+k, byte(e>>8))
			w <<= e & 63
			used += uint(e & 63)
		}
		p += 5
	}
	r.pos, r.used = pos, used
	return h.finish(&r, dst, p, stop)
}

// decode2 decodes two streams, src[start:mid] to dst[p:q] and src[mid:end] to
// dst[q:qstop], side by side: a symbol can only be looked up when the one
// before it has been, which leaves the processor time for another.
func (h *huffTable) decode2(src unsafe.Pointer, start, mid, end int, dst unsafe.Pointer, p, q, qstop int) bool {
	var r, s backBits
	if !r.open(src, start, mid) || !s.open(src, mid, end) {
		return false
	}
	table, shift := unsafe.Pointer(&h.entries), (64-h.bits)&63
	rpos, rused, spos, sused := r.pos, r.used, s.pos, s.used
	stop := q
	for p+5 <= stop && q+5 <= qstop && rpos >= start && spos >= mid {
		rpos -= int(rused >> 3)
		rused &= 7
		v := load64(src, rpos) << rused
		spos -= int(sused >> 3)
		sused &= 7
		w := load64(src, spos) << sused

		e := huffAt(table, v>>shift)
		f := huffAt(table, w>>shift)
		store8(dst, p, byte(e>>8))
		store8(dst, q, byte(f>>8))
		v <<= e & 63
		w <<= f & 63
		rused += uint(e & 63)
		sused += uint(f & 63)

		e = huffAt(table, v>>shift)
		f = huffAt(table, w>>shift)
		store8(dst, p+1, byte(e>>8))
		store8(dst, q+1, byte(f>>8))
		v <<= e & 63
		w <<= f & 63
		rused += uint(e & 63)
		sused += uint(f & 63)

		e = huffAt(table, v>>shift)
		f = huffAt(table, w>>shift)
		store8(dst, p+2, byte(e>>8))
		store8(dst, q+2, byte(f>>8))
		v <<= e & 63
		w <<= f & 63
		rused += uint(e & 63)
		sused += uint(f & 63)

		e = huffAt(table, v>>shift)
		f = huffAt(table, w>>shift)
		store8(dst, p+3, byte(e>>8))
		store8(dst, q+3, byte(f>>8))
		v <<= e & 63
		w <<= f & 63
		rused += uint(e & 63)
		sused += uint(f & 63)

		e = huffAt(table, v>>shift)
		f = huffAt(table, w>>shift)
		store8(dst, p+4, byte(e>>8))
		store8(dst, q+4, byte(f>>8))
		rused += uint(e & 63)
		sused += uint(f & 63)
		p += 5
		q += 5
	}
	r.pos, r.used, s.pos, s.used = rpos, rused, spos, sused
	return h.finish(&r, dst, p, stop) && h.finish(&s, dst, q, qstop)
}

// finish decodes the last symbols of a stream, to dst[p:stop], and reports
// whether the stream ended with the last.
func (h *huffTable) finish(r *backBits, dst unsafe.Pointer, p, stop int) bool {
	table, shift := unsafe.Pointer(&h.entries), (64-h.bits)&63
	for p < stop {
		if r.left() <= 0 {
			return false
		}
		r.fill()
		w := r.bits << (r.used & 63)
		for five := min(p+5, stop); p < five; p++ {
			e := huffAt(table, w>>shift)
			store8(dst, p, byte(e>>8))
			w <<= e & 63
			r.used += uint(e & 63)
		}
	}
	return r.left() == 0
}

func huffAt(table unsafe.Pointer, i uint64) uint32 {
	return uint32(*(*uint16)(unsafe.Add(table, i*2)))
}
