package event

import (
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strconv"
	"time"
)

// Snowflake is the id of a thing: a number that also tells when the thing was
// made. In JSON it is a decimal string; plain numbers are read as well. Zero
// stands for no id.
type Snowflake uint64

// snowflakeEpoch is the first second of 2015, in milliseconds since 1970.
const snowflakeEpoch = 1420070400000

// ParseSnowflake reads a decimal number.
func ParseSnowflake(s string) (Snowflake, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	return Snowflake(n), err
}

// String returns the decimal form.
func (s Snowflake) String() string { return strconv.FormatUint(uint64(s), 10) }

// Time returns when the thing was made.
func (s Snowflake) Time() time.Time {
	return time.UnixMilli(int64(s>>22) + snowflakeEpoch).UTC()
}

// MarshalText returns the decimal form, for JSON and for keys of maps.
func (s Snowflake) MarshalText() ([]byte, error) {
	return strconv.AppendUint(nil, uint64(s), 10), nil
}

// UnmarshalText reads the decimal form.
func (s *Snowflake) UnmarshalText(text []byte) error {
	n, err := ParseSnowflake(string(text))
	if err == nil {
		*s = n
	}
	return err
}

// UnmarshalJSON reads a string or a number.
func (s *Snowflake) UnmarshalJSON(data []byte) error { return unmarshalStrict(data, s) }

// Snowflakes is one id or several. The protocol takes either where it takes
// both, and one alone is written without brackets.
type Snowflakes []Snowflake

// MarshalJSON encodes a single id as itself and any other number as an array.
func (s Snowflakes) MarshalJSON() ([]byte, error) { return Append(nil, &s) }

// UnmarshalJSON reads one id or an array.
func (s *Snowflakes) UnmarshalJSON(data []byte) error { return unmarshalStrict(data, s) }

// Nonce is a value that a client makes up and a server returns. Some clients send
// numbers; it is kept and written as a string.
type Nonce string

// UnmarshalJSON reads a string or a number.
func (n *Nonce) UnmarshalJSON(data []byte) error { return unmarshalStrict(data, n) }

// Token is a secret. Whatever formats or logs it shows [TokenRedacted] in its
// place; encoding it as JSON, and converting it to a string, yield the real one,
// since Identify and Resume must send it. fmt cannot see the type of a value in an
// unexported field and prints the token there: keep tokens in exported fields.
type Token string

// TokenRedacted is what a Token looks like in logs.
const TokenRedacted = "[redacted]"

// String returns TokenRedacted.
func (Token) String() string { return TokenRedacted }

// GoString returns TokenRedacted.
func (Token) GoString() string { return TokenRedacted }

// Format writes TokenRedacted whatever the verb.
func (Token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(TokenRedacted)) }

// LogValue returns TokenRedacted.
func (Token) LogValue() slog.Value { return slog.StringValue(TokenRedacted) }

// Format writes the fields, whatever the verb: fmt shows the token where a verb
// does not fit a pointer to a struct inside another.
func (i Identify) Format(f fmt.State, _ rune) {
	type plain Identify
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, 'v'), plain(i))
}

// Format writes the fields, whatever the verb, as that of Identify does.
func (r Resume) Format(f fmt.State, _ rune) {
	type plain Resume
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, 'v'), plain(r))
}

// NoPayload is the payload of events and sends that carry null. A field of the
// type Opt[NoPayload] says yes by being null and no by being absent.
type NoPayload struct{}

// MarshalJSON returns null.
func (NoPayload) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// Versioned is a list that a client may already know a part of. A server that was
// not asked for versions sends the list alone, which is read as well.
type Versioned[T any] struct {
	Entries []T     `json:"entries"`
	Partial bool    `json:"partial"`
	Version int     `json:"version"`
	Unknown Unknown `json:"-" event:"bare"`
}

// Unknown holds the fields of an object that its type does not have, so that a
// server newer than this library loses nothing on the way through it. Unmarshal
// fills it and Marshal writes it back; encoding/json leaves it alone.
type Unknown struct{ fields *[]unknownField }

type unknownField struct {
	key string
	raw json.RawMessage
}

// Len returns how many fields there are.
func (u Unknown) Len() int {
	if u.fields == nil {
		return 0
	}
	return len(*u.fields)
}

// Get returns the JSON text of a field, or nil.
func (u Unknown) Get(key string) json.RawMessage {
	for k, raw := range u.All() {
		if k == key {
			return raw
		}
	}
	return nil
}

// All returns the fields in the order they came.
func (u Unknown) All() iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		if u.fields == nil {
			return
		}
		for _, f := range *u.fields {
			if !yield(f.key, f.raw) {
				return
			}
		}
	}
}

// String lists the names of the fields.
func (u Unknown) String() string {
	keys := make([]string, 0, u.Len())
	for key := range u.All() {
		keys = append(keys, key)
	}
	return fmt.Sprint(keys)
}

// Set adds a field, or replaces it. The text must be valid JSON, or Marshal will
// fail.
func (u *Unknown) Set(key string, raw json.RawMessage) {
	var fields []unknownField // a copy, for copies of the object share the old one
	if u.fields != nil {
		fields = slices.Clone(*u.fields)
	}
	if i := slices.IndexFunc(fields, func(f unknownField) bool { return f.key == key }); i >= 0 {
		fields[i].raw = raw
	} else {
		fields = append(fields, unknownField{key, raw})
	}
	u.fields = &fields
}

// valueName names a constant, for the String methods of enums and flags.
type valueName struct {
	value uint64
	name  string
}

// enumString returns the name of v or, where it has none, its number.
func enumString(v int, names []valueName) string {
	for _, n := range names {
		if n.value == uint64(v) {
			return n.name
		}
	}
	return strconv.Itoa(v)
}

// flagString returns the names of the flags in v, joined by "|". What has no name
// is written as a number.
func flagString(v uint64, names []valueName) string {
	var out []byte
	for _, n := range names {
		if n.value != 0 && v&n.value == n.value {
			out = append(append(out, n.name...), '|')
			v &^= n.value
		}
	}
	switch {
	case v != 0 || out == nil:
		return string(strconv.AppendUint(out, v, 10))
	default:
		return string(out[:len(out)-1])
	}
}
