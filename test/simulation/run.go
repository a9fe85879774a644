package simulation

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

// Report is what a run has lived through.
type Report struct {
	Seed    uint64
	Elapsed time.Duration // of virtual time
	Faults  map[string]int
	Events  int // delivered
	Dials   int
	Resumes int
	Gaps    int
	Fatal   bool // the run ended with a fatal close code
	// Violations of what must hold, in the order in which they were noticed.
	Violations []string
	Trace      string
}

// chaos is one run.
type chaos struct {
	*World
	o      Options
	r      *rand.Rand
	report *Report
	check  *checker

	n        int              // events dispatched
	sent     map[string][]int // numbers, by the session or connection they were dispatched to
	spacebar bool
	sleeping bool
	healing  bool
}

// Run lives through one seed.
func Run(seed uint64, trace bool) *Report {
	r := rand.New(rand.NewPCG(seed, 0xc4a05))
	c := &chaos{r: r, report: &Report{Seed: seed, Faults: map[string]int{}}, sent: map[string][]int{}}
	c.o = c.options(seed, trace)
	w, err := New(c.o)
	if err != nil {
		panic(err)
	}
	c.World = w
	c.check = newChecker(c)
	c.Client.Kinds.Observe("*")
	c.live()
	c.report.Elapsed = c.Now() - start
	c.report.Events = c.check.delivered
	c.report.Dials = len(c.Client.Dials)
	for _, m := range c.Client.Writes {
		if m.Op == 6 {
			c.report.Resumes++
		}
	}
	c.report.Gaps = len(c.Client.Gaps)
	c.report.Fatal = c.Client.Fatal
	c.report.Violations = c.check.violations
	c.report.Trace = c.Trace()
	return c.report
}

func (c *chaos) options(seed uint64, trace bool) Options {
	o := Options{Seed: seed, Trace: trace}
	o.Server = fakegateway.Options{
		Profile: fakegateway.Documented, Guilds: 1, Channels: 2, Members: 2,
		Interval: time.Duration(c.between(3, 45)) * time.Second,
	}
	if c.r.IntN(3) == 0 {
		c.spacebar = true
		o.Server.Profile = fakegateway.Spacebar
		o.Config.MaxMessage = session.SpacebarMaxMessage
	}
	o.Config.Attempts = -1
	o.Config.Queue = 20
	all := []wire.Transport{{}, {Compression: wire.Zlib}, {Compression: wire.Zstd}, {Encoding: wire.ETF}, {Encoding: wire.ETF, Compression: wire.Zlib}, {Encoding: wire.ETF, Compression: wire.Zstd}}
	o.Config.Transports = []wire.Transport{all[c.r.IntN(len(all))]}
	if c.r.IntN(4) == 0 {
		o.Config.Transports = []wire.Transport{all[2], all[1], all[0]}
	}
	return o
}

func (c *chaos) between(a, b float64) float64 { return a + c.r.Float64()*(b-a) }

// soon is a random time with this mean.
func (c *chaos) soon(mean time.Duration) time.Duration {
	return time.Duration(c.r.ExpFloat64() * float64(mean))
}

// live is the whole life: trouble for a while, then peace, then the end.
func (c *chaos) live() {
	trouble := time.Duration(c.between(5, 40)) * time.Minute
	c.Client.Start()
	c.repeat(3*time.Second, c.dispatch)
	c.repeat(time.Duration(c.between(4, 40))*time.Second, c.fault)
	c.repeat(20*time.Second, c.user)
	c.run(trouble)

	// Peace: whatever has happened, the client must be ready soon, and then miss
	// nothing.
	c.healing = true
	c.heal()
	c.logf("world     is at peace")
	if !c.Client.Fatal {
		// What has gone wrong before may have to be found out first.
		c.run(2 * time.Minute)
		if !c.until(peaceLimit, func() bool { return c.Client.State() == session.StateReady }) {
			c.check.violated("not ready %v after the world was healthy, but %v", peaceLimit, c.Client.State())
		}
		for range 5 {
			c.dispatch()
		}
		c.run(30 * time.Second)
		c.check.complete()
	} else {
		c.check.fatalCode()
	}

	// The end.
	c.Client.Close(c.r.IntN(2) == 0)
	c.check.closed = true
	c.dispatch()
	c.run(5 * time.Minute)
	c.check.end()
}

