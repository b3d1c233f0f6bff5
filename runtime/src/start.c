/* SPDX-License-Identifier: MIT */
/*
 * From the claim of a name to RUNNING, on the host's side, and the way back. What has
 * been done is noted in `undo`; a failed start and a container's end walk the same
 * table backwards.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include "control.h"
#include "hooks.h"
#include "knobs.h"
#include "log.h"
#include "monitor.h"
#include "net.h"
#include "notify.h"
#include "restart.h"
#include "root.h"
#include "spawn.h"
#include "stages.h"
#include "start.h"
#include "start_conf.h"
#include "sync.h"
#include "times.h"

/* ---- undo ------------------------------------------------------------------- */

enum { UNDO_STATE = 1, UNDO_HOOKS = 2, UNDO_CGROUP = 4, UNDO_NET = 8, UNDO_CHILD = 16 };

static void undo_state(struct start *s)
{
	state_release(s->statedir, s->ctr->name);
	notify(s->ctr->name, ST_STOPPED, s->status);
}

/* The file goes first: a hook that hangs and is killed must not be run again. */
static void undo_hooks(struct start *s)
{
	if (hooks_last())
		unlinkat(s->statedir, "end", 0);
	hooks_end(s->again);
}

static void undo_cgroup(struct start *s)
{
	cg_end(&s->st.cg);
}

static void undo_net(struct start *s)
{
	hooks_down();
	net_end(s->statedir, &s->st.net);
}

static void undo_child(struct start *s)
{
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
}

static const struct {
	unsigned bit;
	void (*back)(struct start *s);
} undo_table[] = {                              /* in the order of a start */
	{ UNDO_STATE, undo_state }, { UNDO_HOOKS, undo_hooks }, { UNDO_CGROUP, undo_cgroup },
	{ UNDO_NET, undo_net },
	{ UNDO_CHILD, undo_child },
};

static void undo(struct start *s, unsigned which)
{
	int saved = errno;

	for (size_t i = ARRAY_SIZE(undo_table); i-- > 0;)
		if (s->undo & which & undo_table[i].bit)
			undo_table[i].back(s);
	s->undo &= ~which;
	errno = saved;
}

/* ---- a start --------------------------------------------------------------------- */

static int died_silently(void)
{
	err_plain("the container's first process died before it could run the command");
	err_hint("was it killed for lack of memory? see the kernel's log");
	return -1;
}

static void log_state(const struct start *s)
{
	log_say(LOG_INFO, "%s: %s", s->ctr->name, state_word(s->st.state));
}

int set_state(struct start *s, enum run_state state)
{
	s->st.state = state;
	log_state(s);
	notify(s->ctr->name, state, -1);
	return state_set(s->file, state);
}

/* As late as it can be: the new process does something else meanwhile. */
static int find_self(struct start *s)
{
	if (s->st.supervisor.pid == 0)
		s->st.supervisor = task_self(&s->ignored);
	return s->st.supervisor.pid == 0 ? err_set("read /proc/self/stat") : 0;
}

int start_publish(struct start *s, bool slow)
{
	int file;

	if (find_self(s) < 0)
		return -1;
	if (s->socket < 0 && (s->socket = control_listen(s->ctr->name)) < 0)
		return -1;
	s->st.state = ST_STARTING;
	log_state(s);
	if (slow)
		notify(s->ctr->name, ST_STARTING, -1);
	else
		notify_soon(s->ctr->name, ST_STARTING);
	file = state_publish(s->statedir, &s->st);
	if (file < 0)
		return -1;
	close_fd(&s->file);
	s->file = file;
	return 0;
}

/* The policy, once the child has made all that the policy may forbid. */
static int enforce(struct start *s)
{
	if (cg_policy(&s->st.cg, &s->devices->rules, &s->host) < 0)
		return -1;
	cg_close(&s->st.cg);
	times_mark("devices");
	return s->conf->spaces & CLONE_NEWUSER ? knobs_limit(s->conf, s->pid) : 0;
}

/* All that the host's side can do while the child mounts. */
static int prepare(struct start *s)
{
	s->st.init = task_of(s->pid);
	if (s->st.init.pid == 0 && errno != ESRCH)      /* nobody could tell it from a later one */
		return err_set("read /proc/%d/stat", s->pid);
	s->undo |= UNDO_NET;
	if (find_self(s) < 0)           /* a network may write the state down first */
		return -1;
	if (net_make(s->conf, s->pid, s->statedir, &s->st) < 0)
		return -1;
	if (start_publish(s, stages_late()) < 0)        /* whoever finds us dead finds the child */
		return -1;
	times_mark("published");
	if (seccomp_save(s->statedir, s->filter) < 0 || cg_policy_load(&s->st.cg, &s->devices->rules, &s->host) < 0)
		return -1;
	times_mark("loaded");
	return 0;
}

static int hear(struct start *s)
{
	return sync_hear(s->sync, &s->ptys, &s->net, &s->failure);
}

static int hear_late(struct start *s)
{
	int rc = stages_late() ? hear(s) : 1;

	return rc == 1 ? 0 : rc < 0 ? -1 : died_silently();
}

