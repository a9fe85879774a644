package main

import (
	"go/parser"
	"go/token"
	"testing"
)

// Every bug can still be put where it belongs, whatever has changed there.
func TestMutantsApply(t *testing.T) {
	t.Chdir("../../../..")
	for _, m := range mutants {
		text, err := m.apply()
		if err != nil {
			t.Errorf("%s: %v", m.what, err)
			continue
		}
		if _, err := parser.ParseFile(token.NewFileSet(), m.file, text, 0); err != nil {
			t.Errorf("%s: %v", m.what, err)
		}
	}
}
