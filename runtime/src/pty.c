/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include "feat.h"
#include "path.h"
#include "pty.h"
#include "sys.h"
#include "util.h"

static struct termios saved;            /* of our stdin, while a proxy holds it raw */

bool is_devpts(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == FS_DEVPTS;
}

enum stdio stdio_kind(int fd)
{
	if (isatty(fd))
		return STDIO_TTY;
	return errno == EBADF ? STDIO_CLOSED : STDIO_OTHER;
}

/* Kernels before 4.13: by number in the same instance, and it must be a Unix98 slave. */
static int slave_by_name(int dir, int master)
{
	char name[32];
	struct stat st;
	unsigned number;
	int fd;

	if (ioctl(master, (int)TIOCGPTN, &number) < 0)
		return -1;
	snprintf(name, sizeof(name), dir < 0 ? "/dev/pts/%u" : "%u", number);
	fd = openat(dir < 0 ? AT_FDCWD : dir, name, O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || major(st.st_rdev) < 136 ||
			major(st.st_rdev) > 143 || !is_devpts(fd))) {
		close(fd);
		errno = ENOTTY;
		return -1;
	}
	return fd;
}

static int open_slave(int dir, int master)
{
	int fd;

	if (feat_on(FEAT_PTPEER)) {
		fd = ioctl(master, (int)SYS_TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (fd >= 0 || (errno != ENOTTY && errno != EINVAL))
			return fd;
	}
	return slave_by_name(dir, master);
}

int pty_open(int dir, int *master, int *slave)
{
	CLEAN_FD int m = -1;
	int unlocked = 0;
	struct stat st;

	m = openat(dir < 0 ? AT_FDCWD : dir, dir < 0 ? "/dev/ptmx" : "ptmx",
		   O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (m < 0)
		return err_set("open ptmx");
	if (fstat(m, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2))
		return err_plain("ptmx is not the pty multiplexer (character device 5:2)");
	if (ioctl(m, TIOCSPTLCK, &unlocked) < 0)
		return err_set("unlock a pty");
	*slave = open_slave(dir, m);
	if (*slave < 0)
		return err_set("open a pty's slave");
	*master = take_fd(&m);
	return 0;
}

void pty_size(int from, int to)
{
	struct winsize size;

	if (ioctl(from, TIOCGWINSZ, &size) == 0)
		ioctl(to, TIOCSWINSZ, &size);
}

/* ---- the proxy -------------------------------------------------------------- */

void proxy_begin(struct proxy *p, int master, bool read_stdin)
{
	*p = (struct proxy){ .master = master, .in_open = read_stdin };
	p->out = isatty(STDOUT_FILENO) || !isatty(STDERR_FILENO) ? STDOUT_FILENO : STDERR_FILENO;
	if (!isatty(p->out))            /* `execute ... | less`: the pipe has its own bytes */
		p->out = STDIN_FILENO;
	fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK);
	p->in_tty = read_stdin && tcgetattr(STDIN_FILENO, &saved) == 0;
	if (p->in_tty) {
		struct termios raw = saved;

		cfmakeraw(&raw);
		p->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
		pty_size(STDIN_FILENO, master);
	}
}

unsigned proxy_poll(const struct proxy *p, struct pollfd *fds)
{
	short events = p->sent < p->used ? POLLIN | POLLOUT : POLLIN;

	fds[0] = (struct pollfd){ .fd = p->master, .events = events };
	/* Not read while the master has not taken the last bytes: a paste may be long. */
	fds[1] = (struct pollfd){ .fd = p->in_open && p->sent == p->used ? STDIN_FILENO : -1,
				  .events = POLLIN };
	return 2;
}

static bool from_master(struct proxy *p)
{
	char buf[2048];
	ssize_t n = read(p->master, buf, sizeof(buf));

	if (n <= 0)
		return n < 0 && errno == EINTR;
	write_all(p->out, buf, (size_t)n);
	return true;
}

void proxy_step(struct proxy *p, const struct pollfd *fds, unsigned n)
{
	ssize_t got;

	if (n < 2)
		return;
	if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
		from_master(p);
	if ((fds[0].revents & POLLOUT) && p->sent < p->used) {
		got = write(p->master, p->buf + p->sent, p->used - p->sent);
		if (got > 0)
			p->sent += (size_t)got;
	}
	if (fds[1].revents) {
		got = read(STDIN_FILENO, p->buf, sizeof(p->buf));
		p->used = got > 0 ? (size_t)got : 0;
		p->sent = 0;
		p->in_open = got > 0 || (got < 0 && errno == EINTR);
	}
}

void proxy_end(struct proxy *p)
{
	while (from_master(p))
		;
	if (p->raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
	p->raw = false;
}
