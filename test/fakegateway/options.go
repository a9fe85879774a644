package fakegateway

import (
	"encoding/json"
	"fmt"
	"time"
)

// Options say what server to be. The zero value is a Spacebar server with a
// small world, whose accounts log in with AliceToken, BobToken and CarolToken.
type Options struct {
	// Profile is whose behaviour to show.
	Profile Profile
	// Addr is where Start listens; "127.0.0.1:0" if empty.
	Addr string

	// Interval between heartbeats that Hello asks for; 0 is the profile's. The
	// deadline of a heartbeat is one and a half times that.
	Interval time.Duration
	// IdentifyWithin is how long a client may take to identify; 0 is the
	// profile's, negative is forever.
	IdentifyWithin time.Duration
	// MaxMessage is the largest message taken, in bytes; 0 is the profile's.
	MaxMessage int
	// RateLimit is how many messages a connection may send in 60 seconds; 0 is
	// the profile's, negative is any number.
	RateLimit int
	// Replay is how many events a session of the Documented profile keeps for a
	// Resume; 0 means 1000.
	Replay int
	// SessionTTL is how long a session of the Documented profile can be resumed
	// after its connection was lost; 0 means five minutes.
	SessionTTL time.Duration
	// MaxPending bounds what is kept for a client that does not read, in bytes;
	// beyond that its connection is dropped. 0 means 64 MiB.
	MaxPending int

	// Seed of all that is random. The same seed and the same inputs give the
	// same outputs.
	Seed uint64
	// Epoch is the date at the server's time 0. An Engine takes the year 2026
	// if it is zero, a Server the date at which it was made.
	Epoch time.Time

	// Accounts that may log in; nil means alice, bob and carol.
	Accounts []Account
	// AnyToken takes every token that is neither empty nor BadToken, as the
	// first account's if it is nobody's.
	AnyToken bool
	// Captcha makes login and registration over HTTP ask for a captcha.
	Captcha bool
	// MFA is a code that login over HTTP asks for as a second factor; empty for
	// none.
	MFA string

	// Guilds of the world, their channels and their members; 0 means 2, 8 and
	// 12. Everybody is a member of every guild.
	Guilds, Channels, Members int
	// Ready replaces the payload d of READY.
	Ready json.RawMessage
	// ResumeURL replaces the resume_gateway_url of READY, which otherwise is the
	// address that the client connected to.
	ResumeURL string

	// Faults of every connection, until SetFaults or Plan says otherwise.
	Faults Faults
	// Playback: the first connections get these instead of a server.
	Playback []*Capture
	// OnConn, if set, plays the server's part for each connection; see
	// Server.OnConn. Used by a Server only.
	OnConn func(n int, c *Conn)
	// Control mounts POST /control, by which a test in another process rules
	// the server. Leave it off where others can reach the server.
	Control bool
	// Life is how many events happen by themselves each second.
	Life float64
	// Logf, if set, is told what happens. Tokens are never logged.
	Logf func(format string, args ...any)
}

// Tokens of the default accounts, and one that is never valid.
const (
	AliceToken = "token-of-alice"
	BobToken   = "token-of-bob"
	CarolToken = "token-of-carol"
	BadToken   = "bad-token"
)

// Account is somebody who may log in.
type Account struct {
	// Username of a user of the world; a name that is not there is added to it.
	Username string
	// Email and Password for login over HTTP.
	Email, Password string
	// Token for Identify.
	Token string
}

func defaultAccounts() []Account {
	return []Account{
		{Username: "alice", Email: "alice@example.com", Password: "correct horse", Token: AliceToken},
		{Username: "bob", Email: "bob@example.com", Password: "battery staple", Token: BobToken},
		{Username: "carol", Email: "carol@example.com", Password: "tr0ub4dor&3", Token: CarolToken},
	}
}

// defaultEpoch dates a virtual world.
var defaultEpoch = time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)

// complete fills in the defaults.
func (o *Options) complete() error {
	if o.Profile != Spacebar && o.Profile != Documented {
		return fmt.Errorf("fakegateway: there is no profile %d; use Spacebar or Documented", o.Profile)
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"MaxMessage", o.MaxMessage}, {"Replay", o.Replay}, {"MaxPending", o.MaxPending},
		{"Guilds", o.Guilds}, {"Channels", o.Channels}, {"Members", o.Members},
		{"Interval", int(o.Interval)}, {"SessionTTL", int(o.SessionTTL)},
	} {
		if n.value < 0 {
			return fmt.Errorf("fakegateway: %s is negative", n.name)
		}
	}
	if o.Ready != nil && !json.Valid(o.Ready) {
		return fmt.Errorf("fakegateway: Ready is not JSON; to send a READY that is not, use Faults.Ready")
	}
	r := o.Profile.rules()
	setDefault(&o.Interval, r.interval)
	setDefault(&o.IdentifyWithin, r.identifyWithin)
	setDefault(&o.MaxMessage, r.maxMessage)
	setDefault(&o.RateLimit, r.rateLimit)
	setDefault(&o.Replay, 1000)
	setDefault(&o.SessionTTL, 5*time.Minute)
	setDefault(&o.MaxPending, 64<<20)
	setDefault(&o.Guilds, 2)
	setDefault(&o.Channels, 8)
	setDefault(&o.Members, 12)
	if o.Epoch.IsZero() {
		o.Epoch = defaultEpoch
	}
	if o.Accounts == nil {
		o.Accounts = defaultAccounts()
	}
	for i, a := range o.Accounts {
		if a.Username == "" || a.Token == "" {
			return fmt.Errorf("fakegateway: account %d has no username or no token", i)
		}
	}
	return nil
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
