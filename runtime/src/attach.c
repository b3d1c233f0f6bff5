/* SPDX-License-Identifier: MIT */
/*
 * A program inside a running container. One fork: the pid namespace is set for
 * children before it, the cgroup by clone3 (v2) or by the child's first write (v1),
 * everything else by one setns in the child, which is not dumpable by then.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "attach_env.h"
#include "fds.h"
#include "feat.h"
#include "ids.h"
#include "lsm.h"
#include "knobs.h"
#include "nsenter.h"
#include "opts.h"
#include "path.h"
#include "pty.h"
#include "state.h"
#include "sys.h"

struct attach {
	bool elevated, clear_env, remount, no_new_privs;
	bool terminal;                  /* some of our stdio is one: the program gets a pty */
	uid_t uid;
	gid_t gid;
	uint64_t caps;
	char **argv;
	struct ns_set spaces;
	struct lsm_label label;         /* that of its PID 1 */
	struct rlimit limits[RLIMITS];
	struct list set_env, keep_env;
	struct state st;
	struct seccomp filter;
};

/* ---- looking at the container ----------------------------------------------- */

static uint64_t status_field(const char *text, const char *key, int base)
{
	const char *p = strstr(text, key);

	return p ? strtoull(p + strlen(key), NULL, base) : 0;
}

/* The limits of its PID 1 hold for what is attached, too. */
static int read_limits(struct attach *a)
{
	char path[40], text[4096];

	snprintf(path, sizeof(path), "/proc/%d/status", a->st.init.pid);
	if (read_small(AT_FDCWD, path, text, sizeof(text)) < 0)
		return err_set("read %s", path);
	a->caps = a->elevated ? ALL_CAPS : status_field(text, "\nCapBnd:", 16);
	a->no_new_privs = !a->elevated && status_field(text, "\nNoNewPrivs:", 10);
	return a->elevated ? 0 : knobs_limits_of(a->st.init.pid, a->limits);
}

/* The same filter, too. */
static int read_filter(struct attach *a, const char *name)
{
	CLEAN_FD int dir = state_dir(name);

	a->filter.none = a->elevated || a->st.unfiltered;
	if (a->filter.none)
		return 0;
	return dir < 0 ? err_set("open the state folder") : seccomp_restore(dir, &a->filter);
}

/* ---- the child ------------------------------------------------------------------ */

/* 'P' with a master, 'H': the host must make one, 'S' with its slave. */
static void send_fd(int sock, char kind, int fd)
{
	fds_send(sock, &kind, 1, &fd, fd >= 0 ? 1 : 0);
}

static char receive_fd(int sock, int *fd)
{
	int fds[FDS_MAX];
	char kind = 0;
	size_t n;

	*fd = -1;
	if (fds_receive(sock, &kind, 1, fds, &n) <= 0)
		return 0;
	if (n > 0)
		*fd = fds[0];
	return kind;
}

/*
 * A pty of the container's own devpts, so that tty(1) works inside; when there is
 * none, or its device list forbids ptmx, one of the host's, which the parent makes.
 */
static int take_terminal(int sock)
{
	CLEAN_FD int pts = openat(AT_FDCWD, "/dev/pts", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int master = -1, slave = -1;

	if (pts >= 0 && is_devpts(pts) && pty_open(pts, "", &master, &slave) == 0) {
		send_fd(sock, 'P', master);
		close(master);
		return slave;
	}
	send_fd(sock, 'H', -1);
	if (receive_fd(sock, &slave) != 'S' || slave < 0) {
		err_plain("no terminal could be made");
		fail();
	}
	return slave;
}

static void set_stdio(struct attach *a, int sock)
{
	int slave = a->terminal ? take_terminal(sock) : -1;
	bool ours[3];

	for (int fd = 0; fd < 3; fd++)
		ours[fd] = a->terminal && isatty(fd);
	if (setsid() < 0) {
		err_set("setsid");
		fail();
	}
	for (int fd = 0; fd < 3; fd++)
		if (ours[fd])
			dup2(slave, fd);
	if (slave >= 0)
		ioctl(slave, TIOCSCTTY, 0);
}

/* -R: /proc and /sys of the namespaces it is in, where it has the caller's mounts. */
static int remount(const struct ns_set *spaces)
{
	if (spaces->wanted & CLONE_NEWNS)
		return 0;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
	    (spaces->flags & CLONE_NEWPID && mount("proc", "/proc", "proc", 0, NULL) < 0) ||
	    (spaces->flags & CLONE_NEWNET && mount("sysfs", "/sys", "sysfs", 0, NULL) < 0))
		return err_set("mount /proc and /sys anew");
	return 0;
}

