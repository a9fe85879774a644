package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-profile", "documented", "-control", "-play", "../../../captures/alice-json-plain.jsonl"}, w)
		w.Close()
	}()
	lines := bufio.NewScanner(r)
	url := ""
	for url == "" && lines.Scan() {
		url = strings.TrimSpace(strings.TrimPrefix(lines.Text(), "http "))
		if !strings.HasPrefix(url, "http://") {
			url = ""
		}
	}
	resp, err := http.Post(url+"/control", "application/json", strings.NewReader(`{"action":"state"}`))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || !strings.Contains(string(body), `"profile":"documented"`) {
		t.Errorf("got %s, %v", body, err)
	}
	cancel()
	go io.Copy(io.Discard, r)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRunErrors(t *testing.T) {
	for _, args := range [][]string{{"-profile", "x"}, {"-play", "no such file"}, {"-addr", "nowhere:x"}, {"-guilds", "-1"}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}
