package plain

import (
	"errors"
	"fmt"
	"testing"
)

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "",
		"four":                                "four",
		"fünf…":                               "fünf…",
		"a\nb\x1b":                            "a b ",
		"\u2028\u202e\u2066\u0085\x7f and on": "     …",
		"\xff":                                "\ufffd",
	} {
		if got := Text(text, 5); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestInnermost(t *testing.T) {
	if got := Innermost(fmt.Errorf("GET https://secret: %w", fmt.Errorf("dial: %w", errors.New("refused")))); got != "refused" {
		t.Errorf("it is %q", got)
	}
}
