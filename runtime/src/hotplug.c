/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "hotplug.h"
#include "live.h"
#include "monitor.h"
#include "sys.h"

enum { FROM_KERNEL = 1, FROM_UDEV = 2 };        /* multicast groups; udev's come with its links */

int hotplug_open(void)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = FROM_KERNEL | FROM_UDEV };
	CLEAN_FD int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_set("listen for devices that come and go");
	return take_fd(&fd);
}

/* Is any of the events about a device with a node? A lost or a cut one may be. */
static bool drain(int fd)
{
	char text[2048];
	bool found = false;
	ssize_t n;

	while ((n = recv(fd, text, sizeof(text), MSG_DONTWAIT)) >= 0 || errno == ENOBUFS || errno == EINTR)
		found |= n < 0 || n == sizeof(text) || memmem(text, (size_t)n, "DEVNAME=", 8);
	return found;
}

/*
 * In a process of its own, as making nodes works on file systems of the container, which
 * can make it wait for ever. The rules do not wait for that: the pipe closes before. One
 * process makes nodes at a time; what it missed is seen when we look again at its end.
 */
static void look(struct monitor *m)
{
	const struct start *s = m->s;
	int done[2];
	char byte;
	pid_t pid;

	m->look_again = m->looker > 0;
	if (pipe2(done, O_CLOEXEC) < 0)
		return;
	pid = sys_fork();
	if (pid == 0) {
		int rc = live_device(&s->st, s->ctr->name, RULE_ALLOW, NULL);

		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		close(done[0]);
		close(done[1]);
		umask(0);
		if (rc == 0 && m->looker == 0)
			live_nodes(&s->st, s->ctr->name);
		_exit(0);
	}
	close(done[1]);
	(void)!read(done[0], &byte, 1);
	close(done[0]);
	if (pid > 0 && m->looker == 0)
		m->looker = pid;
	else if (pid > 0)
		waitpid(pid, NULL, 0);
}

void hotplug_step(struct monitor *m)
{
	if (drain(m->s->uevents))
		look(m);
}

void hotplug_reap(struct monitor *m)
{
	if (m->looker <= 0 || waitpid(m->looker, NULL, WNOHANG) != m->looker)
		return;
	m->looker = 0;
	if (m->look_again)
		look(m);
}
