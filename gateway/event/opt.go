package event

import (
	"fmt"
)

// Opt is a value that may be missing. It tells a key that was absent from one
// that was null, because the protocol does: to leave a nickname out of an update
// is to keep it, to set it to null is to remove it.
//
// The zero Opt is absent. Where T is a pointer, a value that is there is never
// nil, so o.Value() != nil is enough to look.
type Opt[T any] struct {
	value T
	state optState
}

type optState uint8

const (
	optAbsent optState = iota
	optNull
	optValue
)

// Some returns an Opt that holds v.
func Some[T any](v T) Opt[T] { return Opt[T]{v, optValue} }

// Null returns an Opt that is null, and not absent.
func Null[T any]() Opt[T] { return Opt[T]{state: optNull} }

// Get returns the value and whether there is one.
func (o Opt[T]) Get() (T, bool) { return o.value, o.state == optValue }

// Value returns the value, or the zero value of T where there is none.
func (o Opt[T]) Value() T { return o.value }

// Or returns the value, or def where there is none.
func (o Opt[T]) Or(def T) T {
	if o.state == optValue {
		return o.value
	}
	return def
}

// IsSet reports whether there is a value: neither absent nor null.
func (o Opt[T]) IsSet() bool { return o.state == optValue }

// IsNull reports whether the value is null.
func (o Opt[T]) IsNull() bool { return o.state == optNull }

// IsZero reports whether the value is absent. encoding/json asks it of fields
// tagged omitzero.
func (o Opt[T]) IsZero() bool { return o.state == optAbsent }

// String formats the value, "null" or "absent".
func (o Opt[T]) String() string {
	switch o.state {
	case optValue:
		return fmt.Sprint(o.value)
	case optNull:
		return "null"
	default:
		return "absent"
	}
}

// Format formats the value as it would be by itself, so that a [Token] stays
// hidden. What is not there is "null" or "absent" in any format.
func (o Opt[T]) Format(f fmt.State, verb rune) {
	if o.state == optValue {
		_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), o.value)
		return
	}
	_, _ = f.Write([]byte(o.String()))
}

// MarshalJSON encodes the value, or null where there is none.
func (o Opt[T]) MarshalJSON() ([]byte, error) {
	if o.state != optValue {
		return []byte("null"), nil
	}
	return Append(nil, &o.value)
}

// UnmarshalJSON decodes a value or null. Unlike [Unmarshal] it knows no way to
// warn, so a value of another type is an error here.
func (o *Opt[T]) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*o = Null[T]()
		return nil
	}
	var v T
	if err := unmarshalStrict(data, &v); err != nil {
		return err
	}
	*o = Some(v)
	return nil
}

// optional marks Opt for the codec, which looks through it.
func (Opt[T]) optional() {}
