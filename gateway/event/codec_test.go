package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// sample has a field of every kind.
type sample struct {
	Bool       bool                     `json:"bool"`
	Int        int                      `json:"int"`
	Int8       int8                     `json:"int8"`
	Uint16     uint16                   `json:"uint16"`
	Float      float64                  `json:"float"`
	String     string                   `json:"string"`
	ID         Snowflake                `json:"id"`
	IDs        Snowflakes               `json:"ids"`
	Perms      Permissions              `json:"perms"`
	Nonce      Nonce                    `json:"nonce"`
	Time       time.Time                `json:"time"`
	Enum       ChannelType              `json:"enum"`
	Status     Status                   `json:"status"`
	Flags      MessageFlags             `json:"flags"`
	Raw        json.RawMessage          `json:"raw"`
	Any        any                      `json:"any"`
	Opt        Opt[int]                 `json:"opt,omitzero"`
	Name       Opt[string]              `json:"name,omitzero"`
	User       Opt[*PartialUser]        `json:"user,omitzero"`
	List       []int                    `json:"list"`
	Embeds     []Embed                  `json:"embeds"`
	Pair       [2]int                   `json:"pair"`
	Map        map[string]int           `json:"map"`
	ByID       map[Snowflake]string     `json:"by_id"`
	ByInt      map[int]PollMedia        `json:"by_int"`
	Experiment UserExperiment           `json:"experiment"`
	States     Versioned[ReadState]     `json:"states"`
	Marker     Opt[NoPayload]           `json:"marker,omitzero"`
	Foreign    time.Month               `json:"foreign"`
	Text       json.Number              `json:"text"`
	Deep       map[string][][]Snowflake `json:"deep"`
	Unknown    Unknown                  `json:"-"`
}

