// Gen makes the Go types of package event, the send functions of package gateway,
// the table of package watch, and the TypeScript types and table of the npm
// package from the files in gateway/event/spec.
//
// Without flags it writes the files. With -check it fails if they are not what it
// would write, -counts prints how much of the protocol is typed, and -coverage
// which captures of a real server exercise which events.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	check := flag.Bool("check", false, "fail if the generated files are stale, and write nothing")
	counts := flag.Bool("counts", false, "print how much of the protocol is typed, and write nothing")
	coverage := flag.String("coverage", "", "print a table of events and the captures in this `folder` that exercise them, and write nothing")
	flag.Parse()
	if err := run(*check, *counts, *coverage, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(check, counts bool, coverage string, out io.Writer) error {
	root, err := findRoot()
	if err != nil {
		return err
	}
	spec, err := load(filepath.Join(root, "gateway", "event", "spec"))
	if err != nil {
		return err
	}
	if counts || coverage != "" {
		if counts {
			spec.counts(out)
		}
		if coverage != "" {
			return spec.coverage(coverage, out)
		}
		return nil
	}
	files, err := spec.goFiles()
	if err != nil {
		return err
	}
	all := map[string][]byte{
		filepath.Join(root, "web", "src", "protocol.gen.ts"): spec.typescript(),
		filepath.Join(root, "web", "src", "watch.gen.ts"):    spec.tsWatch(),
	}
	if all[filepath.Join(root, "gateway", "send_gen.go")], err = spec.goSendMethods(); err != nil {
		return err
	}
	if all[filepath.Join(root, "gateway", "watch", "table_gen.go")], err = spec.goWatch(); err != nil {
		return err
	}
	for name, text := range files {
		all[filepath.Join(root, "gateway", "event", name)] = text
	}
	var stale []error
	for path, text := range all {
		old, err := os.ReadFile(path)
		switch {
		case err == nil && bytes.Equal(old, text):
		case check:
			rel, _ := filepath.Rel(root, path)
			stale = append(stale, fmt.Errorf("%s is stale: run go generate ./gateway/event", rel))
		default:
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				return err
			}
			if err := os.WriteFile(path, text, 0o666); err != nil {
				return err
			}
		}
	}
	slices.SortFunc(stale, func(a, b error) int { return bytes.Compare([]byte(a.Error()), []byte(b.Error())) })
	return errors.Join(stale...)
}

// findRoot returns the folder of go.mod, from which the paths of all files follow
// wherever the program is run.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("not within the module")
		}
		dir = parent
	}
}
