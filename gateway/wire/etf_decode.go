package wire

import (
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"
)

const (
	// maxDepth is how deep terms and JSON values may be nested in each other.
	maxDepth = 1024
	// maxBigBytes is the size of an integer that is still turned into digits,
	// of which it has 617: that takes time by the square of its size.
	maxBigBytes = 256
	// A text may have maxTextRatio times the bytes of its term, and maxTextLeast more:
	// escapes and lists of bytes take up to six times as many.
	maxTextRatio = 2
	maxTextLeast = 64 << 10
	// maxSafeInt is 2^53: beyond it a float64, and so a JavaScript number, no
	// longer holds every integer.
	maxSafeInt = 1 << 53
)

// level is a container that is being translated.
type level struct {
	left uint32 // terms still to come
	kind byte   // tagMap, tagList or tagSmallTuple
}

// AppendJSON appends the JSON text of an ETF term to dst: the values that the
// server would have sent with encoding=json.
//
// Binaries and atoms are strings, but the atoms nil, null, true and false what
// they say; tuples are arrays, and so are STRING_EXT terms (lists of bytes; a
// text is a binary). Integers beyond ±2^53, which a JavaScript number cannot
// hold, are strings of digits, as snowflakes are in JSON. Floats are written as
// JavaScript does, those that are not numbers as null, and those beyond ±2^53 with an
// exponent, so that nobody takes them for such integers. Map keys may be binaries,
// atoms, or numbers; duplicate keys stand as they come.
func AppendJSON(dst, term []byte) ([]byte, error) {
	i := 0
	if len(term) > 0 && term[0] == etfVersion {
		i = 1
	}
	// The text is written into all of dst's memory, at p. At the head of the
	// loop there is room for what any term needs besides its own length.
	p := len(dst)
	most := p + maxTextRatio*len(term) + maxTextLeast
	buf := dst[:cap(dst)]
	if len(buf)-p < len(term)/2 {
		buf = growText(buf, p, len(term)+termRoom, most) // what most texts of that size need
	}
	out := unsafe.Pointer(unsafe.SliceData(buf))
	src := unsafe.Pointer(unsafe.SliceData(term))
	var few [24]level
	stack := few[:0]
	var top level // the innermost container; kind 0: there is none
	for {
		if i >= len(term) {
			return dst, errorAt("etf: term is cut short", i)
		}
		if p > most {
			return dst, errorAt("etf: text is too long for its term", i)
		}
		if len(buf)-p < termRoom {
			buf = growText(buf, p, termRoom, most)
			out = unsafe.Pointer(unsafe.SliceData(buf))
		}
		tag := load8(src, i)
		isKey := top.kind == tagMap && top.left&1 == 0
		switch {
		case tag == tagBinary:
			if isKey && i+keyRoom <= len(term) {
				// A key, nearly always: of 16 bytes at most that need no escapes. Its two
				// words are looked at and written whole.
				if n := uint(load32(src, i+1)); n <= 16 {
					v, w := load64(src, i+5), load64(src, i+13)
					short := min(n, 8)
					if !needsEscape(v&(1<<(short*8)-1)|' '*swarOnes<<(short*8)) && !needsEscape(w&(1<<((n-short)*8)-1)|' '*swarOnes<<((n-short)*8)) {
						store8(out, p, '"')
						store64(out, p+1, v)
						store64(out, p+9, w)
						p += int(n) + 1
						store8(out, p, '"')
						store8(out, p+1, ':')
						p += 2
						i += int(n) + 5
						top.left--
						continue
					}
				}
			}
			if i+5 > len(term) {
				return dst, errorAt("etf: term is cut short", i)
			}
			n := int64(load32(src, i+1))
			i += 5
			if n > int64(len(term)-i) {
				return dst, errorAt("etf: term is cut short", i)
			}
			end := i + int(n)
			if len(buf)-p < int(n)+termRoom {
				buf = growText(buf, p, int(n)+termRoom, most)
				out = unsafe.Pointer(unsafe.SliceData(buf))
			}
			store8(out, p, '"')
			p++
			// Nearly all text needs no escapes, and is copied in words; so is
			// what is left of the last, if the term has a word there.
			for i+8 <= end {
				w := load64(src, i)
				if needsEscape(w) {
					break
				}
				store64(out, p, w)
				i += 8
				p += 8
			}
			if rest := end - i; rest < 8 && i+8 <= len(term) {
				w := load64(src, i)
				store64(out, p, w)
				if !needsEscape(w&(1<<(rest*8&63)-1) | ' '*swarOnes<<(rest*8&63)) {
					p += rest
					i = end
				}
			}
			if i < end {
				if buf, p = appendText(buf, p, term[i:end], most); p < 0 {
					return dst, errorAt("etf: text is too long for its term", i)
				}
				out = unsafe.Pointer(unsafe.SliceData(buf))
				i = end
			}
			store8(out, p, '"')
			p++

		case tag == tagSmallInt && !isKey:
			if i+2 > len(term) {
				return dst, errorAt("etf: term is cut short", i)
			}
			p = putInt(buf, p, int64(load8(src, i+1)), false)
			i += 2

		case tag == tagMap || tag == tagList || tag == tagSmallTuple || tag == tagLargeTuple:
			if isKey {
				return dst, errorAt("etf: key is a container", i)
			}
			shape := termShapes[tag]
			if i+shape.fixed() > len(term) {
				return dst, errorAt("etf: term is cut short", i)
			}
			n := uint64(load8(src, i+1))
			if tag != tagSmallTuple {
				n = uint64(load32(src, i+1))
			}
			if tag == tagMap {
				n *= 2
			}
			i += shape.fixed()
			if n > uint64(len(term)-i) {
				return dst, errorAt("etf: term is cut short", i)
			}
			if len(stack) >= maxDepth {
				return dst, errorAt("etf: terms are nested too deep", i)
			}
			stack = append(stack, top)
			top = level{uint32(n), tag}
			c := byte('[')
			if tag == tagMap {
				c = '{'
			}
			store8(out, p, c)
			p++
			if n > 0 {
				continue
			}
			top.left = 1 // an empty container is complete with the step below

		default:
			var err error
			if buf, p, i, err = appendTerm(buf, p, term, i, isKey, most); err != nil {
				return dst, err
			}
			out = unsafe.Pointer(unsafe.SliceData(buf))
		}

		// A term is complete, and with it perhaps containers.
		for {
			if top.kind == 0 {
				if i < len(term) {
					return dst, errorAt("etf: bytes behind the term", i)
				}
				return buf[:p], nil
			}
			if top.left--; top.left > 0 {
				c := byte(',')
				if top.kind == tagMap && top.left&1 != 0 {
					c = ':'
				}
				store8(out, p, c)
				p++
				break
			}
			c := byte(']')
			if top.kind == tagMap {
				c = '}'
			} else if top.kind == tagList {
				if i >= len(term) || term[i] != tagNil {
					return dst, errorAt("etf: list has a tail", i)
				}
				i++
			}
			store8(out, p, c)
			p++
			if len(buf)-p < termRoom {
				buf = growText(buf, p, termRoom, most)
				out = unsafe.Pointer(unsafe.SliceData(buf))
			}
			top = stack[len(stack)-1]
			stack = stack[:len(stack)-1]
		}
	}
}

