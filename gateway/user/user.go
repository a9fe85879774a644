package user

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/goccy/go-json"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
)

// Options of a login, and of the connection that follows. The zero value is a
// good default.
type Options struct {
	// Gateway are the options of the connection. What is set here wins over what
	// the instance says; the token is that of the login. Its User-Agent, if its
	// Header has one, is that of the HTTP requests as well.
	Gateway gateway.Options
	// HTTPClient for the HTTP requests, and for the connection if Gateway has none;
	// nil means http.DefaultClient. Its CheckRedirect does not count.
	HTTPClient *http.Client
	// Timeout of each HTTP request; 0 means 15 seconds.
	Timeout time.Duration
}

// User is an account that is logged in and connected.
type User struct {
	// Handle of the connection, which was ready when the user was returned.
	Handle *gateway.Handle
	// Token of the account. It is not shown when the user is printed.
	Token event.Token
	// Instance that the account is on.
	Instance *Instance
	// ID of the account. It is 0 only after WithToken, where a session was resumed,
	// as the server then says nothing of the account, or where READY was dropped
	// because observers were slow, or cannot be read.
	ID event.Snowflake
	// Settings of the account when it connected; nil where they are not known.
	Settings *event.UserSettings
}

// Close ends the session and the connection. The token stays valid.
func (u *User) Close() error { return u.Handle.Close() }

// String names the user, without the token.
func (u User) String() string { return "user " + u.ID.String() + " at " + u.Instance.URL }

// GoString is String.
func (u User) GoString() string { return u.String() }

// LogValue is what log/slog shows: the id and the instance.
func (u User) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", u.ID.String()), slog.String("instance", u.Instance.URL))
}

// MarshalJSON encodes the id and the URL of the instance. The token has to be
// saved by itself, and on purpose.
func (u User) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"id": u.ID.String(), "instance": u.Instance.URL})
}

// Credentials are what an account logs in with.
type Credentials struct {
	// Login is an email address or a phone number.
	Login string
	// Password, which is shown nowhere, like a token, and not encoded either.
	Password event.Token `json:"-"`
	// Undelete takes back that the account was disabled or to be deleted.
	Undelete bool
	// CaptchaKey is the solution of a captcha that was shown beforehand. Most
	// programs wait for *CaptchaRequired instead.
	CaptchaKey string
}

// Registration is a new account. Only Username and Consent are needed by all
// servers; each decides on the rest.
type Registration struct {
	Username string
	// GlobalName is the name that others see.
	GlobalName string
	Email      string
	// Password, which is shown nowhere, like a token, and not encoded either.
	Password event.Token `json:"-"`
	// DateOfBirth counts as a date, without the time; the zero time is none.
	DateOfBirth time.Time
	// Consent to the terms of the instance. Ask for it.
	Consent bool
	// Invite to a guild. Some instances are open with an invite only.
	Invite string
	// CaptchaKey is like that of Credentials.
	CaptchaKey string
}

// Login logs in to the instance at a URL and connects (protocol section: Login
// Account). It fails with
//
//   - what Discover fails with;
//   - *CaptchaRequired or *MFARequired, which know how to go on;
//   - *FieldErrors; a wrong login or password matches gateway.ErrAuthentication;
//   - *HTTPError; one that matches gateway.ErrRateLimited says when to try again;
//   - gateway.ErrDialFailed or gateway.ErrTimeout if the API does not answer;
//   - *NotConnected, with what gateway.Connect fails with, if the gateway does not.
func Login(ctx context.Context, instanceURL string, c Credentials, o Options) (*User, error) {
	i, err := Discover(ctx, instanceURL, o)
	if err != nil {
		return nil, err
	}
	return i.Login(ctx, c, o)
}

// Register makes an account at the instance at a URL and connects as its user
// (protocol section: Register Account). It fails as Login does.
func Register(ctx context.Context, instanceURL string, r Registration, o Options) (*User, error) {
	i, err := Discover(ctx, instanceURL, o)
	if err != nil {
		return nil, err
	}
	return i.Register(ctx, r, o)
}

