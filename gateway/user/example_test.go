package user_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/user"
	"github.com/spacebar-gateway/spacebar-gateway/test/fakegateway"
)

func ExampleLogin() {
	// An instance whose accounts have a second factor.
	srv, err := fakegateway.Start(fakegateway.Options{MFA: "123456"})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()

	ctx := context.Background()
	u, err := user.Login(ctx, srv.HTTPURL(), user.Credentials{
		Login:    "alice@example.com",
		Password: "correct horse",
	}, user.Options{})

	var factor *user.MFARequired
	if errors.As(err, &factor) {
		fmt.Println("Your code, please:", factor.Methods)
		u, err = factor.Continue(ctx, "123456")
	}
	if err != nil {
		log.Fatal(err)
	}
	defer u.Close()

	fmt.Println(u.Handle.State(), u.Instance.Source, u.Token)
	// Output:
	// Your code, please: [totp]
	// ready /.well-known/spacebar/client [redacted]
}

func ExampleFieldErrors() {
	srv, err := fakegateway.Start(fakegateway.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()

	_, err = user.Register(context.Background(), srv.HTTPURL(), user.Registration{
		Username: "alice", Email: "alice@example.com", Password: "correct horse", Consent: true,
	}, user.Options{})

	var form *user.FieldErrors
	if errors.As(err, &form) {
		for _, problem := range form.Fields["date_of_birth"] {
			fmt.Println(problem.Code, problem.Message)
		}
	}
	// Output:
	// BASE_TYPE_REQUIRED This field is required
}
