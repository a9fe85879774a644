package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Spec is the protocol as the files in spec describe it.
type Spec struct {
	Events   ordered[*Event]  // by name on the wire
	Structs  ordered[*Struct] // by Go name
	Sends    ordered[*Send]   // by Go name
	Enums    ordered[*Enum]   // by Go name
	Identify Identify
	Watch    Watch
}

// Event is a dispatch event.
type Event struct {
	Type         string   `json:"type"`
	Tree         string   `json:"tree"` // group.member
	Doc          string   `json:"doc"`
	Section      string   `json:"section"`
	Intents      []string `json:"intents"`
	Capabilities []string `json:"capabilities"`
	Spacebar     bool     `json:"spacebar"`
	Is           string   `json:"is"` // the payload: an object, a list or null
	Fields       fields   `json:"fields"`
}

// Struct is an object of the protocol.
type Struct struct {
	Doc      string   `json:"doc"`
	Section  string   `json:"section"`
	Tuple    bool     `json:"tuple"` // an array on the wire
	Embed    string   `json:"embed"`
	Partial  string   `json:"partial"`  // the object whose fields it has, all optional
	Required []string `json:"required"` // but these
	Fields   fields   `json:"fields"`
}

// Send is a message to the server.
type Send struct {
	JS         string   `json:"js"`
	Op         string   `json:"op"`
	Doc        string   `json:"doc"`
	Section    string   `json:"section"`
	Answers    []string `json:"answers"`
	Is         string   `json:"is"`
	Check      bool     `json:"check"` // has rules written by hand
	Deprecated bool     `json:"deprecated"`
	Fields     fields   `json:"fields"`
}

// Enum is a set of named values.
type Enum struct {
	Doc     string          `json:"doc"`
	Section string          `json:"section"`
	Kind    string          `json:"kind"` // int, string, flags, or "flags string"
	Values  ordered[string] `json:"values"`
}

// doc returns what an enum is, from its name if the spec says nothing.
func (e *Enum) doc(name string) string {
	switch {
	case e.Doc != "":
		return e.Doc
	case strings.HasPrefix(e.Kind, "flags"):
		return "are " + words(name) + "."
	default:
		return "is " + article(words(name)) + "."
	}
}

// Identify holds what the presets for Identify send.
type Identify struct {
	Capabilities []string     `json:"capabilities"`
	Minimal      []string     `json:"minimal"`
	Properties   ordered[any] `json:"properties"`
}

// Field is a field of an object, taken apart from its line in the spec:
//
//	"name?": "type | null, attribute, … -- comment"
type Field struct {
	Name       string
	Type       string
	Optional   bool
	Nullable   bool
	Lax        bool // should be there, but some server leaves it out; its zero value says so
	Loose      bool // a number that some server writes as a string, or the other way round
	Spacebar   bool
	Deprecated bool
	Rules      []string // of sends
	Doc        string
}

type fields []*Field

func (f *fields) UnmarshalJSON(data []byte) error {
	var lines ordered[string]
	if err := json.Unmarshal(data, &lines); err != nil {
		return err
	}
	for _, l := range lines {
		field, err := parseField(l.Name, l.Value)
		if err != nil {
			return err
		}
		*f = append(*f, field)
	}
	return nil
}

func parseField(name, line string) (*Field, error) {
	f := &Field{}
	f.Name, f.Optional = strings.CutSuffix(name, "?")
	line, f.Doc, _ = strings.Cut(line, " -- ")
	attributes := strings.Split(line, ",")
	f.Type, f.Nullable = strings.CutSuffix(attributes[0], "| null")
	f.Type = strings.TrimSpace(f.Type)
	for _, a := range attributes[1:] {
		a = strings.TrimSpace(a)
		rule, _, _ := strings.Cut(a, "=")
		switch rule {
		case "lax":
			f.Lax = true
		case "loose":
			f.Loose = true
		case "spacebar":
			f.Spacebar = true
		case "deprecated":
			f.Deprecated = true
		case "required", "min", "max":
			f.Rules = append(f.Rules, a)
		default:
			return nil, fmt.Errorf("field %s: unknown attribute %q", name, a)
		}
	}
	if f.Lax && (f.Optional || f.Nullable) {
		return nil, fmt.Errorf("field %s: lax is for fields that are neither optional nor nullable", name)
	}
	return f, nil
}

// ordered is a JSON object whose order counts.
type ordered[T any] []pair[T]

type pair[T any] struct {
	Name  string
	Value T
}

func (o *ordered[T]) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		p := pair[T]{Name: key.(string)}
		if o.get(p.Name) != nil {
			return fmt.Errorf("%s is there twice", p.Name)
		}
		if err := d.Decode(&p.Value); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		*o = append(*o, p)
	}
	return nil
}

func (o ordered[T]) get(name string) *T {
	for i := range o {
		if o[i].Name == name {
			return &o[i].Value
		}
	}
	return nil
}

// load reads the spec in a folder.
func load(dir string) (*Spec, error) {
	s := &Spec{}
	for name, v := range map[string]any{
		"events":     &s.Events,
		"structures": &s.Structs,
		"sends":      &s.Sends,
		"enums":      &s.Enums,
		"identify":   &s.Identify,
		"watch":      &s.Watch,
	} {
		path := filepath.Join(dir, name+".json")
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, v); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	s.finishWatch()
	return s, nil
}

