/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "attach_env.h"
#include "ids.h"
#include "lines.h"

void attach_env(bool clear, const struct list *keep, const struct list *set)
{
	const char *kept[LIST_MAX + 1];
	unsigned n = 0;

	if (clear) {
		kept[n++] = getenv("TERM");
		for (unsigned i = 0; i < keep->n; i++)
			kept[n++] = getenv(keep->item[i]);
		clearenv();
		if (kept[0])
			setenv("TERM", kept[0], 1);
		for (unsigned i = 0; i < keep->n; i++)
			if (kept[i + 1])
				setenv(keep->item[i], kept[i + 1], 1);
		setenv("PATH", ENV_PATH, 1);
		setenv("HOME", "/", 1);
	}
	unsetenv("SAMPAN_RUN");
	unsetenv("SAMPAN_CGROUP_ROOT");
	unsetenv("SAMPAN_DISABLE");
	if (!getenv("PATH"))
		setenv("PATH", ENV_PATH, 1);
	setenv("container", "lxc", 1);
	for (unsigned i = 0; i < set->n; i++)
		if (strchr(set->item[i], '='))
			putenv((char *)(uintptr_t)set->item[i]);
}

/* Of the container's own passwd, which may be anything: a plain file, and looked at line by line. */
char *attach_shell(uid_t uid)
{
	static struct lines l;
	struct stat st;

	l.fd = openat(AT_FDCWD, "/etc/passwd", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (l.fd < 0 || fstat(l.fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > 1 << 20)
		return "/bin/sh";
	for (char *line; (line = lines_next(&l)) != NULL;) {
		char *field[7] = { line };
		uint64_t number;
		int n = 1;

		for (char *p = line; n < 7 && (p = strchr(p, ':')) != NULL; field[n++] = p)
			*p++ = '\0';
		if (n == 7 && parse_uint(field[2], 0, UINT32_MAX, &number) && number == uid &&
		    field[6][0] == '/')
			return field[6];
	}
	return "/bin/sh";
}
