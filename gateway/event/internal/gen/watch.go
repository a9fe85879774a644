package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/format"
	"slices"
	"strconv"
	"strings"
)

// Watch is the table by which watched objects are kept up to date: the kinds of
// objects there are, and what each event does to them.
type Watch struct {
	Kinds  ordered[*Kind]
	Events ordered[[]*Rule]
}

// Kind is a kind of object that events change.
type Kind struct {
	Is       string           `json:"is"`
	ID       string           `json:"id"`        // where an object has its id
	Local    bool             `json:"local"`     // the id is one of each guild's own
	Partial  bool             `json:"partial"`   // most of the fields may be missing
	PartOnly bool             `json:"part_only"` // is watched with its guild only
	Adds     fields           `json:"adds"`      // fields that Is does not have
	Inline   string           `json:"inline"`    // a field whose fields are the object's own
	Omit     []string         `json:"omit"`      // fields that are not kept
	Types    []string         `json:"types"`     // of channel, that make an object one of this kind
	NotTypes []string         `json:"not_types"` // that make it one of another
	Parts    ordered[*Part]   `json:"parts"`     // lists of other kinds
	Limit    int              `json:"limit"`     // of each part, by default
	Then     []*Rule          `json:"then"`      // what a whole object does besides
}

// Part is a list in a guild of objects of another kind.
type Part struct {
	Kind     string
	Complete bool // what is not in the list is not there
}

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

// Rule is something that an event does, taken apart from its line in the spec:
//
//	verb kind|kind.field clause …
//
// spec/README.md says what the verbs and clauses mean.
type Rule struct {
	Line       string
	Verb       string
	Kinds      []string
	Field      string
	As         string   // struct whose fields alone are taken
	At         string   // path to the objects
	From       string   // path from an object to the value
	For        []string // paths from an object to the id, the first that is there
	In         string   // path to the guild's id
	Everywhere bool     // all guilds, if there is no such id
	If         string
	Unless     []string
	By         string
	Within     string
	Down       bool
}

var ruleVerbs = []string{"put", "reset", "update", "delete", "list", "set", "add", "remove", "count", "stale", "sweep"}

func (r *Rule) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, &r.Line); err != nil {
		return err
	}
	words := strings.Fields(r.Line)
	bad := func(what string) error { return fmt.Errorf("rule %q: %s", r.Line, what) }
	next := func() string {
		if len(words) == 0 {
			return ""
		}
		w := words[0]
		words = words[1:]
		return w
	}
	if r.Verb = next(); !slices.Contains(ruleVerbs, r.Verb) {
		return bad("unknown verb")
	}
	if len(words) > 0 {
		var kinds string
		kinds, r.Field, _ = strings.Cut(next(), ".")
		r.Kinds = strings.Split(kinds, "|")
	} else if r.Verb != "stale" {
		return bad("no kind")
	}
	if needs := slices.Contains([]string{"set", "add", "remove", "count"}, r.Verb); needs != (r.Field != "") {
		return bad("a field too many or too few")
	}
	for len(words) > 0 {
		clause := next()
		if clause == "up" || clause == "down" {
			r.Down = clause == "down"
			continue
		}
		arg := next()
		if arg == "" {
			return bad("nothing after " + clause)
		}
		switch clause {
		case "at":
			r.At = arg
		case "from":
			r.From = arg
		case "for":
			r.For = strings.Split(arg, "|")
		case "in":
			if r.In = arg; arg == "*" {
				r.In, r.Everywhere = "", true
			}
		case "or":
			if r.Everywhere = arg == "*"; !r.Everywhere {
				return bad(`only "*" can come after or`)
			}
		case "if":
			r.If = arg
		case "unless":
			r.Unless = strings.Split(arg, "|")
		case "by":
			r.By = arg
		case "within":
			r.Within = arg
		case "as":
			r.As = arg
		default:
			return bad("unknown clause " + clause)
		}
	}
	if r.In == "" && !r.Everywhere {
		r.In = "guild_id"
	}
	if strings.Contains(r.In, "[i]") && !strings.Contains(r.At, "[i]") {
		return bad("no [i] to go by")
	}
	return nil
}

