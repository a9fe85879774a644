package fakegateway

import "strings"

// HostileHellos returns messages for Faults.Hello that no server should send,
// and that a client must survive: without an interval, with impossible ones,
// and what is no Hello at all.
func HostileHellos() []string {
	list := []string{
		``, ` `, `null`, `true`, `0`, `""`, `[]`, `{}`, `[10]`, `{"op":null}`, `{"op":"ten"}`, `{"op":-10}`, `{"op":1e400}`,
		`{"op":10}`, `{"op":10,"d":null}`, `{"op":10,"d":[]}`, `{"op":10,"d":"x"}`, `{"op":10,"d":{}}`,
		`{"op":10,"d":{"heartbeat_interval":30000}`, `{"op":10,"d":{"heartbeat_interval":30000}}}`,
		`{"op":10,"op":11,"d":{"heartbeat_interval":30000}}`, `{"d":{"heartbeat_interval":30000}}`,
		`{"t":"READY","s":1,"op":0,"d":{"session_id":"before-hello"}}`, `{"op":9,"d":true}`, `{"op":11,"d":null}`,
		"\x00\x01\x02", "{\"op\":10,\"d\":{\"\xff\":1}}", strings.Repeat("[", 100_000),
	}
	for _, interval := range []string{`null`, `true`, `"30000"`, `[]`, `0`, `-1`, `1`, `0.5`, `1e308`, `9007199254740993`, `99999999999999999999`} {
		list = append(list, `{"op":10,"d":{"heartbeat_interval":`+interval+`}}`)
	}
	return list
}

// HostileReadies returns payloads for Faults.Ready that no server should send,
// and that a client must survive.
func HostileReadies() []string {
	list := []string{
		`null`, `true`, `0`, `"READY"`, `[]`, `{}`, `{`, `}`, `{"session_id":"cut off"`,
		`{"session_id":null,"resume_gateway_url":null}`, `{"session_id":7,"resume_gateway_url":7}`,
		`{"session_id":"","resume_gateway_url":""}`, `{"session_id":{},"resume_gateway_url":[]}`,
		`{"session_id":"a\u0000b","user":null,"guilds":null,"users":{}}`,
		`{"session_id":"` + strings.Repeat("s", 100_000) + `"}`,
		`{"session_id":"deep","guilds":` + strings.Repeat(`[`, 10_000) + strings.Repeat(`]`, 10_000) + `}`,
	}
	for _, url := range []string{
		`javascript:alert(1)`, `http://127.0.0.1/`, `ws://`, `//`, `ws://user:secret@127.0.0.1:1/`, `ws://127.0.0.1:1`,
		`ws://127.0.0.1:99999`, `ws://[::1`, `wss://%zz`, `ws://127.0.0.1:1/?encoding=etf&compress=zlib-stream#x`, ` ws://127.0.0.1:1 `,
	} {
		list = append(list, `{"v":9,"session_id":"hostile","resume_gateway_url":"`+url+`"}`)
	}
	return list
}
