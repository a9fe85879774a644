package gateway

import (
	"context"
	"crypto/rand"
	"iter"

	"github.com/spacebar-gateway/spacebar-gateway/gateway/event"
	"github.com/spacebar-gateway/spacebar-gateway/gateway/session"
)

// The functions of this file send a message and wait for its answer. They
// subscribe before they send, so no answer is missed; they fail with what Send
// fails with, with ErrRateLimited if the server says so, with ErrTimeout when
// ctx ends or the server has been silent for 30 seconds, and with ErrDisconnected
// when the session ends, since the answer then never comes. None may be called
// from an observer.

// Identify sends Identify and waits for READY. It is for handles of Spawn.
func (h *Handle) Identify(ctx context.Context, payload event.Identify) (*event.Ready, error) {
	return askFirst[*event.Ready](ctx, h, payload, nil)
}

// Resume sends Resume and waits for RESUMED. It is for handles of Spawn. If the
// server does not know the session it fails with ErrDisconnected, and the
// connection waits for Identify.
func (h *Handle) Resume(ctx context.Context, payload event.Resume) (*event.Resumed, error) {
	return askFirst[*event.Resumed](ctx, h, payload, nil)
}

// GuildMembers are the members that were asked for, from all chunks.
type GuildMembers struct {
	Members   []event.GuildMember
	Presences []event.Presence
	// NotFound are the ids asked for that belong to no member.
	NotFound []event.Snowflake
}

// RequestGuildMembers requests members of one or several guilds and waits for all
// chunks of all of them.
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
// An error is the last thing it yields.
func (h *Handle) GuildMemberChunks(ctx context.Context, payload event.RequestGuildMembers) iter.Seq2[*event.GuildMembersChunk, error] {
	return func(yield func(*event.GuildMembersChunk, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		chunks := make(chan *event.GuildMembersChunk)
		result := make(chan error, 1)
		go func() {
			// The dispatcher must not wait for the loop's body.
			var waiting []*event.GuildMembersChunk
			arrived := make(chan *event.GuildMembersChunk, 16)
			done := make(chan struct{})
			go func() {
				defer close(done)
				open := true
				for open || len(waiting) > 0 {
					var out chan *event.GuildMembersChunk
					var next *event.GuildMembersChunk
					if len(waiting) > 0 {
						out, next = chunks, waiting[0]
					}
					select {
					case chunk, ok := <-arrived:
						if open = ok; ok {
							waiting = append(waiting, chunk)
						} else {
							arrived = nil
						}
					case out <- next:
						waiting = waiting[1:]
					case <-ctx.Done():
						return
					}
				}
			}()
			err := h.members(ctx, payload, func(chunk *event.GuildMembersChunk) {
				select {
				case arrived <- chunk:
				case <-done:
				}
			})
			close(arrived)
			<-done
			result <- err
		}()
		for {
			select {
			case chunk := <-chunks:
				if !yield(chunk, nil) {
					return
				}
			case err := <-result:
				if err != nil {
					yield(nil, err)
				}
				return
			}
		}
	}
}

// members requests members and hands over each guild's chunks in their order.
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
		take: func(d event.Dispatch) (part, done bool, err error) {
			chunk, ok := d.(*event.GuildMembersChunk)
			if !ok || chunk.Nonce.Value() != nonce || left[chunk.GuildID] == nil {
				return false, false, nil
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
			return true, len(left) == 0, nil
		},
		limited: func(l *event.RateLimited) bool {
			return l.Meta.Nonce.Or(nonce) == nonce
		},
	})
}

// VoiceConnection is what a voice channel is joined with.
type VoiceConnection struct {
	// State is this session's voice state as the server has it.
	State *event.VoiceStateUpdate
	// Server is where to connect to; nil when a channel was left, or when the
	// session stays in its channel.
	Server *event.VoiceServerUpdate
}

// UpdateVoiceState joins, moves between or leaves voice channels, and waits for
// the voice state and, if a channel was joined, the voice server.
func (h *Handle) UpdateVoiceState(ctx context.Context, payload event.UpdateVoiceState) (*VoiceConnection, error) {
	me, ok := h.Session()
	if !ok {
		return nil, fail(session.ErrNotReady, "cannot join a voice channel: there is no session")
	}
	guild, channel := payload.GuildID.Value(), payload.ChannelID.Value()
	h.c.mu.Lock()
	joins := channel != 0 && h.c.voice[guild] != voiceChannel{me.ID, channel}
	h.c.mu.Unlock()
	var v VoiceConnection
	err := h.ask(ctx, request{
		payload: payload,
		names:   []string{v.State.EventName(), v.Server.EventName()},
		take: func(d event.Dispatch) (part, done bool, err error) {
			switch d := d.(type) {
			case *event.VoiceStateUpdate:
				if v.State == nil && d.SessionID == me.ID && d.ChannelID.Value() == channel {
					v.State = d
				}
			case *event.VoiceServerUpdate:
				if d.GuildID.Value() == guild {
					v.Server = d
				}
			}
			return false, v.State != nil && (v.Server != nil || !joins), nil
		},
	})
	if err != nil {
		return nil, err
	}
	h.c.mu.Lock()
	h.c.voice[guild] = voiceChannel{me.ID, channel}
	h.c.mu.Unlock()
	return &v, nil
}

