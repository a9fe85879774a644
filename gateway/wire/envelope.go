package wire

// Message is the envelope of one gateway message. Its slices point into the
// message it was scanned from.
type Message struct {
	// Op is the opcode.
	Op int
	// Seq is the sequence number s, or -1 where the message has none.
	Seq int64
	// Type is the event name t, without quotes; empty where there is none.
	Type []byte
	// Data is the payload d as JSON text; empty where there is none.
	//
	// A scan that need not look inside the payload takes it to run to the end
	// of the envelope. A message with further keys behind d (none are known)
	// therefore leaves them in Data: a decoder that meets something behind the
	// payload cuts it with Trim.
	Data []byte
}

// Error tells why bytes of the wire could not be read.
type Error struct {
	// What is wrong, in words.
	What string
	// Offset of the byte at which it was noticed.
	Offset int
}

// Error says what is wrong.
func (e *Error) Error() string { return "wire: " + e.What }

// Scan reads the envelope of a JSON message into m.
//
// Servers put op, t and s in any order around d, so their order is not relied
// on; but where all that is needed stands before d, or the message ends in
// `,"s":123}` (which in valid JSON can only belong to the envelope: an object
// inside d would need a second brace), the payload is not looked at, and a
// message costs the same whatever its size. Any other message is read through.
func Scan(b []byte, m *Message) error {
	*m = Message{Op: -1, Seq: -1}
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return &Error{"message is not a JSON object", i}
	}
	for i = skipSpace(b, i+1); i < len(b) && b[i] != '}'; {
		key, j := scanKey(b, i)
		if j < 0 {
			return &Error{"malformed key in the envelope", i}
		}
		if len(key) == 1 && key[0] == 'd' && m.Op == 0 && len(m.Type) > 0 && scanTail(b, j, m) {
			return nil
		}
		end := skipValue(b, j)
		if end <= j {
			return &Error{"message is cut short", j}
		}
		value := b[j:end]
		switch string(key) {
		case "op":
			n, ok := Int(value)
			if !ok || n < 0 || n > 1<<16 {
				return &Error{"op is not an opcode", j}
			}
			m.Op = int(n)
		case "s":
			m.Seq = -1
			if n, ok := Int(value); ok && n >= 0 {
				m.Seq = n
			}
		case "t":
			m.Type = nil
			if value[0] == '"' {
				m.Type = unescape(value[1 : len(value)-1])
			}
		case "d":
			m.Data = value
		}
		if i = nextMember(b, end); i < 0 {
			return &Error{"malformed envelope", end}
		}
	}
	if i >= len(b) {
		return &Error{"message is cut short", i}
	}
	if end := skipSpace(b, i+1); end < len(b) {
		return &Error{"bytes behind the message", end}
	}
	if m.Op < 0 {
		return &Error{"message has no op", 0}
	}
	return nil
}

// scanTail completes m from the end of the message, without looking into the
// payload that starts at d. It reports false where that cannot be done.
func scanTail(b []byte, d int, m *Message) bool {
	end := len(b) - 1
	for end > d && (b[end] == ' ' || b[end] == '\n' || b[end] == '\t' || b[end] == '\r') {
		end--
	}
	if b[end] != '}' {
		return false
	}
	if m.Seq >= 0 {
		m.Data = b[d:end]
		return end > d
	}
	i := end
	for i > d && b[i-1]-'0' <= 9 {
		i--
	}
	n, stop := digits(b[:end], i)
	if stop == i || i-5 <= d || string(b[i-5:i]) != `,"s":` {
		return false
	}
	m.Seq = n
	m.Data = b[d : i-5]
	return true
}

// Trim cuts data to the one JSON value it begins with. It returns data
// unchanged if that value does not end.
func Trim(data []byte) []byte {
	if end := skipValue(data, skipSpace(data, 0)); end > 0 {
		return data[:end]
	}
	return data
}
