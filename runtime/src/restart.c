/* SPDX-License-Identifier: MIT */
/* sampan.restart and sampan.start.timeout, which LXC has not: nothing here happens unless it is asked for. */
#include <signal.h>
#include <unistd.h>
#include "hooks.h"
#include "log.h"
#include "restart.h"
#include "sys.h"

enum { DELAY_S = 1, RAN_WELL_MS = 60000 };

/* ---- a start that takes too long ------------------------------------------------- */

static const struct start *starting;
static volatile sig_atomic_t late;

/* What the start waits for is its first process or a hook: without them it goes on, to its end. */
static void too_late(int sig)
{
	(void)sig;
	late = 1;
	if (starting->pid > 0)
		kill(starting->pid, SIGKILL);
	hooks_kill();
}

void restart_read(struct start *s)
{
	const struct conf *c = s->conf;
	sigset_t only;

	s->restart = c->restart;
	s->restart_max = c->restart_max;
	s->restart_delay = c->restart_delay < 0 ? DELAY_S : c->restart_delay;
	s->stop_timeout = c->stop_timeout;
	s->start_timeout = c->start_timeout;
	if (s->start_timeout <= 0)
		return;
	starting = s;
	late = 0;
	signal(SIGALRM, too_late);
	sigemptyset(&only);
	sigaddset(&only, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &only, NULL);
	alarm((unsigned)s->start_timeout);
}

bool restart_late(void)
{
	return late;
}

void restart_started(struct start *s, bool good)
{
	if (s->restart != RESTART_NO)
		s->began = now_ms();
	if (s->start_timeout <= 0)
		return;
	alarm(0);
	if (late && !good)
		err_plain("the start took longer than sampan.start.timeout = %d seconds", s->start_timeout);
}

/* ---- what ended by itself ---------------------------------------------------------- */

bool restart_due(struct start *s, int code)
{
	if (s->foreground || s->stop_asked || s->restart == RESTART_NO ||
	    (s->restart == RESTART_ON_FAILURE && code == 0))
		return false;
	if (now_ms() - s->began > RAN_WELL_MS)
		s->restarts = 0;
	if (s->restart_max > 0 && s->restarts == s->restart_max) {
		log_say(LOG_ERROR, "%s: exit code %d, and %d restarts have not helped", s->ctr->name, code,
			s->restarts);
		return false;
	}
	s->restarts++;
	log_say(LOG_WARN, "%s: exit code %d; it is restarted in %d s", s->ctr->name, code, s->restart_delay);
	return true;
}
