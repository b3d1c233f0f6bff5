/* SPDX-License-Identifier: MIT */
/*
 * The least a start can cost on this kernel: what the runtime does for the bench's
 * container, with nothing read, checked, recorded or supervised.
 *
 *   floor v2|v1|none CGROUP ROOTFS COMMAND [ARG]...
 *
 * CGROUP is the directory to make: of a v2 hierarchy, or of the v1 devices controller.
 * Namespaces pid mount uts ipc net cgroup; /dev with nodes, devpts, shm and console;
 * /proc with a read-only sys; /sys read-only; lo up; three capabilities; no_new_privs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <net/if.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

/* <sys/mount.h> and <sched.h> clash with the headers above. */
int mount(const char *, const char *, const char *, unsigned long, const void *);
int umount2(const char *, int);
int unshare(int);
enum { RDONLY = 1, NOSUID = 2, NODEV = 4, NOEXEC = 8, REMOUNT = 32, BIND = 4096, REC = 16384,
       SLAVE = 1 << 19, DETACH = 2, NO_ALL = NOSUID | NODEV | NOEXEC };

static const unsigned char devices[][2] = { { 1, 3 }, { 1, 5 }, { 1, 7 }, { 1, 8 }, { 1, 9 },
					    { 5, 0 }, { 5, 2 } };
enum { NDEVICES = sizeof(devices) / sizeof(devices[0]) };

#define MUST(call) do { if ((call) < 0) { fprintf(stderr, "floor: %s: %s\n", #call, strerror(errno)); \
					  _exit(125); } } while (0)

static void put(const char *dir, const char *file, const char *text)
{
	char path[400];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	MUST(fd = openat(AT_FDCWD, path, O_WRONLY | O_CLOEXEC));
	MUST(write(fd, text, strlen(text)));
	close(fd);
}

static void policy_v1(const char *dir)
{
	char line[40];

	put(dir, "devices.deny", "a");
	for (int i = 0; i < NDEVICES; i++) {
		snprintf(line, sizeof(line), "c %d:%d rwm", devices[i][0], devices[i][1]);
		put(dir, "devices.allow", line);
	}
}

static void policy_v2(int dir)
{
	struct bpf_insn p[64] = {
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 4, .src_reg = 1, .off = 4 },
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 5, .src_reg = 1, .off = 8 },
	};
	union bpf_attr attr;
	unsigned n = 2;
	int fd;

	for (int i = 0; i < NDEVICES; i++) {
		p[n++] = (struct bpf_insn){ BPF_JMP | BPF_JNE | BPF_K, 4, 0, 3, devices[i][0] };
		p[n++] = (struct bpf_insn){ BPF_JMP | BPF_JNE | BPF_K, 5, 0, 2, devices[i][1] };
		p[n++] = (struct bpf_insn){ BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1 };
		p[n++] = (struct bpf_insn){ BPF_JMP | BPF_EXIT, 0, 0, 0, 0 };
	}
	p[n++] = (struct bpf_insn){ BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0 };
	p[n++] = (struct bpf_insn){ BPF_JMP | BPF_EXIT, 0, 0, 0, 0 };
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uintptr_t)p;
	attr.insn_cnt = n;
	attr.license = (uintptr_t)"Dual MIT/GPL";
	MUST(fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)));
	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (unsigned)dir;
	attr.attach_bpf_fd = (unsigned)fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	MUST(syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)));
	close(fd);
}

static void read_only(const char *at)
{
	MUST(mount(at, at, NULL, BIND, NULL));
	MUST(mount(NULL, at, NULL, REMOUNT | BIND | RDONLY | NO_ALL, NULL));
}

/* What is not in this kernel costs a call all the same: who starts does not know. */
static void cover_proc(void)
{
	static const char *const hidden[] = { "proc/kcore", "proc/keys", "proc/timer_list", "proc/sched_debug",
					      "proc/latency_stats", "proc/acpi", "proc/scsi" };
	static const char *const fixed[] = { "proc/sysrq-trigger", "proc/bus", "proc/fs", "proc/irq",
					     "proc/sys" };

	for (int i = 0; i < 7; i++)
		if (mount("/dev/null", hidden[i], NULL, BIND, NULL) < 0 && errno == ENOTDIR)
			MUST(mount("none", hidden[i], "tmpfs", NO_ALL | RDONLY, "size=4k"));
	for (int i = 0; i < 5; i++)
		if (mount(fixed[i], fixed[i], NULL, BIND, NULL) == 0)
			MUST(mount(NULL, fixed[i], NULL, REMOUNT | BIND | RDONLY | NO_ALL, NULL));
	MUST(mount("proc/sys/net", "proc/sys/net", NULL, BIND, NULL));
	MUST(mount(NULL, "proc/sys/net", NULL, REMOUNT | BIND | NO_ALL, NULL));
}

