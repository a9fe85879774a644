// Command hostile serves the corpus of package hostile until it is interrupted. It
// prints its URL; GET /cases lists the cases as JSON, with their URLs, and GET
// /counts?case=name what has happened to one.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spacebar-gateway/spacebar-gateway/test/hostile"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	srv, err := hostile.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer srv.Close()
	fmt.Println("http", srv.HTTPURL())
	<-ctx.Done()
}
