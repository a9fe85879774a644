package main

import "strings"

// initialisms are the words that Go names write in their own way.
var initialisms = map[string]string{
	"aa": "AA", "afk": "AFK", "api": "API", "apng": "APNG", "ato": "ATO", "automod": "AutoMod", "av": "AV",
	"cpu": "CPU", "csp": "CSP", "dm": "DM", "dms": "DMs", "dnd": "DND", "esrb": "ESRB", "eula": "EULA",
	"fps": "FPS", "gif": "GIF", "gpu": "GPU", "hd": "HD", "http": "HTTP", "ia": "IA", "iap": "IAP", "id": "ID",
	"ids": "IDs", "iframe": "IFrame", "ios": "IOS", "ip": "IP", "json": "JSON", "lfg": "LFG", "mfa": "MFA",
	"mmorpg": "MMORPG", "moba": "MOBA", "nsfw": "NSFW", "nux": "NUX", "oauth": "OAuth", "oauth2": "OAuth2",
	"os": "OS", "osx": "OSX", "pegi": "PEGI", "png": "PNG", "ps4": "PS4", "ps5": "PS5", "qos": "QoS",
	"rpc": "RPC", "rtc": "RTC", "rts": "RTS", "sdk": "SDK", "sepa": "SEPA", "sf": "SF", "sku": "SKU",
	"skus": "SKUs", "sms": "SMS", "totp": "TOTP", "ttl": "TTL", "tts": "TTS", "ugc": "UGC", "ui": "UI",
	"url": "URL", "urls": "URLs", "utm": "UTM", "vad": "VAD", "vip": "VIP", "vr": "VR",
}

// goName makes an exported Go name of a snake_case one.
func goName(name string) string {
	var out strings.Builder
	for word := range strings.SplitSeq(name, "_") {
		if known, ok := initialisms[strings.ToLower(word)]; ok {
			out.WriteString(known)
			continue
		}
		// An upper case word loses its case, a camelCase one keeps it.
		if word == strings.ToUpper(word) {
			word = strings.ToLower(word)
		}
		word = strings.ReplaceAll(word, "Id", "ID")
		if word != "" {
			out.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return out.String()
}

// constName names a constant of an enum: the plural of a flag type is dropped.
func constName(enum, value string) string {
	switch {
	case enum == "Capabilities":
		enum = "Capability"
	case strings.HasSuffix(enum, "Flags"), strings.HasSuffix(enum, "Features"), strings.HasSuffix(enum, "Settings"), enum == "Intents", enum == "Permissions":
		enum = strings.TrimSuffix(enum, "s")
	}
	return enum + goName(value)
}

// lower makes a lowerCamelCase name of a Go name.
func lower(name string) string {
	n := 0
	for n < len(name) && 'A' <= name[n] && name[n] <= 'Z' {
		n++
	}
	if n > 1 && n < len(name) {
		n-- // the last capital begins the next word
	}
	return strings.ToLower(name[:n]) + name[n:]
}

// words makes a phrase of a Go name: GuildMember is "guild member".
func words(name string) string {
	var out []byte
	for i := range len(name) {
		c := name[i]
		upper := 'A' <= c && c <= 'Z'
		if upper && i > 0 {
			prevLower := name[i-1] >= 'a' || name[i-1] <= '9'
			nextLower := i+1 < len(name) && name[i+1] >= 'a'
			if prevLower || nextLower {
				out = append(out, ' ')
			}
			if nextLower || prevLower && i+1 == len(name) {
				c |= 0x20
			}
		} else if upper && len(name) > 1 && name[1] >= 'a' {
			c |= 0x20
		}
		out = append(out, c)
	}
	return string(out)
}

// article puts "a" or "an" before a phrase.
func article(phrase string) string {
	spelled := len(phrase) > 1 && phrase[1] >= 'A' && phrase[1] <= 'Z' // by its letters
	switch {
	case spelled && strings.Contains("AEFHILMNORSX", phrase[:1]),
		!spelled && (strings.Contains("aeio", strings.ToLower(phrase[:1])) || strings.HasPrefix(phrase, "unf")):
		return "an " + phrase
	default:
		return "a " + phrase
	}
}
