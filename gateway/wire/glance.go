package wire

// A glance reads the envelope of a JSON dispatch from the two ends of the
// message, for those to whom the whole message costs something, as it does a
// browser to hand its text to WebAssembly: GlanceHead reads what stands before
// the payload and, unless it has found the number there, GlanceTail what stands
// behind. They take the plain forms that servers write and report false for
// everything else, which has to be scanned as a whole.

// GlanceHead reads the beginning of a dispatch, at least up to its payload. Data
// is as much of the payload as there is in head; Seq is -1 if the number does not
// stand before it.
func GlanceHead(head []byte, m *Message) bool {
	*m = Message{Op: -1, Seq: -1}
	if len(head) < 2 || head[0] != '{' {
		return false
	}
	for i := 1; ; i++ { // behind "{" or ","
		if len(head)-i < 5 || head[i] != '"' {
			return false
		}
		switch {
		case head[i+2] != '"':
			if string(head[i:i+5]) != `"op":` || i+6 >= len(head) || head[i+5] != '0' {
				return false
			}
			m.Op = 0
			i += 6
		case head[i+3] != ':':
			return false
		case head[i+1] == 't':
			if head[i+4] != '"' {
				return false
			}
			j := i + 5
			for j < len(head) && head[j] != '"' {
				if head[j] == '\\' {
					return false
				}
				j++
			}
			if j >= len(head) {
				return false
			}
			m.Type = head[i+5 : j]
			i = j + 1
		case head[i+1] == 's':
			n, end := digits(head, i+4)
			if end == i+4 {
				return false
			}
			m.Seq = n
			i = end
		case head[i+1] == 'd':
			m.Data = head[i+4:]
			return m.Op == 0 && len(m.Type) > 0
		default:
			return false
		}
		if i >= len(head) || head[i] != ',' {
			return false
		}
	}
}

// GlanceTail reads the number from the end of a message, `,"s":123}`, of which
// tail is the last part, at least from that comma.
func GlanceTail(tail []byte) (seq int64, ok bool) {
	end := len(tail) - 1
	if end < 6 || tail[end] != '}' {
		return 0, false
	}
	i := end
	for i > 0 && tail[i-1]-'0' <= 9 {
		i--
	}
	if i < 5 || string(tail[i-5:i]) != `,"s":` {
		return 0, false
	}
	seq, stop := digits(tail[:end], i)
	return seq, stop == end && stop > i
}
