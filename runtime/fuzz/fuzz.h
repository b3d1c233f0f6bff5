/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share. Each has libFuzzer's entry, so that
 *   clang -fsanitize=fuzzer,address,undefined fuzz_conf.c ...
 * works, and with gcc driver.c runs it over its corpus with mutations.
 */
#ifndef SAMPAN_FUZZ_H
#define SAMPAN_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise of a header that the input broke. */
#define PROMISE(what) do { if (!(what)) { fprintf(stderr, "broken: %s\n", #what); abort(); } } while (0)

/* A file with these bytes and a path to it; nothing is left on a disk. */
static inline int memory_file(const void *data, size_t size, char path[32])
{
	int fd = memfd_create("input", 0);

	PROMISE(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

#endif
