/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "conf.h"
#include "hooks.h"
#include "names.h"
#include "opts.h"
#include "ring.h"
#include "state.h"
#include "stop.h"
#include "tree.h"

/* The walk-through binds the host's / on the rootfs: deleting through it is the end. */
static void refuse_mounts(const struct ctr *ctr)
{
	char found[PATH_LEN_MAX];
	int rc = tree_mounted(ctr->dir, found, sizeof(found));

	if (rc == 0)
		return;
	if (rc > 0) {
		err_plain("something is mounted on %s: nothing has been deleted", found);
		err_hint("umount %s, then destroy again", found);
	}
	fail();
}

/* Overlays of other containers that lie on this one would lose their ground. */
static void refuse_clones(const struct ctr *ctr, const char *lxcpath)
{
	static char *list[CONTAINERS_MAX];
	int n = names_of(lxcpath, list);
	size_t length = strlen(ctr->dir);

	for (int i = 0; i < n; i++) {
		struct ctr other;
		const char *hit;

		if (strcmp(list[i], ctr->name) == 0)
			continue;
		ctr_init(&other, list[i], lxcpath);
		conf_load(&own_conf, other.config, conf_print_errors, NULL);
		hit = own_conf.rootfs ? strstr(own_conf.rootfs, ctr->dir) : NULL;
		if (!hit || (hit[length] != '/' && hit[length] != ':'))
			continue;
		err_subject(ctr->name);
		err_plain("the root file system of %s lies on that of this container", list[i]);
		err_hint("destroy %s first", list[i]);
		fail();
	}
	err_subject(ctr->name);
}

static void refuse_snapshots(const struct ctr *ctr)
{
	char snaps[PATH_LEN_MAX];

	path_fmt(snaps, sizeof(snaps), "%s/snaps", ctr->dir);
	if (rmdir(snaps) == 0 || errno == ENOENT)       /* an empty one is none */
		return;
	err_plain("it has snapshots: nothing has been deleted");
	err_hint("destroy -s deletes them, too");
	fail();
}

static int run_hooks(const struct ctr *ctr)
{
	conf_load(&own_conf, ctr->config, conf_print_errors, NULL);
	return hooks_load(ctr, &own_conf) < 0 ? -1 : hooks_run(HOOK_DESTROY, NULL);
}

int cmd_destroy(int argc, char **argv)
{
	static bool force, snapshots;
	static const struct opt opts[] = {
		{ OPT("-f, --force", "stop it first if it runs"), &force },
		{ OPT("-s, --snapshots", "with its snapshots"), &snapshots },
	};
	static const struct optset set = {
		"destroy [-n] NAME [-f] [-s]",
		"Deletes LXCPATH/NAME with the root file system in it. A root file system elsewhere\n"
		"stays; where something is mounted below, nothing is deleted.",
		opts, ARRAY_SIZE(opts), OPTS_NAME,
	};
	static const struct stop_how kill = { .kill = true };
	struct args a = opts_parse(&set, argc, argv);
	struct state st;
	struct ctr ctr;
	int rc = state_open(&ctr, &st, a.name, a.lxcpath);

	if (rc == 0 && !ctr_defined(&ctr)) {
		err_plain("Container is not defined");
		fail();
	}
	refuse_mounts(&ctr);
	refuse_clones(&ctr, ctr.lxcpath);
	if (!snapshots)
		refuse_snapshots(&ctr);
	if (rc == 1 && !force) {
		err_plain("%s is running", a.name);
		err_hint("stop it first, or destroy -f");
		fail();
	}
	if (rc == 0)
		state_clean(ctr.name);
	if ((rc == 1 && stop_container(&ctr, &st, &kill) < 0) || run_hooks(&ctr) < 0 ||
	    tree_remove(ctr.dir) < 0)
		fail();
	ring_forget(a.name);
	return 0;
}
