package session

import (
	"testing"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

func TestStats(t *testing.T) {
	r := newRig(t).start().ready()
	if got := r.s.Stats(); got.Dials != 1 || got.Decoded != uint64(len(hello)+len(readyMsg)) || got.Latency != (Latency{}) {
		t.Fatalf("%+v", got)
	}
	r.closed(CloseAbnormal).redial().opened().recv(hello, `{"op":0,"t":"RESUMED","s":3,"d":{}}`)
	r.closed(CloseSessionInvalid).redial().ready()
	if got := r.s.Stats(); got.Dials != 3 || got.Resumes != 1 || got.Gaps != 1 {
		t.Fatalf("%+v", got)
	}
}

func TestLatencies(t *testing.T) {
	var l latencies
	for i := range 1000 {
		l.add(time.Duration(i) * time.Millisecond)
	}
	// The last 128 are 872 to 999.
	want := Latency{Last: 999 * time.Millisecond, Mean: 935500 * time.Microsecond, P99: 998 * time.Millisecond}
	if got := l.summary(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	l = latencies{}
	l.add(time.Second)
	if got := l.summary(); got != (Latency{time.Second, time.Second, time.Second}) {
		t.Errorf("%+v", got)
	}
}

func TestHostsAreRemembered(t *testing.T) {
	hosts := new(Hosts)
	auto := func(c *Config) {
		c.Hosts = hosts
		c.Transports = []wire.Transport{{Compression: wire.Zstd}, {Compression: wire.Zlib}, {}}
	}
	r := newRig(t, auto).start().opened().closed(CloseDecodeError).redial()
	if hosts.best(testURL, r.s.cfg.Transports) != 0 {
		t.Error("a server is taken to accept what it has not")
	}
	if r.opened(); r.s.Transport().Compression != wire.Zlib {
		t.Fatal("the transport has not changed")
	}
	hosts.learn(testURL, r.s.Transport()) // as READY does
	if other := newRig(t, auto); other.s.Transport().Compression != wire.Zlib {
		t.Error("the next session begins with", other.s.Transport())
	}
	if other := newRig(t, auto, func(c *Config) { c.URL = "wss://other.test/" }); other.s.Transport().Compression != wire.Zstd {
		t.Error("another host begins with", other.s.Transport())
	}
	if other := newRig(t, auto, func(c *Config) { c.Transports = c.Transports[2:] }); other.s.Transport().Compression != wire.None {
		t.Error("a chosen transport is not used")
	}
	for i := range maxHosts {
		hosts.learn("wss://"+string(rune('a'+i))+".test/", wire.Transport{})
	}
	if len(hosts.known) > maxHosts {
		t.Errorf("%d hosts are remembered", len(hosts.known))
	}
}
