package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/format"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Watch is the table by which watched objects are kept up to date: the kinds of
// objects there are, and what each event does to them. Both languages get it as
// it is here, as literals of types with the same fields.
type Watch struct {
	Kinds  ordered[*Kind]
	Events ordered[[]*Rule]
}

// The types of names in the table, which are identifiers in Go and strings in
// TypeScript.
type (
	kindName string
	partName string
	verbName string
	path     []string // "guilds[i].roles[]" is guilds, [i], roles, []
)

// Kind is a kind of object that events change.
type Kind struct {
	Name     string         `json:"-" table:"name"`
	ID       []path         `json:"id" table:"id"`
	Local    bool           `json:"local,omitempty" table:"local"`
	Inline   string         `json:"inline,omitempty" table:"inline"`
	Omit     []string       `json:"omit,omitempty" table:"omit"`
	Types    []int          `json:"types,omitempty" table:"types"`
	NotTypes []int          `json:"notTypes,omitempty" table:"notTypes"`
	Part     partName       `json:"part,omitempty" table:"part"`
	Complete bool           `json:"complete,omitempty" table:"complete"`
	Limit    int            `json:"limit,omitempty" table:"limit"`
	InGuild  bool           `json:"inGuild,omitempty" table:"inGuild"` // goes with its guild
	Then     []*Rule        `json:"then,omitempty" table:"then"`
	Events   []string       `json:"events,omitempty" table:"events"`
	Parts    ordered[*Part] `json:"-"`
	is       string         // its structure
	adds     fields         // fields that the structure does not have
	partial  bool           // most of the structure's may be missing
	partOnly bool           // is watched with its guild only
	types    []string       // of channels, by name: what Types and NotTypes are made of
	notTypes []string
}

// Part is a list in a guild, of objects of another kind.
type Part struct {
	Kind     string
	Complete bool // what is not in the list is not there
}

// UnmarshalJSON reads "kind" or "kind, complete".
func (p *Part) UnmarshalJSON(data []byte) error {
	var line string
	if err := json.Unmarshal(data, &line); err != nil {
		return err
	}
	p.Kind, line, _ = strings.Cut(line, ", ")
	p.Complete = line == "complete"
	if line != "" && !p.Complete {
		return fmt.Errorf("part %s: unknown attribute %q", p.Kind, line)
	}
	return nil
}

// UnmarshalJSON reads a kind as the spec has it.
func (k *Kind) UnmarshalJSON(data []byte) error {
	var in struct {
		Is       string         `json:"is"`
		ID       string         `json:"id"`
		Local    bool           `json:"local"`
		Partial  bool           `json:"partial"`
		PartOnly bool           `json:"part_only"`
		Adds     fields         `json:"adds"`
		Inline   string         `json:"inline"`
		Omit     []string       `json:"omit"`
		Types    []string       `json:"types"`
		NotTypes []string       `json:"not_types"`
		Parts    ordered[*Part] `json:"parts"`
		Limit    int            `json:"limit"`
		Then     []*Rule        `json:"then"`
	}
	if err := unmarshalKnown(data, &in); err != nil {
		return err
	}
	*k = Kind{
		ID: alternatives(in.ID), Local: in.Local, Inline: in.Inline, Omit: in.Omit, Parts: in.Parts, Limit: in.Limit, Then: in.Then,
		is: in.Is, adds: in.Adds, partial: in.Partial, partOnly: in.PartOnly, types: in.Types, notTypes: in.NotTypes,
	}
	return nil
}

