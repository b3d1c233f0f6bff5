/* SPDX-License-Identifier: MIT */
/* One binary, many names: `sampan VERB` and `lxc-VERB` run the same command. */
#include <stdio.h>
#include <string.h>
#include "fds.h"
#include "feat.h"
#include "guard.h"
#include "ids.h"
#include "opts.h"
#include "sampan.h"
#include "words.h"

struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	int failure;                    /* exit code of its own failures */
	bool enters;                    /* runs inside of a container: see guard.h */
	const char *about;
};

static const struct verb verbs[] = {
	{ "create", cmd_create, 1, false, "make a container from a configuration or a template" },
	{ "ls", cmd_ls, 1, false, "list containers" },
	{ "start", cmd_start, 1, true, "start a system container" },
	{ "execute", cmd_execute, EXIT_OWN, true, "run one program as an app container" },
	{ "info", cmd_info, 1, false, "state, PID, addresses and use of a container" },
	{ "attach", cmd_attach, EXIT_OWN, true, "run a program inside a running container" },
	{ "stop", cmd_stop, 1, false, "stop a container, or restart it" },
	{ "freeze", cmd_freeze, 1, false, "make all of a container stand still" },
	{ "unfreeze", cmd_unfreeze, 1, false, "let it go on" },
	{ "console", cmd_console, 1, false, "sit at the console or a tty of a container" },
	{ "cgroup", cmd_cgroup, 1, false, "read or set a cgroup file of a running container" },
	{ "device", cmd_device, 1, false, "give a running container a device, or take it away" },
	{ "wait", cmd_wait, 1, false, "wait until a container reaches a state" },
	{ "monitor", cmd_monitor, 1, false, "print the changes of state of containers" },
	{ "copy", cmd_copy, 1, true, "copy or rename a container, or start an ephemeral copy" },
	{ "snapshot", cmd_snapshot, 1, false, "keep a container's state, list, restore, delete" },
	{ "destroy", cmd_destroy, 1, false, "delete a container" },
	{ "autostart", cmd_autostart, 1, true, "start those that are to run after boot, or stop them" },
	{ "net", cmd_net, 1, false, "a bridge for containers, masqueraded" },
	{ "checkconfig", cmd_checkconfig, 1, false, "what this kernel and system offer to containers" },
	{ "resume", cmd_resume, 1, false, "clock and randomness after a snapshot was restored" },
	{ "config", cmd_config, 1, false, "check configuration files, show what one comes to" },
	{ "update-config", cmd_update_config, 1, false, "print a configuration in modern keys" },
	{ "agent", cmd_agent, 1, false, "serve a host on this serial line" },
};

char **own_argv;
static void help(FILE *out)
{
	fputs("usage: sampan VERB [OPTIONS]     (or lxc-VERB through a link)\n\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		fprintf(out, "  %-12s %s\n", verbs[i].name, verbs[i].about);
	fputs("\n'sampan VERB --help' shows the options of a verb.\n", out);
}

/* What the caller had open must not reach a container. */
static void enter(bool alone)
{
	close_from(own_uid() == 0 ? guard_self(own_argv) : FIRST_FD, false);
	if (!alone)             /* others start it, or it is running already */
		guard_done();
}

static int run(const char *name, int argc, char **argv)
{
	const char *near;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i].name, name) == 0) {
			fail_code(verbs[i].failure);
			feat_init();
			/* Before the options are read, which moves the words around. */
			if (verbs[i].enters)
				enter(verbs[i].run == cmd_execute);
			return verbs[i].run(argc, argv);
		}
	}
	near = nearest(name, &verbs[0].name, ARRAY_SIZE(verbs), sizeof(verbs[0]));
	err_plain("unknown verb '%s'", name);
	if (near)
		err_hint("did you mean '%s'? sampan --help shows all", near);
	else
		err_hint("sampan --help shows all");
	fail();
}

static int command(int argc, char **argv)
{
	const char *base = argc > 0 ? strrchr(argv[0], '/') : NULL;

	own_argv = argv;
	env_find();
	if (argc < 1)
		return EXIT_OWN;
	base = base ? base + 1 : argv[0];
	if (strncmp(base, "lxc-", 4) == 0)
		return run(base + 4, argc, argv);
	if (argc < 2) {
		help(stderr);
		return 1;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		help(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("sampan " SAMPAN_VERSION);
		return 0;
	}
	return run(argv[1], argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	int code = command(argc, argv);

	fflush(stdout);
	return code;
}
