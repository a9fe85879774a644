// Package session is the gateway protocol as a state machine, and nothing
// else: it opens no socket, reads no clock, starts no goroutine and knows no
// JSON library.
//
// A driver feeds a Session with what happens (Start, Opened, Received, Closed,
// Tick, Wake, Send, Close), each with the present time, and then carries out
// what Next returns until it returns nil: dial this URL, write this message,
// close with this code, hand this event to whoever observes it. Deadline says
// when Tick wants to be called. Everything the protocol asks for between those
// calls (heartbeats, resume, back-off, rate limits, close codes) is decided
// here, once, for the native library and for the browser; and because time is
// an argument, a test lives through a year of it in a second.
//
// # Time
//
// A time is the duration since an origin that the driver chooses and keeps for
// the life of the Session. It must not go backwards. It may jump forwards, as
// it does when a laptop sleeps: that is noticed and answered with a probe.
//
// # Connections
//
// Every dial has a new Conn number, and every input and output that belongs to
// a connection carries it. The moment the session gives a connection up, its
// number is void and whatever still arrives from it is ignored; a driver need
// not synchronise with a dying socket.
//
// # Key invariants
//
//   - At most one connection exists, at most one dial is under way.
//   - The sequence number advances from the envelope, before and independently
//     of whatever becomes of the payload.
//   - Every state that waits for somebody else has a deadline.
//   - Every accepted send is answered by exactly one OutputSent.
//   - After StateClosed nothing follows, and no input does anything.
package session