// termRoom is what the translation of a term needs besides its content: its
// quotes, the brackets and separators around it, a number, and the word that
// text is copied by.
const termRoom = 64

// keyRoom is what of the term must be there to take the head of a key and two words.
const keyRoom = 5 + 16

// growText returns buf with room for n bytes at p; it is not doubled beyond most.
//
//go:noinline
func growText(buf []byte, p, n, most int) []byte {
	grown := make([]byte, max(min(2*len(buf), most), p+n, 512))
	copy(grown, buf[:p])
	return grown
}

// needsEscape reports whether one of eight bytes cannot stand in a JSON string
// as it is, or is not ASCII.
func needsEscape(w uint64) bool {
	return ((w-0x20*swarOnes)|w|zeroBytes(w^'"'*swarOnes)|zeroBytes(w^'\\'*swarOnes))&swarHighs != 0
}

// appendText writes text, which may need escapes and need not be UTF-8, into
// buf at p, where there is room for its length and termRoom. It returns the index
// behind it, or -1 if that would lie beyond most.
func appendText(buf []byte, p int, text []byte, most int) ([]byte, int) {
	const hexDigits = "0123456789abcdef"
	for i := 0; i < len(text); {
		if p > most {
			return buf, -1
		}
		for i+8 <= len(text) {
			w := binary.LittleEndian.Uint64(text[i:])
			if needsEscape(w) {
				break
			}
			binary.LittleEndian.PutUint64(buf[p:], w)
			i += 8
			p += 8
		}
		for stop := min(i+8, len(text)); i < stop; {
			c := text[i]
			if c >= utf8.RuneSelf {
				r, n := utf8.DecodeRune(text[i:])
				if r == utf8.RuneError && len(buf)-p < len(text)-i+termRoom {
					buf = growText(buf, p, 2*(len(text)-i)+termRoom, most)
				}
				p += utf8.EncodeRune(buf[p:], r)
				i += n
				continue
			}
			i++
			if c >= 0x20 && c != '"' && c != '\\' {
				buf[p] = c
				p++
				continue
			}
			if len(buf)-p < len(text)-i+termRoom {
				buf = growText(buf, p, 2*(len(text)-i)+termRoom, most)
			}
			buf[p] = '\\'
			p++
			switch c {
			case '"', '\\':
				buf[p] = c
			case '\n':
				buf[p] = 'n'
			case '\t':
				buf[p] = 't'
			case '\r':
				buf[p] = 'r'
			default:
				p += copy(buf[p:], "u00")
				buf[p] = hexDigits[c>>4]
				p++
				buf[p] = hexDigits[c&15]
			}
			p++
		}
	}
	return buf, p
}

