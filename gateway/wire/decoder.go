package wire

// Encoding is how the payloads of a connection are written.
type Encoding uint8

// The encodings (protocol section: Encoding and Compression).
const (
	JSON Encoding = iota // text
	ETF                  // the external term format of Erlang
)

// Compression is the transport compression of a connection.
type Compression uint8

const (
	// None also stands for payload compression (`compress` in Identify): a
	// binary frame that holds a whole zlib stream is inflated.
	None Compression = iota
	// Zlib is zlib-stream: one zlib stream for the whole connection.
	Zlib
	// Zstd is zstd-stream, in both forms servers have given it: one zstd frame
	// for the whole connection, flushed after each message, or a zstd frame
	// for each.
	Zstd
)

// Limits bound what a server can make a Decoder hold. Zero fields mean the
// defaults.
type Limits struct {
	// MaxMessage is the size that a decompressed message may have: 64 MiB, four
	// times the largest READY that anyone has reported. All messages of one frame
	// together may have four times that.
	MaxMessage int
	// MaxWindow is the window that a zstd stream may ask for: 8 MiB, what
	// RFC 8878 wants every decoder to support.
	MaxWindow int
}

const (
	defaultMaxMessage = 64 << 20
	defaultMaxWindow  = 8 << 20

	// frameMessages is how many messages of the largest size one frame may hold,
	// and frameLeast how many bytes, if those are small. A message counts as
	// messageLeast bytes at least, as dealing with it takes time, too.
	frameMessages = 4
	frameLeast    = 4 << 20
	messageLeast  = 256
)

// MaxFrame is the size, in bytes, of the largest frame that a Decoder takes:
// that of a message, but some room for several small ones in any case.
func (l Limits) MaxFrame() int { return max(l.MaxMessage, frameLeast) }

// LimitError tells that a message was refused for its size. The connection it
// came from cannot go on: the rest of the stream depends on what was refused.
type LimitError struct {
	What   string // what is wrong, in words
	Limit  int    // what it is held against: bytes, or how many times compressed
	Stream bool   // it is the compression that asks for too much, whatever the size of messages may be
}

// Error says what is wrong.
func (e *LimitError) Error() string { return "wire: " + e.What }

func errorAt(what string, offset int) *Error { return &Error{what, offset} }

// Decoder turns the frames of one connection into messages.
//
// How messages lie in frames is the server's affair: a message may be cut
// over any number of frames and several may share one. What ends a message is
// a sync flush (zlib-stream), the end of a block or frame (zstd-stream), or,
// where the server left that out, the end of its JSON or ETF value. A flush in
// the middle of a message does not end it, but for one right behind a brace that
// ends the frame, too, nor does white space alone part what begins and ends as an object:
// no server has been seen to write either, and to rule them out, all of every message
// would have to be read.
//
// Text frames are JSON whatever was negotiated, and are passed on as they are.
//
// After an error the Decoder returns that error until Reset: a stream that has
// gone wrong is never guessed at.
type Decoder struct {
	enc    Encoding
	comp   Compression
	limits Limits

	in     []byte // what is left of the frame
	more   bool   // there is more to decode even if nothing is left
	binary bool
	err    error

	out   output
	value valueScanner // how far the pending message was scanned
	edge  bool         // the frame ended at a boundary of the stream
	held  int          // of the pending bytes, what had come when one last did
	made  int          // bytes that the frame has made, small messages counted for more
	look  lookState
	seq   int64 // the last number that a message ended in

	zlib *zlibReader
	zstd *zstdReader
}

// lookState says whether bytes that were decoded, but not handed out, may hold
// a complete message.
type lookState uint8

const (
	lookNot   lookState = iota
	lookValue           // they do if a JSON or ETF value ends in them
	lookEnd             // and a boundary of the stream is behind them
)

// NewDecoder returns a Decoder for a new connection.
func NewDecoder(enc Encoding, comp Compression, limits Limits) *Decoder {
	if limits.MaxMessage <= 0 {
		limits.MaxMessage = defaultMaxMessage
	}
	if limits.MaxWindow <= 0 {
		limits.MaxWindow = defaultMaxWindow
	}
	d := &Decoder{enc: enc, comp: comp, limits: limits}
	d.Reset()
	return d
}

