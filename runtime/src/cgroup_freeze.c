/* SPDX-License-Identifier: MIT */
/* Freezing: cgroup.freeze of v2, where the kernel tells when it is done, or v1's freezer. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include "cgroup.h"
#include "util.h"

enum { FREEZE_MS = 10000, STEP_MAX_MS = 5 };

struct freezer {
	bool v2;
	char set[CG_PATH_MAX + 32], get[CG_PATH_MAX + 32];
};

static bool find(const struct cg *cg, struct freezer *f)
{
	for (unsigned i = 0; i < cg->n; i++) {
		const struct cg_dir *d = &cg->dir[i];

		f->v2 = d->v2;
		snprintf(f->set, sizeof(f->set), "%s/%s", d->path,
			 d->v2 ? "cgroup.freeze" : "freezer.state");
		snprintf(f->get, sizeof(f->get), "%s/%s", d->path,
			 d->v2 ? "cgroup.events" : "freezer.state");
		if (access(f->set, W_OK) == 0)
			return true;
	}
	return false;
}

static bool is_frozen(const struct freezer *f, int fd)
{
	char text[256];
	ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return strstr(text, f->v2 ? "frozen 1" : "FROZEN") != NULL;
}

static int open_state(const struct freezer *f)
{
	return openat(AT_FDCWD, f->get, O_RDONLY | O_CLOEXEC);
}

bool cg_frozen(const struct cg *cg)
{
	struct freezer f;
	CLEAN_FD int fd = find(cg, &f) ? open_state(&f) : -1;

	return fd >= 0 && is_frozen(&f, fd);
}

static int set(const struct freezer *f, bool freeze)
{
	const char *text = f->v2 ? freeze ? "1" : "0" : freeze ? "FROZEN" : "THAWED";
	CLEAN_FD int fd = openat(AT_FDCWD, f->set, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? err_set("write %s to %s", text, f->set) : 0;
}

/* v2 wakes who has read the file; v1 has to be asked, and FROZEN again makes it look again. */
static bool wait_for(const struct freezer *f, bool freeze)
{
	CLEAN_FD int fd = open_state(f);
	struct pollfd p = { .fd = f->v2 ? fd : -1, .events = POLLPRI };
	int step;

	for (int waited = 0; waited < FREEZE_MS; waited += step) {
		if (is_frozen(f, fd) == freeze)
			return true;
		step = waited < 4 ? 1 : STEP_MAX_MS;
		poll(&p, 1, step);
		if (!f->v2 && freeze)
			set(f, true);
	}
	return false;
}

int cg_freeze(const struct cg *cg, bool freeze)
{
	struct freezer f;

	if (!find(cg, &f)) {
		err_plain("there is no freezer for this container");
		err_hint("it needs cgroup v2 of Linux 5.2 or later, or the v1 freezer controller, mounted");
		return -1;
	}
	if (set(&f, freeze) < 0)
		return -1;
	if (wait_for(&f, freeze))
		return 0;
	if (freeze)
		set(&f, false);                 /* half frozen is worse than running */
	return err_plain("not %s after %d seconds", freeze ? "frozen" : "thawed", FREEZE_MS / 1000);
}