const peaceLimit = 4 * time.Minute

// run lets time pass, checking at every step.
func (c *chaos) run(d time.Duration) {
	end := c.Now() + d
	for c.Step(end) {
		c.check.step()
	}
	c.check.step()
}

func (c *chaos) until(limit time.Duration, cond func() bool) bool {
	end := c.Now() + limit
	for !cond() {
		if !c.Step(end) {
			return cond()
		}
		c.check.step()
	}
	return true
}

// repeat does something again and again until there is peace.
func (c *chaos) repeat(mean time.Duration, f func()) {
	c.After(c.soon(mean), func() {
		if !c.healing {
			f()
			c.repeat(mean, f)
		}
	})
}

// dispatch sends an event to every session, or, where sessions cannot be
// resumed, on every connection, each with a number of its own.
func (c *chaos) dispatch() {
	c.n++
	d := func(to string) json.RawMessage {
		c.sent[to] = append(c.sent[to], c.n)
		return fmt.Appendf(nil, `{"to":%q,"n":%d,"pad":%q}`, to, c.n, strings.Repeat("x", c.n%50))
	}
	if c.spacebar {
		for _, id := range c.Server.Identified() {
			c.Server.Dispatch(c.Now(), fakegateway.Target{Conn: id}, "N", d(fmt.Sprint("conn ", id)))
		}
		return
	}
	for _, id := range c.Server.SessionIDs() {
		c.Server.Dispatch(c.Now(), fakegateway.Target{Session: id}, "N", d(id))
	}
}

// heal ends everything that is wrong with the world.
func (c *chaos) heal() {
	c.Net.Offline, c.Net.Corrupt = false, false
	clear(c.Net.Unreachable)
	c.Net.MinDelay, c.Net.MaxDelay = 5*time.Millisecond, 60*time.Millisecond
	c.Client.Throttle, c.Client.late = 0, 0
	c.Client.Sleep(false)
	c.Client.Freeze(false)
	c.Server.SetFaults(c.Now(), fakegateway.Target{}, fakegateway.Faults{})
	c.Server.ClearPlan()
	c.Server.SetResumeURL(ResumeURL)
}

// for a while: begin now, end later.
func (c *chaos) spell(mean time.Duration, begin, end func()) {
	begin()
	c.After(c.soon(mean), func() {
		if !c.healing {
			end()
		}
	})
}

