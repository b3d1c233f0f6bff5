/* SPDX-License-Identifier: MIT */
/* The last steps before the payload's first instruction. */
#ifndef SAMPAN_PAYLOAD_H
#define SAMPAN_PAYLOAD_H

#include <stdbool.h>
#include <stdint.h>

/* Words of lxc.init.cmd or lxc.execute.cmd, split at blanks. */
char **payload_words(const char *cmd);

struct payload {
	char **argv;
	bool terminal;                  /* stdin is one */
	uint32_t ignored;               /* signals the caller of the start ignored; bit 0 is signal 1 */
};

/* Terminal and signals as a program expects them, then exec. */
_Noreturn void payload_exec(int sync, const struct payload *p);

#endif
