/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "control.h"
#include "feat.h"
#include "hooks.h"
#include "opts.h"
#include "state.h"
#include "stop.h"

enum { NOT_RUNNING = 2 };               /* lxc-stop's exit code for it */

static bool wait_task(const struct task *t, int milliseconds)
{
	CLEAN_FD int fd = task_pidfd(t);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (fd >= 0)
		return poll(&p, 1, milliseconds) > 0;
	while (task_alive(t) && milliseconds > 0) {     /* kernels before 5.3 */
		poll(NULL, 0, 10);
		milliseconds -= 10;
	}
	return !task_alive(t);
}

static void run_hooks(const struct ctr *ctr)
{
	CLEAN_FD int dir = state_dir(ctr->name);

	if (dir >= 0 && hooks_restore(dir))
		hooks_end(false);
}

/* A container whose supervisor is gone: do its work from here. */
static int stop_orphan(const struct ctr *ctr, struct state *st, const struct stop_how *how)
{
	int sig = st->sig_halt ? st->sig_halt : st->app ? SIGTERM : SIGPWR;
	CLEAN_FD int dir = -1;
	bool gone = false;

	if (how->reboot) {
		err_plain("its supervisor is gone, so it cannot be restarted in place");
		err_hint("stop and start it");
		return -1;
	}
	if (!how->kill && task_signal(&st->init, sig) == 0) {
		if (st->state == ST_FROZEN)
			cg_freeze(&st->cg, false);
		if (how->nowait)
			return 0;
		gone = wait_task(&st->init, how->timeout);
	}
	if (!gone && how->nokill)
		return err_plain("it did not stop in time");
	if (!gone) {
		cg_kill(&st->cg);
		task_signal(&st->init, SIGKILL);
		wait_task(&st->init, 10000);
	}
	cg_remove(&st->cg);
	dir = state_dir(ctr->name);
	net_end(dir, &st->net);
	run_hooks(ctr);
	state_remove(ctr->name);
	return 0;
}

/* A supervisor that has just claimed the name listens a moment later. */
static int connect_supervisor(const struct ctr *ctr, const struct state *st)
{
	int fd = -1;

	for (int tries = 0; fd < 0 && tries < 250 && task_alive(&st->supervisor); tries++) {
		if (tries > 0)
			poll(NULL, 0, 20);
		fd = control_connect(ctr->name);
	}
	return fd;
}

/*
 * The connection has ended: with the container, or was the supervisor killed meanwhile?
 * Then it is its state that is still there, and not that of a new start.
 */
static int see_end(const struct ctr *ctr, struct state *st, const struct stop_how *how)
{
	const struct task was = st->supervisor;

	if (!wait_task(&was, 1000))
		return err_plain("the supervisor does not answer");
	if (state_of(ctr, st) != 1 || st->supervisor.pid != was.pid || st->supervisor.start != was.start)
		return 0;
	return stop_orphan(ctr, st, how);
}

int stop_container(const struct ctr *ctr, struct state *st, const struct stop_how *how)
{
	CLEAN_FD int fd = connect_supervisor(ctr, st);

	if (fd < 0)
		return stop_orphan(ctr, st, how);
	if (control_ask(fd, how->kill ? "kill\n" : how->reboot ? "reboot\n" : "halt\n") < 0)
		return see_end(ctr, st, how);
	if (how->nowait || how->reboot)
		return 0;
	if (control_wait_end(fd, how->kill ? STOP_SIGNAL_MS : how->timeout))
		return see_end(ctr, st, how);
	if (how->nokill)
		return err_plain("it did not stop in time");
	/* The first kill is lxc.signal.stop, which may not help; the second one does. */
	for (int wait = STOP_SIGNAL_MS; ; wait = -1) {
		if (control_ask(fd, "kill\n") < 0 || control_wait_end(fd, wait))
			return see_end(ctr, st, how);
	}
}

int cmd_stop(int argc, char **argv)
{
	static struct stop_how how;
	static const char *timeout;
	static const struct opt opts[] = {
		{ OPT("-k, --kill", "kill at once instead of asking to halt"), &how.kill },
		{ OPT("-r, --reboot", "let its init restart it"), &how.reboot },
		{ OPT("-W, --nowait", "do not wait for the end"), &how.nowait },
		{ OPT("-t, --timeout=SECONDS", "time to halt before it is killed (60)"), &timeout },
		{ OPT("--nokill", "do not kill it then"), &how.nokill },
		{ OPT("--nolock", ""), NULL },
	};
	static const struct optset set = {
		"stop [-n] NAME [-k | -r | -W] [-t SECONDS]",
		"Asks the container to halt (lxc.signal.halt; SIGPWR to a system's init, SIGTERM to\n"
		"an application) and waits. Exit code 2: it was not running.",
		opts, ARRAY_SIZE(opts), OPTS_NAME,
	};
	struct args a = opts_parse(&set, argc, argv);
	struct state st;
	struct ctr ctr;

	how.timeout = 1000 * (int)opts_number("-t", timeout ? timeout : "60", 1000000);
	if (state_open(&ctr, &st, a.name, a.lxcpath) == 0) {
		state_clean(a.name);
		err_plain("%s is not running", a.name);
		die(NOT_RUNNING);
	}
	if (stop_container(&ctr, &st, &how) < 0)
		fail();
	return 0;
}
