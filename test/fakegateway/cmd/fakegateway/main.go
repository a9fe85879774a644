// Command fakegateway runs a gateway server to try clients on.
//
//	go run github.com/spacebar-gateway/spacebar-gateway/test/fakegateway/cmd/fakegateway -life 5
//
// It prints its URL and the tokens that it takes, and runs until it is
// interrupted. The flags:
//
//	-addr host:port   where to listen (127.0.0.1:0, a free port)
//	-profile name     spacebar or documented
//	-interval d       heartbeat interval, such as 5s (the profile's)
//	-life n           events that happen by themselves each second
//	-guilds n, -channels n, -members n
//	                  size of the world
//	-seed n           of all that is random
//	-any-token        take any token
//	-captcha, -mfa code
//	                  make login over HTTP harder
//	-control          take POST /control; everyone who reaches the port can then
//	                  do with the server what they like
//	-play file        play a capture to the next connection; may be repeated
//	-verbose          tell what happens
//
// See the package fakegateway for what POST /control takes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run runs a server until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	var o fakegateway.Options
	flags := flag.NewFlagSet("fakegateway", flag.ContinueOnError)
	flags.StringVar(&o.Addr, "addr", "127.0.0.1:0", "where to listen")
	flags.DurationVar(&o.Interval, "interval", 0, "heartbeat interval; 0 is the profile's")
	flags.Float64Var(&o.Life, "life", 0, "events that happen by themselves each second")
	flags.IntVar(&o.Guilds, "guilds", 0, "guilds in the world; 0 is 2")
	flags.IntVar(&o.Channels, "channels", 0, "channels in each guild; 0 is 8")
	flags.IntVar(&o.Members, "members", 0, "members of each guild; 0 is 12")
	flags.Uint64Var(&o.Seed, "seed", 0, "seed of all that is random")
	flags.BoolVar(&o.AnyToken, "any-token", false, "take any token")
	flags.BoolVar(&o.Captcha, "captcha", false, "ask for a captcha")
	flags.StringVar(&o.MFA, "mfa", "", "code to ask for as a second factor")
	flags.BoolVar(&o.Control, "control", false, "take POST /control")
	profile := flags.String("profile", "spacebar", "spacebar or documented")
	verbose := flags.Bool("verbose", false, "tell what happens")
	flags.Func("play", "capture to play to the next connection", func(file string) error {
		c, err := fakegateway.LoadCapture(file)
		o.Playback = append(o.Playback, c)
		return err
	})
	err := flags.Parse(args)
	if err != nil {
		return err
	}
	if o.Profile, err = fakegateway.ParseProfile(*profile); err != nil {
		return err
	}
	if *verbose {
		o.Logf = log.Printf
	}
	srv, err := fakegateway.Start(o)
	if err != nil {
		return err
	}
	defer srv.Close()
	fmt.Fprintf(out, "gateway  %s\nhttp     %s\n", srv.URL(), srv.HTTPURL())
	fmt.Fprintf(out, "tokens   %s %s %s\n", fakegateway.AliceToken, fakegateway.BobToken, fakegateway.CarolToken)
	<-ctx.Done()
	return nil
}
