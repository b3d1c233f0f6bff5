/* SPDX-License-Identifier: MIT */
/*
 * In the place of libc's wrappers of system calls, with the same names and contracts for
 * what this program uses: without threads that could be cancelled in them, without what
 * kernels before 4.9 lack, and without structures that another version of libc had.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include "sys.h"

int call_openat(int dir, const char *path, int flags, mode_t mode)
{
	return (int)syscall(SYS_openat, dir, path, flags | O_LARGEFILE, mode);
}

int call_fcntl(int fd, int command, int value)
{
	return sys_fcntl(fd, command, value | (command == F_SETFL ? O_LARGEFILE : 0));
}

int call_ioctl(int fd, unsigned request, uintptr_t value)
{
	return (int)syscall(SYS_ioctl, fd, request, value);
}

int call_prctl(int what, uintptr_t value, uintptr_t more)
{
	return (int)syscall(SYS_prctl, what, value, more, 0, 0);
}

int pipe2(int fd[2], int flags)
{
	return (int)syscall(SYS_pipe2, fd, flags);
}

int fchdir(int fd)
{
	return (int)syscall(SYS_fchdir, fd);
}

/* ---- signals -------------------------------------------------------------------- */

/* Where a handler returns to. ARM's kernels have such code themselves. */
#if defined(__x86_64__) || defined(__i386__)
#define SYS_SA_RESTORER 0x04000000u

__attribute__((naked)) static void leave_handler(void)
{
#ifdef __x86_64__
	__asm__("movl $15, %eax\n\tsyscall");
#else
	__asm__("movl $173, %eax\n\tint $0x80");
#endif
}
#else
#define SYS_SA_RESTORER 0u
#define leave_handler NULL
#endif

/* What the kernel takes, on all of ours. The return value of none of these is looked at. */
void (*signal(int number, void (*handler)(int)))(int)
{
	const struct {
		void (*handler)(int);
		unsigned long flags;
		void (*back)(void);
		unsigned long mask[2];
	} a = { handler, SA_RESTART | SA_SIGINFO | SYS_SA_RESTORER, leave_handler, { 0 } };

	return syscall(SYS_rt_sigaction, number, &a, NULL, 8) < 0 ? SIG_ERR : SIG_DFL;
}

int signalfd(int fd, const sigset_t *set, int flags)
{
	return (int)syscall(SYS_signalfd4, fd, set, 8, flags);
}

/* ---- terminals -------------------------------------------------------------------- */

int isatty(int fd)
{
	struct winsize size;

	return call_ioctl(fd, TIOCGWINSZ, (uintptr_t)&size) == 0;
}

int tcgetattr(int fd, struct termios *t)
{
	return call_ioctl(fd, TCGETS, (uintptr_t)t);
}

int tcsetattr(int fd, int when, const struct termios *t)
{
	return call_ioctl(fd, (unsigned)(TCSETS + when), (uintptr_t)t);
}

int tcflush(int fd, int queue)
{
	return call_ioctl(fd, TCFLSH, (uintptr_t)queue);
}

void *mmap(void *at, size_t size, int rights, int flags, int fd, off_t from)
{
#ifdef SYS_mmap2
	return (void *)syscall(SYS_mmap2, at, size, rights, flags, fd, (long)(from / 4096));
#else
	return (void *)syscall(SYS_mmap, at, size, rights, flags, fd, (long)from);
#endif
}

/* ---- sockets -------------------------------------------------------------------- */

int socket(int family, int type, int protocol)
{
	return (int)syscall(SYS_socket, family, type, protocol);
}

int socketpair(int family, int type, int protocol, int fd[2])
{
	return (int)syscall(SYS_socketpair, family, type, protocol, fd);
}

int accept4(int fd, struct sockaddr *restrict from, socklen_t *restrict size, int flags)
{
	return (int)syscall(SYS_accept4, fd, from, size, flags);
}

/* What the kernel takes for the upper half of lengths has to be 0, which it is in ours. */
ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	return syscall(SYS_sendmsg, fd, m, flags);
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	return syscall(SYS_recvmsg, fd, m, flags);
}

/* ---- files ------------------------------------------------------------------------ */

#ifdef SYS_statfs64
#define STATFS(name) SYS_##name##64, what, sizeof(*s)
#else
#define STATFS(name) SYS_##name, what
#endif

int statfs(const char *what, struct statfs *s)
{
	return (int)syscall(STATFS(statfs), s);
}

int fstatfs(int what, struct statfs *s)
{
	return (int)syscall(STATFS(fstatfs), s);
}

/* The flags alone, which have the same values. */
static int flags_of(int rc, const struct statfs *s, struct statvfs *v)
{
	v->f_flag = (unsigned long)s->f_flags;
	return rc;
}

int statvfs(const char *restrict path, struct statvfs *restrict v)
{
	struct statfs s = { .f_flags = 0 };

	return flags_of(statfs(path, &s), &s, v);
}

int fstatvfs(int fd, struct statvfs *v)
{
	struct statfs s = { .f_flags = 0 };

	return flags_of(fstatfs(fd, &s), &s, v);
}

/* What is used of it. With 64 bits libc's structure is the kernel's. */
#ifdef SYS_newfstatat
int fstatat(int dir, const char *restrict path, struct stat *restrict st, int flags)
{
	return (int)syscall(SYS_newfstatat, dir, path, st, flags);
}

