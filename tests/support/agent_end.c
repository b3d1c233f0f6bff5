/* SPDX-License-Identifier: MIT */
/* The agent's end of a link for tests in virtual time: bytes to send, and bytes that arrived. */
#include <string.h>
#include "link.h"

enum { HELD = 1 << 21 };

static const uint8_t *out;
static size_t nout, ngot;
static uint8_t got[HELD];
static unsigned opened;

size_t link_source(size_t room, bool bulk, uint8_t *channel, uint8_t *payload)
{
	size_t n = bulk && nout < room ? nout : room;

	if (!bulk || nout == 0)
		return 0;
	*channel = 1;
	memcpy(payload, out, n);
	out += n;
	nout -= n;
	return n;
}

void link_deliver(uint8_t channel, const uint8_t *payload, size_t size)
{
	if (channel == 1 && ngot + size <= HELD) {
		memcpy(got + ngot, payload, size);
		ngot += size;
	}
}

void link_opened(void)
{
	opened++;
}

void end_begin(uint32_t now)
{
	memset(&the_link, 0, sizeof(the_link));
	memset(the_link.agent, 7, sizeof(the_link.agent));
	nout = ngot = 0;
	opened = 0;
	link_init(now);
}

/* The bytes must stay where they are until all of them were taken. */
void end_send(const uint8_t *bytes, size_t n)
{
	out = bytes;
	nout = n;
}

size_t end_unsent(void)
{
	return nout;
}

size_t end_take(uint8_t *bytes, size_t most)
{
	size_t n = ngot < most ? ngot : most;

	memcpy(bytes, got, n);
	memmove(got, got + n, ngot - n);
	ngot -= n;
	return n;
}

unsigned end_opened(void)
{
	return opened;
}
