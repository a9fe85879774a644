// Command simulate lives through seeds of the simulation.
//
//	./build.sh simulate -seeds 10000     lives through seeds 0 to 9999
//	./build.sh simulate -seed 17         lives through one, and prints its trace
package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/test/simulation"
)

func main() {
	seeds := flag.Uint64("seeds", 2000, "how many seeds to live through")
	first := flag.Uint64("first", 0, "the first of them")
	seed := flag.Int64("seed", -1, "live through this seed only, and print its trace")
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
	began := time.Now()
	var (
		mu       sync.Mutex
		wg       sync.WaitGroup
		work     = make(chan uint64, 64)
		faults   = map[string]int{}
		elapsed  float64 // hours: years of nanoseconds would overflow
		total    simulation.Report
		fatal, n int
		failed   []*simulation.Report
	)
	for range runtime.GOMAXPROCS(0) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for s := range work {
				r := simulation.Run(s, false)
				mu.Lock()
				n++
				elapsed += r.Elapsed.Hours()
				total.Events += r.Events
				total.Dials += r.Dials
				total.Resumes += r.Resumes
				total.Gaps += r.Gaps
				if r.Fatal {
					fatal++
				}
				for name, k := range r.Faults {
					faults[name] += k
				}
				if len(r.Violations) > 0 {
					failed = append(failed, r)
				}
				if n%100000 == 0 {
					fmt.Fprintf(os.Stderr, "%d seeds, %d failed, %v\n", n, len(failed), time.Since(began).Round(time.Second))
				}
				mu.Unlock()
			}
		}()
	}
	for s := *first; s < *first+*seeds; s++ {
		work <- s
	}
	close(work)
	wg.Wait()

	fmt.Printf("%d seeds, %.1f virtual years, in %v\n", n, elapsed/24/365.25, time.Since(began).Round(time.Second))
	fmt.Printf("%d events delivered, %d dials, %d resumes, %d gaps, %d fatal ends\n", total.Events, total.Dials, total.Resumes, total.Gaps, fatal)
	sum := 0
	for _, k := range faults {
		sum += k
	}
	fmt.Printf("%d faults:\n", sum)
	for _, name := range slices.SortedFunc(maps.Keys(faults), func(a, b string) int { return faults[b] - faults[a] }) {
		fmt.Printf("  %9d %s\n", faults[name], name)
	}
	for i, r := range failed {
		if i < 5 {
			fmt.Print(r.Format())
		}
	}
	fmt.Printf("%d passed, %d failed\n", n-len(failed), len(failed))
	if len(failed) > 0 {
		os.Exit(1)
	}
}
