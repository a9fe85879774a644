package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRegistry(t *testing.T) {
	names := Names()
	if len(names) < 212 || !slices.IsSorted(names) {
		t.Errorf("%d events", len(names))
	}
	types := map[reflect.Type]string{}
	for _, name := range names {
		v := New(name)
		if v.EventName() != name {
			t.Errorf("%s makes a %T, which is %s", name, v, v.EventName())
		}
		if other, ok := types[reflect.TypeOf(v)]; ok {
			t.Errorf("%s and %s have the same type", name, other)
		}
		types[reflect.TypeOf(v)] = name
		// The type alone must tell the name.
		if zero := reflect.Zero(reflect.TypeOf(v)).Interface().(Dispatch); zero.EventName() != name {
			t.Errorf("%T(nil).EventName() = %s", v, zero.EventName())
		}
		for _, payload := range []string{"{}", "[]", "null", "7"} {
			d, _, err := Decode(name, []byte(payload))
			if err != nil || reflect.TypeOf(d) != reflect.TypeOf(v) {
				t.Errorf("%s of %s: %T, %v", name, payload, d, err)
			}
		}
	}
	if New("NOPE") != nil {
		t.Error("made an unknown event")
	}
	if v, w, err := Decode("NOPE", []byte("{}")); v != nil || w != nil || !errors.Is(err, ErrUnknownEvent) {
		t.Error(v, w, err)
	}
	if v, _, err := Decode("READY", []byte("{")); v != nil || err == nil {
		t.Error(v, err)
	}
}

// TestTree holds Events to leading to every event, once.
func TestTree(t *testing.T) {
	seen := map[string]bool{}
	tree := reflect.ValueOf(Events)
	for g := range tree.NumField() {
		group := tree.Field(g)
		for m := range group.NumField() {
			leaf := group.Field(m).Interface().(interface{ Name() string })
			if name := leaf.Name(); seen[name] || New(name) == nil {
				t.Errorf("%s.%s is %s", tree.Type().Field(g).Name, group.Type().Field(m).Name, name)
			} else {
				seen[name] = true
			}
		}
	}
	if len(seen) != len(registry) {
		t.Errorf("%d of %d events", len(seen), len(registry))
	}
	if name := Events.Message.Create.Name(); name != "MESSAGE_CREATE" {
		t.Error(name)
	}
	if s := fmt.Sprint(Events.StageInstance.Delete); s != "STAGE_INSTANCE_DELETE" {
		t.Error(s)
	}
}

func TestIntents(t *testing.T) {
	for bit := range 64 {
		intent := Intents(1) << bit
		for _, name := range intent.Events() {
			if IntentsFor(name)&intent == 0 {
				t.Errorf("%v brings %s, which is brought by %v", intent, name, IntentsFor(name))
			}
		}
	}
	if got := IntentsFor("MESSAGE_CREATE"); got != IntentGuildMessages|IntentDirectMessages {
		t.Error(got)
	}
	if got := IntentsFor("READY") | IntentsFor("NOPE"); got != 0 {
		t.Error(got)
	}
	if got := (IntentGuildWebhooks | IntentGuildInvites).Events(); !slices.Equal(got, []string{"INVITE_CREATE", "INVITE_DELETE", "WEBHOOKS_UPDATE"}) {
		t.Error(got)
	}
	if n := len(AllIntents.Events()); n < 80 {
		t.Error(n)
	}
}

func TestCapabilities(t *testing.T) {
	for bit := range 64 {
		capability := Capabilities(1) << bit
		for _, name := range capability.Events() {
			if CapabilitiesFor(name) != capability {
				t.Errorf("%v brings %s, which is brought by %v", capability, name, CapabilitiesFor(name))
			}
		}
	}
	if got := (CapabilityPrioritizedReadyPayload | CapabilityDebounceMessageReactions).Events(); !slices.Equal(got, []string{"MESSAGE_REACTION_ADD_MANY", "READY_SUPPLEMENTAL"}) {
		t.Error(got)
	}
	if got := CapabilitiesFor("READY") | CapabilitiesFor("NOPE"); got != 0 {
		t.Error(got)
	}
	if DefaultCapabilities != 0b1011_1111_1110 {
		t.Errorf("%b", DefaultCapabilities)
	}
	if AllCapabilities != 1<<17-1 {
		t.Errorf("%b", AllCapabilities)
	}
}