func TestLeniency(t *testing.T) {
	utc := func(s string) time.Time {
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return at.UTC()
	}
	for _, test := range []struct {
		json string
		want sample
		warn string
	}{
		{`{"bool":true}`, sample{Bool: true}, ""},
		{`{"bool":1}`, sample{}, "bool: want boolean, got number"},
		{`{"bool":"true"}`, sample{}, "bool: want boolean, got string"},
		{`{"bool":null}`, sample{}, ""},

		{`{"int":-12}`, sample{Int: -12}, ""},
		{`{"int":"-12"}`, sample{Int: -12}, ""},
		{`{"int":12.0}`, sample{Int: 12}, ""},
		{`{"int":"1.2e2"}`, sample{Int: 120}, ""},
		{`{"int":1.5}`, sample{}, "int: want integer, got number"},
		{`{"int":""}`, sample{}, "int: want integer, got string"},
		{`{"int":"-"}`, sample{}, "int: want integer, got string"},
		{`{"int":"12 "}`, sample{}, "int: want integer, got string"},
		{`{"int":9223372036854775807}`, sample{Int: 9223372036854775807}, ""},
		{`{"int":-9223372036854775808}`, sample{Int: -9223372036854775808}, ""},
		{`{"int":9223372036854775808}`, sample{}, "int: want integer, got number"},
		{`{"int8":-128}`, sample{Int8: -128}, ""},
		{`{"int8":128}`, sample{}, "int8: want integer, got number"},
		{`{"uint16":65535}`, sample{Uint16: 65535}, ""},
		{`{"uint16":-1}`, sample{}, "uint16: want integer, got number"},
		{`{"float":1}`, sample{Float: 1}, ""},
		{`{"float":"1.5"}`, sample{Float: 1.5}, ""},
		{`{"float":"x"}`, sample{}, "float: want number, got string"},

		{`{"string":"a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\udc00"}`, sample{String: "a\"\\/\b\f\n\r\té😀\uFFFD"}, ""},
		{`{"string":7}`, sample{}, "string: want string, got number"},
		{`{"string":null,"int":1}`, sample{Int: 1}, ""},
		{`{"nonce":"x"}`, sample{Nonce: "x"}, ""},
		{`{"nonce":-12}`, sample{Nonce: "-12"}, ""},
		{`{"nonce":[]}`, sample{}, "nonce: want string or number, got array"},

		{`{"id":"1574336456892130957"}`, sample{ID: 1574336456892130957}, ""},
		{`{"id":1574336456892130957}`, sample{ID: 1574336456892130957}, ""},
		{`{"id":"18446744073709551615"}`, sample{ID: 18446744073709551615}, ""},
		{`{"id":"18446744073709551616"}`, sample{}, "id: want snowflake, got string"},
		{`{"id":"\u0031"}`, sample{ID: 1}, ""},
		{`{"id":""}`, sample{}, "id: want snowflake, got string"},
		{`{"id":"everyone"}`, sample{}, "id: want snowflake, got string"},
		{`{"id":{"x":[1,2]}}`, sample{}, "id: want snowflake, got object"},
		{`{"ids":"1"}`, sample{IDs: Snowflakes{1}}, ""},
		{`{"ids":["1",2]}`, sample{IDs: Snowflakes{1, 2}}, ""},
		{`{"ids":true}`, sample{}, "ids: want snowflake, got boolean"},
		{`{"perms":"8"}`, sample{Perms: PermissionAdministrator}, ""},
		{`{"perms":8}`, sample{Perms: PermissionAdministrator}, ""},

		{`{"time":"2026-11-23T08:11:01.105Z"}`, sample{Time: utc("2026-11-23T08:11:01.105Z")}, ""},
		{`{"time":"2026-11-23T08:11:01.105+00:00"}`, sample{Time: utc("2026-11-23T08:11:01.105Z")}, ""},
		{`{"time":"2026-11-23T08:11:01+01:30"}`, sample{Time: utc("2026-11-23T06:41:01Z")}, ""},
		{`{"time":"2026-11-23T08:11:01"}`, sample{Time: utc("2026-11-23T08:11:01Z")}, ""},
		{`{"time":"2026-11-23 08:11:01-0100"}`, sample{Time: utc("2026-11-23T09:11:01Z")}, ""},
		{`{"time":"2024-02-29T23:59:59.999999999Z"}`, sample{Time: utc("2024-02-29T23:59:59.999999999Z")}, ""},
		{`{"time":"2023-02-29T00:00:00Z"}`, sample{}, "time: want timestamp, got string"},
		{`{"time":"soon"}`, sample{}, "time: want timestamp, got string"},
		{`{"time":1700000000}`, sample{}, "time: want timestamp, got number"},

		{`{"enum":99,"status":"asleep","flags":1125899906842624}`, sample{Enum: 99, Status: "asleep", Flags: 1 << 50}, ""},
		{`{"enum":"2"}`, sample{Enum: ChannelTypeGuildVoice}, ""},

		{`{"raw": [1, {"a":null}] }`, sample{Raw: json.RawMessage(`[1, {"a":null}]`)}, ""},
		{`{"raw":null}`, sample{Raw: json.RawMessage(`null`)}, ""},
		{`{"any":[1,"a",null,{"b":true}]}`, sample{Any: []any{1., "a", nil, map[string]any{"b": true}}}, ""},

		{`{"opt":1}`, sample{Opt: Some(1)}, ""},
		{`{"opt":null}`, sample{Opt: Null[int]()}, ""},
		{`{"opt":"x"}`, sample{}, "opt: want integer, got string"},
		{`{"opt":1,"opt":null}`, sample{Opt: Null[int]()}, ""},
		{`{"user":{"id":"1","username":2}}`, sample{User: Some(&PartialUser{ID: 1})}, "user.username: want string, got number"},
		{`{"user":"x"}`, sample{}, "user: want object, got string"},
		{`{"marker":null}`, sample{Marker: Null[NoPayload]()}, ""},

		{`{"list":[]}`, sample{List: []int{}}, ""},
		{`{"list":null}`, sample{}, ""},
		{`{"list":[1,"2",null,[],3]}`, sample{List: []int{1, 2, 0, 0, 3}}, "list[3]: want integer, got array"},
		{`{"list":{}}`, sample{}, "list: want array, got object"},
		{`{"embeds":[{"title":"a"},7,{"fields":[{"name":1}]}]}`, sample{Embeds: []Embed{{Title: Some("a")}, {}, {Fields: Some([]EmbedField{{}})}}},
			"embeds[1]: want object, got number; embeds[2].fields[0].name: want string, got number"},
		{`{"pair":[1,2,3]}`, sample{Pair: [2]int{1, 2}}, ""},
		{`{"pair":[1]}`, sample{Pair: [2]int{1}}, ""},
		{`{"map":{"a":1,"\u0062":"2"}}`, sample{Map: map[string]int{"a": 1, "b": 2}}, ""},
		{`{"map":[]}`, sample{}, "map: want object, got array"},
		{`{"by_id":{"5":"x","y":"z"}}`, sample{ByID: map[Snowflake]string{5: "x"}}, "by_id.y: want event.Snowflake as key, got string"},
		{`{"by_int":{"-1":{"text":"t"}}}`, sample{ByInt: map[int]PollMedia{-1: {Text: Some("t")}}}, ""},
		{`{"deep":{"a":[["1"],[]]}}`, sample{Deep: map[string][][]Snowflake{"a": {{1}, {}}}}, ""},

		{`{"experiment":[1,2,3,4,5,6,7,8,"h",null,9,"more"]}`, sample{Experiment: UserExperiment{Hash: 1, Revision: 2, Bucket: 3, Override: 4, Population: 5, HashResult: 6, AAMode: 7, TriggerDebugging: 8, HoldoutName: Some("h"), HoldoutRevision: Null[int](), HoldoutBucket: Some(9)}}, ""},
		{`{"experiment":{"hash":1}}`, sample{Experiment: UserExperiment{Hash: 1}}, ""},
		{`{"states":{"entries":[{"id":"1"}],"version":3}}`, sample{States: Versioned[ReadState]{Entries: []ReadState{{ID: 1}}, Version: 3}}, ""},
		{`{"states":[{"id":"1"}]}`, sample{States: Versioned[ReadState]{Entries: []ReadState{{ID: 1}}}}, ""},
		{`{"text":12.50}`, sample{Text: "12.50"}, ""},

		{`7`, sample{}, "the payload: want object, got number"},
		{`null`, sample{}, ""},
		{" {\t\"int\"\r:\n1 , \"list\" : [ 1 , 2 ] } ", sample{Int: 1, List: []int{1, 2}}, ""},
		{`{"\u0069nt":5}`, sample{Int: 5}, ""},
		{`{"INT":5}`, sample{Unknown: unknown("INT", "5")}, ""},
		{`{"int":1,"new":{"a":[1]},"":2}`, sample{Int: 1, Unknown: unknown("new", `{"a":[1]}`, "", "2")}, ""},
	} {
		var got sample
		warnings, err := Unmarshal([]byte(test.json), &got)
		if err != nil {
			t.Errorf("%s: %v", test.json, err)
			continue
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", test.json, got, test.want)
		}
		var all []string
		for _, w := range warnings {
			all = append(all, w.String())
		}
		if warn := strings.Join(all, "; "); warn != test.warn {
			t.Errorf("%s: warned %q, want %q", test.json, warn, test.warn)
		}
	}
}

