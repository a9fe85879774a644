package user_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/user"
	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

const password = "correct horse"

var alice = user.Credentials{Login: "alice@example.com", Password: password}

func start(t testing.TB, o fakegateway.Options) *fakegateway.Server {
	t.Helper()
	srv, err := fakegateway.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv
}

// behind serves an instance through a handler that may answer in its place.
func behind(t testing.TB, o fakegateway.Options, front func(w http.ResponseWriter, r *http.Request) (answered bool)) (*httptest.Server, *fakegateway.Server) {
	t.Helper()
	srv, err := fakegateway.New(o)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // the fronts are simple
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !func() bool {
			mu.Lock()
			defer mu.Unlock()
			return front(w, r)
		}() {
			srv.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(web.Close)
	t.Cleanup(srv.Close)
	return web, srv
}

// within is a context that ends long after the test should have.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestLogin(t *testing.T) {
	for _, profile := range []fakegateway.Profile{fakegateway.Spacebar, fakegateway.Documented} {
		t.Run(profile.String(), func(t *testing.T) {
			srv := start(t, fakegateway.Options{Profile: profile})
			u, err := user.Login(within(t), srv.HTTPURL(), alice, user.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer u.Close()
			if u.Token != fakegateway.AliceToken || u.ID == 0 || u.Settings == nil || u.Settings.Locale == "" {
				t.Errorf("the user is %v, with settings %v", u, u.Settings)
			}
			if s := u.Handle.State(); s != gateway.StateReady {
				t.Errorf("the handle is %v", s)
			}
			want := user.Instance{
				URL: srv.HTTPURL(), API: srv.HTTPURL() + "/api/v9", Versions: []string{"6", "7", "8", "9"},
				CDN: srv.HTTPURL(), Gateway: srv.URL(), Encodings: []gateway.Encoding{"etf", "json"},
				Compressions: []gateway.Compression{"zstd-stream", "zlib-stream", "none"}, Source: user.SourceClient, Spacebar: true,
			}
			if fmt.Sprint(*u.Instance) != fmt.Sprint(want) {
				t.Errorf("the instance is\n%+v, want\n%+v", *u.Instance, want)
			}
			conn := srv.State().Conns[0]
			if conn.Query != "compress=zstd-stream&encoding=json&v=9" || conn.UserAgent == "" {
				t.Errorf("connected with %s as %s", conn.Query, conn.UserAgent)
			}
			long := &event.UpdatePresence{Status: "online", Activities: []event.Activity{{Name: strings.Repeat("x", 5000)}}}
			if err := u.Handle.Send(within(t), long); !errors.Is(err, gateway.ErrMessageTooLarge) {
				t.Errorf("a message too large for a Spacebar server: %v", err)
			}
			if err := u.Close(); err != nil {
				t.Error(err)
			}
			<-u.Handle.Done()
		})
	}
}

// The server is told nothing but what was filled in.
func TestForms(t *testing.T) {
	var got []string
	web, _ := behind(t, fakegateway.Options{}, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		body, _ := io.ReadAll(r.Body)
		got = append(got, r.Method+" "+r.URL.Path+" "+r.Header.Get("Content-Type")+" "+r.Header.Get("User-Agent")[:16]+" "+string(body))
		w.WriteHeader(http.StatusTeapot)
		return true
	})
	ctx := within(t)
	i, err := user.Discover(ctx, web.URL, user.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = i.Login(ctx, alice, user.Options{})
	_, _ = i.Login(ctx, user.Credentials{Login: "+49", Password: "p", Undelete: true, CaptchaKey: "k"}, user.Options{})
	_, _ = i.Register(ctx, user.Registration{Username: "zoe"}, user.Options{})
	_, err = i.Register(ctx, user.Registration{
		Username: "zoe", GlobalName: "Zoe", Email: "d@example.com", Password: "p", Consent: true, Invite: "i", CaptchaKey: "k",
		DateOfBirth: time.Date(2000, 2, 29, 23, 0, 0, 0, time.FixedZone("", -7*3600)),
	}, user.Options{})
	want := []string{
		`{"login":"alice@example.com","password":"correct horse"}`,
		`{"login":"+49","password":"p","undelete":true,"captcha_key":"k"}`,
		`{"username":"zoe","consent":false}`,
		`{"username":"zoe","global_name":"Zoe","email":"d@example.com","password":"p","date_of_birth":"2000-02-29","consent":true,"invite":"i","captcha_key":"k"}`,
	}
	for n, path := range []string{"login", "login", "register", "register"} {
		if w := "POST /api/v9/auth/" + path + " application/json spacebar-gateway " + want[n]; got[n] != w {
			t.Errorf("sent     %s\nand not  %s", got[n], w)
		}
	}
	var refused *user.HTTPError
	if !errors.As(err, &refused) || refused.Status != http.StatusTeapot || refused.Error() != "user: POST /auth/register was answered with 418 I'm a teapot" {
		t.Errorf("a refusal without words: %v", err)
	}
}

func TestWrongLogin(t *testing.T) {
	srv := start(t, fakegateway.Options{})
	_, err := user.Login(within(t), srv.HTTPURL(), user.Credentials{Login: "alice@example.com", Password: "wrong horse"}, user.Options{})
	var form *user.FieldErrors
	if !errors.As(err, &form) || !errors.Is(err, gateway.ErrAuthentication) {
		t.Fatalf("a wrong password: %v", err)
	}
	for _, name := range []string{"login", "password"} {
		if len(form.Fields[name]) != 1 || form.Fields[name][0].Code != "INVALID_LOGIN" || form.Fields[name][0].Message == "" {
			t.Errorf("%s: %v", name, form.Fields[name])
		}
	}
	if want := "user: the server does not take the form; login: Login or password is invalid. (INVALID_LOGIN); password: Login or password is invalid. (INVALID_LOGIN)"; err.Error() != want {
		t.Errorf("it says %q", err)
	}
}

func TestRegister(t *testing.T) {
	srv := start(t, fakegateway.Options{})
	ctx := within(t)
	r := user.Registration{
		Username: "zoe", Email: "zoe@example.com", Password: "a long password", Consent: true,
		DateOfBirth: time.Date(1990, 5, 4, 0, 0, 0, 0, time.UTC),
	}
	u, err := user.Register(ctx, srv.HTTPURL(), r, user.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if u.ID == 0 || u.Token == "" || u.Settings == nil {
		t.Errorf("the new user is %v", u)
	}

	check := func(field, code string) {
		t.Helper()
		_, err := u.Instance.Register(ctx, r, user.Options{})
		var form *user.FieldErrors
		if !errors.As(err, &form) || len(form.Fields[field]) != 1 || form.Fields[field][0].Code != code {
			t.Errorf("wanted %s for %q: %v", code, field, err)
		}
		if errors.Is(err, gateway.ErrAuthentication) {
			t.Error("it is not about a login")
		}
	}
	check("email", "EMAIL_ALREADY_REGISTERED")
	r.DateOfBirth = time.Now()
	check("date_of_birth", "DATE_OF_BIRTH_UNDERAGE")
	r.Password = ""
	check("password", "BASE_TYPE_REQUIRED")
}

func TestCaptcha(t *testing.T) {
	srv := start(t, fakegateway.Options{Captcha: true, MFA: "123456"})
	ctx := within(t)
	_, err := user.Login(ctx, srv.HTTPURL(), alice, user.Options{})
	var wanted *user.CaptchaRequired
	if !errors.As(err, &wanted) || wanted.SiteKey != "fake-sitekey" || wanted.Service != "hcaptcha" || fmt.Sprint(wanted.Reasons) != "[captcha-required]" {
		t.Fatalf("no captcha: %v", err)
	}
	if want := "user: the server asks for a captcha of hcaptcha (captcha-required)"; err.Error() != want {
		t.Errorf("it says %q", err)
	}
	if _, err = wanted.Continue(ctx, ""); !errors.As(err, &wanted) {
		t.Errorf("no solution: %v", err)
	}
	_, err = wanted.Continue(ctx, "solved")
	var factor *user.MFARequired
	if !errors.As(err, &factor) || fmt.Sprint(factor.Methods) != "[totp]" || factor.Ticket == "" {
		t.Fatalf("no second factor: %v", err)
	}
	_, err = factor.Continue(ctx, "000000")
	var refused *user.HTTPError
	if !errors.As(err, &refused) || refused.Code != 60008 || refused.Status != 400 {
		t.Errorf("a wrong code: %v", err)
	}
	u, err := factor.Continue(ctx, "123456")
	if err != nil {
		t.Fatal(err)
	}
	_ = u.Close()

	// One that was solved beforehand.
	solved := alice
	solved.CaptchaKey = "solved"
	if _, err = u.Instance.Login(ctx, solved, user.Options{}); !errors.As(err, &factor) {
		t.Errorf("with a solution: %v", err)
	}
	for _, err := range []error{
		func() error { _, err := new(user.CaptchaRequired).Continue(ctx, "x"); return err }(),
		func() error { _, err := new(user.MFARequired).Continue(ctx, "x"); return err }(),
	} {
		if !errors.Is(err, gateway.ErrInvalidOption) {
			t.Errorf("continuing what did not begin: %v", err)
		}
	}
}

// A server that names its challenge wants it back, in headers.
func TestCaptchaChallenge(t *testing.T) {
	var headers []string
	web, _ := behind(t, fakegateway.Options{}, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/api/v9/auth/login" {
			return false
		}
		h := r.Header
		headers = append(headers, h.Get("X-Captcha-Key")+" "+h.Get("X-Captcha-Rqtoken")+" "+h.Get("X-Captcha-Session-Id"))
		if h.Get("X-Captcha-Key") != "" {
			return false
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"captcha_key":["captcha-required"],"captcha_sitekey":null,"captcha_service":"hcaptcha","captcha_rqdata":"data","captcha_rqtoken":"rq","captcha_session_id":"id"}`)
		return true
	})
	_, err := user.Login(within(t), web.URL, alice, user.Options{})
	var wanted *user.CaptchaRequired
	if !errors.As(err, &wanted) || wanted.RqData != "data" || wanted.RqToken != "rq" || wanted.SessionID != "id" || wanted.SiteKey != "" {
		t.Fatalf("no captcha: %#v", err)
	}
	u, err := wanted.Continue(within(t), "solved")
	if err != nil {
		t.Fatal(err)
	}
	_ = u.Close()
	if want := "[   solved rq id]"; fmt.Sprint(headers) != want {
		t.Errorf("the headers were %q", headers)
	}
}

func TestWithToken(t *testing.T) {
	srv := start(t, fakegateway.Options{Profile: fakegateway.Documented})
	ctx := within(t)
	u, err := user.WithToken(ctx, srv.HTTPURL(), fakegateway.BobToken, user.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if u.ID == 0 || u.Settings == nil {
		t.Errorf("nobody knows who %v is", u)
	}
	// READY does not come again when the session is resumed.
	session, ok := u.Handle.CloseResumable()
	if !ok {
		t.Fatal("no session")
	}
	again, err := u.Instance.WithToken(ctx, fakegateway.BobToken, user.Options{Gateway: gateway.Options{Session: &session}})
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
	if again.ID != 0 {
		t.Errorf("a resumed session has a READY: %v", again)
	}

	if _, err := user.WithToken(ctx, srv.HTTPURL(), fakegateway.BadToken, user.Options{}); !errors.Is(err, gateway.ErrAuthentication) {
		t.Errorf("a bad token: %v", err)
	}
	for _, token := range []event.Token{"", "a\nb", "ä"} {
		if _, err := user.WithToken(ctx, srv.HTTPURL(), token, user.Options{}); !errors.Is(err, gateway.ErrInvalidOption) {
			t.Errorf("the token %q: %v", string(token), err)
		}
	}
	if _, err := new(user.Instance).WithToken(ctx, "x", user.Options{}); !errors.Is(err, gateway.ErrInvalidURL) {
		t.Errorf("an instance of nothing: %v", err)
	}
}

// What the caller sets wins.
func TestOptions(t *testing.T) {
	srv := start(t, fakegateway.Options{})
	ctx := within(t)
	setUp, readies := 0, 0
	identify := event.IdentifyDefault()
	identify.Token = "not this one"
	u, err := user.Login(ctx, srv.HTTPURL(), alice, user.Options{Gateway: gateway.Options{
		Token: "nor this one", Identify: &identify, MaxMessage: 8000, Compression: gateway.CompressionNone, Encoding: gateway.EncodingETF,
		Header: http.Header{"User-Agent": {"mine"}},
		Setup: func(h *gateway.Handle) {
			setUp++
			gateway.Observe(h, func(*event.Ready) { readies++ })
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	conn := srv.State().Conns[0]
	if conn.Query != "encoding=etf&v=9" || conn.UserAgent != "mine" || conn.User != "alice" {
		t.Errorf("connected with %s as %s for %s", conn.Query, conn.UserAgent, conn.User)
	}
	_ = u.Close()
	<-u.Handle.Done()
	if setUp != 1 || readies != 1 {
		t.Errorf("set up %d times, %d READYs", setUp, readies)
	}
}

func TestGatewayOptions(t *testing.T) {
	for _, c := range []struct {
		encodings    []gateway.Encoding
		compressions []gateway.Compression
		spacebar     bool
		want         gateway.Options
	}{
		{nil, nil, false, gateway.Options{}},
		{nil, nil, true, gateway.Options{MaxMessage: gateway.SpacebarMaxMessage}},
		{[]gateway.Encoding{"etf", "json"}, []gateway.Compression{"zstd-stream", "zlib-stream", "none"}, false, gateway.Options{}},
		{[]gateway.Encoding{"json"}, []gateway.Compression{"zstd-stream", "none"}, false, gateway.Options{}},
		{[]gateway.Encoding{"json"}, []gateway.Compression{"none", "brotli", "zlib-stream"}, false, gateway.Options{}},
		{[]gateway.Encoding{"json"}, []gateway.Compression{"zlib-stream", "brotli"}, false, gateway.Options{Compression: gateway.CompressionZlib}},
		{[]gateway.Encoding{"json"}, []gateway.Compression{"none"}, false, gateway.Options{Compression: gateway.CompressionNone}},
		{[]gateway.Encoding{"etf"}, []gateway.Compression{"zstd-stream"}, false, gateway.Options{Compression: gateway.CompressionZstd, Encoding: gateway.EncodingETF}},
		{[]gateway.Encoding{"cbor"}, []gateway.Compression{"brotli"}, false, gateway.Options{Compression: gateway.CompressionNone}},
		{nil, []gateway.Compression{}, false, gateway.Options{Compression: gateway.CompressionNone}},
	} {
		i := user.Instance{Encodings: c.encodings, Compressions: c.compressions, Spacebar: c.spacebar}
		got := i.GatewayOptions(gateway.Options{})
		if got.Compression != c.want.Compression || got.Encoding != c.want.Encoding || got.MaxMessage != c.want.MaxMessage {
			t.Errorf("%v %v: %+v", c.encodings, c.compressions, got)
		}
	}
}

// A user of whom nobody was told in time who it is, is none, and leaves no
// connection behind.
func TestNotToldInTime(t *testing.T) {
	srv := start(t, fakegateway.Options{Profile: fakegateway.Documented})
	ctx, cancel := context.WithCancel(within(t))
	var handle *gateway.Handle
	slow := make(chan struct{})
	u, err := user.WithToken(ctx, srv.HTTPURL(), fakegateway.BobToken, user.Options{Gateway: gateway.Options{Setup: func(h *gateway.Handle) {
		handle = h
		h.ObserveState(func(s gateway.StateChange) {
			if s.State == gateway.StateReady {
				cancel()
				<-slow // READY waits
			}
		})
	}}})
	close(slow)
	if !errors.Is(err, gateway.ErrTimeout) || !errors.Is(err, context.Canceled) {
		t.Fatalf("it is %v, %v", u, err)
	}
	<-handle.Done()
}

// A login that went well is not lost with the connection.
func TestNotConnected(t *testing.T) {
	srv := start(t, fakegateway.Options{Faults: fakegateway.Faults{RefuseStatus: 503}})
	ctx := within(t)
	_, err := user.Login(ctx, srv.HTTPURL(), alice, user.Options{Gateway: gateway.Options{Attempts: 1}})
	var offline *user.NotConnected
	if !errors.As(err, &offline) || !errors.Is(err, gateway.ErrDialFailed) {
		t.Fatalf("a gateway that refuses: %v", err)
	}
	srv.SetFaults(fakegateway.Target{}, fakegateway.Faults{})
	u, err := offline.Instance.WithToken(ctx, offline.Token, user.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_ = u.Close()
}

func TestGatewayBot(t *testing.T) {
	answer := func(string) (int, string) { return 0, "" }
	web, _ := behind(t, fakegateway.Options{}, func(w http.ResponseWriter, r *http.Request) bool {
		status, body := answer(r.Header.Get("Authorization"))
		if r.URL.Path != "/api/v9/gateway/bot" || status == 0 {
			return false
		}
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return true
	})
	ctx := within(t)
	i, err := user.Discover(ctx, web.URL, user.Options{})
	if err != nil {
		t.Fatal(err)
	}
	bot, err := i.GatewayBot(ctx, "", user.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "{" + i.Gateway + " 1 {1000 999 4h0m0s 1}}"; fmt.Sprint(*bot) != want {
		t.Errorf("it says %v, want %v", *bot, want)
	}

	answer = func(token string) (int, string) {
		if token != "Bot abc" {
			return 401, `{"code":0,"message":"401: Unauthorized"}`
		}
		return 200, `{"url":"wss://g.example/?x=1","shards":-5,"session_start_limit":{"total":"12","remaining":-1,"reset_after":1e30,"max_concurrency":0}}`
	}
	bot, err = i.GatewayBot(ctx, "Bot abc", user.Options{})
	if err != nil || fmt.Sprint(*bot) != "{wss://g.example/?x=1 1 {12 0 2777h46m40s 1}}" {
		t.Errorf("it says %v, %v", bot, err)
	}
	for _, c := range []struct {
		status int
		body   string
		is     error
		retry  time.Duration
	}{
		{401, ``, gateway.ErrAuthentication, 0},
		{400, `{"code":40001,"message":"Unauthorized. Provide a valid token and try again"}`, gateway.ErrAuthentication, 0},
		{429, `{"message":"You are being rate limited.","retry_after":1.5,"global":true}`, gateway.ErrRateLimited, 1500 * time.Millisecond},
		{429, `<html>`, gateway.ErrRateLimited, 7 * time.Second},
		{200, `{"url":"http://g.example"}`, &gateway.Error{Code: "protocol"}, 0},
		{200, `{"url":["ws://g.example"]}`, &gateway.Error{Code: "protocol"}, 0},
		{200, `[]`, &gateway.Error{Code: "protocol"}, 0},
	} {
		answer = func(string) (int, string) { return c.status, c.body }
		_, err := i.GatewayBot(ctx, "abcd", user.Options{})
		var refused *user.HTTPError
		if !errors.Is(err, c.is) || errors.As(err, &refused) && (refused.RetryAfter != c.retry || refused.Status != c.status) {
			t.Errorf("%d %s: %v", c.status, c.body, err)
		}
	}
}

// What a server repeats of a bot's token is not shown, with and without "Bot ".
func TestGatewayBotSecrets(t *testing.T) {
	web, _ := behind(t, fakegateway.Options{}, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/api/v9/gateway/bot" {
			return false
		}
		token := r.Header.Get("Authorization")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"message":"%s and %s"}`, token, strings.TrimPrefix(token, "Bot "))
		return true
	})
	i, err := user.Discover(within(t), web.URL, user.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.GatewayBot(within(t), "Bot s3cr3t", user.Options{}); err == nil || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("it says %v", err)
	}
}

