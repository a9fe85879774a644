package gateway

import "time"

// clock is the time of a session, counted from when it was made. It never runs
// backwards. The monotonic clock of Linux and of macOS stands still while the
// machine sleeps, and the wall clock does not: its leaps forward are added. The
// clock is used by one goroutine at a time.
type clock struct {
	// read tells the time by both.
	read func() (mono time.Duration, wall time.Time)
	// wall is the wall clock when the monotonic one was 0, as last seen, and slept
	// the leaps that it has made.
	wall  time.Time
	slept time.Duration
}

// leap is by how much the wall clock has to run ahead of the monotonic one, between
// two looks at them, for the machine to have slept. What is less is the clock being
// set right.
const leap = time.Second

func newClock() clock {
	origin := time.Now()
	return clock{wall: origin.Round(0), read: func() (time.Duration, time.Time) {
		now := time.Now()
		return now.Sub(origin), now.Round(0)
	}}
}

// now returns the session's time, and whether the machine has slept since the last
// look.
func (c *clock) now() (now time.Duration, slept bool) {
	mono, wall := c.read()
	start := wall.Add(-mono)
	ahead := start.Sub(c.wall)
	c.wall = start
	if slept = ahead > leap; slept {
		c.slept += ahead
	}
	return mono + c.slept, slept
}

// date returns when the wall clock showed, or will show, a time of the session. It
// goes by the present wall clock, so that it is right after a sleep.
func (c *clock) date(t time.Duration) time.Time {
	return c.wall.Add(t - c.slept)
}
