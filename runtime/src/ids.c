/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include "ids.h"
#include "sys.h"
#include "util.h"

enum { ENV_BYTES_MAX = 1024, CAP_SYS_ADMIN = 21 };

uint64_t caps_left(const struct conf *conf)
{
	return conf->cap_keep_set ? conf->cap_keep : ALL_CAPS & ~conf->cap_drop;
}

/* EINVAL: past the last capability this kernel knows. */
static int limit_bounding(uint64_t keep)
{
	for (int cap = 0; cap < 64; cap++) {
		if (keep >> cap & 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return errno == EINVAL ? 0 : err_set("drop capability %d", cap);
	}
	return 0;
}

static int set_caps(uint64_t keep)
{
	struct sys_cap_header h = { .version = SYS_CAP_VERSION_3 };
	struct sys_cap_data d[2] = { { .permitted = ~0u }, { .permitted = ~0u } };

	/* Nothing is inheritable, and with that nothing is ambient either. */
	for (int tries = 0; tries < 2; tries++) {
		for (int i = 0; i < 2; i++) {
			d[i].permitted &= (uint32_t)(keep >> 32 * i);
			d[i].effective = d[i].permitted;
			d[i].inheritable = 0;
		}
		if (sys_capset(&h, d) == 0)
			return 0;
		if (errno != EPERM || syscall(SYS_capget, &h, d) < 0)   /* we have not got all of them */
			break;
	}
	return err_set("capset");
}

static bool moved;                      /* into a user namespace, whose ids are not those of exec */

int ids_root(void)
{
	moved = true;
	return sys_set_groups(NULL, 0) < 0 || sys_become_group(0) < 0 || sys_become(0) < 0 ?
	       err_set("become the container's root") : 0;
}

/* From exec on, where the kernel said so (getauxval(3)); only ids_root() and ids_become() change it. */
static bool are_ours(uid_t uid, gid_t gid)
{
	return !moved && getauxval(AT_UID) == uid && getauxval(AT_EUID) == uid &&
	       getauxval(AT_GID) == gid && getauxval(AT_EGID) == gid;
}

int ids_become(uint64_t keep, uid_t uid, gid_t gid, const gid_t *groups, unsigned n,
	       bool no_new_privs, const struct seccomp *filter)
{
	/* A filter takes privilege to load; where some stays, it comes last and stands in no way. */
	bool late = no_new_privs || (uid == 0 && (keep & 1u << CAP_SYS_ADMIN));

	if (limit_bounding(keep) < 0 || (!late && seccomp_load(filter) < 0))
		return -1;
	if (sys_set_groups(groups, n) < 0 && (n > 0 || errno != EPERM))
		return err_set("setgroups");
	if (!are_ours(uid, gid) && sys_become_group(gid) < 0)
		return err_set("setgid %u", (unsigned)gid);
	if (!are_ours(uid, gid) && sys_become(uid) < 0)
		return err_set("setuid %u", (unsigned)uid);
	if (set_caps(keep) < 0)
		return -1;
	if (no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set("set no_new_privs");
	return late ? seccomp_load(filter) : 0;
}

int ids_keyring(void)
{
	enum { JOIN_SESSION_KEYRING = 1 };

	/* EPERM: a filter of a container around us; that has hidden the keys as well. */
	if (syscall(SYS_keyctl, JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS && errno != EPERM)
		return err_set("make a session keyring");
	return 0;
}

int ids_personality(enum conf_arch arch)
{
	if (arch == ARCH_UNSET)
		return 0;
	if (personality(arch == ARCH_32 ? PER_LINUX32 : PER_LINUX) < 0)
		return err_set("personality");
	return 0;
}

static struct {
	size_t used;
	unsigned n;
	char *var[ENVS_MAX + 8];        /* what environ becomes; NULL-terminated */
	char bytes[CONF_BYTES_MAX + ENV_BYTES_MAX];
} env;

PRINTF(1, 2) static int env_put(const char *fmt, ...)
{
	size_t room = sizeof(env.bytes) - env.used;
	char *at = env.bytes + env.used;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(at, room, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room || env.n + 1 >= ARRAY_SIZE(env.var))
		return err_plain("the environment is longer than %zu bytes", sizeof(env.bytes));
	env.var[env.n++] = at;
	env.used += (size_t)n + 1;
	return 0;
}

int env_set(const struct conf *conf)
{
	const char *term = getenv("TERM");

	if (env_put("TERM=%.64s", term ? term : "linux") < 0 || env_put("PATH=" ENV_PATH) < 0 ||
	    env_put("HOME=/") < 0 || env_put("container=lxc") < 0)
		return -1;
	for (unsigned i = 0; i < conf->nenv; i++) {
		const char *pair = conf->env_for[i] & ENV_INIT ? conf->env[i] : "";
		bool given = strchr(pair, '=') != NULL;
		const char *callers = given || !*pair ? NULL : getenv(pair);      /* "K": as the caller has it */

		if (given && env_put("%s", pair) < 0)
			return -1;
		if (callers && env_put("%s=%s", pair, callers) < 0)
			return -1;
	}
	environ = env.var;
	return 0;
}

static char *env_block;                 /* the strings the kernel put behind argv */
static size_t env_size;

void env_find(void)
{
	char **last = environ;

	/* One behind the other: execve(2) has put them so. */
	env_block = environ[0];
	while (last[0] && last[1])
		last++;
	env_size = env_block && *last >= env_block ? (size_t)(*last - env_block) + strlen(*last) + 1 : 0;
}

void env_wipe(void)
{
	if (env_block)
		explicit_bzero(env_block, env_size);
}

void signals_default(uint32_t ignored)
{
	sigset_t none;

	/* exec resets handlers by itself; what the caller ignored (nohup) would stay. */
	for (int sig = 1; ignored != 0; sig++, ignored >>= 1)
		if (ignored & 1)
			signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* As execvp(3), but a file without #! is nothing to give to a shell. */
static void exec_search(char *const argv[])
{
	const char *dir = getenv("PATH");
	char path[PATH_LEN_MAX];
	bool denied = false;

	if (strchr(argv[0], '/') || !dir || !*argv[0]) {
		execve(argv[0], argv, environ);
		return;
	}
	for (errno = ENOENT; *dir; dir += *dir == ':') {
		size_t n = strcspn(dir, ":");

		if ((size_t)snprintf(path, sizeof(path), "%.*s%s%s", (int)n, dir, n ? "/" : "",
				     argv[0]) < sizeof(path))
			execve(path, argv, environ);
		denied |= errno == EACCES;
		if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
			return;
		dir += n;
	}
	if (denied)
		errno = EACCES;
}

int exec_program(char *const argv[])
{
	exec_search(argv);
	if (errno == ENOENT || errno == ENOTDIR) {
		err_set("%s", argv[0]);
		err_hint("inside the container there is no such program, or not its interpreter or "
			 "shared libraries' loader");
		return EXIT_NOT_FOUND;
	}
	err_set("execute %s", argv[0]);
	if (errno == ENOEXEC)
		err_hint("is it built for this machine, or a script without a #! line?");
	return EXIT_CANNOT_EXEC;
}