func TestEnums(t *testing.T) {
	for _, test := range []struct {
		value fmt.Stringer
		want  string
	}{
		{ChannelTypeGuildText, "GUILD_TEXT"},
		{ChannelType(77), "77"},
		{ChannelType(-1), "-1"},
		{MessageFlags(0), "0"},
		{MessageFlagEphemeral | MessageFlagCrossposted, "CROSSPOSTED|EPHEMERAL"},
		{MessageFlagEphemeral | 1<<60, "EPHEMERAL|1152921504606846976"},
		{OpHeartbeatAck, "HEARTBEAT_ACK"},
		{CapabilityClientStateV2, "CLIENT_STATE_V2"},
	} {
		if got := test.value.String(); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
	if f := MessageFlagEphemeral | MessageFlagLoading; !f.Has(MessageFlagEphemeral) || !f.Has(f) || f.Has(MessageFlagEphemeral|MessageFlagUrgent) {
		t.Error("Has")
	}
}

func TestSends(t *testing.T) {
	if len(sends) < 30 {
		t.Errorf("%d sends", len(sends))
	}
	ops := map[Op]bool{}
	for name, send := range sends {
		if ops[send.Opcode()] {
			t.Errorf("%s: opcode %v is there twice", name, send.Opcode())
		}
		ops[send.Opcode()] = true
		for _, answer := range Answers(send.Opcode()) {
			if New(answer) == nil {
				t.Errorf("%s: unknown answer %s", name, answer)
			}
		}
		// A pointer is a Send as well, and what is encoded can be decoded.
		p := reflect.New(reflect.TypeOf(send))
		if p.Interface().(Send).Opcode() != send.Opcode() {
			t.Errorf("%s: its pointer has another opcode", name)
		}
		data, err := Marshal(send)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if warnings, err := Unmarshal(data, p.Interface()); err != nil || warnings != nil {
			t.Errorf("%s: %s: %v, %v", name, data, warnings, err)
		}
		// Of an empty send nothing optional is left.
		for key := range keysOf(t, data) {
			c := codecOf(reflect.TypeOf(send))
			if n := c.find([]byte(key)); n < 0 || c.fields[n].omit {
				t.Errorf("%s: sends %s", name, key)
			}
		}
	}
	if Answers(OpDispatch) != nil || !slices.Equal(Answers(OpRequestGuildMembers), []string{"GUILD_MEMBERS_CHUNK"}) {
		t.Error("Answers")
	}
}

func keysOf(t *testing.T, data []byte) map[string]json.RawMessage {
	t.Helper()
	var m map[string]json.RawMessage
	if data[0] == '{' {
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		send Send
		want string
	}{
		{Heartbeat{}, ""},
		{PingVoiceServer{}, ""},
		{Identify{}, "token is missing"},
		{Identify{Token: "x"}, ""},
		{Identify{Token: "x", LargeThreshold: Some(49)}, "large_threshold must be at least 50"},
		{Identify{Token: "x", LargeThreshold: Some(251)}, "large_threshold must be at most 250"},
		{Identify{Token: "x", LargeThreshold: Some(250), Shard: Some([2]int{1, 2})}, ""},
		{&Identify{Token: "x", Shard: Some([2]int{2, 2})}, "shard must be a number of a shard and the greater number of shards"},
		{Resume{Token: "x"}, "session_id is missing"},
		{RequestGuildMembers{}, "guild_id is missing"},
		{RequestGuildMembers{GuildID: Snowflakes{1}}, "query is missing, and so is user_ids"},
		{RequestGuildMembers{GuildID: Snowflakes{1}, Query: Some("")}, "limit is missing, which a query needs"},
		{RequestGuildMembers{GuildID: Snowflakes{1}, Query: Some(""), Limit: Some(0)}, ""},
		{RequestGuildMembers{GuildID: Snowflakes{1}, Query: Some("a"), Limit: Some(101)}, "limit must be at most 100"},
		{RequestGuildMembers{GuildID: Snowflakes{1}, Query: Some("a"), Limit: Some(-1)}, "limit must be at least 0"},
		{RequestGuildMembers{GuildID: Snowflakes{1}, Query: Some("a"), UserIDs: Some(Snowflakes{1})}, "query excludes user_ids"},
		{RequestGuildMembers{GuildID: Snowflakes{1}, UserIDs: Some(make(Snowflakes, 100))}, ""},
		{RequestGuildMembers{GuildID: Snowflakes{1}, UserIDs: Some(make(Snowflakes, 101))}, "user_ids must be at most 100 elements"},
		{RequestGuildMembers{GuildID: Snowflakes{1}, UserIDs: Some(Snowflakes{1}), Nonce: Some(strings.Repeat("n", 33))}, "nonce must be at most 32 bytes"},
		{RequestGuildSync{}, "is empty"},
		{RequestGuildSync{1}, ""},
		{UpdatePresence{}, "status is missing"},
		{UpdatePresence{Status: StatusDND}, ""},
		{UpdateGuildSubscriptions{}, ""},
		{RequestChannelInfo{GuildID: 1}, "fields is missing"},
		{RequestChannelInfo{GuildID: 1, Fields: []ChannelInfoField{ChannelInfoFieldStatus}}, ""},
	} {
		err := test.send.Validate()
		if test.want == "" {
			if err != nil {
				t.Errorf("%+v: %v", test.send, err)
			}
			continue
		}
		var e *ValidationError
		if !errors.As(err, &e) || e.Op != test.send.Opcode() {
			t.Errorf("%+v: %v", test.send, err)
		} else if got := strings.TrimSpace(e.Field + " " + e.Reason); got != test.want {
			t.Errorf("%+v: %s, want %s", test.send, got, test.want)
		} else if !strings.Contains(e.Error(), test.want) || !strings.Contains(e.Error(), e.Op.String()) {
			t.Error(e)
		}
	}
}

func TestIdentify(t *testing.T) {
	known := keysOf(t, []byte(`{"token":0,"properties":0,"capabilities":0}`))
	for _, test := range []struct {
		identify     Identify
		capabilities Capabilities
		properties   int
	}{
		{IdentifyDefault(), DefaultCapabilities, 2},
		{IdentifyCommon(), DefaultCapabilities, 8},
		{IdentifyAll(), AllCapabilities, 8},
	} {
		id := test.identify
		if id.Validate() == nil {
			t.Error("valid without a token")
		}
		id.Token = "secret"
		if err := id.Validate(); err != nil {
			t.Error(err)
		}
		data, err := Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		keys := keysOf(t, data)
		for key := range keys {
			if known[key] == nil {
				t.Errorf("sends %s", key)
			}
		}
		if string(keys["token"]) != `"secret"` || id.Capabilities.Value() != test.capabilities {
			t.Errorf("%s", data)
		}
		if n := len(keysOf(t, keys["properties"])); n != test.properties {
			t.Errorf("%d properties", n)
		}
	}
}

func TestToken(t *testing.T) {
	id := Identify{Token: "hunter2"}
	resume := &Resume{Token: "hunter2", SessionID: "s"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", id.Token, "identify", id, "resume", resume)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", id.Token)
	text := log.String() + fmt.Sprint(id, resume, id.Token, &id.Token) + id.Token.String() + id.Token.GoString()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		text += fmt.Sprintf(verb, id) + fmt.Sprintf(verb, resume) + fmt.Sprintf(verb, id.Token) + fmt.Sprintf(verb, Some(id.Token)) + fmt.Sprintf(verb, []Token{id.Token})
	}
	if strings.Contains(text, "hunter2") || strings.Contains(text, fmt.Sprintf("%x", "hunter2")) {
		t.Errorf("the token is in\n%s", text)
	}
	if strings.Count(text, TokenRedacted) < 20 {
		t.Error(text)
	}
	for _, encode := range []func(any) ([]byte, error){Marshal, json.Marshal} {
		if data, err := encode(resume); err != nil || string(data) != `{"token":"hunter2","session_id":"s","seq":0}` {
			t.Errorf("%s, %v", data, err)
		}
	}
}

