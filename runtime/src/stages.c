/* SPDX-License-Identifier: MIT */
/* The hooks of a start and an end: when each stage comes, and what it gets. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include "hooks.h"
#include "ids.h"
#include "knobs.h"
#include "log.h"
#include "path.h"
#include "stages.h"
#include "sync.h"

static const char space_words[NS_FDS][8] = { "cgroup", "ipc", "mnt", "net", "pid", "uts" };

/* The stop hooks get the namespaces, which would be gone with their last process. */
static void keep_spaces(struct start *s)
{
	for (int i = 0; i < NS_FDS; i++)
		s->spaces[i] = open_path(O_RDONLY, "/proc/%d/ns/%s", s->pid, space_words[i]);
}

/* The variables are those of version 1, the arguments of version 0. */
void stage_stop(struct start *s)
{
	static char env[NS_FDS][64], args[NS_FDS][48];
	struct hook_more more = { .env = { s->again ? "LXC_TARGET=reboot" : "LXC_TARGET=stop" } };
	int n = 0;

	for (int i = 0; i < NS_FDS; i++) {
		if (s->spaces[i] < 0)
			continue;
		snprintf(args[i], sizeof(args[i]), "%s:/proc/%d/fd/%d", space_words[i], getpid(),
			 s->spaces[i]);
		snprintf(env[i], sizeof(env[i]), "LXC_%s_NS=/proc/%d/fd/%d", space_words[i], getpid(),
			 s->spaces[i]);
		for (char *p = env[i] + 4; *p != '_'; p++)
			*p = (char)(*p & ~0x20);
		more.args[n] = args[i];
		more.env[++n] = env[i];
	}
	if (hooks_run(HOOK_STOP, &more) < 0)
		log_say(LOG_ERROR, "%s", err_text());
	for (int i = 0; i < NS_FDS; i++) {
		close_fd(&s->spaces[i]);
		s->spaces[i] = -1;
	}
}

/* Mounts of the hooks on the host end with the supervisor then. */
static int unshare_mounts(struct start *s)
{
	if (!s->conf->monitor_unshare || s->unshared)
		return 0;
	s->unshared = true;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_set("lxc.monitor.unshare");
	return 0;
}

int stage_begin(struct start *s)
{
	if (log_start(s->conf) < 0 || unshare_mounts(s) < 0 || hooks_load(s->ctr, s->conf) < 0 ||
	    hooks_save(s->statedir) < 0)
		return -1;
	/* It may take its time: be seen. */
	if (hooks_any(HOOK_PRE_START) && start_publish(s, true) < 0)
		return -1;
	return hooks_run(HOOK_PRE_START, NULL);
}

int stage_host(struct start *s)
{
	char pid[24];
	const struct hook_more more = { .env = { pid } };

	if (hooks_any(HOOK_STOP))
		keep_spaces(s);
	snprintf(pid, sizeof(pid), "LXC_PID=%d", s->pid);
	return hooks_run(HOOK_START_HOST, &more);
}

int stage_mount(enum hook_stage stage, int root)
{
	char where[PATH_LEN_MAX + 24] = "LXC_ROOTFS_MOUNT=/";
	const struct hook_more more = { .env = { where } };

	if (!hooks_any(stage))
		return 0;
	if (root < 0)           /* pre-mount: what it mounts must not reach the host */
		return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ?
		       err_set("cut mount propagation to the host") : hooks_run(stage, NULL);
	if (chdir("/") < 0)
		return err_set("chdir /");
	fd_name(root, where + 17, sizeof(where) - 17);
	return hooks_run(stage, &more);
}

/* The program is the image's: it gets no more than the payload will have. */
static int confine(void *arg)
{
	const struct start *s = arg;
	const struct conf *c = s->conf;

	return (!(c->spaces & CLONE_NEWUSER) && knobs_limit(c, 0) < 0) ||
	       ids_become(caps_left(c), 0, 0, NULL, 0, c->no_new_privs, s->filter) < 0 ? -1 : 0;
}

bool stages_late(void)
{
	return hooks_any(HOOK_START_HOST) || hooks_any(HOOK_START);
}

int stage_inside(struct start *s, int sync)
{
	static const struct ptys sent = { .console = -1 };
	const struct hook_more more = { .prepare = confine, .arg = s };

	if (!stages_late())
		return 0;
	if (sync_ready(sync, &sent, -1) < 0)
		return -1;
	s->ignored = sync_wait(sync);
	return hooks_run(HOOK_START, &more);
}
