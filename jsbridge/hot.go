//go:build js && wasm

package jsbridge

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"
	"unsafe"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

// input is where JavaScript puts the bytes that a call is about.
var input []byte

// record is where an output is read from by JavaScript. Its layout is known to
// core.ts.
var record struct {
	conn   int32   // the connection
	code   int32   // a close code
	id     int32   // a send
	binary int32   // whether data is to be sent as binary
	from   int32   // where the text of an event is from
	more   int32   // whether there may be another output, or the deadline is earlier: ask next
	data   int32   // where data begins
	size   int32   // and its length in bytes
	number float64 // a time in ms, for what has one
	kind   int32   // the ID of an event's kind, if it is known where the payload lies, else 0
	head   int32   // characters of the message before the payload
	tail   int32   // and behind it
}

// core is one handle's session as seen from here.
//
// JavaScript knows how its first three fields lie (core.ts) and reads them even from
// the memory of an instance that has crashed. A call of Go takes longer than all else
// that an event costs, so while the gate is open JavaScript lets events pass as
// session.Session.Again allows. Whatever comes in from outside goes through find, which
// closes the gate and tells the session what has passed.
type core struct {
	seq    float64 // the number up to which everything has been handed over, while the gate is closed
	gate   int32   // the connection on which events may pass, 0 if none may
	passed int32   // that number while the gate is open

	s        *session.Session
	kinds    session.Kinds
	deadline time.Duration
	text     []byte // payloads and records that had to be written anew
}

// cores by handle number, counted from 1.
var cores []*core

func find(handle int32) *core {
	if handle < 1 || int(handle) > len(cores) {
		return nil
	}
	c := cores[handle-1]
	if c != nil && c.gate != 0 {
		if seq := int64(c.passed); seq > c.s.Seq() {
			c.s.Passed(seq)
			c.seq = float64(seq)
		}
		c.gate = 0
	}
	return c
}

// open lets events pass on a connection of which the session has just taken one.
func (c *core) open(conn int32) {
	seq := c.s.Seq()
	c.seq = float64(seq)
	if seq <= math.MaxInt32 {
		c.gate, c.passed = conn, int32(seq)
	}
}

// ms turns a JavaScript time into the session's.
func ms(t float64) time.Duration { return time.Duration(t * float64(time.Millisecond)) }

// toMS is the way back.
func toMS(t time.Duration) float64 { return float64(t) / float64(time.Millisecond) }

func address[T any](p *T) int32 { return int32(uintptr(unsafe.Pointer(p))) }

//lint:ignore U1000 JavaScript calls it
//go:wasmexport recordAddress
func recordAddress() int32 { return address(&record) }

// buffer makes the input n bytes, keeping what is there as far as it fits, and
// returns where they go.
//
//go:wasmexport buffer
func buffer(n int32) int32 {
	if int(n) != len(input) {
		other := make([]byte, n)
		copy(other, input)
		input = other
	}
	return address(unsafe.SliceData(input))
}

// coreAddress returns where the fields of core are that JavaScript knows.
//
//go:wasmexport coreAddress
func coreAddress(handle int32) int32 {
	if c := find(handle); c != nil {
		return address(c)
	}
	return 0
}

// countAddress returns where the events of a kind are counted, in 64 bits.
//
//go:wasmexport countAddress
func countAddress(handle, kind int32) int32 {
	if c := find(handle); c != nil && kind >= 1 && int(kind) <= c.kinds.Len() {
		return address(&c.kinds.Kind(int(kind)).Count)
	}
	return 0
}

// The clock of sessions: JavaScript's, carried on by Go's.
var clockAt, clockIs = time.Now(), time.Duration(0)

func clock() time.Duration { return clockIs + time.Since(clockAt) }

// setClock tells what time it is, when that is not what clock would say.
//
//go:wasmexport setClock
func setClock(now float64) { clockAt, clockIs = time.Now(), ms(now) }

// received takes the first n bytes of the input as one frame. It returns what
// next does. It is not told the time, as asking a browser for that takes as long as
// a tenth of a message does: Go asks when it matters.
//
//go:wasmexport received
func received(handle, conn, n, binary int32) int32 {
	c := find(handle)
	if c == nil || uint(n) > uint(len(input)) {
		return 0
	}
	c.s.Received(session.Untold, session.Conn(conn), input[:n], binary != 0)
	return c.put(c.s.Next())
}

// glance is received for the two ends of a text message: its first bytes stand
// at the beginning of the input, its last bytes at tailAt (see session.Glance).
// It returns the session.Glanced, from the fourth bit on the session.Alike, and from
// the sixth on the ID of the event's kind.
//
//go:wasmexport glance
func glance(handle, conn, head, tail int32) int32 {
	c := find(handle)
	if c == nil || uint32(head) > tailAt || uint32(tail) > tailAt || len(input) < 2*tailAt {
		return 0
	}
	kind, result, alike := c.s.Glance(session.Conn(conn), input[:head], input[tailAt:tailAt+tail])
	if result == session.GlancedNothing {
		return 0
	}
	c.open(conn)
	return int32(kind.ID)<<5 | int32(alike)<<3 | int32(result)
}

// again is glance for a message that is known to begin as one of this kind did, and
// whose number is known, where that does not pass by itself. It returns the session.Glanced.
//
//go:wasmexport again
func again(handle, conn, kind int32, seq float64) int32 {
	c := find(handle)
	if c == nil || kind < 1 || int(kind) > c.kinds.Len() {
		return 0
	}
	result := c.s.Again(session.Conn(conn), c.kinds.Kind(int(kind)), int64(seq))
	if result != session.GlancedNothing {
		c.open(conn)
	}
	return int32(result)
}

