// The demo: a page that holds a live session, and the gateway it talks to, in one
// server. ./build.sh demo builds what the page needs and runs this.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to serve the demo at")
	root := flag.String("web", "web", "folder of the npm package, built")
	life := flag.Float64("life", 4, "events that happen by themselves each second")
	flag.Parse()
	if err := run(*addr, *root, *life); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(addr, root string, life float64) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	host := listener.Addr().String()

	mux := http.NewServeMux()
	for path, profile := range map[string]fakegateway.Profile{"gateway": fakegateway.Documented, "spacebar": fakegateway.Spacebar} {
		srv, err := fakegateway.New(fakegateway.Options{
			Profile: profile, Control: true, Life: life, Interval: 10 * time.Second, Members: 60,
			ResumeURL: "ws://" + host + "/" + path,
		})
		if err != nil {
			return err
		}
		defer srv.Close()
		mux.Handle("/"+path, srv)
		mux.Handle("/"+path+"/", http.StripPrefix("/"+path, srv))
		if profile == fakegateway.Documented {
			mux.HandleFunc("/embedded.json", embedded(srv, host))
		}
	}
	files := http.FileServer(http.Dir(root))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/demo/", http.StatusFound)
			return
		}
		// What a careful site would send.
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self'; connect-src 'self' ws: wss:")
		w.Header().Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(os.Stderr, "demo: ", 0)}
	fmt.Printf("The demo is at    http://%s/\n", host)
	fmt.Printf("Its gateways are  ws://%s/gateway (resumes) and ws://%s/spacebar (as Spacebar)\n", host, host)
	fmt.Printf("A token           %s\n", fakegateway.AliceToken)
	fmt.Println("Stop it with Ctrl-C.")

	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	shut, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(shut); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// embedded tells the page about the gateway it came with.
func embedded(srv *fakegateway.Server, host string) http.HandlerFunc {
	info := map[string]string{"url": "ws://" + host + "/gateway", "token": fakegateway.AliceToken, "control": "/gateway/control"}
	if guilds := srv.World().Guilds; len(guilds) > 0 {
		info["guild"] = guilds[0].ID
		for _, c := range guilds[0].Channels {
			switch {
			case c.Type == 0 && info["channel"] == "":
				info["channel"] = c.ID
			case c.Type == 2 && info["voice"] == "":
				info["voice"] = c.ID
			}
		}
	}
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		here := info
		if r.Host != "" && !strings.ContainsAny(r.Host, "\"<> ") {
			here = map[string]string{}
			for k, v := range info {
				here[k] = v
			}
			here["url"] = "ws://" + r.Host + "/gateway"
		}
		_ = json.NewEncoder(w).Encode(here)
	}
}
