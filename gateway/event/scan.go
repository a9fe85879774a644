package event

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// MaxDepth is how deep the objects and arrays of a payload may be nested.
const MaxDepth = 512

// SyntaxError says where a text stopped being JSON.
type SyntaxError struct {
	Offset int    // of the byte that cannot stand there
	Reason string // what was expected, or what is wrong
}

// Error describes the error.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("event: invalid JSON at byte %d: %s", e.Offset, e.Reason)
}

// scanner walks over JSON text. Its methods take the index of the first byte to
// look at and return that of the first byte they did not consume, or a negative
// number after an error.
type scanner struct {
	data  []byte
	depth int
	err   *SyntaxError
}

// at returns a byte of the text. Past the end it returns 0, which is nowhere valid.
func (s *scanner) at(i int) byte {
	if uint(i) < uint(len(s.data)) {
		return s.data[i]
	}
	return 0
}

// fail notes an error at i.
func (s *scanner) fail(i int, reason string) int {
	if s.err == nil {
		if i >= len(s.data) {
			i, reason = len(s.data), "unexpected end"
		}
		s.err = &SyntaxError{i, reason}
	}
	return -1
}

// space skips white space. Servers send none, so it is kept small enough to be
// inlined and leaves the rest to skipSpace.
func (s *scanner) space(i int) int {
	if uint(i) < uint(len(s.data)) && s.data[i] <= ' ' {
		return s.skipSpace(i)
	}
	return i
}

func (s *scanner) skipSpace(i int) int {
	for ; i < len(s.data); i++ {
		switch s.data[i] {
		case ' ', '\n', '\r', '\t':
		default:
			return i
		}
	}
	return i
}

// Properties of the characters of a string.
const (
	hasEscape  = 1 << iota // there is a backslash
	hasUnicode             // there is a byte outside of ASCII
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// str scans a string that opens at i. The closing quote is at the index before the
// one returned.
func (s *scanner) str(i int) (next int, flags uint) {
	data := s.data
	for i++; ; {
		// Eight bytes at a time: stop at a quote, a backslash, a control character
		// or anything outside of ASCII. A borrow can only falsify bytes after the
		// first one found.
		for i+8 <= len(data) {
			w := binary.LittleEndian.Uint64(data[i:])
			q, b := w^('"'*ones), w^('\\'*ones)
			stop := ((q-ones)&^q | (b-ones)&^b | (w-' '*ones)&^w | w) & highs
			if stop != 0 {
				i += bits.TrailingZeros64(stop) >> 3
				break
			}
			i += 8
		}
		switch c := s.at(i); {
		case c == '"':
			return i + 1, flags
		case c == '\\':
			flags |= hasEscape
			if i = s.escape(i); i < 0 {
				return i, 0
			}
		case c >= utf8.RuneSelf:
			flags |= hasUnicode
			for i++; i < len(data) && data[i] >= utf8.RuneSelf; i++ {
			}
		case c < ' ':
			return s.fail(i, "control character in a string"), 0
		default:
			i++ // the last bytes of the text, one at a time
		}
	}
}

// escape skips a backslash and what belongs to it.
func (s *scanner) escape(i int) int {
	switch s.at(i + 1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		for j := i + 2; j < i+6; j++ {
			if unhex(s.at(j)) < 0 {
				return s.fail(j, "want a hexadecimal digit")
			}
		}
		return i + 6
	default:
		return s.fail(i+1, "unknown escape in a string")
	}
}

func unhex(c byte) rune {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return rune(c|0x20-'a') + 10
	default:
		return -1
	}
}