func unknown(fields ...string) Unknown {
	var u Unknown
	for i := 0; i < len(fields); i += 2 {
		u.Set(fields[i], json.RawMessage(fields[i+1]))
	}
	return u
}

func TestSyntaxErrors(t *testing.T) {
	for _, test := range []struct {
		json   string
		offset int
		reason string
	}{
		{``, 0, "unexpected end"},
		{`{"int":1`, 8, "unexpected end"},
		{`{"int":1,}`, 9, "want a key"},
		{`{"int" 1}`, 7, "want a colon"},
		{`{"int":01}`, 8, "want a comma or the end of the object or array"},
		{`{"int":1}x`, 9, "want the end of the text"},
		{`{"string":"a` + "\n" + `"}`, 12, "control character in a string"},
		{`{"string":"\x"}`, 12, "unknown escape in a string"},
		{`{"string":"\u00g0"}`, 15, "want a hexadecimal digit"},
		{`{"unknown":tru}`, 11, "want true"},
		{`{"float":1.}`, 11, "want a digit"},
		{`{"float":-}`, 10, "want a digit"},
		{`{"id":"1`, 8, "unexpected end"},
		{`[}`, 1, "want a value"},
		{`{"any":[1,}`, 10, "want a value"},
		{strings.Repeat("[", 513), 512, "nested too deeply"},
		{`{"any":` + strings.Repeat("[", 600), 518, "nested too deeply"},
	} {
		_, err := Unmarshal([]byte(test.json), new(sample))
		var e *SyntaxError
		if !errors.As(err, &e) || e.Offset != test.offset || e.Reason != test.reason {
			t.Errorf("%.40s: %v, want byte %d: %s", test.json, err, test.offset, test.reason)
		}
	}
	if _, err := Unmarshal([]byte(strings.Repeat("[", 512)+strings.Repeat("]", 512)), new(any)); err != nil {
		t.Error(err)
	}
	for _, v := range []any{nil, sample{}, (*sample)(nil)} {
		if _, err := Unmarshal([]byte("{}"), v); err == nil {
			t.Errorf("decoded into %T", v)
		}
	}
}