// voiceChannel is where a session was last known to be.
type voiceChannel struct {
	session string
	channel event.Snowflake
}

// RequestLastMessages requests the last message of each of some channels and
// waits for them.
func (h *Handle) RequestLastMessages(ctx context.Context, payload event.RequestLastMessages) (*event.LastMessages, error) {
	return askFirst(ctx, h, payload, func(m *event.LastMessages) bool { return m.GuildID == payload.GuildID })
}

// RequestChannelStatuses requests the status texts of a guild's voice channels.
func (h *Handle) RequestChannelStatuses(ctx context.Context, payload event.RequestChannelStatuses) (*event.ChannelStatuses, error) {
	return askFirst(ctx, h, payload, func(s *event.ChannelStatuses) bool { return s.GuildID == payload.GuildID })
}

// RequestChannelInfo requests details of a guild's voice channels.
func (h *Handle) RequestChannelInfo(ctx context.Context, payload event.RequestChannelInfo) (*event.ChannelInfo, error) {
	return askFirst(ctx, h, payload, func(i *event.ChannelInfo) bool { return i.GuildID == payload.GuildID })
}

// RequestChannelMemberCount requests how many members can see a channel.
func (h *Handle) RequestChannelMemberCount(ctx context.Context, payload event.RequestChannelMemberCount) (*event.ChannelMemberCountUpdate, error) {
	return askFirst(ctx, h, payload, func(c *event.ChannelMemberCountUpdate) bool {
		return c.GuildID == payload.GuildID && c.ChannelID == payload.ChannelID
	})
}

// RequestDeletedEntityIDs asks which of the things a client knows are gone.
func (h *Handle) RequestDeletedEntityIDs(ctx context.Context, payload event.RequestDeletedEntityIDs) (*event.DeletedEntityIDs, error) {
	return askFirst(ctx, h, payload, func(d *event.DeletedEntityIDs) bool { return d.GuildID == payload.GuildID })
}

// RequestSoundboardSounds requests the soundboard sounds of guilds and waits for
// those of each, in the order in which they come.
func (h *Handle) RequestSoundboardSounds(ctx context.Context, payload event.RequestSoundboardSounds) ([]*event.SoundboardSounds, error) {
	return askEach(ctx, h, payload, payload.GuildIDs, func(s *event.SoundboardSounds) event.Snowflake { return s.GuildID })
}

// RequestGuildSync requests the members and presences of guilds and waits for
// those of each, in the order in which they come.
func (h *Handle) RequestGuildSync(ctx context.Context, payload event.RequestGuildSync) ([]*event.GuildSync, error) {
	return askEach(ctx, h, payload, payload, func(s *event.GuildSync) event.Snowflake { return s.ID })
}

// LazyRequest subscribes to a guild's events and member list and waits for the
// first member list. A server sends none if the payload names no channels.
func (h *Handle) LazyRequest(ctx context.Context, payload event.LazyRequest) (*event.GuildMemberListUpdate, error) {
	if len(payload.Channels.Value()) == 0 {
		return nil, fail(session.ErrInvalidPayload, "a lazy request without channels is not answered; use SendLazyRequest")
	}
	return askFirst(ctx, h, payload, func(l *event.GuildMemberListUpdate) bool { return l.GuildID == payload.GuildID })
}

// SearchRecentMembers searches the members that were active of late and waits for
// the answer.
func (h *Handle) SearchRecentMembers(ctx context.Context, payload event.SearchRecentMembers) (*event.GuildMembersChunk, error) {
	nonce := payload.Nonce.Or(rand.Text())
	payload.Nonce = event.Some(nonce)
	return askFirst(ctx, h, payload, func(c *event.GuildMembersChunk) bool { return c.Nonce.Value() == nonce })
}

// RequestCallConnect asks about the call of a private channel and waits for it.
// CallSync is the same.
func (h *Handle) RequestCallConnect(ctx context.Context, payload event.RequestCallConnect) (*event.CallCreate, error) {
	return askFirst(ctx, h, payload, func(c *event.CallCreate) bool { return c.ChannelID == payload.ChannelID })
}

// SendCallSync is SendRequestCallConnect by its other name.
func (h *Handle) SendCallSync(ctx context.Context, payload event.RequestCallConnect) error {
	return h.SendRequestCallConnect(ctx, payload)
}

// CallSync is RequestCallConnect by its other name.
func (h *Handle) CallSync(ctx context.Context, payload event.RequestCallConnect) (*event.CallCreate, error) {
	return h.RequestCallConnect(ctx, payload)
}

// askEach sends payload and returns the answers, one for each id.
func askEach[T event.Dispatch](ctx context.Context, h *Handle, payload event.Send, ids []event.Snowflake, id func(T) event.Snowflake) ([]T, error) {
	left := map[event.Snowflake]bool{}
	for _, id := range ids {
		left[id] = true
	}
	var all []T
	var zero T
	err := h.ask(ctx, request{
		payload: payload,
		names:   []string{zero.EventName()},
		take: func(d event.Dispatch) (part, done bool, err error) {
			answer, ok := d.(T)
			if !ok || !left[id(answer)] {
				return false, false, nil
			}
			delete(left, id(answer))
			all = append(all, answer)
			return true, len(left) == 0, nil
		},
	})
	return all, err
}
