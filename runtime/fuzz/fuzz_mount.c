/* SPDX-License-Identifier: MIT */
/* The input is an fstab, named by a configuration that has a mount of its own. */
#include "conf_promises.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char fstab[32], path[32], text[128];
	int fstab_fd = memory_file(data, size, fstab), fd, n;

	n = snprintf(text, sizeof(text), "lxc.mount.entry = last /last tmpfs ro\nlxc.mount = %s\n", fstab);
	fd = memory_file(text, (size_t)n, path);
	load_and_check(path);
	PROMISE(c.nmounts > 0 && strcmp(c.mount[c.nmounts - 1].source, "last") == 0);
	close(fd);
	close(fstab_fd);
	return 0;
}
