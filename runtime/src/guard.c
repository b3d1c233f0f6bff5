/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "feat.h"
#include "guard.h"
#include "sampan.h"
#include "sys.h"

#define SELF "/proc/self/exe"
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static bool on_readonly_mount(void)
{
	struct statvfs fs;

	/* access(2) asks the mount as well, and adds up no free blocks. */
	if (access(SELF, W_OK) == 0)
		return false;
	return errno == EROFS || (statvfs(SELF, &fs) == 0 && (fs.f_flag & ST_RDONLY));
}

static bool is_sealed(int self)
{
	int seals = sys_fcntl(self, F_GET_SEALS, 0);

	return seals >= 0 && (seals & F_SEAL_WRITE);
}

static int readonly_clone(void)
{
	struct sys_mount_attr ro = { .attr_set = SYS_ATTR_RDONLY };
	CLEAN_FD int tree = -1;

	if (!feat_on(FEAT_OPEN_TREE) || !feat_on(FEAT_MOUNT_SETATTR))
		return -1;
	tree = sys_open_tree(AT_FDCWD, SELF, SYS_OPEN_TREE_CLONE | O_CLOEXEC);
	if (tree < 0 || sys_mount_setattr(tree, AT_EMPTY_PATH, &ro) < 0)
		return -1;
	return take_fd(&tree);
}

static int sealed_copy(int self)
{
	CLEAN_FD int copy = memfd_create("sampan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct stat st;
	off_t at = 0;

	if (copy < 0 || fstat(self, &st) < 0)
		return -1;
	while (at < st.st_size)
		if (sendfile(copy, self, &at, (size_t)(st.st_size - at)) <= 0)
			return -1;
	return sys_fcntl(copy, F_ADD_SEALS, SEALS) < 0 ? -1 : take_fd(&copy);
}

/* True: this already is a copy that cannot be written. Otherwise returns on failure only. */
static bool run_copy(char **argv)
{
	CLEAN_FD int self = openat(AT_FDCWD, SELF, O_RDONLY | O_CLOEXEC), copy = -1;

	if (self >= 0 && is_sealed(self))
		return true;
	copy = self < 0 ? -1 : sealed_copy(self);
	if (copy >= 0)
		sys_execveat(copy, argv, environ);
	return false;
}

void guard_self(char **argv)
{
	bool safe = on_readonly_mount();

	if (!safe) {
		CLEAN_FD int clone = readonly_clone();

		if (clone >= 0)
			sys_execveat(clone, argv, environ);
		safe = run_copy(argv);
	}
	if (safe) {
		prctl(PR_SET_NAME, "sampan", 0, 0, 0);  /* an exec by descriptor left a number */
		return;
	}
	err_set("protect the runtime's own binary from the container");
	err_hint("put it on a read-only mount; a kernel since 3.17 needs no such help");
	fail();
}