func unmarshalKnown(data []byte, v any) error {
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// Rule is something that an event does, taken apart from its line in the spec,
//
//	verb kind|kind.field clause …
//
// the words of which spec/README.md explains.
type Rule struct {
	Verb       verbName   `json:"verb" table:"verb"`
	Kinds      []kindName `json:"kinds,omitempty" table:"kinds"`
	Field      string     `json:"field,omitempty" table:"field"`
	Omit       []string   `json:"omit,omitempty" table:"omit"`             // fields of the value that are left out
	At         path       `json:"at,omitempty" table:"at"`                 // to the objects
	From       path       `json:"from,omitempty" table:"from"`             // from an object to the value
	ID         []path     `json:"id,omitempty" table:"id"`                 // from an object to the id
	In         path       `json:"in,omitempty" table:"in"`                 // to the guild's id, if that is not guild_id
	Everywhere bool       `json:"everywhere,omitempty" table:"everywhere"` // all guilds, where there is no such id
	When       string     `json:"when,omitempty" table:"when"`
	Unless     []string   `json:"unless,omitempty" table:"unless"`
	By         string     `json:"by,omitempty" table:"by"`
	Within     string     `json:"within,omitempty" table:"within"`
	Step       int        `json:"step,omitempty" table:"step"`
	line       string
	as         string // the structure that the value becomes: what it has not is left out
}

var ruleVerbs = []string{"put", "reset", "update", "delete", "list", "set", "add", "remove", "count", "stale", "sweep"}

// UnmarshalJSON takes a line apart.
func (r *Rule) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, &r.line); err != nil {
		return err
	}
	words := strings.Fields(r.line)
	next := func() (word string) {
		if len(words) > 0 {
			word, words = words[0], words[1:]
		}
		return word
	}
	bad := func(what string) error { return fmt.Errorf("rule %q: %s", r.line, what) }

	if r.Verb = verbName(next()); !slices.Contains(ruleVerbs, string(r.Verb)) {
		return bad("unknown verb")
	}
	if subject := next(); subject != "" {
		names, field, _ := strings.Cut(subject, ".")
		for name := range strings.SplitSeq(names, "|") {
			r.Kinds = append(r.Kinds, kindName(name))
		}
		r.Field = field
	} else if r.Verb != "stale" {
		return bad("no kind")
	}
	if needs := slices.Contains([]verbName{"set", "add", "remove", "count"}, r.Verb); needs != (r.Field != "") {
		return bad("a field too many or too few")
	}
	for len(words) > 0 {
		clause := next()
		switch clause {
		case "up":
			r.Step = 1
			continue
		case "down":
			r.Step = -1
			continue
		}
		arg := next()
		if arg == "" {
			return bad("nothing after " + clause)
		}
		switch clause {
		case "at":
			r.At = steps(arg)
		case "from":
			r.From = steps(arg)
		case "for":
			r.ID = alternatives(arg)
		case "in":
			r.In = steps(arg)
		case "or":
			if r.Everywhere = arg == "*"; !r.Everywhere {
				return bad(`only "*" can come after or`)
			}
		case "if":
			r.When = arg
		case "unless":
			r.Unless = strings.Split(arg, "|")
		case "by":
			r.By = arg
		case "within":
			r.Within = arg
		case "as":
			r.as = arg
		default:
			return bad("unknown clause " + clause)
		}
	}
	if slices.Contains(r.In, "[i]") && !slices.Contains(r.At, "[i]") {
		return bad("no [i] to go by")
	}
	if (r.Verb == "count") != (r.Step != 0) {
		return bad("up and down are for count")
	}
	return nil
}

// steps takes a path apart.
func steps(text string) path {
	var out path
	for step := range strings.SplitSeq(strings.ReplaceAll(text, "[", ".["), ".") {
		if step != "" {
			out = append(out, step)
		}
	}
	return out
}

// alternatives takes paths apart of which the first that leads anywhere counts.
func alternatives(text string) []path {
	var out []path
	for one := range strings.SplitSeq(text, "|") {
		out = append(out, steps(one))
	}
	return out
}

// kind returns the kind of a name, or nil.
func (w *Watch) kind(name kindName) *Kind {
	if k := w.Kinds.get(string(name)); k != nil {
		return *k
	}
	return nil
}

// all calls f with every rule and what it is a rule of.
func (w *Watch) all(f func(where string, r *Rule)) {
	for _, p := range w.Kinds {
		for _, r := range p.Value.Then {
			f(p.Name, r)
		}
	}
	for _, p := range w.Events {
		for _, r := range p.Value {
			f(p.Name, r)
		}
	}
}