func TestFieldErrors(t *testing.T) {
	body := ""
	web, _ := behind(t, fakegateway.Options{}, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, body)
		return true
	})
	i, err := user.Discover(within(t), web.URL, user.Options{})
	if err != nil {
		t.Fatal(err)
	}
	deep := strings.Repeat(`{"a":`, 500) + "{}" + strings.Repeat("}", 500)
	for _, c := range []struct{ body, want string }{
		{`{"code":50035,"errors":{"email":{"_errors":[{"code":"A","message":"a"},{"code":"B","message":"b"}]}}}`, `map[email:[{A a} {B b}]]`},
		{`{"code":50035,"errors":{"embeds":{"0":{"title":{"_errors":[{"code":"A","message":"a"}]}}}}}`, `map[embeds.0.title:[{A a}]]`},
		{`{"code":50035,"errors":{"":{"_errors":[{"code":"JSON_SCHEMA","message":"must have required property 'consent'"}]}},
			"_ajvErrors":[{"instancePath":"","keyword":"required","params":{"missingProperty":"consent"},"message":"must have required property 'consent'"},
			{"instancePath":"/a/b","keyword":"type","params":{"type":"string"},"message":"must be string"}]}`,
			`map[:[{JSON_SCHEMA must have required property 'consent'}] a.b:[{type must be string}] consent:[{required must have required property 'consent'}]]`},
		{`{"code":50035,"errors":{"/email":{"_errors":[{"code":1,"message":"a\nb"}]}}}`, `map[email:[{1 a b}]]`},
		{`{"code":50035,"message":"Invalid Form Body","errors":{"x":{"_errors":"no"}}}`, `user: POST /auth/login was answered with 400 Bad Request: Invalid Form Body (code 50035)`},
		{`{"code":50035,"errors":` + deep + `}`, `user: POST /auth/login was answered with 400 Bad Request (code 50035)`},
		{`{"code":50035,"errors":[1,null,{}],"_ajvErrors":{"a":1}}`, `user: POST /auth/login was answered with 400 Bad Request (code 50035)`},
		{`{"errors":{"a":{"_errors":[{"message":"` + strings.Repeat("é", 300) + `"}]}}}`, `map[a:[{ ` + strings.Repeat("é", 200) + `…}]]`},
	} {
		body = c.body
		_, err := i.Login(within(t), alice, user.Options{})
		got := err.Error()
		var form *user.FieldErrors
		if errors.As(err, &form) {
			got = fmt.Sprint(form.Fields)
		}
		if got != c.want {
			t.Errorf("%.100s…\n got %s\nwant %s", c.body, got, c.want)
		}
	}
	var many strings.Builder
	for n := range 1000 {
		fmt.Fprintf(&many, `,"f%d":{"_errors":[{"code":"A"}]}`, n)
	}
	body = `{"errors":{` + many.String()[1:] + `}}`
	var form *user.FieldErrors
	if _, err := i.Login(within(t), alice, user.Options{}); !errors.As(err, &form) || len(form.Fields) != 100 {
		t.Errorf("%d errors of a thousand", len(form.Fields))
	}
}

