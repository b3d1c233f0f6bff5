/* SPDX-License-Identifier: MIT */
/* The commands start and execute: options, daemon or foreground. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "guard.h"
#include "launch.h"
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

static const char *pidfile;             /* absolute, or NULL */

/* Of the supervisor, as LXC's monitor. */
static void write_pid(void)
{
	char temporary[PATH_LEN_MAX + 4], text[16];
	CLEAN_FD int fd = -1;

	if (!pidfile)
		return;
	snprintf(temporary, sizeof(temporary), "%s.new", pidfile);
	snprintf(text, sizeof(text), "%d\n", getpid());
	fd = openat(AT_FDCWD, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd >= 0 && write_all(fd, text, strlen(text)) && rename(temporary, pidfile) == 0)
		return;
	err_set("write %s", pidfile);
	fail();
}

static void remove_pid(void)
{
	if (pidfile)
		unlink(pidfile);
}

static int waiting;                     /* the pipe of the process that waits for RUNNING */

static void now_running(struct start *s)
{
	CLEAN_FD int null = openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
	(void)s;

	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	(void)!write(waiting, "r", 1);
	close(waiting);
}

/* The child is the supervisor; this process returns when the container runs. */
static int daemonise(struct start *s)
{
	int pipefd[2], status, code;
	char byte = 0;
	pid_t pid;

	guard_done();                   /* this process would hold it while the container runs */
	if (pipe2(pipefd, O_CLOEXEC) < 0 || (pid = sys_fork()) < 0) {
		err_set("fork");
		fail();
	}
	if (pid == 0) {
		close(pipefd[0]);
		waiting = pipefd[1];
		setsid();
		write_pid();
		code = chdir("/") < 0 ? -1 : supervise(s, now_running);
		remove_pid();
		if (code < 0)
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
	write_pid();
	code = supervise(s, NULL);
	remove_pid();
	if (code < 0)
		fail_start(s);
	return code;
}

static void prepare(struct start *s, const struct args *a, const char *file)
{
	static struct ctr ctr;

	need_root();
	times_init();
	ctr_init(&ctr, a->name, a->lxcpath);
	s->rcfile = file != NULL;
	if (file)
		path_fmt(ctr.config, sizeof(ctr.config), "%s", file);
	s->ctr = &ctr;
	for (int fd = 0; fd < 3; fd++)
		s->stdio[fd] = stdio_kind(fd);
	s->quiet_conf = a->quiet;
	s->argv = a->nrest > 0 ? a->rest : NULL;
}

int launch_new(const char *name, const char *lxcpath, bool foreground)
{
	static struct start s;
	struct args a = { .name = name, .lxcpath = lxcpath };

	prepare(&s, &a, NULL);
	s.foreground = foreground;
	return launch(&s);
}

/* The supervisor of a daemon stands in /: a relative path must be found from there. */
static const char *absolute(const char *path, char buf[PATH_LEN_MAX])
{
	char cwd[PATH_LEN_MAX];

	if (!path || path[0] == '/' || !getcwd(cwd, sizeof(cwd)))
		return path;
	path_fmt(buf, PATH_LEN_MAX, "%s/%s", cwd, path);
	return buf;
}

/* An option that stands for a line of the configuration. */
static void define(const char *key, const char *value)
{
	static char lines[12][PATH_LEN_MAX + 40];
	static unsigned n;

	if (!value)
		return;
	path_fmt(lines[n], sizeof(lines[n]), "%s = %s", key, value);
	conf_define(lines[n++]);
}

static struct {                         /* options of both commands */
	bool daemon, foreground;
	const char *file, *console, *console_log, *pidfile, *uid, *gid;
	struct list defines;
	const char *share[4];
} said;

static int start(bool app, const struct optset *set, int argc, char **argv)
{
	static char paths[4][PATH_LEN_MAX];
	static struct start s;
	struct args a = opts_parse(set, argc, argv);

	for (unsigned i = 0; i < said.defines.n; i++) {
		if (!strchr(said.defines.item[i], '='))
			usage_error("-s %s: not KEY=VALUE", said.defines.item[i]);
		conf_define(said.defines.item[i]);
	}
	define("lxc.console.path", said.console && strcmp(said.console, "none") == 0 ? "none" :
	       absolute(said.console, paths[0]));
	define("lxc.console.logfile", absolute(said.console_log, paths[1]));
	define("lxc.init.uid", said.uid);
	define("lxc.init.gid", said.gid);
	for (int i = 0; i < 4; i++) {
		static const char keys[][28] = { "lxc.namespace.share.net", "lxc.namespace.share.ipc",
						 "lxc.namespace.share.uts", "lxc.namespace.share.pid" };
		define(keys[i], said.share[i]);
	}
	pidfile = absolute(said.pidfile, paths[2]);
	prepare(&s, &a, absolute(said.file, paths[3]));
	s.app = app;
	s.foreground = app ? !said.daemon : said.foreground && !said.daemon;
	return launch(&s);
}

#define START_OPTS \
	{ OPT("-d, --daemon", "run in the background"), &said.daemon }, \
	{ OPT("-f, --rcfile=FILE", "read FILE instead of LXCPATH/NAME/config"), &said.file }, \
	{ OPT("-s, --define=KEY=VALUE...", "a line behind those of the configuration"), &said.defines }, \
	{ OPT("-p, --pidfile=FILE", "where the supervisor's pid is written"), &said.pidfile }, \
	{ OPT("-L, --console-log=FILE", "lxc.console.logfile"), &said.console_log }, \
	{ OPT("-c, --console=FILE", "lxc.console.path"), &said.console }, \
	{ OPT("--share-net=NAME|PID", "join its network; also --share-ipc, -uts, -pid"), &said.share[0] }, \
	{ OPT("--share-ipc=NAME|PID", ""), &said.share[1] }, \
	{ OPT("--share-uts=NAME|PID", ""), &said.share[2] }, \
	{ OPT("--share-pid=NAME|PID", ""), &said.share[3] }, \
	{ OPT("-C, --close-all-fds", ""), NULL }

int cmd_start(int argc, char **argv)
{
	static const struct opt opts[] = {
		START_OPTS,
		{ OPT("-F, --foreground", "stay, with the console on this terminal"), &said.foreground },
	};
	static const struct optset set = {
		"start [-n] NAME [-F] [-f FILE] [-s KEY=VALUE] [-- COMMAND...]",
		"Starts a system container: its own init (lxc.init.cmd, else /sbin/init) as PID 1,\n"
		"in the background unless -F is given.",
		opts, ARRAY_SIZE(opts), OPTS_COMMAND | OPTS_NAME,
	};

	return start(false, &set, argc, argv);
}

int cmd_execute(int argc, char **argv)
{
	static const struct opt opts[] = {
		START_OPTS,
		{ OPT("-u, --uid=UID", "lxc.init.uid"), &said.uid },
		{ OPT("-g, --gid=GID", "lxc.init.gid"), &said.gid },
	};
	static const struct optset set = {
		"execute [-n] NAME [-d] [-f FILE] [--] COMMAND [ARG...]",
		"Runs one program as an app container and exits with its code. sampan itself is\n"
		"PID 1 inside: it forwards signals and reaps; nothing is needed in the image.",
		opts, ARRAY_SIZE(opts), OPTS_COMMAND | OPTS_NAME,
	};

	return start(true, &set, argc, argv);
}