// steps takes a path apart: "guilds[i].roles[]" is guilds, [i], roles, [].
func steps(path string) []string {
	var out []string
	for step := range strings.SplitSeq(strings.ReplaceAll(path, "[", ".["), ".") {
		if step != "" {
			out = append(out, step)
		}
	}
	return out
}

// lookup returns the type that a path leads to, from a type with fields.
func (s *Spec) lookup(from string, more fields, path string) (string, error) {
	t := from
	for i, step := range steps(path) {
		r := parseType(t)
		if strings.HasPrefix(step, "[") {
			if r.Kind != "[]" {
				return "", fmt.Errorf("%s: no list at %s", path, step)
			}
			t, _ = strings.CutPrefix(t, "[]")
			continue
		}
		var all fields
		if i == 0 {
			all = append(all, more...)
		}
		switch {
		case s.Structs.get(t) != nil:
			all = append(all, s.all(t)...)
		case t != "" && i > 0 || t != "":
			return "", fmt.Errorf("%s: %s has no fields", path, t)
		}
		n := slices.IndexFunc(all, func(f *Field) bool { return f.Name == step })
		if n < 0 {
			return "", fmt.Errorf("%s: no field %s", path, step)
		}
		t = all[n].Type
	}
	return t, nil
}

// kind returns the kind of a name.
func (w *Watch) kind(name string) *Kind {
	if k := w.Kinds.get(name); k != nil {
		return *k
	}
	return nil
}

// checkWatch finds what is wrong with the table: every name and every path in it
// must be there.
func (s *Spec) checkWatch() error {
	var errs []error
	report := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("spec: watch: "+format, args...))
	}
	for _, p := range s.Watch.Kinds {
		k := p.Value
		if s.Structs.get(k.Is) == nil {
			report("%s: unknown structure %s", p.Name, k.Is)
			continue
		}
		for path := range strings.SplitSeq(k.ID, "|") {
			if _, err := s.lookup(k.Is, nil, path); err != nil {
				report("%s: %v", p.Name, err)
			}
		}
		for _, name := range append(k.Omit, k.Inline) {
			if name != "" && s.field(k, name) == nil {
				report("%s: no field %s", p.Name, name)
			}
		}
		for _, part := range k.Parts {
			other := s.Watch.kind(part.Value.Kind)
			if f := s.field(k, part.Name); other == nil || f == nil || f.Type != "[]"+other.Is {
				report("%s.%s: is no list of the kind %s", p.Name, part.Name, part.Value.Kind)
			}
		}
		for _, name := range append(k.Types, k.NotTypes...) {
			if (*s.Enums.get("ChannelType")).Values.get(name) == nil {
				report("%s: unknown type %s", p.Name, name)
			}
		}
		for _, r := range k.Then {
			s.checkRule(r, p.Name, k.Is, nil, report)
		}
	}
	for _, p := range s.Watch.Events {
		e := s.Events.get(p.Name)
		if e == nil {
			report("unknown event %s", p.Name)
			continue
		}
		for _, r := range p.Value {
			s.checkRule(r, p.Name, (*e).Is, (*e).Fields, report)
		}
	}
	return errors.Join(errs...)
}

// field returns a field of the objects of a kind.
func (s *Spec) field(k *Kind, name string) *Field {
	all := append(slices.Clone(k.Adds), s.all(k.Is)...)
	if i := slices.IndexFunc(all, func(f *Field) bool { return f.Name == name }); i >= 0 {
		return all[i]
	}
	return nil
}

