package simulation

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
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
	Sends   int // accepted
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

	n            int              // events dispatched
	sent         map[string][]int // numbers, by the session or connection they were dispatched to
	spoiled      map[int]bool     // numbers that the network has lost, and a resume may bring
	spacebar     bool
	habit        fakegateway.Faults // what is wrong with this server, also in peace
	noResumeHost bool               // the host that READY names is never there
	plans        []bool             // whether the dials that are planned get an odd Hello
	trouble      time.Duration      // when it ends
	slept        bool               // for hours
	healing      bool               // nothing goes wrong any more
	quiet        bool               // nothing is dispatched any more
}

// Run lives through one seed.
func Run(seed uint64, trace bool) *Report {
	r := rand.New(rand.NewPCG(seed, 0xc4a05))
	c := &chaos{r: r, report: &Report{Seed: seed, Faults: map[string]int{}}, sent: map[string][]int{}, spoiled: map[int]bool{}}
	c.o = c.options(seed, trace)
	w, err := New(c.o)
	if err != nil {
		panic(err)
	}
	c.World = w
	w.forgetful = true
	w.spoiled = c.noteSpoiled
	w.dialed = func(l *line) {
		if len(c.plans) > 0 {
			l.odd, c.plans = c.plans[0], c.plans[1:]
		}
	}
	c.check = newChecker(c)
	c.check.watch()
	func() {
		defer func() {
			if p := recover(); p != nil && p != errSpins {
				panic(p)
			}
		}()
		c.live()
	}()
	c.report.Elapsed = c.Now() - start
	c.report.Events = c.check.delivered
	c.report.Gaps = c.check.gaps
	c.report.Fatal = c.check.fatal
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
	// Compression costs most of the time, and the seeds are many.
	o.Config.Transports = make([]wire.Transport, 1)
	if c.r.IntN(3) == 0 {
		o.Config.Transports[0].Encoding = wire.ETF
	}
	switch c.r.IntN(16) {
	case 0:
		o.Config.Transports[0].Compression = wire.Zlib
	case 1:
		o.Config.Transports[0].Compression = wire.Zstd
	case 2:
		o.Config.Transports = []wire.Transport{{Compression: wire.Zstd}, {Compression: wire.Zlib}, {}}
	}
	// Some servers never resume as they should.
	if !c.spacebar && c.r.IntN(6) == 0 {
		c.habit = []fakegateway.Faults{{Resume: fakegateway.ResumeIgnore}, {Resume: fakegateway.ResumeRetry}, {Resume: fakegateway.ResumeRefuse}, {NoResumed: true}}[c.r.IntN(4)]
	}
	return o
}

// faults are those of a server with its habit.
func (c *chaos) faults(f fakegateway.Faults) fakegateway.Faults {
	if f.Resume == "" {
		f.Resume = c.habit.Resume
	}
	f.NoResumed = f.NoResumed || c.habit.NoResumed
	return f
}

// noteSpoiled notes which event the network has lost.
func (c *chaos) noteSpoiled(data []byte, binary bool) {
	c.check.missed++
	var m wire.Message
	scan := wire.Scan
	if binary {
		scan = wire.ScanETF
	}
	if scan(data, &m) == nil && string(m.Type) == "N" {
		if binary {
			m.Data, _ = wire.AppendJSON(nil, m.Data)
		}
		_, n := numbered(m.Data)
		c.spoiled[n] = true
	}
}

func (c *chaos) between(a, b float64) float64 { return a + c.r.Float64()*(b-a) }

// soon is a random time with this mean.
func (c *chaos) soon(mean time.Duration) time.Duration {
	return time.Duration(c.r.ExpFloat64() * float64(mean))
}

