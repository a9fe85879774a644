package fakegateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

func fetch(t *testing.T, method, url, body string, header ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctxFor(t), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

func TestDiscovery(t *testing.T) {
	srv := start(t, fakegateway.Options{})
	for _, tc := range []struct {
		path   string
		status int
		body   string
	}{
		{"/", 200, `Online`},
		{"/.well-known/spacebar", 200, `{"api":"HTTP/api/"}`},
		{"/.well-known/spacebar/client", 200, `{"api":{"baseUrl":"HTTP","apiVersions":{"default":"9","active":["6","7","8","9"]}},"cdn":{"baseUrl":"HTTP"},"gateway":{"baseUrl":"WS","encoding":["etf","json"],"compression":["zstd-stream","zlib-stream",null]}}`},
		{"/api/policies/instance/domains", 200, `{"admin":null,"api":"HTTP/api/","apiEndpoint":"HTTP","cdn":"HTTP","defaultApiVersion":"9","gateway":"WS"}`},
		{"/api/v9/gateway", 200, `{"url":"WS"}`},
		{"/api/v6/gateway", 200, `{"url":"WS"}`},
		{"/api/gateway", 200, `{"url":"WS"}`},
		{"/api/v9/gateway/bot", 200, `{"url":"WS","shards":1,"session_start_limit":{"total":1000,"remaining":999,"reset_after":14400000,"max_concurrency":1}}`},
		{"/api/ping", 200, `{"ping":"pong!","instance":{"id":"1574334000000000000","name":"Fake Instance","description":"A Spacebar instance for tests","image":null,"correspondenceEmail":null,"correspondenceUserID":null,"frontPage":null,"tosPage":null}}`},
		{"/api/v5/gateway", 404, `{"message":"Endpoint not found","code":404,"request":"GET /api/v5/gateway"}`},
		{"/control", 404, `{"message":"Endpoint not found","code":404,"request":"GET /control"}`},
		{"/api/v9/users/@me", 400, `{"code":40001,"message":"Unauthorized. Provide a valid token and try again"}`},
	} {
		want := strings.NewReplacer("HTTP", srv.HTTPURL(), "WS", srv.URL()).Replace(tc.body)
		status, body, header := fetch(t, "GET", srv.HTTPURL()+tc.path, "")
		if status != tc.status || body != want {
			t.Errorf("%s: %d %s, want %d %s", tc.path, status, body, tc.status, want)
		}
		if header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: pages of other origins are kept out", tc.path)
		}
	}
}

func TestCORS(t *testing.T) {
	srv := start(t, fakegateway.Options{Faults: fakegateway.Faults{RefuseStatus: 503}})
	status, _, header := fetch(t, "OPTIONS", srv.HTTPURL()+"/api/v9/auth/login", "",
		"Origin", "https://app.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type,x-y")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "https://app.example", "Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Headers": "content-type,x-y", "Access-Control-Allow-Methods": "POST", "Access-Control-Max-Age": "60",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if status != 204 {
		t.Errorf("the preflight gets %d", status)
	}
}

