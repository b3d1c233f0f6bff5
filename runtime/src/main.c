/* SPDX-License-Identifier: MIT */
/* One binary, many names: `sampan VERB` and `lxc-VERB` run the same command. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "conf.h"
#include "feat.h"
#include "guard.h"
#include "ids.h"
#include "opts.h"
#include "sampan.h"
#include "sys.h"

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	int failure;                    /* exit code of its own failures */
	bool enters;                    /* runs inside of a container: see guard.h */
	const char *about;
} verbs[] = {
	{ "create", cmd_create, 1, false, "make a container from a configuration or a template" },
	{ "ls", cmd_ls, 1, false, "list containers" },
	{ "start", cmd_start, 1, true, "start a system container" },
	{ "execute", cmd_execute, EXIT_OWN, true, "run one program as an app container" },
	{ "info", cmd_info, 1, false, "state, PID, addresses and use of a container" },
	{ "attach", cmd_attach, EXIT_OWN, true, "run a program inside a running container" },
	{ "stop", cmd_stop, 1, false, "stop a container, or restart it" },
	{ "destroy", cmd_destroy, 1, false, "delete a container" },
	{ "checkconfig", cmd_checkconfig, 1, false, "what this kernel and system offer to containers" },
	{ "config", cmd_config, 1, false, "config check FILE...: check configuration files" },
};

char **own_argv;
static int own_failure = 1;

void fail(void)
{
	die(own_failure);
}

void need_root(void)
{
	if (geteuid() == 0)
		return;
	err_plain("this needs root");
	fail();
}

void path_fmt(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= size) {
		err_plain("a path is longer than %zu bytes: %.60s...", size - 1, buf);
		fail();
	}
}

void ctr_init(struct ctr *c, const char *name, const char *lxcpath)
{
	size_t n = strlen(lxcpath);

	if (!name_ok(name)) {
		err_plain("'%.80s' is no name for a container", name);
		err_hint("letters, digits, '_', '.' and '-', at most %d, not '_', '.' or '-' first",
			 NAME_LEN_MAX);
		fail();
	}
	while (n > 1 && lxcpath[n - 1] == '/')
		n--;
	err_subject(name);
	if (lxcpath[0] != '/') {
		static char absolute[PATH_LEN_MAX];
		char cwd[PATH_LEN_MAX];

		if (!getcwd(cwd, sizeof(cwd))) {
			err_set("find the current directory");
			fail();
		}
		path_fmt(absolute, sizeof(absolute), "%s/%.*s", cwd, (int)n, lxcpath);
		lxcpath = absolute;
		n = strlen(absolute);
	}
	c->name = name;
	c->lxcpath = strndup(lxcpath, n);
	path_fmt(c->dir, sizeof(c->dir), "%s/%s", c->lxcpath, name);
	path_fmt(c->config, sizeof(c->config), "%s/config", c->dir);
}

bool ctr_defined(const struct ctr *c)
{
	return access(c->config, F_OK) == 0;
}

/* Kernels before 5.9: a walk would need /proc; the limit is what can be open at all. */
void close_from(int first, bool cloexec)
{
	long most;

	if (feat_on(FEAT_CLOSE_RANGE) &&
	    (sys_close_range((unsigned)first, ~0u, cloexec ? SYS_CLOSE_RANGE_CLOEXEC : 0) == 0))
		return;
	most = sysconf(_SC_OPEN_MAX);
	for (int fd = first; fd < (most > 0 && most < 65536 ? most : 65536); fd++) {
		if (!cloexec)
			close(fd);
		else if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 && errno == EBADF)
			continue;
	}
}

static void help(FILE *out)
{
	fputs("usage: sampan VERB [OPTIONS]     (or lxc-VERB through a link)\n\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		fprintf(out, "  %-12s %s\n", verbs[i].name, verbs[i].about);
	fputs("\n'sampan VERB --help' shows the options of a verb.\n", out);
}

static int run(const char *name, int argc, char **argv)
{
	const char *near;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i].name, name) == 0) {
			own_failure = verbs[i].failure;
			feat_init();
			/* Before the options are read, which moves the words around. */
			if (verbs[i].enters && geteuid() == 0)
				guard_self(own_argv);
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

int main(int argc, char **argv)
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
		puts("sampan 0.1");
		return 0;
	}
	return run(argv[1], argc - 1, argv + 1);
}