// Reset makes the Decoder ready for a new connection of the same kind. It
// keeps the memory of the old one.
func (d *Decoder) Reset() {
	d.in, d.more, d.err = nil, false, nil
	d.look, d.seq = lookNot, -1
	d.value, d.held = valueScanner{}, 0
	d.out.reset()
	d.out.max = d.limits.MaxMessage
	switch d.comp {
	case Zlib:
		d.newZlib()
	case Zstd:
		if d.zstd == nil {
			d.zstd = new(zstdReader)
		}
		d.zstd.reset(d.limits.MaxWindow)
	}
}

func (d *Decoder) newZlib() {
	if d.zlib == nil {
		d.zlib = new(zlibReader)
	}
	d.zlib.reset()
}

// Write gives the Decoder the next frame, which must stay unchanged until Next
// returns nil, and so must the 16 bytes behind it if it has the capacity: they are
// loaded, though not used. A frame that comes while messages of the last one have not been
// taken replaces what is left of it.
func (d *Decoder) Write(frame []byte, binary bool) {
	d.in, d.binary, d.made = frame, binary, 0
}

// Next returns the next message, or nil when that takes another frame. The
// message is valid until the next call of Next or Write, and may be the frame
// itself. It is JSON if it does not begin with the version byte of ETF.
func (d *Decoder) Next() ([]byte, error) {
	if d.err != nil {
		return nil, d.err
	}
	var msg []byte
	switch {
	case len(d.in) > d.limits.MaxFrame():
		d.err = d.tooLarge() // whatever is in it
	case !d.binary || d.comp == None:
		msg, d.err = d.frame()
	default:
		msg, d.err = d.stream()
	}
	return msg, d.err
}

// Pending reports whether Next has something to look at: if not, it takes another
// frame for another message.
func (d *Decoder) Pending() bool { return len(d.in) > 0 || d.more || d.look != lookNot }

// frame returns the message that is the frame.
func (d *Decoder) frame() ([]byte, error) {
	msg := d.in
	d.in = nil
	if len(msg) == 0 {
		return nil, nil
	}
	if d.binary && msg[0] != etfVersion && isZlibHeader(msg) {
		return d.inflated(msg, 0, 0)
	}
	if d.binary && len(msg) > 6 && msg[0] == etfVersion && msg[1] == tagCompressed {
		// A compressed term: the size of the term, and a zlib stream of it.
		size := int64(bigEndian(msg[2:6]))
		if size >= int64(d.limits.MaxMessage) {
			return nil, d.tooLarge()
		}
		return d.inflated(msg, 6, int(size)+1)
	}
	if len(msg) > d.limits.MaxMessage {
		return nil, d.tooLarge()
	}
	return msg, nil
}

// inflated returns the content of the zlib stream that is msg[i:]. If size is
// not 0 it is an ETF term, to be put behind a version byte, and size is that
// of both.
func (d *Decoder) inflated(msg []byte, i, size int) ([]byte, error) {
	o := &d.out
	o.reset()
	d.newZlib()
	if size > 0 {
		o.room(1)
		o.buf[0] = etfVersion
		o.pos = 1
	}
	i, p, err := d.zlib.read(o, msg, i)
	for err == nil && p == flushed {
		i, p, err = d.zlib.read(o, msg, i)
	}
	switch {
	case err != nil:
		return nil, err
	case p == full || o.pos > o.max:
		return nil, d.tooLarge()
	case p == needInput:
		return nil, errorAt("zlib: stream is cut short", i)
	case i < len(msg):
		return nil, errorAt("zlib: bytes behind the stream", i)
	case size > 0 && o.pos != size:
		return nil, errorAt("etf: compressed term has another size than it says", i)
	}
	return o.take(o.pos), nil
}