_Noreturn static void child(struct attach *a, int sock, bool late_cgroup)
{
	static char *shell[] = { NULL, NULL };
	const char *label = a->label.text[0] ? a->label.text : NULL;
	bool user = a->spaces.flags & CLONE_NEWUSER;    /* takes the rights to raise limits */
	int attr = label ? lsm_open() : -1;     /* of the host's /proc */

	if (label && attr < 0)
		fail();
	if (!a->elevated && cg_join(&a->st.cg, late_cgroup) < 0)
		fail();
	if (user && !a->elevated && knobs_limits_as(a->limits) < 0)
		fail();
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || ns_enter_rest(&a->spaces) < 0)
		fail();
	if (user && ids_root() < 0)
		fail();
	if (a->remount && remount(&a->spaces) < 0)
		fail();
	if (a->spaces.wanted & CLONE_NEWNS && chdir("/") < 0) {
		err_set("chdir /");
		fail();
	}
	set_stdio(a, sock);
	if (!user && !a->elevated && knobs_limits_as(a->limits) < 0)
		fail();
	if (ids_keyring() < 0 ||
	    ids_become(a->caps, a->uid, a->gid, NULL, 0, a->no_new_privs, &a->filter) < 0)
		fail();
	if (lsm_exec(attr, a->label.selinux ? NULL : label, a->label.selinux ? label : NULL, false) < 0)
		fail();
	attach_env(a->clear_env, &a->keep_env, &a->set_env);
	if (!a->argv)
		shell[0] = attach_shell(a->uid);
	signals_default(SIGNALS_OFTEN_IGNORED);
	close_from(3, true);
	die(exec_program(a->argv ? a->argv : shell));
}

/* ---- the parent ------------------------------------------------------------------- */

