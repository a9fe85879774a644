package user_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/user"
	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

var steps = []user.Source{user.SourceClient, user.SourceWellKnown, user.SourceDomains, user.SourceGateway}

// Each step in turn is the first that answers, for all the ways in which those
// before it may fail.
func TestDiscoverSteps(t *testing.T) {
	failures := map[string]http.HandlerFunc{
		"404":   http.NotFound,
		"500":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"empty": func(http.ResponseWriter, *http.Request) {},
		"HTML": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, "<!doctype html><title>Spacebar</title>")
		},
		"garbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{\"api\":\x00") },
		"types": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"api":[1],"gateway":7,"url":{"a":null},"apiEndpoint":false,"cdn":[]}`)
		},
		"null": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "null") },
		"hangs up": func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		},
		"huge": func(w http.ResponseWriter, _ *http.Request) {
			for range 1000 {
				if _, err := io.WriteString(w, strings.Repeat(" ", 1<<16)); err != nil {
					return
				}
			}
			_, _ = io.WriteString(w, "{}")
		},
	}
	for n, first := range steps {
		for name, failure := range failures {
			t.Run(string(first)+" after "+name, func(t *testing.T) {
				var asked []string
				web, _ := behind(t, fakegateway.Options{}, func(w http.ResponseWriter, r *http.Request) bool {
					if len(asked) == 0 || asked[len(asked)-1] != r.URL.Path { // net/http asks again if it is hung up on
						asked = append(asked, r.URL.Path)
					}
					if at := slices.Index(steps, user.Source(r.URL.Path)); at >= 0 && at < n {
						failure(w, r)
						return true
					}
					return false
				})
				i, err := user.Discover(within(t), web.URL, user.Options{})
				if err != nil {
					t.Fatal(err)
				}
				wanted, source := steps[:n+1], first
				if first == user.SourceWellKnown { // knows the API, and no gateway
					wanted, source = steps[:n+2], user.SourceDomains
				}
				want := fmt.Sprint(wanted)
				if first == user.SourceGateway {
					want = strings.TrimSuffix(want, "]") + " /api/ping]"
				}
				if fmt.Sprint(asked) != want {
					t.Errorf("asked %v, want %s", asked, want)
				}
				ws := "ws" + strings.TrimPrefix(web.URL, "http")
				if i.Source != source || i.Gateway != ws || i.API != web.URL+"/api/v9" || i.URL != web.URL || !i.Spacebar {
					t.Errorf("found %+v", i)
				}
				if known := i.Encodings != nil && i.Compressions != nil && i.Versions != nil; known != (n == 0) {
					t.Errorf("found %+v", i)
				}
			})
		}
	}
}

func TestDiscoverNothing(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch user.Source(r.URL.Path) {
		case user.SourceClient:
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>")
		case user.SourceWellKnown:
			_, _ = io.WriteString(w, `{"api":"javascript:alert(1)"}`)
		case user.SourceDomains:
			_, _ = io.WriteString(w, `{"gateway":"javascript:alert(1)"}`)
		default:
			http.NotFound(w, r)
		}
	}))
	defer web.Close()
	_, err := user.Login(within(t), web.URL, alice, user.Options{})
	var failed *user.DiscoveryError
	if !errors.Is(err, user.ErrNotInstance) || !errors.As(err, &failed) || failed.URL != web.URL || len(failed.Steps) != 4 {
		t.Fatalf("%v", err)
	}
	want := "user: no instance found at " + web.URL +
		"; GET /.well-known/spacebar/client was answered with what is not JSON but text/html" +
		"; GET /.well-known/spacebar names no gateway" +
		"; what GET /api/policies/instance/domains names as the gateway is not a URL of ws or wss" +
		"; GET /api/v9/gateway was answered with 404 Not Found"
	if err.Error() != want {
		t.Errorf(" got %v\nwant %v", err, want)
	}
	var refused *user.HTTPError
	if !errors.As(err, &refused) || refused.Status != 404 {
		t.Errorf("the steps cannot be looked at: %v", err)
	}

	web.Close()
	if _, err := user.Discover(within(t), web.URL, user.Options{}); !errors.Is(err, user.ErrNotInstance) || !errors.Is(err, gateway.ErrDialFailed) {
		t.Errorf("nobody there: %v", err)
	}
}

// answers is an instance that is a table of paths.
func answers(table map[string]string) user.Options {
	return user.Options{HTTPClient: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		resp := &http.Response{StatusCode: 404, Header: http.Header{}, Body: http.NoBody, Request: r}
		answer, ok := table[r.URL.String()]
		if !ok {
			answer, ok = table[r.URL.Path]
		}
		if to, redirects := strings.CutPrefix(answer, "-> "); redirects {
			resp.StatusCode = 302
			resp.Header.Set("Location", to)
		} else if ok {
			resp.StatusCode = 200
			resp.Body = io.NopCloser(strings.NewReader(answer))
		}
		return resp, nil
	})}}
}

// What an instance names is used if it is a URL of the right kind, and not less
// secure than the instance.
func TestDiscoverURLs(t *testing.T) {
	const client, wellKnown, domains, gw = "/.well-known/spacebar/client", "/.well-known/spacebar", "/api/policies/instance/domains", "/api/v9/gateway"
	good := `{"url":"wss://g.example"}`
	for _, c := range []struct {
		name, url     string
		table         map[string]string
		api, cdn, ws  string // ws is empty where nothing is to be found
		plainSpacebar bool
	}{
		{"bare host", "i.example", map[string]string{gw: good}, "https://i.example/api/v9", "", "wss://g.example", false},
		{"upper case, port, path and query", " HTTPS://I.example:8443/app/login?x=1#y ", map[string]string{"https://i.example:8443" + gw: good}, "https://i.example:8443/api/v9", "", "wss://g.example", false},
		{"host and port", "localhost:3001", map[string]string{"https://localhost:3001" + gw: good}, "https://localhost:3001/api/v9", "", "wss://g.example", false},
		{"IPv6", "http://[::1]:3001", map[string]string{"http://[::1]:3001" + gw: good}, "http://[::1]:3001/api/v9", "", "wss://g.example", false},
		{"elsewhere", "i.example", map[string]string{client: `{"api":{"baseUrl":"https://a.example","apiVersions":{"default":"10","active":["9","10","x",11]}},"cdn":{"baseUrl":"https://c.example/"},"gateway":{"baseUrl":"wss://g.example/ws?x=1#y"}}`},
			"https://a.example/api/v10", "https://c.example", "wss://g.example/ws?x=1", true},
		{"a number for a version", "i.example", map[string]string{client: `{"api":{"baseUrl":"https://a.example/api","apiVersions":{"default":8}},"gateway":{"baseUrl":"wss://g.example"}}`},
			"https://a.example/api/v8", "", "wss://g.example", true},
		{"the version in the URL", "i.example", map[string]string{domains: `{"apiEndpoint":"https://a.example/x//api/v7/","gateway":"wss://g.example"}`},
			"https://a.example/x/api/v7", "", "wss://g.example", true},
		{"only api", "i.example", map[string]string{domains: `{"api":"https://a.example/api/","gateway":"wss://g.example","defaultApiVersion":"../.."}`},
			"https://a.example/api/v9", "", "wss://g.example", true},
		{"API elsewhere, asked there", "i.example", map[string]string{wellKnown: `{"api":"https://a.example/api/"}`, "https://a.example" + gw: good},
			"https://a.example/api/v9", "", "wss://g.example", false},
		{"the first lacks a gateway", "i.example", map[string]string{client: `{"api":{"baseUrl":"https://a.example"}}`, "https://a.example" + domains: `{"gateway":"wss://g.example"}`},
			"https://a.example/api/v9", "", "wss://g.example", true},

		{"ws at https", "i.example", map[string]string{gw: `{"url":"ws://g.example"}`}, "", "", "", false},
		{"ws at http", "http://i.example", map[string]string{gw: `{"url":"ws://g.example"}`}, "http://i.example/api/v9", "", "ws://g.example", false},
		{"an insecure gateway first", "i.example", map[string]string{client: `{"gateway":{"baseUrl":"ws://bad.example"}}`, gw: good}, "https://i.example/api/v9", "", "wss://g.example", false},
		{"an insecure API", "i.example", map[string]string{client: `{"api":{"baseUrl":"http://a.example"},"cdn":{"baseUrl":"http://c.example"},"gateway":{"baseUrl":"wss://g.example"}}`},
			"https://i.example/api/v9", "", "wss://g.example", true},
		{"javascript:", "i.example", map[string]string{gw: `{"url":"javascript:alert(1)"}`}, "", "", "", false},
		{"http: for a gateway", "http://i.example", map[string]string{gw: `{"url":"http://g.example"}`}, "", "", "", false},
		{"no host", "i.example", map[string]string{gw: `{"url":"wss://"}`}, "", "", "", false},
		{"a port only", "i.example", map[string]string{gw: `{"url":"wss://:443"}`}, "", "", "", false},
		{"a relative URL", "i.example", map[string]string{gw: `{"url":"//g.example"}`}, "", "", "", false},
		{"a password", "i.example", map[string]string{gw: `{"url":"wss://a:b@g.example"}`}, "", "", "", false},
		{"control characters", "i.example", map[string]string{gw: `{"url":"wss://g.example/\r\nx"}`}, "", "", "", false},

		{"https redirects", "i.example", map[string]string{client: "-> https://www.i.example/1", "https://www.i.example/1": "-> /2", "https://www.i.example/2": `{"gateway":{"baseUrl":"wss://g.example"}}`},
			"https://i.example/api/v9", "", "wss://g.example", true},
		{"redirect to http", "i.example", map[string]string{gw: "-> http://i.example/2", "http://i.example/2": good}, "", "", "", false},
		{"redirect from http", "http://i.example", map[string]string{gw: "-> https://i.example/2", "/2": good}, "", "", "", false},
		{"redirect to a file", "i.example", map[string]string{gw: "-> file:///etc/passwd"}, "", "", "", false},
		{"a circle", "i.example", map[string]string{gw: "-> " + gw}, "", "", "", false},
		{"too many redirects", "i.example", map[string]string{gw: "-> /1", "/1": "-> /2", "/2": "-> /3", "/3": "-> /4", "/4": "-> /5", "/5": "-> /6", "/6": good}, "", "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			i, err := user.Discover(within(t), c.url, answers(c.table))
			if c.ws == "" {
				if !errors.Is(err, user.ErrNotInstance) {
					t.Fatalf("found %+v, %v", i, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if i.API != c.api || i.CDN != c.cdn || i.Gateway != c.ws || i.Spacebar != c.plainSpacebar {
				t.Errorf("found %+v", i)
			}
		})
	}

	for _, url := range []string{"", "https://", "ftp://i.example", "wss://i.example", "https://secret:secret@i.example", "https://i.example:port", "javascript://x", "https://i ex", "\x7f"} {
		_, err := user.Discover(within(t), url, answers(nil))
		if !errors.Is(err, gateway.ErrInvalidURL) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", url, err)
		}
	}
	// A server of another kind says nothing under /ping, or something else.
	table := map[string]string{gw: good, "/api/ping": `{"ping":"pong!","instance":{"id":"1","name":"x"}}`}
	if i, err := user.Discover(within(t), "i.example", answers(table)); err != nil || !i.Spacebar {
		t.Errorf("a Spacebar server that says so late: %+v, %v", i, err)
	}
	if i, err := user.Discover(within(t), "i.example", answers(table)); err != nil || i.Encodings != nil || i.Compressions != nil {
		t.Errorf("what is not known: %+v, %v", i, err)
	}
}

// Credentials do not follow a redirect, not even a secure one.
func TestCredentialsRedirect(t *testing.T) {
	posted := 0
	o := user.Options{HTTPClient: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return nil },
		Transport: transport(func(r *http.Request) (*http.Response, error) {
			posted++
			return &http.Response{StatusCode: 307, Header: http.Header{"Location": {"https://elsewhere.example/"}}, Body: http.NoBody, Request: r}, nil
		}),
	}}
	i := &user.Instance{URL: "https://i.example", API: "https://i.example/api/v9", Gateway: "wss://i.example"}
	_, err := i.Login(within(t), alice, o)
	var refused *user.HTTPError
	if posted != 1 || !errors.As(err, &refused) || refused.Status != 307 {
		t.Errorf("posted %d times: %v", posted, err)
	}
	if _, err := i.GatewayBot(within(t), "abc", o); posted != 2 || !errors.As(err, &refused) {
		t.Errorf("asked %d times: %v", posted-1, err)
	}
}

// Steps that hang cost their time and no more; the caller's context ends it all.
func TestDiscoverTimeouts(t *testing.T) {
	hangs := func(paths ...user.Source) user.Options {
		table := answers(map[string]string{"/api/v9/gateway": `{"url":"wss://g.example"}`}).HTTPClient.Transport
		return user.Options{HTTPClient: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			if !slices.Contains(paths, user.Source(r.URL.Path)) {
				return table.RoundTrip(r)
			}
			if r.URL.Path == string(user.SourceClient) { // in the middle of the answer
				body, stuck := io.Pipe()
				context.AfterFunc(r.Context(), func() { stuck.CloseWithError(r.Context().Err()) })
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body, Request: r}, nil
			}
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}}
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		i, err := user.Discover(t.Context(), "i.example", hangs(user.SourceClient, user.SourceDomains))
		if took := time.Since(start); err != nil || i.Source != user.SourceGateway || took != 30*time.Second {
			t.Errorf("%v after %v: %v", i, took, err)
		}

		o := hangs(steps...)
		o.Timeout = time.Second
		start = time.Now()
		_, err = user.Discover(t.Context(), "i.example", o)
		if took := time.Since(start); !errors.Is(err, user.ErrNotInstance) || !errors.Is(err, gateway.ErrTimeout) || took != 4*time.Second {
			t.Errorf("all hang: after %v: %v", took, err)
		}

		why := errors.New("no patience")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Second, why)
		defer cancel()
		start = time.Now()
		_, err = user.Discover(ctx, "i.example", hangs(steps...))
		if took := time.Since(start); errors.Is(err, user.ErrNotInstance) || !errors.Is(err, gateway.ErrTimeout) || !errors.Is(err, why) || took != 20*time.Second {
			t.Errorf("no patience: after %v: %v", took, err)
		}
	})
}
