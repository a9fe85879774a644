package wire

// Transport is how the messages of a connection travel (protocol section:
// Encoding and Compression). The zero value is JSON without compression, which
// every server speaks.
type Transport struct {
	Encoding    Encoding
	Compression Compression
}

// String returns the name of the encoding in the URL of a connection.
func (e Encoding) String() string {
	if e == ETF {
		return "etf"
	}
	return "json"
}

// String returns the name of the compression in the URL of a connection, ""
// for none.
func (c Compression) String() string {
	switch c {
	case Zlib:
		return "zlib-stream"
	case Zstd:
		return "zstd-stream"
	}
	return ""
}

// IsETF reports whether a message is ETF: every term begins with the version
// of the format, and no JSON text with that byte.
func IsETF(msg []byte) bool { return len(msg) > 0 && msg[0] == etfVersion }

// ParseTransport reads a transport written as encoding, or as encoding and
// compression with a slash between: "json", "json/zlib-stream", "etf/zstd-stream".
func ParseTransport(s string) (t Transport, ok bool) {
	for t.Encoding = JSON; t.Encoding <= ETF; t.Encoding++ {
		for t.Compression = None; t.Compression <= Zstd; t.Compression++ {
			if s == t.String() {
				return t, true
			}
		}
	}
	return Transport{}, false
}

// String writes a transport in the form that ParseTransport reads.
func (t Transport) String() string {
	if t.Compression == None {
		return t.Encoding.String()
	}
	return t.Encoding.String() + "/" + t.Compression.String()
}
