/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "probe.h"
#include "sys.h"
#include "util.h"

struct request {
	struct nlmsghdr head;
	struct ifinfomsg link;
	struct rtattr info;             /* IFLA_LINKINFO, holding IFLA_INFO_KIND */
	struct rtattr kind;
	char name[16];
};

/* The kernel's answer to a new link of this kind; 0 when it was made. */
static int ask(const char *kind)
{
	CLEAN_FD int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct request r = { .head = { .nlmsg_type = RTM_NEWLINK, .nlmsg_len = sizeof(r),
				       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE |
						      NLM_F_EXCL } };
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char rest[512];
	} answer;

	strncpy(r.name, kind, sizeof(r.name) - 1);
	r.kind.rta_type = IFLA_INFO_KIND;
	r.kind.rta_len = sizeof(r.kind) + sizeof(r.name);
	r.info.rta_type = IFLA_LINKINFO;
	r.info.rta_len = (unsigned short)(sizeof(r.info) + r.kind.rta_len);
	if (fd < 0 || send(fd, &r, sizeof(r), 0) < 0 ||
	    recv(fd, &answer, sizeof(answer), 0) < (ssize_t)sizeof(answer.head) + 4)
		return -errno;
	return answer.error.error;
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
		_exit(ask(kind) == -EOPNOTSUPP ? K_MISSING : K_ENABLED);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return K_UNKNOWN;
	return (enum kstate)WEXITSTATUS(status);
}
