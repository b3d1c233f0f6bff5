/* SPDX-License-Identifier: MIT */
/*
 * In the place of libc's <stdio.h>, with the same names and contracts for what this
 * program uses: formatting (format.c) and output through one small buffer (small.c).
 * libc's own brings locks, seeking, reading and an allocator along: 5 kB.
 */
#ifndef SAMPAN_STDIO_H
#define SAMPAN_STDIO_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum { OUTPUT_BYTES = 1024 };

typedef struct output {                 /* `FILE f = { .fd = fd, .bytes = buf };` is one, too */
	int fd;
	bool failed;
	size_t used;
	char *bytes;                    /* OUTPUT_BYTES of them */
} FILE;

extern FILE output_out, output_err;
#define stdout (&output_out)
#define stderr (&output_err)
#define EOF (-1)

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
__attribute__((format(printf, 3, 4))) int snprintf(char *buf, size_t size, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) int sprintf(char *buf, const char *fmt, ...);
__attribute__((format(printf, 1, 2))) int printf(const char *fmt, ...);
__attribute__((format(printf, 2, 3))) int fprintf(FILE *f, const char *fmt, ...);

size_t fwrite(const void *bytes, size_t size, size_t n, FILE *f);
int fputs(const char *text, FILE *f);
int puts(const char *text);
int fputc(int c, FILE *f);
int putchar(int c);
int fflush(FILE *f);
int ferror(FILE *f);

int rename(const char *from, const char *to);
int renameat(int from_dir, const char *from, int to_dir, const char *to);

#endif
