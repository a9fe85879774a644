package main

import (
	"context"
	"errors"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
)

// ours reads with this project's client.
func ours(j *job, ready func()) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	finish := func(err error) {
		select {
		case done <- err:
		default:
		}
	}
	opts := gateway.Options{
		Token:       "t",
		Compression: map[string]gateway.Compression{"zlib": gateway.CompressionZlib, "zstd": gateway.CompressionZstd, "zstdframes": gateway.CompressionZstd}[j.transport],
		EventQueue:  1 << 20, // the server is faster than any
		Setup: func(h *gateway.Handle) {
			h.ObserveErrors(finish)
			switch j.observe {
			case "ready":
				gateway.Observe(h, func(r *event.Ready) {
					j.message(r.SessionID)
					finish(nil)
				})
				return
			case "message":
				gateway.Observe(h, func(m *event.MessageCreate) { j.message(m.Content) })
			}
			h.ObserveEvents(func(e *gateway.Event) {
				if string(e.Data) == `{"guild_id":"`+lastMarker+`"}` {
					finish(nil)
				}
			}, marker)
		},
	}
	if opts.Compression == "" {
		opts.Compression = gateway.CompressionNone
	}
	if j.transport == "etf" {
		opts.Encoding = gateway.EncodingETF
	}
	h, err := gateway.Connect(ctx, j.url, opts)
	if err != nil {
		return err
	}
	ready()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if n := h.Stats().Dropped; n > 0 {
		err = errors.Join(err, errors.New("events were dropped"))
	}
	_ = h.Close()
	return err
}
