/* SPDX-License-Identifier: MIT */
/* Planning and making a container's directories, joining them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cgroup.h"
#include "devpolicy.h"
#include "path.h"
#include "util.h"

void cg_init(struct cg *cg)
{
	memset(cg, 0, sizeof(*cg));
	cg->v2fd = cg->program = -1;
}

/* ---- planning ---------------------------------------------------------- */

static struct cg_dir *need(struct cg *cg, const struct cg_host *host, const struct cg_hier *h,
			   const char *name)
{
	unsigned index = (unsigned)(h - host->hier);
	struct cg_dir *d;

	for (unsigned i = 0; i < cg->n; i++)
		if (cg->dir[i].hier == index)
			return &cg->dir[i];
	d = &cg->dir[cg->n++];
	*d = (struct cg_dir){ .v2 = h->v2, .hier = index };
	snprintf(d->path, sizeof(d->path), "%s%s/sampan/%s", h->mount, h->below, name);
	return d;
}

/* "memory.max" -> "memory" */
static void controller_of(const char *file, char *ctrl, size_t size)
{
	snprintf(ctrl, size, "%.*s", (int)strcspn(file, "."), file);
}

static int plan_value(struct cg *cg, const struct cg_host *host, const struct conf_cgvalue *v,
		      const char *name)
{
	const struct cg_hier *h;
	char ctrl[32];

	controller_of(v->file, ctrl, sizeof(ctrl));
	h = v->v2 ? cg_find_v2(host) : cg_find(host, ctrl);
	if (h) {
		need(cg, host, h, name);
		return 0;
	}
	err_plain("%s:%u: lxc.cgroup%s.%s: no %s%s hierarchy is mounted", v->at.file, v->at.line,
		  v->v2 ? "2" : "", v->file, v->v2 ? "cgroup v2" : "v1 ", v->v2 ? "" : ctrl);
	err_hint("this system has cgroups %s; write the value as lxc.cgroup%s.%s",
		 cg_layout(host), v->v2 ? "" : "2", v->file);
	return -1;
}

int cg_plan(struct cg *cg, const struct cg_host *host, const struct conf *conf, const char *name)
{
	const struct cg_hier *v2 = cg_find_v2(host), *freezer = cg_find(host, "freezer");
	const struct cg_hier *devices = cg_find(host, "devices");

	if (v2)
		need(cg, host, v2, name)->track = true;
	else if (freezer)
		need(cg, host, freezer, name)->track = true;
	if (conf->devices.set && devices)
		need(cg, host, devices, name);
	if (conf->devices.set && !devices && !v2) {
		err_plain("device rules are set, but this system has neither the v1 devices "
			  "controller nor cgroup v2 mounted");
		err_hint("mount -t cgroup2 none /sys/fs/cgroup, or -t cgroup -o devices");
		return -1;
	}
	for (unsigned i = 0; i < conf->ncgvalues; i++)
		if (plan_value(cg, host, &conf->cgvalue[i], name) < 0)
			return -1;
	if (cg->n > 0 && !v2 && !freezer)
		cg->dir[0].track = true;
	return 0;
}

void cg_sweep(const char *name)
{
	static struct cg_host host;
	struct cg cg;

	cg_init(&cg);
	if (cg_detect(&host) < 0)
		return;
	for (unsigned i = 0; i < host.n; i++)
		need(&cg, &host, &host.hier[i], name);
	cg_remove(&cg);         /* its first process may just be ending, too */
}

/* ---- making ------------------------------------------------------------- */

