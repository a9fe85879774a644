package event

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
	"unsafe"

	gojson "github.com/goccy/go-json"
)

// Warning tells of a value that could not be put into its field, which was left
// zero.
type Warning struct {
	Path string // where it was, such as guilds[3].owner_id; empty for the payload itself
	Want string // what the field holds
	Got  string // the JSON type that came
}

// String describes the warning.
func (w Warning) String() string {
	path := w.Path
	if path == "" {
		path = "the payload"
	}
	return path + ": want " + w.Want + ", got " + w.Got
}

// maxWarnings bounds what a payload of nothing but wrong types can cost.
const maxWarnings = 100

// Unmarshal decodes JSON into what v points to: one of the types of this package,
// or any other.
//
// It is lenient, for one unexpected field must not cost an event. Numbers are read
// out of strings, ids out of numbers, and unknown values of enums are kept; null
// leaves a field as it is. A value of any other type than its field's leaves the
// field zero and yields a warning, at most 100 of them. Fields that a type does
// not have are kept in its Unknown. Only what is not JSON, or nested deeper than
// [MaxDepth], is an error, always a [*SyntaxError].
//
// Keys are matched exactly. Nothing in the result refers to data. Short strings
// share blocks of at most 1 KiB, so one that is kept may keep that much.
func Unmarshal(data []byte, v any) ([]Warning, error) {
	p, c, err := pointerTo(v)
	if err != nil {
		return nil, err
	}
	return unmarshal(data, p, c)
}

func unmarshal(data []byte, p unsafe.Pointer, c *codec) ([]Warning, error) {
	d := decoder{scanner: scanner{data: data}, lastWrong: -1}
	block, _ := blocks.Get().(*[]byte)
	if block == nil {
		block = new([]byte)
	}
	d.block = *block
	i := d.value(c, p, d.space(0))
	*block = d.block
	blocks.Put(block)
	if i >= 0 {
		i = d.trailer(i)
	}
	if i < 0 {
		return nil, d.err
	}
	if d.mismatches == nil {
		return nil, nil
	}
	return d.warnings(), nil
}

// unmarshalStrict decodes for the UnmarshalJSON methods, which cannot warn.
func unmarshalStrict(data []byte, v any) error {
	p, c, err := pointerTo(v)
	if err != nil {
		return err
	}
	warnings, err := unmarshal(data, p, c)
	if err == nil && warnings != nil {
		w := warnings[0]
		return &json.UnmarshalTypeError{Value: w.Got, Type: c.rtype, Field: w.Path}
	}
	return err
}

// decoder decodes one payload. Its methods follow the convention of scanner.
type decoder struct {
	scanner
	block      []byte // room for short strings; what is in it is somebody's
	mismatches []mismatch
	lastWrong  int // where the last value of a wrong type was
}

// mismatch is a warning whose path is not worked out yet: decoding keeps no track
// of where it is.
type mismatch struct {
	offset int
	want   string
}

const (
	maxBlock       = 1 << 10
	maxShortString = 1 << 7
)

// blocks are those that payloads have left room in.
var blocks sync.Pool // of *[]byte

// text returns a copy of b as a string.
func (d *decoder) text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > cap(d.block)-len(d.block) {
		if len(b) > maxShortString {
			return string(b)
		}
		d.block = make([]byte, 0, maxBlock)
	}
	n := len(d.block)
	d.block = append(d.block, b...)
	return unsafe.String(&d.block[n], len(b))
}

// stringAt decodes the string that opens at i.
func (d *decoder) stringAt(i int) (string, int) {
	next, flags := d.str(i)
	if next < 0 {
		return "", next
	}
	in := d.data[i+1 : next-1]
	if flags == 0 || flags == hasUnicode && utf8.Valid(in) {
		return d.text(in), next
	}
	return string(unquote(make([]byte, 0, len(in)), in)), next
}

// quoted returns the characters of the string at i for parsing, without copying
// them where there is no escape.
func (d *decoder) quoted(i int) ([]byte, int) {
	next, flags := d.str(i)
	if next < 0 {
		return nil, next
	}
	in := d.data[i+1 : next-1]
	if flags&hasEscape != 0 {
		in = unquote(nil, in)
	}
	return in, next
}

// wrong skips the value at i, which is not of the type wanted.
func (d *decoder) wrong(c *codec, i int) int {
	d.lastWrong = i
	if len(d.mismatches) < maxWarnings {
		d.mismatches = append(d.mismatches, mismatch{i, c.want})
	}
	return d.skip(i)
}

