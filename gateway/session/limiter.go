package session

import "time"

// A message counts for a little longer than the window: what was sent a minute
// apart may arrive closer together.
const counted = RateWindow + time.Second

// limiter is a sliding window over the messages sent on one connection, but for
// the regular heartbeats: those are as many as their interval makes them, and have
// a share of their own.
type limiter struct {
	sent [RateLimit]time.Duration // a ring of the times of the last sends
	next int                      // where the next one goes
	n    int                      // how many of them are within the window
	// beats is how many regular heartbeats can fall into one window.
	beats int
}

// reset starts a connection whose heartbeats come at this interval.
func (l *limiter) reset(interval time.Duration) {
	*l = limiter{beats: int((counted + interval - 1) / interval)}
}

func (l *limiter) expire(now time.Duration) {
	for l.n > 0 && l.oldest(0)+counted <= now {
		l.n--
	}
}

// oldest returns the time of the i-th oldest send in the window.
func (l *limiter) oldest(i int) time.Duration {
	return l.sent[(l.next-l.n+i+2*RateLimit)%RateLimit]
}

// count notes a message sent that is not a regular heartbeat.
func (l *limiter) count(now time.Duration) {
	l.expire(now)
	l.sent[l.next] = now
	l.next = (l.next + 1) % RateLimit
	if l.n < RateLimit {
		l.n++
	}
}

// The budget, from the top: the regular heartbeats have theirs; two more messages
// are for Identify or Resume and a probe; the rest is for the user. Heartbeats the
// server or a wake-up asks for may use the user's share.

func (l *limiter) userLimit() int  { return RateLimit - l.beats - 2 }
func (l *limiter) extraLimit() int { return RateLimit - l.beats - 1 }

// userMay reports whether a user's message may go now.
func (l *limiter) userMay(now time.Duration) bool {
	l.expire(now)
	return l.n < l.userLimit()
}

// extraMay reports whether a heartbeat out of turn may go now.
func (l *limiter) extraMay(now time.Duration) bool {
	l.expire(now)
	return l.n < l.extraLimit()
}

// authMay reports whether there is room for another Identify or Resume.
func (l *limiter) authMay(now time.Duration) bool {
	l.expire(now)
	return l.n < RateLimit-l.beats
}

// userNext returns when the next user's message may go.
func (l *limiter) userNext(now time.Duration) time.Duration {
	if l.userMay(now) {
		return now
	}
	return l.oldest(l.n-l.userLimit()) + counted
}
