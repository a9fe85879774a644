package gateway

import (
	"context"
	"crypto/rand"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
)

// The functions of this file send a message and wait for its answer. They
// subscribe before they send, so no answer is missed; they fail with what Send
// fails with, with a *RateLimitError if the server refuses this very request, with
// ErrTimeout when ctx ends or the server has been silent for 30 seconds, and with
// ErrDisconnected when the session ends, since the answer then never comes. None
// may be called from an observer.

// Identify sends Identify and waits for READY. It is for handles of Spawn.
func (h *Handle) Identify(ctx context.Context, payload event.Identify) (*event.Ready, error) {
	return askFirst[*event.Ready](ctx, h, payload, 0, nil)
}

// Resume sends Resume and waits for RESUMED. It is for handles of Spawn. If the
// server does not know the session it fails with ErrDisconnected, and the
// connection waits for Identify.
func (h *Handle) Resume(ctx context.Context, payload event.Resume) (*event.Resumed, error) {
	return askFirst[*event.Resumed](ctx, h, payload, 0, nil)
}

// GuildMembers are the members that were asked for, from all chunks.
type GuildMembers struct {
	Members   []event.GuildMember
	Presences []event.Presence
	// NotFound are the ids asked for that belong to no member.
	NotFound []event.Snowflake
}

