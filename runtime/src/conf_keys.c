/* SPDX-License-Identifier: MIT */
/* Looks keys up in the table made from runtime/keys.toml. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf_load.h"
#include "words.h"

#include "conf_keys.inc"

#define KEY_LEN_MAX 63

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * Writes `name` with the number behind lxc.net. or lxc.network. as N, which is how
 * the table spells it. Returns the number, -1 when there is none.
 */
static int put_index(const char *name, char *buf, size_t size)
{
	size_t stem = strncmp(name, "lxc.net.", 8) == 0 ? 8 :
		      strncmp(name, "lxc.network.", 12) == 0 ? 12 : 0;
	const char *end = name + stem;
	char number[8];
	uint64_t index;

	while (stem != 0 && digit(*end))
		end++;
	if (end == name + stem || (*end != '\0' && *end != '.') ||
	    (size_t)(end - name) - stem >= sizeof(number)) {
		snprintf(buf, size, "%s", name);
		return -1;
	}
	snprintf(number, sizeof(number), "%.*s", (int)(end - name - (long)stem), name + stem);
	snprintf(buf, size, "%.*sN%s", (int)stem, name, end);
	return parse_uint(number, 0, INT32_MAX, &index) ? (int)index : -1;
}

static const struct conf_key *find_exact(const char *name)
{
	size_t low = 0, high = ARRAY_SIZE(keys);

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, key_text + keys[middle].name);

		if (order == 0)
			return keys[middle].flags & KEY_PREFIX ? NULL : &keys[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static const struct conf_key *find_prefix(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *text = key_text + keys[i].name;
		size_t n = keys[i].flags & KEY_PREFIX ? strlen(text) : 0;

		if (n > 0 && strncmp(name, text, n) == 0 && name[n] != '\0')
			return &keys[i];
	}
	return NULL;
}

const char *key_name(const struct conf_key *key)
{
	return key_text + key->name;
}

bool key_find(const char *name, struct conf_match *m)
{
	char plain[KEY_LEN_MAX + 1];
	const struct conf_key *key;

	*m = (struct conf_match){ .nic = put_index(name, plain, sizeof(plain)) };
	key = find_exact(plain);
	/* A literal N in the file is no number, and a cut-off name is no key. */
	if (key != NULL && (strlen(name) > KEY_LEN_MAX ||
			    (m->nic < 0) != ((key->flags & KEY_INDEXED) == 0)))
		key = NULL;
	if (key == NULL) {
		key = find_prefix(name);
		if (key == NULL)
			return false;
		m->rest = name + strlen(key_text + key->name);
	}
	if (key->flags & KEY_LEGACY) {
		m->legacy = true;
		key = &keys[key->modern];
	}
	m->key = key;
	m->reason = key_text + key->text;
	m->only = m->reason + strlen(m->reason) + 1;
	return true;
}

void key_nearest(const char *name, char *buf, size_t size)
{
	const struct conf_key *best = NULL;
	unsigned best_distance = UINT32_MAX;
	char plain[KEY_LEN_MAX + 1];
	const char *text, *mark;
	int nic;

	buf[0] = '\0';
	if (strlen(name) > KEY_LEN_MAX)
		return;
	nic = put_index(name, plain, sizeof(plain));
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		unsigned d = word_distance(plain, key_text + keys[i].name);

		if (d < best_distance) {
			best_distance = d;
			best = &keys[i];
		}
	}
	if (best == NULL || best_distance > 2 + strlen(name) / 6)
		return;
	text = key_text + best->name;
	mark = best->flags & KEY_INDEXED ? strstr(text, ".N") : NULL;
	if (mark != NULL)
		snprintf(buf, size, "%.*s.%d%s", (int)(mark - text), text, nic < 0 ? 0 : nic, mark + 2);
	else
		snprintf(buf, size, "%s%s", text, best->flags & KEY_PREFIX ? "..." : "");
}