// tailAt is where in the input the end of a message stands. core.ts knows it.
const tailAt = 128

// next puts the next output into the record and returns its kind, 0 if there
// is none.
//
//go:wasmexport next
func next(handle int32) int32 {
	if c := find(handle); c != nil {
		return c.put(c.s.Next())
	}
	return 0
}

//go:wasmexport opened
func opened(handle, conn int32, now float64) {
	if c := find(handle); c != nil {
		c.s.Opened(ms(now), session.Conn(conn))
	}
}

// closed takes reason and cause from the input, one behind the other.
//
//go:wasmexport closed
func closed(handle, conn, code, reason, cause int32, now float64) {
	if c := find(handle); c != nil && reason >= 0 && cause >= 0 && int(reason)+int(cause) <= len(input) {
		c.s.Closed(ms(now), session.Conn(conn), session.CloseCode(code), string(input[:reason]), string(input[reason:reason+cause]))
	}
}

//go:wasmexport tick
func tick(handle int32, now float64) {
	if c := find(handle); c != nil {
		c.s.Tick(ms(now))
	}
}

//go:wasmexport wake
func wake(handle int32, now float64) {
	if c := find(handle); c != nil {
		c.s.Wake(ms(now))
	}
}

// deadline returns when tick is to be called, in ms, or -1 for never.
//
//go:wasmexport deadline
func deadline(handle int32) float64 {
	c := find(handle)
	if c == nil {
		return -1
	}
	at, ok := c.s.Deadline()
	c.deadline = at
	if !ok {
		return -1
	}
	return toMS(at)
}

// crash ends the program the way a bug would. Tests use it to see that the
// session goes on in a new instance.
//
//lint:ignore U1000 JavaScript calls it
//go:wasmexport crash
func crash() { panic("crash was called") }

// outputNone tells JavaScript that there is no output, but that the deadline
// has changed.
const outputNone = 64

// put writes an output into the record. It returns its kind for JavaScript.
func (c *core) put(o *session.Output) int32 {
	c.seq = float64(c.s.Seq())
	if o == nil {
		if c.hurried() {
			record.more = 0
			return outputNone
		}
		return 0
	}
	r := &record
	r.more = 1
	r.conn = int32(o.Conn)
	data := o.Data
	switch o.Kind {
	case session.OutputDispatch:
		data, r.from = c.message(o)
		if c.s.Idle() && !c.hurried() {
			r.more = 0
		}
	case session.OutputWrite:
		r.binary = flag(o.Binary)
	case session.OutputClose:
		r.code = int32(o.CloseCode)
	case session.OutputDial:
		data = append(c.text[:0], o.URL...)
		c.text = data
	case session.OutputSent:
		r.id = int32(o.ID)
		data = nil
		if o.Err != nil {
			data = appendError(c.text[:0], o.Err)
			c.text = data
		}
	case session.OutputAck:
		r.number = toMS(o.Latency)
	case session.OutputState:
		data = appendState(c.text[:0], o)
		c.text = data
	case session.OutputError:
		data = appendError(c.text[:0], o.Err)
		c.text = data
	case session.OutputGap:
		data = appendGap(c.text[:0], o.Gap)
		c.text = data
	}
	r.data, r.size = address(unsafe.SliceData(data)), int32(len(data))
	return int32(o.Kind)
}

// hurried reports whether the deadline is earlier than JavaScript knows.
func (c *core) hurried() bool {
	at, _ := c.s.Deadline()
	return at < c.deadline
}

// Where the text of an event is from. core.ts knows them.
const (
	fromServer = iota
	fromFrame  // it is the very frame that was received
	fromETF    // so that integers which a number cannot hold are strings in it
)

// message returns the JSON text of an event's whole message and notes where in it
// the payload lies.
func (c *core) message(o *session.Output) (text []byte, from int32) {
	if m := o.Message; m != nil {
		record.kind = 0
		if len(o.Data) > 0 {
			c.lies(o.Event, m, int(address(unsafe.SliceData(o.Data))-address(unsafe.SliceData(m))), len(o.Data))
		}
		if unsafe.SliceData(m) == unsafe.SliceData(input) {
			return m, fromFrame
		}
		return m, fromServer
	}
	c.text = append(c.text[:0], `{"op":0,"t":`...)
	c.text = wire.AppendString(c.text, o.Event.Name)
	if o.Seq >= 0 {
		c.text = append(c.text, `,"s":`...)
		c.text = strconv.AppendInt(c.text, o.Seq, 10)
	}
	c.text = append(c.text, `,"d":`...)
	head := len(c.text)
	c.text = append(c.text, o.Data...)
	c.text = append(c.text, '}')
	c.lies(o.Event, c.text, head, len(o.Data))
	return c.text, fromETF
}

// lies notes that the payload of a message has size bytes from head on. JavaScript
// counts in UTF-16 units, which are bytes where there is nothing but ASCII.
func (c *core) lies(kind *session.Kind, message []byte, head, size int) {
	before, after := message[:head], message[head+size:]
	record.kind = 0
	if ascii(before) && ascii(after) {
		record.kind, record.head, record.tail = int32(kind.ID), int32(len(before)), int32(len(after))
	}
}

// ascii reports whether b is ASCII, which the ends of messages always are: it
// takes them in words.
func ascii(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b)&0x8080808080808080 != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

func flag(b bool) int32 {
	if b {
		return 1
	}
	return 0
}