// stream returns the next message of a compressed stream.
func (d *Decoder) stream() ([]byte, error) {
	o := &d.out
	for {
		if d.made > max(frameMessages*d.limits.MaxMessage, frameLeast) {
			// Whatever it is: a frame may hold a thousand times its size.
			return nil, d.tooLarge()
		}
		if d.look != lookNot {
			msg, err := d.scan()
			if msg != nil || err != nil {
				return msg, err
			}
		}
		if len(d.in) == 0 && !d.more {
			return nil, nil
		}
		var i int
		var p progress
		var err error
		before := o.pos - o.start
		if d.comp == Zlib {
			i, p, err = d.zlib.read(o, d.in, 0)
		} else {
			i, p, err = d.zstd.read(o, d.in, 0)
		}
		if err != nil {
			return nil, err
		}
		d.in, d.more = d.in[i:], p == full
		d.edge = len(d.in) == 0 && (p == flushed || p == ended || d.comp == Zstd && d.zstd.between())
		size := o.pos - o.start
		d.made += size - before
		switch {
		case size == 0:
		case p == full || size > o.max:
			// The limit is that of a message: there may be several here.
			d.look = lookValue
			msg, err := d.scan()
			if msg == nil && err == nil {
				err = d.tooLarge()
			}
			return msg, err
		case d.enc == ETF:
			d.look = lookValue
		case o.buf[o.pos-1] != '}' && p == needInput:
			// No object ends here, so no message that counts does. This spares
			// scanning a large message that comes in many frames.
			if d.edge {
				d.held = size
			}
		case p == needInput:
			d.look = lookValue
		case o.buf[o.start] == '{' && o.buf[o.pos-1] == '}' && len(d.in) == 0 && d.value.pos == 0 && d.alone(o.buf[o.start:o.pos]):
			// What nearly every message is: all there was up to a boundary that
			// is also the end of its frame.
			return d.take(o.pos), nil
		default:
			d.look = lookEnd
		}
	}
}

// alone reports whether what begins and ends as an object is no more than one. Of an
// event whose number was due no more is read: were there two, that would be the number
// of the first, and not at the end. (A first one without a number, or which a later one
// has overtaken, would go unnoticed. Servers write few of those, and flush each.)
func (d *Decoder) alone(msg []byte) bool {
	const event, tail = `{"op":0,"t":"`, 24
	if len(msg) > 2*tail && string(msg[:len(event)]) == event {
		if seq, ok := GlanceTail(msg[len(msg)-tail:]); ok {
			due := seq == d.seq+1
			d.seq = seq
			if due {
				return true
			}
		}
	}
	return !mayBeJoined(msg)
}

// scan returns the message that the pending bytes begin with, if it is
// complete.
func (d *Decoder) scan() ([]byte, error) {
	o := &d.out
	atEnd := d.look == lookEnd
	if d.enc == JSON && d.value.pos == 0 {
		start := skipSpace(o.buf[:o.pos], o.start)
		d.held = max(d.held-(start-o.start), 0)
		o.start = start
	}
	pending := o.buf[o.start:o.pos]
	if len(pending) == 0 {
		d.look = lookNot
		return nil, nil
	}
	end := -1
	if d.enc == ETF {
		var err error
		if end, err = d.value.etf(pending); err != nil {
			return nil, err
		}
	} else if pending[0] == '{' || pending[0] == '[' {
		end = d.value.json(pending)
	} else if atEnd {
		end = len(pending) // no message, but whoever parses it will say so better
	}
	if end < 0 {
		d.look = lookNot
		if d.edge {
			if 0 < d.held && d.held < len(pending) && d.whole(pending[d.held:]) {
				// What came before was no message, and will not become one.
				d.look = lookEnd
				return d.take(o.start + d.held), nil
			}
			d.held = len(pending)
		}
		return nil, nil
	}
	if end > o.max {
		return nil, d.tooLarge()
	}
	return d.take(o.start + end), nil
}

// whole reports whether b is exactly one message. It is asked of a frame that
// comes while the message before it is not complete: a server that sends
// something which is not JSON must not make everything behind it part of that.
func (d *Decoder) whole(b []byte) bool {
	var v valueScanner
	if d.enc == ETF {
		if b[0] != etfVersion {
			return false
		}
		end, err := v.etf(b)
		return err == nil && end == len(b)
	}
	return b[0] == '{' && v.json(b) == len(b)
}

// take hands out the pending bytes up to end.
func (d *Decoder) take(end int) []byte {
	if end == d.out.pos {
		d.look = lookNot
	}
	d.value, d.held = valueScanner{}, 0
	d.made += max(messageLeast-(end-d.out.start), 0)
	return d.out.take(end)
}

func (d *Decoder) tooLarge() error {
	return &LimitError{What: "message is too large", Limit: d.limits.MaxMessage}
}
