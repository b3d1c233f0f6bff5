/* SPDX-License-Identifier: MIT */
/* The input has one lxc.idmap a line. */
#include "conf_promises.h"

/* Each id inside has one outside, that of its range. */
static void check_range(const struct conf_idmap *m, unsigned kind)
{
	PROMISE(m->count > 0 && m->inside <= UINT32_MAX - m->count && m->outside <= UINT32_MAX - m->count);
	PROMISE(idmap_outside(&c, kind, m->inside) == m->outside);
	PROMISE(idmap_outside(&c, kind, m->inside + m->count - 1) == m->outside + m->count - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[1 << 20];
	char path[32];
	size_t used = 0;
	int fd;

	for (size_t i = 0; i < size && used < sizeof(text) - 64; i++) {
		if (i == 0 || data[i - 1] == '\n')
			used += (size_t)sprintf(text + used, "lxc.idmap = ");
		text[used++] = (char)data[i];
	}
	fd = memory_file(text, used, path);
	load_and_check(path);
	close(fd);
	PROMISE(c.nidmaps <= IDMAPS_MAX);
	for (unsigned i = 0; i < c.nidmaps && c.errors == 0; i++)
		for (unsigned kind = MAP_USERS; kind <= MAP_GROUPS; kind <<= 1)
			if (c.idmap[i].kinds & kind)
				check_range(&c.idmap[i], kind);
	return 0;
}