// finishWatch fills in what follows from the rest of the table, which has been
// checked.
func (s *Spec) finishWatch() {
	w := &s.Watch
	channelTypes := (*s.Enums.get("ChannelType")).Values
	for _, p := range w.Kinds {
		p.Value.Name = p.Name
		for _, name := range p.Value.types {
			p.Value.Types = append(p.Value.Types, number(*channelTypes.get(name)))
		}
		for _, name := range p.Value.notTypes {
			p.Value.NotTypes = append(p.Value.NotTypes, number(*channelTypes.get(name)))
		}
		if p.Value.Inline != "" {
			p.Value.Omit = append(p.Value.Omit, p.Value.Inline)
		}
		for _, part := range p.Value.Parts {
			p.Value.Omit = append(p.Value.Omit, part.Name)
			k := w.kind(kindName(part.Value.Kind))
			k.Part, k.Complete = partName(part.Name), part.Value.Complete
		}
	}
	for _, p := range w.Kinds {
		k := p.Value
		k.InGuild = k.Part != "" || s.field(k, "guild_id") != nil
		k.Events = s.events(k)
	}
	w.all(func(of string, r *Rule) {
		if r.as != "" {
			r.Omit = s.beyond(of, r)
		}
	})
}

// beyond returns the fields of the value of a rule that the structure it becomes
// has not. What nobody knows is not among them, so that it survives.
func (s *Spec) beyond(of string, r *Rule) (out []string) {
	payload, more := s.payload(of)
	way := append(slices.Clone(r.At), r.From...)
	t, _ := s.lookup(payload, more, way)
	all := s.all(t)
	if len(way) == 0 {
		all = append(slices.Clone(all), more...)
	}
	for _, f := range all {
		if !slices.ContainsFunc(s.all(r.as), func(known *Field) bool { return known.Name == f.Name }) {
			out = append(out, f.Name)
		}
	}
	return out
}

// payload returns the type of what an event carries or a kind is, and the fields
// that it has besides. There is no such event or kind if it returns neither.
func (s *Spec) payload(of string) (is string, more fields) {
	if e := s.Events.get(of); e != nil {
		return (*e).Is, (*e).Fields
	}
	if k := s.Watch.kind(kindName(of)); k != nil {
		return k.is, nil
	}
	return "", nil
}

// number reads the value of an enum.
func number(value string) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(value, ", deprecated"))
	return n
}

// events returns the names of the events that concern a kind: those with rules
// for it, and those of its guild as a whole; for a guild also those of its parts.
func (s *Spec) events(k *Kind) []string {
	if k.partOnly {
		return nil
	}
	w := &s.Watch
	concerned := []string{k.Name}
	for _, p := range k.Parts {
		concerned = append(concerned, p.Value.Kind)
	}
	var out []string
	for _, e := range w.Events {
		if slices.ContainsFunc(e.Value, func(r *Rule) bool {
			return slices.ContainsFunc(r.Kinds, func(name kindName) bool {
				if slices.Contains(concerned, string(name)) {
					return true
				}
				whole := w.kind(name)
				if whole == nil || len(whole.Parts) == 0 || r.Field != "" {
					return false
				}
				return k.InGuild || slices.ContainsFunc(whole.Then, func(then *Rule) bool {
					return slices.Contains(then.Kinds, kindName(k.Name))
				})
			})
		}) {
			out = append(out, e.Name)
		}
	}
	return out
}

// lookup returns the type that a path leads to from a type. Where that is the
// payload of an event, more are the fields it has besides.
func (s *Spec) lookup(from string, more fields, way path) (string, error) {
	t := from
	for i, step := range way {
		if strings.HasPrefix(step, "[") {
			elem, ok := strings.CutPrefix(t, "[]")
			if !ok {
				return "", fmt.Errorf("%v: no list at %s", way, step)
			}
			t = elem
			continue
		}
		var all fields
		if i == 0 {
			all = more
		}
		if s.Structs.get(t) != nil {
			all = append(slices.Clone(all), s.all(t)...)
		}
		n := slices.IndexFunc(all, func(f *Field) bool { return f.Name == step })
		if n < 0 {
			return "", fmt.Errorf("%v: no field %s", way, step)
		}
		t = all[n].Type
	}
	return t, nil
}

// field returns a field of the objects of a kind, or nil.
func (s *Spec) field(k *Kind, name string) *Field {
	all := append(slices.Clone(k.adds), s.all(k.is)...)
	if i := slices.IndexFunc(all, func(f *Field) bool { return f.Name == name }); i >= 0 {
		return all[i]
	}
	return nil
}

