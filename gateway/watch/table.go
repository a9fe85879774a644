package watch

import (
	"slices"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
)

// The table of what each event does to which object is made from
// gateway/event/spec/watch.json, whose README explains the words. This file has
// the types it is made of and the little that all verbs share.

// kindID numbers the kinds.
type kindID uint8

// Part names a collection of a guild.
type Part uint8

// String returns the name of the part in the guild's payload.
func (p Part) String() string {
	if p == 0 || int(p) > len(partNames) {
		return "no part"
	}
	return partNames[p-1]
}

// kind is a kind of object that events change.
type kind struct {
	kindID
	name     string
	id       []path // where an object has its id
	local    bool   // the id is one of each guild's own
	inline   string
	omit     []string
	types    []int64
	notTypes []int64
	part     Part // 0 if guilds contain none
	complete bool // a list is of all there are
	limit    int
	inGuild  bool // goes with its guild
	then     []rule
	events   []string
	model    typed
}

type verb uint8

const (
	putVerb    verb = iota // lay it over what is known, or make it known
	resetVerb              // it takes the place of what is known
	updateVerb             // lay it over what is known
	deleteVerb             // it is gone
	listVerb               // these are all there are
	setVerb                // put a value into a field of what is known
	addVerb                // put it into a list in what is known
	removeVerb             // take it out of a list in what is known
	countVerb              // add to a number in what is known
	staleVerb              // it is not known any more how it is
	sweepVerb              // what nobody has mentioned since is gone
)

// rule is something that an event does.
type rule struct {
	verb       verb
	kinds      []kindID
	field      string
	omit       []string
	at         path
	from       path
	id         []path
	in         path
	everywhere bool
	when       string
	unless     []string
	by         string
	within     string
	step       int64
}

// partKinds are the kinds by the part of a guild that they are in.
var partKinds [partCount]*kind

func init() {
	for i := range kinds {
		k := &kinds[i]
		k.kindID = kindID(i)
		if k.part != 0 {
			partKinds[k.part-1] = k
		}
	}
}

// applies reports whether the conditions of a rule hold for an object.
func (r *rule) applies(obj *node) bool {
	return (r.when == "" || obj.get(r.when).yes()) &&
		!slices.ContainsFunc(r.unless, func(key string) bool { return obj.get(key).yes() })
}

// idOf returns the id of the object that a rule is about.
func (r *rule) idOf(k *kind, obj *node) event.Snowflake {
	if r.id != nil {
		return obj.firstID(r.id)
	}
	return obj.firstID(k.id)
}

// fits reports whether an object that is not known yet is of a kind, by its type.
// One without a type is of the kind that a rule names first.
func (k *kind) fits(obj *node, first bool) bool {
	if k.types == nil && k.notTypes == nil {
		return true
	}
	t, ok := obj.get("type").number()
	if !ok {
		return first
	}
	if k.types != nil {
		return slices.Contains(k.types, t)
	}
	return !slices.Contains(k.notTypes, t)
}

// merge lays an object over another, or makes one.
func (k *kind) merge(old any, obj *node) (any, error) {
	if !obj.isObject() {
		return old, nil
	}
	v, err := k.model.merge(old, obj.without(k.omit))
	if err == nil && k.inline != "" {
		if inline := obj.get(k.inline); inline.isObject() {
			return k.model.merge(v, inline.without(k.omit))
		}
	}
	return v, err
}

// replace makes an object, or leaves the old one if it cannot.
func (k *kind) replace(old any, obj *node) (any, error) {
	v, err := k.merge(nil, obj)
	if err != nil || v == nil {
		return old, err
	}
	return v, nil
}
