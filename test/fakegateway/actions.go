package fakegateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// This file is the control of the server in JSON, which POST /control takes.

// Control does the action of a JSON object and returns its result as JSON:
// {"action": "close", "conn": 3, "code": 4000}. The object may name a target by
// "conn", "session" or "user". Actions that reach connections return
// {"reached": n}. The package documentation lists all actions.
func (e *Engine) Control(now time.Duration, text []byte) (json.RawMessage, error) {
	e.Tick(now)
	var head struct {
		Action string `json:"action"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("control: the request is not a JSON object with an action: %w", err)
	}
	do, ok := actions[head.Action]
	if !ok {
		return nil, fmt.Errorf("control: there is no action %q; there are %s", head.Action, strings.Join(slices.Sorted(maps.Keys(actions)), ", "))
	}
	result, err := do(e, text)
	if err != nil {
		return nil, fmt.Errorf("control: %s: %w", head.Action, err)
	}
	return json.Marshal(result)
}

// strictUnmarshal refuses names that are not known, so that a typing error in
// a test is found.
func strictUnmarshal(text []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// action makes an action of a function and the type of its arguments.
func action[T any](do func(e *Engine, p T) (any, error)) func(*Engine, []byte) (any, error) {
	return func(e *Engine, text []byte) (any, error) {
		var p T
		if err := strictUnmarshal(text, &p); err != nil {
			return nil, err
		}
		return do(e, p)
	}
}

type reached struct {
	Reached int `json:"reached"`
}

type done struct{}

// to is the target of an action.
type to struct {
	Action string `json:"action"`
	Target
}

// reach makes an action of a method that reaches connections.
func reach(do func(e *Engine, t Target) int) func(*Engine, []byte) (any, error) {
	return action(func(e *Engine, p to) (any, error) { return reached{do(e, p.Target)}, nil })
}

type payloadAction struct {
	to
	Event string          `json:"event"`
	D     json.RawMessage `json:"d"`
	// Size makes a payload of that many bytes.
	Size  int  `json:"size"`
	N     int  `json:"n"`
	Bytes int  `json:"bytes"`
	Code  *int `json:"code"`
}

func (p payloadAction) payload() (json.RawMessage, error) {
	if p.Size == 0 {
		return p.D, nil
	}
	const around = `{"pad":""}`
	if p.D != nil || p.Size < len(around) {
		return nil, fmt.Errorf("size must be at least %d and has no use together with d", len(around))
	}
	return newObject().str("pad", strings.Repeat("x", p.Size-len(around))).done(), nil
}

// mixOf is a Mix of events of about size bytes, none if that is 0.
func (e *Engine) mixOf(size int) []Event {
	if size == 0 {
		return nil
	}
	return e.world.Mix(500, MixOptions{Seed: e.opt.Seed, Presence: size, Message: size, Other: size})
}

type codeAction struct {
	to
	Code   int    `json:"code"`
	Reason string `json:"reason"`
}

type rawAction struct {
	to
	Text   string `json:"text"`
	Base64 string `json:"base64"`
	// Frame sends it as a frame, without encoding and compression.
	Frame  bool `json:"frame"`
	Binary bool `json:"binary"`
}

type faultsAction struct {
	to
	Faults Faults `json:"faults"`
}

type planAction struct {
	to
	Plan []Faults `json:"plan"`
}

type delayAction struct {
	to
	Delay *millis `json:"delay_ms"`
	Close bool    `json:"close"`
}

type freezeAction struct {
	to
	On *bool `json:"on"`
}

type invalidAction struct {
	to
	Resumable *bool `json:"resumable"`
}

type rateAction struct {
	to
	Rate     float64 `json:"rate"`
	Size     int     `json:"size"`
	Interval millis  `json:"interval_ms"`
}

type rateLimitedAction struct {
	to
	Opcode     int     `json:"opcode"`
	RetryAfter float64 `json:"retry_after"`
	GuildID    string  `json:"guild_id"`
	Nonce      string  `json:"nonce"`
}

type urlAction struct {
	to
	URL string `json:"url"`
}

type playAction struct {
	to
	Capture  string `json:"capture"`
	RealTime bool   `json:"real_time"`
}

var actions = map[string]func(*Engine, []byte) (any, error){
	"state":    action(func(e *Engine, _ to) (any, error) { return e.State(), nil }),
	"counters": action(func(e *Engine, _ to) (any, error) { return e.counters, nil }),
	"conn": action(func(e *Engine, p to) (any, error) {
		if c := e.Conn(p.Conn); c != nil {
			return c.State(), nil
		}
		return nil, fmt.Errorf("there is no connection %d", p.Conn)
	}),
	"world": action(func(e *Engine, _ to) (any, error) { return e.world, nil }),
	"hostile": action(func(*Engine, to) (any, error) {
		return map[string][]string{"hellos": HostileHellos(), "readies": HostileReadies()}, nil
	}),

	"faults": action(func(e *Engine, p faultsAction) (any, error) {
		e.SetFaults(e.now, p.Target, p.Faults)
		return done{}, nil
	}),
	"plan": action(func(e *Engine, p planAction) (any, error) {
		e.Plan(p.Plan...)
		return done{}, nil
	}),

	"dispatch": action(func(e *Engine, p payloadAction) (any, error) {
		d, err := p.payload()
		if err == nil && p.Event == "" {
			err = fmt.Errorf("it needs an event")
		}
		if err != nil {
			return nil, err
		}
		return reached{e.Dispatch(e.now, p.Target, p.Event, d)}, nil
	}),
	"raw": action(func(e *Engine, p rawAction) (any, error) {
		data := []byte(p.Text)
		if p.Base64 != "" {
			var err error
			if data, err = base64.StdEncoding.DecodeString(p.Base64); err != nil {
				return nil, err
			}
		}
		if p.Frame {
			return reached{e.SendFrame(e.now, p.Target, data, p.Binary)}, nil
		}
		return reached{e.Send(e.now, p.Target, data)}, nil
	}),
	"truncate": action(func(e *Engine, p payloadAction) (any, error) {
		ev := e.world.Mix(1, MixOptions{Message: 400})[0]
		code := codeDrop
		if p.Code != nil {
			code = *p.Code
		}
		return reached{e.Truncate(e.now, p.Target, ev, p.Bytes, code)}, nil
	}),
	"flood": action(func(e *Engine, p payloadAction) (any, error) {
		if p.Event == "" {
			return reached{e.Flood(e.now, p.Target, p.N, e.mixOf(p.Size)...)}, nil
		}
		d, err := p.payload()
		if err != nil {
			return nil, err
		}
		return reached{e.Flood(e.now, p.Target, p.N, Event{p.Event, d})}, nil
	}),
	"life": action(func(e *Engine, p rateAction) (any, error) {
		e.SetLife(e.now, p.Rate, e.mixOf(p.Size)...)
		return done{}, nil
	}),
	"rate_limited": action(func(e *Engine, p rateLimitedAction) (any, error) {
		setDefault(&p.Opcode, opMembers)
		setDefault(&p.RetryAfter, 29.5)
		return reached{e.Dispatch(e.now, p.Target, "RATE_LIMITED", rateLimitedPayload(p.Opcode, p.GuildID, p.Nonce, p.RetryAfter))}, nil
	}),

	"close": action(func(e *Engine, p codeAction) (any, error) {
		if p.Code == 0 {
			return nil, fmt.Errorf("it needs a code")
		}
		return reached{e.Close(e.now, p.Target, p.Code, p.Reason)}, nil
	}),
	"drop": reach(func(e *Engine, t Target) int { return e.Drop(e.now, t) }),
	"freeze": action(func(e *Engine, p freezeAction) (any, error) {
		return reached{e.Freeze(e.now, p.Target, p.On == nil || *p.On)}, nil
	}),
	"reconnect": action(func(e *Engine, p delayAction) (any, error) {
		delay := time.Duration(-1)
		if p.Delay != nil {
			delay = time.Duration(*p.Delay)
		}
		return reached{e.Reconnect(e.now, p.Target, delay, p.Close)}, nil
	}),
	"shutdown": reach(func(e *Engine, _ Target) int { return e.Shutdown(e.now) }),
	"invalid_session": action(func(e *Engine, p invalidAction) (any, error) {
		d := ""
		if p.Resumable != nil {
			d = boolText(*p.Resumable)
		}
		return reached{e.InvalidSession(e.now, p.Target, d)}, nil
	}),
	"remove_session":    reach(func(e *Engine, t Target) int { return e.RemoveSession(e.now, t) }),
	"forget":            reach(func(e *Engine, t Target) int { return e.Forget(e.now, t) }),
	"request_heartbeat": reach(func(e *Engine, t Target) int { return e.RequestHeartbeat(e.now, t) }),
	"interval": action(func(e *Engine, p rateAction) (any, error) {
		return done{}, e.SetInterval(time.Duration(p.Interval))
	}),
	"resume_url": action(func(e *Engine, p urlAction) (any, error) {
		e.SetResumeURL(p.URL)
		return done{}, nil
	}),
	"play": action(func(e *Engine, p playAction) (any, error) {
		c, err := ParseCapture(strings.NewReader(p.Capture), nil)
		if err != nil {
			return nil, err
		}
		return done{}, e.Play(e.now, c, p.RealTime)
	}),
}
