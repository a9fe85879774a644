package wire

import (
	"math"
	"math/bits"
	"unsafe"
)

// Erlang's external term format, version 131
// (erlang.org/doc/apps/erts/erl_ext_dist.html).
const (
	etfVersion = 131

	tagNewFloat      = 70
	tagCompressed    = 80
	tagSmallInt      = 97
	tagInt           = 98
	tagFloat         = 99
	tagAtom          = 100
	tagSmallTuple    = 104
	tagLargeTuple    = 105
	tagNil           = 106
	tagString        = 107
	tagList          = 108
	tagBinary        = 109
	tagSmallBig      = 110
	tagLargeBig      = 111
	tagSmallAtom     = 115
	tagMap           = 116
	tagAtomUTF8      = 118
	tagSmallAtomUTF8 = 119
)

// termShape tells how to step over the head of a term: a length of n stands
// behind the tag, fixed bytes and perhaps n more belong to the head, and some
// terms follow it. So a term is stepped over without a branch on its kind.
//
//	bits 0-7    fixed; 0: there is no such term
//	bits 8-13   64 less the bits of the length; 63: there is none
//	bit  16     the head has n bytes more
//	bit  17     one term follows, besides
//	bits 18-19  n times as many terms that follow
type termShape uint32

func (s termShape) fixed() int      { return int(s & 0xff) }
func (s termShape) lenBytes() int   { return 8 - int(s>>11&7) }
func (s termShape) hasLength() bool { return s>>8&63 != 63 }

const (
	shapeNoLen = 63 << 8
	shapeLen8  = 56 << 8
	shapeLen16 = 48 << 8
	shapeLen32 = 32 << 8
	shapeBytes = 1 << 16
	shapeTail  = 1 << 17
	shapeTerms = 1 << 18
)

var termShapes = [256]termShape{
	tagNewFloat:      9 | shapeNoLen,
	tagSmallInt:      2 | shapeNoLen,
	tagInt:           5 | shapeNoLen,
	tagFloat:         32 | shapeNoLen,
	tagAtom:          3 | shapeLen16 | shapeBytes,
	tagSmallTuple:    2 | shapeLen8 | shapeTerms,
	tagLargeTuple:    5 | shapeLen32 | shapeTerms,
	tagNil:           1 | shapeNoLen,
	tagString:        3 | shapeLen16 | shapeBytes,
	tagList:          5 | shapeLen32 | shapeTail | shapeTerms,
	tagBinary:        5 | shapeLen32 | shapeBytes,
	tagSmallBig:      3 | shapeLen8 | shapeBytes,
	tagLargeBig:      6 | shapeLen32 | shapeBytes,
	tagSmallAtom:     2 | shapeLen8 | shapeBytes,
	tagMap:           5 | shapeLen32 | 2*shapeTerms,
	tagAtomUTF8:      3 | shapeLen16 | shapeBytes,
	tagSmallAtomUTF8: 2 | shapeLen8 | shapeBytes,
}

// maxTerm is more bytes, or terms, than any term has, and few enough that an
// index can be moved by them where int has 32 bits.
const maxTerm = 1 << 30

// skipTerms steps over as many terms from b[i:] on. It returns the index behind
// the last and 0, or, where b ends before that, how far it got and how many
// are left: call it again with a longer b. The index may lie behind the end of
// b, when the content of a term does.
//
// It counts terms instead of following their nesting, so depth costs nothing,
// and an arity means nothing until the terms are there.
func skipTerms(b []byte, i int, terms uint64) (int, uint64, error) {
	src, last := unsafe.Pointer(unsafe.SliceData(b)), len(b)-8
	for terms > 0 && i <= last {
		w := load64(src, i)
		shape := termShapes[w&0xff]
		if shape == 0 {
			return i, terms, errorAt("etf: unknown term", i)
		}
		// The length's bytes from the top of a word down, or 0 where shape has
		// the odd number of shapeNoLen, moved to the bottom.
		n := uint64(bits.ReverseBytes32(uint32(w>>8))) << 32 & -uint64(shape>>8&1^1) >> (shape >> 8 & 63)
		if n > maxTerm {
			return i, terms, errorAt("etf: term is too large", i)
		}
		i += int(shape&0xff) + int(n&-uint64(shape>>16&1))
		terms += uint64(shape>>17&1) + n*uint64(shape>>18) - 1
	}
	// Near the end the head itself may not be complete.
	for terms > 0 && i < len(b) {
		shape := termShapes[b[i]]
		if shape == 0 {
			return i, terms, errorAt("etf: unknown term", i)
		}
		n := uint64(0)
		if shape.hasLength() {
			size := shape.lenBytes()
			if i+1+size > len(b) {
				break
			}
			if n = bigEndian(b[i+1 : i+1+size]); n > maxTerm {
				return i, terms, errorAt("etf: term is too large", i)
			}
		}
		i += shape.fixed() + int(n&-uint64(shape>>16&1))
		terms += uint64(shape>>17&1) + n*uint64(shape>>18) - 1
	}
	return i, terms, nil
}

