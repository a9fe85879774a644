// Package jsbridge is the border between the core and JavaScript.
//
// Two kinds of traffic cross it. What happens per message (a frame came in, a
// timer is due, what is there to do) goes through the functions exported in
// hot.go: numbers go in and out, bytes lie in buffers that both sides see, and
// nothing is allocated and no js.Value made. What happens now and then (open a
// handle, observe, send, close) goes through a table of functions made once with
// safejs, in control.go, where values are what a JavaScript programmer expects
// and a few microseconds do not matter.
//
// JavaScript owns the sockets, the timers and the observers; Go owns the
// protocol. Go runs only while JavaScript calls it and never waits: there is
// no goroutine but the one that Serve parks.
package jsbridge