// value decodes the value at i into p.
func (d *decoder) value(c *codec, p unsafe.Pointer, i int) int {
	ch := d.at(i)
	if ch == 'n' {
		return d.null(c, p, i)
	}
	switch c.kind {
	case kindOpt:
		next := d.value(c.elem, p, i)
		if d.lastWrong != i {
			*(*optState)(unsafe.Add(p, c.state)) = optValue
		}
		return next
	case kindString:
		if ch != '"' {
			return d.wrong(c, i)
		}
		s, next := d.stringAt(i)
		*(*string)(p) = s
		return next
	case kindBitString:
		if ch == '"' {
			if next := d.quotedUint((*uint64)(p), i); next > 0 {
				return next
			}
		}
		return d.integer(c, p, i)
	case kindBool:
		switch ch {
		case 't':
			*(*bool)(p) = true
			return d.literal(i, "true")
		case 'f':
			*(*bool)(p) = false
			return d.literal(i, "false")
		}
		return d.wrong(c, i)
	case kindInt, kindUint:
		return d.integer(c, p, i)
	case kindStruct:
		return d.object(c, p, i)
	case kindSlice:
		return d.slice(c, p, i)
	case kindPointer:
		v := reflect.New(c.elem.rtype).UnsafePointer()
		next := d.value(c.elem, v, i)
		if d.lastWrong != i {
			*(*unsafe.Pointer)(p) = v
		}
		return next
	case kindTime:
		if ch == '"' {
			in, next := d.quoted(i)
			if t, ok := parseTime(in); ok && next > 0 {
				*(*time.Time)(p) = t
				return next
			}
		}
		return d.wrong(c, i)
	case kindFloat:
		return d.float(c, p, i)
	case kindNonce:
		if ch == '"' {
			s, next := d.stringAt(i)
			*(*string)(p) = s
			return next
		}
		if ch != '-' && !isDigit(ch) {
			return d.wrong(c, i)
		}
		next := d.number(i)
		if next > 0 {
			*(*string)(p) = string(d.data[i:next])
		}
		return next
	case kindSnowflakes:
		if ch == '[' {
			return d.slice(snowflakeList, p, i)
		}
		var id Snowflake
		next := d.value(snowflakeList.elem, unsafe.Pointer(&id), i)
		if d.lastWrong != i {
			*(*Snowflakes)(p) = Snowflakes{id}
		}
		return next
	case kindRaw:
		next := d.skip(i)
		if next > 0 {
			*(*json.RawMessage)(p) = append(json.RawMessage{}, d.data[i:next]...)
		}
		return next
	case kindArray:
		return d.array(c, p, i)
	case kindTuple:
		return d.tuple(c, p, i)
	case kindMap:
		return d.mapping(c, p, i)
	case kindForeign:
		next := d.skip(i)
		if next < 0 {
			return next
		}
		// go-json decodes a copy of what it is given.
		v := reflect.New(c.rtype)
		if gojson.Unmarshal(d.data[i:next], v.Interface()) != nil {
			return d.wrong(c, i)
		}
		reflect.NewAt(c.rtype, p).Elem().Set(v.Elem())
		return next
	default: // kindNull
		return d.wrong(c, i)
	}
}

var snowflakeList = codecOf(reflect.TypeFor[[]Snowflake]())

// null decodes a null. Only an Opt and what may hold anything can tell.
func (d *decoder) null(c *codec, p unsafe.Pointer, i int) int {
	i = d.literal(i, "null")
	if i < 0 {
		return i
	}
	switch c.kind {
	case kindOpt:
		state := (*optState)(unsafe.Add(p, c.state))
		if *state == optValue {
			reflect.NewAt(c.rtype, p).Elem().SetZero()
		}
		*state = optNull
	case kindRaw:
		*(*json.RawMessage)(p) = json.RawMessage("null")
	case kindPointer, kindSlice, kindMap, kindForeign:
		reflect.NewAt(c.rtype, p).Elem().SetZero()
	}
	return i
}

// object decodes a struct.
func (d *decoder) object(c *codec, p unsafe.Pointer, i int) int {
	if d.at(i) != '{' {
		if c.bare != nil && d.at(i) == '[' {
			return d.value(c.bare.codec, c.bare.at(p), i)
		}
		return d.wrong(c, i)
	}
	if c.hasUnknown {
		*(*Unknown)(unsafe.Add(p, c.unknown)) = Unknown{}
	}
	more := d.open(&i, '}')
	last := 0
	for more {
		// A server writes the fields of an object in the same order every time, so
		// what followed the last field before is likely to follow it again.
		guess := int(c.follows[last].Load())
		if guess < len(c.fields) && d.hasPrefix(i, c.fields[guess].key) {
			f := &c.fields[guess]
			last = guess + 1
			i = d.value(f.codec, f.at(p), d.space(i+len(f.key)))
		} else {
			next, end := d.key(i)
			if next < 0 {
				return next
			}
			name := d.data[i+1 : end-1]
			if n := c.find(name); n >= 0 {
				c.follows[last].Store(uint32(n))
				last = n + 1
				f := &c.fields[n]
				i = d.value(f.codec, f.at(p), next)
			} else {
				i = d.unknownField(c, p, name, next)
			}
		}
		if i < 0 {
			return i
		}
		more = d.next(&i, '}')
	}
	return i
}