// putInt writes n at p, where there is room for it.
func putInt(buf []byte, p int, n int64, quoted bool) int {
	quoted = quoted || n > maxSafeInt || n < -maxSafeInt
	if quoted {
		buf[p] = '"'
		p++
	}
	if uint64(n) < 10 {
		buf[p] = '0' + byte(n)
		p++
	} else {
		p = len(strconv.AppendInt(buf[:p], n, 10))
	}
	if quoted {
		buf[p] = '"'
		p++
	}
	return p
}

// appendTerm is AppendJSON for one term that is no container, and not of the
// kinds that are seen most.
func appendTerm(buf []byte, p int, term []byte, i int, isKey bool, most int) ([]byte, int, int, error) {
	tag := term[i]
	end, left, err := skipTerms(term, i, 1)
	switch {
	case err != nil:
		return buf, p, i, err
	case left > 0 || end > len(term):
		return buf, p, i, errorAt("etf: term is cut short", i)
	case isKey && (tag == tagNil || tag == tagString):
		return buf, p, i, errorAt("etf: key is not a text or a number", i)
	}
	body := term[i:end]
	switch tag {
	case tagNil:
		p += copy(buf[p:], "[]")

	case tagSmallInt: // as a key
		p = putInt(buf, p, int64(body[1]), isKey)

	case tagInt:
		p = putInt(buf, p, int64(int32(bigEndian(body[1:5]))), isKey)

	case tagSmallAtom, tagSmallAtomUTF8, tagAtom, tagAtomUTF8:
		name, _ := termText(body)
		switch {
		case !isKey && isNilAtom(name):
			p += copy(buf[p:], "null")
		case !isKey && (string(name) == "true" || string(name) == "false"):
			p += copy(buf[p:], name)
		default:
			if (tag == tagSmallAtom || tag == tagAtom) && !isASCII(name) {
				name = fromLatin1(name)
			}
			if len(buf)-p < len(name)+termRoom {
				buf = growText(buf, p, len(name)+termRoom, most)
			}
			buf[p] = '"'
			if buf, p = appendText(buf, p+1, name, most); p < 0 {
				return buf, p, i, errorAt("etf: text is too long for its term", i)
			}
			buf[p] = '"'
			p++
		}

	case tagNewFloat:
		p = putFloat(buf, p, math.Float64frombits(bigEndian(body[1:9])), isKey)

	case tagFloat:
		// The text of C's "%.20e", filled up with zero bytes.
		text := body[1:]
		for len(text) > 0 && text[len(text)-1] == 0 {
			text = text[:len(text)-1]
		}
		f, err := strconv.ParseFloat(string(text), 64)
		if err != nil && !math.IsInf(f, 0) {
			return buf, p, i, errorAt("etf: float is not a number", i)
		}
		p = putFloat(buf, p, f, isKey)

	case tagString:
		bytes := body[3:]
		if need := 4*len(bytes) + termRoom; len(buf)-p < need {
			buf = growText(buf, p, need, most)
		}
		buf[p] = '['
		p++
		for k, c := range bytes {
			if k > 0 {
				buf[p] = ','
				p++
			}
			p = putInt(buf, p, int64(c), false)
		}
		buf[p] = ']'
		p++

	case tagSmallBig, tagLargeBig:
		sign, magnitude := body[2], body[3:]
		if tag == tagLargeBig {
			sign, magnitude = body[5], body[6:]
		}
		n, ok := bigUint64(magnitude)
		if ok && n <= math.MaxInt64 {
			if sign != 0 {
				n = -n
			}
			p = putInt(buf, p, int64(n), isKey)
			break
		}
		if len(magnitude) > maxBigBytes {
			return buf, p, i, errorAt("etf: integer is too large", i)
		}
		if need := 3*len(magnitude) + termRoom; len(buf)-p < need {
			buf = growText(buf, p, need, most)
		}
		buf[p] = '"'
		p++
		if sign != 0 {
			buf[p] = '-'
			p++
		}
		p = putBig(buf, p, magnitude)
		buf[p] = '"'
		p++
	}
	return buf, p, end, nil
}

