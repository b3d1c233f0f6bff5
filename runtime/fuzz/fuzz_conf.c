/* SPDX-License-Identifier: MIT */
/* The input is a configuration file. */
#include "conf_promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[32];
	int fd = memory_file(data, size, path);

	load_and_check(path);
	close(fd);
	return 0;
}
