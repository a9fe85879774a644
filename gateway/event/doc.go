// Package event holds the messages of the gateway as Go types: the payload of
// every event a server dispatches, of every send a client may make, the
// structures, enums and flags they are made of, and the codec that reads and
// writes them.
//
// # Types
//
// An event's type is named after it: READY is a [Ready], MESSAGE_CREATE is a
// [MessageCreate]. The payload of many events is an object of the protocol, which
// is then embedded: a MessageCreate has all the fields of [Message]. [Events]
// leads to every event by its group, as in Events.Message.Create.
//
// A field that may be absent or null is an [Opt]. The others are plain. Some of
// those are plain although one server or another leaves them out (their json tag
// says omitzero): their zero value, such as an empty name, then stands for
// absence, and null is read as absence too.
//
// Ids are [Snowflake] values, dates are time.Time in UTC, enums are named
// integers or strings and flags are named integers; all keep values that have no
// name here. What depends on another field, or has no fixed form, is a
// json.RawMessage or any. Fields no type knows are in Unknown.
//
// # Codec
//
// [Decode] makes an event of its name and payload, [Unmarshal] and [Marshal] work
// on any type. They are lenient where servers differ and as strict as JSON
// everywhere else. The types work with encoding/json and go-json as well, without
// the leniency and without Unknown.
//
// # Source
//
// The files named _gen.go are made from the files in spec, which is where fields
// and events are added; see the README there. The same source makes the types of
// the npm package.
package event

//go:generate go run ./internal/gen
