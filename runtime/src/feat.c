/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "feat.h"
#include "sampan.h"

static const char names[FEAT_COUNT][16] = {
	"clone3", "openat2", "open_tree", "mount_setattr", "pidfd",
	"close_range", "cgroup_kill", "cgroup_ns", "ptpeer", "setns_pidfd",
	"loop_configure",
};

static uint32_t missing;

const char *feat_name(enum feat f)
{
	return names[f];
}

static void disable(const char *name, size_t n)
{
	for (unsigned f = 0; f < FEAT_COUNT; f++) {
		if (strlen(names[f]) == n && memcmp(names[f], name, n) == 0) {
			missing |= 1u << f;
			return;
		}
	}
	err_plain("SAMPAN_DISABLE: no feature called '%.*s'", (int)n, name);
	fail();
}

void feat_init(void)
{
	const char *list = getenv("SAMPAN_DISABLE");

	while (list && *list) {
		size_t n = strcspn(list, ",");

		if (n > 0)
			disable(list, n);
		list += n + (list[n] == ',');
	}
}

bool feat_on(enum feat f)
{
	return !(missing >> f & 1);
}

bool feat_lost(enum feat f)
{
	/* Container sandboxes answer EPERM for calls their filter does not know. */
	if (errno != ENOSYS && errno != EOPNOTSUPP)
		return false;
	missing |= 1u << f;
	return true;
}
