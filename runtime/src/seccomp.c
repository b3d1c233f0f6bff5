/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include "limits.h"
#include "path.h"
#include "seccomp.h"
#include "util.h"

#include "seccomp_default.h"

struct blob {                           /* as sampan/config/seccomp_bpf.py writes it */
	char magic[8];
	uint32_t arch, n;               /* AUDIT_ARCH_*, instructions behind this header */
	uint64_t hash;                  /* FNV-1a of the text */
};

_Static_assert(sizeof(struct blob) == 24, "the header of a compiled policy");

/* Of the text; false when there is none, as in an image that has the compiled one alone. */
static bool hash_text(const char *path, uint64_t *hash)
{
	CLEAN_FD int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	unsigned char text[1024];
	ssize_t n;

	if (fd < 0)
		return false;
	*hash = 0xcbf29ce484222325;
	while ((n = read(fd, text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n; i++)
			*hash = (*hash ^ text[i]) * 0x100000001b3;
	return true;
}

static int stale(const char *profile, const char *why)
{
	err_plain("lxc.seccomp.profile: %s %s", profile, why);
	err_hint("on the host: sampan seccomp compile --arch " SECCOMP_ARCH " %s", profile);
	return -1;
}

static int read_blob(struct seccomp *f, int fd, const char *profile)
{
	struct blob head;
	uint64_t hash;

	if (read(fd, &head, sizeof(head)) != sizeof(head) || memcmp(head.magic, "sampan.1", 8) != 0 ||
	    head.n == 0 || head.n > BPF_MAXINSNS ||
	    read(fd, f->insn, sizeof(f->insn)) != (ssize_t)(head.n * sizeof(f->insn[0])))
		return stale(profile, "." SECCOMP_ARCH ".bpf beside it is no compiled policy");
	/* insn[1] is the first test of the architecture: the file may have been renamed. */
	if (head.arch != builtin[1].k)
		return stale(profile, "was compiled for another architecture");
	if (hash_text(profile, &hash) && hash != head.hash)
		return stale(profile, "was changed after it had been compiled");
	f->n = head.n;
	return 0;
}

int seccomp_read(struct seccomp *f, const char *profile)
{
	char path[PATH_LEN_MAX];
	CLEAN_FD int fd = -1;

	f->n = 0;
	f->none = profile && strcmp(profile, "none") == 0;
	if (!profile || f->none)
		return 0;
	if ((size_t)snprintf(path, sizeof(path), "%s." SECCOMP_ARCH ".bpf", profile) >= sizeof(path))
		return err_plain("lxc.seccomp.profile: the path is too long");
	fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return stale(profile, access(profile, F_OK) == 0 ? "has not been compiled for this machine" :
			     "is not there, and no compiled one either");
	if (fd < 0)
		return err_set("open %s", path);
	return read_blob(f, fd, profile);
}

int seccomp_save(int statedir, const struct seccomp *f)
{
	static bool before;             /* this supervisor has written one: the container restarts */
	CLEAN_FD int fd = -1;

	if (before)
		unlinkat(statedir, "seccomp", 0);
	before = f->n > 0;
	if (f->n == 0)
		return 0;
	fd = openat(statedir, "seccomp", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || !write_all(fd, (const char *)f->insn, f->n * sizeof(f->insn[0])))
		return err_set("write down the filter of system calls");
	return 0;
}

int seccomp_restore(int statedir, struct seccomp *f)
{
	CLEAN_FD int fd = openat(statedir, "seccomp", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = 0;

	if (fd < 0 ? errno != ENOENT : (n = read(fd, f->insn, sizeof(f->insn))) <= 0)
		return err_set("read the container's filter of system calls");
	f->n = (unsigned)((size_t)n / sizeof(f->insn[0]));
	return 0;
}

int seccomp_load(const struct seccomp *f)
{
	struct sock_fprog p = {
		.len = (unsigned short)(f->n ? f->n : ARRAY_SIZE(builtin)),
		.filter = (struct sock_filter *)(uintptr_t)(f->n ? f->insn : builtin),
	};

	if (f->none || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p, 0, 0) == 0)
		return 0;
	/* Nobody asked for the built-in list: where the kernel has no filters there is none. */
	if (errno == EINVAL && !f->n)
		return 0;
	err_set("load the filter of system calls");
	if (errno == EINVAL)
		err_hint("needs CONFIG_SECCOMP_FILTER=y");
	return -1;
}