// live is the whole life: trouble for a while, then peace, then the end. Some
// close in the midst of the trouble.
func (c *chaos) live() {
	c.trouble = c.Now() + time.Duration(c.between(5, 40))*time.Minute
	c.Client.Glances, c.Client.Late = c.r.IntN(2) == 0, c.r.IntN(4) == 0
	c.Server.SetFaults(c.Now(), fakegateway.Target{}, c.habit)
	c.noResumeHost = c.r.IntN(8) == 0
	c.Net.Unreachable["resume.test"] = c.noResumeHost
	c.Client.Start()
	c.repeat(&c.quiet, 3*time.Second, c.dispatch)
	c.repeat(&c.healing, time.Duration(c.between(4, 40))*time.Second, c.fault)
	c.repeat(&c.healing, 20*time.Second, c.user)
	early := c.r.IntN(6) == 0
	for c.Now() < c.trouble && !(early && c.Now() > c.trouble-4*time.Minute) {
		c.run(min(time.Minute, c.trouble-c.Now()))
	}
	if early {
		c.Client.Sleep(false)
	} else {
		c.peace()
	}

	// The end.
	c.logf("user      closes")
	c.Client.Close(c.r.IntN(2) == 0)
	c.check.closed = true
	c.run(5 * time.Minute)
	c.healing, c.quiet = true, true
	c.check.end()
}

// peace holds that, whatever has happened, the client is ready soon, and then
// misses nothing.
func (c *chaos) peace() {
	c.healing = true
	c.heal()
	c.logf("world     is at peace")
	if c.check.fatal {
		c.check.fatalCode()
		return
	}
	limit := 6 * time.Minute // RESUMED may have been lost, and the replay seem to go on
	switch {
	case c.habit.NoResumed:
		limit = 18 * time.Minute // three times
	case c.habit.Resume != "":
		limit = 10 * time.Minute // once, and two that are not answered at all
	}
	// What has gone wrong before may have to be found out first.
	c.run(2 * time.Minute)
	if c.check.fatal {
		c.check.fatalCode() // it was on its way
		return
	}
	// Spacebar servers close for what a session is told, and have no other answer: it
	// takes some sessions to find that out.
	stood := time.Duration(0)
	if c.spacebar {
		limit, stood = 15*time.Minute, 2*time.Minute
	}
	if !c.until(limit, func() bool {
		return c.Client.State() == session.StateReady && c.Now()-c.check.readySince >= stood
	}) {
		c.check.violated("not ready %v after the world was healthy, but %v", limit, c.Client.State())
	}
	c.run(5 * time.Second)
	c.quiet = true
	for range 5 {
		c.dispatch()
	}
	c.run(30 * time.Second)
	c.check.complete()
}

