package session

import "strconv"

// CloseCode is the code a WebSocket closes with.
type CloseCode int

// The close codes that a gateway client meets. Those from 4000 on are the
// gateway's own (protocol section: Gateway Close Event Codes); the others come
// from the WebSocket protocol (RFC 6455, section 7.4).
const (
	CloseNormal          CloseCode = 1000
	CloseGoingAway       CloseCode = 1001
	CloseNoStatus        CloseCode = 1005
	CloseAbnormal        CloseCode = 1006
	CloseMessageTooBig   CloseCode = 1009
	CloseUnknownError    CloseCode = 4000
	CloseUnknownOpcode   CloseCode = 4001
	CloseDecodeError     CloseCode = 4002
	CloseNotIdentified   CloseCode = 4003
	CloseAuthFailed      CloseCode = 4004
	CloseAlreadyAuth     CloseCode = 4005
	CloseSessionInvalid  CloseCode = 4006
	CloseInvalidSeq      CloseCode = 4007
	CloseRateLimited     CloseCode = 4008
	CloseSessionTimeout  CloseCode = 4009
	CloseInvalidShard    CloseCode = 4010
	CloseShardRequired   CloseCode = 4011
	CloseInvalidVersion  CloseCode = 4012
	CloseInvalidIntents  CloseCode = 4013
	CloseDeniedIntents   CloseCode = 4014
	CloseTooManySessions CloseCode = 4015
	CloseCanceled        CloseCode = 4016

	// CloseKeep is the code with which this client leaves a connection whose
	// session it means to resume. Servers end the session on 1000 and 1001
	// only, and browsers allow a page no others than 1000 and 3000 to 4999.
	CloseKeep CloseCode = 4200
)

// ClosePolicy is what a close code means to the client.
type ClosePolicy struct {
	Code CloseCode
	// Name of the code in the protocol.
	Name string
	// Fatal codes end the handle: connecting again would meet the same answer.
	Fatal bool
	// KeepsSession tells that the next connection may try to resume.
	KeepsSession bool
	// Advice says what happened and what to do about it.
	Advice string
}

// closePolicies is the whole of what the client knows about close codes. A
// code that is not listed is retried with the session kept: if the server has
// dropped it, it says so when asked to resume.
var closePolicies = [...]ClosePolicy{
	{CloseNormal, "normal closure", false, true, "the server closed the connection; reconnecting"},
	{CloseGoingAway, "going away", false, true, "the server is shutting down; reconnecting"},
	{CloseNoStatus, "no status", false, true, "the server closed without a code; reconnecting"},
	{CloseAbnormal, "abnormal closure", false, true, "the connection was lost; reconnecting"},
	{CloseMessageTooBig, "message too big", false, true, "a message sent was larger than the server takes; lower the maximum message size (a Spacebar server takes 4096 bytes)"},
	{CloseUnknownError, "unknown error", false, true, "the server failed; reconnecting"},
	{CloseUnknownOpcode, "unknown opcode", false, true, "a message with an opcode the server does not know was sent"},
	{CloseDecodeError, "decode error", false, true, "the server could not read a message; check its fields, a Spacebar server refuses unknown ones"},
	{CloseNotIdentified, "not authenticated", false, false, "a message was sent before Identify, or the session is void; identifying again"},
	{CloseAuthFailed, "authentication failed", true, false, "the token is not valid; log in again"},
	{CloseAlreadyAuth, "already authenticated", false, true, "Identify was sent twice on one connection"},
	{CloseSessionInvalid, "session no longer valid", false, false, "the session was ended; identifying again"},
	{CloseInvalidSeq, "invalid seq", false, false, "the sequence to resume from is not known to the server; identifying again"},
	{CloseRateLimited, "rate limited", false, true, "too many messages were sent; reconnecting"},
	{CloseSessionTimeout, "session timed out", false, true, "the server heard no heartbeat in time; reconnecting"},
	{CloseInvalidShard, "invalid shard", true, false, "the shard in Identify is not valid; use an id below the number of shards"},
	{CloseShardRequired, "sharding required", true, false, "the account is in too many guilds for one connection; connect with shards"},
	{CloseInvalidVersion, "invalid API version", true, false, "the server does not speak this version of the gateway; choose another"},
	{CloseInvalidIntents, "invalid intents", true, false, "Identify names an intent that does not exist"},
	{CloseDeniedIntents, "disallowed intents", true, false, "Identify names an intent this account may not have; enable it or leave it out"},
	{CloseTooManySessions, "too many sessions", true, false, "the account has too many sessions; end some before connecting again"},
	{CloseCanceled, "connection request canceled", true, false, "the server withdrew the connection request; ask for a new one before connecting again"},
}

// Policy returns what the client makes of a close with this code.
func (c CloseCode) Policy() ClosePolicy {
	for i := range closePolicies {
		if closePolicies[i].Code == c {
			return closePolicies[i]
		}
	}
	return ClosePolicy{Code: c, Name: "unknown code", KeepsSession: true, Advice: "reconnecting"}
}

// ClosePolicies returns the table of all codes the client knows.
func ClosePolicies() []ClosePolicy { return append([]ClosePolicy(nil), closePolicies[:]...) }

// String returns the code and its name: "4004 (authentication failed)".
func (c CloseCode) String() string {
	return strconv.Itoa(int(c)) + " (" + c.Policy().Name + ")"
}
