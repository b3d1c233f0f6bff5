/* SPDX-License-Identifier: MIT */
/* A test that goes on after a failure, says what differed, and fails at the end. */
#ifndef SAMPAN_TESTS_CHECK_H
#define SAMPAN_TESTS_CHECK_H

#include <stdio.h>
#include <string.h>

static unsigned checks, failures;

static inline void check_that(int good, const char *file, int line, const char *what)
{
	checks++;
	if (good)
		return;
	failures++;
	fprintf(stderr, "%s:%d: not true: %s\n", file, line, what);
}

static inline void check_text(const char *got, const char *want, const char *file, int line)
{
	checks++;
	if (got != NULL && strcmp(got, want) == 0)
		return;
	failures++;
	fprintf(stderr, "%s:%d: got '%s', want '%s'\n", file, line, got ? got : "(null)", want);
}

#define CHECK(what) check_that(!!(what), __FILE__, __LINE__, #what)
#define CHECK_TEXT(got, want) check_text(got, want, __FILE__, __LINE__)

static inline int check_end(void)
{
	printf("%u checks, %u failures\n", checks, failures);
	return failures != 0 || checks == 0;
}

#endif