static void make_dev(void)
{
	static const char *const name[] = { "dev/null", "dev/zero", "dev/full", "dev/random",
					    "dev/urandom", "dev/tty" };
	static const char *const link[][2] = {
		{ "/proc/self/fd", "dev/fd" }, { "/proc/self/fd/0", "dev/stdin" },
		{ "/proc/self/fd/1", "dev/stdout" }, { "/proc/self/fd/2", "dev/stderr" },
		{ "pts/ptmx", "dev/ptmx" },
	};
	int unlocked = 0, master;
	char slave[32];

	MUST(mount("none", "dev", "tmpfs", NOSUID, "mode=755,size=500000"));
	MUST(mkdir("dev/pts", 0755));
	MUST(mkdir("dev/shm", 01777));
	MUST(mkdir("dev/mqueue", 0755));
	MUST(mount("devpts", "dev/pts", "devpts", NOSUID | NOEXEC, "newinstance,gid=5,mode=620,ptmxmode=0666"));
	MUST(mount("tmpfs", "dev/shm", "tmpfs", NOSUID | NODEV, "mode=1777"));
	for (int i = 0; i < 6; i++)
		MUST(mknod(name[i], S_IFCHR | 0666, makedev(devices[i][0], devices[i][1])));
	for (int i = 0; i < 5; i++)
		MUST(symlink(link[i][0], link[i][1]));
	MUST(master = openat(AT_FDCWD, "dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
	MUST(ioctl(master, TIOCSPTLCK, &unlocked));
	snprintf(slave, sizeof(slave), "dev/pts/0");
	MUST(mknod("dev/console", S_IFREG | 0600, 0));
	MUST(mount(slave, "dev/console", NULL, BIND, NULL));
}

static void make_root(const char *rootfs)
{
	MUST(mount(NULL, "/", NULL, REC | SLAVE, NULL));
	MUST(mount(rootfs, rootfs, NULL, BIND | REC, NULL));
	MUST(chdir(rootfs));
	make_dev();
	MUST(mount("proc", "proc", "proc", NO_ALL, NULL));
	cover_proc();
	MUST(mount("sysfs", "sys", "sysfs", NO_ALL, NULL));
	read_only("sys");
	MUST(syscall(SYS_pivot_root, ".", "."));
	MUST(umount2(".", DETACH));
	MUST(chdir("/"));
}

static void drop(void)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	uint32_t keep = 1u << CAP_KILL | 1u << CAP_NET_BIND_SERVICE | 1u << CAP_AUDIT_WRITE;
	struct __user_cap_data_struct d[2] = { { keep, keep, 0 }, { 0, 0, 0 } };

	for (int c = 0; c <= 40; c++)
		if (c > 31 || !(keep >> c & 1))
			(void)prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
	MUST(syscall(SYS_capset, &h, d));
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static void lo_up(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	MUST(s);
	MUST(ioctl(s, SIOCSIFFLAGS, &r));
	close(s);
}

int main(int argc, char **argv)
{
	static char *const env[] = { "PATH=/bin:/sbin", "HOME=/", NULL };
	struct clone_args ca = { .exit_signal = SIGCHLD, .flags = CLONE_NEWPID | CLONE_NEWNS |
				 CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET };
	int dir = -1, status;
	pid_t pid;

	if (argc < 5)
		return 2;
	if (argv[1][0] == 'v')
		MUST(mkdir(argv[2], 0755));
	if (strcmp(argv[1], "v2") == 0) {
		MUST(dir = openat(AT_FDCWD, argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		policy_v2(dir);
		ca.flags |= CLONE_INTO_CGROUP;
		ca.cgroup = (uint64_t)dir;
	} else if (strcmp(argv[1], "v1") == 0) {
		policy_v1(argv[2]);
	}
	MUST(pid = (pid_t)syscall(SYS_clone3, &ca, sizeof(ca)));
	if (pid == 0) {
		umask(0);
		if (strcmp(argv[1], "v1") == 0)
			put(argv[2], "tasks", "0");
		MUST(unshare(CLONE_NEWCGROUP));
		make_root(argv[3]);
		MUST(sethostname("floor", 5));
		lo_up();
		drop();
		MUST(execve(argv[4], argv + 4, env));
	}
	MUST(waitpid(pid, &status, 0));
	if (argv[1][0] == 'v')
		MUST(rmdir(argv[2]));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
