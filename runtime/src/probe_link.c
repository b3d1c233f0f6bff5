/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "netlink.h"
#include "probe.h"
#include "sys.h"
#include "util.h"

/* Asks the kernel for a link of this kind; what it answers. */
static enum kstate ask(const char *kind)
{
	const struct ifinfomsg link = { .ifi_family = AF_UNSPEC };
	CLEAN_FD int fd = nl_open(-1);
	struct nl_msg m;
	void *info;

	nl_begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof(link));
	info = nl_nest(&m, IFLA_LINKINFO);
	nl_text(&m, IFLA_INFO_KIND, kind);
	nl_end(&m, info);
	return nl_talk(fd, &m, NULL, NULL) < 0 && errno == EOPNOTSUPP ? K_MISSING : K_ENABLED;
}

/*
 * In a network namespace of its own, which takes the link away again. A kind that is
 * there and lacks something (a parent device) answers with another error.
 */
enum kstate probe_link(const char *kind)
{
	int status;
	pid_t pid = sys_fork();

	if (pid == 0) {
		if (unshare(CLONE_NEWNET) < 0)
			_exit(K_UNKNOWN);
		_exit((int)ask(kind));
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return K_UNKNOWN;
	return (enum kstate)WEXITSTATUS(status);
}
