package watch_test

import (
	"context"
	"fmt"
	"log"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/watch"
	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

// connect returns a handle at a gateway for examples.
func connect() (*gateway.Handle, *fakegateway.Server) {
	srv, err := fakegateway.Start(fakegateway.Options{})
	if err != nil {
		log.Fatal(err)
	}
	h, err := gateway.Connect(context.Background(), srv.URL(), gateway.Options{Token: fakegateway.AliceToken})
	if err != nil {
		log.Fatal(err)
	}
	return h, srv
}

// A guild is watched from the event on that brings it.
func ExampleGuild() {
	h, srv := connect()
	defer srv.Close()
	defer h.Close()

	guilds := make(chan *watch.Watched[watch.GuildState])
	gateway.Observe(h, func(g *event.GuildCreate) { guilds <- watch.Guild(h, g) })

	srv.Dispatch("GUILD_CREATE", map[string]any{"id": "10", "name": "Castle", "member_count": 1})
	guild := <-guilds
	defer guild.Release()
	fmt.Println(guild.Current().Name.Value(), "has", guild.Current().Channels().Len(), "channels")

	srv.Dispatch("CHANNEL_CREATE", map[string]any{"id": "20", "guild_id": "10", "type": 0, "name": "great-hall"})
	<-guild.Changes()
	for id, channel := range guild.Current().Channels().All() {
		fmt.Println(id, channel.Name.Value())
	}
	// Output:
	// Castle has 0 channels
	// 20 great-hall
}

// Versions can be kept, and compared by their pointers.
func ExampleWatched_Subscribe() {
	h, srv := connect()
	defer srv.Close()
	defer h.Close()

	role := watch.Role(h, 10, &event.Role{ID: 41, Name: "Knights"})
	done := make(chan struct{})
	before := role.Current()
	role.Subscribe(func(now *event.Role) {
		fmt.Println(before.Name, "are", now.Name, "now:", before != now)
		close(done)
	})
	srv.Dispatch("GUILD_ROLE_UPDATE", map[string]any{"guild_id": "10", "role": map[string]any{"id": "41", "name": "Dragons"}})
	<-done

	role.Release()
	fmt.Println(role.Current().Name)
	// Output:
	// Knights are Dragons now: true
	// Dragons
}

// Limits bound what is kept of a guild.
func ExampleLimit() {
	h, srv := connect()
	defer srv.Close()
	defer h.Close()

	full := make(chan watch.Limited, 1)
	guild := watch.Guild(h, event.Snowflake(10), watch.Limit(watch.PartMembers, 1), watch.OnLimit(func(l watch.Limited) { full <- l }))
	member := func(id string) map[string]any { return map[string]any{"user": map[string]any{"id": id}} }
	srv.Dispatch("GUILD_CREATE", map[string]any{"id": "10", "members": []any{member("1"), member("2")}})
	fmt.Println((<-full).Part, guild.Current().Members().Len())
	// Output: members 1
}