/* The child prepares meanwhile; then the policy, then its exec. */
static int let_go(struct start *s)
{
	int rc;

	if (prepare(s) < 0)
		return -1;
	if (s->pin < 0)
		s->pin = root_pin(s->conf);
	rc = hear(s);
	if (rc != 1)
		return rc < 0 ? -1 : died_silently();
	times_mark("ready");
	if (enforce(s) < 0 || net_lo_up(&s->net) < 0)
		return -1;
	if (hear_late(s) < 0 || stage_host(s) < 0)
		return -1;
	if (sync_go(s->sync, s->ignored) < 0) {
		if (errno != EPIPE && errno != ECONNRESET)      /* it waits, and would for ever */
			return err_set("let the first process go on");
		/* it has failed meanwhile, and said why */
		return hear(s) < 0 ? -1 : died_silently();
	}
	rc = hear(s);                   /* closed by exec */
	times_mark("running");
	return rc < 0 || restart_late() ? -1 : set_state(s, ST_RUNNING);
}

static int plan(struct start *s)
{
	cg_init(&s->st.cg);
	if (cg_place(&s->host, s->conf) < 0)
		return -1;
	return cg_plan(&s->st.cg, &s->host, s->conf, s->ctr->name);
}

/* All hierarchies are looked for where the usual ones do not do. */
static int find_groups(struct start *s)
{
	bool all = s->conf->auto_cgroup != AUTO_OFF;

	if (cg_quick(&s->host, all) && plan(s) == 0)
		return 0;
	return cg_detect(&s->host) < 0 ? -1 : plan(s);
}

static int start_once(struct start *s)
{
	int rc;

	s->ptys = (struct ptys){ .console = -1, .console_peer = -1 };
	/* Again: the first time they are there before the name is claimed. */
	if (!s->conf && (start_conf(s) < 0 || spawn_prepare(s) < 0))
		return -1;
	s->undo |= UNDO_HOOKS;
	if (stage_begin(s) < 0 || start_devices(s) < 0)         /* a hook may load a driver */
		return -1;
	times_mark("begin");
	if (find_groups(s) < 0)
		return -1;
	s->undo |= UNDO_CGROUP;
	if (cg_make(&s->st.cg, &s->host, s->conf) < 0)
		return -1;
	times_mark("cgroup");
	rc = spawn(s);
	if (s->pid > 0)
		s->undo |= UNDO_CHILD;
	if (rc < 0 || let_go(s) < 0)
		return -1;
	start_conf_end(s);
	return 0;
}

static void close_ptys(struct start *s)
{
	close_fd(&s->ptys.console);
	close_fd(&s->ptys.console_peer);
	for (unsigned i = 0; i < s->ptys.nttys; i++)
		close_fd(&s->ptys.tty[i]);
}

/* reboot(2) in a pid namespace kills its init: by SIGHUP to restart, SIGINT to halt. */
static bool wants_reboot(const struct start *s, int status)
{
	if (s->app || !s->pid1 || !WIFSIGNALED(status))
		return false;
	return WTERMSIG(status) == SIGHUP || (s->reboot_asked && WTERMSIG(status) == SIGKILL);
}

static int exit_code(const struct start *s, int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return !s->app && WTERMSIG(status) == SIGINT ? 0 : 128 + WTERMSIG(status);
}

static int claim(struct start *s)
{
	s->socket = s->status = s->uevents = -1;
	memset(s->spaces, -1, sizeof(s->spaces));
	s->st.app = s->app;
	s->st.state = ST_STARTING;
	s->file = s->pin = -1;
	path_fmt(s->st.lxcpath, sizeof(s->st.lxcpath), "%s", s->ctr->lxcpath);
	path_fmt(s->st.config, sizeof(s->st.config), "%s", s->ctr->config);
	cg_init(&s->st.cg);
	if (spawn_prepare(s) < 0)
		return -1;
	s->signalfd = signalfd(-1, &s->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signalfd < 0)
		return err_set("signalfd");
	s->statedir = state_claim(s->ctr);
	if (s->statedir < 0)
		return -1;
	s->undo = UNDO_STATE;
	times_mark("claim");
	return 0;
}

int supervise(struct start *s, void (*running)(struct start *s))
{
	int status;

	sigfillset(&s->signals);
	sigprocmask(SIG_SETMASK, &s->signals, NULL);
	/* Before the name is claimed: who has no configuration was never started. */
	if (start_conf(s) < 0)
		return -1;
	times_mark("conf");
	if (claim(s) < 0) {
		undo(s, ~0u);
		return -1;
	}
	for (;;) {
		bool good = start_once(s) == 0;

		restart_started(s, good);
		if (!good) {
			notify(s->ctr->name, ST_ABORTING, -1);
			undo(s, ~0u);
			return -1;
		}
		times_write();
		if (running)
			running(s);
		running = NULL;
		status = monitor_run(s);
		s->undo &= ~(unsigned)UNDO_CHILD;       /* reaped */
		s->again = wants_reboot(s, status) || (restart_due(s, exit_code(s, status)) && monitor_pause(s));
		stage_stop(s);
		if (!s->again)
			break;
		close_ptys(s);
		s->reboot_asked = false;
		close(s->sync);
		undo(s, UNDO_NET | UNDO_CGROUP | UNDO_HOOKS);
		unlinkat(s->statedir, "devices", 0);    /* what it got while it ran */
		s->again = false;
		s->pid = 0;
		s->quiet_conf = true;
	}
	s->status = exit_code(s, status);
	undo(s, ~0u);
	return s->status;
}
