package simulation

import (
	"flag"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
)

var firstFailure = flag.Bool("first-failure", false, "stop at the first seed that fails")

var seeds = flag.Int("seeds", defaultSeeds, "seeds to live through")

// TestSeeds lives through many seeds. One that fails prints its trace, and
// `./build.sh simulate -seed N` lives through it again.
func TestSeeds(t *testing.T) {
	n := *seeds
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // much garbage, little heap
	work := make(chan uint64)
	var wg sync.WaitGroup
	var mu sync.Mutex
	failed := 0
	events, gaps, resumes := 0, 0, 0
	for range runtime.GOMAXPROCS(0) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for seed := range work {
				r := Run(seed, false)
				mu.Lock()
				events, gaps, resumes = events+r.Events, gaps+r.Gaps, resumes+r.Resumes
				if len(r.Violations) > 0 {
					if failed++; failed <= 3 {
						t.Errorf("%s%s", r.Format(), Run(seed, true).Trace)
					}
				}
				mu.Unlock()
			}
		}()
	}
	for seed := range uint64(n) {
		mu.Lock()
		enough := *firstFailure && failed > 0
		mu.Unlock()
		if enough {
			break
		}
		work <- seed
	}
	close(work)
	wg.Wait()
	if failed > 0 {
		t.Errorf("%d of %d seeds failed", failed, n)
	}
	if failed == 0 && (events < 20*n || gaps < n/4 || resumes < n) {
		t.Errorf("only %d events, %d gaps and %d resumes in %d seeds: nothing was tried", events, gaps, resumes, n)
	}
}

// TestSameSeedSameRun: a failing seed can be looked at.
func TestSameSeedSameRun(t *testing.T) {
	for seed := range uint64(20) {
		if a, b := Run(seed, true), Run(seed, true); a.Trace != b.Trace || len(a.Trace) < 1000 {
			t.Fatalf("seed %d does not repeat itself", seed)
		}
	}
}
