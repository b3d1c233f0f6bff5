/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include "names.h"
#include "sampan.h"

/* A few names: libc's qsort is larger than all of this file. */
static void insert_sorted(char **list, int n, char *name)
{
	for (; n > 0 && strcmp(list[n - 1], name) > 0; n--)
		list[n] = list[n - 1];
	list[n] = name;
}

int names_of(const char *lxcpath, char *list[CONTAINERS_MAX])
{
	DIR *d = opendir(lxcpath);
	struct dirent *e;
	int n = 0;

	if (!d)
		return errno == ENOENT ? 0 : err_set("read %s", lxcpath);
	while ((e = readdir(d)) != NULL && n < CONTAINERS_MAX) {
		char config[PATH_LEN_MAX];

		if (!name_ok(e->d_name))
			continue;
		path_fmt(config, sizeof(config), "%s/%s/config", lxcpath, e->d_name);
		if (access(config, F_OK) == 0)
			insert_sorted(list, n++, strdup(e->d_name));
	}
	closedir(d);
	return n;
}