func TestSnowflake(t *testing.T) {
	id, err := ParseSnowflake("175928847299117063")
	if err != nil || id.String() != "175928847299117063" || !id.Time().Equal(time.Date(2016, 4, 30, 11, 18, 25, 796e6, time.UTC)) {
		t.Error(id, err, id.Time())
	}
	for _, bad := range []string{"", "x", "-1", "18446744073709551616"} {
		if id, err := ParseSnowflake(bad); err == nil {
			t.Errorf("%q: %v", bad, id)
		}
	}
	if err := id.UnmarshalText([]byte("x")); err == nil || id == 0 {
		t.Error(id, err)
	}
}

func TestGatewayGuildInfo(t *testing.T) {
	for _, text := range []string{`{"id":"1","name":"flat"}`, `{"id":"1","properties":{"id":"1","name":"nested"}}`} {
		var g GatewayGuild
		if _, err := Unmarshal([]byte(text), &g); err != nil {
			t.Fatal(err)
		}
		if name := g.Info().Name.Value(); !strings.Contains(text, name) || name == "" {
			t.Errorf("%s: %q", text, name)
		}
	}
}

// TestDocumented holds every exported name of the package to having a comment.
func TestDocumented(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	names := 0
	check := func(name *ast.Ident, docs ...*ast.CommentGroup) {
		if !name.IsExported() {
			return
		}
		names++
		for _, doc := range docs {
			if strings.TrimSpace(doc.Text()) != "" {
				return
			}
		}
		t.Errorf("%v: %s has no comment", set.Position(name.Pos()), name.Name)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				check(d.Name, d.Doc)
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						check(s.Name, s.Doc, d.Doc)
					case *ast.ValueSpec:
						for _, name := range s.Names {
							check(name, s.Doc, s.Comment, d.Doc)
						}
					}
				}
			}
		}
	}
	if names < 2000 {
		t.Errorf("only %d names", names)
	}
}

func ExampleDecode() {
	d, _, err := Decode("MESSAGE_CREATE", []byte(`{"id":"1","content":"hello","author":{"username":"bob"}}`))
	if err != nil {
		panic(err)
	}
	switch e := d.(type) {
	case *MessageCreate:
		fmt.Printf("%s: %s\n", e.Author.Username, e.Content)
	case *TypingStart:
		fmt.Println("someone types")
	}
	// Output: bob: hello
}

func ExampleType() {
	fmt.Println(Events.Message.Create)
	fmt.Println(Events.Voice.StateUpdate.Name())
	// Output:
	// MESSAGE_CREATE
	// VOICE_STATE_UPDATE
}

func ExampleIntentsFor() {
	fmt.Println(IntentsFor("TYPING_START"))
	fmt.Println(IntentGuildInvites.Events())
	// Output:
	// GUILD_MESSAGE_TYPING|DIRECT_MESSAGE_TYPING
	// [INVITE_CREATE INVITE_DELETE]
}

func ExampleIdentifyCommon() {
	id := IdentifyCommon()
	id.Token = "a secret"
	fmt.Println(id.Token, id.Capabilities.Value().Has(CapabilityDedupeUserObjects), id.Validate())
	// Output: [redacted] true <nil>
}
