//go:build race

package simulation

// The race detector has nothing to find in one goroutine, and makes it ten times
// as slow.
const defaultSeeds = 100
