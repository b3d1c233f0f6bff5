/* SPDX-License-Identifier: MIT */
/*
 * PID 1 of an app container, from this very binary: nothing is needed in the image.
 * It ends when the last process of the container has ended, with the command's code.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include "fds.h"
#include "ids.h"
#include "init.h"
#include "sync.h"
#include "sys.h"
#include "util.h"

enum { GRACE_SECONDS = 1 };             /* between SIGTERM and SIGKILL for left-overs */

struct app {
	pid_t pid;                      /* the command; 0 once it has ended */
	int code;
	bool terminal;                  /* a person sits at it */
	bool halting;
	bool termed;
};

static const int not_forwarded[] = { SIGCHLD, SIGTTIN, SIGTTOU, SIGTSTP, SIGCONT, SIGSEGV,
				     SIGBUS, SIGFPE, SIGILL, SIGTRAP };

_Noreturn static void run_command(int sync, const struct payload *p)
{
	setsid();
	payload_exec(sync, p);
}

/* The supervisor's request to end, whatever it is called. */
static bool is_halt(int sig)
{
	return sig == SIGTERM || sig == SIGPWR;
}

/*
 * The command gets the signal and may take its time. A shell at a terminal ignores
 * SIGTERM by design; the terminal going away is what it understands.
 */
static void forward(struct app *a, int sig)
{
	for (size_t i = 0; i < ARRAY_SIZE(not_forwarded); i++)
		if (sig == not_forwarded[i])
			return;
	if (is_halt(sig)) {
		a->halting = true;
		sig = SIGTERM;
	}
	if (a->pid <= 0)
		return;
	kill(a->pid, sig);
	if (a->halting && a->terminal)
		kill(a->pid, SIGHUP);
}

static void reap(struct app *a)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != a->pid)
			continue;
		a->pid = 0;
		a->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	if (pid < 0 && errno == ECHILD)
		_exit(a->code);
}

/* What outlives the command after a halt is ended, politely, then for good. */
static void end_rest(struct app *a)
{
	if (!a->halting || a->pid > 0)
		return;
	if (getpid() != 1)              /* in others' pid namespace: the supervisor ends its cgroup */
		_exit(a->code);
	kill(-1, a->termed ? SIGKILL : SIGTERM);
	a->termed = true;
}

void init_main(int sync, const struct payload *p, bool terminal)
{
	struct timespec grace = { .tv_sec = GRACE_SECONDS };
	struct app a = { .terminal = terminal };
	sigset_t all;

	sigfillset(&all);
	prctl(PR_SET_NAME, "sampan-init", 0, 0, 0);
	env_wipe();
	/* Nothing but `sync` stays open: the command, once it runs, may look at us at once. */
	if (sync != 3 && dup3(sync, 3, O_CLOEXEC) < 0) {
		err_set("dup3");
		sync_fail(sync, EXIT_OWN);
	}
	close_from(4, false);
	sync = 3;
	a.pid = vfork();                /* nothing of this process is copied for an exec */
	if (a.pid == 0)
		run_command(sync, p);
	if (a.pid < 0) {
		err_set("fork");
		sync_fail(sync, EXIT_OWN);
	}
	/* The command's exec now closes the last copy of `sync`: that is RUNNING. */
	close(sync);
	for (;;) {
		int sig = a.termed ? sigtimedwait(&all, NULL, &grace) : sigwaitinfo(&all, NULL);

		if (sig > 0 && sig != SIGCHLD)
			forward(&a, sig);
		reap(&a);
		if (!a.termed || sig < 0)       /* at first, and when the grace is over */
			end_rest(&a);
	}
}
