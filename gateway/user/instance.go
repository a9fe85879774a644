package user

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/shard"
)

// Source is a step of the discovery: the path that was asked.
type Source string

// The steps of the discovery, in their order.
const (
	SourceClient    Source = "/.well-known/spacebar/client"
	SourceWellKnown Source = "/.well-known/spacebar"
	SourceDomains   Source = "/api/policies/instance/domains"
	SourceGateway   Source = "/api/v9/gateway"
)

// Instance is where things are at an instance, and what its gateway speaks. It is
// plain data, which may be kept and used again.
type Instance struct {
	// URL of the instance: scheme, host and port of the one that was given.
	URL string
	// API is the base URL of the HTTP API, with its version and without a slash at
	// the end: https://spacebar.example/api/v9
	API string
	// Versions of the API that are in use, such as "9"; nil if the instance does
	// not say.
	Versions []string
	// CDN is the base URL of files; empty if the instance does not say.
	CDN string
	// Gateway is the URL to connect to.
	Gateway string
	// Encodings and Compressions of the gateway, in the order of the instance,
	// which may know some that this library does not; nil if it does not say.
	Encodings    []gateway.Encoding
	Compressions []gateway.Compression
	// Source is the step of the discovery that knew the gateway.
	Source Source
	// Spacebar tells that the server is one of Spacebar, or behaves like one.
	Spacebar bool
}

// Discover finds the API and the gateway of the instance at a URL, as it would be
// typed: "spacebar.example" stands for https://spacebar.example, http is used only
// where it is asked for, and what follows the host does not count.
//
// It asks, one after the other and only until it knows enough,
// /.well-known/spacebar/client, /.well-known/spacebar,
// /api/policies/instance/domains and /api/v9/gateway. A step may fail in any way,
// or lie: what is not a URL, or is less secure than the instance, is taken for
// missing. Answers may have 64 KiB. Redirects are followed from https to https
// only, and no more than five.
//
// It fails with a *DiscoveryError (ErrNotInstance) if no step knows the gateway,
// with gateway.ErrInvalidURL, or with gateway.ErrTimeout when ctx ends.
func Discover(ctx context.Context, instanceURL string, o Options) (*Instance, error) {
	base, err := parseInstance(instanceURL)
	if err != nil {
		return nil, err
	}
	d := &discovery{ctx: ctx, o: &o, base: base, api: base.JoinPath("api")}
	failed := &DiscoveryError{URL: base.String()}
	for _, step := range []struct {
		source Source
		ask    func() (named, error)
	}{
		{SourceClient, d.client},
		{SourceWellKnown, d.wellKnown},
		{SourceDomains, d.domains},
		{SourceGateway, d.gateway},
	} {
		found, err := step.ask()
		if err == nil {
			err = d.take("GET "+string(step.source), found)
		}
		if err == nil {
			d.found.Source = step.source
			return d.finish(), nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		failed.Steps = append(failed.Steps, StepError{step.source, err})
	}
	return nil, failed
}

// parseInstance reads the URL of an instance. Its errors do not repeat it, for it
// may hold a password.
func parseInstance(s string) (*url.URL, error) {
	s = strings.TrimSpace(s)
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	what := ""
	switch {
	case err != nil:
		what = "this is not the URL of an instance"
	case u.Scheme == "ws" || u.Scheme == "wss":
		what = "this is the URL of a gateway, not of an instance; use gateway.Connect for it"
	case u.Scheme != "http" && u.Scheme != "https":
		what = "the URL of an instance must begin with https:// or http://"
	case u.Hostname() == "":
		what = "the URL of the instance has no host"
	case u.User != nil:
		what = "the URL of an instance has no user name or password in it"
	default:
		return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host)}, nil
	}
	return nil, fail(session.ErrInvalidURL, what)
}

// discovery is a discovery under way.
type discovery struct {
	ctx   context.Context
	o     *Options
	base  *url.URL
	api   *url.URL // the best guess so far, without the version
	found Instance
	// version of the API to use.
	version string
}

// named is what one step names, unchecked.
type named struct {
	api, version, cdn, gateway string
	versions                   []event.Nonce
	encodings, compressions    []string
}

func (d *discovery) get(u *url.URL, name string, answer any) error {
	return d.o.ask(d.ctx, request{name: "GET " + name, url: u.String()}, answer)
}

func (d *discovery) client() (named, error) {
	var a struct {
		API struct {
			BaseURL  string `json:"baseUrl"`
			Versions struct {
				Default event.Nonce   `json:"default"`
				Active  []event.Nonce `json:"active"`
			} `json:"apiVersions"`
		} `json:"api"`
		CDN struct {
			BaseURL string `json:"baseUrl"`
		} `json:"cdn"`
		Gateway struct {
			BaseURL     string   `json:"baseUrl"`
			Encoding    []string `json:"encoding"`
			Compression []string `json:"compression"`
		} `json:"gateway"`
	}
	err := d.get(d.base.JoinPath(string(SourceClient)), string(SourceClient), &a)
	return named{
		api: a.API.BaseURL, version: string(a.API.Versions.Default), versions: a.API.Versions.Active,
		cdn: a.CDN.BaseURL, gateway: a.Gateway.BaseURL,
		encodings: a.Gateway.Encoding, compressions: a.Gateway.Compression,
	}, err
}