func (s *Spec) checkRule(r *Rule, where, is string, more fields, report func(string, ...any)) {
	where += ": " + r.Line
	object, err := s.lookup(is, more, r.At)
	if err != nil {
		report("%s: %v", where, err)
		return
	}
	path := func(path string) string {
		from, with := object, fields(nil)
		if r.At == "" {
			from, with = is, more
		}
		t, err := s.lookup(from, with, path)
		if err != nil {
			report("%s: %v", where, err)
		}
		return t
	}
	value := path(r.From)
	for _, name := range append(slices.Clone(r.Unless), r.If) {
		if name != "" && r.Verb != "sweep" {
			path(name)
		}
	}
	for _, p := range r.For {
		path(p)
	}
	if r.In != "guild_id" {
		if _, err := s.lookup(is, more, r.In); err != nil {
			report("%s: %v", where, err)
		}
	}
	if r.Within != "" {
		if t, err := s.lookup(is, more, r.Within); err != nil || t != "[]snowflake" {
			report("%s: %s is no list of ids", where, r.Within)
		}
	}
	if r.As != "" && s.Structs.get(r.As) == nil {
		report("%s: unknown structure %s", where, r.As)
	}
	for _, name := range r.Kinds {
		k := s.Watch.kind(name)
		if k == nil {
			report("%s: unknown kind %s", where, name)
			continue
		}
		if len(k.Parts) > 0 && (r.Verb == "list" || r.Verb == "add" || r.Verb == "remove") {
			report("%s: not for a guild", where)
		}
		if r.Verb == "list" && value != "[]"+k.Is {
			report("%s: no list of %s, but %q", where, k.Is, value)
		}
		if r.Field != "" {
			f := s.field(k, r.Field)
			if f == nil {
				report("%s: no field %s", where, r.Field)
			} else if s.isObject(f.Type) && !f.Optional {
				report("%s: %s is not optional", where, r.Field)
			}
		}
	}
}

// events returns the names of the events that concern a kind: those with rules
// for it, and those of its guild.
func (w *Watch) events(name string) []string {
	concerns := func(r *Rule, all bool) bool {
		for _, other := range r.Kinds {
			if other == name {
				return true
			}
			// What happens to a whole guild happens to what it contains.
			k := w.kind(other)
			if len(k.Parts) == 0 || r.Field != "" {
				continue
			}
			for _, p := range k.Parts {
				if p.Value.Kind == name {
					return true
				}
			}
			for _, then := range k.Then {
				if slices.Contains(then.Kinds, name) && (r.Verb == "reset" || r.Verb == "put") {
					return true
				}
			}
		}
		return false
	}
	names := []string{name}
	for _, p := range w.kind(name).Parts {
		names = append(names, p.Value.Kind)
	}
	var out []string
	for _, e := range w.Events {
		for _, n := range names {
			name = n
			if slices.ContainsFunc(e.Value, func(r *Rule) bool { return concerns(r, false) }) {
				out = append(out, e.Name)
				break
			}
		}
	}
	return out
}

// kindTypes returns the numbers of the named types of channel.
func (s *Spec) kindTypes(names []string) []string {
	var out []string
	for _, n := range names {
		out = append(out, *(*s.Enums.get("ChannelType")).Values.get(n))
	}
	return out
}

// nested returns the fields of a kind that rules merge objects into.
func (s *Spec) nested(name string) []*Field {
	k := s.Watch.kind(name)
	var out []*Field
	see := func(r *Rule) {
		if r.Verb != "set" || !slices.Contains(r.Kinds, name) {
			return
		}
		if f := s.field(k, r.Field); s.isObject(f.Type) && !slices.Contains(out, f) &&
			!slices.ContainsFunc(out, func(o *Field) bool { return o.Name == f.Name }) {
			out = append(out, f)
		}
	}
	for _, p := range s.Watch.Kinds {
		for _, r := range p.Value.Then {
			see(r)
		}
	}
	for _, e := range s.Watch.Events {
		for _, r := range e.Value {
			see(r)
		}
	}
	return out
}

