package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/bwmarrin/discordgo"
	disgo "github.com/disgoorg/disgo/gateway"
)

// The peers keep no caches and call observers on the reading goroutine, each in
// the way its documentation names for that.

// disgoClient reads with the gateway package of disgo, beneath its caches.
func disgoClient(j *job, ready func()) error {
	done := make(chan struct{}, 1)
	finish := func() {
		select {
		case done <- struct{}{}:
		default:
		}
	}
	compression := map[string]disgo.CompressionType{"json": disgo.CompressionNone, "zlib": disgo.CompressionZlibStream, "zstd": disgo.CompressionZstdStream}
	c, ok := compression[j.transport]
	if !ok {
		return errors.New("disgo has no " + j.transport)
	}
	g := disgo.New("t", func(_ disgo.Gateway, _ disgo.EventType, _ int, data disgo.EventData) {
		switch e := data.(type) {
		case disgo.EventMessageCreate:
			if j.observe == "message" {
				j.message(e.Content)
			}
		case disgo.EventReady:
			if j.observe == "ready" {
				j.message(e.SessionID)
				finish()
			}
		case disgo.EventGuildIntegrationsUpdate:
			if e.GuildID.String() == lastMarker {
				finish()
			}
		}
	}, disgo.WithURL(j.url), disgo.WithCompression(c), disgo.WithAutoReconnect(false), disgo.WithLogger(slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError}))))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := g.Open(ctx); err != nil {
		return err
	}
	ready()
	select {
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	g.Close(ctx)
	return nil
}

// discordgoClient reads with discordgo, which knows no compressed streams.
func discordgoClient(j *job, ready func()) error {
	if j.transport != "json" {
		return errors.New("discordgo has no " + j.transport)
	}
	host, path, _ := strings.Cut(strings.TrimPrefix(j.url, "ws://"), "/")
	discordgo.EndpointGateway = "http://" + host + "/api/" + path
	s, err := discordgo.New("t")
	if err != nil {
		return err
	}
	s.StateEnabled = false
	s.SyncEvents = true
	s.ShouldReconnectOnError = false
	s.Identify.Compress = false
	done := make(chan struct{}, 1)
	finish := func() {
		select {
		case done <- struct{}{}:
		default:
		}
	}
	switch j.observe {
	case "ready":
		s.AddHandler(func(_ *discordgo.Session, r *discordgo.Ready) {
			j.message(r.SessionID)
			finish()
		})
	case "message":
		s.AddHandler(func(_ *discordgo.Session, m *discordgo.MessageCreate) { j.message(m.Content) })
	}
	s.AddHandler(func(_ *discordgo.Session, m *discordgo.GuildIntegrationsUpdate) {
		if m.GuildID == lastMarker {
			finish()
		}
	})
	if err := s.Open(); err != nil {
		return err
	}
	ready()
	select {
	case <-done:
	case <-time.After(time.Minute):
		return errors.New("no end in time")
	}
	return s.Close()
}
