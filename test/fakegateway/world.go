package fakegateway

import (
	"fmt"
	"strconv"
	"time"
)

// World is what there is to see on the server: users, guilds and channels. It
// follows from Options alone, so a test may rely on its names; ids are read
// from here. Do not change it.
type World struct {
	// Users in the order in which they came; the accounts are among them.
	Users []*User `json:"users"`
	// Guilds; every user is a member of each.
	Guilds []*Guild `json:"guilds"`
	// Private channels: of the first user with each of the next three, and a
	// group.
	Private []*Channel `json:"private"`

	users    map[string]*User
	names    map[string]*User
	guilds   map[string]*Guild
	channels map[string]*Channel
}

// User is an account, or somebody a client only hears of.
type User struct {
	ID            string `json:"id"`
	Username      string `json:"username"`
	Discriminator string `json:"discriminator"`
	Bio           string `json:"bio"`

	index    int
	email    string
	since    time.Time
	status   string
	activity []byte // JSON array, nil for none
	voice    *voiceState
}

// Guild is what is called a server in the user interface.
type Guild struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	OwnerID  string     `json:"owner_id"`
	Channels []*Channel `json:"channels"`
	Roles    []*Role    `json:"roles"`

	created time.Time
}

// Channel of a guild, or a private one (GuildID is empty).
type Channel struct {
	ID       string `json:"id"`
	GuildID  string `json:"guild_id,omitempty"`
	ParentID string `json:"parent_id,omitempty"`
	Name     string `json:"name"`
	Topic    string `json:"topic,omitempty"`
	// Type as in the protocol: 0 text, 1 direct, 2 voice, 3 group, 4 category,
	// 5 announcements.
	Type int `json:"type"`
	// LastMessageID is empty if nobody has written here.
	LastMessageID string `json:"last_message_id,omitempty"`
	// Recipients of a private channel.
	Recipients []*User `json:"recipients,omitempty"`

	position    int
	created     time.Time
	voiceSince  time.Time
	voiceStatus string
}

// Role of a guild. The first is @everyone and has the guild's id.
type Role struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Permissions string `json:"permissions"`
	Color       int    `json:"color"`
	Hoist       bool   `json:"hoist"`
}

type voiceState struct {
	guild, channel string // channel is "" for somebody who is leaving
	session        string
	mute, deaf     bool
	video          bool
}

var (
	firstNames = [...]string{"alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "karl", "lena", "mallory", "niaj", "olivia", "peggy", "quentin", "rupert", "sybil", "trent", "ursula", "victor", "wendy", "xavier", "yuki", "zoe"}
	bios       = [...]string{"", "tea, books, rain", "building things", "", "they/them", "ask me about trains", "somewhere in UTC+1", ""}
	guildNames = [...]string{"Spacebar Lounge", "Book Club", "Night Owls", "Gophers", "Amateur Radio", "Sourdough", "Pixel Art", "Running Late"}
	chanNames  = [...]string{"general", "random", "help", "off-topic", "music", "pictures", "links", "feedback"}
	topics     = [...]string{"Say hello", "Anything goes", "Nobody is born knowing", "", "What are you listening to?", "", "", "Be kind"}
	statuses   = [...]string{"online", "online", "idle", "dnd", "offline"}
	games      = [...]string{"Chess", "Tetris", "Factorio", "a podcast", "Go", "Minesweeper"}
)

// worldEpoch dates the ids of the world. They do not follow Options.Epoch, so
// they are the same in every run.
var worldEpoch = time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)

// snowflakeEpoch is the first millisecond of 2015, from which ids count.
var snowflakeEpoch = time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)

func snowflake(t time.Time, n int) string {
	return strconv.FormatUint(uint64(t.Sub(snowflakeEpoch).Milliseconds())<<22|uint64(n)&0x3fffff, 10)
}

func newWorld(o *Options) *World {
	w := &World{
		users: map[string]*User{}, names: map[string]*User{},
		guilds: map[string]*Guild{}, channels: map[string]*Channel{},
	}
	for range o.Members {
		w.addUser("", worldEpoch.Add(time.Duration(len(w.Users))*time.Minute))
	}
	for _, a := range o.Accounts {
		w.account(a, worldEpoch)
	}
	for i := range o.Guilds {
		w.addGuild(i, o.Channels)
	}
	for i := 1; i < min(len(w.Users), 4); i++ {
		w.addPrivate(1, "", w.Users[:1:1], w.Users[i:i+1])
	}
	if len(w.Users) > 3 {
		w.addPrivate(3, "Weekend plans", w.Users[:3])
	}
	return w
}

// clone copies what is exported and what finds it.
func (w *World) clone() *World {
	c := &World{
		users: map[string]*User{}, names: map[string]*User{},
		guilds: map[string]*Guild{}, channels: map[string]*Channel{},
	}
	for _, u := range w.Users {
		u := *u
		u.voice = nil
		c.Users = append(c.Users, &u)
		c.users[u.ID], c.names[u.Username] = &u, &u
	}
	channels := func(list []*Channel) (out []*Channel) {
		for _, ch := range list {
			ch := *ch
			ch.Recipients = nil
			for _, r := range w.channels[ch.ID].Recipients {
				ch.Recipients = append(ch.Recipients, c.users[r.ID])
			}
			out = append(out, &ch)
			c.channels[ch.ID] = &ch
		}
		return out
	}
	for _, g := range w.Guilds {
		g := *g
		g.Channels = channels(g.Channels)
		c.Guilds = append(c.Guilds, &g)
		c.guilds[g.ID] = &g
	}
	c.Private = channels(w.Private)
	return c
}

