// Package user logs in to an instance and returns a user with a connection that
// is ready. All it asks for is the URL a person would type:
//
//	u, err := user.Login(ctx, "https://spacebar.example", user.Credentials{
//		Login:    "alice@example.com",
//		Password: "correct horse",
//	}, user.Options{})
//
// Login, Register and WithToken find out where the instance has its API and its
// gateway (see Discover), do what has to be done over HTTP, and connect with
// what suits the instance. Who logs in again and again, or has to show a form
// meanwhile, calls Discover once and then the methods of Instance.
//
// # Errors
//
// What a person has to do something about has a type of its own, for errors.As:
// *CaptchaRequired and *MFARequired, which also know how to go on, and
// *FieldErrors. Any other refusal is an *HTTPError. The kinds of package gateway
// tell them apart with errors.Is: ErrAuthentication for a token, a login or a
// password that is wrong, ErrRateLimited, ErrTimeout, ErrDialFailed where nobody
// answers. *NotConnected says that the login went well and the gateway did not:
// its Token is worth keeping.
//
// No error, and nothing else of this package that is printed or logged, shows a
// token or a password, not even one that a server sends back.
//
// # Trust
//
// An instance is trusted with the credentials, but not with more: what it says
// is bounded in size, credentials do not follow redirects, and nothing it names
// is less secure than the URL that was given. To use http and ws, give a URL
// that begins with http://.
package user
