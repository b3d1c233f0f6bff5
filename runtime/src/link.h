/* SPDX-License-Identifier: MIT */
/*
 * The target's end of a session over a line (docs/serial-protocol.md): each payload once
 * and in order, whatever the line loses. No I/O: bytes and the time come in, bytes go out.
 */
#ifndef SAMPAN_LINK_H
#define SAMPAN_LINK_H

#include "frame.h"

enum { LINK_WINDOW = 32, LINK_NEVER = 1 << 30 };

struct link_sent {
	uint16_t number, size;
	uint32_t transmission, at;      /* of its last transmission */
	uint8_t channel, times;
	bool arrived, lost;
	uint8_t payload[FRAME_PAYLOAD];
};

struct link_early {
	bool here;
	uint8_t channel;
	uint16_t size;
	uint8_t payload[FRAME_PAYLOAD];
};

struct link {
	uint8_t boot[8], agent[8];
	bool up, left;                  /* a session stands; the host has left it */
	bool interactive;               /* somebody types: bulk data keeps the line short */
	bool binary, clean, doubt;      /* we send binary; theirs reaches us; ours does not */
	bool hello, ack_due;
	uint32_t now, heard, hello_at, probe_at;
	unsigned probes;
	/* receiving */
	uint16_t expected, ping_heard;
	/* sending: numbers first to next are under way */
	uint16_t first, next;
	uint32_t transmissions, moved;
	struct { uint16_t number; uint32_t transmission, at; } ping[8];
	uint16_t ping_number;
	unsigned unanswered, stubborn, tried, failed, level, window, most_frames, most_payload;
	unsigned trip, deviation;       /* of round trips, in 1/8 and 1/4 milliseconds */
	bool fast;
	struct decoder in;
	struct link_sent sent[LINK_WINDOW];
	struct link_early early[LINK_WINDOW];
};

extern struct link the_link;

void link_init(uint32_t now);
void link_receive(const uint8_t *bytes, size_t n, uint32_t now);

/* The next bytes to write, at most FRAME_LINE; 0: nothing may be sent now. */
size_t link_transmit(uint8_t *line, uint32_t now);

/* Milliseconds until link_transmit() has something, if nothing else happens. */
int link_wait(uint32_t now);

/* May a new DATA frame go out? */
bool link_room(bool bulk);

/* The last words: BYE. Its length. */
size_t link_goodbye(uint8_t *line);

/* ---- link_pace.c: what the line lets through ---- */

void pace_reset(void);
void pace_measure(unsigned ms, bool full);      /* a round trip, while as much as may be was under way */
void pace_judge(void);                          /* smaller frames on a lossy line, larger ones on a clean one */
size_t pace_payload(void);                      /* of the next frame, at most */
unsigned pace_patience(void);                   /* milliseconds an answer may take before we ask for it */

static inline bool link_due(uint32_t when, uint32_t now)
{
	return (int32_t)(now - when) >= 0;
}

/*
 * What the channels give: at most `room` bytes for `payload`, and where they belong in
 * `channel`; 0 when there is nothing. `bulk`: all of them may send, not just who types.
 */
size_t link_source(size_t room, bool bulk, uint8_t *channel, uint8_t *payload);
void link_deliver(uint8_t channel, const uint8_t *payload, size_t size);
void link_opened(void);                 /* a new session: what belongs to the old one is over */

#endif
