/* SPDX-License-Identifier: MIT */
/* What a program that is attached finds in its container: an environment and a shell. */
#ifndef SAMPAN_ATTACH_ENV_H
#define SAMPAN_ATTACH_ENV_H

#include <sys/types.h>
#include "opts.h"

/* With `clear` only TERM and what `keep` names is left of ours; `set` are NAME=VALUE. */
void attach_env(bool clear, const struct list *keep, const struct list *set);

/* That of this user, or /bin/sh. */
char *attach_shell(uid_t uid);

#endif
