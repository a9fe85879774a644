package fakegateway_test

import (
	"context"
	"fmt"
	"log"

	"github.com/coder/websocket"

	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

func Example() {
	srv, err := fakegateway.Start(fakegateway.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()

	// The client under test. Here it is only a WebSocket.
	ctx := context.Background()
	ws, _, err := websocket.Dial(ctx, srv.URL()+"?encoding=json", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ws.CloseNow()
	_, hello, err := ws.Read(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", hello)

	// Make something happen, and see how the client takes it.
	srv.Send(fakegateway.Target{}, `{"op":99}`)
	srv.CloseConns(fakegateway.Target{}, 4000, "")
	_, unknown, err := ws.Read(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", unknown)
	_, _, err = ws.Read(ctx)
	fmt.Println(int(websocket.CloseStatus(err)))

	// Output:
	// {"op":10,"d":{"heartbeat_interval":30000}}
	// {"op":99}
	// 4000
}

// A test plays the server's part itself.
func ExampleServer_OnConn() {
	srv, err := fakegateway.Start(fakegateway.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	srv.OnConn(func(n int, c *fakegateway.Conn) {
		if n == 1 {
			c.Drop() // the first connection breaks
			return
		}
		c.Hello()
		identify, err := c.WaitFor(2)
		if err != nil {
			return // the client has gone
		}
		c.Send(`{"op":9,"d":false}`) // the first Identify is refused
		if identify, err = c.WaitFor(2); err == nil {
			c.Handle(identify)
			c.Serve() // and from here on all is well
		}
	})
	// Let the client connect to srv.URL().
}
