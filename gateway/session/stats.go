package session

import (
	"slices"
	"time"
)

// Stats counts what a session has done since it was made. What a driver sees of
// the network besides is the driver's to count.
type Stats struct {
	// Dials is how often a connection was opened, or tried to be.
	Dials uint64
	// Resumes is how often a session went on over another connection.
	Resumes uint64
	// Gaps is how many gaps were reported.
	Gaps uint64
	// Decoded is the size of all messages received, decompressed, in bytes;
	// without those that a glance was enough for.
	Decoded uint64
	// Queued is how many sends wait for the rate limit.
	Queued int
	// Latency of the heartbeats.
	Latency Latency
}

// Latency tells how long the server took to acknowledge heartbeats: the last
// one, and on average and at worst but for one in a hundred of the last 128.
// Zero before the first.
type Latency struct{ Last, Mean, P99 time.Duration }

// Stats returns what the session has done.
func (s *Session) Stats() Stats {
	stats := s.stats
	stats.Queued = len(s.queue)
	stats.Latency = s.latencies.summary()
	return stats
}

// latencies are those of the last heartbeats.
type latencies struct {
	ring [128]time.Duration
	n    int // all that were ever added
}

func (l *latencies) add(d time.Duration) {
	l.ring[l.n%len(l.ring)] = d
	l.n++
}

func (l *latencies) last() time.Duration {
	if l.n == 0 {
		return 0
	}
	return l.ring[(l.n-1)%len(l.ring)]
}

func (l *latencies) summary() Latency {
	known := append([]time.Duration(nil), l.ring[:min(l.n, len(l.ring))]...)
	if len(known) == 0 {
		return Latency{}
	}
	sum := time.Duration(0)
	for _, d := range known {
		sum += d
	}
	slices.Sort(known)
	return Latency{Last: l.last(), Mean: sum / time.Duration(len(known)), P99: known[(len(known)*99+99)/100-1]}
}
