/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "fds.h"
#include "hooks.h"
#include "ids.h"
#include "log.h"
#include "path.h"
#include "payload.h"
#include "sys.h"
#include "tree.h"

enum { TEXT_BYTES = 32768 };

static char text[TEXT_BYTES];           /* untouched, and so without memory, when there are none */
static size_t used;

PRINTF(1, 2) static void put(const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text + used, sizeof(text) - used, fmt, ap);
	va_end(ap);
	used += (size_t)n;
	if (used >= sizeof(text))
		used = sizeof(text);    /* cut: hooks_load() refuses it */
}

static void put_env(const char *name, const char *value)
{
	if (value)
		put("env %s=%s\n", name, value);
}

static bool any_script(const struct conf *c)
{
	for (unsigned i = 0; i < c->nnics; i++)
		if (c->nic[i].used && (c->nic[i].script_up || c->nic[i].script_down))
			return true;
	return false;
}

int hooks_load(const struct ctr *ctr, const struct conf *c)
{
	used = 0;
	if (c->nhooks == 0 && !c->ephemeral && !any_script(c))
		return 0;
	put_env("LXC_NAME", ctr->name);
	put_env("LXC_CONFIG_FILE", ctr->config);
	put_env("LXC_ROOTFS_PATH", c->rootfs);
	put_env("LXC_ROOTFS_MOUNT", c->rootfs_mount ? c->rootfs_mount : c->rootfs);
	put_env("LXC_CONSOLE", c->console_path);
	put_env("LXC_CONSOLE_LOGPATH", c->console_logfile);
	put_env("LXC_CGNS_AWARE", "1");
	put("version %d\n", c->hook_version == 1);
	for (unsigned i = 0; i < c->nenv; i++)
		if (c->env_for[i] & ENV_HOOKS && strchr(c->env[i], '='))
			put("env %s\n", c->env[i]);
	for (unsigned i = 0; i < c->nhooks; i++)
		put("%s %s\n", hook_word(c->hook[i].stage), c->hook[i].command);
	if (c->ephemeral)
		put("remove %s\n", ctr->dir);
	return used < sizeof(text) ? 0 : err_plain("the hooks' commands and variables are longer than "
						   "%d bytes", TEXT_BYTES);
}

/* The next line that begins with WORD and a blank; what follows it, up to a newline. */
static const char *next(const char *from, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = from ? strchr(from, '\n') + 1 : text; p < text + used;
	     p = strchr(p, '\n') + 1)
		if (strncmp(p, word, n) == 0 && p[n] == ' ')
			return p + n + 1;
	return NULL;
}

bool hooks_any(enum hook_stage stage)
{
	return next(NULL, hook_word(stage)) != NULL;
}

/* ---- one hook ---------------------------------------------------------------- */

static void set_stdio(void)
{
	int null = openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0)
		dup2(null, STDIN_FILENO);
	for (int fd = STDOUT_FILENO; log_fd() >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(log_fd(), fd);
}

static const char *section(const struct hook_more *more)
{
	return more && more->section ? more->section : "lxc";
}

static void set_env(const char *stage, const struct hook_more *more)
{
	for (const char *p = NULL; (p = next(p, "env")) != NULL;)
		putenv(strndup(p, strcspn(p, "\n")));
	setenv("LXC_HOOK_SECTION", section(more), 1);
	setenv("LXC_HOOK_TYPE", stage, 1);
	setenv("LXC_HOOK_VERSION", next(NULL, "version")[0] == '1' ? "1" : "0", 1);
	for (int i = 0; more && more->env[i]; i++)
		putenv((char *)(uintptr_t)more->env[i]);
}

/* As LXC a command is the shell's when it has anything but plain words. */
static char **words(char *command, const char *stage, const struct hook_more *more)
{
	static char *argv[128], script[CONF_LINE_MAX + 16];
	unsigned n = 0;

	if (strpbrk(command, "\"'\\$`&|;<>()*?[~#")) {
		snprintf(script, sizeof(script), "exec %s \"$@\"", command);
		argv[n++] = "/bin/sh";
		argv[n++] = "-c";
		argv[n++] = script;
		argv[n++] = "hook";
	} else {
		for (char **w = payload_words(command); *w; w++)
			argv[n++] = *w;
	}
	if (next(NULL, "version")[0] != '0')
		return argv;
	argv[n++] = getenv("LXC_NAME");
	argv[n++] = (char *)(uintptr_t)section(more);
	argv[n++] = (char *)(uintptr_t)stage;
	for (int i = 0; more && more->args[i]; i++)
		argv[n++] = (char *)(uintptr_t)more->args[i];
	return argv;
}

_Noreturn static void become(char *command, const char *stage, const struct hook_more *more)
{
	char **argv;

	set_stdio();
	set_env(stage, more);
	argv = words(command, stage, more);
	if (more && more->prepare && more->prepare(more->arg) < 0)
		fail();
	umask(022);
	signals_default(SIGNALS_OFTEN_IGNORED);
	close_from(3, true);
	die(exec_program(argv));
}

