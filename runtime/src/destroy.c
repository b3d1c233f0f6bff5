/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
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

int cmd_destroy(int argc, char **argv)
{
	static bool force;
	static const struct opt opts[] = {
		{ 'f', "force", NULL, &force, "stop it first if it runs" },
	};
	static const struct optset set = {
		"destroy [-n] NAME [-f]",
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
	if (rc == 1 && !force) {
		err_plain("%s is running", a.name);
		err_hint("stop it first, or destroy -f");
		fail();
	}
	if (rc == 0)
		state_clean(ctr.name);
	if ((rc == 1 && stop_container(&ctr, &st, &kill) < 0) || tree_remove(ctr.dir) < 0)
		fail();
	ring_forget(a.name);
	return 0;
}