func (d *discovery) wellKnown() (named, error) {
	var a struct {
		API string `json:"api"`
	}
	err := d.get(d.base.JoinPath(string(SourceWellKnown)), string(SourceWellKnown), &a)
	return named{api: a.API}, err
}

func (d *discovery) domains() (named, error) {
	var a struct {
		API      string      `json:"api"`
		Endpoint string      `json:"apiEndpoint"`
		CDN      string      `json:"cdn"`
		Gateway  string      `json:"gateway"`
		Version  event.Nonce `json:"defaultApiVersion"`
	}
	err := d.get(d.api.JoinPath("policies/instance/domains"), string(SourceDomains), &a)
	if a.Endpoint == "" {
		a.Endpoint = a.API
	}
	return named{api: a.Endpoint, version: string(a.Version), cdn: a.CDN, gateway: a.Gateway}, err
}

func (d *discovery) gateway() (named, error) {
	var a struct {
		URL string `json:"url"`
	}
	err := d.get(d.api.JoinPath("v9/gateway"), string(SourceGateway), &a)
	return named{gateway: a.URL}, err
}

// take keeps what is usable of what a step, who, names. It fails if the gateway
// is not.
func (d *discovery) take(who string, n named) error {
	if api, version, err := apiBase(d.base, who, n.api); err == nil {
		d.api = api
		if d.version = version; validVersion(n.version) {
			d.version = n.version
		}
	}
	if cdn, err := usable(d.base, who, "CDN", n.cdn, "http", "https"); err == nil {
		d.found.CDN = strings.TrimRight(cdn.String(), "/")
	}
	for _, v := range n.versions {
		if validVersion(string(v)) {
			d.found.Versions = append(d.found.Versions, string(v))
		}
	}
	for _, e := range n.encodings {
		if e != "" {
			d.found.Encodings = append(d.found.Encodings, gateway.Encoding(clean(e, nil)))
		}
	}
	for _, c := range n.compressions {
		if c == "" { // null in the answer
			c = string(gateway.CompressionNone)
		}
		d.found.Compressions = append(d.found.Compressions, gateway.Compression(clean(c, nil)))
	}
	url, err := usable(d.base, who, "gateway", n.gateway, "ws", "wss")
	if err == nil {
		d.found.Gateway = url.String()
	}
	return err
}

// finish completes what was found.
func (d *discovery) finish() *Instance {
	i := &d.found
	i.URL = d.base.String()
	if d.version == "" {
		d.version = "9"
	}
	i.API = d.api.JoinPath("v" + d.version).String()
	i.Spacebar = i.Source != SourceGateway
	if !i.Spacebar {
		// The last step is common to all servers of this protocol.
		var a struct {
			Ping     string `json:"ping"`
			Instance struct {
				ID event.Nonce `json:"id"`
			} `json:"instance"`
		}
		err := d.get(d.api.JoinPath("ping"), "/api/ping", &a)
		i.Spacebar = err == nil && a.Ping != "" && a.Instance.ID != ""
	}
	return i
}

// usable checks the URL of a thing, what, that the instance at base names in the
// answer to who.
func usable(base *url.URL, who, what, s string, schemes ...string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return nil, fail(session.ErrProtocol, who+" names no "+what)
	case err != nil || u.Hostname() == "" || u.User != nil || !slices.Contains(schemes, u.Scheme):
		return nil, fail(session.ErrProtocol, "what "+who+" names as the "+what+" is not a URL of "+strings.Join(schemes, " or "))
	case base.Scheme == "https" && u.Scheme != "https" && u.Scheme != "wss":
		return nil, fail(session.ErrProtocol, "the "+what+" that "+who+" names is less secure than the instance, "+u.Scheme+" and not "+schemes[1])
	}
	u.Fragment = ""
	return u, nil
}

// apiBase checks the URL of an API. Servers give it with and without /api, and
// with and without the version.
func apiBase(base *url.URL, who, s string) (api *url.URL, version string, err error) {
	u, err := usable(base, who, "API", s, "http", "https")
	if err != nil {
		return nil, "", err
	}
	parts := strings.FieldsFunc(u.Path, func(r rune) bool { return r == '/' })
	if n := len(parts); n > 0 && strings.HasPrefix(parts[n-1], "v") && validVersion(parts[n-1][1:]) {
		version = parts[n-1][1:]
		parts = parts[:n-1]
	}
	if n := len(parts); n == 0 || parts[n-1] != "api" {
		parts = append(parts, "api")
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host}).JoinPath(parts...), version, nil
}