// scalars are the types a field can have besides objects and enums.
var scalars = map[string]struct{ Go, TS string }{
	"snowflake":  {"Snowflake", "Snowflake"},
	"snowflakes": {"Snowflakes", "Snowflake | Snowflake[]"},
	"string":     {"string", "string"},
	"int":        {"int", "number"},
	"int64":      {"int64", "number"},
	"float":      {"float64", "number"},
	"bool":       {"bool", "boolean"},
	"timestamp":  {"time.Time", "Timestamp"},
	"token":      {"Token", "string"},
	"nonce":      {"Nonce", "string | number"},
	"any":        {"any", "unknown"},
	"json":       {"json.RawMessage", "unknown"},
	"null":       {"NoPayload", "null"},
}

// typeRef is the type of a field, taken apart.
type typeRef struct {
	Kind string // "", "[]", "[2]", "map", "Versioned"
	Key  string // of a map
	Name string // of a scalar, object or enum
	Elem *typeRef
}

func parseType(s string) *typeRef {
	if elem, ok := strings.CutPrefix(s, "[]"); ok {
		return &typeRef{Kind: "[]", Elem: parseType(elem)}
	}
	if elem, ok := strings.CutPrefix(s, "[2]"); ok {
		return &typeRef{Kind: "[2]", Elem: parseType(elem)}
	}
	if rest, ok := strings.CutPrefix(s, "map["); ok {
		key, elem, _ := strings.Cut(rest, "]")
		return &typeRef{Kind: "map", Key: key, Elem: parseType(elem)}
	}
	if rest, ok := strings.CutPrefix(s, "Versioned["); ok {
		return &typeRef{Kind: "Versioned", Elem: parseType(strings.TrimSuffix(rest, "]"))}
	}
	return &typeRef{Name: s}
}

// isObject reports whether a name is that of an object: a structure, or the
// payload of a send.
func (s *Spec) isObject(name string) bool {
	return s.Structs.get(name) != nil || s.Sends.get(name) != nil
}

// check finds what is wrong with the spec.
func (s *Spec) check() error {
	var errs []error
	report := func(format string, args ...any) { errs = append(errs, fmt.Errorf("spec: "+format, args...)) }

	types := map[string]string{}
	declare := func(name, what string) {
		if other := types[name]; other != "" {
			report("%s is %s and %s", name, other, what)
		}
		types[name] = what
	}
	checkType := func(where, t string) {
		r := parseType(t)
		for r.Elem != nil {
			if _, ok := scalars[r.Key]; r.Kind == "map" && !ok && s.Enums.get(r.Key) == nil {
				report("%s: unknown type of key %q", where, r.Key)
			}
			r = r.Elem
		}
		if _, ok := scalars[r.Name]; !ok && !s.isObject(r.Name) && s.Enums.get(r.Name) == nil {
			report("%s: unknown type %q", where, r.Name)
		}
	}
	checkFields := func(where string, f fields) {
		names := map[string]bool{}
		for _, f := range f {
			if names[goName(f.Name)] {
				report("%s.%s is there twice", where, f.Name)
			}
			names[goName(f.Name)] = true
			checkType(where+"."+f.Name, f.Type)
		}
	}
	tree := map[string]bool{}
	for _, p := range s.Events {
		e := p.Value
		declare(e.Type, "an event")
		if tree[e.Tree] || strings.Count(e.Tree, ".") != 1 {
			report("%s: bad or repeated tree %q", p.Name, e.Tree)
		}
		tree[e.Tree] = true
		if e.Doc == "" || e.Section == "" {
			report("%s: no doc or no section", p.Name)
		}
		if e.Is != "" {
			checkType(p.Name, e.Is)
		}
		for enum, flags := range map[string][]string{"Intents": e.Intents, "Capabilities": e.Capabilities} {
			for _, flag := range flags {
				if known := s.Enums.get(enum); known == nil || (*known).Values.get(flag) == nil {
					report("%s: %s is none of %s", p.Name, flag, enum)
				}
			}
		}
		checkFields(p.Name, e.Fields)
	}
	for _, p := range s.Structs {
		declare(p.Name, "a structure")
		if p.Value.Doc == "" || p.Value.Section == "" {
			report("%s: no doc or no section", p.Name)
		}
		for _, other := range []string{p.Value.Embed, p.Value.Partial} {
			if other != "" && s.Structs.get(other) == nil {
				report("%s: unknown structure %s", p.Name, other)
			}
		}
		checkFields(p.Name, p.Value.Fields)
	}
	for _, p := range s.Sends {
		declare(p.Name, "a send")
		if ops := s.Enums.get("Op"); ops == nil || (*ops).Values.get(p.Value.Op) == nil {
			report("%s: unknown opcode %s", p.Name, p.Value.Op)
		}
		for _, a := range p.Value.Answers {
			if s.Events.get(a) == nil {
				report("%s: unknown answer %s", p.Name, a)
			}
		}
		checkFields(p.Name, p.Value.Fields)
	}
	for _, p := range s.Enums {
		declare(p.Name, "an enum")
		for _, v := range p.Value.Values {
			declare(constName(p.Name, v.Name), "a constant")
		}
	}
	return errors.Join(append(errs, s.checkWatch())...)
}

// all returns the fields of a structure, those it takes over from others included.
func (s *Spec) all(name string) fields {
	st := *s.Structs.get(name)
	if st.Partial != "" {
		return append(s.partial(st), st.Fields...)
	}
	if st.Embed != "" {
		return append(s.all(st.Embed), st.Fields...)
	}
	return st.Fields
}

// partial returns the fields of another structure that a partial one has.
func (s *Spec) partial(st *Struct) fields {
	var out fields
	for _, f := range s.all(st.Partial) {
		g := *f
		required := false
		for _, r := range st.Required {
			required = required || r == f.Name
		}
		if !required {
			g.Optional, g.Lax = true, false
		}
		out = append(out, &g)
	}
	return out
}
