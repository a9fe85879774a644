package fakegateway

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Faults are what a connection suffers from. The zero value is none. In JSON
// the durations are milliseconds: "hello_delay_ms", "latency_ms",
// "answer_delay_ms".
type Faults struct {
	// RefuseStatus is the HTTP status with which to refuse the upgrade.
	RefuseStatus int `json:"refuse_status,omitempty"`
	// HangDial never answers the request to upgrade.
	HangDial bool `json:"hang_dial,omitempty"`
	// CloseOnConnect closes with this code right after the upgrade, before
	// Hello; 1006 cuts the connection.
	CloseOnConnect int `json:"close_on_connect,omitempty"`

	// NoHello never says Hello.
	NoHello bool `json:"no_hello,omitempty"`
	// Hello is sent in place of the message Hello, as it is; see HostileHellos.
	Hello string `json:"hello,omitempty"`
	// HelloDelay before Hello.
	HelloDelay time.Duration `json:"-"`

	// NoReady never answers Identify.
	NoReady bool `json:"no_ready,omitempty"`
	// Ready is sent as the payload d of READY, as it is; see HostileReadies.
	Ready string `json:"ready,omitempty"`
	// CloseOnIdentify answers Identify with this close code; 1006 cuts the
	// connection.
	CloseOnIdentify int `json:"close_on_identify,omitempty"`

	// Resume is how to answer Resume: ResumeRefuse, ResumeRetry or
	// ResumeIgnore; empty for the profile's answer.
	Resume string `json:"resume,omitempty"`
	// CloseOnResume answers Resume with this close code; 1006 cuts the
	// connection.
	CloseOnResume int `json:"close_on_resume,omitempty"`
	// NoResumed replays the events and never says RESUMED.
	NoResumed bool `json:"no_resumed,omitempty"`

	// NoACK leaves heartbeats unanswered. They still count for the deadline.
	NoACK bool `json:"no_ack,omitempty"`
	// RateLimitRequests answers that many requests for members (op 8, and in
	// the Documented profile op 35) with RATE_LIMITED.
	RateLimitRequests int `json:"rate_limit_requests,omitempty"`

	// Latency of everything sent.
	Latency time.Duration `json:"-"`
	// AnswerDelay before messages other than heartbeats are answered.
	AnswerDelay time.Duration `json:"-"`

	// SplitFrames cuts every compressed message into WebSocket messages of that
	// many bytes.
	SplitFrames int `json:"split_frames,omitempty"`
	// MergeMessages puts that many compressed messages into one frame; fewer, if
	// there are no more within 20 ms.
	MergeMessages int `json:"merge_messages,omitempty"`
	// EmptyFrames sends a frame of 0 bytes before every other.
	EmptyFrames bool `json:"empty_frames,omitempty"`
	// Suffix is what becomes of the four bytes that end every message of a
	// zlib-stream: with SuffixLate they come at the head of the next frame, with
	// SuffixNone never, which breaks the stream.
	Suffix string `json:"suffix,omitempty"`
	// FragmentSize sends every message in WebSocket fragments of that many
	// bytes.
	FragmentSize int `json:"fragment_size,omitempty"`
	// WriteSize writes that many bytes at a time to the transport.
	WriteSize int `json:"write_size,omitempty"`

	// Overtake lets every n-th event be overtaken by the next one, as happens on
	// Spacebar's zstd-stream.
	Overtake int `json:"overtake,omitempty"`
	// Duplicate doubles the events of a guild with every CHANNEL_CREATE in it,
	// as Spacebar's broken subscriptions do. No effect on sessions that resume.
	Duplicate bool `json:"duplicate,omitempty"`
}

// Values of Faults.Resume and Faults.Suffix.
const (
	ResumeRefuse = "refuse" // op 9 with false
	ResumeRetry  = "retry"  // op 9 with true
	ResumeIgnore = "ignore" // no answer

	SuffixLate = "late"
	SuffixNone = "none"
)

// faultsJSON is Faults with its durations.
type faultsJSON struct {
	*plainFaults
	HelloDelay  millis `json:"hello_delay_ms,omitempty"`
	Latency     millis `json:"latency_ms,omitempty"`
	AnswerDelay millis `json:"answer_delay_ms,omitempty"`
}

type plainFaults Faults

// MarshalJSON writes the faults that are set.
func (f Faults) MarshalJSON() ([]byte, error) {
	return json.Marshal(faultsJSON{(*plainFaults)(&f), millis(f.HelloDelay), millis(f.Latency), millis(f.AnswerDelay)})
}

// UnmarshalJSON reads faults. A name that is not known is an error.
func (f *Faults) UnmarshalJSON(text []byte) error {
	v := faultsJSON{plainFaults: (*plainFaults)(f)}
	if err := strictUnmarshal(text, &v); err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	f.HelloDelay, f.Latency, f.AnswerDelay = time.Duration(v.HelloDelay), time.Duration(v.Latency), time.Duration(v.AnswerDelay)
	return f.check()
}

func (f *Faults) check() error {
	if !slices.Contains([]string{"", ResumeRefuse, ResumeRetry, ResumeIgnore}, f.Resume) {
		return fmt.Errorf("faults: resume is %q; use refuse, retry or ignore", f.Resume)
	}
	if !slices.Contains([]string{"", SuffixLate, SuffixNone}, f.Suffix) {
		return fmt.Errorf("faults: suffix is %q; use late or none", f.Suffix)
	}
	return nil
}

// millis is a duration that is a number of milliseconds in JSON.
type millis time.Duration

func (m millis) MarshalJSON() ([]byte, error) {
	return json.Marshal(float64(m) / float64(time.Millisecond))
}

func (m *millis) UnmarshalJSON(text []byte) error {
	var ms float64
	if err := json.Unmarshal(text, &ms); err != nil {
		return err
	}
	*m = millis(ms * float64(time.Millisecond))
	return nil
}

// SetFaults gives these faults to the open connections of a target and, if
// the target is all, to those to come. Faults of dialing concern only the
// latter.
func (e *Engine) SetFaults(now time.Duration, t Target, f Faults) {
	e.Tick(now)
	if t == (Target{}) {
		e.faults = f
	}
	for _, c := range e.open(t) {
		c.flushFaults()
		c.setFaults(f)
	}
}

// Faults returns the faults of the connections to come.
func (e *Engine) Faults() Faults { return e.faults }

// Plan gives each of the next dials its faults, in this order, in place of
// those of SetFaults; after those already planned.
func (e *Engine) Plan(f ...Faults) { e.plan = append(e.plan, f...) }

// ClearPlan takes back what was planned and has not happened.
func (e *Engine) ClearPlan() { e.plan = nil }

// copies is how often an event reaches a connection.
func (c *EngineConn) copies(ev event) int {
	if !c.faults.Duplicate {
		return 1
	}
	var d struct {
		GuildID   string `json:"guild_id"`
		ChannelID string `json:"channel_id"`
	}
	if json.Unmarshal(ev.d, &d) != nil || d.GuildID == "" || d.ChannelID != "" {
		return 1
	}
	n := 1 << min(c.created[d.GuildID], 6)
	if ev.name == "CHANNEL_CREATE" {
		if c.created == nil {
			c.created = map[string]int{}
		}
		c.created[d.GuildID]++
	}
	return n
}
