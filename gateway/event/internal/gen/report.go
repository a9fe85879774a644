package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// counts prints how much of the protocol is typed.
func (s *Spec) counts(out io.Writer) {
	answered, enums, flags, fields, spacebar := 0, 0, 0, 0, 0
	for _, p := range s.Sends {
		fields += len(p.Value.Fields)
		if len(p.Value.Answers) > 0 {
			answered++
		}
	}
	for _, p := range s.Enums {
		if strings.HasPrefix(p.Value.Kind, "flags") {
			flags++
		} else {
			enums++
		}
	}
	for _, p := range s.Structs {
		fields += len(p.Value.Fields)
	}
	for _, p := range s.Events {
		fields += len(p.Value.Fields)
		if p.Value.Spacebar {
			spacebar++
		}
	}
	for _, row := range []struct {
		n    int
		what string
	}{
		{len(s.Events), fmt.Sprintf("dispatch events typed, %d of them only Spacebar's", spacebar)},
		{len(s.groups()), "groups in the tree of events"},
		{len(s.Sends), "sends typed"},
		{answered, "sends with an answer"},
		{len(s.Structs), "structures"},
		{fields, "fields"},
		{enums, "enums"},
		{flags, "sets of flags"},
	} {
		fmt.Fprintf(out, "%5d %s\n", row.n, row.what)
	}
}

// coverage prints which events occur in the captures of a folder, and how often.
// A capture is a file of one decoded message a line.
func (s *Spec) coverage(dir string, out io.Writer) error {
	type tally struct {
		messages int
		captures []string
	}
	seen := map[string]*tally{}
	total := 0
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".expected.jsonl") {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		total++
		capture := strings.TrimSuffix(filepath.Base(path), ".expected.jsonl")
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 64<<20)
		for lines.Scan() {
			var m struct {
				Op int
				T  string
			}
			if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if m.Op != 0 {
				continue
			}
			t := seen[m.T]
			if t == nil {
				t = &tally{}
				seen[m.T] = t
			}
			t.messages++
			if !slices.Contains(t.captures, capture) {
				t.captures = append(t.captures, capture)
			}
		}
		return lines.Err()
	})
	if err != nil {
		return err
	}
	covered := 0
	fmt.Fprintf(out, "| event | messages | captures |\n|---|--:|---|\n")
	for _, p := range slices.SortedFunc(slices.Values(s.Events), byName[*Event]) {
		t := seen[p.Name]
		if t == nil {
			fmt.Fprintf(out, "| %s | 0 | |\n", p.Name)
			continue
		}
		covered++
		fmt.Fprintf(out, "| %s | %d | %s |\n", p.Name, t.messages, strings.Join(t.captures, ", "))
		delete(seen, p.Name)
	}
	fmt.Fprintf(out, "\n%d of %d events occur in %d captures.\n", covered, len(s.Events), total)
	for name := range seen {
		return fmt.Errorf("%s is in a capture and not in the spec", name)
	}
	return nil
}
