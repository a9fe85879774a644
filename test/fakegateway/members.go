package fakegateway

import (
	"encoding/json"
	"slices"
	"strings"
)

// This file answers requests for members: by name or id (op 8, 35), and by
// their place in the member list (op 14, 37).

const (
	membersPerChunk      = 1000
	spacebarMembersLimit = 100 // of members found by name or id
)

// oneOrMore is a string or a list of strings.
type oneOrMore []string

func (l *oneOrMore) UnmarshalJSON(text []byte) error {
	if text[0] == '"' {
		*l = make(oneOrMore, 1)
		return json.Unmarshal(text, &(*l)[0])
	}
	return json.Unmarshal(text, (*[]string)(l))
}

type membersRequest struct {
	GuildID   oneOrMore `json:"guild_id"`
	Query     *string   `json:"query"`
	Limit     int       `json:"limit"`
	Presences bool      `json:"presences"`
	UserIDs   oneOrMore `json:"user_ids"`
	Nonce     string    `json:"nonce"`
}

func (c *EngineConn) onMembers(d json.RawMessage) int {
	var p membersRequest
	if code := read(d, &p); code != 0 {
		return code
	}
	if c.e.opt.Profile == Spacebar {
		switch {
		case len(p.GuildID) == 0, c.e.world.guilds[p.GuildID[0]] == nil,
			p.Query != nil && *p.Query != "" && (p.Limit == 0 || p.UserIDs != nil):
			return 4000
		}
		p.GuildID = p.GuildID[:1]
		if (p.Query != nil && *p.Query != "" || len(p.UserIDs) > 0) && (p.Limit == 0 || p.Limit > spacebarMembersLimit) {
			p.Limit = spacebarMembersLimit
		}
	} else if p.Query == nil && p.UserIDs == nil {
		return 0
	}
	for _, id := range p.GuildID {
		g := c.e.world.guilds[id]
		if g == nil {
			continue
		}
		if c.rateLimited(opMembers, id, p.Nonce) {
			continue
		}
		c.sendMembers(g, p)
	}
	return 0
}

func (c *EngineConn) onSearchMembers(d json.RawMessage) int {
	var p membersRequest
	if code := read(d, &p); code != 0 {
		return code
	}
	for _, id := range p.GuildID {
		if g := c.e.world.guilds[id]; g != nil && !c.rateLimited(opSearchMembers, id, p.Nonce) {
			c.sendMembers(g, p)
		}
	}
	return 0
}

// rateLimited answers a request with RATE_LIMITED, if the faults say so.
func (c *EngineConn) rateLimited(op int, guild, nonce string) bool {
	if c.faults.RateLimitRequests == 0 {
		return false
	}
	c.faults.RateLimitRequests--
	c.dispatch("RATE_LIMITED", rateLimitedPayload(op, guild, nonce, 29.5))
	return true
}

func rateLimitedPayload(op int, guild, nonce string, retryAfter float64) []byte {
	retry, _ := json.Marshal(retryAfter)
	o := newObject().num("opcode", int64(op)).raw("retry_after", retry).open("meta").str("guild_id", guild)
	if nonce != "" {
		o.str("nonce", nonce)
	}
	return o.close().done()
}

// sendMembers sends the members that were asked for, a thousand a chunk.
func (c *EngineConn) sendMembers(g *Guild, p membersRequest) {
	w := c.e.world
	var found []*User
	notFound := []string{}
	switch {
	case len(p.UserIDs) > 0:
		for _, id := range p.UserIDs {
			if u := w.users[id]; u != nil {
				found = append(found, u)
			} else {
				notFound = append(notFound, id)
			}
		}
	default:
		query := ""
		if p.Query != nil {
			query = strings.ToLower(*p.Query)
		}
		for _, u := range w.Users {
			if strings.HasPrefix(u.Username, query) || strings.HasPrefix(strings.ToLower(g.nickOf(u)), query) {
				found = append(found, u)
			}
		}
	}
	if p.Limit > 0 && len(found) > p.Limit {
		found = found[:p.Limit]
	}
	count := max(1, (len(found)+membersPerChunk-1)/membersPerChunk)
	for i := range count {
		chunk := found[i*membersPerChunk : min(len(found), (i+1)*membersPerChunk)]
		o := newObject().str("guild_id", g.ID)
		if p.Nonce != "" {
			o.str("nonce", p.Nonce)
		}
		o.list("members")
		for _, u := range chunk {
			o.member("", g, u, gatewayDates)
		}
		o.end()
		if p.Presences {
			o.list("presences")
			for _, u := range chunk {
				if c.e.opt.Profile == Spacebar || u.online() {
					o.presence("", u, "", true, gatewayDates)
				}
			}
			o.end()
		}
		o.num("chunk_index", int64(i)).num("chunk_count", int64(count))
		if i == 0 && (c.e.opt.Profile == Spacebar || len(notFound) > 0) {
			o.strs("not_found", notFound...)
		}
		c.dispatch("GUILD_MEMBERS_CHUNK", o.done())
	}
}

