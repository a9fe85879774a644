// Package fakegateway is a gateway server for tests: the Spacebar protocol
// (Discord-compatible) with everything that makes a client's life hard.
//
// A test starts one, points its client at it and makes things happen:
//
//	func TestGreeting(t *testing.T) {
//		srv, err := fakegateway.Start(fakegateway.Options{})
//		if err != nil {
//			t.Fatal(err)
//		}
//		defer srv.Close()
//
//		bot := greeter.Connect(srv.URL(), fakegateway.AliceToken) // yours
//		defer bot.Close()
//		ctx := t.Context()
//		srv.Wait(ctx, func(s fakegateway.State) bool { return len(s.Sessions) == 1 })
//
//		srv.Dispatch("MESSAGE_CREATE", map[string]any{"id": "1", "content": "hello"})
//		srv.Drop(fakegateway.Target{}) // and the network breaks
//		srv.Wait(ctx, func(s fakegateway.State) bool { return s.Counters.Identifies == 2 })
//	}
//
// # Two kinds of server
//
// Options.Profile chooses whose behaviour to show. Spacebar is what a real
// Spacebar server was observed to do (it cannot resume, its sequence numbers
// start at 0, its schema is strict, its key order varies …); Documented is what
// the protocol's documentation says (it resumes from a buffer, limits the rate,
// closes with the codes of the documentation …). Both speak json and etf, plain
// or as zlib-stream or zstd-stream; the Documented one also compresses large
// messages by themselves, if Identify says compress.
//
// What Spacebar does at moments of its own choosing is done at fixed ones here,
// so that tests are repeatable: SESSIONS_REPLACE and PRESENCE_UPDATE follow
// READY_SUPPLEMENTAL at once. Its faults that hurt (events that overtake each
// other on zstd-stream, events that come twice) are Faults, off by default.
//
// The server is also the HTTP by which clients find a gateway and log in:
// /.well-known/spacebar, /api/v9/gateway, /api/v9/auth/login and so on.
//
// # Things that go wrong
//
// Faults are what a connection suffers from, set for all (Options.Faults,
// SetFaults), or for the next dials one by one (Plan): refused or hanging dials, no
// Hello, a hostile one, no READY, no ACKs, refused Resumes, latency, frames that
// are split, merged, empty or cut short. Methods make things happen at once:
// Dispatch, Send, CloseConns, Drop, Freeze, Reconnect, InvalidSession, Forget,
// Flood, Life. With OnConn a test plays the server's part itself; with Play a
// connection gets a recorded one, byte for byte.
//
// State and Wait show what the client did. Tokens never appear there.
//
// # Without sockets
//
// Engine is the same server as a state machine that is told the time and does no
// I/O, for tests in virtual time.
//
// # Control over HTTP
//
// With Options.Control, POST /control takes a JSON object with an "action", and
// answers with a result, or with status 400 and {"error": "…"}. Most actions take a
// target: "conn" (id), "session" (id) or "user" (name); without one they mean
// everybody. These answer {"reached": n}:
//
//	{"action": "dispatch", "event": "X", "d": {…}}   an event; "size": n makes up a payload
//	{"action": "raw", "text": "…"}                   a message; "base64" for bytes, "frame": true
//	                                                 sends it as it is, "binary": true as binary
//	{"action": "truncate", "bytes": n}               a frame cut short, then "code" (1006)
//	{"action": "flood", "n": n}                      many events: a mix, with "size" of about that
//	                                                 many bytes each; or "event" with "d" or "size"
//	{"action": "rate_limited"}                       RATE_LIMITED; "opcode", "retry_after",
//	                                                 "guild_id", "nonce"
//	{"action": "close", "code": n, "reason": "…"}
//	{"action": "drop"}                               cut the connection (1006)
//	{"action": "freeze", "on": true}                 half-open; "on": false ends it
//	{"action": "reconnect", "delay_ms": n}           op 7; "close": true closes with 1000 then
//	{"action": "invalid_session", "resumable": b}    op 9; without "resumable" it has no d
//	{"action": "remove_session"}                     op 9 without d, then 4006
//	{"action": "forget"}                             sessions, as a restart does
//	{"action": "shutdown"}                           as a Spacebar server that is stopped
//	{"action": "request_heartbeat"}                  op 1
//
// And these not:
//
//	{"action": "faults", "faults": {…}}              Faults, in snake_case; {} ends them
//	{"action": "plan", "plan": [{…}, …]}             Faults of the next dials
//	{"action": "interval", "interval_ms": n}         of Hello
//	{"action": "resume_url", "url": "ws://…"}        of READY; "" for the server's own
//	{"action": "life", "rate": n}                    events a second; with "size" a mix of about
//	                                                 that many bytes each
//	{"action": "play", "capture": "…"}               text of a capture; "real_time": true
//	{"action": "state"}                              State
//	{"action": "counters"}                           Counters
//	{"action": "conn", "conn": n}                    ConnState
//	{"action": "world"}                              World
//	{"action": "hostile"}                            HostileHellos and HostileReadies, as
//	                                                 "hellos" and "readies"
//	{"action": "wait", "op": n}                      until such messages have come,
//	                                                 "at_least" (1), "timeout_ms" (10000);
//	                                                 or "counter": "identifies"; or "closed": true
package fakegateway