// checkWatch finds what is wrong with the table: every name and every path in it
// must lead somewhere.
func (s *Spec) checkWatch() error {
	var errs []error
	report := func(where, format string, args ...any) {
		errs = append(errs, fmt.Errorf("spec: watch: %s: %s", where, fmt.Sprintf(format, args...)))
	}
	for _, p := range s.Watch.Kinds {
		k := p.Value
		if s.Structs.get(k.is) == nil {
			report(p.Name, "unknown structure %s", k.is)
			return errors.Join(errs...)
		}
		for _, way := range k.ID {
			if t, err := s.lookup(k.is, nil, way); err != nil || t != "snowflake" {
				report(p.Name, "no id at %v", way)
			}
		}
		for _, name := range append(slices.Clone(k.Omit), k.Inline) {
			if name != "" && s.field(k, name) == nil {
				report(p.Name, "no field %s", name)
			}
		}
		for _, name := range append(slices.Clone(k.types), k.notTypes...) {
			if e := s.Enums.get("ChannelType"); e == nil || (*e).Values.get(name) == nil {
				report(p.Name, "unknown type of channel %s", name)
			}
		}
		for _, part := range k.Parts {
			other := s.Watch.kind(kindName(part.Value.Kind))
			if f := s.field(k, part.Name); other == nil || f == nil || f.Type != "[]"+other.is {
				report(p.Name, "%s is no list of the kind %s", part.Name, part.Value.Kind)
			}
		}
	}
	s.Watch.all(func(where string, r *Rule) {
		where += ": " + r.line
		for _, name := range r.Kinds {
			if s.Watch.kind(name) == nil {
				report(where, "unknown kind %s", name)
				return
			}
		}
		for _, err := range s.checkRule(strings.Split(where, ":")[0], r) {
			report(where, "%v", err)
		}
	})
	return errors.Join(errs...)
}

// checkRule finds what is wrong with a rule of an event or of a kind.
func (s *Spec) checkRule(of string, r *Rule) (errs []error) {
	payload, more := s.payload(of)
	if payload == "" && more == nil {
		return []error{fmt.Errorf("unknown event %s", of)}
	}
	see := func(t string, err error) string {
		if err != nil {
			errs = append(errs, err)
		}
		return t
	}
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	object := see(s.lookup(payload, more, r.At))
	within := func(way path) string {
		if len(r.At) == 0 {
			return see(s.lookup(payload, more, way))
		}
		return see(s.lookup(object, nil, way))
	}
	value := within(r.From)
	for _, name := range append(slices.Clone(r.Unless), r.When) {
		if name != "" {
			within(path{name})
		}
	}
	for _, way := range r.ID {
		if t := within(way); t != "snowflake" {
			fail("%v is a %s and no id", way, t)
		}
	}
	if r.In != nil {
		see(s.lookup(payload, more, r.In))
	}
	if r.Within != "" && see(s.lookup(payload, more, path{r.Within})) != "[]snowflake" {
		fail("%s is no list of ids", r.Within)
	}
	if r.as != "" && s.Structs.get(r.as) == nil {
		fail("unknown structure %s", r.as)
	}
	for _, name := range r.Kinds {
		k := s.Watch.kind(name)
		switch {
		case len(k.Parts) > 0 && slices.Contains([]verbName{"list", "add", "remove"}, r.Verb):
			fail("%s is not for a %s", r.Verb, name)
		case r.Verb == "list" && value != "[]"+k.is:
			fail("%s is no list of the kind %s", value, name)
		}
		if r.Field == "" {
			continue
		}
		if f := s.field(k, r.Field); f == nil {
			fail("%s has no field %s", name, r.Field)
		} else if s.isObject(f.Type) && !f.Optional {
			fail("%s.%s is not optional", name, r.Field)
		}
	}
	return errs
}

// nested returns the fields of a kind that rules merge objects into.
func (s *Spec) nested(k *Kind) []*Field {
	var out []*Field
	s.Watch.all(func(_ string, r *Rule) {
		if r.Verb != "set" || !slices.Contains(r.Kinds, kindName(k.Name)) {
			return
		}
		f := s.field(k, r.Field)
		if s.isObject(f.Type) && !slices.ContainsFunc(out, func(o *Field) bool { return o.Name == f.Name }) {
			out = append(out, f)
		}
	})
	return out
}

