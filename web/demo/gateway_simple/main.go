// gateway_simple opens a connection and identifies. The same for a page is
// main.js beside this file.
//
//	go run ./web/demo/gateway_simple -url wss://gateway.example -token …
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

	identify := event.IdentifyCommon()
	identify.Token = event.Token(*token)
	ready, err := h.Identify(ctx, identify)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("Logged in as", ready.User.Username)
}
