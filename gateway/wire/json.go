package wire

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// This file is the little of JSON that the core needs: where a value ends,
// the members of one object, one string. It never builds a tree.

const (
	swarOnes  = 0x0101010101010101
	swarHighs = 0x8080808080808080
)

// zeroBytes marks (in the high bit) the bytes of w that are zero. Bytes above
// a zero byte may be marked wrongly, so only the lowest mark is to be trusted.
func zeroBytes(w uint64) uint64 { return (w - swarOnes) &^ w & swarHighs }

// skipSpace returns the index of the first byte at or after i that is not
// JSON white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index after the closing quote of a string whose first
// character is at i, or -1 if it does not end.
func skipString(b []byte, i int) int {
	for {
		for i+8 <= len(b) {
			w := binary.LittleEndian.Uint64(b[i:])
			m := zeroBytes(w^('"'*swarOnes)) | zeroBytes(w^('\\'*swarOnes))
			if m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		for ; i < len(b); i++ {
			if b[i] == '"' {
				return i + 1
			}
			if b[i] == '\\' {
				i += 2
				break
			}
		}
		if i >= len(b) {
			return -1
		}
	}
}

// skipValue returns the index after the JSON value that starts at i, or -1 if
// the value is not complete. It follows strings and brackets only: whether
// what stands between them is valid JSON is for the parser of the payload.
// Nesting costs no stack.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return skipString(b, i+1)
	case '{', '[':
		var v valueScanner
		if end := v.json(b[i:]); end > 0 {
			return i + end
		}
		return -1
	}
	for i < len(b) {
		switch b[i] {
		case ',', '}', ']', ' ', '\n', '\t', '\r':
			return i
		}
		i++
	}
	return i
}

// Members calls visit with each member of the JSON object obj, in order, until
// visit returns false. Keys come without quotes and unescaped; values as they
// stand. It reports whether obj was a well-formed object up to where it looked.
func Members(obj []byte, visit func(key, value []byte) bool) bool {
	i := skipSpace(obj, 0)
	if i >= len(obj) || obj[i] != '{' {
		return false
	}
	for i = skipSpace(obj, i+1); i < len(obj) && obj[i] != '}'; {
		key, j := scanKey(obj, i)
		if j < 0 {
			return false
		}
		end := skipValue(obj, j)
		if end <= j {
			return false
		}
		if !visit(key, obj[j:end]) {
			return true
		}
		if i = nextMember(obj, end); i < 0 {
			return false
		}
	}
	return i < len(obj)
}

// Elements calls visit with each element of the JSON array, in order, until visit
// returns false. It reports whether the array was well-formed up to where it
// looked.
func Elements(array []byte, visit func(value []byte) bool) bool {
	i := skipSpace(array, 0)
	if i >= len(array) || array[i] != '[' {
		return false
	}
	for i = skipSpace(array, i+1); i < len(array) && array[i] != ']'; {
		end := skipValue(array, i)
		if end <= i {
			return false
		}
		if !visit(array[i:end]) {
			return true
		}
		if i = skipSpace(array, end); i < len(array) && array[i] == ',' {
			i = skipSpace(array, i+1)
		} else if i >= len(array) || array[i] != ']' {
			return false
		}
	}
	return i < len(array)
}

// scanKey reads the key that starts at i and returns it with the index of its
// value, or -1.
func scanKey(b []byte, i int) (key []byte, value int) {
	if i >= len(b) || b[i] != '"' {
		return nil, -1
	}
	end := skipString(b, i+1)
	if end < 0 {
		return nil, -1
	}
	key = b[i+1 : end-1]
	if i = skipSpace(b, end); i >= len(b) || b[i] != ':' {
		return nil, -1
	}
	if i = skipSpace(b, i+1); i >= len(b) {
		return nil, -1
	}
	return unescape(key), i
}

// nextMember returns the index of the next key, or of the closing brace, after
// a value that ended at i; -1 if neither follows.
func nextMember(b []byte, i int) int {
	i = skipSpace(b, i)
	if i < len(b) && b[i] == ',' {
		if i = skipSpace(b, i+1); i < len(b) && b[i] == '"' {
			return i
		}
		return -1
	}
	if i < len(b) && b[i] == '}' {
		return i
	}
	return -1
}

// IsNull reports whether a value is missing or the literal null.
func IsNull(value []byte) bool { return len(value) == 0 || string(value) == "null" }

// String returns the text of a JSON string value; ok is false for any other
// value.
func String(value []byte) (s string, ok bool) {
	if len(value) < 2 || value[0] != '"' || value[len(value)-1] != '"' {
		return "", false
	}
	return string(unescape(value[1 : len(value)-1])), true
}

// Int returns the integer of a JSON value, which may be a number, a number
// with an empty fraction, or a string of digits (servers send all three);
// ok is false for any other value and for one that int64 cannot hold.
func Int(value []byte) (n int64, ok bool) {
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	if n, end := digits(value, 0); end == len(value) && end > 0 {
		return n, true
	}
	if len(value) == 0 || len(value) > 32 {
		return 0, false
	}
	s := string(value)
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != float64(int64(f)) || f >= 1<<63 || f < -1<<63 {
		return 0, false
	}
	return int64(f), true
}

// digits reads the decimal digits at i, at most 18 of them (so that they fit),
// and returns their value and the index after them; the index is i if there
// are none or too many.
func digits(b []byte, i int) (n int64, end int) {
	j := i
	for ; j < len(b) && b[j]-'0' <= 9; j++ {
		n = n*10 + int64(b[j]-'0')
	}
	if j-i > 18 {
		return 0, i
	}
	return n, j
}

// unescape resolves the escapes of a string's inside. It copies only when
// there are some.
func unescape(s []byte) []byte {
	i := 0
	for i < len(s) && s[i] != '\\' {
		i++
	}
	if i == len(s) {
		return s
	}
	out := append(make([]byte, 0, len(s)), s[:i]...)
	for i < len(s) {
		if s[i] != '\\' {
			out = append(out, s[i])
			i++
			continue
		}
		if i+1 >= len(s) {
			break
		}
		c := s[i+1]
		i += 2
		switch c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := hex4(s, i)
			if r < 0 {
				return utf8.AppendRune(out, utf8.RuneError)
			}
			i += 4
			if 0xd800 <= r && r < 0xe000 {
				lo := rune(-1)
				if r < 0xdc00 && i+1 < len(s) && s[i] == '\\' && s[i+1] == 'u' {
					lo = hex4(s, i+2)
				}
				if 0xdc00 <= lo && lo < 0xe000 {
					r = (r-0xd800)<<10 | (lo - 0xdc00) + 0x10000
					i += 6
				} else {
					r = utf8.RuneError
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, c)
		}
	}
	return out
}

func hex4(s []byte, i int) rune {
	if i+4 > len(s) {
		return -1
	}
	r := rune(0)
	for _, c := range s[i : i+4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// AppendString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case c == '"' || c == '\\':
				dst = append(dst, '\\', c)
			case c >= 0x20:
				dst = append(dst, c)
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		dst = utf8.AppendRune(dst, r)
		i += n
	}
	return append(dst, '"')
}
