// Command mutants shows that the simulation finds bugs: it puts them into the
// session, one at a time, and lives through seeds until one fails.
//
//	./build.sh mutants
//	./build.sh mutants -only jitter
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// mutant is a bug: in a file of the session, old becomes new.
type mutant struct{ what, file, old, new string }

var mutants = []mutant{
	{"the flag of a missing ACK outlives its connection", "connection.go", "s.beatAt, s.heard = never, false\n\ts.reconnectIn", "s.reconnectIn"},
	{"resumes are not capped", "connection.go", "return s.resumes < maxResumes", "return true"},
	{"the back-off has no jitter and no growth", "connection.go", "delay := s.between(0, min(backoffCap, backoffBase<<min(s.attempts, 10)))", "delay := time.Duration(0)"},
	{"the back-off has no jitter", "connection.go", "delay := s.between(0, min(backoffCap, backoffBase<<min(s.attempts, 10)))", "delay := min(backoffCap, backoffBase<<min(s.attempts, 10))"},
	{"the back-off does not grow", "connection.go", "backoffBase<<min(s.attempts, 10)", "backoffBase"},
	{"the first heartbeat has no jitter", "connection.go", "s.set(timerBeat, now+s.between(0, s.interval))", "s.set(timerBeat, now+s.interval)"},
	{"the back-off starts over as soon as the session is ready", "connection.go", "if now-s.readyAt >= stableAfter {", "if true {"},
	{"the sequence is off by one", "connection.go", "strconv.AppendInt(d, max(s.snap.Seq, 0), 10)", "strconv.AppendInt(d, max(s.snap.Seq-1, 0), 10)"},
	{"the sequence is one too many", "connection.go", "strconv.AppendInt(d, max(s.snap.Seq, 0), 10)", "strconv.AppendInt(d, s.snap.Seq+1, 10)"},
	{"a heartbeat tells the number of a session that is gone", "connection.go", "s.snap.Seq = -1 // what", "_ = 0 // what"},
	{"the sequence is not advanced by glances", "glance.go", "\ts.snap.Seq = max(s.snap.Seq, seq)\n", ""},
	{"the sequence is not advanced by events", "receive.go", "\t\ts.snap.Seq = max(s.snap.Seq, m.Seq)\n\t}\n\tif !s.kinds.wants", "\t}\n\tif !s.kinds.wants"},
	{"events that a replay brings twice are delivered twice", "receive.go", "return // it had arrived before", "_ = 0"},
	{"replayed events are delivered again", "receive.go", "if m.Seq >= 0 && m.Seq <= s.resumed {", "if false {"},
	{"events of an old connection are not ignored", "session.go", "return s.open && conn == s.conn", "return s.open"},
	{"a half-open connection is never noticed", "connection.go", "if s.beatAt != never && !s.heard && now-s.beatAt >= s.interval {", "if false {"},
	{"only an ACK counts as life", "session.go", "s.heard, s.untold = true, now == Untold", "s.untold = now == Untold"},
	{"heartbeats stop after a resume", "receive.go", "s.set(timerIdentify, never)\n\ts.emit(Output{Kind: OutputState, State: StateReady", "s.set(timerIdentify, never)\n\tif resumed {\n\t\ts.set(timerBeat, never)\n\t}\n\ts.emit(Output{Kind: OutputState, State: StateReady"},
	{"a failed resume host is tried for ever", "connection.go", "s.badHost = s.badHost || s.onResumeHost", "_ = 0"},
	{"a session that READY gave no id is lost without a gap", "connection.go", "if !s.begun {", "if !s.live {"},
	{"no gap is reported", "receive.go", "s.emit(Output{Kind: OutputGap, Gap: gap})", "_ = gap"},
	{"a gap is reported again with the next session", "receive.go", "\t\ts.lost = nil\n", ""},
	{"the gap of a session that is gone ends with its process", "session.go", "s.lost = &gap", "_ = gap"},
	{"a session without an id ends with its process, without a gap", "session.go", "case s.begun && !s.live:", "case false:"},
	{"the queue is not settled when the connection goes", "connection.go", "s.open, s.dec = false, nil\n\ts.settle(err)", "s.open, s.dec = false, nil"},
	{"heartbeats out of turn are not limited", "limiter.go", "return l.n < l.extraLimit()", "return true"},
	{"the user's sends may use up the window", "limiter.go", "userLimit() int  { return RateLimit - l.beats - 2 }", "userLimit() int  { return RateLimit }"},
	{"regular heartbeats are taken from the user's share", "connection.go", "s.emitWrite(msg)\n\ts.beatAt", "s.write(now, msg)\n\ts.beatAt"},
	{"the rate limit is not looked at", "limiter.go", "return l.n < l.userLimit()", "return true"},
	{"op 9 is ignored", "receive.go", "s.invalidSession(now, string(d) == \"true\")", "_ = 0"},
	{"op 9 keeps the session", "receive.go", "s.loseSession(cause)\n\ts.report(ErrInvalidSession", "s.report(ErrInvalidSession"},
	{"op 9 is answered at once", "receive.go", "wait := s.between(time.Second, 5*time.Second)", "wait := time.Duration(0)"},
	{"op 7 is ignored", "receive.go", "s.reconnect(now, d)\n", "_ = 0\n"},
	{"the delay of op 7 is not kept", "connection.go", "delay = max(delay, s.reconnectAt-now)", "_ = 0"},
	{"a wait to identify again is not cut off by the end of the connection", "connection.go", "s.settle(err)\n\ts.stopTimers()", "s.settle(err)"},
	{"a resume that is not answered is waited for", "connection.go", "err.Message = \"the server did not answer Resume with events or RESUMED within \" + identifyTimeout.String()", "s.set(timerState, now+identifyTimeout)\n\t\treturn"},
	{"RESUMED is waited for as long as events come", "receive.go", "min(s.time()+identifyTimeout, s.resumeBy)", "s.time()+identifyTimeout"},
	{"no Hello is waited for", "session.go", "s.set(timerState, now+helloTimeout)", "s.set(timerState, never+0*helloTimeout)"},
	{"a dial that hangs is waited for", "connection.go", "s.set(timerState, now+dialTimeout)", "_ = dialTimeout"},
	{"the session is thrown away with every connection", "connection.go", "if !keep || !s.live {\n\t\ts.loseSession(cause)", "{\n\t\ts.loseSession(cause)"},
	{"a session that is gone is kept", "closecode.go", `{CloseSessionInvalid, "session no longer valid", false, false,`, `{CloseSessionInvalid, "session no longer valid", false, true,`},
	{"4008 is taken for fatal", "closecode.go", `{CloseRateLimited, "rate limited", false, true,`, `{CloseRateLimited, "rate limited", true, true,`},
	{"4004 is retried", "closecode.go", `{CloseAuthFailed, "authentication failed", true, false,`, `{CloseAuthFailed, "authentication failed", false, false,`},
	{"wake-ups dial at once, always", "session.go", "max(now, s.dialedAt+wakeInterval, s.reconnectAt)", "now"},
	{"an Identify that has worked is doubted", "connection.go", "most = maxRevoked", "_ = 0"},
	{"what the server refuses is told to every session again", "standing.go", "s.careful = len(s.standing.list) > 0", "s.careful = false"},
	{"a send that has failed stands", "session.go", "p.d = append([]byte(nil), d...)", "p.d = append([]byte(nil), d...)\n\t\t\ts.standing.note(op, p.d, told{})"},
	{"a part of a send settles it", "session.go", "if !p.more {", "if true {"},
	{"the socket is left open at the end", "connection.go", "if s.open {\n\t\ts.emit(Output{Kind: OutputClose", "if false {\n\t\ts.emit(Output{Kind: OutputClose"},
	{"a timer runs on after the end", "connection.go", "s.stopTimers()\n}\n\n// lose", "}\n\n// lose"},
}

