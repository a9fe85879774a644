// Command simulate lives through seeds of the simulation.
//
//	./build.sh simulate -seeds 10000     lives through seeds 0 to 9999
//	./build.sh simulate -seed 17         lives through one, and prints its trace
//	./build.sh simulate -seeds 1000000 -state f.json
//	                                     keeps account in a file, and goes on there
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/test/simulation"
)

// account is what many seeds have come to.
type account struct {
	From, Next     uint64
	Elapsed        float64 // virtual hours: years of nanoseconds would overflow
	Took           float64 // real seconds
	Events, Sends  int
	Dials, Resumes int
	Gaps, Fatal    int
	Faults         map[string]int
	Failed         []*simulation.Report // without their traces
}

func main() {
	seeds := flag.Uint64("seeds", 2000, "how many seeds to live through")
	from := flag.Uint64("from", 0, "the first of them")
	seed := flag.Int64("seed", -1, "live through this seed only, and print its trace")
	threads := flag.Int("threads", runtime.GOMAXPROCS(0), "how many to live through at a time")
	state := flag.String("state", "", "file to keep account in; one that exists is gone on with")
	flag.Parse()
	if *seed >= 0 {
		r := simulation.Run(uint64(*seed), true)
		fmt.Println(r.Trace)
		fmt.Print(r.Format())
		if len(r.Violations) > 0 {
			os.Exit(1)
		}
		return
	}
	debug.SetGCPercent(800) // much garbage, little heap
	runtime.GOMAXPROCS(*threads)
	a := &account{From: *from, Next: *from, Faults: map[string]int{}}
	if err := a.load(*state); err != nil {
		fmt.Fprintln(os.Stderr, "simulate:", err)
		os.Exit(1)
	}
	const block = 1000
	for end := a.From + *seeds; a.Next < end; {
		began := time.Now()
		a.live(min(end, a.Next+block), *threads)
		a.Took += time.Since(began).Seconds()
		if err := a.save(*state); err != nil {
			fmt.Fprintln(os.Stderr, "simulate:", err)
			os.Exit(1)
		}
		if a.Next%10000 == 0 {
			fmt.Fprintf(os.Stderr, "%s  %d seeds, %d failed\n", time.Now().UTC().Format(time.TimeOnly), a.Next-a.From, len(a.Failed))
		}
	}
	a.print()
	if len(a.Failed) > 0 {
		os.Exit(1)
	}
}

// live lives through the seeds from Next to end.
func (a *account) live(end uint64, threads int) {
	var (
		mu sync.Mutex
		wg sync.WaitGroup
	)
	work := make(chan uint64)
	for range threads {
		wg.Go(func() {
			for s := range work {
				r := simulation.Run(s, false)
				mu.Lock()
				a.add(r)
				mu.Unlock()
			}
		})
	}
	for ; a.Next < end; a.Next++ {
		work <- a.Next
	}
	close(work)
	wg.Wait()
}

func (a *account) add(r *simulation.Report) {
	a.Elapsed += r.Elapsed.Hours()
	a.Events += r.Events
	a.Sends += r.Sends
	a.Dials += r.Dials
	a.Resumes += r.Resumes
	a.Gaps += r.Gaps
	if r.Fatal {
		a.Fatal++
	}
	for name, n := range r.Faults {
		a.Faults[name] += n
	}
	if len(r.Violations) > 0 {
		a.Failed = append(a.Failed, r)
	}
}

func (a *account) load(file string) error {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(text, a)
}

func (a *account) save(file string) error {
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(a, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

func (a *account) print() {
	n := int(a.Next - a.From)
	fmt.Printf("%d seeds, %.1f virtual years, in %v\n", n, a.Elapsed/24/365.25, time.Duration(a.Took*float64(time.Second)).Round(time.Second))
	fmt.Printf("%d events delivered, %d sends, %d dials, %d resumes, %d gaps, %d fatal ends\n", a.Events, a.Sends, a.Dials, a.Resumes, a.Gaps, a.Fatal)
	sum := 0
	for _, k := range a.Faults {
		sum += k
	}
	fmt.Printf("%d faults:\n", sum)
	for _, name := range slices.SortedFunc(maps.Keys(a.Faults), func(x, y string) int { return a.Faults[y] - a.Faults[x] }) {
		fmt.Printf("  %9d %s\n", a.Faults[name], name)
	}
	for _, r := range a.Failed[:min(5, len(a.Failed))] {
		fmt.Print(r.Format())
	}
	fmt.Printf("%d passed, %d failed\n", n-len(a.Failed), len(a.Failed))
}
