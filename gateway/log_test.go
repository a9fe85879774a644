package gateway_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

func TestLogAndStats(t *testing.T) {
	srv := serve(t, fakegateway.Options{Profile: fakegateway.Documented})
	var text bytes.Buffer // of one goroutine, until the handle is done
	states, gaps := collect[gateway.State](), collect[gateway.Gap]()
	ready := func(n int) func([]gateway.State) bool {
		return func(all []gateway.State) bool {
			seen := 0
			for _, s := range all {
				if s == gateway.StateReady {
					seen++
				}
			}
			return seen >= n
		}
	}
	h := connect(t, srv, func(o *gateway.Options) {
		o.Compression = gateway.CompressionZlib
		o.Logger = slog.New(slog.NewJSONHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Setup = func(h *gateway.Handle) {
			h.ObserveState(func(s gateway.StateChange) { states.add(s.State) })
			h.ObserveGaps(gaps.add)
		}
	})
	srv.Drop(fakegateway.Target{})
	states.wait(t, "a resume", ready(2))
	srv.Forget(fakegateway.Target{})
	srv.Drop(fakegateway.Target{})
	gaps.wait(t, "a gap", atLeast[gateway.Gap](1))

	s := h.Stats()
	if s.Dials < 3 || s.Resumes != 1 || s.Gaps != 1 || s.Events["READY"] != 2 || s.Events["RESUMED"] != 1 || s.Queued != 0 || s.Dropped != 0 {
		t.Errorf("stats: %+v", s)
	}
	if s.BytesReceived == 0 || s.BytesSent == 0 || s.BytesDecoded <= s.BytesReceived || s.Messages < 6 {
		t.Errorf("sizes: %+v", s)
	}
	h.Close()
	<-h.Done()
	for _, want := range []string{
		`"level":"DEBUG","msg":"gateway state","state":"dialing"`,
		`"level":"INFO","msg":"gateway ready","resumed":false`,
		`"level":"WARN","msg":"gateway disconnected","error":"gateway: connection closed`,
		`"level":"INFO","msg":"gateway ready","resumed":true`,
		`"level":"WARN","msg":"gateway events missed","error":`,
		`"level":"INFO","msg":"gateway closed"`,
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, &text)
		}
	}
	if strings.Contains(text.String(), string(fakegateway.AliceToken)) || strings.Contains(text.String(), "alice") {
		t.Error("the log holds a token or a payload")
	}
}

// A logger that panics is the user's code like any observer.
func TestLoggerThatPanics(t *testing.T) {
	srv := serve(t, fakegateway.Options{})
	errs := collect[error]()
	h := connect(t, srv, func(o *gateway.Options) {
		o.Logger = slog.New(slog.NewTextHandler(panicky{}, nil))
		o.Setup = func(h *gateway.Handle) { h.ObserveErrors(errs.add) }
	})
	if got := errs.wait(t, "the panic", atLeast[error](1)); !strings.Contains(got[0].Error(), "logger") {
		t.Error(got)
	}
	if h.State() != gateway.StateReady {
		t.Error("the handle is", h.State())
	}
}

type panicky struct{}

func (panicky) Write([]byte) (int, error) { panic("no room") }

// What a server was found to take is what the next handle begins with.
func TestRemembersTheTransport(t *testing.T) {
	srv := serve(t, fakegateway.Options{})
	srv.Plan(fakegateway.Faults{CloseOnConnect: 4002})
	for round, want := range []string{"zlib-stream", "zlib-stream"} {
		h := connect(t, srv)
		if s := h.Stats(); round == 1 && s.Dials != 1 {
			t.Errorf("%d dials", s.Dials)
		}
		if conns := srv.State().Conns; len(conns) == 0 || !strings.Contains(conns[len(conns)-1].Query, "compress="+want) {
			t.Errorf("round %d: %s, want %s", round, conns[len(conns)-1].Query, want)
		}
		h.Close()
	}
}
