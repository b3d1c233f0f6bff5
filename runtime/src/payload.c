/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include "ids.h"
#include "limits.h"
#include "payload.h"
#include "sync.h"
#include "times.h"
#include "util.h"
#include "words.h"

char **payload_words(const char *cmd)
{
	static char words[CONF_LINE_MAX], *argv[WORDS_MAX + 1];

	snprintf(words, sizeof(words), "%s", cmd);
	split_command(words, argv);     /* the configuration's reader has seen that it can be */
	return argv;
}

void payload_exec(int sync, const struct payload *p)
{
	if (p->terminal)
		ioctl(STDIN_FILENO, TIOCSCTTY, 0);
	signals_default(p->ignored);
	times_mark("exec");
	sync_fail(sync, exec_program(p->argv));
}
