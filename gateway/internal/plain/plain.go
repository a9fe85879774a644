// Package plain holds what is said alike wherever the library speaks: to servers,
// and to people of servers.
package plain

import "errors"

// UserAgent names a version of the client: a Spacebar server refuses connections
// without a name.
func UserAgent(version string) string {
	return "spacebar-gateway/" + version + " (+https://github.com/spacebar-gateway/spacebar-gateway)"
}

// Text makes a text that a server chose fit to be shown: on one line, and with most
// characters at most.
func Text(text string, most int) string {
	b := make([]rune, 0, min(len(text), most))
	for _, r := range text {
		if len(b) == most {
			return string(b) + "…"
		}
		// Control characters, line separators, and what changes the direction.
		if r < ' ' || 0x7f <= r && r < 0xa0 || 0x2028 <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 {
			r = ' '
		}
		b = append(b, r)
	}
	return string(b)
}

// Innermost returns the text of the error behind all others: the outer ones repeat
// the URL, which may hold what is nobody's business.
func Innermost(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
