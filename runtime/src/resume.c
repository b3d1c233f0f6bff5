/* SPDX-License-Identifier: MIT */
/*
 * What a machine that was restored from a snapshot must not share with its clones: the time
 * of the snapshot and the state of the random generator. Whoever restores it types this.
 */
#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include "opts.h"
#include "sampan.h"

enum { SEED_MAX = 64, BITS_A_DIGIT = 4 };

static void stir(const char *seed)
{
	struct {                                /* struct rand_pool_info with room */
		int bits, size;
		char bytes[SEED_MAX];
	} pool = { .size = (int)strnlen(seed, SEED_MAX) };
	CLEAN_FD int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

	memcpy(pool.bytes, seed, (size_t)pool.size);
	pool.bits = pool.size * BITS_A_DIGIT;
	/* Mixed in alone it would only count at the next reseed, up to a minute later. */
	if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0) {
		err_set("cannot reseed /dev/urandom");
		fail();
	}
}

int cmd_resume(int argc, char **argv)
{
	static const struct optset set = {
		"resume MILLISECONDS SEED", "After a snapshot was restored: sets the clock (since 1970)\n"
		"and reseeds the random generator with SEED, hexadecimal.", NULL, 0, 0,
	};
	struct args a = opts_parse(&set, argc, argv);
	struct timespec now;
	uint64_t ms;

	if (a.nrest != 2 || !parse_uint(a.rest[0], 0, INT64_MAX, &ms))
		usage_error("usage: sampan %s", set.usage);
	need_root();
	now.tv_sec = (time_t)(ms / 1000);
	now.tv_nsec = (long)(ms % 1000 * 1000000);
	if (clock_settime(CLOCK_REALTIME, &now) < 0) {
		err_set("cannot set the clock");
		fail();
	}
	stir(a.rest[1]);
	return 0;
}
