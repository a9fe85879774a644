package fakegateway

import (
	"fmt"
	"time"
)

// Profile is a kind of server.
type Profile int

const (
	// Spacebar behaves as a Spacebar server was observed to: it cannot resume,
	// counts from 0, takes 4096 bytes, checks keys strictly, ignores what it
	// does not know.
	Spacebar Profile = iota
	// Documented behaves as the protocol's documentation says a server should:
	// it resumes, counts from 1, limits the rate, closes with the code that the
	// documentation names.
	Documented
)

// String returns the name that ParseProfile takes.
func (p Profile) String() string {
	if p == Documented {
		return "documented"
	}
	return "spacebar"
}

// ParseProfile reads the name of a profile.
func ParseProfile(name string) (Profile, error) {
	for _, p := range []Profile{Spacebar, Documented} {
		if p.String() == name {
			return p, nil
		}
	}
	return 0, fmt.Errorf("fakegateway: there is no profile %q; use \"spacebar\" or \"documented\"", name)
}

// rules are what two profiles differ in, as far as it can be said by values.
type rules struct {
	interval       time.Duration
	identifyWithin time.Duration // negative: forever
	maxMessage     int
	rateLimit      int // in rateWindow; negative: none
	firstSeq       int64

	// Codes to close with; 0 means to ignore the message.
	tooBig, badToken, unknownOp, malformed, notIdentified int

	resume      bool // sessions outlive their connections, with a buffer
	strict      bool // payloads are checked against a schema
	userAgent   bool // is required
	sharedToken bool // a session belongs to its token, not to an Identify
	nulls       bool // non-dispatch messages carry "t":null and "s":null
	zstdFrames  bool // zstd-stream is a frame a message, not one stream
	payloadZlib bool // compress:true in Identify is obeyed
	inboundZip  bool // compressed messages of the client are understood
	ackBody     string
}

const (
	rateWindow = 60 * time.Second
	noDeadline = -1
)

var profileRules = [...]rules{
	Spacebar: {
		interval: 30 * time.Second, identifyWithin: 30 * time.Second,
		maxMessage: 4096, rateLimit: -1, firstSeq: 0,
		tooBig: 1009, badToken: 4000,
		strict: true, userAgent: true, sharedToken: true,
		zstdFrames: true, inboundZip: true, ackBody: "{}",
	},
	Documented: {
		interval: 41250 * time.Millisecond, identifyWithin: noDeadline,
		maxMessage: 15 << 10, rateLimit: 120, firstSeq: 1,
		tooBig: 4002, badToken: 4004, unknownOp: 4001, malformed: 4002, notIdentified: 4003,
		resume: true, nulls: true, payloadZlib: true, ackBody: "null",
	},
}

func (p Profile) rules() *rules { return &profileRules[p] }

// Opcodes of the protocol.
const (
	opDispatch           = 0
	opHeartbeat          = 1
	opIdentify           = 2
	opPresence           = 3
	opVoiceState         = 4
	opVoicePing          = 5
	opResume             = 6
	opReconnect          = 7
	opMembers            = 8
	opInvalidSession     = 9
	opHello              = 10
	opACK                = 11
	opGuildSync          = 12
	opCallConnect        = 13
	opSubscriptions      = 14
	opLobbyVoice         = 17
	opStreamCreate       = 18
	opStreamDelete       = 19
	opStreamWatch        = 20
	opStreamPing         = 21
	opStreamPaused       = 22
	opForumUnreads       = 28
	opRemoteCommand      = 29
	opDeletedEntities    = 30
	opSoundboard         = 31
	opSpeedTestCreate    = 32
	opSpeedTestDelete    = 33
	opLastMessages       = 34
	opSearchMembers      = 35
	opChannelStatuses    = 36
	opSubscriptionsBulk  = 37
	opChannelsResync     = 38
	opChannelMemberCount = 39
	opQoSHeartbeat       = 40
	opTimeSpent          = 41
	opLobbyVoicePing     = 42
	opChannelInfo        = 43
)

// Close codes that are none: they stand for how a connection ended.
const (
	codeNoStatus = 1005 // closed without a code
	codeDrop     = 1006 // ended without a close
)

// Bits of capabilities and intents in Identify.
const (
	capDedupeUsers   = 1 << 4
	capClientStateV2 = 1 << 10
	knownIntents     = 1<<26 - 1
)
