// Package simulation runs the client and a whole server in one process, in
// virtual time, from one seed: the session core of this project, a driver that
// does what the real ones do, the fake gateway's engine, and between them a
// network, a machine and a user that misbehave. A day passes in milliseconds, and
// the same seed always gives the same day.
//
// A World is set up and driven by a test; Run lives through one seed and checks
// what must hold whatever happens (see invariants.go).
package simulation
