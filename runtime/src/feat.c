/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "feat.h"
#include "sampan.h"
#include "words.h"

static const char names[] =             /* in the order of enum feat */
	"clone3\0" "openat2\0" "open_tree\0" "mount_setattr\0" "pidfd\0" "close_range\0" "cgroup_kill\0"
	"cgroup_ns\0" "ptpeer\0" "setns_pidfd\0" "loop_configure\0" "set_mm\0";

static uint32_t missing;

const char *feat_name(enum feat f)
{
	return word_at(names, f);
}

static void disable(const char *name, size_t n)
{
	int f = word_index(names, name, n);

	if (f < 0) {
		err_plain("SAMPAN_DISABLE: no feature called '%.*s'", (int)n, name);
		fail();
	}
	missing |= 1u << f;
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
