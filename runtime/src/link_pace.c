/* SPDX-License-Identifier: MIT */
/* What a line lets through: how long an answer takes, what is lost, how much may be under way. */
#include "link.h"
#include "util.h"

enum {
	WINDOW = 8, WINDOW_TYPING = 4,
	LEVEL_FIRST = 1, LEVEL_TYPING = 3, LEVEL_USUAL = 4,
	SHORT_MS = 50, LONG_MS = 100, WAIT_MS = 250, WAIT_LEAST_MS = 30, SAMPLE = 16,
};

static const uint16_t payloads[] = { 32, 64, 120, 244, 490, FRAME_PAYLOAD };
static const uint8_t under_way[] = { LINK_WINDOW, LINK_WINDOW, 16, 8, 6 };      /* frames of each: 3 kB at most */

void pace_reset(void)
{
	struct link *l = &the_link;

	l->tried = l->failed = l->trip = l->deviation = 0;
	l->fast = false;
	l->level = LEVEL_FIRST;
	l->window = WINDOW;
}

void pace_measure(unsigned ms, bool full)
{
	struct link *l = &the_link;

	if (l->trip == 0) {
		l->trip = ms * 8;
		l->deviation = ms * 2;
	} else {
		unsigned off = ms > l->trip / 8 ? ms - l->trip / 8 : l->trip / 8 - ms;

		l->deviation = l->deviation - l->deviation / 4 + off;
		l->trip = l->trip - l->trip / 8 + ms;
	}
	if (ms < SHORT_MS && full && l->window < LINK_WINDOW)
		l->window++;
	else if (ms > LONG_MS && l->window > WINDOW)
		l->window--;
}

/* Smaller frames on a lossy line, larger ones on a clean one. */
void pace_judge(void)
{
	struct link *l = &the_link;

	if (l->tried < SAMPLE)
		return;
	if (l->failed * 100 > l->tried * 15 && l->level > 0)
		l->level--;
	else if (l->failed * 100 < l->tried * 4 && l->level < LEVEL_USUAL)
		l->level++;
	l->tried = l->failed = 0;
}

/* Bulk data waits a moment for the answer to the first PROBE: in binary it is shorter. */
static bool settling(void)
{
	const struct link *l = &the_link;

	return l->probes <= 1 && !l->binary && !link_due(l->probe_at, l->now);
}

/* Which size of frames: while somebody types, whose keys wait behind them, no large ones. */
static unsigned size_level(void)
{
	const struct link *l = &the_link;

	return l->interactive && l->level > LEVEL_TYPING ? LEVEL_TYPING : l->level;
}

bool link_room(bool bulk)
{
	const struct link *l = &the_link;
	unsigned level = size_level();
	unsigned typing = (unsigned)WINDOW_TYPING << (LEVEL_TYPING - (level < LEVEL_TYPING ? level : LEVEL_TYPING));
	unsigned frames = l->window > WINDOW ? l->window : under_way[level];

	if (bulk && settling())
		return false;
	if (!bulk)
		frames += WINDOW_TYPING;
	else if (l->interactive && frames > typing)
		frames = typing;
	if (frames > l->most_frames)
		frames = l->most_frames;
	return l->up && (uint16_t)(l->next - l->first) < frames;
}

size_t pace_payload(void)
{
	const struct link *l = &the_link;
	unsigned level = l->level == LEVEL_USUAL && l->fast ? LEVEL_USUAL + 1 : size_level();

	return payloads[level] < l->most_payload ? payloads[level] : l->most_payload;
}

/* How long an answer may take before we ask for it. */
unsigned pace_patience(void)
{
	const struct link *l = &the_link;
	unsigned most = l->trip / 8 > WAIT_MS && l->unanswered < 2 ? l->trip / 8 : WAIT_MS;
	unsigned usual = l->trip / 8 + l->deviation + 10;
	unsigned frames = (uint16_t)(l->next - l->first);
	unsigned missed = frames > 1 ? l->trip / 4 / frames + WAIT_LEAST_MS : usual;    /* two answers in a row */

	if (l->trip == 0)
		return WAIT_MS;
	usual = missed < usual ? missed : usual;
	usual = (usual > WAIT_LEAST_MS ? usual : WAIT_LEAST_MS) << (l->unanswered < 4 ? l->unanswered : 4);
	return usual < most ? usual : most;
}
