/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include "fds.h"
#include "ids.h"
#include "limits.h"
#include "payload.h"
#include "sync.h"
#include "times.h"
#include "util.h"

char **payload_words(const char *cmd)
{
	static char words[CONF_LINE_MAX], *argv[64];
	unsigned n = 0;
	char *save;

	snprintf(words, sizeof(words), "%s", cmd);
	for (char *w = strtok_r(words, " \t", &save); w && n + 1 < ARRAY_SIZE(argv);
	     w = strtok_r(NULL, " \t", &save))
		argv[n++] = w;
	argv[n] = NULL;
	return argv;
}

void payload_exec(int sync, char **argv)
{
	ioctl(STDIN_FILENO, TIOCSCTTY, 0);      /* ENOTTY when it is no terminal */
	signals_default();
	close_from(3, true);
	times_mark("exec");
	sync_fail(sync, exec_program(argv));
}