// unknownField keeps a field that the struct does not have. Its name may still
// hold escapes, and name a field that it has after all.
func (d *decoder) unknownField(c *codec, p unsafe.Pointer, name []byte, i int) int {
	for _, ch := range name {
		if ch == '\\' || ch >= utf8.RuneSelf {
			name = unquote(nil, name)
			if n := c.find(name); n >= 0 {
				return d.value(c.fields[n].codec, c.fields[n].at(p), i)
			}
			break
		}
	}
	next := d.skip(i)
	if next < 0 || !c.hasUnknown {
		return next
	}
	u := (*Unknown)(unsafe.Add(p, c.unknown))
	if u.fields == nil {
		u.fields = new([]unknownField)
	}
	*u.fields = append(*u.fields, unknownField{string(name), append(json.RawMessage{}, d.data[i:next]...)})
	return next
}

// tuple decodes a struct from an array of its fields.
func (d *decoder) tuple(c *codec, p unsafe.Pointer, i int) int {
	if d.at(i) != '[' {
		return d.object(c, p, i)
	}
	more := d.open(&i, ']')
	for n := 0; more; n++ {
		if n < len(c.fields) {
			i = d.value(c.fields[n].codec, c.fields[n].at(p), i)
		} else {
			i = d.skip(i)
		}
		if i < 0 {
			return i
		}
		more = d.next(&i, ']')
	}
	return i
}

// sliceHeader is how Go lays out a slice.
type sliceHeader struct {
	data unsafe.Pointer
	len  int
	cap  int
}

var noElements [1]uint64

// slice decodes an array into a new slice.
func (d *decoder) slice(c *codec, p unsafe.Pointer, i int) int {
	if d.at(i) != '[' {
		return d.wrong(c, i)
	}
	h := (*sliceHeader)(p)
	*h = sliceHeader{data: unsafe.Pointer(&noElements)}
	more := d.open(&i, ']')
	start := i
	for more {
		if h.len == h.cap {
			// Grow zeroes what it adds. Most arrays of big structs hold one or
			// none, and long ones double their room as they go. If the payload is
			// the array, what was read tells how much is to come.
			room := h.len
			if room == 0 {
				room = int(max(1, min(8, 128/max(c.elem.size, 1))))
			} else if d.depth == 1 {
				room = max(1, (len(d.data)-i)*h.len/(i-start))
			}
			reflect.NewAt(c.rtype, p).Elem().Grow(room)
		}
		h.len++
		i = d.value(c.elem, unsafe.Add(h.data, uintptr(h.len-1)*c.elem.size), i)
		if i < 0 {
			return i
		}
		more = d.next(&i, ']')
	}
	return i
}

// array decodes into an array of fixed length. What is too much is skipped.
func (d *decoder) array(c *codec, p unsafe.Pointer, i int) int {
	if d.at(i) != '[' {
		return d.wrong(c, i)
	}
	more := d.open(&i, ']')
	for n := 0; more; n++ {
		if n < c.rtype.Len() {
			i = d.value(c.elem, unsafe.Add(p, uintptr(n)*c.elem.size), i)
		} else {
			i = d.skip(i)
		}
		if i < 0 {
			return i
		}
		more = d.next(&i, ']')
	}
	return i
}

// mapping decodes an object into a map.
func (d *decoder) mapping(c *codec, p unsafe.Pointer, i int) int {
	if d.at(i) != '{' {
		return d.wrong(c, i)
	}
	m := reflect.NewAt(c.rtype, p).Elem()
	if m.IsNil() {
		m.Set(reflect.MakeMap(c.rtype))
	}
	key := reflect.New(c.rtype.Key()).Elem()
	more := d.open(&i, '}')
	for more {
		next, _ := d.key(i)
		if next < 0 {
			return next
		}
		name, _ := d.stringAt(i)
		if !setKey(key, name) {
			if i = d.wrong(&codec{want: key.Type().String() + " as key"}, next); i < 0 {
				return i
			}
		} else {
			v := reflect.New(c.elem.rtype)
			if i = d.value(c.elem, v.UnsafePointer(), next); i < 0 {
				return i
			}
			m.SetMapIndex(key, v.Elem())
		}
		more = d.next(&i, '}')
	}
	return i
}

