package user

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-json"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/internal/plain"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
)

// This file asks, and reads answers. It knows the shapes of the protocol's
// refusals, and not what is asked for.

const (
	defaultTimeout = 15 * time.Second
	maxRedirects   = 5
	maxRetryAfter  = 24 * time.Hour
	maxText        = 200 // characters of a text that a server chose

	// The largest answers that are read, in bytes. Real ones have a tenth of that.
	discoveryLimit = 64 << 10
	answerLimit    = 1 << 20
)

// request is one request to an instance.
type request struct {
	// name in errors, such as "POST /auth/login".
	name string
	// url to get, or to post body to.
	url   string
	body  any
	token event.Token
	// captcha in the headers; its key is in the body.
	captcha captcha
	// secrets that were sent, and must not come back in an error.
	secrets []string
}

// captcha is the solution of one, and what it was the solution to.
type captcha struct{ key, rqToken, sessionID string }

// discovery reports whether the request tells the server nothing that is secret:
// such a one may be redirected.
func (r *request) discovery() bool { return r.body == nil && r.token == "" }

// ask makes a request and decodes the answer, leniently: what is missing or of
// another type stays zero. The error is the refusal of the server, or says why
// there was no answer.
func (o *Options) ask(ctx context.Context, r request, answer any) error {
	status, header, body, err := o.roundTrip(ctx, r)
	if err != nil {
		return err
	}
	if status < 200 || status > 299 {
		return r.refusal(status, header, body)
	}
	if _, err := event.Unmarshal(body, answer); err != nil {
		kind := ""
		if k, _, _ := strings.Cut(header.Get("Content-Type"), ";"); k != "" && k != "application/json" {
			kind = " but " + clean(k, r.secrets)
		}
		return fail(session.ErrProtocol, r.name+" was answered with what is not JSON"+kind)
	}
	return nil
}

// roundTrip makes a request and reads the answer.
func (o *Options) roundTrip(ctx context.Context, r request) (status int, header http.Header, body []byte, err error) {
	timeout := o.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	inTime, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := o.request(inTime, r)
	if err != nil {
		return 0, nil, nil, err
	}
	client := *http.DefaultClient
	if o.HTTPClient != nil {
		client = *o.HTTPClient
	}
	client.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		switch {
		case !r.discovery():
			return http.ErrUseLastResponse
		case next.URL.Scheme != "https" || via[0].URL.Scheme != "https":
			return redirectError("redirects to " + clean(next.URL.Scheme+"://"+next.URL.Host, r.secrets) + ", and only https may redirect, and only to https; give the URL it redirects to if it is to be trusted")
		case len(via) > maxRedirects:
			return redirectError("redirects again and again")
		}
		return nil
	}
	resp, err := client.Do(req)
	if err == nil {
		defer resp.Body.Close()
		limit := answerLimit
		if r.discovery() {
			limit = discoveryLimit
		}
		body, err = io.ReadAll(io.LimitReader(resp.Body, int64(limit)+1))
		if len(body) > limit {
			return 0, nil, nil, fail(session.ErrProtocol, r.name+" was answered with more than "+strconv.Itoa(limit)+" bytes")
		}
	}
	var redirect redirectError
	var timedOut net.Error
	switch {
	case err == nil:
		return resp.StatusCode, resp.Header, body, nil
	case ctx.Err() != nil:
		err = fmt.Errorf("%w: %w", fail(session.ErrTimeout, r.name+" was not answered in time"), context.Cause(ctx))
	case errors.As(err, &redirect):
		err = fail(session.ErrProtocol, r.name+" "+string(redirect))
	case errors.As(err, &timedOut) && timedOut.Timeout():
		err = fail(session.ErrTimeout, r.name+" was not answered by "+req.URL.Host+" within "+timeout.String())
	default:
		err = fail(session.ErrDialFailed, "could not reach "+req.URL.Host+": "+clean(plain.Innermost(err), r.secrets))
	}
	return 0, nil, nil, err
}

// redirectError is a redirect that is not followed.
type redirectError string

func (e redirectError) Error() string { return string(e) }