// subscription is what a client wants to hear of a guild.
type subscription struct {
	GuildID  string `json:"guild_id"`
	Channels ranges `json:"channels"`
}

// ranges are the wanted parts of the member list, of the first channel named:
// the others are not looked at.
type ranges struct {
	channel string
	list    [][2]int
}

func (r *ranges) UnmarshalJSON(text []byte) error {
	dec := json.NewDecoder(strings.NewReader(string(text)))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') || !dec.More() {
		return err
	}
	key, err := dec.Token()
	if err != nil {
		return err
	}
	r.channel, _ = key.(string)
	return dec.Decode(&r.list)
}

func (c *EngineConn) onSubscriptions(d json.RawMessage) int {
	var p subscription
	if code := read(d, &p); code != 0 {
		return code
	}
	return c.subscribe(p)
}

func (c *EngineConn) onSubscriptionsBulk(d json.RawMessage) int {
	var p struct {
		Subscriptions map[string]subscription `json:"subscriptions"`
	}
	if code := read(d, &p); code != 0 {
		return code
	}
	ids := make([]string, 0, len(p.Subscriptions))
	for id := range p.Subscriptions {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		s := p.Subscriptions[id]
		s.GuildID = id
		if code := c.subscribe(s); code != 0 {
			return code
		}
	}
	return 0
}

// subscribe answers with the parts of the member list that were asked for.
func (c *EngineConn) subscribe(s subscription) int {
	if s.Channels.channel == "" {
		return 0 // no ranges; who is named in members is known already
	}
	g := c.e.world.guilds[s.GuildID]
	ch := c.e.world.channels[s.Channels.channel]
	if g == nil || ch == nil || ch.GuildID != g.ID {
		return c.foreign()
	}
	list := c.e.memberList(g)
	o := newObject().list("ops")
	for _, r := range s.Channels.list {
		from := min(max(r[0], 0), len(list.items))
		to := min(max(r[1]+1, from), len(list.items))
		o.open("").list("items")
		for _, it := range list.items[from:to] {
			o.raw("", it())
		}
		o.end().str("op", "SYNC").list("range").num("", int64(r[0])).num("", int64(r[1])).end().close()
	}
	o.end().num("online_count", int64(list.online)).num("member_count", int64(len(c.e.world.Users))).
		str("id", "everyone").str("guild_id", g.ID).list("groups")
	for _, gr := range list.groups {
		o.raw("", gr)
	}
	c.dispatch("GUILD_MEMBER_LIST_UPDATE", o.end().done())
	return 0
}

// memberList is the member list of a guild: groups, each followed by its
// members. Items are made when they are asked for.
type memberList struct {
	items  []func() []byte
	groups [][]byte
	online int
}

func (e *Engine) memberList(g *Guild) memberList {
	var l memberList
	var hoisted, online, offline []*User
	for _, u := range e.world.Users {
		switch {
		case !u.online():
			offline = append(offline, u)
		case len(g.rolesOf(u)) > 0:
			hoisted = append(hoisted, u)
		default:
			online = append(online, u)
		}
	}
	l.online = len(hoisted) + len(online)
	group := func(id string, users []*User) {
		if len(users) == 0 {
			return
		}
		head := newObject().num("count", int64(len(users))).str("id", id).done()
		l.groups = append(l.groups, head)
		l.items = append(l.items, func() []byte { return newObject().raw("group", head).done() })
		for _, u := range users {
			l.items = append(l.items, func() []byte {
				return newObject().listedMember("member", g, u, gatewayDates, func(o *object) {
					o.open("presence").raw("activities", u.activities()).open("user").str("id", u.ID).close().
						open("client_status").close().str("status", u.status).close()
				}).done()
			})
		}
	}
	group(g.Roles[1].ID, hoisted)
	group("online", online)
	group("offline", offline)
	return l
}
