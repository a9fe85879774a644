package gateway

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/internal/plain"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

// Event is one event as it came, known to this library or not. Whoever was handed
// one may keep the pointer, and use it from any goroutine.
type Event struct {
	// Name of the event, such as MESSAGE_CREATE.
	Name string
	// Seq is the event's sequence number, -1 if it has none.
	Seq int64
	// Data is the payload as JSON text. It is yours to keep, not to change.
	Data []byte

	c *conn
	// lent tells that only the dispatcher has it, until the observers return: it
	// then needs no lock.
	lent bool

	mu      sync.Mutex // over what follows; Data changes before anybody is handed it
	trimmed bool
	decoded bool
	payload event.Dispatch
	err     error
}

// Payload decodes the event into its type of package event. It is decoded once
// and shared by all observers, who must not change it. The error is
// event.ErrUnknownEvent for an event that has no type.
func (e *Event) Payload() (event.Dispatch, error) {
	if !e.lent {
		e.mu.Lock()
		defer e.mu.Unlock()
	}
	if !e.decoded {
		e.decoded = true
		var warnings []event.Warning
		e.payload, warnings, e.err = event.Decode(e.Name, e.Data)
		if e.err != nil && e.err != event.ErrUnknownEvent && e.cut() {
			e.payload, warnings, e.err = event.Decode(e.Name, e.Data)
		}
		e.trimmed = e.trimmed || e.err == nil // there is nothing behind what could be decoded
		for _, w := range warnings {
			e.c.raise(fail(codeDecode, e.Name+": "+w.String()))
		}
	}
	return e.payload, e.err
}

// trim cuts off what a server may have put behind the payload (see wire.Message).
// All who are handed the event are so behind a trim, or behind a Payload that
// succeeded.
func (e *Event) trim() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cut()
}

// cut is trim, under mu. It reports whether there was something.
func (e *Event) cut() bool {
	if e.trimmed {
		return false
	}
	e.trimmed = true
	before := len(e.Data)
	e.Data = wire.Trim(e.Data)
	return len(e.Data) < before
}

// StateChange tells of a new state.
type StateChange struct {
	State State
	// Resumed tells, in StateReady, that the session is the one from before.
	Resumed bool
	// RetryAt is when the next attempt is made, in StateBackoff.
	RetryAt time.Time
	// Err is why, in StateBackoff and StateClosed; nil if it was asked for.
	Err error
}

// Gap tells what was missed when a session was lost.
type Gap struct {
	// Reason the session was lost for.
	Reason error
	// LastSeq is the highest sequence number received before, -1 if none.
	LastSeq int64
	// DisconnectedAt is when the session was last heard.
	DisconnectedAt time.Time
	// ReconnectedAt is when events began to arrive again.
	ReconnectedAt time.Time
	// SessionLost tells that a new session has taken the place of the old one, so
	// that all that happened between the two times is missing.
	SessionLost bool
}

// observer is one subscription.
type observer struct {
	call func(any)
	// keeps tells that call hands the *Event on to a user, who may keep it.
	keeps bool
	gone  atomic.Bool
}

func (o *observer) keep() bool { return o.keeps }

// item waits in the queue of the dispatcher.
type item struct {
	name   string // of an event; else one of the report names
	seq    int64
	data   []byte
	shared bool // data is in a block of the queue
	what   any  // of a report
}

// size is the memory that an event holds.
func (i *item) size() int { return len(i.name) + len(i.data) }

// queue is what waits for the dispatcher. Payloads, unless they are large, are in a
// block that is used again when all of them have been delivered.
type queue struct {
	items []item
	block []byte
}

const (
	leastBlock = 8 << 10 // and the size of the largest payload in one
	mostBlock  = 64 << 10
)

// keep returns a copy of data, and whether it lies in a block.
func (q *queue) keep(data []byte) (kept []byte, shared bool) {
	if len(data) > leastBlock {
		return bytes.Clone(data), false
	}
	if len(data) > cap(q.block)-len(q.block) {
		// The old block lives as long as the items in it.
		q.block = make([]byte, 0, min(max(2*cap(q.block), leastBlock), mostBlock))
	}
	from := len(q.block)
	q.block = append(q.block, data...)
	return q.block[from:len(q.block):len(q.block)], true
}

// emptied returns the queue without what is in it.
func (q queue) emptied() queue { return queue{q.items[:0], q.block[:0]} }

// The names under which reports are observed. No event has a space in its name.
const (
	onState   = " state"
	onError   = " error"
	onGap     = " gap"
	onSession = " session"
)