func isASCII(text []byte) bool {
	for _, c := range text {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func fromLatin1(text []byte) (utf []byte) {
	for _, c := range text {
		utf = utf8.AppendRune(utf, rune(c))
	}
	return utf
}

// putFloat writes f as JSON.stringify does, as a key as JavaScript makes a string of it;
// beyond maxSafeInt, as a value, with an exponent.
func putFloat(buf []byte, p int, f float64, isKey bool) int {
	if isKey {
		buf[p] = '"'
		p++
	}
	switch abs := math.Abs(f); {
	case math.IsNaN(f) || math.IsInf(f, 0):
		p += copy(buf[p:], "null")
	case abs <= maxSafeInt && f == math.Trunc(f):
		p = len(strconv.AppendInt(buf[:p], int64(f), 10))
	case 1e-6 <= abs && abs <= maxSafeInt || isKey && abs >= 1 && abs < 1e21:
		p = len(strconv.AppendFloat(buf[:p], f, 'f', -1, 64))
	default:
		out := strconv.AppendFloat(buf[:p], f, 'e', -1, 64)
		if n := len(out); out[n-4] == 'e' && out[n-2] == '0' { // e-07
			out[n-2] = out[n-1]
			out = out[:n-1]
		}
		p = len(out)
	}
	if isKey {
		buf[p] = '"'
		p++
	}
	return p
}

// putBig writes the digits of a magnitude, which is not 0.
func putBig(buf []byte, p int, magnitude []byte) int {
	// Divide by 10^9 again and again, from the highest limb down.
	const base = 1_000_000_000
	limbs := make([]uint32, (len(magnitude)+3)/4)
	for k, c := range magnitude {
		limbs[k/4] |= uint32(c) << (k % 4 * 8)
	}
	var parts []uint32
	for len(limbs) > 0 {
		if limbs[len(limbs)-1] == 0 {
			limbs = limbs[:len(limbs)-1]
			continue
		}
		rest := uint64(0)
		for k := len(limbs) - 1; k >= 0; k-- {
			rest = rest<<32 | uint64(limbs[k])
			limbs[k] = uint32(rest / base)
			rest %= base
		}
		parts = append(parts, uint32(rest))
	}
	p = len(strconv.AppendUint(buf[:p], uint64(parts[len(parts)-1]), 10))
	for k := len(parts) - 2; k >= 0; k-- {
		part := parts[k]
		for d := 8; d >= 0; d-- {
			buf[p+d] = '0' + byte(part%10)
			part /= 10
		}
		p += 9
	}
	return p
}