func validVersion(s string) bool {
	return s != "" && len(s) <= 3 && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// GatewayOptions returns o with what it leaves open chosen to suit the instance:
// MaxMessage, Encoding (JSON, unless the gateway has only ETF) and Compression. Where
// the gateway has exactly one of zstd-stream, zlib-stream and none, it is that one,
// and none where it has nothing that this library knows. Where it has more, or does
// not say, it is gateway.CompressionAuto, which can do with less if a stream turns
// out to be broken; a first one that the gateway does not have costs one refused
// dial.
func (i *Instance) GatewayOptions(o gateway.Options) gateway.Options {
	if o.MaxMessage == 0 && i.Spacebar {
		o.MaxMessage = gateway.SpacebarMaxMessage
	}
	if o.Encoding == gateway.EncodingAuto && slices.Contains(i.Encodings, gateway.EncodingETF) && !slices.Contains(i.Encodings, gateway.EncodingJSON) {
		o.Encoding = gateway.EncodingETF
	}
	if o.Compression == gateway.CompressionAuto && i.Compressions != nil {
		var has []gateway.Compression
		for _, c := range []gateway.Compression{gateway.CompressionZstd, gateway.CompressionZlib, gateway.CompressionNone} {
			if slices.Contains(i.Compressions, c) {
				has = append(has, c)
			}
		}
		switch len(has) {
		case 0:
			o.Compression = gateway.CompressionNone
		case 1:
			o.Compression = has[0]
		}
	}
	return o
}

// GatewayBot is how a bot should connect (protocol section: Get Gateway Bot).
type GatewayBot struct {
	// URL of the gateway.
	URL string
	// Shards that the server advises.
	Shards int
	// Limit of sessions, for shard.Options.
	Limit shard.Limit
}

// maxShards bounds what a server may advise: each is a connection.
const maxShards = 1 << 16

// GatewayBot asks how a bot should connect. The token is sent as it is: servers
// that are not Spacebar want "Bot " before it. A Spacebar server needs none.
//
// It fails with an *HTTPError (gateway.ErrAuthentication, gateway.ErrRateLimited),
// gateway.ErrDialFailed or gateway.ErrTimeout.
func (i *Instance) GatewayBot(ctx context.Context, token event.Token, o Options) (*GatewayBot, error) {
	if err := checkToken(token, true); err != nil {
		return nil, err
	}
	base, err := i.check()
	if err != nil {
		return nil, err
	}
	var a struct {
		URL    string `json:"url"`
		Shards int    `json:"shards"`
		Limit  struct {
			Total          int     `json:"total"`
			Remaining      int     `json:"remaining"`
			ResetAfter     float64 `json:"reset_after"`
			MaxConcurrency int     `json:"max_concurrency"`
		} `json:"session_start_limit"`
	}
	_, bare, _ := strings.Cut(string(token), " ") // a server may echo it without "Bot "
	r := request{name: "GET /gateway/bot", url: i.API + "/gateway/bot", token: token, secrets: []string{string(token), bare}}
	if err := o.ask(ctx, r, &a); err != nil {
		return nil, err
	}
	gatewayURL, err := usable(base, r.name, "gateway", a.URL, "ws", "wss")
	if err != nil {
		return nil, err
	}
	return &GatewayBot{
		URL:    gatewayURL.String(),
		Shards: min(max(a.Shards, 1), maxShards),
		Limit: shard.Limit{
			Total: max(a.Limit.Total, 0), Remaining: max(a.Limit.Remaining, 0),
			ResetAfter:     time.Duration(min(max(a.Limit.ResetAfter, 0), 1e10)) * time.Millisecond,
			MaxConcurrency: min(max(a.Limit.MaxConcurrency, 1), maxShards),
		},
	}, nil
}

// check refuses an instance that was not made by Discover and is not complete.
func (i *Instance) check() (base *url.URL, err error) {
	base, err = parseInstance(i.URL)
	if err == nil {
		_, err = usable(base, "", "", i.API, "http", "https")
	}
	if err == nil {
		_, err = usable(base, "", "", i.Gateway, "ws", "wss")
	}
	if err != nil {
		return nil, fail(session.ErrInvalidURL, "the instance is not complete; make it with Discover")
	}
	return base, nil
}

// checkToken refuses what could not be sent in a header: the errors of that would
// show it.
func checkToken(token event.Token, optional bool) error {
	switch {
	case token == "" && !optional:
		return fail(session.ErrInvalidOption, "the token is empty")
	case strings.ContainsFunc(string(token), func(r rune) bool { return r < ' ' || r > '~' }):
		return fail(session.ErrInvalidOption, "the token has characters in it that no token has, such as line breaks")
	}
	return nil
}
