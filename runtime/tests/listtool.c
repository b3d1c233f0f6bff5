/* SPDX-License-Identifier: MIT */
/* listtool FILE...: the effective configuration of each file, for tests of the two readers. */
#include <stdio.h>
#include "conf_list.h"

static struct conf conf;
static struct conf_list list;

int main(int argc, char **argv)
{
	int bad = 0;

	for (int i = 1; i < argc; i++) {
		list.used = 0;
		bad |= conf_load_list(&conf, &list, argv[i], conf_print, NULL) != 0;
		for (const char *p = NULL; (p = list_next(&list, p)) != NULL;)
			printf("%s = %s\n", p, list_value(p));
	}
	return bad;
}
