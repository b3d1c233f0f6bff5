/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "link.h"
#include "sampan.h"

enum {
	STUBBORN = 4, DOUBT = 3, TELLING = 200, FAST_MS = 15,
	HELLO_MS = 1000, PROBE_MS = 250, PROBE_AGAIN_MS = 3000, PROBES = 4,
	VERSION = 1, HELLO_LEN = 15,
};

struct link the_link;

static struct link_sent *sent_of(uint16_t number)
{
	return &the_link.sent[number % LINK_WINDOW];
}

/* ---- the session ------------------------------------------------------------------ */

static void reset(uint32_t now, unsigned frames, unsigned payload)
{
	struct link *l = &the_link;

	l->binary = l->clean = l->doubt = l->ack_due = l->left = false;
	l->probes = 0;
	l->probe_at = l->heard = l->moved = now;
	l->expected = l->ping_heard = l->first = l->next = 0;
	l->transmissions = 0;
	memset(l->ping, 0, sizeof(l->ping));
	l->unanswered = l->stubborn = 0;
	pace_reset();
	l->most_frames = frames < LINK_WINDOW ? frames : LINK_WINDOW;
	l->most_payload = payload < FRAME_PAYLOAD ? payload : FRAME_PAYLOAD;
	for (unsigned i = 0; i < LINK_WINDOW; i++)
		l->early[i].here = false;
}

void link_init(uint32_t now)
{
	the_link.hello = true;
	reset(now, LINK_WINDOW, FRAME_PAYLOAD);
}

static void on_hello(const struct frame *f)
{
	struct link *l = &the_link;
	const uint8_t *p = f->payload;
	static const uint8_t none[SESSION_LEN];

	if (f->size < HELLO_LEN || p[0] != 'S' || p[1] != 'P' || get16(p + 12) < 32 || p[14] < 1 ||
	    memcmp(p + 4, none, SESSION_LEN) == 0)
		return;
	l->hello = true;                /* repeated: our answer was lost */
	if (memcmp(p + 4, l->in.session, SESSION_LEN) == 0)
		return;
	memcpy(l->in.session, p + 4, SESSION_LEN);
	reset(l->now, p[14], get16(p + 12));
	l->up = p[2] <= VERSION && VERSION <= p[3];
	link_opened();
}

/* ---- what came back ----------------------------------------------------------------- */

/*
 * A serial line does not reorder: what was transmitted before something that is known
 * to have arrived, and is not there, is lost.
 */
static void acknowledged(const struct frame *f, uint16_t ping)
{
	struct link *l = &the_link;
	uint32_t answered = 0, since = 0;
	bool full = !link_room(true);
	size_t size = 0;

	if ((uint16_t)(f->ack - l->first) > (uint16_t)(l->next - l->first))
		return;                 /* of the past */
	for (unsigned i = 0; ping && i < ARRAY_SIZE(l->ping); i++) {
		if (l->ping[i].number == ping) {
			answered = l->ping[i].transmission;
			since = l->ping[i].at;
		}
	}
	for (uint16_t n = l->first; n != l->next; n++) {
		struct link_sent *s = sent_of(n);
		uint16_t gap = (uint16_t)(n - f->ack);

		if (s->arrived || !(gap >= 0x8000 || (gap > 0 && gap <= 32 && f->bitmap >> (gap - 1) & 1)))
			continue;
		s->arrived = true;
		s->lost = false;
		l->stubborn += s->times > STUBBORN;
		if (s->transmission > answered) {
			answered = s->transmission;
			since = s->at;
			size = s->size;
		}
	}
	while (l->first != l->next && sent_of(l->first)->arrived)
		l->first++;
	for (uint16_t n = l->first; n != l->next; n++) {
		struct link_sent *s = sent_of(n);

		if (!s->arrived && !s->lost && s->transmission < answered) {
			s->lost = true;
			l->failed++;
		}
	}
	if (answered) {
		pace_measure(l->now - since, full);
		if (size >= TELLING)
			l->fast = l->now - since < FAST_MS;
		l->moved = l->now;
	}
	pace_judge();
}

static void on_data(const struct frame *f)
{
	struct link *l = &the_link;
	struct link_early *e = &l->early[f->number % LINK_WINDOW];

	l->ack_due = true;
	if ((uint16_t)(f->number - l->expected) >= LINK_WINDOW || e->here)
		return;                 /* it is here already, or never was sent */
	e->here = true;
	e->channel = f->channel;
	e->size = (uint16_t)f->size;
	memcpy(e->payload, f->payload, f->size);
	while ((e = &l->early[l->expected % LINK_WINDOW])->here) {
		e->here = false;
		l->expected++;
		link_deliver(e->channel, e->payload, e->size);
	}
}

void frame_arrived(const struct frame *f, bool known, bool binary)
{
	struct link *l = &the_link;
	unsigned kind = f->flags & F_KIND;

	if (kind == F_HELLO)
		on_hello(f);
	if (kind == F_HELLO || !known || !l->up)
		return;
	l->heard = l->now;
	l->unanswered = 0;
	l->clean = (l->clean || binary) && !(f->flags & F_DOUBT);
	l->binary = (f->flags & F_CLEAN) && !l->doubt;
	if (kind == F_ACK || kind == F_DATA)
		acknowledged(f, kind == F_ACK ? f->number : 0);
	if (kind == F_DATA)
		on_data(f);
	if (kind == F_PING)
		l->ping_heard = f->number;
	if (kind == F_PING || kind == F_PROBE)
		l->ack_due = true;
	if (kind == F_BYE) {
		l->up = false;
		l->left = true;
	}
}

void link_receive(const uint8_t *bytes, size_t n, uint32_t now)
{
	the_link.now = now;
	frame_feed(&the_link.in, bytes, n);
}

