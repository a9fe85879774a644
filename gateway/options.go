package gateway

import (
	"log/slog"
	"net/http"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/internal/plain"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

// Version of this library.
const Version = "0.1.0"

var userAgent = plain.UserAgent(Version)

// The maximum sizes of a message to the server, in bytes.
const (
	// DefaultMaxMessage is that of the documented protocol.
	DefaultMaxMessage = session.DefaultMaxMessage
	// SpacebarMaxMessage is that of a Spacebar server, which closes on more.
	SpacebarMaxMessage = session.SpacebarMaxMessage
)

// Encoding is how messages are written.
type Encoding string

// The encodings (protocol section: Encoding and Compression).
const (
	EncodingAuto Encoding = ""     // JSON
	EncodingJSON Encoding = "json" //
	EncodingETF  Encoding = "etf"  // Erlang's external term format
)

// Compression is how a connection is compressed.
type Compression string

// The compressions (protocol section: Encoding and Compression).
const (
	CompressionAuto Compression = "" // the best one the server does not refuse; remembered for its host
	CompressionNone Compression = "none"
	CompressionZlib Compression = "zlib-stream"
	CompressionZstd Compression = "zstd-stream"
)

// Options of a connection. The zero value of each field is a good default.
type Options struct {
	// Token of the account. Connect needs it, here or in Identify.
	Token event.Token
	// Identify is what to identify with; nil means event.IdentifyCommon. A Token
	// above takes the place of the one in it.
	Identify *event.Identify
	// Session to resume instead of beginning a new one.
	Session *Session
	// Setup is called with the handle before it connects: what is observed here
	// misses nothing, READY included.
	Setup func(*Handle)

	// Encoding and Compression of the connection.
	Encoding    Encoding
	Compression Compression
	// Version of the protocol to ask for; 0 means 9.
	Version int
	// MaxMessage is the largest message to send, in bytes (at least 512); larger
	// ones fail with ErrMessageTooLarge. 0 means DefaultMaxMessage; use
	// SpacebarMaxMessage for a Spacebar server.
	MaxMessage int
	// MaxReceive is the largest message to accept, in bytes after decompression
	// (at least 4096); 0 means 64 MiB. The server is not trusted with more.
	MaxReceive int
	// SendQueue is how many sends may wait for the rate limit (120 messages in 60
	// seconds); 0 means 256.
	SendQueue int
	// EventQueue is how many events may wait for slow observers before events are
	// dropped and ErrOverflow is reported; 0 means 16384. Their payloads may
	// together hold MaxReceive bytes.
	EventQueue int
	// Attempts before the first READY after which connecting fails; 0 means 3,
	// negative means never. Once ready, a handle reconnects until it is closed.
	Attempts int

	// Logger is told of changes of state, gaps and errors, in the order of the
	// events; never of payloads or tokens. Going on well is logged at the levels
	// Debug and Info, trouble that the handle copes with at Warn, and its end by a
	// fatal error at Error. nil means no log.
	Logger *slog.Logger

	// HTTPClient to dial with; nil means one like http.DefaultClient, which reads
	// further ahead. With a transport of your own that does not tell net/http/httptrace
	// of its connections, a close may take the 10 seconds that a WebSocket waits.
	HTTPClient *http.Client
	// Header to send when dialing, besides User-Agent.
	Header http.Header
}

const defaultEventQueue = 16384

// hosts is what all handles know of servers.
var hosts session.Hosts

// config translates the options for the session.
func (o *Options) config(url string, seed uint64) (session.Config, error) {
	cfg := session.Config{
		URL:        url,
		Restore:    o.Session,
		Version:    o.Version,
		MaxMessage: o.MaxMessage,
		MaxReceive: o.MaxReceive,
		Queue:      o.SendQueue,
		Attempts:   o.Attempts,
		Seed:       seed,
		Kinds:      new(session.Kinds),
		Hosts:      &hosts,
	}
	if o.EventQueue < 0 {
		return cfg, fail(session.ErrInvalidOption, "the event queue must not be negative")
	}
	var t wire.Transport
	switch o.Encoding {
	case EncodingAuto, EncodingJSON:
	case EncodingETF:
		t.Encoding = wire.ETF
	default:
		return cfg, fail(session.ErrInvalidOption, "unknown encoding "+string(o.Encoding)+"; use json or etf")
	}
	switch o.Compression {
	case CompressionAuto:
		cfg.Transports = []wire.Transport{{Encoding: t.Encoding, Compression: wire.Zstd}, {Encoding: t.Encoding, Compression: wire.Zlib}, t}
		return cfg, nil
	case CompressionNone:
	case CompressionZlib:
		t.Compression = wire.Zlib
	case CompressionZstd:
		t.Compression = wire.Zstd
	default:
		return cfg, fail(session.ErrInvalidOption, "unknown compression "+string(o.Compression)+"; use none, zlib-stream or zstd-stream")
	}
	cfg.Transports = []wire.Transport{t}
	return cfg, nil
}

// identify returns the payload of Identify.
func (o *Options) identify() ([]byte, error) {
	id := event.IdentifyCommon()
	if o.Identify != nil {
		id = *o.Identify
	}
	if o.Token != "" {
		id.Token = o.Token
	}
	if id.Token == "" {
		return nil, fail(session.ErrInvalidOption, "Connect needs the token of an account in Options")
	}
	if err := id.Validate(); err != nil {
		return nil, invalidPayload(err)
	}
	return encode(&id)
}
