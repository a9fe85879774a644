package user

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
)

// ErrNotInstance is the kind of error of a URL at which no instance was found,
// for errors.Is. The error itself is a *DiscoveryError.
var ErrNotInstance error = &gateway.Error{Code: "not_an_instance", Message: "no instance found"}

// DiscoveryError tells why each step of the discovery failed. It matches
// ErrNotInstance, and what its steps match.
type DiscoveryError struct {
	// URL that was looked at.
	URL string
	// Steps that were tried, in order.
	Steps []StepError
}

// StepError is one step of the discovery that failed.
type StepError struct {
	Source Source
	Err    error
}

// Error says what is wrong, and what to do about it.
func (e *DiscoveryError) Error() string {
	text := "user: no instance found at " + e.URL
	for _, s := range e.Steps {
		_, why, _ := strings.Cut(s.Err.Error(), ": ") // without the name of the package
		text += "; " + why
	}
	return text
}

// Is matches ErrNotInstance.
func (e *DiscoveryError) Is(target error) bool { return target == ErrNotInstance }

// Unwrap returns the errors of the steps.
func (e *DiscoveryError) Unwrap() []error {
	all := make([]error, len(e.Steps))
	for i, s := range e.Steps {
		all[i] = s.Err
	}
	return all
}

// HTTPError is an answer of the API that says no. It matches
// gateway.ErrAuthentication if the token was refused (with status 401, or as
// Spacebar does it, 400 and code 40001), and gateway.ErrRateLimited if there were
// too many requests.
type HTTPError struct {
	// Request that was made, such as "POST /auth/login".
	Request string
	// Status of the answer. It is below 300 if the answer was a good one that
	// lacks what it is for.
	Status int
	// Code of the error in the protocol; 0 if there was none.
	Code int
	// Message of the server, of at most 200 characters; may be empty.
	Message string
	// RetryAfter is how long the server wants to be left alone; 0 if it did not
	// say.
	RetryAfter time.Duration
}

// Error says what is wrong, and what to do about it.
func (e *HTTPError) Error() string {
	text := "user: " + e.Request + " was answered with " + statusText(e.Status)
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Code != 0 {
		text += " (code " + strconv.Itoa(e.Code) + ")"
	}
	if e.RetryAfter > 0 {
		text += "; try again in " + e.RetryAfter.String()
	}
	return text
}

// codeUnauthorized is the protocol's code for a token that is missing or wrong.
const codeUnauthorized = 40001

// Is matches gateway.ErrAuthentication and gateway.ErrRateLimited.
func (e *HTTPError) Is(target error) bool {
	switch target {
	case gateway.ErrAuthentication:
		return e.Status == 401 || e.Code == codeUnauthorized
	case gateway.ErrRateLimited:
		return e.Status == 429
	}
	return false
}

// FieldError is what is wrong with a field of a form.
type FieldError struct {
	// Code is a word that stays the same in all languages, such as
	// EMAIL_ALREADY_REGISTERED.
	Code string
	// Message for the person who filled in the form.
	Message string
}

// FieldErrors says what is wrong with a form (code 50035 of the protocol). It
// matches gateway.ErrAuthentication if the login or the password is wrong.
type FieldErrors struct {
	// Fields by name. Parts of a field are named after it, with a dot between. The
	// empty name stands for the form as a whole.
	Fields map[string][]FieldError
}

// Error says what is wrong, and what to do about it.
func (e *FieldErrors) Error() string {
	b := []byte("user: the server does not take the form")
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		for _, f := range e.Fields[name] {
			b = append(b, "; "...)
			if name != "" {
				b = append(b, name+": "...)
			}
			b = append(b, f.Message...)
			if f.Code != "" {
				b = append(b, " ("+f.Code+")"...)
			}
		}
	}
	return string(b)
}