/* Terminal bytes both ways until the program ends; its exit code. */
static int stay(pid_t pid, int signals, struct proxy *p)
{
	struct signalfd_siginfo info;
	struct pollfd fds[3];
	int status;

	for (;;) {
		fds[0] = (struct pollfd){ .fd = signals, .events = POLLIN };
		fds[1].fd = fds[2].fd = -1;
		if (p)
			proxy_poll(p, fds + 1);
		if (poll(fds, 3, -1) < 0)
			continue;
		if (p)
			proxy_step(p, fds + 1, 2);
		while (fds[0].revents && read(signals, &info, sizeof(info)) == sizeof(info)) {
			if (info.ssi_signo == SIGWINCH && p)
				pty_size(STDIN_FILENO, p->master);
			else if (info.ssi_signo != SIGCHLD && info.ssi_signo != SIGWINCH)
				kill(pid, (int)info.ssi_signo);
		}
		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int give_terminal(int sock, int *slave)
{
	int master;

	switch (receive_fd(sock, &master)) {
	case 'P':
		return master;
	case 'H':
		if (pty_open(-1, "", &master, slave) < 0)
			return -1;
		send_fd(sock, 'S', *slave);
		return master;
	default:
		return -1;              /* it failed before; its message is out */
	}
}

static pid_t clone_into(struct attach *a, bool *late)
{
	struct sys_clone_args args = {
		.flags = SYS_CLONE_INTO_CGROUP, .exit_signal = SIGCHLD,
		.cgroup = (uint64_t)a->st.cg.v2fd,
	};
	pid_t pid;

	*late = false;
	if (a->st.cg.v2fd >= 0 && !a->elevated && feat_on(FEAT_CLONE3)) {
		pid = sys_clone3(&args);
		if (pid >= 0 || (errno != ENOSYS && errno != EINVAL && errno != E2BIG))
			return pid;
	}
	*late = true;
	return sys_fork();
}

static int pty_log;                     /* -L, or -1 */

static void log_pty(const char *text, size_t n)
{
	write_all(pty_log, text, n);
}

static int run(struct attach *a)
{
	int pair[2], slave = -1, code, master = -1;
	struct proxy proxy;
	sigset_t all;
	int signals;
	bool late;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set("socketpair");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || ns_enter_pid(&a->spaces) < 0)
		return -1;
	pid = clone_into(a, &late);
	if (pid < 0)
		return err_set("fork into the container");
	if (pid == 0) {
		close(pair[0]);
		close(signals);
		child(a, pair[1], late);
	}
	close(pair[1]);
	cg_close(&a->st.cg);
	if (a->terminal)
		master = give_terminal(pair[0], &slave);
	if (master >= 0)
		proxy_begin(&proxy, master, isatty(STDIN_FILENO));
	if (pty_log >= 0)
		proxy.tap = log_pty;
	code = stay(pid, signals, master >= 0 ? &proxy : NULL);
	if (master >= 0)
		proxy_end(&proxy);
	return code;
}

/* ---- options ------------------------------------------------------------------------ */

static struct attach attach;

static void options(int argc, char **argv, struct args *a)
{
	static const char *namespaces, *uid, *gid, *log_file, *context;
	static bool keep_env;
	static const struct opt opts[] = {
		{ OPT("-e, --elevated-privileges", "keep all capabilities, stay outside of its cgroup and device list"),
		  &attach.elevated },
		{ OPT("-s, --namespaces=NS|NS", "enter only MOUNT PID UTSNAME IPC NETWORK CGROUP USER TIME"), &namespaces },
		{ OPT("-R, --remount-sys-proc", "without MOUNT: mount /proc and /sys anew"), &attach.remount },
		{ OPT("--clear-env", "start with a clean environment"), &attach.clear_env },
		{ OPT("--keep-env", "keep the environment (the default)"), &keep_env },
		{ OPT("-v, --set-var=NAME=VALUE...", "set a variable"), &attach.set_env },
		{ OPT("--keep-var=NAME...", "keep a variable with --clear-env"), &attach.keep_env },
		{ OPT("-u, --uid=UID", "run as this user"), &uid },
		{ OPT("-g, --gid=GID", "run as this group"), &gid },
		{ OPT("-L, --pty-log=FILE", "append what the terminal shows to FILE"), &log_file },
		{ OPT("-c, --context=LABEL", "SELinux label, in place of the container's"), &context },
		{ OPT("-f, --rcfile=FILE", ""), NULL },
	};
	static const struct optset set = {
		"attach [-n] NAME [OPTIONS] [-- COMMAND [ARG...]]",
		"Runs a program (the user's shell) inside a running container and exits with its code.",
		opts, ARRAY_SIZE(opts), OPTS_NAME | OPTS_COMMAND,
	};

	*a = opts_parse(&set, argc, argv);
	pty_log = log_file ? openat(AT_FDCWD, log_file, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC,
				    0600) : -1;
	if (log_file && pty_log < 0) {
		err_set("open %s", log_file);
		fail();
	}
	attach.spaces.wanted = namespaces ? ns_parse(namespaces) : ns_all();
	if (attach.spaces.wanted < 0)
		fail();
	attach.uid = uid ? (uid_t)opts_number("-u", uid, 4294967294u) : 0;
	attach.gid = gid ? (gid_t)opts_number("-g", gid, 4294967294u) : 0;
	attach.argv = a->nrest > 0 ? a->rest : NULL;
	if (context) {
		attach.label.selinux = true;
		path_fmt(attach.label.text, sizeof(attach.label.text), "%s", context);
	}
}

int cmd_attach(int argc, char **argv)
{
	static struct ctr ctr;
	struct args a;
	int rc;

	options(argc, argv, &a);
	state_running(&ctr, &attach.st, &a);
	if (attach.st.state == ST_FROZEN && !attach.elevated) {
		err_plain("the container is frozen, and what enters it would be, too");
		err_hint("sampan unfreeze %s", a.name);
		fail();
	}
	attach.terminal = isatty(0) || isatty(1) || isatty(2);
	if (!attach.elevated && !attach.label.selinux)
		lsm_of(attach.st.init.pid, &attach.label);
	if (ns_open(&attach.spaces, &attach.st.init) < 0 || read_limits(&attach) < 0 ||
	    read_filter(&attach, ctr.name) < 0 ||
	    (!attach.elevated && cg_open_v2(&attach.st.cg) < 0))
		fail();
	rc = run(&attach);
	if (rc < 0)
		fail();
	return rc;
}