// literal writes a value of the table as Go.
func (w *writer) literal(v reflect.Value) {
	list := func(of string) {
		w.p("%s{", of)
		for i := range v.Len() {
			w.literal(v.Index(i))
			w.p(",")
		}
		w.p("}")
	}
	switch x := v.Interface().(type) {
	case kindName:
		w.p("kind%s", upper(string(x)))
	case partName:
		w.p("Part%s", goName(string(x)))
	case verbName:
		w.p("%sVerb", x)
	case path:
		list("path")
	case []path:
		w.p("[]path{")
		for _, way := range x {
			w.p("{%s},", strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", []string(way)), "[]string{"), "}"))
		}
		w.p("}")
	case []kindName:
		list("[]kindID")
	case []string:
		list("[]string")
	case []int:
		list("[]int64")
	case []*Rule:
		w.p("[]rule")
		w.rules(x)
	case string:
		w.p("%q", x)
	default:
		w.p("%v", x)
	}
}

// rules writes a list of rules, without its type.
func (w *writer) rules(list []*Rule) {
	w.p("{\n")
	for _, r := range list {
		w.p("// %s\n{", r.line)
		w.members(reflect.ValueOf(*r), " ")
		w.p("},\n")
	}
	w.p("}")
}

// members writes the fields of a value of the table that are set.
func (w *writer) members(v reflect.Value, separator string) {
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("table"); name != "" && !v.Field(i).IsZero() {
			w.p("%s: ", name)
			w.literal(v.Field(i))
			w.p(",%s", separator)
		}
	}
}