// dispatcher calls the observers of a connection, in order, on one goroutine,
// from a bounded queue.
type dispatcher struct {
	conn *conn

	mu        sync.Mutex // never held together with conn.mu in the other order
	observers map[string][]*observer
	queue     queue
	event     Event  // what observers are given that do not keep it
	waiting   int    // events that have not been delivered yet
	bytes     int    // held by their payloads
	reports   int    // that have not been delivered yet
	dropped   int    // events and reports since the queue was full
	slow      string // what observers were being told of meanwhile
	wake      chan struct{}
	unsaid    int    // events since wake was told
	ended     bool   // the session's last item is in the queue
	over      bool   // nobody is told anything any more
	calling   string // what observers are being told of
}

// How many events may wait before the dispatcher is woken, and how many messages
// may be read meanwhile that bring none.
const (
	maxUnsaid         = 64
	maxUnsaidMessages = 256
)

// maxReports bounds the reports that wait. No server that means well gets there.
const maxReports = 4096

// observable reports whether the name of an event, which a server chose, is one
// under which events are observed.
func observable(name string) bool { return name != "" && name[0] != ' ' && name != "*" }

func (d *dispatcher) init(c *conn) {
	d.conn = c
	d.observers = map[string][]*observer{}
	d.wake = make(chan struct{}, 1)
	if c.opts.EventQueue == 0 {
		c.opts.EventQueue = defaultEventQueue
	}
	if c.opts.MaxReceive == 0 {
		c.opts.MaxReceive = session.DefaultMaxReceive
	}
}

// observe adds an observer of a name. One of events that does not say it keeps
// them may use what it is called with until it returns.
func (d *dispatcher) observe(name string, keeps bool, call func(any)) (unsubscribe func()) {
	o := &observer{call: call, keeps: keeps}
	d.conn.mu.Lock()
	d.mu.Lock()
	// Lists are replaced, not changed: the dispatcher may be walking one.
	d.observers[name] = append(append([]*observer(nil), d.observers[name]...), o)
	d.mu.Unlock()
	if name[0] != ' ' {
		d.conn.kinds.Observe(name)
	}
	d.conn.mu.Unlock()
	return func() {
		d.conn.mu.Lock()
		defer d.conn.mu.Unlock()
		d.mu.Lock()
		defer d.mu.Unlock()
		if o.gone.Swap(true) {
			return
		}
		var left []*observer
		for _, other := range d.observers[name] {
			if other != o {
				left = append(left, other)
			}
		}
		if d.observers[name] = left; left == nil {
			delete(d.observers, name)
		}
		if name[0] != ' ' {
			d.conn.kinds.Unobserve(name)
		}
	}
}

// enqueueEvent takes an event that somebody observes. It runs under conn.mu.
func (d *dispatcher) enqueueEvent(o *session.Output) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting >= d.conn.opts.EventQueue || d.bytes+len(o.Data) > d.conn.opts.MaxReceive && d.bytes > 0 {
		d.drop()
		d.conn.stats.Dropped++
		return
	}
	d.reportDropped()
	i := item{name: o.Event.Name, seq: o.Seq}
	if len(o.Data) > 0 {
		i.data, i.shared = d.queue.keep(o.Data)
	} else {
		i.data = []byte("null") // an event without d
	}
	d.waiting++
	d.bytes += i.size()
	d.push(i)
}

// drop counts something that there is no room for.
func (d *dispatcher) drop() {
	d.dropped++
	if d.calling != "" {
		d.slow = d.calling
	}
}

// reportDropped tells, where the missing events would have been, how many are
// missing.
func (d *dispatcher) reportDropped() {
	if d.dropped == 0 {
		return
	}
	text := fmt.Sprintf("%d events were dropped, as too many wait for the observers", d.dropped)
	if d.slow != "" {
		text += "; one of " + shown(d.slow) + " is slow"
	}
	d.dropped, d.slow = 0, ""
	d.push(item{name: onError, what: error(fail(codeOverflow, text))})
}

