package fakegateway

import (
	"encoding/json"
	"fmt"
	"time"
)

// The Engine's controls, for a Server. See there.

// World returns a copy of what there is on the server.
func (s *Server) World() (w *World) {
	s.Do(func(_ time.Duration, e *Engine) { w = e.world.clone() })
	return w
}

// State returns a picture of the server.
func (s *Server) State() (st State) {
	s.Do(func(_ time.Duration, e *Engine) { st = e.State() })
	return st
}

// Dispatch sends an event to all sessions, with the next sequence number of
// each. d is marshalled; a json.RawMessage stays as it is. It returns the
// number of sessions.
func (s *Server) Dispatch(name string, d any) (int, error) { return s.DispatchTo(Target{}, name, d) }

// DispatchTo sends an event to the sessions of a target.
func (s *Server) DispatchTo(t Target, name string, d any) (n int, err error) {
	text, err := json.Marshal(d)
	if err != nil {
		return 0, fmt.Errorf("fakegateway: the payload of %s: %w", name, err)
	}
	s.Do(func(now time.Duration, e *Engine) { n = e.Dispatch(now, t, name, text) })
	return n, nil
}

// Send sends a message in each connection's encoding and compression; see
// Engine.Send.
func (s *Server) Send(t Target, msg string) int {
	return s.reach(func(now time.Duration, e *Engine) int { return e.Send(now, t, []byte(msg)) })
}

// SendFrame sends a frame as it is.
func (s *Server) SendFrame(t Target, data []byte, binary bool) int {
	return s.reach(func(now time.Duration, e *Engine) int { return e.SendFrame(now, t, data, binary) })
}

// CloseConns closes connections with a code and a reason.
func (s *Server) CloseConns(t Target, code int, reason string) int {
	return s.reach(func(now time.Duration, e *Engine) int { return e.Close(now, t, code, reason) })
}

// Drop cuts connections.
func (s *Server) Drop(t Target) int {
	return s.reach(func(now time.Duration, e *Engine) int { return e.Drop(now, t) })
}

// Freeze makes connections half-open, or ends that; see Engine.Freeze.
func (s *Server) Freeze(t Target, on bool) int {
	return s.reach(func(now time.Duration, e *Engine) int { return e.Freeze(now, t, on) })
}

// Reconnect sends op 7; see Engine.Reconnect.
func (s *Server) Reconnect(t Target, delay time.Duration, closeToo bool) int {
	return s.reach(func(now time.Duration, e *Engine) int { return e.Reconnect(now, t, delay, closeToo) })
}

// Shutdown does what stopping a Spacebar server does; see Engine.Shutdown. The
// Server goes on.
func (s *Server) Shutdown() int {
	return s.reach(func(now time.Duration, e *Engine) int { return e.Shutdown(now) })
}

// InvalidSession sends op 9; see Engine.InvalidSession.
func (s *Server) InvalidSession(t Target, d string) int {
	return s.reach(func(now time.Duration, e *Engine) int { return e.InvalidSession(now, t, d) })
}

// RemoveSession ends sessions as their users can; see Engine.RemoveSession.
func (s *Server) RemoveSession(t Target) int {
	return s.reach(func(now time.Duration, e *Engine) int { return e.RemoveSession(now, t) })
}

// Forget forgets sessions; see Engine.Forget.
func (s *Server) Forget(t Target) int {
	return s.reach(func(now time.Duration, e *Engine) int { return e.Forget(now, t) })
}

// RequestHeartbeat sends op 1.
func (s *Server) RequestHeartbeat(t Target) int {
	return s.reach(func(now time.Duration, e *Engine) int { return e.RequestHeartbeat(now, t) })
}

// SetFaults gives faults to the connections of a target, and to those to come;
// see Engine.SetFaults.
func (s *Server) SetFaults(t Target, f Faults) {
	s.Do(func(now time.Duration, e *Engine) { e.SetFaults(now, t, f) })
}

// Plan gives the next dials their faults; see Engine.Plan.
func (s *Server) Plan(f ...Faults) {
	s.Do(func(_ time.Duration, e *Engine) { e.Plan(f...) })
}

// SetInterval changes the heartbeat interval that Hello asks for.
func (s *Server) SetInterval(interval time.Duration) (err error) {
	s.Do(func(_ time.Duration, e *Engine) { err = e.SetInterval(interval) })
	return err
}

// SetResumeURL changes the resume_gateway_url of READY.
func (s *Server) SetResumeURL(url string) {
	s.Do(func(_ time.Duration, e *Engine) { e.SetResumeURL(url) })
}

// Flood sends many events as fast as the clients take them; see Engine.Flood.
func (s *Server) Flood(t Target, n int, events ...Event) int {
	return s.reach(func(now time.Duration, e *Engine) int { return e.Flood(now, t, n, events...) })
}

// Life makes that many events a second happen by themselves; 0 ends it. See
// Engine.SetLife.
func (s *Server) Life(rate float64, events ...Event) {
	s.Do(func(now time.Duration, e *Engine) { e.SetLife(now, rate, events...) })
}

// Play gives one of the next connections a capture; see Engine.Play.
func (s *Server) Play(capture *Capture, realTime bool) (err error) {
	s.Do(func(now time.Duration, e *Engine) { err = e.Play(now, capture, realTime) })
	return err
}

func (s *Server) reach(f func(now time.Duration, e *Engine) int) (n int) {
	s.Do(func(now time.Duration, e *Engine) { n = f(now, e) })
	return n
}