func TestManyWarnings(t *testing.T) {
	var v struct {
		List []Snowflake `json:"list"`
	}
	data := `{"list":[` + strings.Repeat("[],", 100_000) + `"7"]}`
	warnings, err := Unmarshal([]byte(data), &v)
	if err != nil || len(warnings) != maxWarnings || len(v.List) != 100_001 || v.List[100_000] != 7 {
		t.Errorf("%d warnings, %d ids, %v", len(warnings), len(v.List), err)
	}
	if last := warnings[maxWarnings-1].Path; last != "list[99]" {
		t.Error(last)
	}
}

func TestUnmarshalReuse(t *testing.T) {
	var v sample
	for _, text := range []string{
		`{"opt":1,"name":"a","user":{"id":"1"},"list":[1,2,3],"map":{"a":1},"new":1,"raw":1}`,
		`{"opt":null,"name":null,"user":null,"list":[],"map":null,"raw":null}`,
	} {
		if _, err := Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
	}
	if !v.Opt.IsNull() || v.Opt.Value() != 0 || !v.Name.IsNull() || v.Name.Value() != "" || v.User.Value() != nil || len(v.List) != 0 || v.Map != nil || v.Unknown.Len() != 0 {
		t.Errorf("%+v", v)
	}
}

// TestNoAliasing overwrites the input after decoding, as a connection does.
func TestNoAliasing(t *testing.T) {
	for _, m := range captured(t) {
		data := bytes.Clone(m.data)
		v, _, err := Decode(m.name, data)
		if err != nil {
			t.Fatal(err)
		}
		before, err := Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		for i := range data {
			data[i] = '#'
		}
		after, err := Marshal(v)
		if err != nil || !bytes.Equal(before, after) {
			t.Fatalf("%s: the payload refers to the input (%v)", m.where, err)
		}
	}
}

func TestMarshal(t *testing.T) {
	for _, test := range []struct {
		value any
		want  string
	}{
		{nil, `null`},
		{(*sample)(nil), `null`},
		{RequestGuildMembers{GuildID: Snowflakes{1}, Query: Some("\"\\\n\x01é\u2028\xff<&>"), Limit: Some(0)}, `{"guild_id":"1","query":"\"\\\n\u0001é` + "\u2028\uFFFD" + `<&>","limit":0}`},
		{&RequestGuildMembers{GuildID: Snowflakes{1, 2}, UserIDs: Some(Snowflakes{3}), Presences: Some(true)}, `{"guild_id":["1","2"],"presences":true,"user_ids":"3"}`},
		{UpdatePresence{Status: StatusIdle}, `{"status":"idle","since":null,"activities":[],"afk":false}`},
		{UpdateVoiceState{GuildID: Some[Snowflake](1), ChannelID: Null[Snowflake]()}, `{"guild_id":"1","channel_id":null,"self_mute":false,"self_deaf":false}`},
		{UpdateGuildSubscriptions{}, `{"subscriptions":{}}`},
		{UpdateGuildSubscriptions{map[Snowflake]GuildSubscription{10: {}, 9: {Channels: Some(map[Snowflake][][2]int{1: {{0, 99}}})}}}, `{"subscriptions":{"9":{"channels":{"1":[[0,99]]}},"10":{}}}`},
		{RequestGuildSync{1, 2}, `["1","2"]`},
		{PingVoiceServer{}, `null`},
		{Heartbeat{}, `null`},
		{Heartbeat{Some[int64](7)}, `7`},
		{Identify{Token: "secret"}, `{"token":"secret"}`},
		{SendRemoteCommand{TargetSessionID: "x", Payload: json.RawMessage(`{"a": 1}`)}, `{"target_session_id":"x","payload":{"a": 1}}`},
		{PartialUser{Unknown: unknown("new", `[1]`)}, `{"new":[1]}`},
		{PartialUser{}, `{}`},
		{UserExperiment{HoldoutName: Some("x")}, `[0,0,0,0,0,0,0,0,"x",null,null]`},
		{[]float64{0, 1.5, 1e21, 1e-7, -0.25}, `[0,1.5,1e+21,1e-07,-0.25]`},
		{map[ChannelType]any{1: nil, 10: "x", 2: 1.5}, `{"1":null,"2":1.5,"10":"x"}`},
		{time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.FixedZone("", 3600)), `"2026-01-02T02:04:05.006Z"`},
		{PermissionAdministrator | PermissionSpeak, `"2097160"`},
	} {
		got, err := Marshal(test.value)
		if err != nil || string(got) != test.want {
			t.Errorf("%#v:\n got %s (%v)\nwant %s", test.value, got, err, test.want)
		}
	}
	for _, value := range []any{
		SendRemoteCommand{Payload: json.RawMessage(`{`)},
		PartialUser{Unknown: unknown("x", "")},
		time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC),
		[]float64{1, 0}[0] / []float64{1, 0}[1],
		func() {},
	} {
		if got, err := Marshal(value); err == nil {
			t.Errorf("%#v: encoded as %s", value, got)
		}
	}
	dst, err := Append([]byte("x"), func() {})
	if err == nil || string(dst) != "x" {
		t.Errorf("%q, %v", dst, err)
	}
}

