package event

import (
	"errors"
	"reflect"
	"slices"
	"sync/atomic"
)

// Dispatch is the payload of an event. Pointers to the event types implement it,
// nil pointers included, so the type alone is enough to tell the name.
type Dispatch interface {
	// EventName returns the name of the event on the wire.
	EventName() string
}

// Send is the payload of a message to the server.
type Send interface {
	// Opcode returns what the message is about.
	Opcode() Op
	// Validate returns a *ValidationError for the first field a server would not
	// take. Servers answer those by closing the connection.
	Validate() error
}

// Type names the type of an event. The leaves of [Events] are Types.
type Type[T Dispatch] struct{}

// Name returns the name of the event on the wire.
func (Type[T]) Name() string {
	var zero T
	return zero.EventName()
}

// String returns the name of the event on the wire.
func (t Type[T]) String() string { return t.Name() }

// ErrUnknownEvent is returned for an event that this package has no type for.
var ErrUnknownEvent = errors.New("event: unknown event")

// entry is what the registry knows about an event.
type entry struct {
	make         func() Dispatch
	intents      Intents
	capabilities Capabilities
	codec        atomic.Pointer[codec]
}

// New returns a new payload for the event of a name, or nil if the name is
// unknown.
func New(name string) Dispatch {
	if e := registry[name]; e != nil {
		return e.make()
	}
	return nil
}

// Names returns the names of all events, sorted.
func Names() []string {
	names := make([]string, 0, len(registry))
	for name := range registry {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Decode makes an event of its name and payload, in the way of [Unmarshal]. An
// event of an unknown name is the error [ErrUnknownEvent].
func Decode(name string, data []byte) (Dispatch, []Warning, error) {
	e := registry[name]
	if e == nil {
		return nil, nil, ErrUnknownEvent
	}
	v := e.make()
	c := e.codec.Load()
	if c == nil {
		c = codecOf(reflect.TypeOf(v).Elem())
		e.codec.Store(c)
	}
	warnings, err := unmarshal(data, reflect.ValueOf(v).UnsafePointer(), c)
	if err != nil {
		return nil, nil, err
	}
	return v, warnings, nil
}

// Answers returns the names of the events by which a server answers a send. It is
// nil for sends that are not answered.
func Answers(op Op) []string { return slices.Clone(answers[op]) }

// Events returns the names of the events that a set of intents brings, sorted.
// Events which need no intent are not among them.
func (i Intents) Events() []string {
	var names []string
	for _, name := range Names() {
		if registry[name].intents&i != 0 {
			names = append(names, name)
		}
	}
	return names
}

// IntentsFor returns the intents that bring an event. Any one of them does; none
// means that the event needs no intent, or is unknown.
func IntentsFor(name string) Intents {
	if e := registry[name]; e != nil {
		return e.intents
	}
	return 0
}

// Events returns the names of the events that a set of capabilities brings, sorted.
// Events which need no capability are not among them.
func (c Capabilities) Events() []string {
	var names []string
	for _, name := range Names() {
		if registry[name].capabilities&c != 0 {
			names = append(names, name)
		}
	}
	return names
}

// CapabilitiesFor returns the capability that makes servers send an event, or send
// it unasked. None means that the event needs none, or is unknown; Spacebar looks
// at few of them and sends more.
func CapabilitiesFor(name string) Capabilities {
	if e := registry[name]; e != nil {
		return e.capabilities
	}
	return 0
}

// Info returns the guild's own fields wherever the server put them: in Properties
// for a session with [CapabilityClientStateV2], in the guild itself for others.
func (g *GatewayGuild) Info() *PartialGuild {
	if p := g.Properties.Value(); p != nil {
		return p
	}
	return &g.PartialGuild
}