// No secret shows up in anything that is printed, logged or encoded, whatever the
// server sends back.
func TestSecrets(t *testing.T) {
	const ticket, captcha, code = "secret-ticket", "secret-captcha", "secret-code"
	answer := ""
	status := 400
	web, srv := behind(t, fakegateway.Options{}, func(w http.ResponseWriter, r *http.Request) bool {
		if answer == "" || r.Method != http.MethodPost && r.URL.Path != "/api/v9/gateway/bot" {
			return false
		}
		w.Header().Set("Content-Type", password+" secret-bot")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
		return true
	})
	ctx := within(t)
	i, err := user.Discover(ctx, web.URL, user.Options{})
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, v any, secrets ...string) {
		t.Helper()
		encoded, _ := json.Marshal(v)
		var logged strings.Builder
		slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "v", v)
		all := fmt.Sprintf("%v %+v %#v %s", v, v, v, v) + string(encoded) + logged.String()
		for _, s := range secrets {
			if at := strings.Index(all, s); at >= 0 {
				t.Errorf("%s shows %q: %.200s", what, s, all[max(0, at-100):])
			}
		}
	}

	u, err := i.Login(ctx, alice, user.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	check("a user", u, fakegateway.AliceToken)
	check("a user's value", *u, fakegateway.AliceToken)
	check("credentials", alice, password)
	check("a registration", user.Registration{Password: password}, password)

	for _, body := range []string{
		`{"code":1,"message":"SECRET"}`,
		`{"errors":{"SECRET":{"_errors":[{"code":"SECRET","message":"SECRET"}]}},"_ajvErrors":[{"instancePath":"SECRET/b","keyword":"SECRET","message":"SECRET"}]}`,
		`{"captcha_key":["SECRET"],"captcha_service":"SECRET"}`,
		"SECRET",
	} {
		for _, status = range []int{200, 302, 400, 429, 500} {
			answer = strings.ReplaceAll(body, "SECRET", password+" "+captcha)
			c := alice
			c.CaptchaKey = captcha
			_, err := i.Login(ctx, c, user.Options{})
			check("a login", err, password, captcha)
			_, err = i.Register(ctx, user.Registration{Password: password, CaptchaKey: captcha}, user.Options{})
			check("a registration", err, password, captcha)
			answer = strings.ReplaceAll(body, "SECRET", "secret-bot")
			_, err = i.GatewayBot(ctx, "secret-bot", user.Options{})
			check("a bot", err, "secret-bot")
		}
	}
	status, answer = 200, `{"token":null,"mfa":true,"ticket":"`+ticket+`","totp":true,"sms":true,"backup":true,"webauthn":"{}"}`
	_, err = i.Login(ctx, alice, user.Options{})
	check("a second factor", err, password, ticket)
	var factor *user.MFARequired
	if !errors.As(err, &factor) || fmt.Sprint(factor.Methods) != "[totp backup sms webauthn]" {
		t.Fatalf("no second factor: %v", err)
	}
	status, answer = 400, `{"code":60008,"message":"`+ticket+" "+code+`"}`
	_, err = factor.Continue(ctx, code)
	check("a wrong code", err, ticket, code)

	// The gateway fails after the login.
	answer = ""
	srv.SetFaults(fakegateway.Target{}, fakegateway.Faults{RefuseStatus: 500})
	_, err = i.Login(ctx, alice, user.Options{Gateway: gateway.Options{Attempts: 1}})
	check("not connected", err, password, fakegateway.AliceToken)
	status, answer = 200, `{"token":"`+fakegateway.AliceToken+`\n"}`
	_, err = i.Login(ctx, alice, user.Options{})
	check("a token that is none", err, password, fakegateway.AliceToken)
	if _, err = i.GatewayBot(ctx, "secret-bot\r\n", user.Options{}); !errors.Is(err, gateway.ErrInvalidOption) {
		t.Errorf("a token that is none: %v", err)
	}
	check("a token that is none", err, "secret-bot")
	web.Close()
	_, err = i.Login(ctx, alice, user.Options{})
	if !errors.Is(err, gateway.ErrDialFailed) {
		t.Errorf("nobody there: %v", err)
	}
	check("nobody there", err, password)
}

