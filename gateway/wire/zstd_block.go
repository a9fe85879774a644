package wire

import (
	"sync"
	"unsafe"
)

// seqTable is the FSE table of one of the three fields of sequences.
type seqTable struct {
	states []seqEntry // nil: there is none to repeat
	log    uint
	own    [1 << 9]seqEntry // memory for tables that blocks bring
}

// seqEntry is a state of an FSE table, and the code that it stands for:
//
//	bits 0-7    bits to read for the next state
//	bits 8-15   extra bits of the code
//	bits 16-31  base of the next state
//	bits 32-63  base of the code
type seqEntry uint64

const (
	seqLit = iota // length of literals
	seqOff        // offset
	seqLen        // length of match
)

// What RFC 8878, 3.1.1.3.2.1 says of the three fields: how exact a table may
// be, and its codes.
var (
	seqMaxLog = [3]uint{9, 8, 9}
	seqCodes  [3][]seqEntry
)

func makeCodes(first uint32, plain int, extras ...uint8) (codes []seqEntry) {
	base := uint64(first)
	for range plain {
		codes = append(codes, seqEntry(base<<32))
		base++
	}
	for _, extra := range extras {
		codes = append(codes, seqEntry(base<<32|uint64(extra)<<8))
		base += 1 << extra
	}
	return codes
}

