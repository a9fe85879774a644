//go:build js && wasm

package jsbridge

import (
	"strconv"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/wire"
)

// What is rare crosses as JSON text, which JavaScript reads best.

func appendError(b []byte, e *session.Error) []byte {
	b = append(b, `{"code":`...)
	b = wire.AppendString(b, string(e.Code))
	b = append(b, `,"message":`...)
	b = wire.AppendString(b, e.Message)
	if e.CloseCode != 0 {
		b = append(b, `,"closeCode":`...)
		b = strconv.AppendInt(b, int64(e.CloseCode), 10)
	}
	b = append(b, `,"fatal":`...)
	b = strconv.AppendBool(b, e.Fatal)
	return append(b, '}')
}

func appendState(b []byte, o *session.Output) []byte {
	b = append(b, `{"state":`...)
	b = wire.AppendString(b, o.State.String())
	if o.State == session.StateReady {
		b = append(b, `,"resumed":`...)
		b = strconv.AppendBool(b, o.Resumed)
	}
	if o.State == session.StateBackoff {
		b = append(b, `,"retryAt":`...)
		b = strconv.AppendFloat(b, toMS(o.RetryAt), 'f', 1, 64)
	}
	if o.Err != nil {
		b = append(b, `,"error":`...)
		b = appendError(b, o.Err)
	}
	return append(b, '}')
}

func appendGap(b []byte, g *session.Gap) []byte {
	b = append(b, `{"reason":`...)
	b = appendError(b, g.Reason)
	b = append(b, `,"lastSeq":`...)
	b = strconv.AppendInt(b, g.LastSeq, 10)
	b = append(b, `,"disconnectedAt":`...)
	b = strconv.AppendFloat(b, toMS(g.DisconnectedAt), 'f', 1, 64)
	b = append(b, `,"reconnectedAt":`...)
	b = strconv.AppendFloat(b, toMS(g.ReconnectedAt), 'f', 1, 64)
	b = append(b, `,"sessionLost":`...)
	b = strconv.AppendBool(b, g.SessionLost)
	return append(b, '}')
}
