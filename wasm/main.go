//go:build js && wasm

// The WebAssembly binary of spacebar-gateway. The npm package loads it; it is
// of no use by itself.
package main

import "github.com/spacebar-gateway/spacebar-gateway/jsbridge"

func main() { jsbridge.Serve() }