int fstat(int fd, struct stat *st)
{
	return (int)syscall(SYS_fstat, fd, st);
}
#else
/* The kernel's of all our 32-bit architectures. */
struct old_stat {
	uint64_t dev;
	uint32_t no_dev, no_ino, mode, nlink, uid, gid;
	uint64_t rdev;
	uint32_t no_rdev;
	int64_t size;
	uint32_t block_size;
	uint64_t blocks;
	uint32_t atime, atime_ns, mtime, mtime_ns, ctime, ctime_ns;
	uint64_t ino;
};
_Static_assert(sizeof(struct old_stat) == 96 || sizeof(struct old_stat) == 104, "x86, where 64 bits are put at 4; ARM");

static int old_fstatat(int dir, const char *path, struct stat *st, int flags)
{
	struct old_stat k;

	if (syscall(SYS_fstatat64, dir, path, &k, flags) < 0)
		return -1;
	*st = (struct stat){
		.st_dev = k.dev, .st_ino = k.ino, .st_mode = k.mode, .st_nlink = k.nlink, .st_uid = k.uid,
		.st_gid = k.gid, .st_rdev = k.rdev, .st_size = k.size,
		.st_atim = { .tv_sec = k.atime, .tv_nsec = (long)k.atime_ns },
		.st_mtim = { .tv_sec = k.mtime, .tv_nsec = (long)k.mtime_ns },
	};
	return 0;
}

int fstatat(int dir, const char *restrict path, struct stat *restrict st, int flags)
{
	struct statx x;

	if (syscall(SYS_statx, dir, path, flags | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &x) < 0)
		return errno == ENOSYS ? old_fstatat(dir, path, st, flags) : -1;        /* before Linux 4.11 */
	*st = (struct stat){
		.st_dev = makedev(x.stx_dev_major, x.stx_dev_minor), .st_ino = x.stx_ino, .st_mode = x.stx_mode,
		.st_nlink = x.stx_nlink, .st_uid = x.stx_uid, .st_gid = x.stx_gid,
		.st_rdev = makedev(x.stx_rdev_major, x.stx_rdev_minor), .st_size = (off_t)x.stx_size,
		.st_atim = { .tv_sec = x.stx_atime.tv_sec, .tv_nsec = (long)x.stx_atime.tv_nsec },
		.st_mtim = { .tv_sec = x.stx_mtime.tv_sec, .tv_nsec = (long)x.stx_mtime.tv_nsec },
	};
	return 0;
}

int fstat(int fd, struct stat *st)
{
	return fstatat(fd, "", st, AT_EMPTY_PATH);
}
#endif

int stat(const char *restrict path, struct stat *restrict st)
{
#if defined(SYS_newfstatat) && defined(SYS_stat)
	return (int)syscall(SYS_stat, path, st);
#else
	return fstatat(AT_FDCWD, path, st, 0);
#endif
}

struct __dirstream {
	int fd, used, size;
	_Alignas(struct dirent) char bytes[2048];
};

DIR *fdopendir(int fd)
{
	DIR *d = malloc(sizeof(*d));

	if (d) {
		d->fd = fd;
		d->used = d->size = 0;
	}
	return d;
}

DIR *opendir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? NULL : fdopendir(fd);
}

int dirfd(DIR *d)
{
	return d->fd;
}

struct dirent *readdir(DIR *d)
{
	struct dirent *e;

	if (d->used >= d->size) {
		d->size = (int)syscall(SYS_getdents64, d->fd, d->bytes, sizeof(d->bytes));
		d->used = 0;
		if (d->size <= 0)
			return NULL;
	}
	e = (void *)(d->bytes + d->used);
	d->used += e->d_reclen;
	return e;
}

int closedir(DIR *d)
{
	int fd = d->fd;

	free(d);
	return close(fd);
}

/* ---- the environment ---------------------------------------------------------------- */

static char **find(const char *name, size_t n)
{
	char **at = environ;

	while (*at && (strncmp(*at, name, n) != 0 || (*at)[n] != '='))
		at++;
	return at;
}

char *getenv(const char *name)
{
	size_t n = strlen(name);
	char **at = find(name, n);

	return *at ? *at + n + 1 : NULL;
}

int unsetenv(const char *name)
{
	for (char **at = find(name, strlen(name)); *at; at++)
		at[0] = at[1];
	return 0;
}

int putenv(char *pair)
{
	char **at = find(pair, strcspn(pair, "="));

	if (!strchr(pair, '='))
		return unsetenv(pair);
	if (!*at) {                     /* one more: the list moves to where there is room for it */
		size_t n = (size_t)(at - environ);
		char **more = malloc((n + 2) * sizeof(*more));

		if (!more)
			return -1;
		memcpy(more, environ, n * sizeof(*more));
		more[n + 1] = NULL;
		at = more + n;
		environ = more;
	}
	*at = pair;
	return 0;
}

int setenv(const char *name, const char *value, int replace)
{
	size_t n = strlen(name), size = strlen(value) + 1;
	char *pair = malloc(n + 1 + size);

	(void)replace;                  /* all of ours do */
	if (!pair)
		return -1;
	memcpy(pair, name, n);
	pair[n] = '=';
	memcpy(pair + n + 1, value, size);
	return putenv(pair);
}

int clearenv(void)
{
	static char *none[1];

	environ = none;
	return 0;
}
