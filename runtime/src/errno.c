/* SPDX-License-Identifier: MIT */
/*
 * In the place of musl's, which is each thread's own: there is one thread, and a variable
 * takes fewer bytes than a call. On 32-bit ARM its address takes more; glibc's own functions
 * set errno without asking where it is.
 */
#include <errno.h>

#if !defined(__arm__) && !defined(__GLIBC__)
static int number;

int *__errno_location(void)
{
	return &number;
}

int *___errno_location(void)
{
	return &number;
}
#endif
