// Package watch keeps objects up to date: a watched guild, channel, thread, role,
// member, user, auto moderation rule or voice state is changed by the events that
// concern it, and with a guild all that it contains.
//
//	gateway.Observe(h, func(g *event.GuildCreate) {
//		guild := watch.Guild(h, g)
//		guild.Subscribe(func(now *watch.GuildState) {
//			fmt.Println(now.Name.Value(), "has", now.Members().Len(), "members")
//		})
//	})
//
// # What is known
//
// Nothing is kept of what nobody watches, so a watched object is not known until an
// event tells the whole of it: READY and GUILD_CREATE do so of a guild. Who has it
// already, because an event of just now brought it, gives the object itself instead
// of its id. What a watched guild contains can be watched by itself at any time.
//
// A version of an object is immutable, and so are the collections of a guild: take
// one with [Watched.Current] and read it in peace. The next version shares with it
// all that is the same, so that a pointer that is equal is a thing that has not
// changed, and so that an event costs as much as it changes, whatever the size of
// the guild.
//
// # What is certain
//
// When a session is lost and another takes its place, when the handle had to drop
// events, and when it is closed, what has happened meanwhile is not known:
// everything is stale (see [Watched.Stale]). With READY guilds are fresh again, and
// what is in no guild of the account any more is deleted. Guilds that READY says are
// unavailable stay stale until their GUILD_CREATE. A resumed session misses nothing,
// and leaves nothing stale. Members, threads and users are told in full by few
// events; those that are not mentioned again stay stale when they are watched by
// themselves.
//
// Events may come more than once, as Spacebar servers send some; that changes
// nothing.
//
// # What it costs
//
// While something is watched, its events are observed; [Watched.Release] frees what
// nobody else watches. [Limit] bounds what is kept of a guild.
//
// Which event changes what is a table, watch.json in the spec of package event. The
// TypeScript package has the same, made from the same table.
package watch
