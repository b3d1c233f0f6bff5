/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include "devpolicy.h"
#include "live.h"
#include "nodes.h"

static struct devlist before, after;

/* v1 where the container has a group in `devices`, else v2. */
static int enforce(const struct cg *cg)
{
	for (int v2 = 0; v2 < 2; v2++) {
		for (unsigned i = 0; i < cg->n; i++) {
			CLEAN_FD int fd = cg->dir[i].v2 != v2 ? -1 :
				open(cg->dir[i].path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			if (fd < 0 || (!v2 && faccessat(fd, "devices.list", F_OK, 0) < 0))
				continue;
			return v2 ? devpolicy_bpf_change(fd, &after.rules) :
				    devpolicy_v1_change(fd, &before.rules, &after.rules);
		}
	}
	err_plain("the container has no cgroup that holds device rules");
	err_hint("start it with a device list, as lxc.cgroup.devices.deny = a");
	return -1;
}

struct devlist *live_list(const char *name)
{
	CLEAN_FD int dir = state_dir(name);

	return dir < 0 || devlist_restore(dir, &before) < 0 ? NULL : &before;
}

/* The list as it was and as it becomes. */
static int compare(int dir, enum rule_verb verb, const char *value)
{
	if (dir < 0 || flock(dir, LOCK_EX) < 0)         /* until `dir` is closed: one at a time */
		return err_set("lock the state folder");
	if (devlist_restore(dir, &before) < 0)
		return -1;
	after = before;
	return devlist_change(&after, verb, value);
}

int live_device(const struct state *st, const char *name, enum rule_verb verb, const char *value)
{
	CLEAN_FD int dir = state_dir(name);
	bool same;

	if (compare(dir, verb, value) < 0)
		return -1;
	/* A set that is written down but not in force is what a crash must not leave. */
	same = before.rules.set && rules_equal(&before.rules, &after.rules);
	if (!same && enforce(&st->cg) < 0)
		return -1;
	/* The nodes written down are those there are, so that none is forgotten. */
	memcpy(after.nodes, before.nodes, sizeof(after.nodes));
	return devlist_save(dir, &after);
}

int live_nodes(const struct state *st, const char *name)
{
	CLEAN_FD int dir = state_dir(name), turn = -1;

	/* A lock of its own: rules do not wait for whom the container stalls. */
	turn = openat(dir, "state", O_RDONLY | O_CLOEXEC);
	if (turn < 0 || flock(turn, LOCK_EX) < 0)
		return err_set("lock the state folder");
	if (compare(dir, RULE_ALLOW, NULL) < 0)
		return -1;
	flock(dir, LOCK_UN);
	if (nodes_sync(st, &before, &after) < 0 || flock(dir, LOCK_EX) < 0 ||
	    devlist_restore(dir, &before) < 0)
		return -1;
	memcpy(before.nodes, after.nodes, sizeof(before.nodes));
	return devlist_save(dir, &before);
}
