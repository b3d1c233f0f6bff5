/* SPDX-License-Identifier: MIT */
/* The commands wait and monitor: both asleep until a supervisor tells of a change. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "events.h"
#include "match.h"
#include "notify.h"
#include "opts.h"
#include "sys.h"

enum { STATES = ST_THAWED + 1, NO_PIDFD_MS = 100 };

/* "STOPPED|FROZEN" as bits */
static unsigned parse_states(const char *list)
{
	unsigned bits = 0;

	for (;;) {
		size_t n = strcspn(list, "|");
		unsigned i = 0;

		while (i < STATES && (strlen(state_word(i)) != n ||
				      strncmp(state_word(i), list, n) != 0))
			i++;
		if (i == STATES) {
			err_plain("'%.*s' is no state", (int)n, list);
			err_hint("STOPPED STARTING RUNNING STOPPING ABORTING FREEZING FROZEN THAWED, "
				 "several with | between them");
			fail();
		}
		bits |= 1u << i;
		if (list[n] == '\0')
			return bits;
		list += n + 1;
	}
}

/* Until an event comes, `end` is reached, or the supervisor (or what it left) is gone. */
static void sleep_until(int events, const struct state *st, long long end)
{
	bool up = st->state != ST_STOPPED;
	const struct task *t = task_alive(&st->supervisor) ? &st->supervisor : &st->init;
	CLEAN_FD int task = up ? task_pidfd(t) : -1;
	struct pollfd p[] = { { .fd = events, .events = POLLIN }, { .fd = task, .events = POLLIN } };
	long long left = end < 0 ? 3600000 : end - now_ms();

	if (up && task < 0 && left > NO_PIDFD_MS)
		left = NO_PIDFD_MS;
	watch_poll(p, 2, left < 0 ? 0 : (int)left);
}

static bool reached(int events, const struct ctr *ctr, unsigned wanted, long long end)
{
	struct state st;
	struct event e;

	for (;;) {
		if (state_of(ctr, &st) < 0)
			return false;
		if (wanted >> st.state & 1)
			return true;
		if (end >= 0 && now_ms() >= end)
			return !err_plain("not reached in time; its state is %s", state_word(st.state));
		sleep_until(events, &st, end);
		while (watch_next(events, &e))
			if (strcmp(e.name, ctr->name) == 0 && wanted >> e.state & 1)
				return true;
		watch_rest();
	}
}

int cmd_wait(int argc, char **argv)
{
	static const char *states, *timeout;
	static const struct opt opts[] = {
		{ OPT("-s, --state=STATE|STATE", "states to wait for"), &states },
		{ OPT("-t, --timeout=SECONDS", "give up then, with exit code 1"), &timeout },
	};
	static const struct optset set = {
		"wait [-n] NAME -s STATE|STATE [-t SECONDS]",
		"Waits until a container reaches a state; it does not have to exist yet.",
		opts, ARRAY_SIZE(opts), OPTS_NAME,
	};
	struct args a = opts_parse(&set, argc, argv);
	long long end = -1;
	unsigned wanted;
	struct ctr ctr;
	int events;
	bool good;

	if (!states)
		usage_error("-s is missing: the states to wait for");
	wanted = parse_states(states);
	if (timeout && strcmp(timeout, "-1") != 0)
		end = now_ms() + 1000LL * (long long)opts_number("-t", timeout, 1000000);
	need_root();
	ctr_init(&ctr, a.name, a.lxcpath);
	events = watch_open();
	if (events < 0)
		fail();
	good = reached(events, &ctr, wanted, end);
	watch_close();
	if (!good)
		fail();
	return 0;
}

static void print_event(const struct event *e, bool json)
{
	const char *word = state_word(e->state);

	if (json) {
		printf("{\"name\": \"%s\", \"state\": \"%s\"", e->name, word);
		if (e->status >= 0)
			printf(", \"status\": %d", e->status);
		puts("}");
		return;
	}
	if (e->status >= 0)
		printf("'%s' exited with status [%d]\n", e->name, e->status);
	printf("'%s' changed state to [%s]\n", e->name, word);
}

int cmd_monitor(int argc, char **argv)
{
	static bool quit, all;
	static const struct opt opts[] = {
		{ OPT("-a, --all", "devices that come and go and kills for want of memory, too"), &all },
		{ OPT("-Q, --quit", "accepted; there is no daemon to end"), &quit },
	};
	static const struct optset set = {
		"monitor [-n NAME] [-a] [--json]",
		"Prints each change of state. NAME is a regular expression for whole names, '.*'\n"
		"when not given: . [a-z] ( | ) * + ?",
		opts, ARRAY_SIZE(opts), OPTS_JSON,
	};
	struct args a = opts_parse(&set, argc, argv);
	const char *name = a.name ? a.name : a.nrest > 0 ? a.rest[0] : ".*";
	struct pollfd p[1 + EVENT_FDS] = { 0 };
	struct event e;
	int fd;

	if (quit)
		return 0;
	if (!match_ok(name))
		usage_error("'%s' is no regular expression that is understood", name);
	need_root();
	fd = watch_open();
	if (fd < 0)
		fail();
	p[0] = (struct pollfd){ .fd = fd, .events = POLLIN };
	if (all)
		events_open(p + 1);
	for (;;) {
		watch_poll(p, all ? ARRAY_SIZE(p) : 1, -1);
		while (watch_next(fd, &e))
			if (match(name, e.name))
				print_event(&e, a.json);
		events_print(p + 1, name, a.json);
		if (fflush(stdout) != 0 || ferror(stdout))
			break;                  /* nobody reads them any more */
		watch_rest();
	}
	watch_close();
	return 1;
}
