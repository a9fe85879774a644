package wire

// output is what a decompressor writes to: the window of its stream and right
// behind it the message that is being decoded, in one piece, so that a match
// is a plain copy wherever its source lies.
type output struct {
	buf   []byte
	pos   int // where the next byte goes
	start int // where the message begins that has not been handed out
	low   int // where the stream begins: matches reach no farther; below 0 if that is gone
	max   int // bytes that a message may have

	window int  // bytes before pos that matches may reach
	handed bool // something has been handed out since the frame began (zstd only)

	in, at int // size of the frame that is being decoded, and how far that is
	fed    int // bytes of input that the pending bytes were made of (zstd only)
}

const (
	// outputFirst is the size of the first buffer: the window of Deflate, and
	// twice as much that can be written between two slides.
	outputFirst = 96 << 10
	// outputKeep is the size over which a buffer is given back when the
	// message that needed it is done.
	outputKeep = 1 << 20
)

// room makes place for n bytes at pos.
func (o *output) room(n int) {
	if len(o.buf)-o.pos < n {
		o.makeRoom(n)
	}
}

// over reports whether more is pending than a message may have. Decompressors
// ask before they go on, not while they write, so that they can stop between
// two symbols or blocks: what is pending may turn out to be several messages.
func (o *output) over() bool { return o.pos-o.start > o.max }

func (o *output) makeRoom(n int) {
	need := o.pos - o.kept() + n
	size := len(o.buf)
	if 2*need > size {
		// After a slide at least half is free: a window of a megabyte is moved once
		// for more than a megabyte that is written.
		// A message grows: to what the rest of its frame will make of it, if
		// it goes on as it began; at least in proportion to what there is, so
		// that the copying is, too; not past what a message may take.
		// (Growing a READY of 4 MB from 96 KiB by doubling alone takes longer
		// than inflating it.)
		guess := min((o.pos-o.start)/max(o.at, 1)*(o.in-o.at), 16*need)
		size = max(2*need+need/2, need+guess+guess/8, outputFirst)
		size = min(size, max(need, o.start-o.kept()+o.max)+max(o.window, outputFirst))
	}
	o.slide(size)
}

// kept returns where that begins which must be kept: what was not handed out,
// and what matches may reach.
func (o *output) kept() int { return max(min(o.start, max(o.pos-o.window, o.low)), 0) }

// slide moves what must be kept to the front of a buffer of the given size.
func (o *output) slide(size int) {
	from := o.kept()
	buf := o.buf
	if size != len(buf) {
		buf = make([]byte, size)
	}
	copy(buf, o.buf[from:o.pos])
	o.buf = buf
	o.pos -= from
	o.start -= from
	// Once it is below 0, pos is at least window, and stays so: wherever the window
	// lets a match begin, there are bytes of the stream.
	o.low = max(o.low-from, -1<<30)
}

// take hands out what is pending up to end. The bytes stay as they are until
// more is written.
func (o *output) take(end int) []byte {
	msg := o.buf[o.start:end:end]
	o.start, o.handed = end, true
	if end == o.pos {
		o.fed = 0
		if len(o.buf) > outputKeep+2*o.window {
			o.slide(max(2*(o.pos-o.kept()), outputFirst))
		}
	}
	return msg
}

// forget ends a stream: nothing that follows will match what is there.
func (o *output) forget() { o.low, o.window = o.pos, 0 }

// reset forgets everything that was written.
func (o *output) reset() { o.pos, o.start, o.low, o.fed = 0, 0, 0, 0 }