// TestOtherCodecs holds the types to working with encoding/json too.
func TestOtherCodecs(t *testing.T) {
	text := `{"bool":true,"int":1,"int8":0,"uint16":0,"float":1.5,"string":"s","id":"7","ids":"8","perms":"8","nonce":"n","time":"2026-11-23T08:11:01Z",` +
		`"enum":2,"status":"idle","flags":4,"raw":[1],"any":"a","opt":null,"name":"x","user":{"id":"1","avatar":null},"list":[1],"embeds":[],"pair":[1,2],` +
		`"map":{},"by_id":{"5":"x"},"by_int":{"1":{}},"experiment":[0,0,0,0,0,0,0,0,"x",null,null],"states":{"entries":[],"partial":false,"version":0},` +
		`"marker":null,"foreign":1,"text":5,"deep":{}}`
	var a, b sample
	if warnings, err := Unmarshal([]byte(text), &a); err != nil || warnings != nil {
		t.Fatal(warnings, err)
	}
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("\n got %+v\nwant %+v", a, b)
	}
	ours, err := Marshal(a)
	if err != nil || string(ours) != text {
		t.Errorf("%s\n%v", ours, err)
	}
	std, err := json.Marshal(a)
	if err != nil || string(std) != text {
		t.Errorf("%s\n%v", std, err)
	}
	for _, bad := range []string{`{"opt":"x"}`, `{"id":"x"}`, `{"user":7}`, `{"nonce":[]}`, `{"experiment":7}`, `{"perms":{}}`} {
		var e *json.UnmarshalTypeError
		if err := json.Unmarshal([]byte(bad), new(sample)); !errors.As(err, &e) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestUserTypes decodes into types that are not of this package, which may use
// what only go-json knows.
func TestUserTypes(t *testing.T) {
	type inner struct {
		A int `json:"a,omitempty"`
	}
	type pointed struct{ B int }
	var v struct {
		Message
		Extra int `json:"extra"`
		Inner inner
		Quote struct {
			N int `json:"n,string"`
		} `json:"quote"`
		Embeds struct{ *pointed } `json:"embeds"`
		Any    any
		skip   int
	}
	warnings, err := Unmarshal([]byte(`{"id":7,"extra":"1","Inner":{"a":2},"quote":{"n":"3"},"embeds":{},"Any":{"x":1},"skip":1,"more":{}}`), &v)
	if err != nil || warnings != nil || v.ID != 7 || v.Extra != 1 || v.Inner.A != 2 || v.Quote.N != 3 || v.Any == nil || v.skip != 0 || v.Unknown.Len() != 2 {
		t.Errorf("%+v, %v, %v", v, warnings, err)
	}
	warnings, err = Unmarshal([]byte(`{"quote":{"n":[]}}`), &v)
	if err != nil || len(warnings) != 1 || warnings[0].Path != "quote" {
		t.Error(warnings, err)
	}
	var list []map[string]any
	if _, err := Unmarshal([]byte(`[{"a":1}]`), &list); err != nil || list[0]["a"] != 1. {
		t.Error(list, err)
	}
}

func TestUnknown(t *testing.T) {
	var u PartialUser
	if _, err := Unmarshal([]byte(`{"id":"1","b":1,"a":{"x":[]}}`), &u); err != nil {
		t.Fatal(err)
	}
	other := u
	other.Unknown.Set("b", json.RawMessage("2"))
	other.Unknown.Set("c", json.RawMessage("3"))
	var keys []string
	for key := range u.Unknown.All() {
		keys = append(keys, key)
		break
	}
	if u.Unknown.Len() != 2 || string(u.Unknown.Get("b")) != "1" || u.Unknown.Get("c") != nil || !slices.Equal(keys, []string{"b"}) {
		t.Errorf("%v", u.Unknown)
	}
	if got, err := Marshal(&other); err != nil || string(got) != `{"id":"1","b":2,"a":{"x":[]},"c":3}` {
		t.Errorf("%s, %v", got, err)
	}
}

func TestOpt(t *testing.T) {
	var absent Opt[int]
	for _, test := range []struct {
		opt             Opt[int]
		set, null, zero bool
		text            string
	}{{absent, false, false, true, "absent"}, {Null[int](), false, true, false, "null"}, {Some(0), true, false, false, "0"}} {
		o := test.opt
		v, ok := o.Get()
		if v != 0 || ok != test.set || o.IsSet() != test.set || o.IsNull() != test.null || o.IsZero() != test.zero || o.String() != test.text || o.Value() != 0 {
			t.Errorf("%v", o)
		}
		if or := o.Or(5); (or == 0) != test.set {
			t.Errorf("%v.Or(5) = %d", o, or)
		}
	}
}

// TestConcurrent decodes from the first use of the tables on in many goroutines.
func TestConcurrent(t *testing.T) {
	messages := captured(t)
	codecs.Clear()
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := n; i < len(messages); i += 8 {
				if _, _, err := Decode(messages[i].name, messages[i].data); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// TestTimes compares the reading of dates with that of package time.
func TestTimes(t *testing.T) {
	for at := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 10000; at = at.Add(1000*time.Hour + 61*time.Second + 1234567) {
		text := at.Format(time.RFC3339Nano)
		if got, ok := parseTime([]byte(text)); !ok || !got.Equal(at) || got.Location() != time.UTC {
			t.Fatalf("%s: %v, %v", text, got, ok)
		}
	}
	for _, bad := range []string{"", "2026", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-04-31T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
		"2026-01-01T00:00:60Z", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00Zx", "2026-01-01T00:00:00.Z", "0000-01-01T00:00:00+00:01", "2026-01-01T0x:00:00Z"} {
		if got, ok := parseTime([]byte(bad)); ok {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func ExampleUnmarshal() {
	var m MessageCreate
	warnings, err := Unmarshal([]byte(`{"id":"1574336456892130957","content":"hi","author":{"id":7,"username":"alice"},"tts":"maybe"}`), &m)
	fmt.Println(m.Author.Username, m.Content, m.ID.Time().Year())
	fmt.Println(warnings, err)
	// Output:
	// alice hi 2026
	// [tts: want boolean, got string] <nil>
}

func ExampleOpt() {
	var m GuildMember
	if _, err := Unmarshal([]byte(`{"nick":null,"flags":0}`), &m); err != nil {
		panic(err)
	}
	fmt.Println(m.Nick.IsNull(), m.Nick.Or("no nickname"))
	fmt.Println(m.Flags.IsSet(), m.Bio.IsZero())
	if u := m.User.Value(); u == nil {
		fmt.Println("no user")
	}
	// Output:
	// true no nickname
	// true true
	// no user
}

func ExampleMarshal() {
	b, err := Marshal(RequestGuildMembers{
		GuildID: Snowflakes{81384788765712384},
		Query:   Some("b"),
		Limit:   Some(10),
	})
	fmt.Println(string(b), err)
	// Output: {"guild_id":"81384788765712384","query":"b","limit":10} <nil>
}
