/* SPDX-License-Identifier: MIT */
/* lxc.mount.auto = cgroup: with a cgroup namespace its root, without one bind mounts. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "feat.h"
#include "ids.h"
#include "mount.h"
#include "path.h"

#define PLACE   "sys/fs/cgroup"
#define FLAGS   (MS_NOSUID | MS_NODEV | MS_NOEXEC)

struct automount {
	const struct conf *conf;
	const struct cg_host *host;
	const struct cg *cg;
	enum auto_mode mode;
	bool own_ns;
};

/* The container's own directory in a hierarchy, or NULL. */
static const struct cg_dir *dir_in(const struct automount *a, unsigned hier)
{
	for (unsigned i = 0; i < a->cg->n; i++)
		if (a->cg->dir[i].hier == hier)
			return &a->cg->dir[i];
	return NULL;
}

static int bind_host(const char *path, int dst, unsigned long flags, const char *where)
{
	CLEAN_FD int src = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return src < 0 ? err_set("open %s", path) : mnt_bind(src, dst, flags, where);
}

/* What such a mount shows begins at the container's own group. */
static int mount_own(const struct automount *a, const struct cg_hier *h, int dst)
{
	unsigned long flags = FLAGS | (a->mode == AUTO_RO ? MS_RDONLY : 0);
	char data[CG_CTRL_MAX];

	snprintf(data, sizeof(data), "%.*s", (int)strlen(h->ctrl + 1) - 1, h->ctrl + 1);
	return mnt_fs("cgroup", dst, h->v2 ? "cgroup2" : "cgroup", flags, h->v2 ? NULL : data, PLACE);
}

/* As LXC without namespaces: the own group under its whole path, or the host's tree. */
static int bind_own(const struct automount *a, const struct cg_hier *h, const struct cg_dir *d, int dst)
{
	CLEAN_FD int top = -1, own = -1;
	const char *below = d ? d->path + strlen(h->mount) : NULL;

	if (a->conf->auto_cgroup_full) {
		if (bind_host(h->mount, dst, FLAGS | MS_RDONLY, PLACE) < 0)
			return -1;
		if (!d || a->mode == AUTO_RO)
			return 0;
		top = mnt_top(dst);
	} else {
		top = openat(dst, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	own = top < 0 ? -1 : root_mkdirs(top, below);
	if (own < 0)
		return err_set("make /%s%s", PLACE, below);
	return bind_host(d->path, own, FLAGS | (a->mode == AUTO_RO ? MS_RDONLY : 0), PLACE);
}

static int mount_hier(const struct automount *a, unsigned i, int dst)
{
	const struct cg_hier *h = &a->host->hier[i];
	const struct cg_dir *d = dir_in(a, i);

	if (!a->own_ns)
		return d || a->conf->auto_cgroup_full ? bind_own(a, h, d, dst) : 0;
	/* In another hierarchy the namespace's root would be a group of the host. */
	return d ? mount_own(a, h, dst) : 0;
}

static int mount_each(const struct automount *a, int under)
{
	CLEAN_FD int top = -1;

	if (mnt_fs("cgroup_root", under, "tmpfs", FLAGS, "mode=755,size=10240k", PLACE) < 0 ||
	    (top = mnt_top(under)) < 0)
		return -1;
	for (unsigned i = 0; i < a->host->n; i++) {
		const char *name = strrchr(a->host->hier[i].mount, '/') + 1;
		CLEAN_FD int dst = -1;

		if (!dir_in(a, i) && !a->conf->auto_cgroup_full)
			continue;
		dst = root_mkdirs(top, name);
		if (dst < 0 || mount_hier(a, i, dst) < 0)
			return dst < 0 ? err_set("make /%s/%s", PLACE, name) : -1;
	}
	return a->mode == AUTO_RW || mnt_flags(fd_path(top).s, FLAGS | MS_RDONLY) == 0 ?
	       0 : err_set("make /%s read-only", PLACE);
}

int mnt_auto_cgroup(int root, const struct conf *conf, const struct cg_host *host, const struct cg *cg)
{
	bool admin = caps_left(conf) & CAP_SYS_ADMIN_BIT;
	struct automount a = { .conf = conf, .host = host, .cg = cg, .mode = conf->auto_cgroup };
	CLEAN_FD int fd = -1;

	a.own_ns = conf->spaces & SPACE_CGROUP && feat_on(FEAT_CGROUP_NS) && faccessat(AT_FDCWD, "/proc/self/ns/cgroup", F_OK, 0) == 0;
	if (a.mode == AUTO_DEFAULT)
		a.mode = admin ? AUTO_RW : AUTO_MIXED;
	/* Its init can mount them, and knows how it wants them; but v2 they all expect. */
	if (host->n == 0 || (a.own_ns && admin && !conf->auto_cgroup_force && strcmp(cg_layout(host), "v2") != 0))
		return 0;
	if (!a.own_ns && conf->auto_cgroup_full && a.mode == AUTO_RW) {
		err_plain("lxc.mount.auto = cgroup-full:rw: it would hand the host's groups over");
		err_hint("this kernel has no cgroup namespaces: use cgroup-full:mixed or cgroup:rw");
		return -1;
	}
	fd = root_open(root, PLACE, O_DIRECTORY);
	if (fd < 0)
		return err_set("mount point /" PLACE);
	if (host->n == 1 && a.own_ns)
		return mount_hier(&a, 0, fd);
	return mount_each(&a, fd);
}
