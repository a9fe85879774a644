// gateway_observers observes READY, with an observer that is a value of its own.
// The same for a page is main.js beside this file.
//
//	go run ./web/demo/gateway_observers -url wss://gateway.example -token …
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
)

// greeter is an observer.
type greeter struct{ done chan struct{} }

func (g greeter) Update(ready *event.Ready, e *gateway.Event) {
	fmt.Printf("%s: hello %s, you are in %d guilds\n", e.Name, ready.User.Username, len(ready.Guilds))
	close(g.done)
}

func main() {
	url := flag.String("url", "ws://127.0.0.1:8080/gateway", "URL of the gateway")
	token := flag.String("token", "token-of-alice", "token of the account")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	h, err := gateway.Spawn(ctx, *url, gateway.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()

	g := greeter{make(chan struct{})}
	unsubscribe := gateway.Subscribe(h, g)
	defer unsubscribe()

	identify := event.IdentifyCommon()
	identify.Token = event.Token(*token)
	if err := h.SendIdentify(ctx, identify); err != nil {
		log.Fatal(err)
	}
	select {
	case <-g.done:
	case <-h.Done():
		log.Fatal(h.Err())
	case <-ctx.Done():
		log.Fatal(ctx.Err())
	}
}
