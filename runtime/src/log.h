/* SPDX-License-Identifier: MIT */
/*
 * Messages that stay: lxc.log.file or -o, from lxc.log.level or -l on, and syslog for
 * lxc.log.syslog. Without them nothing is written. Errors go to standard error besides.
 */
#ifndef SAMPAN_LOG_H
#define SAMPAN_LOG_H

#include "conf.h"
#include "util.h"

enum log_level { LOG_TRACE, LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARN, LOG_ERROR };

/* The command line's -o FILE and -l LEVEL, which come before the configuration's. */
void log_options(const char *file, const char *level);

/* What the configuration says, where the command line said nothing. */
int log_start(const struct conf *c);

PRINTF(2, 3) void log_say(enum log_level level, const char *fmt, ...);

int log_fd(void);                       /* of the file, or -1: where hooks' output goes */

#endif
