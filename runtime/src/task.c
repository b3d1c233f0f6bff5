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

enum { STATE = 3, START = 22, IGNORED = 33 };     /* fields of /proc/PID/stat, proc(5) */

/* False when there is no such process, or only its zombie (ESRCH). */
static bool read_stat(const char *file, struct task *t, uint32_t *ignored)
{
	char text[1024], *p;
	CLEAN_FD int fd = openat(AT_FDCWD, file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);     /* one read gives all of it */
	char state = 'X';

	if (n <= 0)
		return false;
	text[n] = '\0';
	p = strrchr(text, ')');         /* the name may hold anything, also ") Z 1" */
	for (int field = STATE; field <= IGNORED && p && (p = strchr(p, ' ')) != NULL; field++) {
		uint64_t value = strtoull(++p, NULL, 10);

		if (field == STATE)
			state = *p;
		if (field == START)
			t->start = value;
		if (field == IGNORED)
			*ignored = (uint32_t)value;
	}
	if (!p)
		return false;
	t->pid = (pid_t)strtol(text, NULL, 10);
	errno = ESRCH;
	return state != 'Z' && state != 'X';
}

struct task task_self(uint32_t *ignored)
{
	struct task t;

	return read_stat("/proc/self/stat", &t, ignored) ? t : (struct task){ .pid = 0 };
}

struct task task_of(pid_t pid)
{
	char file[40];
	uint32_t ignored;
	struct task t;

	snprintf(file, sizeof(file), "/proc/%d/stat", pid);
	return read_stat(file, &t, &ignored) ? t : (struct task){ .pid = 0 };
}

bool task_alive(const struct task *t)
{
	struct task now;

	if (t->pid <= 0)
		return false;
	now = task_of(t->pid);
	return now.pid == t->pid && now.start == t->start;
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
