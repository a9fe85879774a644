package session

import (
	"strconv"
	"strings"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

// Limits and times of the protocol and of good manners.
const (
	// DefaultVersion of the gateway that is asked for (v in the URL).
	DefaultVersion = 9
	// DefaultMaxMessage is how many bytes the documented server takes in one
	// message.
	DefaultMaxMessage = 15 << 10
	// SpacebarMaxMessage is how many bytes a Spacebar server takes.
	SpacebarMaxMessage = 4 << 10
	// DefaultMaxReceive bounds a message received, after decompression.
	DefaultMaxReceive = 64 << 20
	// DefaultQueue is how many sends may wait for the rate limit.
	DefaultQueue = 256
	// DefaultAttempts is how often a handle that was never ready tries.
	DefaultAttempts = 3

	// RateLimit messages may be sent in any RateWindow, heartbeats included
	// (protocol section: Rate Limiting).
	RateLimit  = 120
	RateWindow = 60 * time.Second

	dialTimeout     = 15 * time.Second
	helloTimeout    = 15 * time.Second
	identifyTimeout = 30 * time.Second // READY; and between two events of a resume
	resumeLimit     = 5 * time.Minute  // for all of a resume: RESUMED may have been lost
	connectedLimit  = 60 * time.Second // for the caller to identify
	probeTimeout    = 5 * time.Second

	backoffBase  = time.Second
	backoffCap   = 60 * time.Second
	stableAfter  = 30 * time.Second // of Ready, until the back-off starts over
	wakeInterval = time.Second      // between two dials that wake-ups caused

	// A Tick this much too late means that the machine slept, or the browser
	// held the page's timers back: what is overdue says nothing of the server.
	lateTick = 5 * time.Second

	// Heartbeat intervals that a server may ask for. Real ones are 30 to 45 s.
	minInterval     = time.Second
	maxInterval     = 10 * time.Minute
	defaultInterval = 41250 * time.Millisecond

	maxReconnectDelay = 5 * time.Minute // that an op 7 may ask for
	drainAfterOp7     = 2 * time.Second // in which the server may still send, and close

	maxSessionText = 1024 // bytes of a session ID, or of a resume URL

	keptText = 1 << 20 // bytes of the buffer of payloads that is kept, whatever comes

	maxResumes  = 3
	maxRefusals = 2
	freshFor    = time.Minute // a session gone for so long a server that resumes would still know
	maxRejected = 3           // closes with 4000 or 4002 straight after Identify
	maxRevoked  = 10          // closes with 4000 straight after an Identify that has worked
	maxInvalid  = 5           // op 9 in a row on one connection
	maxCorrupt  = 2           // streams of one transport
	corruptFor  = time.Hour   // in which they count together
)

// Snapshot is what it takes to resume a session on another connection, in
// another process or after a restart (protocol section: Resuming).
type Snapshot struct {
	// ID of the session, from READY.
	ID string `json:"id"`
	// Seq is the highest sequence number received, -1 if there was none.
	Seq int64 `json:"seq"`
	// ResumeURL that READY gave; may be empty.
	ResumeURL string `json:"resumeUrl,omitempty"`
	// Standing is what the session has been told and a new one in its place will
	// be told again: presence, voice channels, guild subscriptions. It is text for
	// the session alone to read; may be empty.
	Standing string `json:"standing,omitempty"`
}

// Loss is what there is left of a session that cannot be resumed, while there is no
// other in its place.
type Loss struct {
	// Gap that the next Ready is to report; it does not say yet when that was.
	Gap Gap
	// Standing is that of the session, as in Snapshot.
	Standing string
}

// Config is what a session is made with. Zero values mean the defaults.
type Config struct {
	// URL of the gateway, ws:// or wss://. Its query may hold anything;
	// v, encoding and compress are set by the session.
	URL string
	// Identify is the payload d of Identify as JSON, token included. Empty: the
	// caller sends Identify or Resume itself once the session is Connected.
	Identify []byte
	// Restore a session: the first connection resumes it.
	Restore *Snapshot
	// Lost is what another Session, which has come to a sudden end, has left (see
	// Session.Lost): the next Ready reports the gap.
	Lost *Loss
	// Version of the gateway protocol; 0 means DefaultVersion.
	Version int
	// Transports in the order in which to try them; none means plain JSON. The
	// next one is tried when the server refuses one, or breaks its stream twice; one
	// that has worked is not given up because the server fails.
	Transports []wire.Transport
	// Hosts remembers which of them a server takes; nil remembers nothing.
	Hosts *Hosts
	// MaxMessage is the largest message to be sent, in bytes.
	MaxMessage int
	// MaxReceive is the largest message to be taken, in bytes, decompressed.
	MaxReceive int
	// Queue is how many sends may wait for the rate limit.
	Queue int
	// Attempts before the first Ready after which the session gives up; negative
	// means never. Once ready, a session reconnects for as long as it lives.
	Attempts int
	// Seed of all that is random (jitter); the same seed repeats a run exactly.
	Seed uint64
	// Clock tells the time where Received was not told it (see Untold). It may be
	// nil if that never is so.
	Clock func() time.Duration
	// Kinds says which events are observed. It belongs to the session from here
	// on; the driver changes it only between inputs.
	Kinds *Kinds
}

func (c *Config) check() *Error {
	invalid := func(what string) *Error {
		return &Error{Code: ErrInvalidOption, Message: what, Fatal: true}
	}
	if err := checkURL(c.URL); err != nil {
		return err
	}
	if c.Version == 0 {
		c.Version = DefaultVersion
	}
	if len(c.Transports) == 0 {
		c.Transports = []wire.Transport{{}}
	}
	def := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	def(&c.MaxMessage, DefaultMaxMessage)
	def(&c.MaxReceive, DefaultMaxReceive)
	def(&c.Queue, DefaultQueue)
	def(&c.Attempts, DefaultAttempts)
	if c.Kinds == nil {
		c.Kinds = new(Kinds)
	}
	switch {
	case c.Version < 0:
		return invalid("the gateway version must be positive")
	case c.MaxMessage < 512:
		return invalid("the maximum message size must be at least 512 bytes: Identify would not fit")
	case c.MaxReceive < 4096:
		return invalid("the receive limit must be at least 4096 bytes: READY would not fit")
	case c.Queue < 0:
		return invalid("the send queue must not be negative")
	case c.Restore != nil && c.Restore.ID == "":
		return invalid("the session to restore has no id; leave it out to start a new one")
	case len(c.Identify) > 0 && token(c.Identify) == "":
		return invalid("Identify has no token; pass the token of the account")
	}
	return nil
}

// token reads the token out of an Identify or Resume payload.
func token(payload []byte) string { return text(member(payload, "token")) }

// checkURL refuses what cannot be the URL of a gateway.
func checkURL(u string) *Error {
	scheme, host, _ := splitURL(u)
	what := ""
	switch {
	case u == "":
		what = "the gateway URL is empty"
	case scheme != "ws" && scheme != "wss":
		what = "the gateway URL must begin with ws:// or wss://"
	case strings.Contains(host, "@"):
		what = "the gateway URL has a user or a password in it, which no gateway asks for"
	case host == "" || strings.HasPrefix(host, ":"):
		what = "the gateway URL has no host"
	case strings.ContainsFunc(u, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		what = "the gateway URL has white space or control characters in it"
	default:
		return nil
	}
	return &Error{Code: ErrInvalidURL, Message: what, Fatal: true}
}

// splitURL takes a URL apart as far as the gateway needs. net/url would cost
// the WebAssembly binary 45 KB more to download.
func splitURL(u string) (scheme, host, rest string) {
	scheme, rest, ok := strings.Cut(u, "://")
	if !ok {
		return "", "", ""
	}
	host = rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host = rest[:i]
	}
	return strings.ToLower(scheme), host, rest[len(host):]
}

// buildURL sets the query that every connection needs, on the main URL and on
// the resume URL alike; what else the query holds stays.
func buildURL(u string, version int, t wire.Transport) string {
	u, _, _ = strings.Cut(u, "#")
	base, query, _ := strings.Cut(u, "?")
	scheme, host, path := splitURL(base)
	if path == "" {
		path = "/"
	}
	var b strings.Builder
	b.WriteString(scheme + "://" + host + path + "?v=" + strconv.Itoa(version) + "&encoding=" + t.Encoding.String())
	if t.Compression != wire.None {
		b.WriteString("&compress=" + t.Compression.String())
	}
	for _, part := range strings.Split(query, "&") {
		switch name, _, _ := strings.Cut(part, "="); name {
		case "", "v", "encoding", "compress":
		default:
			b.WriteString("&" + part)
		}
	}
	return b.String()
}

// resumeURLAllowed reports whether a server may send us there: only to another
// WebSocket, and never from an encrypted one to an open one.
func resumeURLAllowed(main, resume string) bool {
	if checkURL(resume) != nil {
		return false
	}
	mainScheme, _, _ := splitURL(main)
	scheme, _, _ := splitURL(resume)
	return scheme == "wss" || mainScheme == "ws"
}