// ScanETF reads the envelope of an ETF message into m. Data holds the payload
// as the bytes of its term, which AppendJSON translates. Where only the payload,
// or the payload and s, are left of the envelope, the payload is not looked at,
// else it is stepped over; whether it makes sense shows when it is translated.
func ScanETF(b []byte, m *Message) error {
	*m = Message{Op: -1, Seq: -1}
	if len(b) < 6 || b[0] != etfVersion || b[1] != tagMap {
		return errorAt("message is not an ETF map", 0)
	}
	pairs := bigEndian(b[2:6])
	i := 6
	for ; pairs > 0; pairs-- {
		j, left, err := skipTerms(b, i, 1)
		if err == nil && (left > 0 || j >= len(b)) {
			err = errorAt("etf: message is cut short", i)
		}
		if err != nil {
			return err
		}
		if string(b[i:j]) == "m\x00\x00\x00\x01d" && scanTailETF(b, j, pairs, m) {
			return nil
		}
		end, left, err := skipTerms(b, j, 1)
		if err == nil && (left > 0 || end > len(b)) {
			err = errorAt("etf: message is cut short", j)
		}
		if err != nil {
			return err
		}
		key, _ := termText(b[i:j])
		value := b[j:end]
		switch string(key) {
		case "op":
			n, ok := termInt(value)
			if !ok || n < 0 || n > 1<<16 {
				return errorAt("op is not an opcode", j)
			}
			m.Op = int(n)
		case "s":
			m.Seq = -1
			if n, ok := termInt(value); ok && n >= 0 {
				m.Seq = n
			}
		case "t":
			m.Type = nil
			if text, atom := termText(value); !atom || !isNilAtom(text) {
				m.Type = text
			}
		case "d":
			m.Data = value
		}
		i = end
	}
	if i < len(b) {
		return errorAt("etf: bytes behind the message", i)
	}
	if m.Op < 0 {
		return errorAt("message has no op", 0)
	}
	return nil
}

// scanTailETF completes m without looking into the payload that starts at d,
// in a message of which the payload's and pairs-1 more pairs are left. It
// reports false where that cannot be done.
//
// As in Scan, no keys but op, t, s and d are reckoned with: were the last pair
// an unknown one, its value might end in what looks like an s.
func scanTailETF(b []byte, d int, pairs uint64, m *Message) bool {
	if m.Op < 0 || pairs > 2 || pairs == 2 && (m.Op != 0 || len(m.Type) == 0 || m.Seq >= 0) {
		return false
	}
	end := len(b)
	if pairs == 2 {
		const key = "m\x00\x00\x00\x01s"
		for _, size := range [2]int{2, 5} { // of SMALL_INTEGER_EXT and INTEGER_EXT
			value := len(b) - size
			if value-len(key) > d && b[value] == [6]byte{2: tagSmallInt, 5: tagInt}[size] && string(b[value-len(key):value]) == key {
				n, _ := termInt(b[value:])
				if n < 0 {
					return false
				}
				m.Seq = n
				end = value - len(key)
				break
			}
		}
		if m.Seq < 0 {
			return false
		}
	}
	m.Data = b[d:end]
	return true
}

// termText returns the text of a complete term that is a binary or an atom,
// and nil for any other.
func termText(term []byte) (text []byte, atom bool) {
	switch term[0] {
	case tagBinary:
		return term[5:], false
	case tagSmallAtom, tagSmallAtomUTF8:
		return term[2:], true
	case tagAtom, tagAtomUTF8:
		return term[3:], true
	}
	return nil, false
}

// isNilAtom reports whether an atom stands for null.
func isNilAtom(name []byte) bool { return string(name) == "nil" || string(name) == "null" }

// termInt returns the integer of a complete term that is one, in whichever way
// a codec may have written it: as integer, float or text.
func termInt(term []byte) (int64, bool) {
	switch term[0] {
	case tagSmallInt:
		return int64(term[1]), true
	case tagInt:
		return int64(int32(bigEndian(term[1:5]))), true
	case tagNewFloat:
		f := math.Float64frombits(bigEndian(term[1:9]))
		return int64(f), f == math.Trunc(f) && math.Abs(f) <= maxSafeInt
	case tagSmallBig:
		n, ok := bigUint64(term[3:])
		if !ok || n > math.MaxInt64 {
			return 0, false
		}
		if term[2] != 0 {
			return -int64(n), true
		}
		return int64(n), true
	case tagBinary:
		return Int(term[5:])
	}
	return 0, false
}

// bigEndian returns the integer that b is.
func bigEndian(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

// bigUint64 returns the value of a little-endian magnitude, if it fits.
func bigUint64(magnitude []byte) (n uint64, ok bool) {
	for k, c := range magnitude {
		if k >= 8 {
			if c != 0 {
				return 0, false
			}
			continue
		}
		n |= uint64(c) << (8 * k)
	}
	return n, true
}
