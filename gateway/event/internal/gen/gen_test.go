package main

import (
	"bytes"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func loadSpec(t *testing.T) *Spec {
	t.Helper()
	s, err := load(filepath.Join("..", "..", "spec"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestFresh fails when the generated files are not what the spec says.
func TestFresh(t *testing.T) {
	var out bytes.Buffer
	if err := run(true, false, "", &out); err != nil {
		t.Error(err)
	}
}

func TestCounts(t *testing.T) {
	s := loadSpec(t)
	if len(s.Events) < 212 || len(s.Sends) < 30 || len(s.Structs) < 250 || len(s.Enums) < 190 {
		t.Errorf("%d events, %d sends, %d structures, %d enums", len(s.Events), len(s.Sends), len(s.Structs), len(s.Enums))
	}
	only := 0
	for _, p := range s.Events {
		if p.Value.Spacebar {
			only++
		}
	}
	if only != 12 {
		t.Errorf("%d events only of Spacebar", only)
	}
	var out bytes.Buffer
	if err := run(false, true, filepath.Join("..", "..", "..", "..", "test", "captures"), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"212 dispatch events typed", "47 of 212 events occur"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

// TestAddField holds to the promise that a new field is one line of the spec.
func TestAddField(t *testing.T) {
	for _, test := range []struct{ name, line, golang, typescript string }{
		{"big_id", "snowflake", "BigID Snowflake `json:\"big_id\"`", "  big_id: Snowflake;"},
		{"big_id?", "snowflake", "BigID Opt[Snowflake] `json:\"big_id,omitzero\"`", "  big_id?: Snowflake;"},
		{"big_id", "snowflake | null", "BigID Opt[Snowflake] `json:\"big_id\"`", "  big_id: Snowflake | null;"},
		{"big_id", "snowflake, lax", "BigID Snowflake `json:\"big_id,omitzero\"`", "  big_id?: Snowflake;"},
		{"n?", "int | null, loose, spacebar", "N Opt[int] `json:\"n,omitzero\" event:\"loose\"` // Spacebar only", "  /** Spacebar only. */\n  n?: number | string | null;"},
		{"n", "int, min=1, max=9 -- How many, at that.", "\t// How many, at that.\n\tN int `json:\"n\" event:\"min=1,max=9\"`", "  /** How many, at that. At least 1. At most 9. */\n  n: number;"},
		{"user?", "PartialUser", "User Opt[*PartialUser] `json:\"user,omitzero\"`", "  user?: PartialUser;"},
		{"users", "[]PartialUser", "Users []PartialUser `json:\"users\"`", "  users: PartialUser[];"},
		{"ranges", "map[snowflake][][2]int", "Ranges map[Snowflake][][2]int `json:\"ranges\"`", "  ranges: Record<string, [number, number][]>;"},
		{"when", "timestamp | null", "When Opt[time.Time] `json:\"when\"`", "  when: Timestamp | null;"},
		{"x?", "json | null, deprecated", "// Deprecated: the protocol has done away with it.\n\tX Opt[json.RawMessage] `json:\"x,omitzero\"`", "  /** @deprecated The protocol has done away with it. */\n  x?: unknown;"},
	} {
		f, err := parseField(test.name, test.line)
		if err != nil {
			t.Error(err)
			continue
		}
		s := loadSpec(t)
		var golang, typescript writer
		s.goField(&golang, f)
		s.tsFields(&typescript, fields{f})
		if !strings.Contains(golang.String(), test.golang) {
			t.Errorf("%s: %s:\n%s\nwant\n%s", test.name, test.line, golang.String(), test.golang)
		}
		if strings.TrimRight(typescript.String(), "\n") != test.typescript {
			t.Errorf("%s: %s:\n%s\nwant\n%s", test.name, test.line, typescript.String(), test.typescript)
		}
	}
	for _, line := range []string{"int, odd", "int | null, lax"} {
		if _, err := parseField("x", line); err == nil {
			t.Errorf("took %q", line)
		}
	}
}

// TestCheck breaks the spec in ways that it must notice.
func TestCheck(t *testing.T) {
	for _, test := range []struct {
		what  string
		spoil func(*Spec)
	}{
		{"unknown type", func(s *Spec) { s.Structs[0].Value.Fields[0].Type = "[]Nope" }},
		{"is there twice", func(s *Spec) {
			s.Structs[0].Value.Fields = append(s.Structs[0].Value.Fields, s.Structs[0].Value.Fields[0])
		}},
		{"is a structure and", func(s *Spec) { s.Enums[0].Name = s.Structs[0].Name }},
		{"repeated tree", func(s *Spec) { s.Events[1].Value.Tree = s.Events[0].Value.Tree }},
		{"no doc", func(s *Spec) { s.Events[0].Value.Doc = "" }},
		{"is none of Intents", func(s *Spec) { s.Events[0].Value.Intents = []string{"NOPE"} }},
		{"is none of Capabilities", func(s *Spec) { s.Events[0].Value.Capabilities = []string{"GUILDS"} }},
		{"unknown answer", func(s *Spec) { s.Sends[0].Value.Answers = []string{"NOPE"} }},
		{"unknown opcode", func(s *Spec) { s.Sends[0].Value.Op = "NOPE" }},
		{"unknown structure", func(s *Spec) { s.Structs[0].Value.Embed = "Nope" }},
		{"unknown kind", func(s *Spec) { s.Watch.Events[0].Value[1].Kinds[0] = "nope" }},
		{"unknown event", func(s *Spec) { s.Watch.Events[0].Name = "NOPE" }},
		{"no field nope", func(s *Spec) { s.Watch.Events[0].Value[1].At = path{"nope"} }},
		{"and no id", func(s *Spec) { s.Watch.Events[0].Value[1].ID = []path{{"username"}} }},
		{"has no field", func(s *Spec) { s.Watch.Events[0].Value[1].Field = "nope" }},
		{"no list of the kind", func(s *Spec) { s.Watch.guild().Parts[0].Value.Kind = "role" }},
	} {
		s := loadSpec(t)
		test.spoil(s)
		if err := s.check(); err == nil || !strings.Contains(err.Error(), test.what) {
			t.Errorf("%s: %v", test.what, err)
		}
	}
}

// TestRules takes lines of the table apart, and refuses those that say nothing.
func TestRules(t *testing.T) {
	var r Rule
	if err := r.UnmarshalJSON([]byte(`"set member|user.presence at guilds[i].list[] from a.b for user.id|id in guilds[i].id or * if x unless y|z"`)); err != nil {
		t.Fatal(err)
	}
	want := Rule{Verb: "set", Kinds: []kindName{"member", "user"}, Field: "presence", At: path{"guilds", "[i]", "list", "[]"}, From: path{"a", "b"},
		ID: []path{{"user", "id"}, {"id"}}, In: path{"guilds", "[i]", "id"}, Everywhere: true, When: "x", Unless: []string{"y", "z"}, line: r.line}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("%+v\nwant\n%+v", r, want)
	}
	for _, line := range []string{"", "fold guild", "put", "put role.name", "set role", "put role at", "put role near x", "put role or x", "put role in guilds[i].id", "put role up", "count guild.member_count"} {
		if err := new(Rule).UnmarshalJSON([]byte(strconv.Quote(line))); err == nil {
			t.Errorf("took %q", line)
		}
	}
}

func TestNames(t *testing.T) {
	for snake, want := range map[string]string{
		"guild_id": "GuildID", "_trace": "Trace", "last_4": "Last4", "titleId": "TitleID", "user_ids": "UserIDs",
		"DM_SETTINGS": "DMSettings", "MAC_OS_X": "MacOSX", "TIER_1": "Tier1", "sku": "SKU",
	} {
		if got := goName(snake); got != want {
			t.Errorf("goName(%s) = %s, want %s", snake, got, want)
		}
	}
	for name, want := range map[string]string{
		"GuildMemberFlags": "guild member flags", "NSFWLevel": "NSFW level", "ClientOS": "client OS", "SKUType": "SKU type", "Theme": "theme",
	} {
		if got := words(name); got != want {
			t.Errorf("words(%s) = %s, want %s", name, got, want)
		}
	}
	for name, want := range map[string]string{"Op": "op", "SKUFlags": "skuFlags", "GuildFeature": "guildFeature", "A": "a"} {
		if got := lower(name); got != want {
			t.Errorf("lower(%s) = %s, want %s", name, got, want)
		}
	}
	for phrase, want := range map[string]string{"SKU type": "an SKU type", "user flag": "a user flag", "activity": "an activity", "PEGI rating": "a PEGI rating"} {
		if got := article(phrase); got != want {
			t.Errorf("article(%s) = %s, want %s", phrase, got, want)
		}
	}
}

// TestTypeScriptDocumented holds every export to having a comment.
func TestTypeScriptDocumented(t *testing.T) {
	lines := strings.Split(string(loadSpec(t).typescript()), "\n")
	exports := 0
	for i, line := range lines {
		if strings.HasPrefix(line, "export ") {
			exports++
			if !strings.HasSuffix(lines[i-1], "*/") {
				t.Errorf("line %d has no comment: %s", i+1, line)
			}
		}
	}
	if exports < 900 {
		t.Errorf("%d exports", exports)
	}
}