func quoted(list []string) string {
	var out []string
	for _, s := range list {
		out = append(out, strconv.Quote(s))
	}
	return strings.Join(out, ", ")
}

// goWatch returns the table for package watch.
func (s *Spec) goWatch() ([]byte, error) {
	var w writer
	w.p("%spackage watch\n\n", header)
	w.p("import %q\n\n", "github.com/spacebar-gateway/spacebar-gateway/gateway/event")

	w.p("// The kinds of objects.\nconst (\n")
	for i, p := range s.Watch.Kinds {
		w.p("\t%s", goKind(p.Name))
		if i == 0 {
			w.p(" kindID = iota")
		}
		w.p("\n")
	}
	w.p("\tkindCount\n)\n\n")

	var parts []pair[*Part]
	for _, p := range s.Watch.Kinds {
		if len(p.Value.Parts) > 0 {
			parts = p.Value.Parts
		}
	}
	w.p("// The parts of a guild.\nconst (\n")
	for i, p := range parts {
		w.p("\t// Part%s: see [GuildState.%[1]s].\n\tPart%[1]s", goName(p.Name))
		if i == 0 {
			w.p(" Part = iota")
		}
		w.p("\n")
	}
	w.p("\tpartCount\n)\n\n")
	w.p("var partNames = [partCount]string{")
	for _, p := range parts {
		w.p("%q, ", p.Name)
	}
	w.p("}\n\n")
	for i, p := range parts {
		w.p("// %s returns the %s of the guild by their ids.\n", goName(p.Name), strings.ReplaceAll(p.Name, "_", " "))
		w.p("func (g *GuildState) %s() Map[event.%s] { return Map[event.%[2]s]{g.parts[%d]} }\n\n", goName(p.Name), s.Watch.kind(p.Value.Kind).Is, i)
	}
	w.p("// Payload returns the guild in the form in which events carry it. It costs a copy of\n// everything.\n")
	w.p("func (g *GuildState) Payload() *event.GatewayGuild {\n\tout := *g.GatewayGuild\n")
	for _, p := range parts {
		w.p("\tout.%s = values(g.%[1]s())\n", goName(p.Name))
	}
	w.p("\treturn &out\n}\n\n")

	for _, p := range s.Watch.Kinds {
		if len(p.Value.Adds) > 0 {
			w.p("// %sState is one version of a watched %s. Of others than the account's own only\n// what everybody may see is set.\n", strings.ToUpper(p.Name[:1])+p.Name[1:], words(p.Name))
			var body writer
			s.goStruct(&body, strings.ToUpper(p.Name[:1])+p.Name[1:]+"State", "event."+p.Value.Is, "", nil)
			text := strings.TrimSuffix(body.String(), "}\n\n")
			var add writer
			for _, f := range p.Value.Adds {
				s.goField(&add, f)
			}
			w.p("%s\n%s}\n\n", text, strings.NewReplacer("Opt[*", "event.Opt[*event.").Replace(add.String()))
		}
	}

	w.p("var kinds = [kindCount]kind{\n")
	for _, p := range s.Watch.Kinds {
		k := p.Value
		w.p("%s: {\nname: %q,\nid: []path{", goKind(p.Name), p.Name)
		for path := range strings.SplitSeq(k.ID, "|") {
			w.p("{%s}, ", quoted(steps(path)))
		}
		w.p("},\n")
		if k.Local {
			w.p("local: true,\n")
		}
		if k.Inline != "" {
			w.p("inline: %q,\n", k.Inline)
		}
		if len(k.Omit) > 0 {
			w.p("omit: []string{%s},\n", quoted(k.Omit))
		}
		if len(k.Types) > 0 {
			w.p("types: []int64{%s},\n", strings.Join(s.kindTypes(k.Types), ", "))
		}
		if len(k.NotTypes) > 0 {
			w.p("notTypes: []int64{%s},\n", strings.Join(s.kindTypes(k.NotTypes), ", "))
		}
		if i := slices.IndexFunc(parts, func(o pair[*Part]) bool { return o.Value.Kind == p.Name }); i >= 0 {
			w.p("part: Part%s,\n", goName(parts[i].Name))
			if parts[i].Value.Complete {
				w.p("complete: true,\n")
			}
		} else {
			w.p("part: noPart,\n")
		}
		if len(k.Parts) > 0 {
			w.p("parts: []kindID{")
			for _, part := range k.Parts {
				w.p("%s, ", goKind(part.Value.Kind))
			}
			w.p("},\nlimit: %d,\n", k.Limit)
		}
		if len(k.Then) > 0 {
			w.p("then: []rule{\n")
			for _, r := range k.Then {
				s.goRule(&w, r)
			}
			w.p("},\n")
		}
		if !k.PartOnly {
			w.p("events: []string{%s},\n", quoted(s.Watch.events(p.Name)))
		}
		t := "event." + k.Is
		if len(k.Adds) > 0 {
			t = strings.ToUpper(p.Name[:1]) + p.Name[1:] + "State"
		}
		w.p("model: model[%s]{\nunknown: func(v *%[1]s) *event.Unknown { return &v.Unknown },\n", t)
		if nested := s.nested(p.Name); len(nested) > 0 {
			w.p("nested: map[string]func(*%s, []byte) error{\n", t)
			for _, f := range nested {
				w.p("%q: func(v *%s, raw []byte) error { return into(&v.%s, raw) },\n", f.Name, t, goName(f.Name))
			}
			w.p("},\n")
		}
		w.p("},\n},\n")
	}
	w.p("}\n\n")

	w.p("var rules = map[string][]rule{\n")
	for _, e := range s.Watch.Events {
		w.p("%q: {\n", e.Name)
		for _, r := range e.Value {
			s.goRule(&w, r)
		}
		w.p("},\n")
	}
	w.p("}\n")
	out, err := format.Source(w.Bytes())
	if err != nil {
		return nil, fmt.Errorf("table_gen.go: %w\n%s", err, w.Bytes())
	}
	return out, nil
}

