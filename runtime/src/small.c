/* SPDX-License-Identifier: MIT */
/*
 * In the place of parts of libc, with the same names and contracts for what this program
 * uses. What they leave out is named at each; together they save a tenth of the program.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "sys.h"
#include "util.h"

/* ---- output ------------------------------------------------------------------ */

static char buffers[2][OUTPUT_BYTES];

FILE output_out, output_err;

/* Of these two not in the FILE: a page of variables that begin with a value costs each start (guard.c). */
static int fd_of(const FILE *f)
{
	return f == stdout ? STDOUT_FILENO : f == stderr ? STDERR_FILENO : f->fd;
}

static char *bytes_of(const FILE *f)
{
	return f == stdout ? buffers[0] : f == stderr ? buffers[1] : f->bytes;
}

int fflush(FILE *f)
{
	if (!write_all(fd_of(f), bytes_of(f), f->used))
		f->failed = true;
	f->used = 0;
	return f->failed ? EOF : 0;
}

int ferror(FILE *f)
{
	return f->failed;
}

/* Under a name of its own: the compiler makes an fputc of an fwrite of one byte. */
static void put(const char *at, size_t left, FILE *f)
{
	while (left > 0) {
		size_t part = left < OUTPUT_BYTES - f->used ? left : OUTPUT_BYTES - f->used;

		memcpy(bytes_of(f) + f->used, at, part);
		f->used += part;
		at += part;
		left -= part;
		if (f->used == OUTPUT_BYTES)
			fflush(f);
	}
	if (f == stderr)
		fflush(f);
}

size_t fwrite(const void *bytes, size_t size, size_t n, FILE *f)
{
	put(bytes, size * n, f);
	return n;
}

int fputs(const char *text, FILE *f)
{
	return fprintf(f, "%s", text);
}

int fputc(int c, FILE *f)
{
	char byte = (char)c;

	put(&byte, 1, f);
	return c;
}

int putchar(int c)
{
	return fputc(c, stdout);
}

int puts(const char *text)
{
	return printf("%s\n", text);
}

/* libc's, of its threads, which nothing here has; its own begins with a value. */
unsigned __default_stacksize;

/* ---- memory ------------------------------------------------------------------ */

/*
 * One stack of blocks: what is freed last is used again first, as a DIR is; anything else
 * stays until the process ends. Commands allocate little, the supervisor DIRs alone.
 */
enum { ARENA_BYTES = 4 << 20, ALIGN = 16 };

struct block {
	_Alignas(ALIGN) size_t size;
};

/* No static: those lie within 1 MB of the code (zigcc.py). Pages come when they are touched. */
static struct {
	size_t used;
	char *bytes;
} arena;

static void *take(size_t size)
{
	struct block *b;

	if (!arena.bytes) {
		void *pages = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (pages == MAP_FAILED)
			return NULL;
		arena.bytes = pages;
	}
	b = (void *)(arena.bytes + arena.used);
	if (size > ARENA_BYTES - 2 * ALIGN - arena.used) {
		errno = ENOMEM;
		return NULL;
	}
	size = (size + 2 * ALIGN - 1) & ~(size_t)(ALIGN - 1);
	b->size = size;
	arena.used += size;
	return b + 1;
}

void *malloc(size_t size)
{
	return take(size);
}

void free(void *p)
{
	struct block *b = p ? (struct block *)p - 1 : NULL;

	if (b && (char *)b + b->size == arena.bytes + arena.used)
		arena.used -= b->size;
}

void *calloc(size_t n, size_t size)
{
	/* Not by malloc: the compiler makes a calloc of it and memset. */
	void *p = size == 0 || n <= ARENA_BYTES / size ? take(n * size) : NULL;

	return p ? memset(p, 0, n * size) : NULL;
}

void *realloc(void *p, size_t size)
{
	size_t old = p ? ((struct block *)p - 1)->size - ALIGN : 0;
	void *new;

	free(p);                        /* the last block grows where it is */
	new = take(size);
	return new && p && new != p ? memcpy(new, p, old < size ? old : size) : new;
}

/* ---- numbers ------------------------------------------------------------------- */

/* Without 0x and a test for overflow; base 10 or 16. */
unsigned long long strtoull(const char *text, char **end, int base)
{
	unsigned long long sum = 0;
	bool minus;

	text += strspn(text, " \t\n");
	minus = *text == '-';
	for (text += minus;; text++) {
		unsigned digit = (unsigned char)*text - (unsigned)'0';

		if (digit > 9)
			digit = ((unsigned char)*text | 32u) - 'a' + 10;
		if (digit < 10 && *text > '9')
			break;
		if (digit >= (unsigned)base)
			break;
		sum = sum * (unsigned)base + digit;
	}
	if (end)
		*end = (char *)(uintptr_t)text;
	return minus ? -sum : sum;
}

long long strtoll(const char *text, char **end, int base)
{
	return (long long)strtoull(text, end, base);
}

unsigned long strtoul(const char *text, char **end, int base)
{
	return (unsigned long)strtoull(text, end, base);
}

long strtol(const char *text, char **end, int base)
{
	return (long)strtoull(text, end, base);
}

int atoi(const char *text)
{
	return (int)strtoull(text, NULL, 10);
}

/* ---- time ------------------------------------------------------------------------ */

int64_t sys_clock_ns(int clock)
{
	int64_t t[2] = { 0, 0 };
#ifdef SYS_clock_gettime32
	long old[2] = { 0, 0 };

	if (syscall(SYS_clock_gettime64, clock, t) < 0) {       /* before Linux 5.1 */
		syscall(SYS_clock_gettime32, clock, old);
		t[0] = old[0];
		t[1] = old[1];
	}
#else
	syscall(SYS_clock_gettime, clock, t);
#endif
	return t[0] * 1000000000 + t[1];
}

/* After 1970, without the day of the week and of the year. */
struct tm *gmtime_r(const time_t *when, struct tm *t)
{
	int days = (int)(*when / 86400), seconds = (int)(*when - (time_t)days * 86400);
	int year = 1970, month = 0, length, february;

	for (;; days -= length, year++) {
		february = year % 4 == 0 && (year % 25 != 0 || year % 16 == 0) ? 29 : 28;
		length = february + 337;
		if (days < length)
			break;
	}
	for (;; days -= length, month++) {
		length = month == 1 ? february : 30 + ((0xad5 >> month) & 1);
		if (days < length)
			break;
	}
	*t = (struct tm){
		.tm_year = year - 1900, .tm_mon = month, .tm_mday = days + 1,
		.tm_hour = seconds / 3600, .tm_min = seconds / 60 % 60, .tm_sec = seconds % 60,
	};
	return t;
}

long long now_ms(void)
{
	return sys_clock_ns(CLOCK_MONOTONIC) / 1000000;
}