// WithToken connects with a token to the instance at a URL. It fails with what
// Discover and gateway.Connect fail with.
func WithToken(ctx context.Context, instanceURL string, token event.Token, o Options) (*User, error) {
	if err := checkToken(token, false); err != nil {
		return nil, err
	}
	i, err := Discover(ctx, instanceURL, o)
	if err != nil {
		return nil, err
	}
	return i.WithToken(ctx, token, o)
}

// Login is the function Login for an instance that has been discovered.
func (i *Instance) Login(ctx context.Context, c Credentials, o Options) (*User, error) {
	f := form{path: "/auth/login", secrets: []string{string(c.Password), c.CaptchaKey}, fill: func(captchaKey string) any {
		return struct {
			Login    string      `json:"login"`
			Password event.Token `json:"password"`
			Undelete bool        `json:"undelete,omitempty"`
			Captcha  string      `json:"captcha_key,omitempty"`
		}{c.Login, c.Password, c.Undelete, captchaKey}
	}}
	return i.submit(ctx, o, f, captcha{key: c.CaptchaKey})
}

// Register is the function Register for an instance that has been discovered.
func (i *Instance) Register(ctx context.Context, r Registration, o Options) (*User, error) {
	born := ""
	if !r.DateOfBirth.IsZero() {
		born = r.DateOfBirth.Format(time.DateOnly)
	}
	f := form{path: "/auth/register", secrets: []string{string(r.Password), r.CaptchaKey}, fill: func(captchaKey string) any {
		// What is empty is left out: a Spacebar server would check it.
		return struct {
			Username   string      `json:"username"`
			GlobalName string      `json:"global_name,omitempty"`
			Email      string      `json:"email,omitempty"`
			Password   event.Token `json:"password,omitempty"`
			Born       string      `json:"date_of_birth,omitempty"`
			Consent    bool        `json:"consent"`
			Invite     string      `json:"invite,omitempty"`
			Captcha    string      `json:"captcha_key,omitempty"`
		}{r.Username, r.GlobalName, r.Email, r.Password, born, r.Consent, r.Invite, captchaKey}
	}}
	return i.submit(ctx, o, f, captcha{key: r.CaptchaKey})
}

// form is what is posted to get a token.
type form struct {
	path    string
	fill    func(captchaKey string) any
	secrets []string
}

// submit posts a form, and connects with the token it is answered with.
func (i *Instance) submit(ctx context.Context, o Options, f form, c captcha) (*User, error) {
	if _, err := i.check(); err != nil {
		return nil, err
	}
	var a struct {
		Token    event.Token         `json:"token"`
		UserID   event.Snowflake     `json:"user_id"`
		Settings *event.UserSettings `json:"settings"`
		Ticket   event.Token         `json:"ticket"`
		TOTP     event.Opt[bool]     `json:"totp"`
		SMS      bool                `json:"sms"`
		Backup   bool                `json:"backup"`
		WebAuthn json.RawMessage     `json:"webauthn"`
	}
	r := request{name: "POST " + f.path, url: i.API + f.path, body: f.fill(c.key), captcha: c, secrets: append(f.secrets, c.key)}
	err := o.ask(ctx, r, &a)
	var wanted *CaptchaRequired
	switch {
	case errors.As(err, &wanted):
		wanted.again = func(ctx context.Context, c captcha) (*User, error) { return i.submit(ctx, o, f, c) }
		return nil, wanted
	case err != nil:
		return nil, err
	case a.Token != "":
		if checkToken(a.Token, false) != nil {
			return nil, &HTTPError{Request: r.name, Status: http.StatusOK, Message: "what it gave is no token"}
		}
		u := &User{Token: a.Token, Instance: i, ID: a.UserID, Settings: a.Settings}
		if err := u.connect(ctx, o); err != nil {
			return nil, &NotConnected{Token: a.Token, Instance: i, Err: err}
		}
		return u, nil
	case a.Ticket == "":
		return nil, &HTTPError{Request: r.name, Status: http.StatusOK, Message: "it gave no token"}
	}
	// A server that does not list the methods has the one that all have.
	need := &MFARequired{Ticket: a.Ticket}
	for _, m := range []struct {
		method MFAMethod
		is     bool
	}{{MFATOTP, a.TOTP.Or(true)}, {MFABackup, a.Backup}, {MFASMS, a.SMS}, {MFAWebAuthn, len(a.WebAuthn) > 0 && string(a.WebAuthn) != "null"}} {
		if m.is {
			need.Methods = append(need.Methods, m.method)
		}
	}
	need.next = func(ctx context.Context, code string) (*User, error) {
		f := form{path: "/auth/mfa/totp", secrets: []string{string(a.Ticket), code}, fill: func(string) any {
			return struct {
				Code   string      `json:"code"`
				Ticket event.Token `json:"ticket"`
			}{code, a.Ticket}
		}}
		return i.submit(ctx, o, f, captcha{})
	}
	return nil, need
}