// enqueueReport takes a report. It runs under conn.mu.
func (d *dispatcher) enqueueReport(o *session.Output) {
	c := d.conn
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reports >= maxReports && o.State != StateClosed {
		d.drop()
		c.stats.Dropped++
		return
	}
	d.reportDropped()
	switch o.Kind {
	case session.OutputState:
		change := StateChange{State: o.State, Resumed: o.Resumed}
		if o.Err != nil {
			change.Err = o.Err
		}
		if o.State == StateBackoff {
			change.RetryAt = c.date(o.RetryAt)
		}
		d.push(item{name: onState, what: change})
		if o.State == StateClosed {
			c.err = change.Err
			if c.err == nil {
				c.err = ErrClosed
			}
			d.ended = true
		}
	case session.OutputError:
		d.push(item{name: onError, what: error(o.Err)})
	case session.OutputGap:
		d.push(item{name: onGap, what: Gap{
			Reason:         o.Gap.Reason,
			LastSeq:        o.Gap.LastSeq,
			DisconnectedAt: c.date(o.Gap.DisconnectedAt),
			ReconnectedAt:  c.date(o.Gap.ReconnectedAt),
			SessionLost:    o.Gap.SessionLost,
		}})
	case session.OutputSession:
		snap, ok := c.s.Snapshot()
		d.push(item{name: onSession, what: sessionChange{snap, ok}})
	}
}

type sessionChange struct {
	snap Session
	ok   bool
}

// push adds an item under d.mu.
func (d *dispatcher) push(i item) {
	if d.over {
		return
	}
	if i.data == nil {
		d.reports++
	}
	d.queue.items = append(d.queue.items, i)
	// Waking the dispatcher costs more than an event. While the reader has more at
	// hand, and is not far ahead, it may sleep on.
	if i.data != nil && d.conn.reading && d.unsaid < maxUnsaid {
		d.unsaid++
		return
	}
	d.tell()
}

// tell wakes the dispatcher, under d.mu.
func (d *dispatcher) tell() {
	d.unsaid = 0
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// flush wakes the dispatcher if it has something to do: the reader is about to
// wait.
func (d *dispatcher) flush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.unsaid > 0 {
		d.tell()
	}
}

// raise reports an error that did not come from the session.
func (d *dispatcher) raise(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reports >= maxReports {
		d.drop()
		return
	}
	d.push(item{name: onError, what: err})
}

// dispatch calls the observers until the connection is closed and everybody has
// been told.
func (d *dispatcher) dispatch() {
	var batch queue
	for {
		<-d.wake
		d.mu.Lock()
		// The two queues change places, so that neither is made anew.
		batch, d.queue = d.queue, batch.emptied()
		ended := d.ended
		d.deliver(batch.items)
		if ended {
			for len(d.queue.items) > 0 { // what observers have raised meanwhile
				batch, d.queue = d.queue, batch.emptied()
				d.deliver(batch.items)
			}
			d.over, d.observers = true, map[string][]*observer{}
		}
		d.mu.Unlock()
		if ended {
			close(d.conn.done)
			return
		}
	}
}

// deliver calls the observers of each of the items. It is called under d.mu, and
// lets go of it while it calls them.
func (d *dispatcher) deliver(items []item) {
	for k := range items {
		i := &items[k]
		var list, all []*observer
		if i.data == nil || observable(i.name) {
			list = d.observers[i.name]
		}
		if i.data != nil {
			all = d.observers["*"]
		}
		d.calling = i.name
		d.mu.Unlock()
		what := i.what
		if i.data == nil {
			d.log(i.what)
		} else if list != nil || all != nil {
			what = d.eventOf(i, list, all)
		}
		for _, o := range list {
			d.call(i.name, o, what)
		}
		for _, o := range all {
			d.call(i.name, o, what)
		}
		d.event = Event{}
		d.mu.Lock()
		d.calling = ""
		if i.data != nil {
			d.waiting--
			d.bytes -= i.size()
		} else {
			d.reports--
		}
		*i = item{}
	}
}

// eventOf returns the event to call the observers with. Most want no more than its
// payload, of which decoding makes a copy; then neither the event nor its text is
// made for them.
func (d *dispatcher) eventOf(i *item, list, all []*observer) *Event {
	data := i.data
	if slices.ContainsFunc(list, (*observer).keep) || slices.ContainsFunc(all, (*observer).keep) {
		if i.shared {
			data = bytes.Clone(data)
		}
		return &Event{Name: i.name, Seq: i.seq, Data: data, c: d.conn}
	}
	d.event = Event{Name: i.name, Seq: i.seq, Data: data, c: d.conn, lent: true}
	return &d.event
}

// call calls one observer. Its panic is reported, and harms nobody else.
func (d *dispatcher) call(name string, o *observer, what any) {
	if o.gone.Load() {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			err := fail(codeObserverPanic, fmt.Sprintf("an observer of %s panicked: %v", shown(name), p))
			if name == onError {
				d.log(error(err)) // it would be told of itself for ever
			} else {
				d.raise(err)
			}
		}
	}()
	o.call(what)
}

// shown is a name as it may stand in a text: that of an event is the server's.
func shown(name string) string { return plain.Text(strings.TrimLeft(name, " "), 64) }