// fault is one thing that goes wrong.
func (c *chaos) fault() {
	all := fakegateway.Target{}
	now := c.Now()
	pick := func(list ...func()) { list[c.r.IntN(len(list))]() }
	name := ""
	set := func(n string) { name = n; c.logf("fault     %s", n) }
	plan := func(n string, f fakegateway.Faults) {
		set("next dial: " + n)
		for range 1 + c.r.IntN(4) {
			c.Server.Plan(f)
		}
	}
	faults := func(n string, f fakegateway.Faults) {
		set(n)
		c.spell(30*time.Second, func() { c.Server.SetFaults(now, all, f) }, func() { c.Server.SetFaults(c.Now(), all, fakegateway.Faults{}) })
	}
	network := func() {
		pick(
			func() { set("connection breaks"); c.Client.Break(true) },
			func() { set("connection goes half-open"); c.Client.Break(false) },
			func() {
				set("connection stalls")
				l := c.Client.line
				if l != nil {
					c.spell(20*time.Second, func() { l.Freeze(true) }, func() { l.Freeze(false) })
				}
			},
			func() {
				set("offline")
				c.spell(time.Minute, func() { c.Net.Offline = true; c.Client.Break(c.r.IntN(2) == 0) }, func() {
					c.Net.Offline = false
					if c.r.IntN(2) == 0 {
						c.check.wakes = append(c.check.wakes, c.Now())
						c.Client.Wake()
					}
				})
			},
			func() {
				set("slow network")
				c.spell(time.Minute, func() { c.Net.MaxDelay = time.Duration(c.between(0.2, 8) * float64(time.Second)) }, func() { c.Net.MaxDelay = 60 * time.Millisecond })
			},
			func() {
				set("resume host gone")
				c.spell(5*time.Minute, func() { c.Net.Unreachable["resume.test"] = true }, func() { delete(c.Net.Unreachable, "resume.test") })
			},
			func() { set("stream corrupted"); c.Net.Corrupt = true },
		)
	}
	server := func() {
		codes := []int{1000, 1001, 1006, 1011, 1012, 3000, 4000, 4001, 4002, 4003, 4005, 4006, 4007, 4008, 4009, 4321}
		pick(
			func() {
				code := codes[c.r.IntN(len(codes))]
				set(fmt.Sprint("close ", code))
				c.Server.Close(now, all, code, "\x1b[31mreason\n")
			},
			func() { set("drop"); c.Server.Drop(now, all) },
			func() { set("op 7"); c.Server.Reconnect(now, all, -1, c.r.IntN(2) == 0) },
			func() {
				set("op 7 with a delay")
				c.Server.Reconnect(now, all, time.Duration(c.between(0, 8)*float64(time.Second)), c.r.IntN(2) == 0)
			},
			func() {
				// A server that says so has ended the session.
				set("op 9 false")
				c.Server.InvalidSession(now, all, []string{"false", ""}[c.r.IntN(2)])
				c.Server.Forget(now, all)
			},
			func() { set("op 9 true"); c.Server.InvalidSession(now, all, "true") },
			func() { set("session removed"); c.Server.RemoveSession(now, all) },
			func() { set("restart"); c.Server.Forget(now, all); c.Server.Drop(now, all) },
			func() { set("shutdown"); c.Server.Shutdown(now) },
			func() { set("asks for heartbeats"); c.Server.RequestHeartbeat(now, all) },
			func() {
				set("garbage")
				for range 1 + c.r.IntN(3) {
					g := []string{`{bad`, `[]`, `null`, `{"op":77}`, `{"op":0}`, `{"op":11}`, `{"op":10,"d":{"heartbeat_interval":5000}}`, ``, `{"op":0,"t":"ODD","d":{"x":}}`}
					c.Server.Send(now, all, []byte(g[c.r.IntN(len(g))]))
				}
			},
			func() {
				set("flood")
				c.Server.Flood(now, all, 50, fakegateway.Event{Name: "FLOOD", Data: json.RawMessage(`{"x":1}`)})
			},
		)
	}
	faulty := func() {
		pick(
			func() { faults("no ACKs", fakegateway.Faults{NoACK: true}) },
			func() {
				faults("slow answers", fakegateway.Faults{AnswerDelay: time.Duration(c.between(1, 40)) * time.Second})
			},
			func() {
				faults("latency", fakegateway.Faults{Latency: time.Duration(c.between(100, 4000)) * time.Millisecond})
			},
			func() { faults("split frames", fakegateway.Faults{SplitFrames: 1 + c.r.IntN(30)}) },
			func() { faults("merged frames", fakegateway.Faults{MergeMessages: 2 + c.r.IntN(3)}) },
			func() { faults("empty frames", fakegateway.Faults{EmptyFrames: true}) },
			func() { faults("late suffix", fakegateway.Faults{Suffix: fakegateway.SuffixLate}) },
			func() { plan("503", fakegateway.Faults{RefuseStatus: 503}) },
			func() { plan("hangs", fakegateway.Faults{HangDial: true}) },
			func() {
				plan("closes at once", fakegateway.Faults{CloseOnConnect: []int{1000, 1006, 4000, 4008}[c.r.IntN(4)]})
			},
			func() { plan("no Hello", fakegateway.Faults{NoHello: true}) },
			func() {
				plan("late Hello", fakegateway.Faults{HelloDelay: time.Duration(c.between(1, 20)) * time.Second})
			},
			func() { plan("no READY", fakegateway.Faults{NoReady: true}) },
			func() {
				plan("closes on Identify", fakegateway.Faults{CloseOnIdentify: []int{1006, 4003, 4008, 1012}[c.r.IntN(4)]})
			},
			func() {
				plan("closes on Resume", fakegateway.Faults{CloseOnResume: []int{1006, 1000, 4009}[c.r.IntN(3)]})
			},
			func() { plan("Resume refused", fakegateway.Faults{Resume: fakegateway.ResumeRefuse}) },
			func() { plan("Resume postponed", fakegateway.Faults{Resume: fakegateway.ResumeRetry}) },
			func() { plan("Resume ignored", fakegateway.Faults{Resume: fakegateway.ResumeIgnore}) },
			func() { plan("no RESUMED", fakegateway.Faults{NoResumed: true}) },
			func() {
				plan("odd Hello", fakegateway.Faults{Hello: []string{`{"op":10,"d":{"heartbeat_interval":1}}`, `{"op":10,"d":{"heartbeat_interval":-5}}`, `{"op":10}`, `{"op":10,"d":{"heartbeat_interval":"x"}}`}[c.r.IntN(4)]})
			},
		)
	}
	machine := func() {
		pick(
			func() {
				set("sleep")
				mean := []time.Duration{10 * time.Second, 2 * time.Minute, 3 * time.Hour}[c.r.IntN(3)]
				c.spell(mean, func() { c.Client.Sleep(true) }, func() {
					c.Client.Sleep(false)
					if c.r.IntN(2) == 0 {
						c.check.wakes = append(c.check.wakes, c.Now())
						c.Client.Wake()
					}
				})
			},
			func() {
				set("timers throttled")
				c.spell(5*time.Minute, func() { c.Client.Throttle = time.Minute }, func() { c.Client.Throttle, c.Client.late = 0, 0 })
			},
			func() {
				set("woken")
				for range 1 + c.r.IntN(5) {
					c.check.wakes = append(c.check.wakes, c.Now())
					c.Client.Wake()
				}
			},
		)
	}
	switch {
	case c.r.IntN(400) == 0:
		code := []int{4004, 4010, 4011, 4012, 4013, 4014}[c.r.IntN(6)]
		if len(c.Server.Identified()) > 0 && c.Client.State() == session.StateReady && !c.Client.Asleep() {
			set("fatal close")
			c.Server.Close(now, all, code, "")
		}
	default:
		pick(network, network, server, server, faulty, faulty, machine)
	}
	if name != "" {
		c.report.Faults[name]++
	}
}

