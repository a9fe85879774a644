package fakegateway

import (
	"bytes"
	"encoding/json"
)

// Spacebar checks payloads against a schema: a key that is not in it, a key
// that is missing and a value of the wrong type are all answered with 4002.

// types is a set of JSON types.
type types int

const (
	isString types = 1 << iota
	isNumber       // or a number in a string
	isBool
	isObject
	isArray
	isNull
	isDate // what a JSON value never is
	required
	isAny = isString | isNumber | isBool | isObject | isArray | isNull
)

// schema names the keys of an object; nil accepts anything.
type schema struct {
	keys map[string]types
	sub  map[string]*schema // of objects, and of the objects in arrays
	each *schema            // of the values, where keys are free
	in   string             // the key of an object that each is for
}

var activitySchema = &schema{keys: map[string]types{
	"id": isString, "name": isString | required, "type": isNumber | required, "url": isString | isNull,
	"created_at": isDate, "session_id": isString | isNull, "platform": isString,
	"supported_platforms": isArray, "timestamps": isObject | isNull, "application_id": isString | isNull,
	"parent_application_id": isString | isNull, "status_display_type": isNumber | isNull,
	"details": isString | isNull, "details_url": isString | isNull, "state": isString | isNull,
	"state_url": isString | isNull, "sync_id": isString | isNull, "flags": isNumber, "buttons": isArray,
	"emoji": isObject | isNull, "party": isObject | isNull, "assets": isObject | isNull,
	"secrets": isObject | isNull, "metadata": isObject | isNull, "instance": isBool | isNull,
}}

var presenceSchema = &schema{
	keys: map[string]types{
		"status": isString | required, "since": isNumber | isNull, "activities": isArray | isNull, "afk": isBool,
	},
	sub: map[string]*schema{"activities": activitySchema},
}

var subscriptionKeys = map[string]types{
	"channels": isObject, "typing": isBool, "threads": isBool, "activities": isBool, "members": isArray,
	"member_updates": isBool, "thread_member_lists": isArray,
}

// schemas by opcode. What has none is not checked.
var schemas = map[int]*schema{
	opIdentify: {
		keys: map[string]types{
			"token": isString | required, "properties": isObject, "compress": isBool, "large_threshold": isNumber,
			"largeThreshold": isNumber, "shard": isArray, "presence": isObject | isNull, "intents": isNumber | isNull,
			"capabilities": isNumber, "client_state": isObject, "guild_subscriptions": isBool, "v": isNumber, "version": isNumber,
		},
		sub: map[string]*schema{
			"presence": presenceSchema,
			"client_state": {keys: map[string]types{
				"guild_hashes": isObject, "guild_versions": isObject, "highest_last_message_id": isString | isNumber,
				"read_state_version": isNumber, "user_guild_settings_version": isNumber, "user_settings_version": isNumber,
				"private_channels_version": isString | isNumber, "api_code_version": isNumber, "initial_guild_id": isString | isNull,
			}},
		},
	},
	opPresence: presenceSchema,
	opVoiceState: {keys: map[string]types{
		"guild_id": isString | isNull, "channel_id": isString | isNull, "self_mute": isBool | required,
		"self_deaf": isBool | required, "self_video": isBool, "preferred_region": isString | isNull,
		"preferred_regions": isArray | isNull, "request_to_speak_timestamp": isAny, "suppress": isBool, "flags": isNumber,
	}},
	opMembers: {keys: map[string]types{
		"guild_id": isString | isArray, "query": isString, "limit": isNumber, "presences": isBool,
		"user_ids": isString | isArray, "nonce": isString,
	}},
	opSubscriptions: {keys: withKey(subscriptionKeys, "guild_id", isString|required)},
	opSubscriptionsBulk: {
		keys: map[string]types{"subscriptions": isObject | required},
		each: &schema{keys: subscriptionKeys}, in: "subscriptions",
	},
	opGuildSync:       nil,
	opChannelStatuses: {keys: map[string]types{"guild_id": isString | required}},
	opChannelInfo:     {keys: map[string]types{"guild_id": isString | required, "fields": isArray | required}},
}

func withKey(m map[string]types, key string, t types) map[string]types {
	out := map[string]types{key: t}
	for k, v := range m {
		out[k] = v
	}
	return out
}

// accepts checks an object. A nil schema accepts everything.
func (s *schema) accepts(v json.RawMessage) bool {
	if s == nil {
		return true
	}
	var obj map[string]json.RawMessage
	if json.Unmarshal(v, &obj) != nil || obj == nil {
		return false
	}
	for k, want := range s.keys {
		if _, ok := obj[k]; !ok && want&required != 0 {
			return false
		}
	}
	for k, v := range obj {
		want, known := s.keys[k]
		if !known || typeOf(v)&want == 0 || !s.sub[k].acceptsAll(v) {
			return false
		}
		if k == s.in {
			var each map[string]json.RawMessage
			if json.Unmarshal(v, &each) != nil {
				return false
			}
			for _, v := range each {
				if !s.each.accepts(v) {
					return false
				}
			}
		}
	}
	return true
}

// acceptsAll checks an object or each element of a list; null is nothing.
func (s *schema) acceptsAll(v json.RawMessage) bool {
	if s == nil || string(v) == "null" {
		return true
	}
	if v[0] != '[' {
		return s.accepts(v)
	}
	var list []json.RawMessage
	if json.Unmarshal(v, &list) != nil {
		return false
	}
	for _, v := range list {
		if !s.accepts(v) {
			return false
		}
	}
	return true
}

func typeOf(v json.RawMessage) types {
	switch v = bytes.TrimSpace(v); v[0] {
	case '"':
		if _, ok := number(v); ok {
			return isString | isNumber
		}
		return isString
	case '{':
		return isObject
	case '[':
		return isArray
	case 't', 'f':
		return isBool
	case 'n':
		return isNull
	}
	return isNumber
}
