package session

// Kind is what a session knows about one event name: how often it came and
// whether anybody wants it.
type Kind struct {
	Name string
	// ID is the kind's number in its table, counted from 1.
	ID int
	// Count of the events that arrived.
	Count uint64
	// observers of this very name.
	observers int
	role      role
}

// role marks the two events that the session itself understands.
type role uint8

const (
	roleNone role = iota
	roleReady
	roleResumed
)

// maxKinds bounds the table against a server that makes names up. The
// protocol has some 210; kinds beyond the bound reach observers of all events.
const maxKinds = 2048

// maxName bounds a name that is kept; the longest of the protocol has 44 letters.
const maxName = 256

// Kinds is the table of event names of one handle. Names enter it when they
// are first observed or first arrive. The zero value is ready for use.
type Kinds struct {
	kinds []*Kind  // by ID-1
	slots []uint16 // open addressing; 0 is empty, else an ID
	all   int      // observers of every event
}

// Observe counts one more observer of name ("*" for every event) and returns
// the kind's ID, 0 for "*".
func (k *Kinds) Observe(name string) int {
	if name == "*" {
		k.all++
		return 0
	}
	kind := k.find(name)
	if kind == nil {
		kind = k.add(name)
	}
	kind.observers++
	return kind.ID
}

// Unobserve takes back one Observe of name.
func (k *Kinds) Unobserve(name string) {
	if name == "*" {
		if k.all > 0 {
			k.all--
		}
	} else if kind := k.find(name); kind != nil && kind.observers > 0 {
		kind.observers--
	}
}

// Len returns the number of kinds known; their IDs are 1 to Len.
func (k *Kinds) Len() int { return len(k.kinds) }

// Kind returns the kind with this ID.
func (k *Kinds) Kind(id int) *Kind { return k.kinds[id-1] }

func (k *Kinds) wants(kind *Kind) bool { return k.all > 0 || kind.observers > 0 }

// arrived finds the kind of an event just received, adding it if it is new.
func (k *Kinds) arrived(name []byte) *Kind {
	if len(k.slots) > 0 {
		for i := hash(name) & uint32(len(k.slots)-1); k.slots[i] != 0; i = (i + 1) & uint32(len(k.slots)-1) {
			if kind := k.kinds[k.slots[i]-1]; kind.Name == string(name) {
				return kind
			}
		}
	}
	if len(k.kinds) >= maxKinds || len(name) > maxName {
		return &Kind{Name: string(name)}
	}
	return k.add(string(name))
}

func (k *Kinds) find(name string) *Kind {
	for _, kind := range k.kinds {
		if kind.Name == name {
			return kind
		}
	}
	return nil
}

func (k *Kinds) add(name string) *Kind {
	kind := &Kind{Name: name, ID: len(k.kinds) + 1}
	switch name {
	case "READY":
		kind.role = roleReady
	case "RESUMED":
		kind.role = roleResumed
	}
	k.kinds = append(k.kinds, kind)
	if 2*len(k.kinds) > len(k.slots) {
		k.slots = make([]uint16, max(64, 2*len(k.slots)))
		for _, kind := range k.kinds {
			k.insert(kind)
		}
	} else {
		k.insert(kind)
	}
	return kind
}

func (k *Kinds) insert(kind *Kind) {
	i := hash([]byte(kind.Name)) & uint32(len(k.slots)-1)
	for k.slots[i] != 0 {
		i = (i + 1) & uint32(len(k.slots)-1)
	}
	k.slots[i] = uint16(kind.ID)
}

// hash tells the protocol's names apart by their length and six letters spread
// over them, at a cost that does not grow with the name: Go's own map spends
// several times as long in WebAssembly, which has no AES instructions.
func hash(name []byte) uint32 {
	n := len(name)
	if n == 0 {
		return 0
	}
	h := uint32(n)
	for _, i := range [...]int{0, n / 5, 2 * n / 5, 3 * n / 5, 4 * n / 5, n - 1} {
		h = h*31 + uint32(name[i])
	}
	return h ^ h>>15
}
