package fakegateway

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// This file is the server's HTTP beside the WebSockets.

// maxBody bounds the body of a request. A capture to play may be large.
const maxBody = 64 << 20

var apiPath = regexp.MustCompile(`^/api(/v(6|7|8|9|10))?(/.*)$`)

// serveHTTP answers a request that is no upgrade.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	cors(w.Header(), r)
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	base := "http://" + r.Host
	if r.TLS != nil {
		base = "https://" + r.Host
	}
	ws := "ws" + strings.TrimPrefix(base, "http")
	path := r.URL.Path
	if path == "/control" && s.opt.Control {
		s.serveControl(w, r)
		return
	}
	if m := apiPath.FindStringSubmatch(path); m != nil {
		s.serveAPI(w, r, m[3], base, ws)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		notFound(w, r)
		return
	}
	switch path {
	case "/":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "Online") // the client may have gone
	case "/.well-known/spacebar":
		answer(w, http.StatusOK, newObject().str("api", base+"/api/").done())
	case "/.well-known/spacebar/client":
		answer(w, http.StatusOK, newObject().
			open("api").str("baseUrl", base).open("apiVersions").str("default", "9").strs("active", "6", "7", "8", "9").close().close().
			open("cdn").str("baseUrl", base).close().
			open("gateway").str("baseUrl", ws).strs("encoding", "etf", "json").
			list("compression").str("", compressZstd).str("", compressZlib).null("").end().close().done())
	default:
		notFound(w, r)
	}
}

func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request, path, base, ws string) {
	switch r.Method + " " + path {
	case "GET /policies/instance/domains":
		answer(w, http.StatusOK, newObject().null("admin").str("api", base+"/api/").str("apiEndpoint", base).str("cdn", base).
			str("defaultApiVersion", "9").str("gateway", ws).done())
	case "GET /gateway":
		answer(w, http.StatusOK, newObject().str("url", ws).done())
	case "GET /gateway/bot":
		answer(w, http.StatusOK, newObject().str("url", ws).num("shards", 1).open("session_start_limit").
			num("total", 1000).num("remaining", 999).num("reset_after", 14400000).num("max_concurrency", 1).close().done())
	case "GET /ping":
		answer(w, http.StatusOK, newObject().str("ping", "pong!").open("instance").str("id", "1574334000000000000").
			str("name", "Fake Instance").str("description", "A Spacebar instance for tests").
			null("image", "correspondenceEmail", "correspondenceUserID", "frontPage", "tosPage").close().done())
	case "GET /users/@me":
		s.answer(w, func(e *Engine) (int, json.RawMessage) { return e.me(r.Header.Get("Authorization")) })
	case "POST /auth/logout":
		w.WriteHeader(http.StatusNoContent) // and the token stays valid
	case "POST /auth/login":
		s.answerForm(w, r, (*Engine).login)
	case "POST /auth/register":
		s.answerForm(w, r, (*Engine).register)
	case "POST /auth/mfa/totp":
		s.answerForm(w, r, (*Engine).mfa)
	case "POST /auth/sessions/logout":
		s.answerForm(w, r, func(e *Engine, body map[string]json.RawMessage) (int, json.RawMessage) {
			return e.logoutSession(r.Header.Get("Authorization"), body)
		})
	default:
		notFound(w, r)
	}
}

// answer asks the engine for an answer.
func (s *Server) answer(w http.ResponseWriter, ask func(e *Engine) (int, json.RawMessage)) {
	var status int
	var body json.RawMessage
	s.Do(func(_ time.Duration, e *Engine) { status, body = ask(e) })
	answer(w, status, body)
}

func (s *Server) answerForm(w http.ResponseWriter, r *http.Request, ask func(*Engine, map[string]json.RawMessage) (int, json.RawMessage)) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	var body map[string]json.RawMessage
	if err == nil && len(text) > 0 {
		err = json.Unmarshal(text, &body)
	}
	if err != nil {
		answer(w, http.StatusBadRequest, newObject().num("code", 50109).str("message", "The request body contains invalid JSON.").done())
		return
	}
	s.answer(w, func(e *Engine) (int, json.RawMessage) { return ask(e, body) })
}

func notFound(w http.ResponseWriter, r *http.Request) {
	answer(w, http.StatusNotFound, newObject().str("message", "Endpoint not found").num("code", 404).str("request", r.Method+" "+r.URL.Path).done())
}

func answer(w http.ResponseWriter, status int, body json.RawMessage) {
	if body != nil {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have gone
}

// cors lets pages of every origin in.
func cors(h http.Header, r *http.Request) {
	set := func(name, value, instead string) {
		if value == "" {
			value = instead
		}
		h.Set(name, value)
	}
	set("Access-Control-Allow-Origin", r.Header.Get("Origin"), "*")
	set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"), "*")
	set("Access-Control-Allow-Methods", r.Header.Get("Access-Control-Request-Method"), "*")
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Max-Age", "60")
}

// serveControl is POST /control.
func (s *Server) serveControl(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		notFound(w, r)
		return
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var result json.RawMessage
	if err == nil {
		result, err = s.Control(r.Context(), text)
	}
	if err != nil {
		answer(w, http.StatusBadRequest, newObject().str("error", err.Error()).done())
		return
	}
	answer(w, http.StatusOK, result)
}
