package wire

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// xxh64 is the 64-bit hash of xxHash with seed 0, of which the checksum of a
// zstd frame is the lower half (RFC 8878, 3.1.1).
type xxh64 struct {
	lanes [4]uint64
	total uint64
	tail  [32]byte // what does not fill a round yet
	n     int
}

const (
	xxPrime1 = 0x9e3779b185ebca87
	xxPrime2 = 0xc2b2ae3d27d4eb4f
	xxPrime3 = 0x165667b19e3779f9
	xxPrime4 = 0x85ebca77c2b2ae63
	xxPrime5 = 0x27d4eb2f165667c5
)

func (h *xxh64) reset() {
	p1, p2 := uint64(xxPrime1), uint64(xxPrime2)
	h.lanes = [4]uint64{p1 + p2, p2, 0, -p1}
	h.total, h.n = 0, 0
}

func (h *xxh64) write(b []byte) {
	h.total += uint64(len(b))
	if h.n > 0 {
		k := copy(h.tail[h.n:], b)
		h.n += k
		b = b[k:]
		if h.n < len(h.tail) {
			return
		}
		h.rounds(h.tail[:])
	}
	h.rounds(b)
	h.n = copy(h.tail[:], b[len(b)&^31:])
}

func (h *xxh64) rounds(b []byte) {
	l0, l1, l2, l3 := h.lanes[0], h.lanes[1], h.lanes[2], h.lanes[3]
	p := unsafe.Pointer(unsafe.SliceData(b))
	for i := 0; i <= len(b)-32; i += 32 {
		l0 = xxRound(l0, load64(p, i))
		l1 = xxRound(l1, load64(p, i+8))
		l2 = xxRound(l2, load64(p, i+16))
		l3 = xxRound(l3, load64(p, i+24))
	}
	h.lanes = [4]uint64{l0, l1, l2, l3}
}

func xxRound(lane, v uint64) uint64 {
	return bits.RotateLeft64(lane+v*xxPrime2, 31) * xxPrime1
}

func (h *xxh64) sum() uint64 {
	s := uint64(xxPrime5)
	if h.total >= 32 {
		l := &h.lanes
		s = bits.RotateLeft64(l[0], 1) + bits.RotateLeft64(l[1], 7) + bits.RotateLeft64(l[2], 12) + bits.RotateLeft64(l[3], 18)
		for _, lane := range l {
			s = (s^xxRound(0, lane))*xxPrime1 + xxPrime4
		}
	}
	s += h.total
	b := h.tail[:h.n]
	for ; len(b) >= 8; b = b[8:] {
		s = bits.RotateLeft64(s^xxRound(0, binary.LittleEndian.Uint64(b)), 27)*xxPrime1 + xxPrime4
	}
	if len(b) >= 4 {
		s = bits.RotateLeft64(s^uint64(binary.LittleEndian.Uint32(b))*xxPrime1, 23)*xxPrime2 + xxPrime3
		b = b[4:]
	}
	for _, c := range b {
		s = bits.RotateLeft64(s^uint64(c)*xxPrime5, 11) * xxPrime1
	}
	s = (s ^ s>>33) * xxPrime2
	s = (s ^ s>>29) * xxPrime3
	return s ^ s>>32
}
