/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "sampan.h"

const char *ctr_rcfile;

void ctr_init(struct ctr *c, const char *name, const char *lxcpath)
{
	char cwd[PATH_LEN_MAX] = "";
	size_t n = strlen(lxcpath);

	if (!name_ok(name)) {
		err_plain("'%.80s' is no name for a container", name);
		err_hint("letters, digits, '_', '.' and '-', at most %d, not '_', '.' or '-' first",
			 NAME_LEN_MAX);
		fail();
	}
	while (n > 1 && lxcpath[n - 1] == '/')
		n--;
	err_subject(name);
	if (lxcpath[0] != '/' && !getcwd(cwd, sizeof(cwd))) {
		err_set("find the current directory");
		fail();
	}
	c->name = name;
	path_fmt(c->lxcpath, sizeof(c->lxcpath), "%s%s%.*s", cwd, *cwd ? "/" : "", (int)n, lxcpath);
	path_fmt(c->dir, sizeof(c->dir), "%s/%s", c->lxcpath, name);
	path_fmt(c->config, sizeof(c->config), ctr_rcfile ? "%s" : "%s/config", ctr_rcfile ? ctr_rcfile : c->dir);
}

bool ctr_defined(const struct ctr *c)
{
	return access(c->config, F_OK) == 0;
}
