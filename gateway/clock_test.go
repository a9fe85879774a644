package gateway

import (
	"testing"
	"time"
)

// What a machine slept counts, however the system's clocks are; that a clock is set
// right does not, and does not add up.
func TestClock(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	var mono time.Duration
	wall := began
	c := clock{wall: began, read: func() (time.Duration, time.Time) { return mono, wall }}
	for i, step := range []struct {
		awake, asleep, set time.Duration
		now                time.Duration
		slept              bool
	}{
		{now: 0},
		{awake: time.Second, now: time.Second},
		{awake: time.Second, asleep: 8 * time.Hour, now: 8*time.Hour + 2*time.Second, slept: true},
		{awake: time.Second, now: 8*time.Hour + 3*time.Second},
		{awake: time.Second, set: leap, now: 8*time.Hour + 4*time.Second},
		{awake: time.Second, set: leap, now: 8*time.Hour + 5*time.Second},
		{awake: time.Second, set: -time.Hour, now: 8*time.Hour + 6*time.Second},
		{asleep: time.Minute, now: 8*time.Hour + 66*time.Second, slept: true},
	} {
		mono += step.awake
		wall = wall.Add(step.awake + step.asleep + step.set)
		now, slept := c.now()
		if now != step.now || slept != step.slept {
			t.Errorf("step %d: %v, %v, want %v, %v", i, now, slept, step.now, step.slept)
		}
		if date := c.date(now - time.Second); !date.Equal(wall.Add(-time.Second)) {
			t.Errorf("step %d: a second ago was %v, and it is %v", i, date, wall)
		}
	}
}
