package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// log tells the logger of a report. A logger is the user's code like any
// observer: it is called where they are, and its panic harms nobody.
func (d *dispatcher) log(what any) {
	logger := d.conn.opts.Logger
	if logger == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			d.conn.opts.Logger = nil // only the dispatcher uses it
			d.raise(fail(codeObserverPanic, fmt.Sprintf("the logger panicked and is not called again: %v", p)))
		}
	}()
	level, text, attrs := describe(what)
	if text == "" {
		return
	}
	logger.LogAttrs(context.Background(), level, text, attrs...)
}

// describe says in the words of a log what a report says, if it is worth it.
func describe(what any) (level slog.Level, text string, attrs []slog.Attr) {
	switch r := what.(type) {
	case StateChange:
		switch {
		case r.State == StateReady:
			return slog.LevelInfo, "gateway ready", []slog.Attr{slog.Bool("resumed", r.Resumed)}
		case r.State == StateBackoff:
			return slog.LevelWarn, "gateway disconnected", append(cause(r.Err), slog.Duration("retry_in", time.Until(r.RetryAt).Round(time.Millisecond)))
		case r.State == StateClosed && r.Err != nil && !errors.Is(r.Err, ErrClosed):
			return slog.LevelError, "gateway closed", cause(r.Err)
		case r.State == StateClosed:
			return slog.LevelInfo, "gateway closed", nil
		default:
			return slog.LevelDebug, "gateway state", []slog.Attr{slog.String("state", r.State.String())}
		}
	case Gap:
		return slog.LevelWarn, "gateway events missed", append(cause(r.Reason), slog.Int64("last_seq", r.LastSeq), slog.Duration("missed", r.ReconnectedAt.Sub(r.DisconnectedAt)))
	case error:
		return slog.LevelWarn, "gateway error", cause(r)
	default: // the session, which is no news
		return 0, "", nil
	}
}

// cause gives the attributes of an error.
func cause(err error) []slog.Attr {
	if err == nil {
		return nil
	}
	attrs := []slog.Attr{slog.String("error", err.Error())}
	var e *Error
	if errors.As(err, &e) {
		attrs = append(attrs, slog.String("code", string(e.Code)))
		if e.CloseCode != 0 {
			attrs = append(attrs, slog.Int("close_code", int(e.CloseCode)))
		}
	}
	return attrs
}