func goKind(name string) string { return "kind" + strings.ToUpper(name[:1]) + name[1:] }

func (s *Spec) goRule(w *writer, r *Rule) {
	w.p("// %s\n{verb: %s", r.Line, r.Verb+"Verb")
	if len(r.Kinds) > 0 {
		w.p(", kinds: []kindID{")
		for _, k := range r.Kinds {
			w.p("%s, ", goKind(k))
		}
		w.p("}")
	}
	str := func(name, value string) {
		if value != "" {
			w.p(", %s: %q", name, value)
		}
	}
	way := func(name, value string) {
		if value != "" {
			w.p(", %s: path{%s}", name, quoted(steps(value)))
		}
	}
	str("field", r.Field)
	if r.As != "" {
		w.p(", only: []string{%s}", quoted(s.names(r.As)))
	}
	way("at", r.At)
	way("from", r.From)
	if len(r.For) > 0 {
		w.p(", id: []path{")
		for _, p := range r.For {
			w.p("{%s}, ", quoted(steps(p)))
		}
		w.p("}")
	}
	way("in", r.In)
	if r.Everywhere {
		w.p(", everywhere: true")
	}
	str("when", r.If)
	if len(r.Unless) > 0 {
		w.p(", unless: []string{%s}", quoted(r.Unless))
	}
	str("by", r.By)
	str("within", r.Within)
	if r.Verb == "count" {
		by := 1
		if r.Down {
			by = -1
		}
		w.p(", step: %d", by)
	}
	w.p("},\n")
}

// names returns the names of a structure's fields.
func (s *Spec) names(structure string) []string {
	var out []string
	for _, f := range s.all(structure) {
		out = append(out, f.Name)
	}
	return out
}