func FuzzAnswers(f *testing.F) {
	f.Add(400, `{"code":50035,"errors":{"":{"_errors":[{"code":"a","message":"b"}]}},"_ajvErrors":[{"instancePath":"/a","params":{"missingProperty":"b"}}]}`)
	f.Add(400, `{"captcha_key":["captcha-required"],"captcha_sitekey":"a"}`)
	f.Add(200, `{"ticket":"a","mfa":true}`)
	f.Add(429, `{"retry_after":-1e308}`)
	f.Add(200, `{"api":{"baseUrl":"http://a/api/v9/"},"gateway":{"baseUrl":"ws://b","encoding":[1],"compression":[null]}}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 999 {
			t.Skip()
		}
		client := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		})}
		o := user.Options{HTTPClient: client}
		if i, err := user.Discover(t.Context(), "https://i.example", o); err == nil {
			if !strings.HasPrefix(i.API, "https://") || !strings.HasPrefix(i.Gateway, "wss://") {
				t.Errorf("less secure: %+v", i)
			}
		}
		i := &user.Instance{URL: "https://i.example", API: "https://i.example/api/v9", Gateway: "wss://i.example"}
		if _, err := i.Register(t.Context(), user.Registration{Username: "a", Password: "correct horse"}, o); err == nil || strings.Contains(err.Error(), "correct horse") {
			t.Errorf("%v", err)
		}
	})
}

// transport is an http.RoundTripper.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
