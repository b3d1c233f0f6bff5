/* SPDX-License-Identifier: MIT */
/* The commands freeze and unfreeze. They also work when the supervisor is gone. */
#include "control.h"
#include "opts.h"
#include "state.h"

static int change(const struct optset *set, int argc, char **argv, bool freeze)
{
	struct args a = opts_parse(set, argc, argv);
	struct state st;
	struct ctr ctr;
	CLEAN_FD int fd = -1;

	state_running(&ctr, &st, &a);
	if (cg_freeze(&st.cg, freeze) < 0)
		fail();
	fd = control_connect(ctr.name);
	if (fd >= 0)
		control_ask(fd, "look\n");
	return 0;
}

int cmd_freeze(int argc, char **argv)
{
	static const struct optset set = {
		"freeze [-n] NAME", "Makes all processes of a container stand still, until unfreeze.",
		NULL, 0, OPTS_NAME,
	};

	return change(&set, argc, argv, true);
}

int cmd_unfreeze(int argc, char **argv)
{
	static const struct optset set = {
		"unfreeze [-n] NAME", "Lets a frozen container go on.", NULL, 0, OPTS_NAME,
	};

	return change(&set, argc, argv, false);
}
