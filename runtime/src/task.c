/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "feat.h"
#include "sys.h"
#include "task.h"
#include "util.h"

/* False when there is no such process, or only its zombie (ESRCH). */
static bool read_stat(pid_t pid, uint64_t *start)
{
	char path[40], text[1024], state, *p;
	CLEAN_FD int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);     /* one read gives all of it */
	if (n <= 0)
		return false;
	text[n] = '\0';
	p = strrchr(text, ')');         /* the name may hold anything, also ") Z 1" */
	if (!p || strlen(p) < 3)
		return false;
	state = p[2];
	for (int field = 2; field < 22 && p; field++)
		p = strchr(p + 1, ' ');
	if (!p)
		return false;
	*start = strtoull(p + 1, NULL, 10);
	errno = ESRCH;
	return state != 'Z' && state != 'X';
}

struct task task_of(pid_t pid)
{
	struct task t = { .pid = pid };

	if (!read_stat(pid, &t.start))
		t.pid = 0;
	return t;
}

bool task_alive(const struct task *t)
{
	uint64_t start;

	return t->pid > 0 && read_stat(t->pid, &start) && start == t->start;
}

int task_pidfd(const struct task *t)
{
	int fd;

	if (!feat_on(FEAT_PIDFD) || t->pid <= 0)
		return -1;
	fd = sys_pidfd_open(t->pid);
	if (fd < 0) {
		feat_lost(FEAT_PIDFD);
		return -1;
	}
	if (task_alive(t))              /* checked after opening: no successor can slip in */
		return fd;
	close(fd);
	errno = ESRCH;
	return -1;
}

int task_signal(const struct task *t, int sig)
{
	CLEAN_FD int fd = task_pidfd(t);

	if (fd >= 0)
		return sys_pidfd_signal(fd, sig);
	if (feat_on(FEAT_PIDFD) || !task_alive(t)) {
		errno = ESRCH;
		return -1;
	}
	return kill(t->pid, sig);
}
