package wire

import (
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf8"
)

// AppendETF appends the ETF message of a JSON text to dst: the version byte
// and one term. Keys and strings become binaries, also those of digits: a
// server takes a snowflake as text only. Integers take the smallest form that
// holds them exactly, other numbers are floats.
func AppendETF(dst, json []byte) ([]byte, error) {
	out := append(dst, etfVersion)
	var few [24]jsonLevel
	stack := few[:0]
	i := skipSpace(json, 0)
	for {
		// A value, or in an object a key and a value.
		if n := len(stack); n > 0 {
			stack[n-1].count++
			if stack[n-1].object {
				var ok bool
				if i >= len(json) || json[i] != '"' {
					return dst, errorAt("json: key expected", i)
				}
				if out, i, ok = appendBinary(out, json, i); !ok {
					return dst, errorAt("json: malformed string", i)
				}
				if i = skipSpace(json, i); i >= len(json) || json[i] != ':' {
					return dst, errorAt("json: colon expected", i)
				}
				i = skipSpace(json, i+1)
			}
		}
		if i >= len(json) {
			return dst, errorAt("json: text is cut short", i)
		}
		switch c := json[i]; c {
		case '{', '[':
			if len(stack) >= maxDepth {
				return dst, errorAt("json: values are nested too deep", i)
			}
			i = skipSpace(json, i+1)
			if i < len(json) && json[i] == c+2 { // empty: '[' and ']', '{' and '}' are two apart
				if c == '{' {
					out = appendHead(out, tagMap, 0)
				} else {
					out = append(out, tagNil)
				}
				i++
				break
			}
			stack = append(stack, jsonLevel{head: len(out) + 1, object: c == '{'})
			if c == '{' {
				out = appendHead(out, tagMap, 0)
			} else {
				out = appendHead(out, tagList, 0)
			}
			continue
		case '"':
			var ok bool
			if out, i, ok = appendBinary(out, json, i); !ok {
				return dst, errorAt("json: malformed string", i)
			}
		case 't', 'f', 'n':
			word, atom := "true", "true"
			if c == 'f' {
				word, atom = "false", "false"
			} else if c == 'n' {
				word, atom = "null", "nil"
			}
			if len(json)-i < len(word) || string(json[i:i+len(word)]) != word {
				return dst, errorAt("json: unknown word", i)
			}
			out = append(out, tagSmallAtom, byte(len(atom)))
			out = append(out, atom...)
			i += len(word)
		default:
			end, ok := i, false
			if out, end, ok = appendNumber(out, json, i); !ok {
				return dst, errorAt("json: malformed number", i)
			}
			i = end
		}

		// A value is complete, and with it perhaps containers.
		for {
			i = skipSpace(json, i)
			n := len(stack)
			if n == 0 {
				if i < len(json) {
					return dst, errorAt("json: text behind the value", i)
				}
				return out, nil
			}
			top := &stack[n-1]
			if i >= len(json) {
				return dst, errorAt("json: text is cut short", i)
			}
			if json[i] == ',' {
				i = skipSpace(json, i+1)
				break
			}
			if top.object && json[i] != '}' || !top.object && json[i] != ']' {
				return dst, errorAt("json: comma or closing bracket expected", i)
			}
			binary.BigEndian.PutUint32(out[top.head:], top.count)
			if !top.object {
				out = append(out, tagNil)
			}
			stack = stack[:n-1]
			i++
		}
	}
}

