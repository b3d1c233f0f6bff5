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
static int slave_by_name(int dir, const char *pts, int master)
{
	char name[32];
	struct stat st;
	unsigned number;
	int fd;

	if (ioctl(master, (int)TIOCGPTN, &number) < 0)
		return -1;
	snprintf(name, sizeof(name), "%s%u", dir < 0 ? "/dev/pts/" : pts, number);
	fd = openat(dir, name, O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || major(st.st_rdev) < 136 ||
			major(st.st_rdev) > 143 || !is_devpts(fd))) {
		close(fd);
		errno = ENOTTY;
		return -1;
	}
	return fd;
}

static int open_slave(int dir, const char *pts, int master)
{
	int fd;

	if (feat_on(FEAT_PTPEER)) {
		fd = ioctl(master, (int)SYS_TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (fd >= 0 || (errno != ENOTTY && errno != EINVAL))
			return fd;
	}
	return slave_by_name(dir, pts, master);
}

int pty_open(int dir, const char *pts, int *master, int *slave)
{
	char name[16];
	CLEAN_FD int m = -1;
	int unlocked = 0;

	snprintf(name, sizeof(name), "%sptmx", dir < 0 ? "/dev/" : pts);
	m = openat(dir, name, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (m < 0)
		return err_set("open ptmx");
	/* Only masters have it, of BSD's pairs too; and of these the next step knows no slave. */
	if (ioctl(m, TIOCSPTLCK, &unlocked) < 0)
		return errno == ENOTTY ? err_plain("ptmx is not the pty multiplexer (character device 5:2)") :
					 err_set("unlock a pty");
	*slave = open_slave(dir, pts, m);
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
	*p = (struct proxy){ .master = master, .from = master, .in_open = read_stdin };
	p->out = isatty(STDOUT_FILENO) || !isatty(STDERR_FILENO) ? STDOUT_FILENO : STDERR_FILENO;
	if (!isatty(p->out))            /* `execute ... | less`: the pipe has its own bytes */
		p->out = STDIN_FILENO;
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
	fds[0] = (struct pollfd){ .fd = p->from, .events = POLLIN };
	/* stdin is not read while the master has not taken the last bytes: a paste may be long. */
	if (p->sent < p->used)
		fds[1] = (struct pollfd){ .fd = p->master, .events = POLLOUT };
	else
		fds[1] = (struct pollfd){ .fd = p->in_open ? STDIN_FILENO : -1, .events = POLLIN };
	return 2;
}

static bool show(struct proxy *p)
{
	char buf[2048];
	ssize_t n = read(p->from, buf, sizeof(buf));

	if (n <= 0) {
		p->ended |= n == 0;
		return n < 0 && errno == EINTR;
	}
	write_all(p->out, buf, (size_t)n);
	if (p->tap)
		p->tap(buf, (size_t)n);
	return true;
}

/* Ctrl-a q ends, Ctrl-a with anything else is that alone. */
static void take_escapes(struct proxy *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->used && p->escape && !p->ended; i++) {
		char c = p->buf[i];

		if (c == p->escape && !p->escaped) {
			p->escaped = true;
			continue;
		}
		p->ended = p->escaped && c == 'q';
		p->escaped = false;
		if (!p->ended)
			p->buf[kept++] = c;
	}
	if (p->escape)
		p->used = kept;
}

void proxy_step(struct proxy *p, const struct pollfd *fds, unsigned n)
{
	ssize_t got;

	if (n < 2)
		return;
	if (fds[0].revents)
		show(p);
	if (!fds[1].revents)
		return;
	if (p->sent < p->used) {
		got = write(p->master, p->buf + p->sent, p->used - p->sent);
		p->sent = got > 0 ? p->sent + (size_t)got : errno == EAGAIN ? p->sent : p->used;
		return;
	}
	got = read(STDIN_FILENO, p->buf, sizeof(p->buf));
	p->used = got > 0 ? (size_t)got : 0;
	p->sent = 0;
	p->in_open = got > 0 || (got < 0 && errno == EINTR);
	take_escapes(p);
}

void proxy_restore(struct proxy *p)
{
	if (p->raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
	p->raw = false;
}

void proxy_end(struct proxy *p)
{
	while (show(p))
		;
	proxy_restore(p);
}
