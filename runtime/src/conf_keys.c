/* SPDX-License-Identifier: MIT */
/* Looks keys up in the table made from runtime/keys.toml. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf_load.h"
#include "words.h"

#include "conf_keys.inc"

#define KEY_LEN_MAX 63

/*
 * One byte of a name in the table against `*name`, which moves on: an N stands for the number
 * of an interface.
 */
static bool same_byte(char c, const char **name, int *nic)
{
	size_t n = c == 'N' ? strspn(*name, "0123456789") : **name == c;

	if (n > 7)
		return false;
	if (c == 'N' && n > 0)
		*nic = atoi(*name);
	*name += n;
	return n > 0;
}

/*
 * The key of that name, or the prefix it begins with, behind which `m->rest` points. The
 * names are sorted, and each is two bytes, how much it shares with the one before and how
 * much is its own, and that.
 */
static const struct conf_key *find(const char *name, struct conf_match *m)
{
	const struct conf_key *prefix = NULL;
	const char *row = key_names, *own;
	size_t same = 0;                /* of the row before, and behind it `name` */

	for (const struct conf_key *key = keys; key < keys + ARRAY_SIZE(keys); key++) {
		size_t shared = (unsigned char)row[0];

		own = row + 2;
		row = own + row[1];
		if (shared < same)
			break;
		if (shared > same)
			continue;
		for (; own < row && same_byte(*own, &name, &m->nic); own++)
			same++;
		if (own == row && *name == '\0') {
			m->rest = NULL;
			return key->flags & KEY_PREFIX ? NULL : key;
		}
		if (own == row && key->flags & KEY_PREFIX) {
			prefix = key;
			m->rest = name;
		}
	}
	return prefix;
}

bool key_find(const char *name, struct conf_match *m)
{
	*m = (struct conf_match){ .nic = -1 };
	m->key = find(name, m);
	if (m->key == NULL)
		return false;
	if (m->key->flags & KEY_LEGACY) {
		m->legacy = true;
		m->key = &keys[m->key->field];
	}
	m->reason = word_at(key_text, m->key->text);
	m->only = m->reason + strlen(m->reason) + 1;
	return true;
}

void key_name(const struct conf_key *key, int nic, char *buf, size_t size)
{
	char name[KEY_LEN_MAX + 1], *mark;
	const char *row = key_names;

	for (; key >= keys; key--, row += 2 + row[1])
		snprintf(name + row[0], sizeof(name) - (size_t)row[0], "%.*s", row[1], row + 2);
	mark = strstr(name, ".N");
	if (mark != NULL)
		snprintf(buf, size, "%.*s.%d%s", (int)(mark - name), name, nic < 0 ? 0 : nic, mark + 2);
	else
		snprintf(buf, size, "%s", name);
}

void key_nearest(const char *name, char *buf, size_t size)
{
	const struct conf_key *best = NULL;
	unsigned best_distance = 3 + (unsigned)strlen(name) / 6;
	int nic = atoi(name + strcspn(name, "0123456789"));

	for (const struct conf_key *key = keys; key < keys + ARRAY_SIZE(keys); key++) {
		unsigned d;

		key_name(key, nic, buf, size);
		d = word_distance(name, buf);
		if (d < best_distance) {
			best_distance = d;
			best = key;
		}
	}
	buf[0] = '\0';
	if (best == NULL || strlen(name) > KEY_LEN_MAX)
		return;
	key_name(best, nic, buf, size);
	if (best->flags & KEY_PREFIX)
		strcat(buf, "...");
}
