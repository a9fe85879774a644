package event

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unsafe"
)

// ValidationError says which field of a send a server would not take.
type ValidationError struct {
	Op     Op
	Field  string // the key on the wire; empty if it is the payload as a whole
	Reason string
}

// Error describes the error.
func (e *ValidationError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("event: cannot send %v: %s", e.Op, e.Reason)
	}
	return fmt.Sprintf("event: cannot send %v: %s %s", e.Op, e.Field, e.Reason)
}

// validate checks a send against the rules in the tags of its fields.
func validate[T Send](s *T) error {
	p, c, err := pointerTo(s)
	if err != nil {
		return err
	}
	op := (*s).Opcode()
	if c.kind == kindSlice && (*sliceHeader)(p).len == 0 {
		return &ValidationError{op, "", "is empty"}
	}
	for i := range c.fields {
		f := &c.fields[i]
		for rule := range strings.SplitSeq(f.rules, ",") {
			if reason := f.codec.breaks(rule, f.at(p)); reason != "" {
				return &ValidationError{op, f.name, reason}
			}
		}
	}
	return nil
}

// breaks returns how the value at p breaks a rule, or nothing. A value that is
// absent breaks none but "required".
func (c *codec) breaks(rule string, p unsafe.Pointer) string {
	if c.kind == kindOpt {
		if *(*optState)(unsafe.Add(p, c.state)) == optValue {
			return c.elem.breaks(rule, p)
		}
		return ""
	}
	name, arg, _ := strings.Cut(rule, "=")
	limit, _ := strconv.Atoi(arg)
	v := reflect.NewAt(c.rtype, p).Elem()
	size, unit := math.MinInt, ""
	switch {
	case v.CanInt():
		size = int(v.Int())
	case v.Kind() == reflect.String:
		size, unit = v.Len(), " bytes"
	case v.Kind() == reflect.Slice, v.Kind() == reflect.Map:
		size, unit = v.Len(), " elements"
	}
	switch {
	case name == "required" && (v.IsZero() || unit != "" && size == 0):
		return "is missing"
	case name == "min" && size < limit:
		return "must be at least " + arg + unit
	case name == "max" && size > limit:
		return "must be at most " + arg + unit
	}
	return ""
}

// Heartbeat keeps the connection alive. It carries the newest sequence number, or
// null before the first one. The session sends it by itself (Gateway events,
// Heartbeat).
type Heartbeat struct{ Seq Opt[int64] }

// MarshalJSON returns the sequence number or null.
func (h Heartbeat) MarshalJSON() ([]byte, error) { return h.Seq.MarshalJSON() }

// UnmarshalJSON reads a sequence number or null.
func (h *Heartbeat) UnmarshalJSON(data []byte) error { return h.Seq.UnmarshalJSON(data) }

// Validate implements [Send].
func (h Heartbeat) Validate() error { return nil }

// check holds the rules of Identify that concern more than one field.
func (i Identify) check() error {
	if s, ok := i.Shard.Get(); ok && (s[0] < 0 || s[1] < 1 || s[0] >= s[1]) {
		return &ValidationError{OpIdentify, "shard", "must be a number of a shard and the greater number of shards"}
	}
	return nil
}

// check holds the rules of RequestGuildMembers that concern more than one field.
// A Spacebar server closes the connection on a query without a limit.
func (r RequestGuildMembers) check() error {
	switch {
	case !r.Query.IsSet() && !r.UserIDs.IsSet():
		return &ValidationError{OpRequestGuildMembers, "query", "is missing, and so is user_ids"}
	case r.Query.IsSet() && r.UserIDs.IsSet():
		return &ValidationError{OpRequestGuildMembers, "query", "excludes user_ids"}
	case r.Query.IsSet() && !r.Limit.IsSet():
		return &ValidationError{OpRequestGuildMembers, "limit", "is missing, which a query needs"}
	}
	return nil
}