// run lets time pass, checking at every step.
func (c *chaos) run(d time.Duration) {
	end := c.Now() + d
	for c.Step(end) {
		c.check.step()
		c.check.spins()
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

// repeat does something again and again until stop is true.
func (c *chaos) repeat(stop *bool, mean time.Duration, f func()) {
	wait := c.soon(mean)
	if c.Client.Asleep() {
		wait *= 10 // nobody sees it
	}
	c.After(wait, func() {
		if !*stop {
			f()
			c.repeat(stop, mean, f)
		}
	})
}

// dispatch sends an event to every session, or, where sessions cannot be
// resumed, on every connection, each with a number of its own.
func (c *chaos) dispatch() {
	c.n++
	d := func(to string) json.RawMessage {
		c.sent[to] = append(c.sent[to], c.n)
		return fmt.Appendf(nil, `{"to":%q,"n":%d,"pad":%q}`, to, c.n, padding[:c.n%len(padding)])
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

// padding makes events of any size, some too short to be glanced at.
const padding = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"

// numbered reads what dispatch has written.
func numbered(d []byte) (to string, n int) {
	_, rest, _ := strings.Cut(string(d), `"to":"`)
	to, rest, _ = strings.Cut(rest, `","n":`)
	digits, _, _ := strings.Cut(rest, ",")
	n, err := strconv.Atoi(digits)
	if err != nil {
		return "", -1
	}
	return to, n
}

// heal ends everything that is wrong with the world.
func (c *chaos) heal() {
	c.Net.Offline, c.Net.Corrupt, c.Net.LoseDown, c.Net.LoseUp = false, false, 0, 0
	c.Net.Unreachable["resume.test"] = c.noResumeHost
	c.Net.Generous, c.Net.Overlap = 0, false
	c.Net.MinDelay, c.Net.MaxDelay = 5*time.Millisecond, 60*time.Millisecond
	c.Client.Throttle, c.Client.late = 0, 0
	c.Client.Sleep(false)
	c.Client.Freeze(false)
	c.Server.SetFaults(c.Now(), fakegateway.Target{}, c.habit)
	c.Server.ClearPlan()
	c.plans = nil
	c.Server.SetResumeURL(ResumeURL)
}

// for a while: begin now, end later.
func (c *chaos) spell(mean time.Duration, begin, end func()) {
	begin()
	wait := mean
	if mean < time.Hour {
		wait = c.soon(mean)
	}
	c.After(wait, func() {
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
			c.Server.Plan(c.faults(f))
			c.plans = append(c.plans, f.Hello != "")
		}
	}
	faults := func(n string, f fakegateway.Faults) {
		set(n)
		c.spell(30*time.Second, func() { c.Server.SetFaults(now, all, c.faults(f)) }, func() { c.Server.SetFaults(c.Now(), all, c.habit) })
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
				c.spell(5*time.Minute, func() { c.Net.Unreachable["resume.test"] = true }, func() { c.Net.Unreachable["resume.test"] = c.noResumeHost })
			},
			func() { set("message corrupted"); c.Net.Corrupt = true },
			func() { set("messages to the client lost"); c.Net.LoseDown = 1 + c.r.IntN(2) },
			func() { set("messages of the client lost"); c.Net.LoseUp = 1 + c.r.IntN(2) },
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
			func() {
				set("replays more than it has to")
				c.spell(5*time.Minute, func() { c.Net.Generous = 1 + c.r.Int64N(9) }, func() { c.Net.Generous = 0 })
				c.Server.Drop(now, all)
			},
			func() {
				set("replays overlap")
				c.spell(5*time.Minute, func() { c.Net.Overlap = true }, func() { c.Net.Overlap = false })
				c.Server.Drop(now, all)
			},
			func() { set("op 9 true"); c.Server.InvalidSession(now, all, "true") },
			func() { set("session removed"); c.Server.RemoveSession(now, all) },
			func() { set("restart"); c.Server.Forget(now, all); c.Server.Drop(now, all) },
			func() { set("shutdown"); c.Server.Shutdown(now) },
			func() { set("asks for a heartbeat"); c.Server.RequestHeartbeat(now, all) },
			func() {
				set("asks for heartbeats, many")
				for range 1 + c.r.IntN(300) {
					c.Server.RequestHeartbeat(now, all)
				}
			},
			func() {
				set("flaps")
				flap := false
				c.spell(2*time.Minute, func() {}, func() { flap = true })
				code := codes[c.r.IntN(len(codes))]
				c.repeat(&flap, 2*time.Second, func() {
					if !c.healing {
						c.Server.Close(c.Now(), all, code, "")
					}
				})
			},
			func() {
				set("ACKs that nobody asked for")
				for range 1 + c.r.IntN(3) {
					c.After(c.soon(5*time.Second), func() { c.Server.Send(c.Now(), all, []byte(`{"op":11}`)) })
				}
			},
			func() {
				set("garbage")
				if l := c.Client.line; l != nil {
					l.odd = true // where Hello has not come, this may be one
					if l.compressed {
						// Where it ended in a frame with others, nobody could tell.
						c.Server.SetFaults(now, all, c.habit)
					}
				}
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
			func() { plan("READY without fields", fakegateway.Faults{Ready: `{"v":9}`}) },
			func() {
				plan("closes on Identify", fakegateway.Faults{CloseOnIdentify: []int{1006, 4000, 4002, 4003, 4008, 1012}[c.r.IntN(6)]})
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
				if c.Client.Asleep() {
					return
				}
				set("sleep")
				mean := []time.Duration{10 * time.Second, 10 * time.Second, 2 * time.Minute, 2 * time.Minute, 3 * time.Hour}[c.r.IntN(5)]
				if mean >= time.Hour && c.slept {
					mean = time.Minute
				}
				if mean >= time.Hour {
					c.slept = true
					set("sleep for hours")
					mean = time.Hour + c.soon(mean)
					c.trouble += mean // that there is trouble yet when it wakes
				}
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
			func() { set("another process goes on"); c.moveOn() },
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

// moveOn closes the client and lets another one, in another process, take the
// session up.
func (c *chaos) moveOn() {
	if c.Client.Asleep() || c.Client.State() == session.StateClosed {
		return
	}
	old := c.Client
	old.Close(true)
	c.check.end()
	cfg := c.o.Config
	snap, ok := old.S().Snapshot()
	if ok {
		cfg.Restore = &snap
	}
	if lost, ok := old.S().Lost(); ok {
		cfg.Lost = &lost
	}
	next, err := newClient(c.World, cfg)
	if err != nil {
		c.check.violated("cannot go on from %+v: %v", snap, err)
		return
	}
	next.Glances, next.Late, next.Throttle = old.Glances, old.Late, old.Throttle
	c.Client = next
	c.check.handedOver(ok)
	next.Start()
}

// user is something that the user does.
func (c *chaos) user() {
	if c.Client.Asleep() {
		return
	}
	presence := `{"status":"dnd","since":null,"activities":[],"afk":false}`
	switch c.r.IntN(7) {
	case 0:
		c.send(3, presence)
	case 1:
		for range 1 + c.r.IntN(150) {
			c.send([]int{3, 8}[c.r.IntN(2)], `{"guild_id":"`+c.Server.World().Guilds[0].ID+`","query":"nobody","limit":1}`)
		}
	case 2:
		if id, err := c.send(3, presence); err == nil && c.r.IntN(2) == 0 {
			c.Client.with(func() { c.Client.S().Cancel(id, &session.Error{Code: session.ErrTimeout}) })
		}
	case 3:
		c.send(2, `{"token":"x"}`) // never allowed here
	case 4:
		c.send(8, `"`+strings.Repeat("x", 20000)+`"`) // too large
	case 5:
		c.check.watch()
	case 6:
		id, err := c.stand()
		if err == nil && c.r.IntN(3) == 0 {
			c.Client.with(func() { c.Client.S().Cancel(id, &session.Error{Code: session.ErrTimeout}) })
		}
	}
}

// stand sends what a new session will be told again, if the server does not refuse
// it: a Spacebar server closes on what it cannot read, or what the user cannot see.
func (c *chaos) stand() (session.SendID, error) {
	guild := c.Server.World().Guilds[0]
	id, channel := guild.ID, guild.Channels[0].ID
	if c.r.IntN(4) == 0 {
		id, channel = "9", "9"
	}
	switch c.r.IntN(4) {
	case 0:
		return c.send(3, `{"status":"online","since":null,"activities":[],"afk":false,"unknown":1}`)
	case 1:
		return c.check.join(id, channel)
	case 2:
		return c.send(14, `{"guild_id":"`+id+`","typing":true}`)
	}
	var all []string
	for range 1 + c.r.IntN(120) {
		all = append(all, fmt.Sprintf(`"%d":{"typing":true,"threads":true,"activities":true}`, 1e18+c.r.IntN(8)))
	}
	return c.send(37, `{"subscriptions":{`+strings.Join(all, ",")+`}}`)
}

func (c *chaos) send(op int, d string) (session.SendID, error) {
	if op == 3 && !strings.Contains(d, "status") {
		d = `{"status":"idle","since":null,"activities":[],"afk":false}`
	}
	id, err := c.Client.Send(op, d)
	c.check.sending(id, err)
	if err == nil {
		c.report.Sends++
	}
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
