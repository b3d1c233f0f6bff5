/* SPDX-License-Identifier: MIT */
/*
 * The input is what a host says: a length, then so many bytes, which become the body of a
 * frame with the right sum (odd lengths), or go on the line as they are.
 */
#include <string.h>
#include "../src/frame.c"
#include "fuzz.h"
#include "link.h"

static size_t given;

size_t link_source(size_t room, bool bulk, uint8_t *channel, uint8_t *payload)
{
	PROMISE(room <= FRAME_PAYLOAD);
	if (!bulk || given++ % 3 == 0)
		return 0;
	*channel = 8;
	memset(payload, 'x', room);
	return room;
}

void link_deliver(uint8_t channel, const uint8_t *payload, size_t size)
{
	uint8_t copy[FRAME_PAYLOAD];

	PROMISE(size <= FRAME_PAYLOAD);
	memcpy(copy, payload, size);
	(void)channel;
}

void link_opened(void)
{
}

/* The two sides' numbers never drift apart by more than a window. */
static void check(uint32_t now)
{
	uint8_t line[FRAME_LINE];

	for (int i = 0; i < 40; i++) {
		size_t n = link_transmit(line, now);

		PROMISE(n <= sizeof(line));
		if (n == 0)
			break;
	}
	PROMISE((uint16_t)(the_link.next - the_link.first) <= LINK_WINDOW);
	PROMISE(link_wait(now) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t hello[] = "\4\0\0\0\0\0SP\1\1sessions\350\3\40";
	uint8_t raw[FRAME_RAW], line[FRAME_RAW + 16];
	uint32_t now = 1000;
	size_t n;

	memset(&the_link, 0, sizeof(the_link));
	link_init(now);
	memcpy(raw, hello, sizeof(hello) - 1);
	put32(raw + sizeof(hello) - 1, frame_sum('H', no_session, raw, sizeof(hello) - 1));
	link_receive(line, stuff(raw, sizeof(hello) + 3, line), now);
	PROMISE(the_link.up);
	while (size > 0) {
		n = *data++;
		size--;
		n = n < size ? n : size;
		if (n % 2 == 1) {
			memcpy(raw, data, n);
			put32(raw + n, frame_sum('H', the_link.in.session, raw, n));
			link_receive(line, stuff(raw, n + SUM, line), now);
		} else {
			link_receive(data, n, now);
		}
		data += n;
		size -= n;
		now += (uint32_t)n * 7;
		check(now);
	}
	return 0;
}