// number scans a number.
func (s *scanner) number(i int) int {
	if s.at(i) == '-' {
		i++
	}
	switch c := s.at(i); {
	case c == '0':
		i++
	case '1' <= c && c <= '9':
		i = s.digits(i)
	default:
		return s.fail(i, "want a digit")
	}
	if s.at(i) == '.' {
		i++
		if !isDigit(s.at(i)) {
			return s.fail(i, "want a digit")
		}
		i = s.digits(i)
	}
	if s.at(i)|0x20 == 'e' {
		i++
		if c := s.at(i); c == '+' || c == '-' {
			i++
		}
		if !isDigit(s.at(i)) {
			return s.fail(i, "want a digit")
		}
		i = s.digits(i)
	}
	return i
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func (s *scanner) digits(i int) int {
	for isDigit(s.at(i)) {
		i++
	}
	return i
}

// hasPrefix reports whether the text at i begins with a prefix.
func (s *scanner) hasPrefix(i int, prefix string) bool {
	return len(s.data)-i >= len(prefix) && string(s.data[i:i+len(prefix)]) == prefix
}

// literal scans a word.
func (s *scanner) literal(i int, word string) int {
	if s.hasPrefix(i, word) {
		return i + len(word)
	}
	return s.fail(i, "want "+word)
}

// skip scans any value.
func (s *scanner) skip(i int) int {
	switch c := s.at(i); c {
	case '"':
		i, _ = s.str(i)
		return i
	case '{':
		more := s.open(&i, '}')
		for more {
			if i, _ = s.key(i); i < 0 {
				return i
			}
			if i = s.skip(i); i < 0 {
				return i
			}
			more = s.next(&i, '}')
		}
		return i
	case '[':
		more := s.open(&i, ']')
		for more {
			if i = s.skip(i); i < 0 {
				return i
			}
			more = s.next(&i, ']')
		}
		return i
	case 't':
		return s.literal(i, "true")
	case 'f':
		return s.literal(i, "false")
	case 'n':
		return s.literal(i, "null")
	default:
		if c != '-' && !isDigit(c) {
			return s.fail(i, "want a value")
		}
		return s.number(i)
	}
}

// open enters the object or array at *i. It moves *i to the first element and
// returns true, or past the end if there is no element or there was an error.
func (s *scanner) open(i *int, end byte) bool {
	if s.depth++; s.depth > MaxDepth {
		*i = s.fail(*i, "nested too deeply")
		return false
	}
	j := s.space(*i + 1)
	if s.at(j) == end {
		s.depth--
		*i = j + 1
		return false
	}
	*i = j
	return true
}

// next goes from the end of an element to the beginning of the next one. Like
// open it returns false once there is none.
func (s *scanner) next(i *int, end byte) bool {
	j := s.space(*i)
	switch s.at(j) {
	case ',':
		*i = s.space(j + 1)
		return true
	case end:
		s.depth--
		*i = j + 1
	default:
		*i = s.fail(j, "want a comma or the end of the object or array")
	}
	return false
}

// key scans a key and the colon behind it. The key is between the quotes at i and
// at end-1.
func (s *scanner) key(i int) (next, end int) {
	if s.at(i) != '"' {
		return s.fail(i, "want a key"), 0
	}
	end, _ = s.str(i)
	if end < 0 {
		return end, 0
	}
	j := s.space(end)
	if s.at(j) != ':' {
		return s.fail(j, "want a colon"), 0
	}
	return s.space(j + 1), end
}

// whole scans a text that must hold one value and nothing else.
func (s *scanner) whole() int {
	i := s.skip(s.space(0))
	if i < 0 {
		return i
	}
	return s.trailer(i)
}

// trailer checks that nothing but white space follows the value that ended at i.
func (s *scanner) trailer(i int) int {
	if i = s.space(i); i != len(s.data) {
		return s.fail(i, "want the end of the text")
	}
	return i
}

// typeAt names the type of the value at i.
func (s *scanner) typeAt(i int) string {
	switch s.at(i) {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	default:
		return "number"
	}
}

// unquote appends the characters of a string to dst. Like encoding/json it puts
// U+FFFD in the place of what is not Unicode.
func unquote(dst, in []byte) []byte {
	valid := utf8.Valid(in)
	for {
		n := bytes.IndexByte(in, '\\')
		if n < 0 {
			return appendText(dst, in, valid)
		}
		dst = appendText(dst, in[:n], valid)
		c := in[n+1]
		in = in[n+2:]
		if c != 'u' {
			dst = append(dst, unescaped(c))
			continue
		}
		r := hex4(in)
		in = in[4:]
		if 0xd800 <= r && r < 0xe000 { // one half of a pair
			low := rune(-1)
			if len(in) >= 6 && in[0] == '\\' && in[1] == 'u' {
				low = hex4(in[2:])
			}
			if r < 0xdc00 && 0xdc00 <= low && low < 0xe000 {
				r = 0x10000 + (r-0xd800)<<10 | (low - 0xdc00)
				in = in[6:]
			} else {
				r = utf8.RuneError
			}
		}
		dst = utf8.AppendRune(dst, r)
	}
}

// appendText appends text without escapes.
func appendText(dst, in []byte, valid bool) []byte {
	if valid {
		return append(dst, in...)
	}
	for len(in) > 0 {
		r, n := utf8.DecodeRune(in)
		dst = utf8.AppendRune(dst, r)
		in = in[n:]
	}
	return dst
}

func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default:
		return c
	}
}

// hex4 reads four hexadecimal digits that escape has checked.
func hex4(b []byte) rune {
	return unhex(b[0])<<12 | unhex(b[1])<<8 | unhex(b[2])<<4 | unhex(b[3])
}
