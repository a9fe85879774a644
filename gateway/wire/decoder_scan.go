package wire

import (
	"math/bits"
	"unsafe"
)

// valueScanner finds the end of a JSON or ETF value that arrives in pieces. It
// looks at every byte once, however small the pieces are.
type valueScanner struct {
	pos    int    // bytes of the value that were looked at
	depth  int    // JSON: brackets that are open
	quoted bool   // JSON: inside a string
	terms  uint64 // ETF: terms that are still to come
}

// json returns the index behind the object or array that b begins with, or -1
// if it is not complete. The next call must be given a longer b. It counts
// brackets, eight bytes at a time and without a branch on what they are, which
// takes half the time of going from string to string.
func (v *valueScanner) json(b []byte) int {
	i, depth := v.pos, v.depth
	quoted := uint64(0) // 1 in each byte if inside a string
	if v.quoted {
		quoted = swarOnes
	}
	p := unsafe.Pointer(unsafe.SliceData(b))
	for i+8 <= len(b) {
		w := load64(p, i)
		// The product has in each byte how many quotes there are up to it, so that in
		// has 1 in each from an opening quote to before the closing one.
		in := (markBytes(w^'"'*swarOnes)*swarOnes ^ quoted) & swarOnes
		brackets := w | 0x20*swarOnes
		opened := bits.OnesCount64(markBytes(brackets^'{'*swarOnes) &^ in)
		closed := bits.OnesCount64(markBytes(brackets^'}'*swarOnes) &^ in)
		if depth <= closed || zeroBytes(w^'\\'*swarOnes) != 0 {
			// The value may end here, or something is escaped.
			v.quoted, v.depth = quoted != 0, depth
			next, end := v.bytes(b, i, i+8)
			if end || next == i {
				v.pos = next
				return v.found(end)
			}
			i, depth = next, v.depth
			quoted = 0
			if v.quoted {
				quoted = swarOnes
			}
			continue
		}
		depth += opened - closed
		quoted = in >> 56 * swarOnes
		i += 8
	}
	v.quoted, v.depth = quoted != 0, depth
	next, end := v.bytes(b, i, len(b))
	v.pos = next
	return v.found(end)
}

func (v *valueScanner) found(end bool) int {
	if end {
		return v.pos
	}
	return -1
}

// bytes looks at b[i:stop] byte by byte, and one farther if that is escaped. It
// returns the index that it came to and whether the value ends there. At an
// escape whose other half has not come yet it stays.
func (v *valueScanner) bytes(b []byte, i, stop int) (int, bool) {
	for i < stop {
		c := b[i]
		switch {
		case v.quoted && c == '\\':
			if i+1 == len(b) {
				return i, false
			}
			i++
		case c == '"':
			v.quoted = !v.quoted
		case v.quoted:
		case c == '{' || c == '[':
			v.depth++
		case c == '}' || c == ']':
			if v.depth--; v.depth == 0 {
				return i + 1, true
			}
		}
		i++
	}
	return i, false
}

// mayBeJoined reports whether an object may end and another begin in b: whether
// there are two braces as between them, in a string perhaps. It looks at all of a
// message and so does no more than it must: for white space between the two, which
// servers write nowhere, it does not look.
func mayBeJoined(b []byte) bool {
	p := unsafe.Pointer(unsafe.SliceData(b))
	i := 0
	for i+33 <= len(b) {
		// A byte of these is 0 where a closing brace is followed by an opening one.
		m := zeroBytes((load64(p, i)^'}'*swarOnes)|(load64(p, i+1)^'{'*swarOnes)) |
			zeroBytes((load64(p, i+8)^'}'*swarOnes)|(load64(p, i+9)^'{'*swarOnes)) |
			zeroBytes((load64(p, i+16)^'}'*swarOnes)|(load64(p, i+17)^'{'*swarOnes)) |
			zeroBytes((load64(p, i+24)^'}'*swarOnes)|(load64(p, i+25)^'{'*swarOnes))
		if m != 0 {
			return true
		}
		i += 32
	}
	for ; i+1 < len(b); i++ {
		if b[i] == '}' && b[i+1] == '{' {
			return true
		}
	}
	return false
}

// markBytes returns 1 in each byte of w that is zero and 0 in the others. It
// is exact, which zeroBytes is not.
func markBytes(w uint64) uint64 {
	return ^((w&^swarHighs + ^uint64(swarHighs)) | w | ^uint64(swarHighs)) >> 7
}

// etf is json for a message of ETF.
func (v *valueScanner) etf(b []byte) (int, error) {
	if v.pos == 0 {
		if b[0] != etfVersion {
			return 0, errorAt("etf: message does not begin with version 131", 0)
		}
		v.pos, v.terms = 1, 1
	}
	var err error
	if v.pos, v.terms, err = skipTerms(b, v.pos, v.terms); err != nil {
		return 0, err
	}
	if v.terms > 0 || v.pos > len(b) {
		return -1, nil
	}
	return v.pos, nil
}