func litLenCodes() []seqEntry {
	return makeCodes(0, 16, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
}

func matchLenCodes() []seqEntry {
	return makeCodes(3, 32, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
}

func offsetCodes() (codes []seqEntry) {
	for code := range uint64(32) {
		codes = append(codes, seqEntry(1<<code<<32|code<<8))
	}
	return codes
}

// The tables that are not sent (RFC 8878, 3.1.1.3.2.2).
var (
	seqDefaultLogs = [3]uint{6, 5, 6}
	seqDefaults    [3][]seqEntry
)

// zstdOnce is for makeZstdTables, as deflateOnce is for Deflate's.
var zstdOnce sync.Once

func makeZstdTables() {
	seqCodes = [3][]seqEntry{litLenCodes(), offsetCodes(), matchLenCodes()}
	norms := [3][]int16{
		{4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1},
		{1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1},
		{1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
			1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1},
	}
	var s fseScratch
	for field, norm := range norms {
		log := seqDefaultLogs[field]
		seqDefaults[field] = make([]seqEntry, 1<<log)
		s.build(seqDefaults[field], copy(s.norm[:], norm), log, seqCodes[field])
	}
}

// build makes the table of the distribution of n symbols in s.
func (s *fseScratch) build(table []seqEntry, n int, log uint, codes []seqEntry) {
	s.spread(n, log)
	for k := range table {
		sym := s.syms[k&511]
		width, base := s.number(sym, log)
		table[k] = codes[sym] | seqEntry(base<<16|width)
	}
}

// read makes t what mode and src[i:end] say (RFC 8878, 3.1.1.3.2.1) and
// returns the index behind the description, or -1.
func (t *seqTable) read(s *fseScratch, field int, mode byte, src []byte, i, end int) int {
	codes := seqCodes[field]
	switch mode {
	case 0: // predefined
		t.states, t.log = seqDefaults[field], seqDefaultLogs[field]
	case 1: // one code only
		if i >= end || int(src[i]) >= len(codes) {
			return -1
		}
		t.own[0] = codes[src[i]]
		t.states, t.log = t.own[:1], 0
		i++
	case 2:
		log, n, next, ok := s.readNorm(src, i, end, seqMaxLog[field], len(codes))
		if !ok {
			return -1
		}
		t.states, t.log = t.own[:1<<log], log
		s.build(t.states, n, log, codes)
		i = next
	default: // repeat
		if t.states == nil {
			return -1
		}
	}
	return i
}

// compressed decodes the compressed block of n bytes in pend (RFC 8878,
// 3.1.1.3) and returns how many bytes it made.
func (z *zstdReader) compressed(o *output, n int) (int, *Error) {
	src, i, end := z.pend, zstdPad, zstdPad+n
	lits, i, err := z.literals(src, i, end)
	if err != nil {
		return 0, err
	}

	// The header of the sequences (3.1.1.3.2.1).
	if i >= end {
		return 0, errorAt("zstd: block is cut short", i-zstdPad)
	}
	count := int(src[i])
	i++
	switch {
	case count == 255:
		count = int(src[i]) + int(src[i+1])<<8 + 0x7f00
		i += 2
	case count >= 128:
		count = (count-128)<<8 + int(src[i])
		i++
	}
	if count == 0 {
		if i != end {
			return 0, errorAt("zstd: bytes behind the literals", i-zstdPad)
		}
		o.room(len(lits))
		o.pos += copy(o.buf[o.pos:], lits)
		return len(lits), nil
	}
	if i >= end || src[i]&3 != 0 {
		return 0, errorAt("zstd: bad header of sequences", i-zstdPad)
	}
	modes := src[i]
	i++
	for field, shift := range [3]uint{6, 4, 2} {
		next := z.seqs[field].read(&z.scratch, field, modes>>shift&3, src, i, end)
		if next < 0 {
			return 0, errorAt("zstd: bad table of sequences", i-zstdPad)
		}
		i = next
	}
	return z.sequences(o, i, end, count, lits)
}

// literals reads the literals section (RFC 8878, 3.1.1.3.1). There are at
// least zstdPad bytes of memory behind the literals it returns.
func (z *zstdReader) literals(src []byte, i, end int) ([]byte, int, *Error) {
	if i >= end {
		return nil, 0, errorAt("zstd: block is cut short", i-zstdPad)
	}
	p := unsafe.Pointer(unsafe.SliceData(src))
	head := load64(p, i)
	kind, format := head&3, head>>2&3
	var size, packed, streams int
	if kind < 2 {
		switch format {
		case 0, 2:
			size = int(head >> 3 & 0x1f)
			i++
		case 1:
			size = int(head >> 4 & 0xfff)
			i += 2
		default:
			size = int(head >> 4 & 0xfffff)
			i += 3
		}
		packed = size
		if kind == 1 {
			packed = 1
		}
	} else {
		width, bytes := uint(10), 3
		streams = 4
		switch format {
		case 0:
			streams = 1
		case 2:
			width, bytes = 14, 4
		case 3:
			width, bytes = 18, 5
		}
		size = int(head >> 4 & (1<<width - 1))
		packed = int(head >> (4 + width) & (1<<width - 1))
		i += bytes
	}
	if i+packed > end || size > z.maxBlock {
		return nil, 0, errorAt("zstd: bad size of literals", i-zstdPad)
	}
	next := i + packed
	if kind == 0 {
		return src[i:next], next, nil
	}
	if len(z.lits) < size+zstdPad {
		z.lits = make([]byte, max(2*size, 1<<10)+zstdPad)
	}
	lits := z.lits[:size]
	if kind == 1 {
		for k := range lits {
			lits[k] = src[i]
		}
		return lits, next, nil
	}
	if kind == 2 {
		if i = z.huff.readTable(&z.scratch, src, i, next); i < 0 {
			return nil, 0, errorAt("zstd: bad table of literals", next-packed-zstdPad)
		}
	} else if z.huff.bits == 0 {
		return nil, 0, errorAt("zstd: no table of literals", i-zstdPad)
	}
	dst := unsafe.Pointer(unsafe.SliceData(lits))
	if streams == 1 {
		if !z.huff.decode(p, i, next, dst, 0, size) {
			return nil, 0, errorAt("zstd: bad literals", i-zstdPad)
		}
		return lits, next, nil
	}
	// Four streams, of which the first three tell their sizes (3.1.1.3.1.6).
	part := (size + 3) / 4
	if i+6 > next || 3*part > size {
		return nil, 0, errorAt("zstd: bad size of literals", i-zstdPad)
	}
	sizes := load64(p, i)
	i += 6
	end1 := i + int(sizes&0xffff)
	end2 := end1 + int(sizes>>16&0xffff)
	end3 := end2 + int(sizes>>32&0xffff)
	if end3 > next || !z.huff.decode2(p, i, end1, end2, dst, 0, part, 2*part) ||
		!z.huff.decode2(p, end2, end3, next, dst, 2*part, 3*part, size) {
		return nil, 0, errorAt("zstd: bad literals", i-zstdPad)
	}
	return lits, next, nil
}

// sequences decodes the count sequences in pend[start:end] and carries them
// out (RFC 8878, 3.1.1.3.2 and 3.1.1.4).
func (z *zstdReader) sequences(o *output, start, end, count int, lits []byte) (int, *Error) {
	src := unsafe.Pointer(unsafe.SliceData(z.pend))
	var r backBits
	if !r.open(src, start, end) {
		return 0, errorAt("zstd: sequences have no end", end-zstdPad)
	}
	llTable := unsafe.Pointer(unsafe.SliceData(z.seqs[seqLit].states))
	ofTable := unsafe.Pointer(unsafe.SliceData(z.seqs[seqOff].states))
	mlTable := unsafe.Pointer(unsafe.SliceData(z.seqs[seqLen].states))
	ll := r.read(z.seqs[seqLit].log)
	of := r.read(z.seqs[seqOff].log)
	ml := r.read(z.seqs[seqLen].log)
	if r.left() < 0 {
		return 0, errorAt("zstd: sequences are cut short", start-zstdPad)
	}
	pos, used := r.pos, r.used
	rep0, rep1, rep2 := z.reps[0], z.reps[1], z.reps[2]

	lit, litEnd := unsafe.Pointer(unsafe.SliceData(lits)), len(lits)
	litPos := 0
	dst := unsafe.Pointer(unsafe.SliceData(o.buf))
	p, low, window := o.pos, o.low, z.window
	left := z.maxBlock // what the block may still make
	room := len(o.buf) - zstdPad
	for {
		llEntry := seqAt(llTable, ll)
		ofEntry := seqAt(ofTable, of)
		mlEntry := seqAt(mlTable, ml)

		// Offset, match length, literal length: at most 31, 16 and 16 bits.
		pos -= int(used >> 3)
		used &= 7
		w := load64(src, pos) << (used & 63)
		width := uint(ofEntry >> 8 & 0xff)
		offset := ofEntry>>32 + w>>1>>((63-width)&63)
		w <<= width & 63
		used += width
		width = uint(mlEntry >> 8 & 0xff)
		length := int(mlEntry>>32 + w>>1>>((63-width)&63))
		used += width
		pos -= int(used >> 3)
		used &= 7
		w = load64(src, pos) << (used & 63)
		width = uint(llEntry >> 8 & 0xff)
		litLen := int(llEntry>>32 + w>>1>>((63-width)&63))
		w <<= width & 63
		used += width

		// The next states: at most 9, 9 and 8 bits.
		if count--; count > 0 {
			width = uint(llEntry & 0xff)
			ll = llEntry>>16&0xffff + w>>1>>((63-width)&63)
			w <<= width & 63
			used += width
			width = uint(mlEntry & 0xff)
			ml = mlEntry>>16&0xffff + w>>1>>((63-width)&63)
			w <<= width & 63
			used += width
			width = uint(ofEntry & 0xff)
			of = ofEntry>>16&0xffff + w>>1>>((63-width)&63)
			used += width
		}
		if pos < start-8 {
			return 0, errorAt("zstd: sequences are cut short", start-zstdPad)
		}

		// Repeat offsets (3.1.1.5).
		if offset > 3 {
			offset -= 3
			rep0, rep1, rep2 = uint32(offset), rep0, rep1
		} else {
			if litLen == 0 {
				offset++
			}
			switch offset {
			case 1:
				offset = uint64(rep0)
			case 2:
				rep0, rep1 = rep1, rep0
				offset = uint64(rep0)
			case 3:
				rep0, rep1, rep2 = rep2, rep0, rep1
				offset = uint64(rep0)
			default:
				rep0, rep1, rep2 = rep0-1, rep0, rep1
				offset = uint64(rep0)
			}
		}

		if left -= litLen + length; left < 0 {
			return 0, errorAt("zstd: block is too large", start-zstdPad)
		}
		if litLen > litEnd-litPos {
			return 0, errorAt("zstd: not so many literals", start-zstdPad)
		}
		if p+litLen+length > room {
			o.pos = p
			o.room(litLen + length + zstdPad)
			p, low = o.pos, o.low
			dst = unsafe.Pointer(unsafe.SliceData(o.buf))
			room = len(o.buf) - zstdPad
		}
		store64(dst, p, load64(lit, litPos))
		store64(dst, p+8, load64(lit, litPos+8))
		for k := 16; k < litLen; k += 16 {
			store64(dst, p+k, load64(lit, litPos+k))
			store64(dst, p+k+8, load64(lit, litPos+k+8))
		}
		p += litLen
		litPos += litLen

		if offset-1 >= uint64(min(p-low, window)) {
			return 0, errorAt("zstd: match reaches before the beginning", start-zstdPad)
		}
		if offset >= 8 {
			stop := p + length
			q := p - int(offset)
			for {
				store64(dst, p, load64(dst, q))
				store64(dst, p+8, load64(dst, q+8))
				store64(dst, p+16, load64(dst, q+16))
				store64(dst, p+24, load64(dst, q+24))
				p += 32
				q += 32
				if p >= stop {
					break
				}
			}
			p = stop
		} else {
			copyMatch(dst, p, int(offset), length)
			p += length
		}
		if count == 0 {
			break
		}
	}
	r.pos, r.used = pos, used
	if r.left() != 0 {
		return 0, errorAt("zstd: sequences have bits left", start-zstdPad)
	}
	z.reps = [3]uint32{rep0, rep1, rep2}

	// What literals are left.
	o.pos = p
	rest := lits[litPos:]
	if left -= len(rest); left < 0 {
		return 0, errorAt("zstd: block is too large", start-zstdPad)
	}
	o.room(len(rest))
	o.pos += copy(o.buf[o.pos:], rest)
	return z.maxBlock - left, nil
}

func seqAt(table unsafe.Pointer, i uint64) uint64 {
	return *(*uint64)(unsafe.Add(table, i*8))
}
