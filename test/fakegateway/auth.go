package fakegateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// This file is login and registration, without HTTP: each function returns the
// status and the body of the answer.

// formError is one of the errors in an answer with code 50035.
type formError struct{ field, code, message string }

func formErrors(list ...formError) (int, json.RawMessage) {
	o := newObject().num("code", 50035).str("message", "Invalid Form Body").open("errors")
	for _, f := range list {
		// The schema's errors have no field: an empty key, which key() leaves out.
		o.key("")
		o.b = append(appendJSONString(o.b, f.field), ':')
		o.b = append(o.b, '{')
		o.list("_errors").open("").str("code", f.code).str("message", f.message).close().end().close()
	}
	o.close()
	if len(list) > 0 && list[0].field == "" {
		o.list("_ajvErrors")
		for _, f := range list {
			o.open("").str("instancePath", "").str("message", f.message).close()
		}
		o.end()
	}
	return http.StatusBadRequest, o.done()
}

// missing returns the schema's error for the first key that is not there.
func missing(body map[string]json.RawMessage, keys ...string) (formError, bool) {
	for _, k := range keys {
		if body[k] == nil {
			return formError{"", "JSON_SCHEMA", "must have required property '" + k + "'"}, true
		}
	}
	return formError{}, false
}

func text(body map[string]json.RawMessage, key string) (s string) {
	_ = json.Unmarshal(body[key], &s) // what is no string is as good as empty
	return s
}

// captcha asks for one, if there is to be one and it is not there.
func (e *Engine) captcha(body map[string]json.RawMessage) (int, json.RawMessage) {
	if !e.opt.Captcha || text(body, "captcha_key") != "" {
		return 0, nil
	}
	return http.StatusBadRequest, newObject().strs("captcha_key", "captcha-required").
		str("captcha_sitekey", "fake-sitekey").str("captcha_service", "hcaptcha").done()
}

// login is POST /auth/login.
func (e *Engine) login(body map[string]json.RawMessage) (int, json.RawMessage) {
	if f, is := missing(body, "login", "password"); is {
		return formErrors(f)
	}
	if status, answer := e.captcha(body); status != 0 {
		return status, answer
	}
	name := text(body, "login")
	i := slices.IndexFunc(e.accounts, func(a Account) bool {
		return a.Email != "" && strings.EqualFold(a.Email, name) && a.Password == text(body, "password")
	})
	if i < 0 {
		const message = "Login or password is invalid."
		return formErrors(formError{"login", "INVALID_LOGIN", message}, formError{"password", "INVALID_LOGIN", message})
	}
	if e.opt.MFA != "" {
		return http.StatusOK, newObject().str("ticket", ticket(i)).bool("mfa", true).bool("sms", false).null("token").done()
	}
	return e.loggedIn(e.accounts[i])
}

// ticket stands for an account until the second factor is there.
func ticket(account int) string { return fmt.Sprintf("mfa-ticket-%d", account) }

// mfa is POST /auth/mfa/totp.
func (e *Engine) mfa(body map[string]json.RawMessage) (int, json.RawMessage) {
	if f, is := missing(body, "code", "ticket"); is {
		return formErrors(f)
	}
	for i, a := range e.accounts {
		if text(body, "ticket") == ticket(i) && e.opt.MFA != "" && text(body, "code") == e.opt.MFA {
			return e.loggedIn(a)
		}
	}
	return http.StatusBadRequest, newObject().num("code", 60008).str("message", "Invalid two-factor code").done()
}

func (e *Engine) loggedIn(a Account) (int, json.RawMessage) {
	u := e.world.names[a.Username]
	return http.StatusOK, newObject().str("user_id", u.ID).str("token", a.Token).raw("settings", userSettings(u)).
		open("user_settings").str("locale", "en-US").str("theme", "dark").close().done()
}

// register is POST /auth/register. Its user becomes a member of every guild.
func (e *Engine) register(body map[string]json.RawMessage) (int, json.RawMessage) {
	if f, is := missing(body, "username", "consent"); is {
		return formErrors(f)
	}
	if status, answer := e.captcha(body); status != 0 {
		return status, answer
	}
	a := Account{Username: text(body, "username"), Email: text(body, "email"), Password: text(body, "password")}
	for _, f := range []struct{ name, value string }{{"email", a.Email}, {"password", a.Password}, {"date_of_birth", text(body, "date_of_birth")}} {
		if f.value == "" {
			return formErrors(formError{f.name, "BASE_TYPE_REQUIRED", "This field is required"})
		}
	}
	born, err := time.Parse(time.DateOnly, text(body, "date_of_birth"))
	if err != nil {
		return formErrors(formError{"date_of_birth", "DATE_OF_BIRTH_INVALID", "Not a date"})
	}
	if born.AddDate(13, 0, 0).After(e.date()) {
		return formErrors(formError{"date_of_birth", "DATE_OF_BIRTH_UNDERAGE", "You need to be 13 years or older"})
	}
	for _, other := range e.accounts {
		if strings.EqualFold(other.Email, a.Email) {
			return formErrors(formError{"email", "EMAIL_ALREADY_REGISTERED", "Email is already registered"})
		}
	}
	if e.world.names[a.Username] != nil {
		return formErrors(formError{"username", "USERNAME_TOO_MANY_USERS", "Too many users have this username, please try another"})
	}
	// As long as the tokens of a real server: three parts, 408 characters.
	a.Token = e.letters(68, base64URL) + "." + e.letters(205, base64URL) + "." + e.letters(133, base64URL)
	u := e.world.account(a, e.date())
	e.accounts = append(e.accounts, a)
	e.tokens[a.Token] = u
	for _, g := range e.world.Guilds {
		e.happens("GUILD_MEMBER_ADD", new(object).member("", g, u, busDates).b)
	}
	return http.StatusOK, newObject().str("token", a.Token).done()
}

// me is GET /users/@me.
func (e *Engine) me(authorization string) (int, json.RawMessage) {
	u := e.userOf(strings.TrimPrefix(authorization, "Bearer "))
	if u == nil {
		return http.StatusBadRequest, newObject().num("code", 40001).str("message", "Unauthorized. Provide a valid token and try again").done()
	}
	return http.StatusOK, newObject().userFields(u, gatewayDates).optStr("email", u.email).bool("verified", true).done()
}

// logoutSession is POST /auth/sessions/logout.
func (e *Engine) logoutSession(authorization string, body map[string]json.RawMessage) (int, json.RawMessage) {
	token := strings.TrimPrefix(authorization, "Bearer ")
	u := e.userOf(token)
	if u == nil {
		return e.me(authorization)
	}
	var hashes []string
	_ = json.Unmarshal(body["session_id_hashes"], &hashes) // none means the sessions of this token
	for _, s := range slices.Clone(e.sessions) {
		if s.user == u && (slices.Contains(hashes, s.id) || len(hashes) == 0 && s.token == token) {
			e.RemoveSession(e.now, Target{Session: s.id})
		}
	}
	return http.StatusNoContent, nil
}
