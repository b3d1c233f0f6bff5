/* SPDX-License-Identifier: MIT */
/*
 * System calls and constants that musl does not wrap. The numbers from 424 on are the
 * same on every architecture. Structures are declared here rather than taken from
 * <linux/...>, whose headers clash with musl's <sys/mount.h> and <sched.h>.
 */
#ifndef SAMPAN_SYS_H
#define SAMPAN_SYS_H

#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum {
	NR_PIDFD_SEND_SIGNAL = 424, NR_OPEN_TREE = 428, NR_MOVE_MOUNT = 429, NR_PIDFD_OPEN = 434,
	NR_CLONE3 = 435, NR_CLOSE_RANGE = 436, NR_OPENAT2 = 437, NR_MOUNT_SETATTR = 442,
};

#define SYS_CLONE_INTO_CGROUP    0x200000000ULL
#define SYS_CLONE_NEWCGROUP      0x02000000
#define SYS_CLONE_NEWTIME        0x00000080
#define SYS_OPEN_TREE_CLONE      1u
#define SYS_AT_RECURSIVE         0x8000u
#define SYS_MOVE_MOUNT_F_EMPTY   0x00000004u
#define SYS_MOVE_MOUNT_T_EMPTY   0x00000040u
#define SYS_CLOSE_RANGE_CLOEXEC  4u
#define SYS_RESOLVE_NO_MAGICLINKS 0x02u
#define SYS_RESOLVE_IN_ROOT      0x10u
#define SYS_TIOCGPTPEER          0x5441         /* _IO('T', 0x41), the same on x86 and ARM */

enum {                                          /* MOUNT_ATTR_*, bits as in MS_* where they exist */
	SYS_ATTR_RDONLY = 0x01, SYS_ATTR_NOSUID = 0x02, SYS_ATTR_NODEV = 0x04,
	SYS_ATTR_NOEXEC = 0x08, SYS_ATTR__ATIME = 0x70, SYS_ATTR_NOATIME = 0x10,
	SYS_ATTR_STRICTATIME = 0x20, SYS_ATTR_NODIRATIME = 0x80, SYS_ATTR_IDMAP = 0x100000,
};

enum { FS_PROC = 0x9fa0, FS_DEVPTS = 0x1cd1, FS_CGROUP = 0x27e0eb, FS_CGROUP2 = 0x63677270 };  /* f_type of statfs(2) */

struct sys_clone_args {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal;
	uint64_t stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

struct sys_open_how {
	uint64_t flags, mode, resolve;
};

struct sys_mount_attr {
	uint64_t attr_set, attr_clr, propagation, userns_fd;
};

struct sys_cap_header {
	uint32_t version;
	int pid;
};

struct sys_cap_data {
	uint32_t effective, permitted, inheritable;
};

#define SYS_CAP_VERSION_3 0x20080522u

static inline int sys_clone3(struct sys_clone_args *args)
{
	return (int)syscall(NR_CLONE3, args, sizeof(*args));
}

/* All argument orders of clone(2) agree when everything but the flags is 0. */
static inline int sys_clone(unsigned long flags)
{
	return (int)syscall(SYS_clone, flags | SIGCHLD, 0L, 0L, 0L, 0L);
}

static inline int sys_openat2(int dir, const char *path, struct sys_open_how *how)
{
	return (int)syscall(NR_OPENAT2, dir, path, how, sizeof(*how));
}

static inline int sys_open_tree(int dir, const char *path, unsigned flags)
{
	return (int)syscall(NR_OPEN_TREE, dir, path, flags);
}

static inline int sys_move_mount(int from, int to)
{
	return (int)syscall(NR_MOVE_MOUNT, from, "", to, "",
			    SYS_MOVE_MOUNT_F_EMPTY | SYS_MOVE_MOUNT_T_EMPTY);
}

static inline int sys_mount_setattr(int fd, unsigned flags, struct sys_mount_attr *attr)
{
	return (int)syscall(NR_MOUNT_SETATTR, fd, "", flags, attr, sizeof(*attr));
}

static inline int sys_pidfd_open(pid_t pid)
{
	return (int)syscall(NR_PIDFD_OPEN, pid, 0);
}

static inline int sys_pidfd_signal(int pidfd, int sig)
{
	return (int)syscall(NR_PIDFD_SEND_SIGNAL, pidfd, sig, NULL, 0);
}

static inline int sys_close_range(unsigned first, unsigned last, unsigned flags)
{
	return (int)syscall(NR_CLOSE_RANGE, first, last, flags);
}

static inline int sys_pivot_root(const char *to, const char *old)
{
	return (int)syscall(SYS_pivot_root, to, old);
}

static inline int sys_capset(struct sys_cap_header *h, const struct sys_cap_data *d)
{
	return (int)syscall(SYS_capset, h, d);
}

/* The same as clone(2) without flags; libc's saves and restores signal masks around it. */
static inline int sys_fork(void)
{
	return sys_clone(0);
}

/*
 * For this thread alone, which is the only one: libc's stop all others by signals
 * first. The 32-bit architectures have a second set of numbers for 32-bit ids.
 */
#ifdef SYS_setresuid32
enum { NR_SETRESUID = SYS_setresuid32, NR_SETRESGID = SYS_setresgid32,
       NR_SETGROUPS = SYS_setgroups32 };
#else
enum { NR_SETRESUID = SYS_setresuid, NR_SETRESGID = SYS_setresgid, NR_SETGROUPS = SYS_setgroups };
#endif

static inline int sys_become(uid_t uid)
{
	return (int)syscall(NR_SETRESUID, uid, uid, uid);
}

static inline int sys_become_group(gid_t gid)
{
	return (int)syscall(NR_SETRESGID, gid, gid, gid);
}

static inline int sys_set_groups(const gid_t *groups, unsigned n)
{
	return (int)syscall(NR_SETGROUPS, n, groups);
}

/* Without libc's struct flock translation; none of ours has one. */
static inline int sys_fcntl(int fd, int command, int value)
{
#ifdef SYS_fcntl64
	return (int)syscall(SYS_fcntl64, fd, command, value);
#else
	return (int)syscall(SYS_fcntl, fd, command, value);
#endif
}

int64_t sys_clock_ns(int clock);         /* without the vDSO, whose reader is larger than all of this */
long long now_ms(void);                 /* CLOCK_MONOTONIC */

struct sys_dirent {                     /* what getdents64(2) fills in */
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

static inline long sys_getdents(int fd, void *buf, size_t size)
{
	return syscall(SYS_getdents64, fd, buf, size);
}

static inline int sys_execveat(int fd, char *const argv[], char *const envp[])
{
	return (int)syscall(SYS_execveat, fd, "", argv, envp, 0x1000 /* AT_EMPTY_PATH */);
}

#endif
