/* SPDX-License-Identifier: MIT */
/*
 * Asks the running kernel what a task may do to devices, and wakes no driver: access(2) is
 * answered by the device cgroup alone. Compiled without a libc so that it is small enough to be
 * sent over a serial line, and runs in any container, also in one without a shell.
 *
 *   prober <LIST    on the host: makes nodes here; LIST is words like c252:0 or b8:16
 *   prober <DIR     in the container: tries every node of DIR (a container may make none), prints
 *                   NAME READ WRITE BOTH MKNOD OPEN as errno numbers (0: allowed, 255: not tried)
 *                   of what is not refused altogether, then `end` and how many there were
 *
 * OPEN is for the memory devices, whose drivers do not mind: it proves that access(2) tells the truth.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UNTRIED 255

static long sys(long nr, long a, long b, long c, long d)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	__asm__ volatile("syscall" : "+a"(nr) : "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return nr;
#elif defined(__i386__)
	__asm__ volatile("int $0x80" : "+a"(nr) : "b"(a), "c"(b), "d"(c), "S"(d) : "memory");
	return nr;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = nr, x0 __asm__("x0") = a, x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c, x3 __asm__("x3") = d;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
#elif defined(__arm__)
	register long r7 __asm__("r7") = nr, r0 __asm__("r0") = a, r1 __asm__("r1") = b;
	register long r2 __asm__("r2") = c, r3 __asm__("r3") = d;
	__asm__ volatile("svc 0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2), "r"(r3) : "memory");
	return r0;
#endif
}

/* As getdents64 fills it. */
struct entry {
	unsigned long long ino, off;
	unsigned short len;
	unsigned char type;
	char name[];
};

static union {
	struct entry first;
	char bytes[16384];
} in;
static char out[4096];
static unsigned used;

static void flush(void)
{
	sys(__NR_write, 1, (long)out, (long)used, 0);
	used = 0;
}

static void put(const char *text)
{
	while (*text)
		out[used++] = *text++;
}

/* Without a division, which ARM cores before ARMv7 leave to a library. */
static void put_number(unsigned n)
{
	static const unsigned powers[] = { 1000000, 100000, 10000, 1000, 100, 10, 1 };
	unsigned begun = 0;

	for (unsigned i = 0; i < sizeof(powers) / sizeof(*powers); i++) {
		char digit = '0';

		for (; n >= powers[i]; n -= powers[i])
			digit++;
		begun |= digit != '0' || powers[i] == 1;
		if (begun)
			out[used++] = digit;
	}
}

static unsigned number(const char **p)
{
	unsigned n = 0;

	while (**p >= '0' && **p <= '9')
		n = n * 10 + (unsigned)(*(*p)++ - '0');
	return n;
}

/* The mode and number of a node by its name; a mode of 0 when it is none. */
static unsigned node(const char *name, unsigned *major, unsigned *minor)
{
	const char *p = name + 1;

	if (*name != 'b' && *name != 'c')
		return 0;
	*major = number(&p);
	if (*p++ != ':')
		return 0;
	*minor = number(&p);
	return (*name == 'b' ? S_IFBLK : S_IFCHR) | 0666;
}

static unsigned make(int dir, const char *name, unsigned mode, unsigned major, unsigned minor)
{
	unsigned dev = (minor & 0xff) | major << 8 | (minor & 0xfff00) << 12;

	return (unsigned)-sys(__NR_mknodat, dir, (long)name, (long)mode, (long)dev);
}

static unsigned try_open(const char *name)
{
	long fd = sys(__NR_openat, 0, (long)name, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);

	if (fd < 0)
		return (unsigned)-fd;
	sys(__NR_close, fd, 0, 0, 0);
	return 0;
}

/* null, zero, full, random, urandom. */
static bool harmless(char kind, unsigned major, unsigned minor)
{
	return kind == 'c' && major == 1 && minor < 10 && (1u << minor & 0x3a8);
}

static unsigned try(const char *name)
{
	static const char asked[] = { R_OK, W_OK, R_OK | W_OK };
	unsigned major, minor, mode = node(name, &major, &minor), got[5];

	if (!mode)
		return 0;
	for (int i = 0; i < 3; i++)
		got[i] = (unsigned)-sys(__NR_faccessat, 0, (long)name, asked[i], 0);
	got[3] = make(0, ".new", mode, major, minor);
	if (!got[3])
		sys(__NR_unlinkat, 0, (long)".new", 0, 0);
	got[4] = harmless(*name, major, minor) ? try_open(name) : UNTRIED;
	if ((got[0] & got[1] & got[2] & got[3] & got[4]) == 1 && (got[0] | got[1] | got[2] | got[3]) == 1)
		return 1;
	put(name);
	for (int i = 0; i < 5; i++) {
		put(" ");
		put_number(got[i]);
	}
	put("\n");
	if (used > sizeof(out) - 300)
		flush();
	return 1;
}

static unsigned try_all(long n)
{
	unsigned count = 0;

	for (; n > 0; n = sys(__NR_getdents64, 0, (long)in.bytes, sizeof(in.bytes), 0)) {
		for (long at = 0; at < n;) {
			struct entry *entry = (struct entry *)(in.bytes + at);

			count += try(entry->name);
			at += entry->len;
		}
	}
	return count;
}

static unsigned make_all(void)
{
	unsigned count = 0, fill = 0, major, minor, mode;
	char word[32], c;
	long n;

	sys(__NR_umask, 0, 0, 0, 0);
	while ((n = sys(__NR_read, 0, (long)in.bytes, sizeof(in.bytes), 0)) > 0) {
		for (long i = 0; i < n; i++) {
			c = in.bytes[i];
			if (c > ' ' && fill < sizeof(word) - 1) {
				word[fill++] = c;
				continue;
			}
			word[fill] = 0;
			mode = fill ? node(word, &major, &minor) : 0;
			fill = 0;
			if (mode && make(AT_FDCWD, word, mode, major, minor) == 0)
				count++;
		}
	}
	return count;
}

#if defined(__x86_64__) || defined(__i386__)
__attribute__((force_align_arg_pointer))
#endif
void _start(void);
void _start(void)
{
	long n = sys(__NR_getdents64, 0, (long)in.bytes, sizeof(in.bytes), 0);
	unsigned count = n < 0 ? make_all() : try_all(n);

	put("end ");
	put_number(count);
	put("\n");
	flush();
	for (;;)
		sys(__NR_exit, 0, 0, 0, 0);
}
