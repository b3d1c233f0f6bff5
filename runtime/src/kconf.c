/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ids.h"
#include "kconf.h"
#include "limits.h"
#include "sys.h"
#include "util.h"

enum { KCONF_BYTES_MAX = 1 << 20 };

static char *text;                      /* the whole file, NUL-terminated */

static bool slurp(int fd)
{
	char *buf = malloc(KCONF_BYTES_MAX);
	size_t used = 0;
	ssize_t n;

	while (buf && used < KCONF_BYTES_MAX - 1 &&
	       (n = read(fd, buf + used, KCONF_BYTES_MAX - 1 - used)) > 0)
		used += (size_t)n;
	if (!buf || used == 0) {
		free(buf);
		return false;
	}
	buf[used] = '\0';
	text = buf;
	return true;
}

static bool slurp_gz(const char *path)
{
	char file[PATH_LEN_MAX];
	int pipefd[2], status;
	bool ok;
	pid_t pid;

	snprintf(file, sizeof(file), "%s", path);
	if (access(path, R_OK) < 0 || pipe2(pipefd, O_CLOEXEC) < 0)
		return false;
	pid = sys_fork();
	if (pid == 0) {
		int null = openat(AT_FDCWD, "/dev/null", O_WRONLY | O_CLOEXEC);

		dup2(pipefd[1], STDOUT_FILENO);
		if (null >= 0)
			dup2(null, STDERR_FILENO);
		exec_program((char *[]){ "zcat", file, NULL });
		exec_program((char *[]){ "busybox", "zcat", file, NULL });
		_exit(EXIT_NOT_FOUND);
	}
	close(pipefd[1]);
	ok = pid > 0 && slurp(pipefd[0]);
	close(pipefd[0]);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 && ok;
}

static bool slurp_file(const char *path)
{
	CLEAN_FD int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && slurp(fd);
}

const char *kconf_open(void)
{
	static char boot[PATH_LEN_MAX];
	const char *named = getenv("CONFIG");
	struct utsname u;

	if (named && *named)
		return slurp_file(named) || slurp_gz(named) ? named : NULL;
	if (slurp_gz("/proc/config.gz"))
		return "/proc/config.gz";
	if (uname(&u) < 0)
		return NULL;
	snprintf(boot, sizeof(boot), "/boot/config-%s", u.release);
	return slurp_file(boot) ? boot : NULL;
}

enum kstate kconf_get(const char *option)
{
	size_t n = strlen(option);

	for (const char *p = text; p && (p = strstr(p, "CONFIG_")) != NULL;) {
		bool begins = p == text || p[-1] == '\n';

		p += strlen("CONFIG_");
		if (begins && strncmp(p, option, n) == 0 && p[n] == '=')
			return p[n + 1] == 'm' ? K_MODULE : p[n + 1] == 'n' ? K_MISSING : K_ENABLED;
	}
	return text ? K_MISSING : K_UNKNOWN;
}
