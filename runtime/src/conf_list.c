/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "conf_list.h"
#include "conf_load.h"

#define NAME_SIZE (CONF_LINE_MAX + 1)

const char *list_value(const char *pair)
{
	return pair + strlen(pair) + 1;
}

const char *list_next(const struct conf_list *list, const char *pair)
{
	const char *value;

	if (pair == NULL) {
		pair = list->text;
	} else {
		value = list_value(pair);
		pair = value + strlen(value) + 1;
	}
	return pair < list->text + list->used ? pair : NULL;
}

/* Both spellings of the device keys feed one set of rules, so they are one key here. */
static void put_name(const struct conf_match *m, int nic, char *buf, size_t size)
{
	unsigned kind = m->key->kind;
	size_t n;

	if (kind == KIND_DEVICES_ALLOW || kind == KIND_DEVICES_DENY) {
		snprintf(buf, size, "lxc.cgroup.devices.%s", kind == KIND_DEVICES_DENY ? "deny" : "allow");
		return;
	}
	key_name(m->key, nic, buf, size);
	n = strlen(buf);
	snprintf(buf + n, size - n, "%s", m->rest != NULL ? m->rest : "");
}

void list_name(const char *key, char *buf, size_t size)
{
	struct conf_match m;

	if (key_find(key, &m))
		put_name(&m, m.nic, buf, size);
	else
		snprintf(buf, size, "%s", key);
}

/* Is the pair one of `key`, or below it? With `variable` only that variable's. */
static bool concerns(const char *pair, const char *key, bool below, const char *variable)
{
	size_t n = strlen(key), length = variable ? strcspn(variable, "=") : 0;
	const char *value = list_value(pair);

	if (strncmp(pair, key, n) != 0 || (pair[n] != '\0' && (!below || pair[n] != '.')))
		return false;
	return !variable || (strcspn(value, "=") == length && strncmp(value, variable, length) == 0);
}

static void forget(struct conf_list *list, const char *key, bool below, const char *variable)
{
	const char *pair = list_next(list, NULL), *next;

	while (pair != NULL) {
		size_t at = (size_t)(pair - list->text), size;

		next = list_value(pair);
		size = (size_t)(next + strlen(next) + 1 - pair);
		if (concerns(pair, key, below, variable)) {
			memmove(list->text + at, pair + size, list->used - at - size);
			list->used -= size;
			pair = at < list->used ? list->text + at : NULL;
		} else {
			pair = list_next(list, pair);
		}
	}
}

/* Keys that hold nothing and clear all below them. */
static bool clears(const struct conf_match *m)
{
	unsigned kind = m->key->kind;

	return kind == KIND_HOOK_CLEAR || kind == KIND_NET_CLEAR || kind == KIND_NIC_CLEAR ||
	       (kind == KIND_ONLY && m->only[0] == '\0');
}

void load_list(struct load *l, const struct conf_match *m, const char *value)
{
	struct conf_list *list = l->list;
	unsigned kind = m->key->kind;
	char name[NAME_SIZE];
	size_t length, size = strlen(value) + 1;

	if (kind == KIND_INCLUDE)
		return;
	put_name(m, m->nic >= 0 ? m->nic : l->nic, name, sizeof(name));
	if (kind == KIND_ENVIRONMENT && value[0] != '\0')
		forget(list, name, false, value);
	else if (value[0] == '\0' || !(m->key->flags & KEY_LIST))
		forget(list, name, clears(m), NULL);
	if (value[0] == '\0')
		return;
	length = strlen(name) + 1;
	if (length + size > sizeof(list->text) - list->used) {
		load_error(l, "the configuration is too long to be listed (CONF_LIST_MAX)");
		return;
	}
	memcpy(list->text + list->used, name, length);
	memcpy(list->text + list->used + length, value, size);
	list->used += length + size;
}
