//go:build js && wasm

package jsbridge

import (
	"runtime"

	"github.com/hack-pad/safejs"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

// Serve hands the control functions to JavaScript and parks. What it sees as the
// global object is one of the loader's making (web/src/wasm.ts), with a function
// handOver that takes them: as one function, called with their name first, as
// making one for each would take a tenth of the start.
func Serve() {
	call, err := safejs.FuncOf(func(_ safejs.Value, args []safejs.Value) (result any) {
		name := arguments(args).string(0)
		defer func() {
			// A panic here is a bug, but one that a caller can survive.
			if p := recover(); p != nil {
				result = failure(&session.Error{Code: "internal", Message: "internal error in " + name})
			}
		}()
		return control[name](arguments(args[1:]))
	})
	if err != nil {
		panic(err)
	}
	if _, err := safejs.Global().Call("handOver", call); err != nil {
		panic(err)
	}
	select {}
}

// control is what JavaScript can ask for that is not worth a place on the hot
// path. Arguments come from core.ts, plain data made in gateway.ts: reading an
// object with a throwing getter would break the Go runtime.
var control = map[string]func(arguments) any{
	"open":    open,
	"start":   func(a arguments) any { return with(a, func(c *core) any { c.s.Start(ms(a.float(1))); return nil }) },
	"observe": func(a arguments) any { return with(a, func(c *core) any { return c.kinds.Observe(a.string(1)) }) },
	"unobserve": func(a arguments) any {
		return with(a, func(c *core) any { c.kinds.Unobserve(a.string(1)); return nil })
	},
	"kind":   kind,
	"send":   send,
	"cancel": cancel,
	"close": func(a arguments) any {
		return with(a, func(c *core) any { c.s.Close(ms(a.float(1)), a.bool(2)); return nil })
	},
	"snapshot": snapshot,
	"lost":     lost,
	"stats":    stats,
	"release":  release,
	"inspect":  inspect,
}

// hosts is what all handles know of servers.
var hosts session.Hosts

// open(config) makes a session and returns its handle, or an error.
func open(a arguments) any {
	cfg := a.object(0)
	c := new(core)
	config := session.Config{
		URL:        cfg.string("url"),
		Identify:   []byte(cfg.string("identify")),
		Version:    cfg.int("version"),
		MaxMessage: cfg.int("maxMessageSize"),
		MaxReceive: cfg.int("maxReceiveSize"),
		Queue:      cfg.int("queueSize"),
		Attempts:   cfg.int("attempts"),
		Seed:       uint64(cfg.float("seed")),
		Clock:      clock,
		Kinds:      &c.kinds,
		Hosts:      &hosts,
	}
	if id := cfg.string("sessionId"); id != "" {
		config.Restore = &session.Snapshot{ID: id, Seq: int64(cfg.float("seq")), ResumeURL: cfg.string("resumeUrl"), Standing: cfg.string("standing")}
	}
	if l := (object{cfg.get("lost")}); l.string("code") != "" {
		cause := &session.Error{Code: session.ErrorCode(l.string("code")), Message: l.string("message"), CloseCode: session.CloseCode(l.int("closeCode"))}
		config.Lost = &session.Loss{
			Gap:      session.Gap{Reason: cause, LastSeq: int64(l.float("lastSeq")), DisconnectedAt: ms(l.float("disconnectedAt")), SessionLost: true},
			Standing: l.string("standing"),
		}
	}
	for _, t := range splitWords(cfg.string("transports")) {
		transport, ok := wire.ParseTransport(t)
		if !ok {
			return failure(&session.Error{Code: session.ErrInvalidOption, Message: "unknown transport " + t})
		}
		config.Transports = append(config.Transports, transport)
	}
	s, err := session.New(config)
	if err != nil {
		return failure(err)
	}
	c.s, c.seq = s, float64(s.Seq())
	for i, other := range cores {
		if other == nil {
			cores[i] = c
			return i + 1
		}
	}
	cores = append(cores, c)
	return len(cores)
}

// kind(handle, id) returns the name of a kind of event.
func kind(a arguments) any {
	return with(a, func(c *core) any {
		if id := a.int(1); 1 <= id && id <= c.kinds.Len() {
			return c.kinds.Kind(id).Name
		}
		return safejs.Undefined()
	})
}

// send(handle, op, payload, now) returns the ID of the send, or an error.
func send(a arguments) any {
	return with(a, func(c *core) any {
		id, err := c.s.Send(ms(a.float(3)), a.int(1), []byte(a.string(2)))
		if err != nil {
			return failure(err)
		}
		return int(id)
	})
}

// cancel(handle, id) takes back a send that waits; its OutputSent tells so.
func cancel(a arguments) any {
	return with(a, func(c *core) any {
		return c.s.Cancel(session.SendID(a.int(1)), &session.Error{Code: "aborted", Message: "the send was aborted"})
	})
}

// snapshot(handle) returns the session as {id, seq, resumeUrl, standing}, or null.
func snapshot(a arguments) any {
	return with(a, func(c *core) any {
		snap, ok := c.s.Snapshot()
		if !ok {
			return safejs.Null()
		}
		return map[string]any{"id": snap.ID, "seq": float64(snap.Seq), "resumeUrl": snap.ResumeURL, "standing": snap.Standing}
	})
}

// lost(handle) returns what is to be reported yet of a session that is gone, as
// {code, message, closeCode, fatal, lastSeq, disconnectedAt, standing}, or null.
func lost(a arguments) any {
	return with(a, func(c *core) any {
		l, ok := c.s.Lost()
		if !ok {
			return safejs.Null()
		}
		o := errorObject(l.Gap.Reason)
		o["lastSeq"], o["disconnectedAt"], o["standing"] = float64(l.Gap.LastSeq), toMS(l.Gap.DisconnectedAt), l.Standing
		return o
	})
}

// stats(handle) returns the session's part of the statistics.
func stats(a arguments) any {
	return with(a, func(c *core) any {
		events := make(map[string]any, c.kinds.Len())
		for id := 1; id <= c.kinds.Len(); id++ {
			if k := c.kinds.Kind(id); k.Count > 0 {
				events[k.Name] = float64(k.Count)
			}
		}
		s := c.s.Stats()
		return map[string]any{
			"events":       events,
			"dials":        float64(s.Dials),
			"resumes":      float64(s.Resumes),
			"gaps":         float64(s.Gaps),
			"bytesDecoded": float64(s.Decoded),
			"queued":       s.Queued,
			"latency":      map[string]any{"last": toMS(s.Latency.Last), "mean": toMS(s.Latency.Mean), "p99": toMS(s.Latency.P99)},
		}
	})
}

// release(handle) frees a handle that is closed.
func release(a arguments) any {
	return with(a, func(*core) any { cores[a.int(0)-1] = nil; return nil })
}

// inspect() returns what is alive, for tests that look for leaks.
func inspect(arguments) any {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	open := 0
	for _, c := range cores {
		if c != nil {
			open++
		}
	}
	return map[string]any{"heap": float64(stats.HeapAlloc), "cores": open}
}

func with(a arguments, f func(*core) any) any {
	if c := find(int32(a.int(0))); c != nil {
		return f(c)
	}
	return failure(&session.Error{Code: session.ErrClosed, Message: "the handle is closed"})
}

// failure is how an error returns to JavaScript: as an object with a code.
func failure(err error) any {
	e, ok := err.(*session.Error) // errors.As would bring 5 KB of reflection
	if !ok {
		e = &session.Error{Code: "internal", Message: err.Error()}
	}
	return errorObject(e)
}

func errorObject(e *session.Error) map[string]any {
	return map[string]any{"code": string(e.Code), "message": e.Message, "closeCode": int(e.CloseCode), "fatal": e.Fatal}
}

// arguments of a call. A missing or mistyped one reads as zero.
type arguments []safejs.Value

func (a arguments) at(i int) safejs.Value {
	if i < len(a) {
		return a[i]
	}
	return safejs.Undefined()
}

func (a arguments) int(i int) int       { return int(a.float(i)) }
func (a arguments) float(i int) float64 { f, _ := a.at(i).Float(); return f }
func (a arguments) bool(i int) bool     { b, _ := a.at(i).Bool(); return b }
func (a arguments) string(i int) string { return text(a.at(i)) }
func (a arguments) object(i int) object { return object{a.at(i)} }

// object is a plain object that core.ts built of what gateway.ts checked.
type object struct{ v safejs.Value }

func (o object) get(name string) safejs.Value { v, _ := o.v.Get(name); return v }
func (o object) int(name string) int          { return int(o.float(name)) }
func (o object) float(name string) float64    { f, _ := o.get(name).Float(); return f }
func (o object) string(name string) string    { return text(o.get(name)) }

func text(v safejs.Value) string {
	if v.Type() != safejs.TypeString {
		return ""
	}
	s, _ := v.String()
	return s
}

func splitWords(s string) (words []string) {
	start := -1
	for i := 0; i <= len(s); i++ {
		if i == len(s) || s[i] == ' ' {
			if start >= 0 {
				words = append(words, s[start:i])
			}
			start = -1
		} else if start < 0 {
			start = i
		}
	}
	return words
}
