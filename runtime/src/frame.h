/* SPDX-License-Identifier: MIT */
/* Frames of the serial protocol and their two codecs (docs/serial-protocol.md). */
#ifndef SAMPAN_FRAME_H
#define SAMPAN_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FRAME_PAYLOAD = 1000,
	FRAME_RAW = 6 + 4 + FRAME_PAYLOAD + 4,
	FRAME_LINE = (FRAME_RAW * 8 + 5) / 6 + 3,       /* on the line, in the longer codec */
	SESSION_LEN = 8,
};

enum frame_kind { F_ACK, F_DATA, F_PING, F_PROBE, F_HELLO, F_BYE };
enum { F_KIND = 0x0f, F_BITMAP = 0x10, F_CLEAN = 0x20, F_DOUBT = 0x40 };

struct frame {
	uint8_t flags, channel;         /* kind and F_* */
	uint16_t number, ack;
	uint32_t bitmap;
	const uint8_t *payload;
	size_t size;
};

/* Finds frames of the host in a stream; all that is none is passed over. */
struct decoder {
	uint8_t session[SESSION_LEN];
	bool mark, in_text;             /* '#' came last; behind "#~" */
	uint32_t bits;                  /* of base64, not a whole byte yet */
	size_t nbinary, ntext, letters;
	uint8_t binary[FRAME_RAW + FRAME_RAW / 254 + 2];        /* since the last zero byte */
	uint8_t text[FRAME_RAW];        /* decoded so far, behind a marker */
};

/* CRC-32 of ISO 3309 without its inversions: begin with ~0u, invert the end. */
uint32_t frame_crc(uint32_t sum, const uint8_t *p, size_t n);

/* Where a decoder's frames go. `known`: of the session; `binary`: its codec. */
void frame_arrived(const struct frame *f, bool known, bool binary);

void frame_feed(struct decoder *d, const uint8_t *bytes, size_t n);

/* The frame of the target as it goes on the line, at most FRAME_LINE bytes; its length. */
size_t frame_encode(const struct frame *f, const uint8_t *session, bool binary, uint8_t *line);

static inline uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static inline void put16(uint8_t *p, unsigned value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
}

static inline void put32(uint8_t *p, uint32_t value)
{
	put16(p, value & 0xffff);
	put16(p + 2, value >> 16);
}

#endif