// account finds the user of an account, or makes one.
func (w *World) account(a Account, at time.Time) *User {
	u := w.names[a.Username]
	if u == nil {
		u = w.addUser(a.Username, at.Add(time.Duration(len(w.Users))*time.Millisecond))
	}
	u.email = a.Email
	return u
}

func (w *World) addUser(name string, at time.Time) *User {
	i := len(w.Users)
	if name == "" {
		name = firstNames[i%len(firstNames)]
		if i >= len(firstNames) {
			name += strconv.Itoa(i / len(firstNames))
		}
	}
	u := &User{
		ID: snowflake(at, i), Username: name, Discriminator: fmt.Sprintf("%04d", (i*1697+3184)%10000),
		Bio: bios[i%len(bios)], index: i, since: at, status: statuses[i%len(statuses)],
	}
	if i%6 == 1 {
		u.activity = []byte(`[{"name":"` + games[i%len(games)] + `","type":0}]`)
	}
	w.Users = append(w.Users, u)
	w.users[u.ID] = u
	w.names[u.Username] = u
	return u
}

func (w *World) addGuild(i, channels int) {
	at := worldEpoch.Add(time.Duration(i+1) * time.Hour)
	g := &Guild{ID: snowflake(at, 1), Name: guildNames[i%len(guildNames)], OwnerID: w.Users[i%min(len(w.Users), 3)].ID, created: at}
	if i >= len(guildNames) {
		g.Name += " " + strconv.Itoa(i/len(guildNames)+1)
	}
	g.Roles = []*Role{
		{ID: g.ID, Name: "@everyone", Permissions: "2251804225"},
		{ID: snowflake(at, 2), Name: "Moderators", Permissions: "8", Color: 0x3498db, Hoist: true},
	}
	// A category, text channels under it, one for announcements, two for voice.
	text := channels - 4
	category := ""
	for n := range channels {
		c := &Channel{GuildID: g.ID, ParentID: category, position: n, created: at.Add(time.Duration(n+1) * time.Second)}
		c.ID = snowflake(c.created, n)
		switch {
		case n == 0:
			c.Name = chanNames[0]
			c.Topic = topics[0]
		case n == 1:
			c.Type, c.Name, c.ParentID = 4, "Talk", ""
			category = c.ID
		case n == 2:
			c.Type, c.Name = 2, "Voice"
		case n == 3:
			c.Type, c.Name = 5, "announcements"
		case n == 4 && text > 2:
			c.Type, c.Name = 2, "Standup"
		default:
			k := n - 3
			c.Name, c.Topic = chanNames[k%len(chanNames)], topics[k%len(topics)]
			if k >= len(chanNames) {
				c.Name += "-" + strconv.Itoa(k/len(chanNames)+1)
			}
		}
		if c.Type == 0 {
			c.LastMessageID = snowflake(c.created.Add(time.Minute), n)
		}
		g.Channels = append(g.Channels, c)
		w.channels[c.ID] = c
	}
	w.Guilds = append(w.Guilds, g)
	w.guilds[g.ID] = g
}

func (w *World) addPrivate(kind int, name string, people ...[]*User) {
	at := worldEpoch.Add(time.Duration(len(w.Private)+1) * time.Second)
	c := &Channel{Type: kind, Name: name, created: at, ID: snowflake(at, 7), LastMessageID: snowflake(at.Add(time.Minute), 7)}
	for _, p := range people {
		c.Recipients = append(c.Recipients, p...)
	}
	w.Private = append(w.Private, c)
	w.channels[c.ID] = c
}

// User returns the user of that name, or nil.
func (w *World) User(name string) *User { return w.names[name] }

// Guild returns the guild of that id, or nil.
func (w *World) Guild(id string) *Guild { return w.guilds[id] }

// Channel returns the guild's or private channel of that id, or nil.
func (w *World) Channel(id string) *Channel { return w.channels[id] }

// Text returns the first text channel.
func (g *Guild) Text() *Channel { return g.Channels[0] }

// Voice returns the first voice channel, or nil if the guild has none.
func (g *Guild) Voice() *Channel {
	for _, c := range g.Channels {
		if c.Type == 2 {
			return c
		}
	}
	return nil
}

// privateOf returns the private channels that u is in.
func (w *World) privateOf(u *User) (list []*Channel) {
	for _, c := range w.Private {
		for _, r := range c.Recipients {
			if r == u {
				list = append(list, c)
				break
			}
		}
	}
	return list
}

// roles of a member, without @everyone.
func (g *Guild) rolesOf(u *User) (ids []string) {
	if u.ID == g.OwnerID || u.index == 4 {
		ids = append(ids, g.Roles[1].ID)
	}
	return ids
}

func (g *Guild) nickOf(u *User) string {
	if u.index%7 == 3 {
		return u.Username + " the " + [...]string{"Wise", "Quick", "Sleepy"}[u.index%3]
	}
	return ""
}

func (g *Guild) joinedAt(u *User) time.Time {
	if at := g.created.Add(time.Duration(u.index) * time.Minute); at.After(u.since) {
		return at
	}
	return u.since
}