func upper(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

// guild returns the kind that has parts.
func (w *Watch) guild() *Kind {
	for _, p := range w.Kinds {
		if len(p.Value.Parts) > 0 {
			return p.Value
		}
	}
	return &Kind{}
}

// goWatch returns the table for package watch.
func (s *Spec) goWatch() ([]byte, error) {
	var w writer
	w.p("%spackage watch\n\n", header)
	w.p("import %q\n\n", "github.com/spacebar-gateway/spacebar-gateway/gateway/event")
	w.p("const (\n")
	for i, p := range s.Watch.Kinds {
		w.p("kind%s", upper(p.Name))
		if i == 0 {
			w.p(" kindID = iota")
		}
		w.p("\n")
	}
	w.p("kindCount\n)\n\n")

	parts := s.Watch.guild().Parts
	w.p("// The parts of a guild.\nconst (\n")
	for i, p := range parts {
		w.p("Part%s", goName(p.Name))
		if i == 0 {
			w.p(" Part = iota + 1")
		}
		w.p(" // [GuildState.%s]\n", goName(p.Name))
	}
	w.p("partCount = iota\n)\n\n")
	w.p("var partNames = [partCount]string{\n")
	for _, p := range parts {
		w.p("%q,\n", p.Name)
	}
	w.p("}\n\n")
	for _, p := range parts {
		w.p("// %s returns the guild's %s by id.\n", goName(p.Name), strings.ReplaceAll(p.Name, "_", " "))
		w.p("func (g *GuildState) %s() Map[event.%s] { return Map[event.%[2]s]{g.parts[Part%[1]s-1]} }\n\n", goName(p.Name), s.Watch.kind(kindName(p.Value.Kind)).is)
	}
	w.p("// Payload returns a guild with everything in it, as GUILD_CREATE carries it. It\n// costs as much as there is.\n")
	w.p("func (g *GuildState) Payload() *event.GatewayGuild {\nout := *g.GatewayGuild\n")
	for _, p := range parts {
		w.p("out.%s = values(g.%[1]s())\n", goName(p.Name))
	}
	w.p("return &out\n}\n\n")

	goType := func(k *Kind) string {
		if k.adds != nil {
			return upper(k.Name) + "State"
		}
		return "event." + k.is
	}
	for _, p := range s.Watch.Kinds {
		if k := p.Value; k.adds != nil {
			w.comment("", goType(k)+" is one version of a watched "+words(k.Name)+". Of others than the account's own it has what everybody may see.")
			w.p("type %s struct {\nevent.%s\n\n", goType(k), k.is)
			for _, f := range k.adds {
				w.comment("\t", f.Doc)
				w.p("%s event.Opt[*event.%s] `json:\"%s,omitzero\"`\n", goName(f.Name), f.Type, f.Name)
			}
			w.p("}\n\n")
		}
	}

	w.p("var kinds = [kindCount]kind{\n")
	for _, p := range s.Watch.Kinds {
		k := p.Value
		w.p("kind%s: {\n", upper(p.Name))
		w.members(reflect.ValueOf(*k), "\n")
		w.p("model: model[%s]{", goType(k))
		if nested := s.nested(k); len(nested) > 0 {
			w.p("nested: map[string]func(*%s, *node) error{\n", goType(k))
			for _, f := range nested {
				w.p("%q: func(v *%s, value *node) error { return into(&v.%s, value) },\n", f.Name, goType(k), goName(f.Name))
			}
			w.p("}")
		}
		w.p("},\n},\n")
	}
	w.p("}\n\n")

	w.p("var rules = map[string][]rule{\n")
	for _, e := range s.Watch.Events {
		w.p("%q: ", e.Name)
		w.rules(e.Value)
		w.p(",\n")
	}
	w.p("}\n")
	out, err := format.Source(w.Bytes())
	if err != nil {
		return nil, fmt.Errorf("table_gen.go: %w\n%s", err, w.Bytes())
	}
	return out, nil
}

// tsWatch returns the table for watch.ts.
func (s *Spec) tsWatch() []byte {
	w := &writer{}
	w.p("// Code generated by gateway/event/internal/gen from gateway/event/spec/watch.json. DO NOT EDIT.\n\n")
	guild := s.Watch.guild()
	imports := []string{"Snowflake"}
	for _, p := range s.Watch.Kinds {
		imports = append(imports, p.Value.is)
		for _, f := range p.Value.adds {
			imports = append(imports, f.Type)
		}
	}
	slices.Sort(imports)
	w.p("import type { %s } from \"./protocol.gen.js\";\n", strings.Join(slices.Compact(imports), ", "))
	w.p("import type { Kind, Rule } from \"./watch.js\";\n\n")

	w.jsdoc("", "What a watched guild contains, in maps by id.", false)
	w.p("export interface GuildParts {\n")
	for _, p := range guild.Parts {
		w.p("  readonly %s: ReadonlyMap<Snowflake, Readonly<%s>>;\n", p.Name, s.Watch.kind(kindName(p.Value.Kind)).is)
	}
	w.p("}\n\n")
	w.jsdoc("", "One version of a watched guild: its own fields, and what it contains.", false)
	w.p("export type WatchedGuild = Readonly<Omit<%s, keyof GuildParts", guild.is)
	for _, name := range guild.Omit {
		if guild.Parts.get(name) == nil {
			w.p(" | %q", name)
		}
	}
	w.p(">> &\n  GuildParts;\n\n")
	w.jsdoc("", "The kinds of objects that can be watched, and what a version of each is like.", false)
	w.p("export interface WatchedObjects {\n")
	for _, p := range s.Watch.Kinds {
		k := p.Value
		t := k.is
		switch {
		case k.partOnly:
			continue
		case len(k.Parts) > 0:
			t = "WatchedGuild"
		case k.partial:
			t = "Readonly<{ id: Snowflake } & Partial<" + t + ">"
		default:
			t = "Readonly<" + t
		}
		for _, f := range k.adds {
			t += " & { " + f.Name + "?: " + s.tsField(f) + " }"
		}
		if len(k.Parts) == 0 {
			t += ">"
		}
		w.p("  %s: %s;\n", p.Name, t)
	}
	w.p("}\n\n")

	w.jsdoc("", "@internal The name of a kind of object, those included that are watched with their guild only.", false)
	w.p("export type KindName =")
	for _, p := range s.Watch.Kinds {
		w.p("\n  | %q", p.Name)
	}
	w.p(";\n\n")
	json := func(v any) string {
		text, _ := json.Marshal(v)
		return string(text)
	}
	w.p("/** @internal */\nexport const kinds: { readonly [name in KindName]: Kind } = {\n")
	for _, p := range s.Watch.Kinds {
		w.p("  %s: %s,\n", p.Name, json(p.Value))
	}
	w.p("};\n\n/** @internal The collections of a guild, and the kind of what is in each. */\n")
	w.p("export const parts: readonly (readonly [keyof GuildParts, KindName])[] = [\n")
	for _, p := range guild.Parts {
		w.p("  [%q, %q],\n", p.Name, p.Value.Kind)
	}
	w.p("];\n\n/** @internal What each event does, in this order. */\nexport const rules: { readonly [event: string]: readonly Rule[] } = {\n")
	for _, e := range s.Watch.Events {
		w.p("  %s: [\n", e.Name)
		for _, r := range e.Value {
			w.p("    // %s\n    %s,\n", r.line, json(r))
		}
		w.p("  ],\n")
	}
	w.p("};\n")
	return w.Bytes()
}