/* ---- sending ---------------------------------------------------------------------- */

static size_t encode(struct frame f, bool binary, uint8_t *line)
{
	struct link *l = &the_link;

	f.ack = l->expected;
	for (uint16_t n = 1; n < LINK_WINDOW; n++)
		if (l->early[(uint16_t)(l->expected + n) % LINK_WINDOW].here)
			f.bitmap |= 1u << (n - 1);
	f.flags |= (uint8_t)((l->clean ? F_CLEAN : 0) | (l->doubt ? F_DOUBT : 0));
	return frame_encode(&f, l->in.session, binary, line);
}

static size_t say_hello(uint8_t *line)
{
	struct link *l = &the_link;
	static const uint8_t none[SESSION_LEN];
	uint8_t hello[HELLO_LEN + 16 + 24] = { 'S', 'P', VERSION, VERSION };
	size_t n = strlen(SAMPAN_VERSION);
	struct frame f = { .flags = F_HELLO, .payload = hello, .size = HELLO_LEN + 16 + n };

	memcpy(hello + 4, l->in.session, SESSION_LEN);
	put16(hello + 12, FRAME_PAYLOAD);
	hello[14] = LINK_WINDOW;
	memcpy(hello + 15, l->boot, 8);
	memcpy(hello + 23, l->agent, 8);
	memcpy(hello + 31, SAMPAN_VERSION, n);
	l->hello = false;
	l->hello_at = l->now + HELLO_MS;
	return frame_encode(&f, none, false, line);
}

static size_t transmit(struct link_sent *s, uint8_t *line)
{
	struct link *l = &the_link;
	struct frame f = { .flags = F_DATA, .channel = s->channel, .number = s->number,
			   .payload = s->payload, .size = s->size };

	s->transmission = ++l->transmissions;
	s->at = l->moved = l->now;
	s->lost = false;
	if (s->times < 255)
		s->times++;
	l->tried++;
	l->ack_due = false;
	return encode(f, l->binary && s->times <= STUBBORN, line);
}

static size_t send_data(uint8_t *line)
{
	struct link *l = &the_link;
	bool bulk = link_room(true);
	struct link_sent *s;

	for (uint16_t n = l->first; n != l->next; n++)
		if (sent_of(n)->lost)
			return transmit(sent_of(n), line);
	if (!link_room(false))
		return 0;
	s = sent_of(l->next);
	s->size = (uint16_t)link_source(pace_payload(), bulk, &s->channel, s->payload);
	if (s->size == 0)
		return 0;
	s->number = l->next++;
	s->times = 0;
	s->arrived = false;
	return transmit(s, line);
}

static size_t send_probe(uint8_t *line)
{
	struct link *l = &the_link;
	uint8_t all[256];

	for (unsigned i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)(255 - i);    /* XOFF before XON */
	l->doubt = false;
	l->probe_at = l->now + (++l->probes < PROBES ? PROBE_MS : PROBE_AGAIN_MS);
	return encode((struct frame){ .flags = F_PROBE, .payload = all, .size = sizeof(all) }, true, line);
}

static size_t send_ping(uint8_t *line)
{
	struct link *l = &the_link;
	unsigned slot;

	if (++l->ping_number == 0)
		l->ping_number = 1;
	slot = l->ping_number % ARRAY_SIZE(l->ping);
	l->ping[slot].number = l->ping_number;
	l->ping[slot].transmission = ++l->transmissions;
	l->ping[slot].at = l->moved = l->now;
	l->unanswered++;
	return encode((struct frame){ .flags = F_PING, .number = l->ping_number }, l->binary, line);
}

static size_t send_ack(uint8_t *line)
{
	struct link *l = &the_link;
	struct frame f = { .flags = F_ACK, .number = l->ping_heard };

	l->ack_due = false;
	l->ping_heard = 0;
	return encode(f, l->binary, line);
}

static bool in_flight(void)
{
	return the_link.first != the_link.next;
}

size_t link_transmit(uint8_t *line, uint32_t now)
{
	struct link *l = &the_link;
	size_t n;

	l->now = now;
	if (l->hello || (!l->up && !l->left && link_due(l->hello_at, now)))
		return say_hello(line);
	if (!l->up)
		return 0;
	if (l->binary && (l->unanswered >= DOUBT || l->stubborn >= DOUBT)) {
		l->binary = false;
		l->doubt = true;
		l->probes = l->stubborn = 0;
		l->probe_at = now + PROBE_AGAIN_MS;
	}
	if (!l->binary && link_due(l->probe_at, now))
		return send_probe(line);
	if (l->ping_heard)              /* who asks waits for it, and may have a window to send again */
		return send_ack(line);
	n = send_data(line);
	if (n > 0)
		return n;
	if (l->ack_due)
		return send_ack(line);
	return in_flight() && link_due(l->moved + pace_patience(), now) ? send_ping(line) : 0;
}

int link_wait(uint32_t now)
{
	const struct link *l = &the_link;
	int32_t wait = LINK_NEVER, left;

	if (l->hello || l->ack_due)
		return 0;
	if (!l->up)
		return l->left ? LINK_NEVER : link_due(l->hello_at, now) ? 0 : (int)(l->hello_at - now);
	if (!l->binary)
		wait = (int32_t)(l->probe_at - now);
	if (in_flight()) {
		left = (int32_t)(l->moved + pace_patience() - now);
		wait = left < wait ? left : wait;
	}
	return wait < 0 ? 0 : wait;
}

size_t link_goodbye(uint8_t *line)
{
	return the_link.up ? encode((struct frame){ .flags = F_BYE }, false, line) : 0;
}