// RequestGuildMembers requests members of one or several guilds and waits for all
// chunks of all of them. The server may take 30 seconds for each chunk.
func (h *Handle) RequestGuildMembers(ctx context.Context, payload event.RequestGuildMembers) (*GuildMembers, error) {
	all := new(GuildMembers)
	err := h.members(ctx, payload, func(chunk *event.GuildMembersChunk) {
		all.Members = append(all.Members, chunk.Members...)
		all.Presences = append(all.Presences, chunk.Presences.Value()...)
		all.NotFound = append(all.NotFound, chunk.NotFound.Value()...)
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// GuildMemberChunks is RequestGuildMembers chunk by chunk, in the order of each
// guild's chunks:
//
//	for chunk, err := range h.GuildMemberChunks(ctx, request) { … }
//
// An error is the last thing it yields. Chunks wait while the loop's body runs.
// The message is sent when the loop begins; each loop sends one.
func (h *Handle) GuildMemberChunks(ctx context.Context, payload event.RequestGuildMembers) iter.Seq2[*event.GuildMembersChunk, error] {
	return func(yield func(*event.GuildMembersChunk, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var mu sync.Mutex
		var waiting []*event.GuildMembersChunk // the dispatcher does not wait for the loop
		more := make(chan struct{}, 1)
		result := make(chan error, 1)
		go func() {
			result <- h.members(ctx, payload, func(chunk *event.GuildMembersChunk) {
				mu.Lock()
				waiting = append(waiting, chunk)
				mu.Unlock()
				select {
				case more <- struct{}{}:
				default:
				}
			})
		}()
		for over := false; !over; {
			var err error
			select {
			case <-more:
			case err = <-result:
				over = true
			}
			mu.Lock()
			chunks := waiting
			waiting = nil
			mu.Unlock()
			for _, chunk := range chunks {
				if !yield(chunk, nil) {
					return
				}
			}
			if err != nil {
				yield(nil, err)
			}
		}
	}
}

// members requests members and hands over each guild's chunks in their order, each
// once.
func (h *Handle) members(ctx context.Context, payload event.RequestGuildMembers, take func(*event.GuildMembersChunk)) error {
	nonce := payload.Nonce.Or(rand.Text())
	payload.Nonce = event.Some(nonce)
	type guild struct {
		next  int // the index of the chunk to hand over next
		early map[int]*event.GuildMembersChunk
	}
	left := map[event.Snowflake]*guild{}
	for _, id := range payload.GuildID {
		left[id] = &guild{early: map[int]*event.GuildMembersChunk{}}
	}
	return h.ask(ctx, request{
		payload: payload,
		names:   []string{(*event.GuildMembersChunk)(nil).EventName()},
		nonce:   nonce,
		guilds:  payload.GuildID,
		take: func(d event.Dispatch) (part, done bool) {
			chunk, ok := d.(*event.GuildMembersChunk)
			if !ok || chunk.Nonce.Value() != nonce || left[chunk.GuildID] == nil {
				return false, false
			}
			g := left[chunk.GuildID]
			g.early[chunk.ChunkIndex] = chunk
			for next := g.early[g.next]; next != nil; next = g.early[g.next] {
				delete(g.early, g.next)
				g.next++
				take(next)
			}
			if g.next >= chunk.ChunkCount {
				delete(left, chunk.GuildID)
			}
			return true, len(left) == 0
		},
	})
}

// SearchRecentMembers searches the members that were active of late and waits for
// the answer.
func (h *Handle) SearchRecentMembers(ctx context.Context, payload event.SearchRecentMembers) (*event.GuildMembersChunk, error) {
	nonce := payload.Nonce.Or(rand.Text())
	payload.Nonce = event.Some(nonce)
	var found *event.GuildMembersChunk
	err := h.ask(ctx, request{
		payload: payload,
		names:   []string{found.EventName()},
		nonce:   nonce,
		take: func(d event.Dispatch) (part, done bool) {
			if c, ok := d.(*event.GuildMembersChunk); ok && c.Nonce.Value() == nonce {
				found, done = c, true
			}
			return false, done
		},
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// VoiceConnection is what a voice channel is joined with.
type VoiceConnection struct {
	// State is this session's voice state as the server has it.
	State *event.VoiceStateUpdate
	// Server is where to connect to; nil when a channel was left, when the session
	// stays in its channel, or when the server has not named one: PingVoiceServer
	// asks for it again.
	Server *event.VoiceServerUpdate
}

// voiceGrace is how long a server may take to name a voice server, once it has
// told the voice state. It names none to a session that was in the channel already,
// of which this process may know nothing.
const voiceGrace = 10 * time.Second

// UpdateVoiceState joins, moves between or leaves voice channels, mutes and
// deafens, and waits for the voice state and, if a channel was joined, the voice
// server, which may take up to 10 seconds more.
func (h *Handle) UpdateVoiceState(ctx context.Context, payload event.UpdateVoiceState) (*VoiceConnection, error) {
	me, ok := h.Session()
	if !ok {
		return nil, fail(session.ErrNotReady, "cannot join a voice channel: there is no session")
	}
	guild, channel := payload.GuildID.Value(), payload.ChannelID.Value()
	joins := channel != 0 && h.c.voice.channel(me.ID, guild) != channel
	key := guild.String()
	state, server, err := askPair(ctx, h, payload, guild,
		func(s *event.VoiceStateUpdate) bool { return s.SessionID == me.ID && s.ChannelID.Value() == channel },
		func(*event.VoiceStateUpdate) string { return key },
		func(s *event.VoiceServerUpdate) string { return s.GuildID.Value().String() }, joins, voiceGrace)
	if err != nil {
		return nil, err
	}
	return &VoiceConnection{State: state, Server: server}, nil
}

// voiceStates knows the voice channels of a connection's session, from the first
// voice state on that it sends: only who comes into a channel is told of a server.
type voiceStates struct {
	once sync.Once
	mu   sync.Mutex
	of   string                              // the session
	in   map[event.Snowflake]event.Snowflake // by guild
}

// follow begins to keep track, of the sessions to come as well.
func (v *voiceStates) follow(c *conn) {
	v.once.Do(func() {
		c.mu.Lock()
		now, _ := c.s.Snapshot()
		c.mu.Unlock()
		v.begin(now.ID)
		c.observe(onSession, false, func(what any) {
			// It is told before the events of the session.
			if s := what.(sessionChange); s.ok {
				v.begin(s.snap.ID)
			}
		})
		c.observe((*event.VoiceStateUpdate)(nil).EventName(), false, func(what any) {
			d, err := what.(*Event).Payload()
			s, ok := d.(*event.VoiceStateUpdate)
			if err != nil || !ok {
				return
			}
			v.mu.Lock()
			defer v.mu.Unlock()
			if s.SessionID == v.of {
				v.in[s.GuildID.Value()] = s.ChannelID.Value()
			}
		})
	})
}

// begin forgets what was of another session.
func (v *voiceStates) begin(session string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.in == nil || v.of != session {
		v.of, v.in = session, map[event.Snowflake]event.Snowflake{}
	}
}

// channel returns the channel of a guild that a session is known to be in; 0 if
// none is.
func (v *voiceStates) channel(session string, guild event.Snowflake) event.Snowflake {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.of != session {
		return 0
	}
	return v.in[guild]
}

// PingVoiceServer asks again for the voice server of the current call.
func (h *Handle) PingVoiceServer(ctx context.Context) (*event.VoiceServerUpdate, error) {
	return askFirst[*event.VoiceServerUpdate](ctx, h, event.PingVoiceServer{}, 0, nil)
}

// UpdateLobbyVoiceStates joins, leaves or mutes in the voice calls of lobbies, and
// waits for this session's voice state in each, in the order in which they come.
// PingLobbyVoiceServer tells where to connect to.
func (h *Handle) UpdateLobbyVoiceStates(ctx context.Context, payload event.UpdateLobbyVoiceStates) ([]*event.LobbyVoiceStateUpdate, error) {
	me, ok := h.Session()
	if !ok {
		return nil, fail(session.ErrNotReady, "cannot join the voice call of a lobby: there is no session")
	}
	ids := make([]event.Snowflake, len(payload))
	for i, s := range payload {
		ids[i] = s.LobbyID
	}
	return askEach(ctx, h, payload, ids, nil,
		func(s *event.LobbyVoiceStateUpdate) event.Snowflake { return s.LobbyID.Value() },
		func(s *event.LobbyVoiceStateUpdate) bool { return s.SessionID == me.ID })
}

// PingLobbyVoiceServer asks again for the voice server of a lobby.
func (h *Handle) PingLobbyVoiceServer(ctx context.Context, payload event.PingLobbyVoiceServer) (*event.LobbyVoiceServerUpdate, error) {
	return askFirst(ctx, h, payload, 0, func(s *event.LobbyVoiceServerUpdate) bool { return s.LobbyID == payload.LobbyID })
}

// StreamConnection is what a stream is sent or watched with.
type StreamConnection struct {
	Stream *event.StreamCreate
	// Server is where to connect to.
	Server *event.StreamServerUpdate
}

// CreateStream begins to share the screen, and waits for the stream and its
// server.
func (h *Handle) CreateStream(ctx context.Context, payload event.CreateStream) (*StreamConnection, error) {
	// The last part of the key is the id of the account.
	begin := string(payload.Type) + ":" + payload.ChannelID.String() + ":"
	if guild := payload.GuildID.Value(); guild != 0 {
		begin = string(payload.Type) + ":" + guild.String() + ":" + payload.ChannelID.String() + ":"
	}
	return h.stream(ctx, payload, payload.GuildID.Value(), func(key string) bool { return strings.HasPrefix(key, begin) })
}

// WatchStream begins to watch a stream, and waits for the stream and its server.
func (h *Handle) WatchStream(ctx context.Context, payload event.WatchStream) (*StreamConnection, error) {
	return h.stream(ctx, payload, 0, func(key string) bool { return key == payload.StreamKey })
}

func (h *Handle) stream(ctx context.Context, payload event.Send, guild event.Snowflake, is func(key string) bool) (*StreamConnection, error) {
	stream, server, err := askPair(ctx, h, payload, guild,
		func(s *event.StreamCreate) bool { return is(s.StreamKey) },
		func(s *event.StreamCreate) string { return s.StreamKey },
		func(s *event.StreamServerUpdate) string { return s.StreamKey }, true, 0)
	if err != nil {
		return nil, err
	}
	return &StreamConnection{Stream: stream, Server: server}, nil
}

// DeleteStream ends a stream, or stops watching it, and waits until that is so.
func (h *Handle) DeleteStream(ctx context.Context, payload event.DeleteStream) (*event.StreamDelete, error) {
	return askFirst(ctx, h, payload, 0, func(s *event.StreamDelete) bool { return s.StreamKey == payload.StreamKey })
}

// PingStreamServer asks again for the server of a stream.
func (h *Handle) PingStreamServer(ctx context.Context, payload event.PingStreamServer) (*event.StreamServerUpdate, error) {
	return askFirst(ctx, h, payload, 0, func(s *event.StreamServerUpdate) bool { return s.StreamKey == payload.StreamKey })
}

// SetStreamPaused pauses a stream or lets it go on, and waits until that is so.
func (h *Handle) SetStreamPaused(ctx context.Context, payload event.SetStreamPaused) (*event.StreamUpdate, error) {
	return askFirst(ctx, h, payload, 0, func(s *event.StreamUpdate) bool {
		return s.StreamKey == payload.StreamKey && s.Paused == payload.Paused
	})
}

// SpeedTest is what a speed test is made with.
type SpeedTest struct {
	Test *event.SpeedTestCreate
	// Server is where to connect to.
	Server *event.SpeedTestServerUpdate
}

// CreateSpeedTest begins a speed test, and waits for it and its server.
//
// Deprecated: the protocol has done away with it. Spacebar may still know it.
func (h *Handle) CreateSpeedTest(ctx context.Context, payload event.CreateSpeedTest) (*SpeedTest, error) {
	test, server, err := askPair(ctx, h, payload, 0,
		func(*event.SpeedTestCreate) bool { return true },
		func(s *event.SpeedTestCreate) string { return s.StreamKey },
		func(s *event.SpeedTestServerUpdate) string { return s.StreamKey }, true, 0)
	if err != nil {
		return nil, err
	}
	return &SpeedTest{Test: test, Server: server}, nil
}

// DeleteSpeedTest ends a speed test, and waits until that is so.
//
// Deprecated: the protocol has done away with it. Spacebar may still know it.
func (h *Handle) DeleteSpeedTest(ctx context.Context) (*event.SpeedTestDelete, error) {
	return askFirst[*event.SpeedTestDelete](ctx, h, event.DeleteSpeedTest{}, 0, nil)
}

// RequestLastMessages requests the last message of each of some channels and
// waits for them.
func (h *Handle) RequestLastMessages(ctx context.Context, payload event.RequestLastMessages) (*event.LastMessages, error) {
	return askFirst(ctx, h, payload, payload.GuildID, func(m *event.LastMessages) bool { return m.GuildID == payload.GuildID })
}

// RequestChannelStatuses requests the status texts of a guild's voice channels.
func (h *Handle) RequestChannelStatuses(ctx context.Context, payload event.RequestChannelStatuses) (*event.ChannelStatuses, error) {
	return askFirst(ctx, h, payload, payload.GuildID, func(s *event.ChannelStatuses) bool { return s.GuildID == payload.GuildID })
}

// RequestChannelInfo requests details of a guild's voice channels.
func (h *Handle) RequestChannelInfo(ctx context.Context, payload event.RequestChannelInfo) (*event.ChannelInfo, error) {
	return askFirst(ctx, h, payload, payload.GuildID, func(i *event.ChannelInfo) bool { return i.GuildID == payload.GuildID })
}

// RequestChannelMemberCount requests how many members can see a channel.
func (h *Handle) RequestChannelMemberCount(ctx context.Context, payload event.RequestChannelMemberCount) (*event.ChannelMemberCountUpdate, error) {
	return askFirst(ctx, h, payload, payload.GuildID, func(c *event.ChannelMemberCountUpdate) bool {
		return c.GuildID == payload.GuildID && c.ChannelID == payload.ChannelID
	})
}

// RequestDeletedEntityIDs asks which of the things a client knows are gone.
func (h *Handle) RequestDeletedEntityIDs(ctx context.Context, payload event.RequestDeletedEntityIDs) (*event.DeletedEntityIDs, error) {
	return askFirst(ctx, h, payload, payload.GuildID, func(d *event.DeletedEntityIDs) bool { return d.GuildID == payload.GuildID })
}

// ResyncGuildChannels asks for channels of a guild again that came obfuscated, and
// waits for them.
func (h *Handle) ResyncGuildChannels(ctx context.Context, payload event.ResyncGuildChannels) (*event.ChannelSync, error) {
	return askFirst(ctx, h, payload, payload.GuildID, func(c *event.ChannelSync) bool { return c.GuildID == payload.GuildID })
}

// RequestSoundboardSounds requests the soundboard sounds of guilds and waits for
// those of each, in the order in which they come.
func (h *Handle) RequestSoundboardSounds(ctx context.Context, payload event.RequestSoundboardSounds) ([]*event.SoundboardSounds, error) {
	return askEach(ctx, h, payload, payload.GuildIDs, payload.GuildIDs, func(s *event.SoundboardSounds) event.Snowflake { return s.GuildID }, nil)
}

// RequestGuildSync requests the members and presences of guilds and waits for
// those of each, in the order in which they come.
func (h *Handle) RequestGuildSync(ctx context.Context, payload event.RequestGuildSync) ([]*event.GuildSync, error) {
	return askEach(ctx, h, payload, payload, payload, func(s *event.GuildSync) event.Snowflake { return s.ID }, nil)
}

// LazyRequest subscribes to a guild's events and member list and waits for the
// first member list. A server sends none if the payload names no channels.
func (h *Handle) LazyRequest(ctx context.Context, payload event.LazyRequest) (*event.GuildMemberListUpdate, error) {
	if len(payload.Channels.Value()) == 0 {
		return nil, fail(session.ErrInvalidPayload, "a lazy request without channels is not answered; use SendLazyRequest")
	}
	return askFirst(ctx, h, payload, payload.GuildID, func(l *event.GuildMemberListUpdate) bool { return l.GuildID == payload.GuildID })
}

// UpdateGuildSubscriptions subscribes to guilds and waits for a member list of each
// that the payload names channels of, in the order in which they come.
func (h *Handle) UpdateGuildSubscriptions(ctx context.Context, payload event.UpdateGuildSubscriptions) ([]*event.GuildMemberListUpdate, error) {
	var ids []event.Snowflake
	for id, s := range payload.Subscriptions {
		if len(s.Channels.Value()) > 0 {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, fail(session.ErrInvalidPayload, "subscriptions without channels are not answered; use SendUpdateGuildSubscriptions")
	}
	return askEach(ctx, h, payload, ids, ids, func(l *event.GuildMemberListUpdate) event.Snowflake { return l.GuildID }, nil)
}

// RequestCallConnect asks about the call of a private channel and waits for it.
// CallSync is the same.
func (h *Handle) RequestCallConnect(ctx context.Context, payload event.RequestCallConnect) (*event.CallCreate, error) {
	return askFirst(ctx, h, payload, 0, func(c *event.CallCreate) bool { return c.ChannelID == payload.ChannelID })
}

// SendCallSync is SendRequestCallConnect by its other name.
func (h *Handle) SendCallSync(ctx context.Context, payload event.RequestCallConnect) error {
	return h.SendRequestCallConnect(ctx, payload)
}

// CallSync is RequestCallConnect by its other name.
func (h *Handle) CallSync(ctx context.Context, payload event.RequestCallConnect) (*event.CallCreate, error) {
	return h.RequestCallConnect(ctx, payload)
}
