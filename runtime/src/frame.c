/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "frame.h"

enum { HEADER = 6, SUM = 4 };

static const uint8_t no_session[SESSION_LEN];
static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* CRC-32 of ISO 3309, four bits at a time: 64 bytes of table are enough for a UART. */
uint32_t frame_crc(uint32_t sum, const uint8_t *p, size_t n)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};

	while (n-- > 0) {
		sum ^= *p++;
		sum = sum >> 4 ^ table[sum & 15];
		sum = sum >> 4 ^ table[sum & 15];
	}
	return sum;
}

static uint32_t frame_sum(uint8_t direction, const uint8_t *session, const uint8_t *raw, size_t n)
{
	return ~frame_crc(frame_crc(frame_crc(~0u, &direction, 1), session, SESSION_LEN), raw, n);
}

/* ---- receiving ---------------------------------------------------------------- */

static bool take(const struct decoder *d, const uint8_t *raw, size_t n, bool binary)
{
	struct frame f;
	size_t at = HEADER;
	bool known;

	if (n < HEADER + SUM)
		return false;
	n -= SUM;
	known = get32(raw + n) == frame_sum('H', d->session, raw, n);
	if (!known && get32(raw + n) != frame_sum('H', no_session, raw, n))
		return false;
	f = (struct frame){ .flags = raw[0], .channel = raw[1], .number = get16(raw + 2),
			    .ack = get16(raw + 4) };
	if (f.flags & F_BITMAP) {
		if (n < HEADER + 4)
			return false;
		f.bitmap = get32(raw + HEADER);
		at += 4;
	}
	f.payload = raw + at;
	f.size = n - at;
	if (f.size > FRAME_PAYLOAD)
		return false;
	frame_arrived(&f, known, binary);
	return true;
}

/* Undoes COBS in place; the length, or 0. */
static size_t unstuff(uint8_t *p, size_t n)
{
	size_t from = 0, to = 0;

	while (from < n) {
		size_t code = p[from];

		if (from + code > n)
			return 0;
		memmove(p + to, p + from + 1, code - 1);
		from += code;
		to += code - 1;
		if (code < 255 && from < n)
			p[to++] = 0;
	}
	return to;
}

static void end_binary(struct decoder *d)
{
	size_t n = d->nbinary;

	d->nbinary = 0;
	if (n > 0 && n < sizeof(d->binary)) {
		n = unstuff(d->binary, n);
		take(d, d->binary, n, true);
	}
}

/* One byte behind a marker; the first that is no letter ends the frame. */
static void text_byte(struct decoder *d, uint8_t c)
{
	const char *at = c ? strchr(letters, c) : NULL;

	if (at) {
		d->bits = d->bits << 6 | (uint32_t)(at - letters);
		if (d->letters++ % 4 != 0 && d->ntext < FRAME_RAW) {
			d->text[d->ntext++] = (uint8_t)(d->bits >> (6 - 2 * ((d->letters - 1) % 4)));
		} else if (d->ntext == FRAME_RAW) {
			d->in_text = false;
		}
		return;
	}
	d->in_text = false;
	if (d->letters % 4 != 1 && take(d, d->text, d->ntext, false))
		d->nbinary = 0;
}

void frame_feed(struct decoder *d, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t c = bytes[i];

		if (d->in_text)
			text_byte(d, c);
		if (d->mark && c == '~') {
			d->in_text = true;
			d->ntext = d->letters = 0;
		}
		d->mark = c == '#';
		if (c == 0)
			end_binary(d);
		else if (d->nbinary < sizeof(d->binary))
			d->binary[d->nbinary++] = c;    /* a full buffer is no frame */
	}
}

/* ---- sending ------------------------------------------------------------------- */

static size_t stuff(const uint8_t *raw, size_t n, uint8_t *line)
{
	size_t code = 1, to = 2;

	line[0] = 0;
	for (size_t i = 0; i < n; i++) {
		if (raw[i])
			line[to++] = raw[i];
		if (!raw[i] || (to - code == 255 && i + 1 < n)) {
			line[code] = (uint8_t)(to - code);
			code = to++;
		}
	}
	line[code] = (uint8_t)(to - code);
	line[to++] = 0;
	return to;
}

static size_t as_text(const uint8_t *raw, size_t n, uint8_t *line)
{
	size_t to = 2;

	line[0] = '#';
	line[1] = '~';
	for (size_t bit = 0; bit < n * 8; bit += 6) {
		size_t i = bit / 8;
		unsigned two = (unsigned)raw[i] << 8 | (i + 1 < n ? raw[i + 1] : 0);

		line[to++] = (uint8_t)letters[two >> (10 - bit % 8) & 63];
	}
	line[to++] = '\n';
	return to;
}

size_t frame_encode(const struct frame *f, const uint8_t *session, bool binary, uint8_t *line)
{
	uint8_t raw[FRAME_RAW];
	size_t n = HEADER;

	raw[0] = (uint8_t)(f->flags | (f->bitmap ? F_BITMAP : 0));
	raw[1] = f->channel;
	put16(raw + 2, f->number);
	put16(raw + 4, f->ack);
	if (f->bitmap) {
		put32(raw + n, f->bitmap);
		n += 4;
	}
	if (f->size)
		memcpy(raw + n, f->payload, f->size);
	n += f->size;
	put32(raw + n, frame_sum('T', session, raw, n));
	return binary ? stuff(raw, n + SUM, line) : as_text(raw, n + SUM, line);
}