// Is matches gateway.ErrAuthentication.
func (e *FieldErrors) Is(target error) bool {
	if target != gateway.ErrAuthentication {
		return false
	}
	for _, list := range e.Fields {
		for _, f := range list {
			if f.Code == "INVALID_LOGIN" || f.Code == "INVALID_PASSWORD" {
				return true
			}
		}
	}
	return false
}

// CaptchaRequired says that a person has to solve a captcha before the server
// does what was asked for. Show one, and call Continue with its solution.
type CaptchaRequired struct {
	// SiteKey to show a captcha with; may be empty.
	SiteKey string
	// Service is whose captcha it is: "hcaptcha", "recaptcha" …
	Service string
	// Reasons are the service's words, such as "captcha-required" or, for a
	// solution that was not taken, "invalid-input-response".
	Reasons []string
	// RqData, where it is not empty, has to be given to the captcha.
	RqData string
	// RqToken and SessionID name the challenge; Continue sends them along.
	RqToken, SessionID string

	again func(context.Context, captcha) (*User, error)
}

// Error says what is wrong, and what to do about it.
func (e *CaptchaRequired) Error() string {
	text := "user: the server asks for a captcha"
	if e.Service != "" {
		text += " of " + e.Service
	}
	if len(e.Reasons) > 0 {
		text += " (" + strings.Join(e.Reasons, ", ") + ")"
	}
	return text
}

// Continue asks again, with the solution of the captcha. It fails as what was
// first called does; with another *CaptchaRequired if the solution is not taken.
func (e *CaptchaRequired) Continue(ctx context.Context, solution string) (*User, error) {
	if e.again == nil {
		return nil, fail(session.ErrInvalidOption, "this captcha was not asked for by a server")
	}
	return e.again(ctx, captcha{solution, e.RqToken, e.SessionID})
}

// MFAMethod is a way to prove who one is besides the password.
type MFAMethod string

// The methods of multi-factor authentication (protocol section:
// Authentication, Login Account).
const (
	MFATOTP     MFAMethod = "totp"     // a code of an authenticator app
	MFABackup   MFAMethod = "backup"   // one of the codes kept for when the app is lost
	MFASMS      MFAMethod = "sms"      // a code sent by SMS
	MFAWebAuthn MFAMethod = "webauthn" // a security key
)

// MFARequired says that the password is right and a second factor is needed.
// Ask for a code and call Continue with it.
type MFARequired struct {
	// Ticket stands for the login until the code is there. It is a secret.
	Ticket event.Token `json:"-"`
	// Methods that the account has, as far as the server tells.
	Methods []MFAMethod

	next func(ctx context.Context, code string) (*User, error)
}

// Error says what is wrong, and what to do about it.
func (e *MFARequired) Error() string {
	names := make([]string, len(e.Methods))
	for i, m := range e.Methods {
		names[i] = string(m)
	}
	return "user: the account needs a second factor (" + strings.Join(names, ", ") + ")"
}

// Continue finishes the login with a code of the authenticator app (POST
// /auth/mfa/totp; a Spacebar server takes backup codes there as well). A wrong
// code is an *HTTPError with the code 60008, after which Continue may be called
// again.
func (e *MFARequired) Continue(ctx context.Context, code string) (*User, error) {
	if e.next == nil {
		return nil, fail(session.ErrInvalidOption, "this second factor was not asked for by a server")
	}
	return e.next(ctx, code)
}

// NotConnected says that the login, or the registration, went well, but the
// connection to the gateway could not be made. Err says why. Try again with
// Instance.WithToken: to log in again would make another session, and to register
// again would fail.
type NotConnected struct {
	// Token of the user.
	Token event.Token `json:"-"`
	// Instance that gave it.
	Instance *Instance
	// Err is the error of gateway.Connect.
	Err error
}

// Error says what is wrong, and what to do about it.
func (e *NotConnected) Error() string {
	return "user: logged in, but not connected: " + e.Err.Error()
}

// Unwrap returns Err.
func (e *NotConnected) Unwrap() error { return e.Err }
