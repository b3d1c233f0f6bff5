/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include "cgroup.h"
#include "limits.h"
#include "lines.h"
#include "path.h"
#include "probe.h"
#include "sys.h"
#include "util.h"

enum kstate probe_path(const char *path)
{
	return access(path, F_OK) == 0 ? K_ENABLED : K_MISSING;
}

/* Is `word` a whole word of the file? Words end at blanks, '/' or ".ko". */
static bool file_has(const char *path, const char *word)
{
	struct lines l CLEAN_LINES;
	size_t n = strlen(word);
	bool found = false;

	if (!lines_open(&l, path))
		return false;
	for (char *line; !found && (line = lines_next(&l)) != NULL;) {
		for (char *p = line; !found && (p = strstr(p, word)) != NULL; p += n)
			found = (p == line || strchr(" \t/", p[-1])) && strchr(" \t.", p[n]);
	}
	return found;
}

enum kstate probe_controller(const char *name)
{
	const struct cg_hier *v2;
	char path[CG_PATH_MAX + 24];
	struct cg_host host;

	if (file_has("/proc/cgroups", name))
		return K_ENABLED;
	if (cg_detect(&host) < 0 || !(v2 = cg_find_v2(&host)))
		return K_MISSING;
	snprintf(path, sizeof(path), "%s/cgroup.controllers", v2->mount);
	return file_has(path, name) ? K_ENABLED : K_MISSING;
}

enum kstate probe_module(const char *name)
{
	static const char lists[][18] = { "modules.builtin", "modules.dep" };
	char path[PATH_LEN_MAX], file[64];
	struct utsname u;

	snprintf(path, sizeof(path), "/sys/module/%s", name);
	if (access(path, F_OK) == 0)
		return K_ENABLED;
	snprintf(file, sizeof(file), "%s.ko", name);
	for (size_t i = 0; uname(&u) == 0 && i < ARRAY_SIZE(lists); i++) {
		snprintf(path, sizeof(path), "/lib/modules/%s/%s", u.release, lists[i]);
		if (file_has(path, file) || file_has(path, name))
			return i == 0 ? K_ENABLED : K_MODULE;
	}
	return K_MISSING;
}

enum kstate probe_fs(const char *name)
{
	return file_has("/proc/filesystems", name) ? K_ENABLED : probe_module(name);
}

/* EPERM: not root, or lockdown; the call itself is there. */
enum kstate probe_bpf(const char *unused)
{
	enum { PROG_LOAD = 5, TYPE_CGROUP_DEVICE = 15 };
	static const uint64_t allow[] = { 0x00000001000000b7u, 0x0000000000000095u };
	struct {
		uint32_t type, count;
		uint64_t insns, license;
		uint32_t log_level, log_size;
		uint64_t log;
		uint32_t version, flags;
	} attr = { .type = TYPE_CGROUP_DEVICE, .count = ARRAY_SIZE(allow),
		   .insns = (uintptr_t)allow, .license = (uintptr_t)"GPL" };
	CLEAN_FD int fd = (int)syscall(SYS_bpf, PROG_LOAD, &attr, sizeof(attr));

	(void)unused;
	return fd >= 0 ? K_ENABLED : errno == EPERM ? K_UNKNOWN : K_MISSING;
}

enum kstate probe_seccomp(const char *unused)
{
	(void)unused;
	/* A null filter: EFAULT when filters exist, EINVAL when they do not. */
	return prctl(PR_SET_SECCOMP, 2, 0, 0, 0) < 0 && errno == EFAULT ? K_ENABLED : K_MISSING;
}

/* Arguments no kernel accepts: anything but ENOSYS means that the call is known. */
bool probe_call(int number)
{
	return syscall(number, -1L, 0L, ~0L, ~0L, ~0L, ~0L) >= 0 || errno != ENOSYS;
}
