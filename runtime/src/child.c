/* SPDX-License-Identifier: MIT */
/*
 * From clone to exec, on the container's side: a flat list in the order the kernel
 * forces. The parent applies the device policy between `ready` and `go`, so that the
 * nodes and terminals could be made and nothing of the payload has run yet; what needs
 * no device comes in between, while the parent works.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "child.h"
#include "fds.h"
#include "feat.h"
#include "hooks.h"
#include "ids.h"
#include "init.h"
#include "lsm.h"
#include "knobs.h"
#include "mount.h"
#include "net.h"
#include "payload.h"
#include "root.h"
#include "spaces.h"
#include "stages.h"
#include "sync.h"
#include "sys.h"
#include "times.h"

static int join_cgroups(struct start *s)
{
	bool v2_too = s->st.cg.v2fd >= 0 && !feat_on(FEAT_CLONE3);

	if (cg_join(&s->st.cg, v2_too) < 0)
		return -1;
	times_mark("cg_join");
	/* After the join, so that the namespace's root is the container's own group. */
	if (s->conf->spaces & SPACE_CGROUP && feat_on(FEAT_CGROUP_NS) && unshare(SYS_CLONE_NEWCGROUP) < 0 && errno != EINVAL)
		return err_set("make a cgroup namespace");
	times_mark("cgroupns");
	return 0;
}

static int make_root(struct start *s, int root)
{
	const struct conf *c = s->conf;
	struct dev dev;                 /* closed by exec */

	if (dev_mount(root, s->ctr, c, &dev) < 0)
		return -1;
	times_mark("dev");
	if (mnt_auto(root, dev.fd, c, &s->host, &s->st.cg) < 0 || mnt_entries(root, s->ctr, c) < 0 ||
	    stage_mount(HOOK_MOUNT, root) < 0)
		return -1;
	if (s->app && c->auto_proc == AUTO_OFF && mnt_proc_if_none(root) < 0)
		return -1;
	times_mark("mounts");
	if (c->nmounts > 0 || hooks_any(HOOK_MOUNT))
		dev.pts = false;
	if (dev_fill(root, &dev, s->ctr, c, s->devices, &s->ptys) < 0 || stage_mount(HOOK_AUTODEV, root) < 0)
		return -1;
	times_mark("ptys");
	return 0;
}

/* Tells the parent that all is there, and gives it what it needs to bring lo up. */
static int report(const struct start *s, int sync)
{
	bool own = s->conf->spaces & CLONE_NEWNET;
	int net = own ? socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;     /* closed by exec */

	if (own && net < 0 && errno != EAFNOSUPPORT)
		return err_set("open a socket");
	return sync_ready(sync, &s->ptys, net);
}

static int identify(const struct conf *c)
{
	return c->utsname && c->spaces & CLONE_NEWUTS && sethostname(c->utsname, strlen(c->utsname)) < 0 ?
	       err_set("set the host name %s", c->utsname) : 0;
}

/* Terminals of the caller are replaced, so that no byte can be pushed into them. */
static int set_stdio(const struct start *s)
{
	int slave = s->ptys.console_peer, null = -1;

	for (int fd = 0; fd < 3; fd++) {
		if (s->foreground && s->stdio[fd] == STDIO_OTHER)
			continue;
		if (slave < 0 && null < 0)
			null = openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
		if (dup2(slave >= 0 ? slave : null, fd) < 0)
			return err_set("set stdio");
	}
	return 0;
}

static int chdir_safely(const char *dir)
{
	char cwd[PATH_LEN_MAX];

	if (chdir(dir) < 0)
		return err_set("lxc.init.cwd: chdir %s", dir);
	if (!getcwd(cwd, sizeof(cwd)) || cwd[0] != '/')
		return err_plain("the working directory %s lies outside of the container", dir);
	return 0;
}

