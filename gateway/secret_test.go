package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

// TestNothingShowsTheToken looks for it in everything that a program may print,
// log or store of a handle, its errors, and what it is made with.
func TestNothingShowsTheToken(t *testing.T) {
	srv := serve(t, fakegateway.Options{Profile: fakegateway.Documented})
	identify := event.IdentifyCommon()
	identify.Token = fakegateway.AliceToken
	resume := event.Resume{Token: fakegateway.AliceToken, SessionID: "s", Seq: 1}
	opts := gateway.Options{Token: fakegateway.AliceToken, Identify: &identify}

	var out, logged bytes.Buffer
	show := func(v any) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10v", "%.3v"} {
			fmt.Fprintf(&out, verb, v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", slog.AnyValue(v))
	}
	for _, v := range []any{opts.Token, &opts.Token, opts, &opts, identify, &identify, resume, event.Some(opts.Token), []event.Token{opts.Token}, map[string]event.Token{"t": opts.Token}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb, v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
	}
	changes := collect[any]()
	h := connect(t, srv, func(o *gateway.Options) {
		o.Logger = slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Setup = func(h *gateway.Handle) {
			h.ObserveState(func(s gateway.StateChange) { changes.add(s) })
			h.ObserveErrors(func(err error) { changes.add(err) })
			h.ObserveGaps(func(g gateway.Gap) { changes.add(g) })
			h.ObserveSession(func(s gateway.Session, _ bool) { changes.add(s) })
		}
	})
	srv.InvalidSession(fakegateway.Target{}, "false")
	list := changes.wait(t, "a gap", func(l []any) bool {
		for _, c := range l {
			if _, ok := c.(gateway.Gap); ok {
				return true
			}
		}
		return false
	})
	session, _ := h.Session()
	for _, op := range []event.Op{2, 6} {
		list = append(list, h.SendOp(context10(t), op, map[string]any{"token": fakegateway.AliceToken, "bad": func() {}}))
	}
	list = append(list, h.SendIdentify(context10(t), identify), h.SendResume(context10(t), resume))
	_, err := gateway.Connect(context10(t), srv.URL(), gateway.Options{Token: fakegateway.BadToken, Attempts: 1})
	list = append(list, err, h.Stats(), session, h.State())
	h.Close()
	waitDone(h)
	list = append(list, h.Err())
	for _, v := range list {
		show(v)
		if text, err := json.Marshal(v); err == nil {
			out.Write(text)
		}
	}
	text := out.String() + logged.String()
	for _, secret := range []string{fakegateway.AliceToken, fakegateway.BadToken, fmt.Sprintf("%x", fakegateway.AliceToken), fmt.Sprintf("%X", fakegateway.AliceToken), fakegateway.AliceToken[:10]} {
		if i := strings.Index(text, secret); i >= 0 {
			t.Errorf("a token is shown: …%s…", strings.ReplaceAll(text[max(0, i-100):i], secret, "[token]"))
		}
	}
	if len(text) < 5000 || !strings.Contains(text, event.TokenRedacted) {
		t.Error("the test looks at nothing")
	}
}
