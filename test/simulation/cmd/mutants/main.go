// Command mutants shows that the simulation finds bugs: it puts them into the
// session, one at a time, and lives through seeds until one fails.
//
//	./build.sh mutants
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// mutant is a bug: in a file of the session, old becomes new.
type mutant struct{ what, file, old, new string }

var mutants = []mutant{
	{"the flag of a missing ACK outlives its connection", "connection.go", "s.beatAt, s.heard = never, false\n\ts.reconnectIn", "s.reconnectIn"},
	{"resumes are not capped", "connection.go", "return s.resumes < maxResumes", "return true"},
	{"the back-off has no jitter and no growth", "connection.go", "delay := s.between(0, min(backoffCap, backoffBase<<min(s.attempts, 10)))", "delay := time.Duration(0)"},
	{"the back-off starts over as soon as the session is ready", "connection.go", "if now-s.readyAt >= stableAfter {", "if true {"},
	{"the sequence is off by one", "connection.go", "strconv.AppendInt(d, max(s.snap.Seq, 0), 10)", "strconv.AppendInt(d, max(s.snap.Seq-1, 0), 10)"},
	{"the sequence is not advanced by events", "receive.go", "\t\ts.snap.Seq = max(s.snap.Seq, m.Seq)\n\t}\n\tif !s.kinds.wants", "\t}\n\tif !s.kinds.wants"},
	{"replayed events are delivered again", "receive.go", "return // it had arrived before", "_ = 0"},
	{"events of an old connection are not ignored", "session.go", "return s.open && conn == s.conn", "return s.open"},
	{"a half-open connection is never noticed", "connection.go", "if s.beatAt != never && !s.heard && now-s.beatAt >= s.interval {", "if false {"},
	{"only an ACK counts as life", "session.go", "s.heardAt, s.heard = now, true", "s.heardAt = now"},
	{"heartbeats stop after a resume", "receive.go", "s.set(timerIdentify, never)\n\ts.emit(Output{Kind: OutputState, State: StateReady", "s.set(timerIdentify, never)\n\tif resumed {\n\t\ts.set(timerBeat, never)\n\t}\n\ts.emit(Output{Kind: OutputState, State: StateReady"},
	{"a failed resume host is tried for ever", "connection.go", "s.badHost = s.badHost || s.onResumeHost", "_ = 0"},
	{"no gap is reported", "receive.go", "s.emit(Output{Kind: OutputGap, Gap: gap})", "_ = gap"},
	{"a gap is reported for every loss on the way", "connection.go", "if s.lost == nil {\n\t\ts.lost =", "{\n\t\ts.lost ="},
	{"the queue is not settled when the connection goes", "connection.go", "s.open, s.dec = false, nil\n\ts.settle(err)", "s.open, s.dec = false, nil"},
	{"heartbeats out of turn are not limited", "limiter.go", "return l.n < l.extraLimit()", "return true"},
	{"the user's sends may use up the window", "limiter.go", "func (l *limiter) userLimit() int  { return max(1, RateLimit-l.beats-2) }", "func (l *limiter) userLimit() int  { return RateLimit }"},
	{"the rate limit is not looked at", "limiter.go", "return l.n < l.userLimit()", "return true"},
	{"op 9 is ignored", "receive.go", "s.invalidSession(now, string(d) == \"true\")", "_ = 0"},
	{"op 9 keeps the session", "receive.go", "s.loseSession(cause)\n\ts.report(ErrInvalidSession", "s.report(ErrInvalidSession"},
	{"op 7 is ignored", "receive.go", "s.reconnect(now, d)\n", "_ = 0\n"},
	{"a wait to identify again is not cut off by the end of the connection", "connection.go", "s.settle(err)\n\ts.stopTimers()", "s.settle(err)"},
	{"a resume that is not answered is waited for", "connection.go", "err.Message = \"the server did not answer Resume with events or RESUMED within \" + identifyTimeout.String()", "s.set(timerState, now+identifyTimeout)\n\t\treturn"},
	{"no Hello is waited for", "session.go", "s.set(timerState, now+helloTimeout)", "_ = helloTimeout"},
	{"a dial that hangs is waited for", "connection.go", "s.set(timerState, now+dialTimeout)", "_ = dialTimeout"},
	{"the session is thrown away with every connection", "connection.go", "if !keep {\n\t\ts.loseSession(cause)", "{\n\t\ts.loseSession(cause)"},
	{"a session that is gone is kept", "closecode.go", `{CloseSessionInvalid, "session no longer valid", false, false,`, `{CloseSessionInvalid, "session no longer valid", false, true,`},
	{"4008 is taken for fatal", "closecode.go", `{CloseRateLimited, "rate limited", false, true,`, `{CloseRateLimited, "rate limited", true, true,`},
	{"4004 is retried", "closecode.go", `{CloseAuthFailed, "authentication failed", true, false,`, `{CloseAuthFailed, "authentication failed", false, false,`},
	{"wake-ups dial at once, always", "session.go", "max(now, s.dialedAt+wakeInterval, s.reconnectAt)", "now"},
	{"a timer runs on after the end", "connection.go", "s.stopTimers()\n}\n\n// lose", "}\n\n// lose"},
}

var failedSeed = regexp.MustCompile(`seed (\d+): \d+ violations\n\s+(.*)`)

func main() {
	seeds := flag.Int("seeds", 2000, "seeds to live through with each bug")
	flag.Parse()
	missed := 0
	for _, m := range mutants {
		found, err := try(m, *seeds)
		switch {
		case err != nil:
			fmt.Fprintf(os.Stderr, "mutants: %s: %v\n", m.what, err)
			os.Exit(1)
		case found == "":
			missed++
			fmt.Printf("MISSED  %s\n", m.what)
		default:
			fmt.Printf("caught  %s\n        %s\n", m.what, found)
		}
	}
	fmt.Printf("%d passed, %d failed\n", len(mutants)-missed, missed)
	if missed > 0 {
		os.Exit(1)
	}
}

// try lives through seeds with a bug, and returns how it was noticed.
func try(m mutant, seeds int) (found string, err error) {
	path, err := filepath.Abs(filepath.Join("gateway", "session", m.file))
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if strings.Count(string(text), m.old) != 1 {
		return "", fmt.Errorf("%s does not hold %q once: has it changed?", m.file, m.old)
	}
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	changed := filepath.Join(dir, m.file)
	if err := os.WriteFile(changed, []byte(strings.Replace(string(text), m.old, m.new, 1)), 0o600); err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		return "", err
	}
	// A bug may make it run for ever; then the limit notices it.
	cmd := exec.Command("go", "test", "-vet=off", "-overlay", overlay, "./test/simulation", "-run", "TestSeeds", "-timeout", "5m", "-args", "-seeds", fmt.Sprint(seeds), "-first-failure")
	out, err := cmd.CombinedOutput()
	switch text := string(out); {
	case err == nil:
		return "", nil
	case failedSeed.MatchString(text):
		s := failedSeed.FindStringSubmatch(text)
		return fmt.Sprintf("seed %s, %s", s[1], s[2]), nil
	case strings.Contains(text, "panic: test timed out"):
		return "it never ends", nil
	case strings.Contains(text, "panic:"):
		return "it panics", nil
	default:
		return "", fmt.Errorf("%v\n%s", err, text)
	}
}