/*
 * Root of the user namespace, once there is a map. Until now it was the host's, of which it
 * has no rights but the owner's: those it takes to find the root's place.
 */
static int own_user(const struct start *s, int *root)
{
	if (s->tree >= 0 && (*root = userns_root(s)) < 0)
		return -1;
	return ids_root();
}

static int steps(struct start *s, int sync)
{
	const struct conf *c = s->conf;
	bool labels = c->apparmor || c->selinux || c->selinux_keyring;
	CLEAN_FD int attr = -1;
	int root = -1;                  /* closed by exec */

	if (c->spaces & CLONE_NEWUSER)
		sync_wait(sync);
	if (join_cgroups(s) < 0)
		return -1;
	if (!(c->spaces & CLONE_NEWPID))        /* what it leaves behind stays its own */
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	/* Nobody may look into this process: it holds things of the host until exec. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setsid() < 0)
		return err_set("leave the session");
	if (labels && (attr = lsm_open()) < 0)
		return -1;
	umask(0);
	if ((c->spaces & CLONE_NEWUSER && own_user(s, &root) < 0) || stage_mount(HOOK_PRE_MOUNT, -1) < 0 ||
	    (root < 0 && (root = root_prepare(s->ctr, s->conf, s->app, s->statedir)) < 0) ||
	    make_root(s, root) < 0 || set_stdio(s) < 0 || report(s, sync) < 0)
		return -1;
	times_mark("ready");
	/* Host files must have been opened by now: behind the pivot they are gone. */
	if (identify(c) < 0 || knobs_write(c, 0) < 0 || root_enter(root, c) < 0)
		return -1;
	times_mark("pivot");
	if (c->init_cwd && chdir_safely(c->init_cwd) < 0)
		return -1;
	umask(022);
	if (c->selinux_keyring && lsm_keys(attr, c->selinux_keyring) < 0)
		return -1;
	if (c->keyring != 0 && ids_keyring() < 0)
		return -1;
	if (env_set(c) < 0 || ids_personality(c->arch) < 0 || stage_inside(s, sync) < 0 ||
	    (!(c->spaces & CLONE_NEWUSER) && knobs_limit(c, 0) < 0) ||
	    ids_become(caps_left(c), c->init_uid, c->init_gid, c->groups, c->ngroups,
		       c->no_new_privs, s->filter) < 0)
		return -1;
	if (labels && lsm_exec(attr, c->apparmor, c->selinux, s->app) < 0)
		return -1;
	/* Last: a change of ids takes it back. */
	if (c->sig_pdeath && prctl(PR_SET_PDEATHSIG, c->sig_pdeath, 0, 0, 0) < 0)
		return err_set("lxc.monitor.signal.pdeath");
	times_mark("ids");
	return 0;
}

/* What to run; NULL when an app container has been given nothing. */
static char **command(const struct start *s)
{
	if (s->argv)
		return s->argv;
	if (s->app)
		return s->conf->execute_cmd ? payload_words(s->conf->execute_cmd) : NULL;
	return payload_words(s->conf->init_cmd ? s->conf->init_cmd : "/sbin/init");
}

void child_main(struct start *s, int sync)
{
	struct payload p;

	times_child();
	if (steps(s, sync) < 0)
		sync_fail(sync, EXIT_OWN);
	p.argv = command(s);
	if (!p.argv) {
		err_plain("no command given, and no lxc.execute.cmd in the configuration");
		sync_fail(sync, EXIT_OWN);
	}
	if (!stages_late())
		s->ignored = sync_wait(sync);
	p.ignored = s->ignored;
	times_mark("policy");
	p.terminal = s->ptys.console_peer >= 0 && !(s->foreground && s->stdio[STDIN_FILENO] == STDIO_OTHER);
	if (s->app)
		init_main(sync, &p, s->foreground && s->stdio[STDIN_FILENO] == STDIO_TTY);
	close_from(3, true);
	payload_exec(sync, &p);
}
