// Package test holds what is true of the project as a whole.
package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/spacebar-gateway/spacebar-gateway/"

// deps returns what a package links, itself included.
func deps(t *testing.T, pkg string, env ...string) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", module+pkg)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", pkg, err, out)
	}
	return strings.Fields(string(out))
}

// TestHouse holds who may import whom (see ARCHITECTURE.md).
func TestHouse(t *testing.T) {
	const (
		websocket = "github.com/coder/websocket"
		goJSON    = "github.com/goccy/go-json"
	)
	wasm := []string{"GOOS=js", "GOARCH=wasm"}
	for _, rule := range []struct {
		pkg    string
		env    []string
		banned map[string]string // and why
	}{
		{"wasm", wasm, map[string]string{
			"net/http":                           "adds 0.45 MB to the download; the socket is the browser's",
			websocket:                            "brings net/http, and loses the close code in browsers",
			"encoding/json":                      "adds 0.17 MB; JSON is the browser's",
			goJSON:                               "adds 0.8 MB; JSON is the browser's",
			"net/url":                            "adds 45 KB; the session takes URLs apart itself",
			"compress/flate":                     "wire inflates faster, and in its own memory",
			"github.com/klauspost/compress/zstd": "adds 0.15 MB; wire has its own",
			"log/slog":                           "adds 0.1 MB",
			"crypto/tls":                         "nothing here is encrypted",
			module + "gateway/event":             "types are for Go programs; pages have theirs in TypeScript",
			module + "gateway":                   "is the native driver",
			"math/big":                           "nothing here is that big",
			"testing":                            "is for tests",
		}},
		{"gateway/session", nil, map[string]string{
			"net":                    "the session does no I/O",
			"os":                     "the session does no I/O",
			"context":                "the session does not wait",
			"encoding/json":          "the session knows no JSON library",
			goJSON:                   "the session knows no JSON library",
			module + "gateway":       "drivers import the session, not the other way round",
			module + "gateway/event": "the session knows no payload",
			module + "jsbridge":      "drivers import the session, not the other way round",
		}},
		{"gateway/wire", nil, map[string]string{
			"net": "wire does no I/O", "os": "wire does no I/O", "encoding/json": "wire is linked by the wasm",
			module + "gateway": "wire is at the bottom", module + "gateway/session": "wire is at the bottom", module + "gateway/event": "wire knows no payload",
		}},
		{"test/fakegateway", nil, map[string]string{
			module + "gateway": "server and client must not share their mistakes", module + "gateway/session": "server and client must not share their mistakes",
			module + "gateway/event": "server and client must not share their mistakes",
		}},
	} {
		linked := deps(t, rule.pkg, rule.env...)
		for pkg, why := range rule.banned {
			if slices.Contains(linked, pkg) {
				t.Errorf("%s links %s: %s", rule.pkg, pkg, why)
			}
		}
	}
	// safejs has fmt, but for the binary it is taken out (build.sh, lean_modfile).
	for _, pkg := range []string{"wasm", "jsbridge", "gateway/session", "gateway/wire"} {
		cmd := exec.Command("go", "list", "-f", "{{join .Imports \"\\n\"}}", module+pkg)
		cmd.Env = append(os.Environ(), wasm...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go list %s: %v\n%s", pkg, err, out)
		}
		for _, imported := range strings.Fields(string(out)) {
			if imported == "fmt" || imported == "os" {
				t.Errorf("%s imports %s, which adds 80 KB to the download", pkg, imported)
			}
		}
	}
	for _, pkg := range deps(t, "gateway/event") {
		if strings.HasPrefix(pkg, module) && pkg != module+"gateway/event" {
			t.Errorf("gateway/event links %s: it imports nothing of ours", pkg)
		}
	}
}

// TestOnlyTheBridgeTouchesJavaScript: syscall/js, and its unsafe sides, are
// behind safejs and one package.
func TestOnlyTheBridgeTouchesJavaScript(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "build" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" || filepath.Base(path) == "house_test.go" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		inBridge := strings.HasPrefix(filepath.ToSlash(path), "../jsbridge/")
		if strings.Contains(string(text), `"syscall/js"`) {
			t.Errorf("%s imports syscall/js: use safejs", path)
		}
		if strings.Contains(string(text), `hack-pad/safejs"`) && !inBridge {
			t.Errorf("%s imports safejs: only jsbridge may", path)
		}
		if (inBridge || strings.HasPrefix(filepath.ToSlash(path), "../wasm/")) && filepath.Base(path) != "doc.go" && !strings.HasPrefix(string(text), "//go:build js && wasm") {
			t.Errorf("%s is for the browser and must begin with //go:build js && wasm", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
