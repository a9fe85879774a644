package fakegateway_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

func TestScript(t *testing.T) {
	result := make(chan error, 1)
	srv := start(t, fakegateway.Options{Profile: documented, OnConn: func(n int, c *fakegateway.Conn) {
		result <- func() error {
			if n != 1 || c.ID() != 1 || c.Request().Path != "/gw" {
				return fmt.Errorf("connection %d, %d, %s", n, c.ID(), c.Request().Path)
			}
			if err := c.Dispatch("X", nil); err == nil {
				return errors.New("an event without a session is sent")
			}
			c.Send(`{"op":10,"d":{"heartbeat_interval":12345}}`)
			id, err := c.WaitFor(2)
			if err != nil {
				return err
			}
			if string(id.D[:30]) != aliceIdentify[len(`{"op":2,"d":`):][:30] {
				return fmt.Errorf("Identify is %s", id.D)
			}
			c.Handle(id)
			if err := c.Dispatch("MESSAGE_CREATE", map[string]string{"id": "7"}); err != nil {
				return err
			}
			c.SetFaults(fakegateway.Faults{NoACK: true})
			beat, err := c.Next(context.Background())
			if err != nil || beat.Op != 1 {
				return fmt.Errorf("after Identify came %+v, %v", beat, err)
			}
			c.Handle(beat) // no ACK
			c.SendFrame([]byte("{"), false)
			c.Freeze(true)
			c.Freeze(false)
			c.Close(4001, "script")
			code, _, err := c.WaitClosed(ctxFor(t))
			if err == nil && code != 4001 {
				err = fmt.Errorf("the client closed with %d", code)
			}
			if _, err := c.WaitFor(1); !errors.Is(err, fakegateway.ErrClosed) {
				return fmt.Errorf("waiting for the gone gives %v", err)
			}
			return err
		}()
	}})
	c := dial(t, srv, "/gw")
	if m := c.next(); string(m.D) != `{"heartbeat_interval":12345}` {
		t.Errorf("Hello says %s", m.D)
	}
	c.send(aliceIdentify)
	if m := c.until(0, "MESSAGE_CREATE"); string(m.D) != `{"id":"7"}` || *m.S != 5 {
		t.Errorf("got %s", m.text)
	}
	c.send(`{"op":1,"d":5}`)
	if data, _, err := c.rawFrame(); string(data) != "{" || err != nil {
		t.Errorf("got %s, %v", data, err)
	}
	code, reason := c.closed()
	if code != 4001 || reason != "script" {
		t.Errorf("closed with %d %q", code, reason)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func TestScriptHandsOver(t *testing.T) {
	srv := start(t, fakegateway.Options{})
	srv.OnConn(func(n int, c *fakegateway.Conn) {
		if n == 1 {
			c.Drop()
			return
		}
		if _, err := c.WaitFor(99); err != nil {
			return
		}
		if err := srv.Wait(ctxFor(t), func(s fakegateway.State) bool { return len(s.Conns[1].Received) == 2 }); err != nil {
			return
		}
		c.Serve()
	})
	dial(t, srv, "").wantClosed(1006)
	c := dial(t, srv, "")
	c.send(`{"op":99}`)
	c.send(`{"op":1}`)
	c.until(10, "")
	c.until(11, "")
	c.send(aliceIdentify)
	c.until(0, "READY")
	srv.OnConn(nil)
	online(t, srv, "")
}

func TestScriptSeesTheClientGo(t *testing.T) {
	done := make(chan int, 1)
	srv := start(t, fakegateway.Options{OnConn: func(_ int, c *fakegateway.Conn) {
		c.Hello()
		ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
		defer cancel()
		if _, _, err := c.WaitClosed(ctx); err == nil {
			done <- -1
			return
		}
		if _, err := c.Next(ctx); err == nil {
			done <- -2
			return
		}
		code, reason, _ := c.WaitClosed(context.Background())
		if reason != "because" {
			code = -3
		}
		done <- code
	}})
	c := dial(t, srv, "")
	c.until(10, "")
	c.ws.Close(4200, "because")
	if got := <-done; got != 4200 {
		t.Errorf("got %d, want 4200", got)
	}
}
