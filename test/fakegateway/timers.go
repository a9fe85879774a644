package fakegateway

import (
	"container/heap"
	"time"
)

// timer is something that is to happen at a time.
type timer struct {
	at    time.Duration
	order uint64 // among those of the same time
	run   func()
	index int // in the heap, -1 if not in it
}

// timers is a heap by time.
type timers struct {
	list  []*timer
	count uint64
}

func (t *timers) Len() int { return len(t.list) }

func (t *timers) Less(i, j int) bool {
	a, b := t.list[i], t.list[j]
	return a.at < b.at || a.at == b.at && a.order < b.order
}

func (t *timers) Swap(i, j int) {
	t.list[i], t.list[j] = t.list[j], t.list[i]
	t.list[i].index, t.list[j].index = i, j
}

func (t *timers) Push(x any) {
	x.(*timer).index = len(t.list)
	t.list = append(t.list, x.(*timer))
}

func (t *timers) Pop() any {
	last := len(t.list) - 1
	x := t.list[last]
	t.list[last] = nil
	t.list = t.list[:last]
	x.index = -1
	return x
}

// after arranges for run to be called after d, and returns what stop takes.
func (e *Engine) after(d time.Duration, run func()) *timer {
	e.timers.count++
	t := &timer{at: e.now + d, order: e.timers.count, run: run}
	heap.Push(&e.timers, t)
	return t
}

// stop calls a timer off; nil and timers that have run are fine.
func (e *Engine) stop(t *timer) {
	if t != nil && t.index >= 0 {
		heap.Remove(&e.timers, t.index)
	}
}

// Tick does all that is due by now. Every other method that is told the time
// does so too, first.
func (e *Engine) Tick(now time.Duration) {
	e.until = now
	for e.timers.Len() > 0 && e.timers.list[0].at <= now {
		t := heap.Pop(&e.timers).(*timer)
		e.now = max(e.now, t.at)
		t.run()
	}
	e.now = max(e.now, now)
}

// Deadline is when Tick wants to be called next; ok is false if never.
func (e *Engine) Deadline() (at time.Duration, ok bool) {
	if e.timers.Len() == 0 {
		return 0, false
	}
	return e.timers.list[0].at, true
}
