/* SPDX-License-Identifier: MIT */
/* The commands start and execute: options, daemon or foreground. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "opts.h"
#include "start.h"
#include "sys.h"
#include "times.h"

_Noreturn static void fail_start(const struct start *s)
{
	if (s->failure == EXIT_CANNOT_EXEC || s->failure == EXIT_NOT_FOUND)
		die(s->failure);
	fail();
}

static int waiting = -1;                /* the pipe of the process that waits for RUNNING */

static void now_running(struct start *s)
{
	CLEAN_FD int null = openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
	(void)s;

	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	(void)!write(waiting, "r", 1);
	close(waiting);
	waiting = -1;
}

/* The child is the supervisor; this process returns when the container runs. */
static int daemonise(struct start *s)
{
	int pipefd[2], status;
	char byte = 0;
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC) < 0 || (pid = sys_fork()) < 0) {
		err_set("fork");
		fail();
	}
	if (pid == 0) {
		close(pipefd[0]);
		waiting = pipefd[1];
		setsid();
		if (chdir("/") < 0 || supervise(s, now_running) < 0)
			fail_start(s);
		_exit(0);
	}
	close(pipefd[1]);
	while (read(pipefd[0], &byte, 1) < 0 && errno == EINTR)
		;
	if (byte == 'r')
		return 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)   /* it has said why */
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_OWN;
}

static int launch(struct start *s)
{
	int code;

	if (!s->foreground)
		return daemonise(s);
	code = supervise(s, NULL);
	if (code < 0)
		fail_start(s);
	return code;
}

static void prepare(struct start *s, struct args *a, const char *file, const char *dir)
{
	static struct ctr ctr;

	need_root();
	times_init();
	ctr_init(&ctr, a->name, a->lxcpath);
	if (file)
		path_fmt(ctr.config, sizeof(ctr.config), "%s%s%s", dir ? dir : "", dir ? "/" : "",
			 file);
	else if (!ctr_defined(&ctr)) {
		err_plain("no such container in %s", ctr.lxcpath);
		err_hint("sampan ls shows those there are, sampan create makes one, -f FILE names "
			 "a configuration elsewhere");
		fail();
	}
	s->ctr = &ctr;
	for (int fd = 0; fd < 3; fd++)
		s->stdio[fd] = stdio_kind(fd);
	s->quiet_conf = a->quiet;
	s->argv = a->nrest > 0 ? a->rest : NULL;
}

/* The supervisor of a daemon stands in /: a relative -f must be found from there. */
static const char *cwd_of(const char *file)
{
	static char cwd[PATH_LEN_MAX];

	return file && file[0] != '/' ? getcwd(cwd, sizeof(cwd)) : NULL;
}

int cmd_start(int argc, char **argv)
{
	static bool daemon, foreground;
	static const char *file;
	static const struct opt opts[] = {
		{ 'd', "daemon", NULL, &daemon, "run in the background (the default)" },
		{ 'F', "foreground", NULL, &foreground, "stay, with the console on this terminal" },
		{ 'f', "rcfile", "FILE", &file, "read FILE instead of LXCPATH/NAME/config" },
	};
	static const struct optset set = {
		"start [-n] NAME [-F] [-f FILE] [-- COMMAND...]",
		"Starts a system container: its own init (lxc.init.cmd, else /sbin/init) as PID 1.",
		opts, ARRAY_SIZE(opts), OPTS_COMMAND | OPTS_NAME,
	};
	static struct start s;
	struct args a = opts_parse(&set, argc, argv);

	prepare(&s, &a, file, cwd_of(file));
	s.foreground = foreground && !daemon;
	return launch(&s);
}

int cmd_execute(int argc, char **argv)
{
	static bool daemon;
	static const char *file;
	static const struct opt opts[] = {
		{ 'd', "daemon", NULL, &daemon, "run in the background" },
		{ 'f', "rcfile", "FILE", &file, "read FILE instead of LXCPATH/NAME/config" },
	};
	static const struct optset set = {
		"execute [-n] NAME [-d] [-f FILE] [--] COMMAND [ARG...]",
		"Runs one program as an app container and exits with its code. sampan itself is\n"
		"PID 1 inside: it forwards signals and reaps; nothing is needed in the image.",
		opts, ARRAY_SIZE(opts), OPTS_COMMAND | OPTS_NAME,
	};
	static struct start s;
	struct args a = opts_parse(&set, argc, argv);

	prepare(&s, &a, file, cwd_of(file));
	s.app = true;
	s.foreground = !daemon;
	return launch(&s);
}