static int write_at(int dir, const char *file, const char *text)
{
	CLEAN_FD int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	return write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

/*
 * A new v1 cpuset is empty, and nothing can join an empty one: take the parent's. An
 * empty cpuset of v2 means the parent's, and its root has no such file.
 */
static int fill_cpuset(int dir)
{
	static const char files[][13] = { "cpuset.cpus", "cpuset.mems" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char up[32], text[512];

		if (read_small(dir, files[i], text, sizeof(text)) < 0 || text[0] > '\n')
			continue;
		snprintf(up, sizeof(up), "../%s", files[i]);
		if (read_small(dir, up, text, sizeof(text)) < 0 || write_at(dir, files[i], text) < 0)
			return err_set("copy %s of the parent cgroup", files[i]);
	}
	return 0;
}

static int fill_dir(const char *path)
{
	CLEAN_FD int fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_set("open %s", path) : fill_cpuset(fd);
}

static int make_parent(const char *path, bool cpuset)
{
	char parent[CG_PATH_MAX];
	int rc;

	snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(path, '/') - path), path);
	rc = mkdir(parent, 0755);
	if (rc < 0 && errno == ENOENT)
		rc = make_parent(parent, cpuset) < 0 ? -1 : mkdir(parent, 0755);
	if (rc < 0 && errno != EEXIST)          /* another start's is as good */
		return err_set("mkdir %s", parent);
	return cpuset ? fill_dir(parent) : 0;
}

static int make_dir(const char *path, bool cpuset)
{
	if (cpuset && make_parent(path, true) < 0)      /* another start may not have filled it yet */
		return -1;
	for (int tries = 0; tries < 3; tries++) {
		if (mkdir(path, 0755) == 0)
			return cpuset ? fill_dir(path) : 0;
		if (errno == ENOENT) {
			if (make_parent(path, cpuset) < 0)
				return -1;
		} else if (errno == EEXIST && rmdir(path) < 0) {        /* left over, but not empty */
			break;
		}
	}
	return err_set("mkdir %s", path);
}

/* In each group above, from the hierarchy's root down; what lies above that has no such file. */
static int enable_v2(const char *path, const char *ctrl)
{
	char file[CG_PATH_MAX + 32], text[40];

	snprintf(text, sizeof(text), "+%s", ctrl);
	for (const char *p = path + 1; (p = strchr(p, '/')) != NULL; p++) {
		snprintf(file, sizeof(file), "%.*s/cgroup.subtree_control", (int)(p - path), path);
		if (write_at(AT_FDCWD, file, text) < 0 && errno != ENOENT)
			return err_set("enable the %s controller in %s", ctrl, file);
	}
	return 0;
}

static int set_value(const struct cg_dir *d, const struct conf_cgvalue *v)
{
	char file[CG_PATH_MAX + 64], ctrl[32];

	controller_of(v->file, ctrl, sizeof(ctrl));
	if (strchr(v->file, '/') || (size_t)snprintf(file, sizeof(file), "%s/%s", d->path,
						     v->file) >= sizeof(file)) {
		errno = EINVAL;
		return err_set("%s:%u: cgroup file %s", v->at.file, v->at.line, v->file);
	}
	if (d->v2 && strcmp(ctrl, "cgroup") != 0 && enable_v2(d->path, ctrl) < 0)
		return -1;
	if (write_at(AT_FDCWD, file, v->value) < 0)
		return err_set("%s:%u: write '%s' to %s", v->at.file, v->at.line, v->value, file);
	return 0;
}

int cg_set(const struct cg *cg, const char *file, const char *value)
{
	const struct cg_dir *d = NULL;

	for (unsigned i = 0; i < cg->n; i++) {
		char path[CG_PATH_MAX + 80];

		snprintf(path, sizeof(path), "%s/%s", cg->dir[i].path, file);
		if (access(path, F_OK) == 0) {
			if (write_at(AT_FDCWD, path, value) < 0)
				return err_set("write '%s' to %s", value, path);
			return 0;
		}
		if (cg->dir[i].v2)
			d = &cg->dir[i];
	}
	if (d) {
		struct conf_cgvalue v = { .at.file = "cgroup", .file = file, .value = value };

		return set_value(d, &v);
	}
	return err_plain("none of its cgroups has a file %s", file);
}

static bool value_belongs(const struct cg_host *host, const struct cg_dir *d,
			  const struct conf_cgvalue *v)
{
	char ctrl[32], word[40];

	if (v->v2 || d->v2)
		return v->v2 && d->v2;
	controller_of(v->file, ctrl, sizeof(ctrl));
	snprintf(word, sizeof(word), ",%s,", ctrl);
	return strstr(host->hier[d->hier].ctrl, word) != NULL;
}

