/* SPDX-License-Identifier: MIT */
/*
 * The effective configuration as lines: what is left of all files when includes are
 * followed, legacy keys have their modern names, and cleared and replaced values are gone.
 */
#ifndef SAMPAN_CONF_LIST_H
#define SAMPAN_CONF_LIST_H

#include "conf.h"

#define CONF_LIST_MAX (2 * CONF_BYTES_MAX)

struct conf_list {
	size_t used;
	char text[CONF_LIST_MAX];       /* KEY NUL VALUE NUL, in the order of the files */
};

/* conf_load() that fills `list` besides. */
int conf_load_list(struct conf *c, struct conf_list *list, const char *file, conf_sink *sink,
		   void *arg);

/* The pair behind `pair`, the first one when that is NULL; NULL at the end. */
const char *list_next(const struct conf_list *list, const char *pair);
const char *list_value(const char *pair);

/* `key` as the list spells it: legacy names become modern ones. */
void list_name(const char *key, char *buf, size_t size);

#endif