// tsWatch returns the table for watch.ts.
func (s *Spec) tsWatch() []byte {
	w := &writer{}
	w.p("// Code generated by gateway/event/internal/gen from gateway/event/spec/watch.json. DO NOT EDIT.\n")
	w.p("// What each event does to watched objects; gateway/event/spec/README.md explains the words.\n\n")
	types := map[string]bool{"Snowflake": true}
	var guild *Kind
	for _, p := range s.Watch.Kinds {
		types[p.Value.Is] = true
		for _, f := range p.Value.Adds {
			types[f.Type] = true
		}
		if len(p.Value.Parts) > 0 {
			guild = p.Value
		}
	}
	var names []string
	for t := range types {
		names = append(names, t)
	}
	slices.Sort(names)
	w.p("import type { %s } from \"./protocol.gen.js\";\n\n", strings.Join(names, ", "))

	w.jsdoc("", "What a watched guild contains: the kinds of its collections, each of which is a map by id.", false)
	w.p("export interface GuildParts {\n")
	for _, p := range guild.Parts {
		w.p("  readonly %s: ReadonlyMap<Snowflake, %s>;\n", p.Name, s.Watch.kind(p.Value.Kind).Is)
	}
	w.p("}\n\n")
	w.jsdoc("", "One version of a watched guild: its own fields, and maps of what it contains.", false)
	w.p("export type WatchedGuild = Readonly<Omit<%s, keyof GuildParts", guild.Is)
	for _, name := range append([]string{guild.Inline}, guild.Omit...) {
		w.p(" | %q", name)
	}
	w.p(">> & GuildParts;\n\n")

	w.jsdoc("", "One version of each kind of object that can be watched.", false)
	w.p("export interface WatchedObjects {\n")
	for _, p := range s.Watch.Kinds {
		k := p.Value
		if k.PartOnly {
			continue
		}
		t := k.Is
		switch {
		case len(k.Parts) > 0:
			t = "WatchedGuild"
		case k.Partial:
			t = "Readonly<Partial<" + t + ">>"
		default:
			t = "Readonly<" + t + ">"
		}
		for _, f := range k.Adds {
			t += " & { readonly " + f.Name + "?: " + s.tsField(f) + " }"
		}
		w.p("  %s: %s;\n", p.Name, t)
	}
	w.p("}\n")
	w.p(`
/** @internal A path: keys, "[]" for each element, "[i]" for each element and the number that "in" goes by. */
export type Path = readonly string[];

/** @internal */
export type KindName = `)
	for i, p := range s.Watch.Kinds {
		if i > 0 {
			w.p(" | ")
		}
		w.p("%q", p.Name)
	}
	w.p(`;

/** @internal A kind of object. */
export interface Kind {
  /** Where an object has its id: the first of these paths that leads to one. */
  readonly id: readonly Path[];
  /** Whether the id is one of each guild's own. */
  readonly local?: true;
  readonly inline?: string;
  readonly omit?: readonly string[];
  readonly types?: readonly number[];
  readonly notTypes?: readonly number[];
  /** Which collection of a guild it belongs in, and whether a list of it is complete. */
  readonly part?: keyof GuildParts;
  readonly complete?: true;
  readonly limit?: number;
  readonly then?: readonly Rule[];
  /** The events that concern it; none if it is watched with its guild only. */
  readonly events?: readonly string[];
}

/** @internal Something that an event does. */
export interface Rule {
  readonly verb: `)
	for i, v := range ruleVerbs {
		if i > 0 {
			w.p(" | ")
		}
		w.p("%q", v)
	}
	w.p(`;
  readonly kinds?: readonly KindName[];
  readonly field?: string;
  readonly only?: readonly string[];
  readonly at?: Path;
  readonly from?: Path;
  readonly id?: readonly Path[];
  readonly in?: Path;
  readonly everywhere?: true;
  readonly when?: string;
  readonly unless?: readonly string[];
  readonly by?: string;
  readonly within?: string;
  readonly step?: number;
}

/** @internal */
export const kinds: { readonly [name in KindName]: Kind } = {
`)
	for _, p := range s.Watch.Kinds {
		k := p.Value
		w.p("  %s: {\n    id: [", p.Name)
		for i, path := range strings.Split(k.ID, "|") {
			if i > 0 {
				w.p(", ")
			}
			w.p("[%s]", quoted(steps(path)))
		}
		w.p("],\n")
		if k.Local {
			w.p("    local: true,\n")
		}
		if k.Inline != "" {
			w.p("    inline: %q,\n", k.Inline)
		}
		if len(k.Omit) > 0 {
			w.p("    omit: [%s],\n", quoted(k.Omit))
		}
		if len(k.Types) > 0 {
			w.p("    types: [%s],\n", strings.Join(s.kindTypes(k.Types), ", "))
		}
		if len(k.NotTypes) > 0 {
			w.p("    notTypes: [%s],\n", strings.Join(s.kindTypes(k.NotTypes), ", "))
		}
		for _, part := range guild.Parts {
			if part.Value.Kind == p.Name {
				w.p("    part: %q,\n", part.Name)
				if part.Value.Complete {
					w.p("    complete: true,\n")
				}
			}
		}
		if len(k.Parts) > 0 {
			w.p("    limit: %d,\n", k.Limit)
		}
		if len(k.Then) > 0 {
			w.p("    then: [\n")
			for _, r := range k.Then {
				w.p("      %s,\n", s.tsWatchRule(r))
			}
			w.p("    ],\n")
		}
		if !k.PartOnly {
			w.p("    events: [%s],\n", quoted(s.Watch.events(p.Name)))
		}
		w.p("  },\n")
	}
	w.p("};\n\n")
	w.p("/** @internal The collections of a guild and the kinds of what is in them. */\n")
	w.p("export const parts: readonly (readonly [keyof GuildParts, KindName])[] = [\n")
	for _, p := range guild.Parts {
		w.p("  [%q, %q],\n", p.Name, p.Value.Kind)
	}
	w.p("];\n\n")
	w.p("/** @internal What each event does, in this order. */\n")
	w.p("export const rules: { readonly [event: string]: readonly Rule[] } = {\n")
	for _, e := range s.Watch.Events {
		w.p("  %s: [\n", e.Name)
		for _, r := range e.Value {
			w.p("    %s,\n", s.tsWatchRule(r))
		}
		w.p("  ],\n")
	}
	w.p("};\n")
	return w.Bytes()
}

