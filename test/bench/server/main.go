// Command server is the gateway that the benchmark reads from: it writes the
// frames of a corpus (see ../corpus) as fast as a client takes them, or at a
// rate, and costs next to nothing while it does.
//
// A client connects to ws://ADDR/FILE/OPTION=VALUE/…, where FILE is a corpus
// with its transport ("mix-json") and the options are
//
//	warm=n   frames of events that follow READY at once; the rest waits for /go
//	rate=n   events a second; 0, the default, is as fast as they are taken
//	events=n of them after the warm ones; all by default
//	loop=n   send those so many times, but for the last
//	id=name  of the connection, for /go
//
// The server says Hello, waits for a message, says READY and sends. GET /go/ID
// begins the part that is measured. GET /api/… answers as the place where
// clients ask for the gateway's URL: it is the rest of the path. The server ends
// when its standard input does.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

func main() {
	dir := flag.String("dir", "build/bench", "where the corpora are")
	flag.Parse()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println(l.Addr())
	log.Fatal(http.Serve(l, &server{dir: *dir, files: map[string]*stream{}, waiting: map[string]chan struct{}{}}))
}

type server struct {
	dir string

	mu      sync.Mutex
	files   map[string]*stream
	waiting map[string]chan struct{} // closed by /go
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch first, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); first {
	case "go":
		w.Header().Set("Access-Control-Allow-Origin", "*")
		close(s.gate(rest))
	case "api":
		fmt.Fprintf(w, `{"url":"ws://%s/%s"}`, r.Host, rest)
	default:
		o, err := parse(rest)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if o.stream, err = s.open(first); err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		o.start = s.gate(o.id)
		serve(w, r, o)
		s.mu.Lock()
		delete(s.waiting, o.id)
		s.mu.Unlock()
	}
}

// gate is what a connection waits for.
func (s *server) gate(id string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[id] == nil {
		s.waiting[id] = make(chan struct{})
	}
	return s.waiting[id]
}

func (s *server) open(name string) (*stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.files[name]; f != nil {
		return f, nil
	}
	f, err := load(filepath.Join(s.dir, filepath.Base(name)+".frames"))
	if err == nil {
		s.files[name] = f
	}
	return f, err
}

// options of a connection.
type options struct {
	stream                   *stream
	warm, events, loop, rate int
	id                       string
	start                    chan struct{}
}

func parse(path string) (o options, err error) {
	o.loop = 1
	for _, part := range strings.Split(strings.Trim(path, "/"), "/") {
		name, value, _ := strings.Cut(part, "=")
		n, e := strconv.Atoi(value)
		switch name {
		case "":
			continue
		case "id":
			o.id, e = value, nil
		case "warm":
			o.warm = n
		case "events":
			o.events = n
		case "loop":
			o.loop = n
		case "rate":
			o.rate = n
		default:
			e = fmt.Errorf("no option is called %q", name)
		}
		if e != nil {
			err = e
		}
	}
	return o, err
}
