package shard_test

import (
	"context"
	"fmt"
	"log"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/shard"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/user"
	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

func ExampleConnect() {
	srv, err := fakegateway.Start(fakegateway.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()

	ctx := context.Background()
	instance, err := user.Discover(ctx, srv.HTTPURL(), user.Options{})
	if err != nil {
		log.Fatal(err)
	}
	bot, err := instance.GatewayBot(ctx, fakegateway.AliceToken, user.Options{})
	if err != nil {
		log.Fatal(err)
	}
	group, err := shard.Connect(ctx, bot.URL, shard.Options{
		Gateway: instance.GatewayOptions(gateway.Options{Token: fakegateway.AliceToken}),
		Count:   bot.Shards,
		Limit:   bot.Limit,
	})
	if err != nil {
		log.Fatal(err)
	}

	shard.Observe(group, func(id int, m *event.MessageCreate) {
		fmt.Println("shard", id, "was told:", m.Content)
		_ = group.Close()
	})
	if _, err := srv.Dispatch("MESSAGE_CREATE", map[string]any{"id": "1", "channel_id": "2", "content": "hello"}); err != nil {
		log.Fatal(err)
	}
	<-group.Done()
	fmt.Println(group.Err())
	// Output:
	// shard 0 was told: hello
	// gateway: the handle is closed
}