func (s *Spec) tsWatchRule(r *Rule) string {
	out := []string{fmt.Sprintf("verb: %q", r.Verb)}
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if len(r.Kinds) > 0 {
		add("kinds: [%s]", quoted(r.Kinds))
	}
	if r.Field != "" {
		add("field: %q", r.Field)
	}
	if r.As != "" {
		add("only: [%s]", quoted(s.names(r.As)))
	}
	if r.At != "" {
		add("at: [%s]", quoted(steps(r.At)))
	}
	if r.From != "" {
		add("from: [%s]", quoted(steps(r.From)))
	}
	if len(r.For) > 0 {
		var paths []string
		for _, p := range r.For {
			paths = append(paths, "["+quoted(steps(p))+"]")
		}
		add("id: [%s]", strings.Join(paths, ", "))
	}
	if r.In != "" {
		add("in: [%s]", quoted(steps(r.In)))
	}
	if r.Everywhere {
		add("everywhere: true")
	}
	if r.If != "" {
		add("when: %q", r.If)
	}
	if len(r.Unless) > 0 {
		add("unless: [%s]", quoted(r.Unless))
	}
	if r.By != "" {
		add("by: %q", r.By)
	}
	if r.Within != "" {
		add("within: %q", r.Within)
	}
	if r.Verb == "count" {
		step := 1
		if r.Down {
			step = -1
		}
		add("step: %d", step)
	}
	return "{ " + strings.Join(out, ", ") + " }"
}