static volatile pid_t running;         /* a hook that is waited for, or 0 */

void hooks_kill(void)
{
	if (running > 0)
		kill(running, SIGKILL);
}

static int run_one(char *command, const char *stage, const struct hook_more *more)
{
	const char *kind = more && more->section ? "lxc.net.N.script" : "lxc.hook";
	int status;
	pid_t pid = sys_fork();

	if (pid == 0)
		become(command, stage, more);
	if (pid < 0)
		return err_set("fork");
	running = pid;
	log_say(LOG_DEBUG, "%s hook %s", stage, command);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set("wait for the %s hook", stage);
	running = 0;
	if (status == 0)
		return 0;
	if (WIFSIGNALED(status))
		return err_plain("%s.%s = %s: killed by signal %d", kind, stage, command, WTERMSIG(status));
	return err_plain("%s.%s = %s: exit code %d", kind, stage, command, WEXITSTATUS(status));
}

int hooks_run(enum hook_stage stage, const struct hook_more *more)
{
	const char *word = hook_word(stage);
	char command[CONF_LINE_MAX];

	for (const char *p = NULL; (p = next(p, word)) != NULL;) {
		snprintf(command, sizeof(command), "%.*s", (int)strcspn(p, "\n"), p);
		if (run_one(command, word, more) < 0)
			return -1;
	}
	return 0;
}

static void complain(void)
{
	fprintf(stderr, "sampan: %s\n", err_text());
	log_say(LOG_ERROR, "%s", err_text());
}

/* ---- scripts of interfaces ---------------------------------------------------------- */

int hooks_net(const char *when, const char *command, const char *type, const char *link, const char *peer)
{
	static const char *const names[] = { "TYPE", "PARENT", "PEER" };
	const char *values[] = { type, link, peer };
	struct hook_more more = { .section = "net" };
	char env[3][32 + NAME_LEN_MAX], line[CONF_LINE_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
		if (!values[i] || strcmp(values[i], "-") == 0)
			continue;
		snprintf(env[n], sizeof(env[n]), "LXC_NET_%s=%s", names[i], values[i]);
		more.env[n] = env[n];
		more.args[n++] = values[i];
	}
	snprintf(line, sizeof(line), "%s", command);
	return run_one(line, when, &more);
}

int hooks_note_down(const char *command, const char *type, const char *link, const char *peer)
{
	put("down %s %s %s %s\n", type, link ? link : "-", peer ? peer : "-", command);
	return used < sizeof(text) ? 0 : err_plain("the scripts are longer than %d bytes", TEXT_BYTES);
}

/* A failure is printed; the others are run, and the end goes on. */
void hooks_down(void)
{
	for (const char *p = NULL; (p = next(p, "down")) != NULL;) {
		char line[CONF_LINE_MAX + 64], *word[4], *save = line;

		snprintf(line, sizeof(line), "%.*s", (int)strcspn(p, "\n"), p);
		for (int i = 0; i < 3; i++)
			word[i] = strsep(&save, " ");
		if (hooks_net("down", save, word[0], word[1], word[2]) < 0)
			complain();
	}
}

/* ---- the end --------------------------------------------------------------------- */

bool hooks_last(void)
{
	return hooks_any(HOOK_POST_STOP) || next(NULL, "remove") != NULL;
}

int hooks_save(int statedir)
{
	CLEAN_FD int fd = -1;

	if (!hooks_last())
		return 0;
	fd = openat(statedir, "end.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || !write_all(fd, text, used) || renameat(statedir, "end.new", statedir, "end") < 0)
		return err_set("write down the hooks");
	return 0;
}

bool hooks_restore(int statedir)
{
	long n;

	/* Taken by its rename, so that of two who clean up only one runs the hooks. */
	if (renameat(statedir, "end", statedir, "end.new") < 0)
		return false;
	n = read_small(statedir, "end.new", text, sizeof(text));
	unlinkat(statedir, "end.new", 0);
	used = n > 0 ? (size_t)n : 0;
	while (used > 0 && text[used - 1] != '\n')
		used--;
	return used > 0;
}

void hooks_end(bool reboot)
{
	struct hook_more more = { .env = { reboot ? "LXC_TARGET=reboot" : "LXC_TARGET=stop" } };
	const char *dir;
	char path[PATH_LEN_MAX];

	if (used > 0 && hooks_run(HOOK_POST_STOP, &more) < 0)
		complain();
	dir = used > 0 && !reboot ? next(NULL, "remove") : NULL;
	if (!dir)
		return;
	snprintf(path, sizeof(path), "%.*s", (int)strcspn(dir, "\n"), dir);
	if (hooks_run(HOOK_DESTROY, NULL) < 0 || tree_remove(path) < 0)
		complain();
}
