/* SPDX-License-Identifier: MIT */
/* The last steps before the payload's first instruction. */
#ifndef SAMPAN_PAYLOAD_H
#define SAMPAN_PAYLOAD_H

/* Words of lxc.init.cmd or lxc.execute.cmd, split at blanks. */
char **payload_words(const char *cmd);

/* Terminal, signals and descriptors as a program expects them, then exec. */
_Noreturn void payload_exec(int sync, char **argv);

#endif