int cg_make(struct cg *cg, const struct cg_host *host, const struct conf *conf)
{
	unsigned all = cg->n;

	for (cg->n = 0; cg->n < all;) {         /* so that undo removes what was made */
		const struct cg_dir *d = &cg->dir[cg->n++];
		const struct cg_hier *h = &host->hier[d->hier];

		if (make_dir(d->path, strstr(h->ctrl, ",cpuset,") != NULL) < 0)
			return -1;
	}
	for (unsigned i = 0; i < cg->n; i++)
		for (unsigned k = 0; k < conf->ncgvalues; k++)
			if (value_belongs(host, &cg->dir[i], &conf->cgvalue[k]) &&
			    set_value(&cg->dir[i], &conf->cgvalue[k]) < 0)
				return -1;
	return cg_open_v2(cg);
}

int cg_give(const struct cg *cg, uid_t uid, gid_t gid)
{
	static const char files[][23] = { "", "cgroup.procs", "tasks", "cgroup.threads", "cgroup.subtree_control" };

	for (unsigned i = 0; i < cg->n; i++)
		for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
			char path[CG_PATH_MAX + 32];

			snprintf(path, sizeof(path), "%s/%s", cg->dir[i].path, files[f]);
			if (chown(path, uid, gid) < 0 && errno != ENOENT)
				return err_set("chown %s", path);
		}
	return 0;
}

/* ---- joining ------------------------------------------------------------ */

int cg_open_v2(struct cg *cg)
{
	for (unsigned i = 0; i < cg->n && cg->v2fd < 0; i++) {
		if (!cg->dir[i].v2)
			continue;
		/* Not O_PATH: bpf(2) takes it, too. */
		cg->v2fd = openat(AT_FDCWD, cg->dir[i].path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (cg->v2fd < 0)
			return err_set("open %s", cg->dir[i].path);
	}
	return 0;
}

void cg_close(struct cg *cg)
{
	close_fd(&cg->v2fd);
	close_fd(&cg->program);
	cg->v2fd = cg->program = -1;
}

/*
 * v1: "0" to `tasks`, not `cgroup.procs`: moving the calling thread alone takes no
 * lock against all thread groups, so it waits for no RCU grace period (4..12 ms).
 */
static int join(const struct cg_dir *d)
{
	char file[CG_PATH_MAX + 16];
	CLEAN_FD int fd = -1;

	snprintf(file, sizeof(file), "%s/%s", d->path, d->v2 ? "cgroup.procs" : "tasks");
	fd = openat(AT_FDCWD, file, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		return err_set("join %s", d->path);
	return 0;
}

int cg_join(const struct cg *cg, bool all)
{
	for (unsigned i = 0; i < cg->n; i++)
		if ((all || !cg->dir[i].v2) && join(&cg->dir[i]) < 0)
			return -1;
	return 0;
}

int cg_policy_load(struct cg *cg, const struct dev_rules *rules, const struct cg_host *host)
{
	if (!rules->set || cg->v2fd < 0 || cg_find(host, "devices"))
		return 0;
	cg->program = devpolicy_bpf_load(rules);
	return cg->program < 0 ? -1 : 0;
}

int cg_policy(const struct cg *cg, const struct dev_rules *rules, const struct cg_host *host)
{
	const struct cg_hier *devices = cg_find(host, "devices");

	if (!rules->set)
		return 0;
	if (cg->program >= 0)
		return devpolicy_bpf(cg->v2fd, cg->program);
	for (unsigned i = 0; i < cg->n; i++) {
		const struct cg_dir *d = &cg->dir[i];
		CLEAN_FD int fd = -1;

		if (!devices || &host->hier[d->hier] != devices)
			continue;
		fd = openat(AT_FDCWD, d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return err_set("open %s", d->path);
		return devpolicy_v1(fd, rules);
	}
	return err_plain("device rules are set, but the container has no cgroup to hold them");
}