var failedSeed = regexp.MustCompile(`seed (\d+): \d+ violations\n\s+(.*)`)

func main() {
	seeds := flag.Int("seeds", 2000, "seeds to live through with each bug")
	parallel := flag.Int("parallel", max(1, runtime.NumCPU()), "how many bugs to try at a time")
	only := flag.String("only", "", "try only the bugs whose description holds this")
	flag.Parse()
	chosen := slices.DeleteFunc(slices.Clone(mutants), func(m mutant) bool { return !strings.Contains(m.what, *only) })
	for _, m := range chosen {
		if _, err := m.apply(); err != nil {
			fmt.Fprintf(os.Stderr, "mutants: %s: %v\n", m.what, err)
			os.Exit(1)
		}
	}
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		slots  = make(chan struct{}, *parallel)
		missed int
		broken bool
	)
	for _, m := range chosen {
		slots <- struct{}{}
		wg.Go(func() {
			found, err := try(m, *seeds)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				broken = true
				fmt.Fprintf(os.Stderr, "mutants: %s: %v\n", m.what, err)
			case found == "":
				missed++
				fmt.Printf("MISSED  %s\n", m.what)
			default:
				fmt.Printf("caught  %s\n        %s\n", m.what, found)
			}
			<-slots
		})
	}
	wg.Wait()
	fmt.Printf("%d passed, %d failed\n", len(chosen)-missed, missed)
	if missed > 0 || broken {
		os.Exit(1)
	}
}

// path of the file of the session.
func (m mutant) path() string { return filepath.Join("gateway", "session", m.file) }

// apply returns the file with the bug in it.
func (m mutant) apply() (string, error) {
	text, err := os.ReadFile(m.path())
	if err != nil {
		return "", err
	}
	if strings.Count(string(text), m.old) != 1 {
		return "", fmt.Errorf("%s does not hold %q once: has it changed?", m.file, m.old)
	}
	return strings.Replace(string(text), m.old, m.new, 1), nil
}

// limit of the time that a bug may take: it may make the client run for ever.
const limit = 5 * time.Minute

// try lives through seeds with a bug, and returns how it was noticed.
func try(m mutant, seeds int) (found string, err error) {
	text, err := m.apply()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	path, err := filepath.Abs(m.path())
	if err != nil {
		return "", err
	}
	changed, overlay, binary := filepath.Join(dir, m.file), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "test")
	if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
		return "", err
	}
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		return "", err
	}
	build := exec.Command("go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", binary, "./test/simulation")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%v\n%s", err, out)
	}
	run := exec.Command(binary, "-test.run", "^TestSeeds$", "-test.timeout", limit.String(), "-test.cpu", "1", "-seeds", fmt.Sprint(seeds), "-first-failure")
	out, err := run.CombinedOutput()
	switch text := string(out); {
	case err == nil:
		return "", nil
	case failedSeed.MatchString(text):
		s := failedSeed.FindStringSubmatch(text)
		return fmt.Sprintf("seed %s, %s", s[1], s[2]), nil
	case strings.Contains(text, "nothing was tried"):
		return "all seeds together: it hardly resumes, or does anything else", nil
	case strings.Contains(text, "panic: test timed out"):
		return "it never ends", nil
	case strings.Contains(text, "panic:"):
		return "it panics", nil
	default:
		return "", fmt.Errorf("%v\n%s", err, text)
	}
}