// setKey parses the key of a map.
func setKey(key reflect.Value, name string) bool {
	switch t := key.Addr().Interface().(type) {
	case *string:
		*t = name
		return true
	case interface{ UnmarshalText([]byte) error }:
		return t.UnmarshalText([]byte(name)) == nil
	}
	switch {
	case key.Kind() == reflect.String:
		key.SetString(name)
		return true
	case key.CanInt():
		n, err := strconv.ParseInt(name, 10, 64)
		if err != nil || key.OverflowInt(n) {
			return false
		}
		key.SetInt(n)
		return true
	default:
		n, err := strconv.ParseUint(name, 10, 64)
		if err != nil || key.OverflowUint(n) {
			return false
		}
		key.SetUint(n)
		return true
	}
}

// quotedUint reads a string of nothing but digits at i, the usual form of an id.
// It returns -1, without noting an error, if it is anything else.
func (d *decoder) quotedUint(p *uint64, i int) int {
	var n uint64
	data := d.data
	for j := i + 1; j < len(data); j++ {
		c := data[j] - '0'
		if c > 9 {
			if data[j] != '"' || j == i+1 || j > i+20 { // longer may be too much
				return -1
			}
			*p = n
			return j + 1
		}
		n = n*10 + uint64(c)
	}
	return -1
}

// integer decodes an integer, or a string that holds one.
func (d *decoder) integer(c *codec, p unsafe.Pointer, i int) int {
	var in []byte
	var next int
	switch ch := d.at(i); {
	case ch == '"':
		in, next = d.quoted(i)
	case ch == '-' || isDigit(ch):
		next = d.number(i)
		in = d.data[i:max(i, next)]
	default:
		return d.wrong(c, i)
	}
	if next < 0 {
		return next
	}
	negative, n, ok := parseInteger(in)
	if !ok || !c.store(p, negative, n) {
		return d.wrong(c, i)
	}
	return next
}

// parseInteger reads an integer, also one written as 1.0 or 1e3.
func parseInteger(in []byte) (negative bool, n uint64, ok bool) {
	digits := in
	if len(in) > 0 && in[0] == '-' {
		negative, digits = true, in[1:]
	}
	if len(digits) == 0 {
		return false, 0, false
	}
	if len(digits) < 20 {
		for i, c := range digits {
			if !isDigit(c) {
				if i == 0 {
					return false, 0, false
				}
				return parseWhole(in)
			}
			n = n*10 + uint64(c-'0')
		}
		return negative, n, true
	}
	n, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		return parseWhole(in)
	}
	return negative, n, true
}

// parseWhole reads a number with a fraction or exponent, if it is whole.
func parseWhole(in []byte) (negative bool, n uint64, ok bool) {
	s := scanner{data: in}
	if s.number(0) != len(in) {
		return false, 0, false
	}
	f, err := strconv.ParseFloat(string(in), 64)
	a := math.Abs(f)
	if err != nil || a != math.Trunc(a) || a >= 1<<64 {
		return false, 0, false
	}
	return f < 0, uint64(a), true
}

// store writes an integer of the right size, if it fits.
func (c *codec) store(p unsafe.Pointer, negative bool, n uint64) bool {
	if c.kind != kindInt {
		if negative && n != 0 {
			return false
		}
		switch c.size {
		case 8:
			*(*uint64)(p) = n
		case 4:
			*(*uint32)(p) = uint32(n)
		case 2:
			*(*uint16)(p) = uint16(n)
		default:
			*(*uint8)(p) = uint8(n)
		}
		return c.size == 8 || n>>(8*c.size) == 0
	}
	limit := uint64(1) << (8*c.size - 1)
	if n >= limit && !(negative && n == limit) {
		return false
	}
	v := int64(n)
	if negative {
		v = -v
	}
	switch c.size {
	case 8:
		*(*int64)(p) = v
	case 4:
		*(*int32)(p) = int32(v)
	case 2:
		*(*int16)(p) = int16(v)
	default:
		*(*int8)(p) = int8(v)
	}
	return true
}

