package watch

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
)

// typed is what the rules need to know of the Go type of a kind's objects. A
// version of an object is a pointer to it, and is not changed: these functions
// return another one.
type typed interface {
	// merge lays the fields of obj over old: a key that is there replaces, null
	// included, one that is not leaves what was. A nil old is an object without
	// any fields.
	merge(old any, obj *node) (any, error)
	// set puts a value into one field of old. An object is laid over the one that
	// is there.
	set(old any, field string, value *node) (any, error)
	// json returns the object as events carry it.
	json(old any) *node
	// same returns old if v is no different.
	same(old, v any) any
}

// model implements typed for a type of package event.
type model[T any] struct {
	// nested are the fields that set lays objects over.
	nested map[string]func(v *T, value *node) error
}

func (m model[T]) merge(old any, obj *node) (any, error) {
	v := new(T)
	if old != nil {
		*v = *old.(*T)
	}
	if err := overlay(v, obj); err != nil {
		return old, err
	}
	return v, nil
}

func (m model[T]) set(old any, field string, value *node) (any, error) {
	lay := m.nested[field]
	if lay == nil || !value.isObject() {
		return m.merge(old, objectOf(field, value))
	}
	v := *old.(*T)
	if err := lay(&v, value); err != nil {
		return old, err
	}
	return &v, nil
}

func (model[T]) json(old any) *node {
	raw, err := event.Marshal(old)
	if err != nil {
		return absent // it holds what was set to be no JSON; nothing of ours does
	}
	return &node{raw: raw}
}

// same compares what would be sent, which is quicker than reflection and does not
// mind where an empty list came from.
func (model[T]) same(old, v any) any {
	if old == v || old == nil || v == nil {
		return v
	}
	text := texts.Get().(*[2][]byte)
	defer texts.Put(text)
	for i, o := range [2]any{old, v} {
		var err error
		if text[i], err = event.Append(text[i][:0], o); err != nil {
			return v
		}
	}
	if bytes.Equal(text[0], text[1]) {
		return old
	}
	return v
}

var texts = sync.Pool{New: func() any { return new([2][]byte) }}

// into lays an object over the one in an optional field.
func into[T any](field *event.Opt[*T], value *node) error {
	v := new(T)
	if old := field.Value(); old != nil {
		*v = *old
	}
	if err := overlay(v, value); err != nil {
		return err
	}
	*field = event.Some(v)
	return nil
}

// overlay decodes an object over a copy of another one. The decoder leaves alone
// what the text does not name, and makes lists and what pointers lead to anew;
// what is left to do is in the shape of the type.
func overlay[T any](v *T, obj *node) error {
	s := shapeOf(reflect.TypeFor[T]())
	r := reflect.ValueOf(v).Elem()
	for _, f := range s.inPlace {
		if obj.get(f.name).exists() {
			r.FieldByIndex(f.index).SetZero()
		}
	}
	unknown := r.FieldByIndex(s.unknown).Addr().Interface().(*event.Unknown)
	before := *unknown
	if _, err := event.Unmarshal(obj.raw, v); err != nil {
		return err
	}
	if before.Len() > 0 {
		for key, raw := range unknown.All() {
			before.Set(key, raw)
		}
		*unknown = before
	}
	return nil
}

// shape is what overlay knows of a type.
type shape struct {
	unknown []int
	// inPlace are the fields that the decoder would merge rather than replace, and
	// in memory that the old version has: structs and maps.
	inPlace []place
}

type place struct {
	name  string
	index []int
}

var shapes sync.Map // reflect.Type -> *shape

func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s := &shape{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Type == reflect.TypeFor[event.Unknown]():
			if s.unknown == nil || len(f.Index) < len(s.unknown) {
				s.unknown = f.Index
			}
		case !f.Anonymous && name != "" && mergesInPlace(f.Type):
			s.inPlace = append(s.inPlace, place{name, slices.Clone(f.Index)})
		}
	}
	shapes.Store(t, s)
	return s
}

func mergesInPlace(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Map:
		return true
	case reflect.Struct:
		if strings.HasPrefix(t.Name(), "Opt[") {
			return mergesInPlace(t.Field(0).Type)
		}
		return t != reflect.TypeFor[time.Time]()
	default:
		return false
	}
}