// WithToken is the function WithToken for an instance that has been discovered.
func (i *Instance) WithToken(ctx context.Context, token event.Token, o Options) (*User, error) {
	if err := checkToken(token, false); err != nil {
		return nil, err
	}
	if _, err := i.check(); err != nil {
		return nil, err
	}
	u := &User{Token: token, Instance: i}
	if err := u.connect(ctx, o); err != nil {
		return nil, err
	}
	return u, nil
}

// connect opens the connection of a user, and reads in READY who it is.
func (u *User) connect(ctx context.Context, o Options) error {
	opts := u.Instance.GatewayOptions(o.Gateway)
	opts.Token = u.Token
	if opts.HTTPClient == nil {
		opts.HTTPClient = o.HTTPClient
	}
	// The payload of READY follows the state. It does not come if a session is
	// resumed, or if the observers are so slow that it is dropped.
	var stops []func()
	known := make(chan readyUser, 1)
	answer := func(r readyUser) {
		select {
		case known <- r:
		default:
		}
	}
	opts.Setup = func(h *gateway.Handle) {
		stops = append(stops,
			h.ObserveEvents(func(e *gateway.Event) { answer(readUser(e.Data)) }, "READY"),
			h.ObserveState(func(s gateway.StateChange) {
				if s.State == gateway.StateReady && s.Resumed {
					answer(readyUser{})
				}
			}),
			h.ObserveErrors(func(err error) {
				if errors.Is(err, gateway.ErrOverflow) {
					answer(readyUser{})
				}
			}))
		if o.Gateway.Setup != nil {
			o.Gateway.Setup(h)
		}
	}
	h, err := gateway.Connect(ctx, u.Instance.Gateway, opts)
	for _, stop := range stops {
		defer stop()
	}
	if err != nil {
		return err
	}
	u.Handle = h
	select {
	case r := <-known:
		u.is(r)
		return nil
	case <-h.Done():
		err = h.Err()
	case <-ctx.Done():
		err = fmt.Errorf("%w: %w", fail(session.ErrTimeout, "it was not known in time who the user is"), context.Cause(ctx))
	}
	select {
	case r := <-known: // at the same moment
		u.is(r)
		return nil
	default:
		_ = h.Close()
		return err
	}
}

// is takes from READY who the user is.
func (u *User) is(r readyUser) {
	if r.User.ID != 0 {
		u.ID = r.User.ID
	}
	if r.Settings != nil {
		u.Settings = r.Settings
	}
}

// readyUser is the part of READY that tells whose it is.
type readyUser struct {
	User struct {
		ID event.Snowflake `json:"id"`
	} `json:"user"`
	Settings *event.UserSettings `json:"user_settings"`
}

func readUser(ready []byte) (r readyUser) {
	_, _ = event.Unmarshal(ready, &r) // what cannot be read stays unknown
	return r
}

// fail makes an error of a code.
func fail(code gateway.ErrorCode, text string) error {
	return &gateway.Error{Code: code, Message: text}
}