// user is something that the user does.
func (c *chaos) user() {
	if c.Client.Asleep() {
		return
	}
	presence := `{"status":"dnd","since":null,"activities":[],"afk":false}`
	switch c.r.IntN(6) {
	case 0:
		c.send(3, presence)
	case 1:
		for range 1 + c.r.IntN(150) {
			c.send([]int{3, 8}[c.r.IntN(2)], `{"guild_id":"`+c.Server.World().Guilds[0].ID+`","query":"","limit":0}`)
		}
	case 2:
		if id, err := c.send(3, presence); err == nil && c.r.IntN(2) == 0 {
			c.Client.with(func() { c.Client.S.Cancel(id, &session.Error{Code: session.ErrTimeout}) })
		}
	case 3:
		c.send(2, `{"token":"x"}`) // never allowed here
	case 4:
		c.send(8, `"`+strings.Repeat("x", 20000)+`"`) // too large
	case 5:
		c.Client.Kinds.Observe("TYPING_START")
		c.Client.Kinds.Unobserve("TYPING_START")
	}
}

func (c *chaos) send(op int, d string) (session.SendID, error) {
	if op == 3 && !strings.Contains(d, "status") {
		d = `{"status":"idle","since":null,"activities":[],"afk":false}`
	}
	id, err := c.Client.Send(op, d)
	c.check.sending(id, err)
	return id, err
}

// Format shows a report that failed.
func (r *Report) Format() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d violations\n", r.Seed, len(r.Violations))
	for _, v := range r.Violations {
		fmt.Fprintf(&b, "  %s\n", v)
	}
	faults := slices.Sorted(maps.Keys(r.Faults))
	for _, f := range faults {
		fmt.Fprintf(&b, "  %3d %s\n", r.Faults[f], f)
	}
	return b.String()
}