// request makes the HTTP request.
func (o *Options) request(ctx context.Context, r request) (*http.Request, error) {
	method, body := http.MethodGet, []byte(nil)
	if r.body != nil {
		method = http.MethodPost
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return nil, fail(session.ErrInvalidPayload, "the form cannot be made JSON")
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, r.url, bytes.NewReader(body))
	if err != nil {
		return nil, fail(session.ErrInvalidURL, "the instance names no usable URL of its API")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", userAgent)
	if ua := o.Gateway.Header.Get("User-Agent"); ua != "" {
		req.Header.Set("User-Agent", ua)
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.token != "" {
		req.Header.Set("Authorization", string(r.token))
	}
	// Spacebar reads the key in the body and knows none of the rest; a server that
	// names a challenge wants it all in headers.
	if c := r.captcha; c.rqToken != "" || c.sessionID != "" {
		for name, value := range map[string]string{"X-Captcha-Key": c.key, "X-Captcha-Rqtoken": c.rqToken, "X-Captcha-Session-Id": c.sessionID} {
			if value != "" {
				req.Header.Set(name, value)
			}
		}
	}
	return req, nil
}

// userAgent is the one the gateway is dialed with.
var userAgent = plain.UserAgent(gateway.Version)

// refusal makes an error of an answer that says no.
func (r *request) refusal(status int, header http.Header, body []byte) error {
	var a struct {
		Code       int             `json:"code"`
		Message    string          `json:"message"`
		RetryAfter float64         `json:"retry_after"`
		Errors     json.RawMessage `json:"errors"`
		Schema     []schemaError   `json:"_ajvErrors"`
		Captcha    []string        `json:"captcha_key"`
		SiteKey    string          `json:"captcha_sitekey"`
		Service    string          `json:"captcha_service"`
		RqData     string          `json:"captcha_rqdata"`
		RqToken    string          `json:"captcha_rqtoken"`
		SessionID  string          `json:"captcha_session_id"`
	}
	_, _ = event.Unmarshal(body, &a) // what is no JSON says no more than its status
	if a.Captcha != nil {
		for i := range a.Captcha {
			a.Captcha[i] = clean(a.Captcha[i], r.secrets)
		}
		return &CaptchaRequired{SiteKey: a.SiteKey, Service: clean(a.Service, r.secrets), Reasons: a.Captcha, RqData: a.RqData, RqToken: a.RqToken, SessionID: a.SessionID}
	}
	if fields := r.fieldErrors(a.Errors, a.Schema); len(fields) > 0 {
		return &FieldErrors{Fields: fields}
	}
	e := &HTTPError{Request: r.name, Status: status, Code: a.Code, Message: clean(a.Message, r.secrets)}
	if status == http.StatusTooManyRequests {
		e.RetryAfter = retryAfter(a.RetryAfter, header.Get("Retry-After"))
	}
	if status >= 300 && status < 400 {
		e.Message = "credentials do not follow redirects; give the URL of the instance itself"
	}
	return e
}

// retryAfter reads how long to wait, in the body in seconds, or in the header in
// seconds or as a date.
func retryAfter(seconds float64, header string) time.Duration {
	if seconds <= 0 {
		seconds, _ = strconv.ParseFloat(header, 64)
	}
	if date, err := http.ParseTime(header); seconds <= 0 && err == nil {
		seconds = time.Until(date).Seconds()
	}
	if !(seconds > 0) { // NaN as well
		return 0
	}
	return time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second)).Round(time.Millisecond)
}

// schemaError is an error of the validator that Spacebar uses.
type schemaError struct {
	Path    string `json:"instancePath"`
	Keyword string `json:"keyword"`
	Message string `json:"message"`
	Params  struct {
		Missing string `json:"missingProperty"`
	} `json:"params"`
}

const (
	maxFields = 100 // errors of one answer
	maxDepth  = 8   // of a field within fields
)

// fieldErrors reads what is wrong with which field. Spacebar puts what its schema
// says under the path of the object that it is about, the last error of each; the
// list of the validator has them all and knows the field that is missing.
func (r *request) fieldErrors(errors json.RawMessage, schema []schemaError) map[string][]FieldError {
	all := map[string][]FieldError{}
	n := 0
	add := func(name string, f FieldError) {
		if n++; n <= maxFields && f != (FieldError{}) {
			name = clean(name, r.secrets)
			all[name] = append(all[name], FieldError{clean(f.Code, r.secrets), clean(f.Message, r.secrets)})
		}
	}
	var walk func(name string, text json.RawMessage, depth int)
	walk = func(name string, text json.RawMessage, depth int) {
		var members map[string]json.RawMessage
		if _, err := event.Unmarshal(text, &members); err != nil || depth > maxDepth {
			return
		}
		for key, value := range members {
			if key == "_errors" {
				var list []struct {
					Code    event.Nonce `json:"code"`
					Message string      `json:"message"`
				}
				_, _ = event.Unmarshal(value, &list) // it is a part of valid JSON
				for _, f := range list {
					add(name, FieldError{string(f.Code), f.Message})
				}
				continue
			}
			walk(join(name, key), value, depth+1)
		}
	}
	walk("", errors, 0)
	for _, s := range schema {
		name := join(join("", s.Path), s.Params.Missing)
		if len(all[name]) == 0 {
			add(name, FieldError{s.Keyword, s.Message})
		}
	}
	return all
}

// join names a part of a field. The validator writes paths with slashes.
func join(name, part string) string {
	part = strings.ReplaceAll(strings.Trim(part, "/"), "/", ".")
	if name == "" || part == "" {
		return name + part
	}
	return name + "." + part
}

// clean makes a text that a server chose fit to be shown: bounded, on one line,
// and without the secrets that were sent to it. Secrets of up to three characters
// are part of too many words to be found.
func clean(text string, secrets []string) string {
	for _, s := range secrets {
		if len(s) > 3 {
			text = strings.ReplaceAll(text, s, event.TokenRedacted)
		}
	}
	return plain.Text(text, maxText)
}

func statusText(status int) string {
	return strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))
}
