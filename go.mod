module github.com/spacebar-gateway/spacebar-gateway

go 1.26.0

require (
	github.com/coder/websocket v1.8.15
	github.com/goccy/go-json v0.12.0
	github.com/hack-pad/safejs v0.1.0
	github.com/klauspost/compress v1.20.3
)