func TestLogin(t *testing.T) {
	srv := start(t, fakegateway.Options{})
	post := func(path, body string) (int, string) {
		status, text, _ := fetch(t, "POST", srv.HTTPURL()+"/api/v9/auth/"+path, body)
		return status, text
	}
	contains := func(what string, status, want int, body string, parts ...string) {
		t.Helper()
		if status != want {
			t.Errorf("%s: %d %s", what, status, body)
		}
		for _, p := range parts {
			if !strings.Contains(body, p) {
				t.Errorf("%s: %s has no %s", what, body, p)
			}
		}
	}
	status, body := post("login", `{"login":"alice@example.com","password":"correct horse"}`)
	contains("login", status, 200, body, `"token":"`+fakegateway.AliceToken+`"`, `"user_id":"`, `"user_settings":{"locale"`)
	status, body = post("login", `{"login":"alice@example.com","password":"wrong"}`)
	contains("wrong password", status, 400, body, `"code":50035`, `"errors":{"login":{"_errors":[{"code":"INVALID_LOGIN"`, `"password":{"_errors":[{"code":"INVALID_LOGIN"`)
	status, body = post("login", `{"login":"alice@example.com"}`)
	contains("no password", status, 400, body, `"errors":{"":{"_errors":[`, `"_ajvErrors":[{`)
	status, body = post("login", `{`)
	contains("no JSON", status, 400, body, `"code":50109`)

	const dora = `{"username":"dora","email":"dora@example.com","password":"x","consent":true,"date_of_birth":"2000-01-01"}`
	c := online(t, srv, "")
	status, body = post("register", dora)
	contains("register", status, 200, body, `{"token":"`)
	c.until(0, "GUILD_MEMBER_ADD")
	token := strings.TrimSuffix(strings.TrimPrefix(body, `{"token":"`), `"}`)
	if len(token) != 408 {
		t.Errorf("the token has %d characters", len(token))
	}
	d := dial(t, srv, "")
	d.send(strings.Replace(aliceIdentify, fakegateway.AliceToken, token, 1))
	d.until(0, "READY")
	status, body, _ = fetch(t, "GET", srv.HTTPURL()+"/api/v9/users/@me", "", "Authorization", "Bearer "+token)
	contains("me", status, 200, body, `"username":"dora"`, `"email":"dora@example.com"`)
	status, body = post("login", `{"login":"DORA@example.com","password":"x"}`)
	contains("login of dora", status, 200, body, token)
	for _, tc := range []struct{ body, want string }{
		{dora, `"email":{"_errors":[{"code":"EMAIL_ALREADY_REGISTERED"`},
		{strings.Replace(dora, "dora@", "other@", 1), `"username":{"_errors":[`},
		{strings.Replace(dora, `"email":"dora@example.com",`, "", 1), `"email":{"_errors":[{"code":"BASE_TYPE_REQUIRED"`},
		{strings.NewReplacer("dora", "eva", "2000", "2024").Replace(dora), `"date_of_birth":{"_errors":[{"code":"DATE_OF_BIRTH_UNDERAGE"`},
		{strings.NewReplacer("dora", "eva", "2000-01-01", "soon").Replace(dora), `"date_of_birth":{"_errors":[`},
		{`{"username":"eva"}`, `must have required property 'consent'`},
	} {
		status, body := post("register", tc.body)
		contains(tc.body, status, 400, body, tc.want)
	}

	status, _, _ = fetch(t, "POST", srv.HTTPURL()+"/api/v9/auth/logout", "{}", "Authorization", token)
	if status != 204 {
		t.Errorf("logout gets %d", status)
	}
	status, _, _ = fetch(t, "POST", srv.HTTPURL()+"/api/v9/auth/sessions/logout", "{}", "Authorization", token)
	if status != 204 {
		t.Errorf("logout of the session gets %d", status)
	}
	if m := d.until(9, ""); m.S == nil || m.D != nil {
		t.Errorf("got %s", m.text)
	}
	d.wantClosed(4006)
	if status, _, _ = fetch(t, "POST", srv.HTTPURL()+"/api/v9/auth/sessions/logout", "{}"); status != 400 {
		t.Errorf("logout of nobody gets %d", status)
	}
}

func TestHarderLogin(t *testing.T) {
	srv := start(t, fakegateway.Options{Captcha: true, MFA: "123456"})
	post := func(path, body string) string {
		_, text, _ := fetch(t, "POST", srv.HTTPURL()+"/api/v9/auth/"+path, body)
		return text
	}
	const login = `{"login":"bob@example.com","password":"battery staple"`
	if got, want := post("login", login+"}"), `{"captcha_key":["captcha-required"],"captcha_sitekey":"fake-sitekey","captcha_service":"hcaptcha"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := post("login", login+`,"captcha_key":"solved"}`), `{"ticket":"mfa-ticket-1","mfa":true,"sms":false,"token":null}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := post("mfa/totp", `{"code":"000000","ticket":"mfa-ticket-1"}`); !strings.Contains(got, "60008") {
		t.Errorf("got %s", got)
	}
	if got := post("mfa/totp", `{"code":"123456","ticket":"mfa-ticket-1"}`); !strings.Contains(got, fakegateway.BobToken) {
		t.Errorf("got %s", got)
	}
	if got := post("register", `{"username":"x","consent":true}`); !strings.Contains(got, "captcha-required") {
		t.Errorf("got %s", got)
	}
}
