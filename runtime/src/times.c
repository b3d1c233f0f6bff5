/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include "sys.h"
#include "times.h"
#include "util.h"

enum { HALF = 40 };                     /* marks of the parent, then as many of the child */

static struct mark {
	const char *label;
	int64_t ns;
} *marks;                               /* shared with the child; NULL: not asked for */
static int base, used;

void times_init(void)
{
	void *p;

	if (!getenv("SAMPAN_TIMES"))
		return;
	p = mmap(NULL, 2 * HALF * sizeof(*marks), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	marks = p == MAP_FAILED ? NULL : p;
	times_mark("start");
}

void times_mark(const char *label)
{
	if (!marks || used == HALF)
		return;
	marks[base + used].label = label;
	marks[base + used++].ns = sys_clock_ns(CLOCK_MONOTONIC);
}

void times_child(void)
{
	base = HALF;
	used = 0;
	times_mark("cloned");
}

void times_write(void)
{
	CLEAN_FD int fd = -1;
	char line[2 * HALF * 32];
	int n = 0;

	if (!marks)
		return;
	fd = openat(AT_FDCWD, getenv("SAMPAN_TIMES"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	for (int i = 1; i < 2 * HALF; i++) {
		const struct mark *before = i == HALF ? &marks[0] : &marks[i - 1];

		if (marks[i].label)
			n += snprintf(line + n, sizeof(line) - (size_t)n, "%s=%" PRId64 " ",
				      marks[i].label, (marks[i].ns - before->ns) / 1000);
	}
	if (n > 0 && fd >= 0) {
		line[n - 1] = '\n';
		write_all(fd, line, (size_t)n);
	}
}
