/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include "child.h"
#include "feat.h"
#include "guard.h"
#include "spaces.h"
#include "spawn.h"
#include "sys.h"
#include "times.h"

int spawn_prepare(struct start *s)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set("socketpair");
	s->sync_child = pair[0];        /* right above the guard's, to be closed with it */
	s->sync = pair[1];
	return 0;
}

/* Straight into the v2 cgroup: joining it later waits 4..12 ms for a grace period. */
static pid_t clone_into(const struct start *s, unsigned long flags)
{
	struct sys_clone_args args = {
		.flags = flags | SYS_CLONE_INTO_CGROUP, .exit_signal = SIGCHLD,
		.cgroup = (uint64_t)s->st.cg.v2fd,
	};
	pid_t pid = sys_clone3(&args);

	if (pid < 0 && (errno == EINVAL || errno == E2BIG))
		errno = ENOSYS;                 /* clone3 of 5.3 to 5.6 has no such field */
	return pid;
}

static pid_t clone_child(struct start *s)
{
	unsigned long flags = s->conf->spaces & ~(unsigned long)(SPACE_CGROUP | SPACE_TIME);
	pid_t pid = -1;

	if (s->st.cg.v2fd >= 0 && feat_on(FEAT_CLONE3)) {
		pid = clone_into(s, flags);
		if (pid >= 0 || !feat_lost(FEAT_CLONE3))
			return pid;
	}
	return sys_clone(flags);
}

int spawn(struct start *s)
{
	int home[NS_KINDS], rc;

	if (userns_prepare(s) < 0)
		return -1;
	rc = spaces_enter(s->conf, home);
	if (!(s->conf->spaces & CLONE_NEWPID))          /* others see the new process at once */
		guard_done();
	s->pid = rc < 0 ? -1 : clone_child(s);
	if (s->pid == 0) {
		close(s->sync);         /* or it would not hear of our end */
		child_main(s, s->sync_child);
	}
	guard_done_with(s->sync_child);
	if (s->pid < 0 && rc == 0) {
		err_set("make the namespaces");
		if (errno == EINVAL)
			err_hint("the kernel lacks one of them: sampan checkconfig tells which");
	}
	if (spaces_leave(home) < 0 || s->pid < 0)
		return -1;
	s->pid1 = s->conf->spaces & CLONE_NEWPID;
	times_mark("clone");
	return userns_map(s);
}
