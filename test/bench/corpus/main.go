// Command corpus writes the messages that the benchmark measures with, as the
// frames of whole connections, in every transport but zlib-stream: that one is
// made from the JSON by node's zlib, as real servers make it (lib/corpus.mjs).
//
//	go run ./test/bench/corpus -out build/bench
//
// A file NAME-TRANSPORT.frames holds Hello, READY and the events of a
// connection. Each frame is a byte (1: binary), its length (four bytes, little
// endian) and its data. NAME.json tells what is in them.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
)

// Numbers of events. Those to measure come after a few to warm up with. A stream
// that is compressed can only be sent whole, so that there is a long mix, for
// clients in Go, and a short one for pages.
const (
	small = 26_000
	warm  = 4_000
	mix   = 60_000
	page  = 10_000
)

func main() {
	out := flag.String("out", "build/bench", "folder to write to")
	flag.Parse()
	if err := run(*out); err != nil {
		log.Fatal(err)
	}
}

func run(out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	all, err := everything()
	if err != nil {
		return err
	}
	for _, c := range all {
		for _, t := range c.transports {
			if err := write(filepath.Join(out, c.name+"-"+t+".frames"), t, c.messages); err != nil {
				return err
			}
		}
		meta, err := json.Marshal(c.meta())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(out, c.name+".json"), meta, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// corpus is one connection.
type corpus struct {
	name       string
	transports []string
	messages   []string // JSON texts: Hello, READY, events
	warm       int      // events before the first marker
}

// meta is what the readers want to know of a corpus.
func (c *corpus) meta() map[string]any {
	bytes := 0
	for _, m := range c.messages[2:] {
		bytes += len(m)
	}
	return map[string]any{"events": len(c.messages) - 2, "warm": c.warm, "bytes": bytes, "mean": fmt.Sprintf("%.0f", float64(bytes)/float64(len(c.messages)-2))}
}
