// Command peers reads the messages of a local server with one of several clients
// and prints what that cost its process. It is a module of its own, so that the
// clients which this project is compared with stay out of its go.mod.
//
//	benchclient -client ours -url ws://127.0.0.1:4711/mix-json/id=1/warm=4000 -transport json -warm 4002 -frames 64004
//
// It prints "warm" when it has dealt with all that came at first and is at rest;
// what it uses from then on is measured. It prints the result, a line of JSON,
// when all frames have come. With -repeat it connects as often, one after the
// other, to a server that sends no more than READY, and measures all but the
// first two.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"
	"runtime/pprof"
	"sync/atomic"
	"syscall"
	"time"
)

// job is what a client is to do.
type job struct {
	url       string
	transport string // of the corpora: json, zlib, zstd, zstdframes, etf
	observe   string // none, message or ready
	warm      int    // messages that the server sends at once
	frames    int    // and altogether
	seen      atomic.Int64
}

// message is called with each message that was observed and decoded.
func (j *job) message(content string) { j.seen.Add(1 + int64(len(content))<<32) }

// clients connect and return when the last marker, or READY, has come. They
// close what they opened.
var clients = map[string]func(j *job, ready func()) error{
	"ours":      ours,
	"bare":      bare,
	"disgo":     disgoClient,
	"discordgo": discordgoClient,
}

// The markers that stand before and behind what is measured.
const (
	marker     = "GUILD_INTEGRATIONS_UPDATE"
	lastMarker = "2" // its guild
)

// result is what a run has cost.
type result struct {
	CPU    float64 `json:"cpu"`    // of the process, in µs
	Allocs uint64  `json:"allocs"` // objects made
	Bytes  uint64  `json:"bytes"`  // in them
	Seen   int64   `json:"seen"`   // messages observed
	Heap   uint64  `json:"heap"`   // in use at the end, after a collection
	RSS    int64   `json:"rss"`    // the most there ever was, in bytes
	Runs   int     `json:"runs"`
}

func main() {
	log.SetFlags(0)
	var j job
	name := flag.String("client", "ours", "who reads: ours, bare, disgo or discordgo")
	flag.StringVar(&j.url, "url", "", "where from")
	flag.StringVar(&j.transport, "transport", "json", "how the connection is written")
	flag.StringVar(&j.observe, "observe", "message", "what is observed and decoded: none, message or ready")
	flag.IntVar(&j.warm, "warm", 0, "how many messages come at once, Hello and READY included")
	flag.IntVar(&j.frames, "frames", 0, "how many messages come altogether")
	repeat := flag.Int("repeat", 0, "connect so often, and measure the connecting")
	profile := flag.String("cpuprofile", "", "file for a CPU profile of what is measured")
	flag.Parse()
	client := clients[*name]
	if client == nil {
		log.Fatal("no client is called ", *name)
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			log.Fatal(err)
		}
		defer f.Close()
		defer pprof.StopCPUProfile()
		begun = func() { _ = pprof.StartCPUProfile(f) }
	}
	r, err := measure(&j, client, *repeat)
	if err != nil {
		log.Fatal(*name, ": ", err)
	}
	line, _ := json.Marshal(r)
	fmt.Println(string(line))
}

// begun is called when the measuring begins.
var begun = func() {}

func measure(j *job, client func(*job, func()) error, repeat int) (r result, err error) {
	var before result
	begin := func() {
		begun()
		before = used()
	}
	r.Runs = 1
	if repeat > 0 {
		const warm = 2
		for i := range repeat {
			if i == warm {
				begin()
			}
			if err := client(j, func() {}); err != nil {
				return r, err
			}
		}
		r.Runs = repeat - warm
	} else if err := client(j, func() {
		rest()
		j.seen.Store(0)
		begin()
		fmt.Println("warm")
	}); err != nil {
		return r, err
	}
	after := used()
	r.CPU, r.Allocs, r.Bytes = after.CPU-before.CPU, after.Allocs-before.Allocs, after.Bytes-before.Bytes
	r.Seen = j.seen.Load() & (1<<32 - 1)
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.Heap, r.RSS = m.HeapInuse, after.RSS
	return r, nil
}

// used is what the process has used until now.
func used() (r result) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		log.Fatal(err)
	}
	r.CPU = float64(u.Utime.Nano()+u.Stime.Nano()) / 1e3
	r.RSS = u.Maxrss << 10
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.Allocs, r.Bytes = m.Mallocs, m.TotalAlloc
	return r
}

// rest waits until the process has nothing to do.
func rest() {
	for last := used().CPU; ; {
		time.Sleep(60 * time.Millisecond)
		now := used().CPU
		if now-last < 1000 {
			runtime.GC()
			return
		}
		last = now
	}
}