// appendHead appends a tag and the 32 bits behind it.
//
//go:noinline
func appendHead(out []byte, tag byte, n uint32) []byte {
	return append(out, tag, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// jsonLevel is a container that is being translated.
type jsonLevel struct {
	head   int    // where its arity stands in the output
	count  uint32 // members so far
	object bool
}

// appendBinary appends the JSON string that begins with the quote at i as a
// binary. It returns the index behind the string, or where it went wrong.
func appendBinary(out, json []byte, i int) ([]byte, int, bool) {
	head := len(out) + 1
	out = appendHead(out, tagBinary, 0)
	i++
	for {
		start := i
		for i+8 <= len(json) && !needsEscape(binary.LittleEndian.Uint64(json[i:])) {
			i += 8
		}
		for i < len(json) && json[i] >= 0x20 && json[i] < utf8.RuneSelf && json[i] != '"' && json[i] != '\\' {
			i++
		}
		out = append(out, json[start:i]...)
		if i >= len(json) {
			return out, i, false
		}
		switch c := json[i]; {
		case c == '"':
			binary.BigEndian.PutUint32(out[head:], uint32(len(out)-head-4))
			return out, i + 1, true
		case c == '\\':
			n := escapeLen(json, i)
			if n == 0 {
				return out, i, false
			}
			out = append(out, unescape(json[i:i+n])...)
			i += n
		case c < 0x20:
			return out, i, false
		default:
			r, n := utf8.DecodeRune(json[i:])
			if r == utf8.RuneError && n == 1 {
				return out, i, false
			}
			out = append(out, json[i:i+n]...)
			i += n
		}
	}
}

// escapeLen returns the length of the escape at i, of both halves if it is a
// surrogate pair, or 0 if it is malformed.
func escapeLen(json []byte, i int) int {
	if i+1 >= len(json) {
		return 0
	}
	switch json[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		r := hex4(json, i+2)
		switch {
		case r < 0:
			return 0
		case 0xd800 <= r && r < 0xdc00 && i+7 < len(json) && json[i+6] == '\\' && json[i+7] == 'u':
			if lo := hex4(json, i+8); 0xdc00 <= lo && lo < 0xe000 {
				return 12
			}
		}
		return 6
	}
	return 0
}

// appendNumber appends the JSON number at i and returns the index behind it.
func appendNumber(out, json []byte, i int) ([]byte, int, bool) {
	start := i
	negative := i < len(json) && json[i] == '-'
	if negative {
		i++
	}
	first := i
	for i < len(json) && json[i]-'0' <= 9 {
		i++
	}
	if i == first || i > first+1 && json[first] == '0' {
		return out, start, false
	}
	whole := i
	if i < len(json) && json[i] == '.' {
		i++
		fraction := i
		for i < len(json) && json[i]-'0' <= 9 {
			i++
		}
		if i == fraction {
			return out, start, false
		}
	}
	if i < len(json) && json[i]|0x20 == 'e' {
		i++
		if i < len(json) && (json[i] == '+' || json[i] == '-') {
			i++
		}
		exponent := i
		for i < len(json) && json[i]-'0' <= 9 {
			i++
		}
		if i == exponent {
			return out, start, false
		}
	}
	if i > whole {
		f, err := strconv.ParseFloat(string(json[start:i]), 64)
		if err != nil {
			return out, start, false
		}
		return binary.BigEndian.AppendUint64(append(out, tagNewFloat), math.Float64bits(f)), i, true
	}

	if n, end := digits(json[:i], first); end == i {
		switch {
		case n <= math.MaxUint8 && (!negative || n == 0):
			return append(out, tagSmallInt, byte(n)), i, true
		case n <= math.MaxInt32 || negative && n == math.MaxInt32+1:
			if negative {
				n = -n
			}
			return appendHead(out, tagInt, uint32(n)), i, true
		}
	}
	out, ok := appendBig(out, json[first:i], negative)
	return out, i, ok
}

// appendBig appends an integer of any number of digits, if its magnitude takes
// no more than the 255 bytes that SMALL_BIG_EXT can hold.
func appendBig(out, digits []byte, negative bool) ([]byte, bool) {
	var magnitude [255]byte
	n := 0
	for _, c := range digits {
		carry := uint(c - '0')
		for k := range n {
			carry += uint(magnitude[k]) * 10
			magnitude[k] = byte(carry)
			carry >>= 8
		}
		if carry > 0 {
			if n == len(magnitude) {
				return out, false
			}
			magnitude[n] = byte(carry)
			n++
		}
	}
	sign := byte(0)
	if negative {
		sign = 1
	}
	return append(append(out, tagSmallBig, byte(n), sign), magnitude[:n]...), true
}