// float decodes a number, or a string that holds one.
func (d *decoder) float(c *codec, p unsafe.Pointer, i int) int {
	var in []byte
	next := 0
	switch ch := d.at(i); {
	case ch == '"':
		in, next = d.quoted(i)
		if s := (&scanner{data: in}); next > 0 && s.number(0) != len(in) {
			return d.wrong(c, i)
		}
	case ch == '-' || isDigit(ch):
		next = d.number(i)
		in = d.data[i:max(i, next)]
	default:
		return d.wrong(c, i)
	}
	if next < 0 {
		return next
	}
	f, err := strconv.ParseFloat(string(in), int(8*c.size))
	if err != nil {
		return d.wrong(c, i)
	}
	if c.size == 4 {
		*(*float32)(p) = float32(f)
	} else {
		*(*float64)(p) = f
	}
	return next
}

// parseTime reads a date and time as servers write them, which is RFC 3339 with
// the offset in any of its forms, or left out. The result is in UTC.
func parseTime(b []byte) (time.Time, bool) {
	if len(b) < 19 || b[4] != '-' || b[7] != '-' || b[10]|0x20 != 't' && b[10] != ' ' || b[13] != ':' || b[16] != ':' {
		return time.Time{}, false
	}
	year := two(b)*100 + two(b[2:])
	month, day := two(b[5:]), two(b[8:])
	hour, minute, second := two(b[11:]), two(b[14:]), two(b[17:])
	if year < 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 {
		return time.Time{}, false
	}
	b = b[19:]
	nanos := 0
	if len(b) > 1 && (b[0] == '.' || b[0] == ',') && isDigit(b[1]) {
		b = b[1:]
		for unit := 100_000_000; len(b) > 0 && isDigit(b[0]); b = b[1:] {
			nanos += int(b[0]-'0') * unit
			unit /= 10
		}
	}
	offset := 0
	switch {
	case len(b) == 0, len(b) == 1 && b[0]|0x20 == 'z':
	case (len(b) == 6 && b[3] == ':' || len(b) == 5) && (b[0] == '+' || b[0] == '-'):
		h, m := two(b[1:]), two(b[len(b)-2:])
		if h < 0 || h > 23 || m < 0 || m > 59 {
			return time.Time{}, false
		}
		offset = h*3600 + m*60
		if b[0] == '-' {
			offset = -offset
		}
	default:
		return time.Time{}, false
	}
	t := time.Unix(days(year, month, day)*86400+int64(hour*3600+minute*60+second-offset), int64(nanos)).UTC()
	return t, t.Year() >= 0 && t.Year() <= 9999
}

// two reads two digits. Anything else makes it negative enough to stay so.
func two(b []byte) int {
	hi, lo := int(b[0])-'0', int(b[1])-'0'
	if uint(hi) > 9 || uint(lo) > 9 {
		return -1 << 20
	}
	return hi*10 + lo
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	default:
		return 31
	}
}

// days counts the days from 1970 to a date of the Gregorian calendar. It begins
// the year in March, so that the leap day is its last.
func days(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	if year < 0 {
		era = (year - 399) / 400
	}
	y := year - era*400
	return int64(era)*146097 + int64(y*365+y/4-y/100+(153*(month-3)+2)/5+day-1) - 719468
}

// warnings works out the paths of all mismatches, in one walk over a text that is
// known to be valid.
func (d *decoder) warnings() []Warning {
	out := make([]Warning, len(d.mismatches))
	for i, m := range d.mismatches {
		out[i] = Warning{Want: m.want, Got: d.typeAt(m.offset)}
	}
	w := &pathWalker{scanner: scanner{data: d.data}}
	done := 0
	w.found = func(i int) bool {
		for done < len(out) && d.mismatches[done].offset == i {
			out[done].Path = string(w.path)
			done++
		}
		return done < len(out)
	}
	w.walk(w.space(0))
	return out
}

// pathWalker calls found for every value, until it returns false.
type pathWalker struct {
	scanner
	path  []byte
	found func(i int) bool
}

func (w *pathWalker) walk(i int) int {
	if !w.found(i) {
		return -1
	}
	n := len(w.path)
	switch w.at(i) {
	case '{':
		more := w.open(&i, '}')
		for more {
			next, end := w.key(i)
			if n > 0 {
				w.path = append(w.path, '.')
			}
			w.path = unquote(w.path, w.data[i+1:end-1])
			i = w.walk(next)
			w.path = w.path[:n]
			if i < 0 {
				return i
			}
			more = w.next(&i, '}')
		}
	case '[':
		more := w.open(&i, ']')
		for k := 0; more; k++ {
			w.path = append(strconv.AppendInt(append(w.path, '['), int64(k), 10), ']')
			i = w.walk(i)
			w.path = w.path[:n]
			if i < 0 {
				return i
			}
			more = w.next(&i, ']')
		}
	default:
		i = w.skip(i)
	}
	return i
}
