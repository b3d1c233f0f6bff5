/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "path.h"
#include "spaces.h"
#include "sys.h"

enum { NS = 1000000000 };

static int open_space(const char *file, const char *from)
{
	struct state st;
	uint64_t pid;
	int rc = 1;

	if (from[0] == '/')
		return openat(AT_FDCWD, from, O_RDONLY | O_CLOEXEC);
	if (!parse_uint(from, 1, INT32_MAX, &pid)) {
		rc = state_load(from, &st);
		pid = (uint64_t)st.init.pid;
	}
	if (rc <= 0 || pid == 0 || (from[0] > '9' && !task_alive(&st.init))) {
		errno = ESRCH;
		return -1;
	}
	return open_path(O_RDONLY, "/proc/%d/ns/%s", (int)pid, file);
}

static int share(const struct space *space, const char *from)
{
	CLEAN_FD int fd = open_space(space->file, from);

	if (fd >= 0 && setns(fd, (int)space->flag) == 0)
		return 0;
	err_set("lxc.namespace.share.%s = %s", space->file, from);
	if (errno == ESRCH)
		err_hint("it must be running");
	return -1;
}

/* The clocks can be set while nobody is in it: the one who makes it is not, its children are. */
static int new_time(const struct conf *c)
{
	const int64_t m = c->offset_monotonic, b = c->offset_boot;
	CLEAN_FD int fd = -1;
	char text[96];
	int n = snprintf(text, sizeof(text), "monotonic %lld %lld\nboottime %lld %lld\n",
			 (long long)(m / NS - (m % NS < 0)), (long long)((m % NS + NS) % NS),
			 (long long)(b / NS - (b % NS < 0)), (long long)((b % NS + NS) % NS));

	if (unshare(SPACE_TIME) == 0 &&
	    (fd = openat(AT_FDCWD, "/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC)) >= 0 &&
	    write(fd, text, (size_t)n) == n)
		return 0;
	err_set("lxc.time.offset");
	if (errno == EINVAL)
		err_hint("time namespaces take Linux 5.6 with CONFIG_TIME_NS");
	return -1;
}

int spaces_enter(const struct conf *c, int home[NS_KINDS])
{
	memset(home, -1, NS_KINDS * sizeof(*home));
	for (int i = 0; i < NS_KINDS; i++) {
		bool makes = space_table[i].flag & c->spaces & SPACE_TIME;

		if (!c->share[i] && !makes)
			continue;
		home[i] = open_path(O_RDONLY, "/proc/self/ns/%s", space_table[i].file);
		if ((makes ? new_time(c) : share(&space_table[i], c->share[i])) < 0)
			return -1;
	}
	return 0;
}

int spaces_leave(const int home[NS_KINDS])
{
	for (int i = 0; i < NS_KINDS; i++) {
		if (home[i] < 0)
			continue;
		if (setns(home[i], (int)space_table[i].flag) < 0)
			return err_set("come back to the host's %s namespace", space_table[i].file);
		close(home[i]);
	}
	return 0;
}
