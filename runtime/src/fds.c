/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <unistd.h>
#include "fds.h"
#include "feat.h"
#include "sys.h"
#include "util.h"

union control {
	char buf[CMSG_SPACE(sizeof(int) * FDS_MAX)];
	struct cmsghdr align;
};

int fds_send(int sock, const void *data, size_t size, const int *fds, size_t n)
{
	union control u;
	struct iovec iov = { (void *)(size_t)data, size };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n > 0) {
		struct cmsghdr *c;

		memset(&u, 0, sizeof(u));
		h.msg_control = u.buf;
		h.msg_controllen = (socklen_t)CMSG_SPACE(sizeof(int) * n);
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = (socklen_t)CMSG_LEN(sizeof(int) * n);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
	}
	return sendmsg(sock, &h, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

ssize_t fds_receive(int sock, void *data, size_t size, int *fds, size_t *n)
{
	union control u;
	struct iovec iov = { data, size };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf,
			    .msg_controllen = sizeof(u.buf) };
	ssize_t got = recvmsg(sock, &h, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = got < 0 ? NULL : CMSG_FIRSTHDR(&h);

	*n = 0;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		*n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), *n * sizeof(int));
	}
	return got;
}

static void shut(int fd, bool cloexec)
{
	if (!cloexec)
		close(fd);
	else
		sys_fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* What is open, and no more; it may lie above the limit, which was perhaps lowered since. False without a /proc. */
static bool shut_listed(int first, bool cloexec)
{
	_Alignas(struct sys_dirent) char buf[1024];
	int list = openat(AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;
	long n = -1;

	if (list >= 0 && fstatfs(list, &fs) == 0 && fs.f_type == FS_PROC)
		while ((n = sys_getdents(list, buf, sizeof(buf))) > 0)
			for (long at = 0; at < n;) {
				const struct sys_dirent *d = (const void *)(buf + at);
				int fd = atoi(d->name);         /* 0 for "." */

				at += d->reclen;
				if (fd > 0 && fd >= first && fd != list)
					shut(fd, cloexec);
			}
	close_fd(&list);
	return n == 0;
}

/* Kernels before 5.9 have no close_range; where there is no /proc the limit is what can be open at all. */
void close_from(int first, bool cloexec)
{
	struct rlimit most = { 0, 0 };

	if (feat_on(FEAT_CLOSE_RANGE) &&
	    (sys_close_range((unsigned)first, ~0u, cloexec ? SYS_CLOSE_RANGE_CLOEXEC : 0) == 0))
		return;
	if (shut_listed(first, cloexec))
		return;
	prlimit(0, RLIMIT_NOFILE, NULL, &most);
	if (most.rlim_cur == 0 || most.rlim_cur > 65536)
		most.rlim_cur = 65536;
	for (int fd = first; fd < (int)most.rlim_cur; fd++)
		shut(fd, cloexec);
}
