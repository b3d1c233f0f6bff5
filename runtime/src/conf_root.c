/* SPDX-License-Identifier: MIT */
/* How lxc.rootfs.* and lxc.mount.auto are read. */
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include "conf_load.h"
#include "words.h"

/* Two of each kind, in the order of enum root_kind, behind ROOT_PLAIN. */
static const char backends[] = "dir\0btrfs\0loop\0lvm\0overlay\0overlayfs\0";

static const char no_backend[] = "not supported: a root file system is dir:, loop:, overlay:, "
				 "btrfs:, lvm: or a plain path";

static enum root_kind backend(const char *name, size_t n)
{
	int index = word_index(backends, name, n);

	return index < 0 ? ROOT_PLAIN : (enum root_kind)(ROOT_DIR + index / 2);
}

static const char *check_layers(const char *value)
{
	unsigned n = 0;

	for (; *value != '\0'; n++) {
		size_t length = strcspn(value, ":");
		bool last = value[length] == '\0';

		if (value[0] != '/' && !(last && root_upper_tmpfs(value)))
			return "each layer must be an absolute path; the last may be tmpfs";
		value += length + !last;
	}
	if (n < 2)
		return "must be overlay:LOWER:UPPER";
	return n > LAYERS_MAX + 1 ? "more layers than the runtime holds (LAYERS_MAX)" : NULL;
}

const char *load_rootfs(struct load *l, const char *value)
{
	size_t n = value[0] == '/' ? 0 : strcspn(value, ":");
	enum root_kind kind = ROOT_PLAIN;
	const char *why = NULL;

	if (n > 0 && value[n] == ':') {
		kind = backend(value, n);
		if (kind == ROOT_PLAIN)
			return no_backend;
		value += n + 1;
	}
	if (kind == ROOT_OVERLAY)
		why = check_layers(value);
	else if (value[0] != '\0' && value[0] != '/')
		why = "the path must be absolute";
	if (why == NULL && kind != ROOT_OVERLAY && strlen(value) >= PATH_LEN_MAX)
		why = "the path is too long (PATH_LEN_MAX)";
	if (why != NULL)
		return why;
	l->c->root_kind = kind;
	l->c->rootfs = load_keep(l, value);
	return NULL;
}

const char *load_backend(struct load *l, const char *value)
{
	l->c->root_backend = backend(value, strlen(value));
	return value[0] != '\0' && l->c->root_backend == ROOT_PLAIN ? no_backend : NULL;
}

const char *load_rootfs_options(struct load *l, const char *value)
{
	struct conf_mount m = { .at = l->at };
	const char *why = load_options(l, value, &m);

	if (why != NULL)
		return why;
	if (m.optional || m.relative || m.create != CREATE_NONE)
		return "create=, optional and relative belong to lxc.mount.entry";
	l->c->rootfs_flags = m.flags & ~(unsigned long)(MS_BIND | MS_REC);
	l->c->rootfs_propagation = m.propagation;
	l->c->rootfs_data = m.data;
	l->c->rootfs_idmap = m.idmap;
	return NULL;
}

/* A security label. */
const char *load_label(struct load *l, const char *value)
{
	const char **label = load_field(l);

	if (strcmp(value, "generated") == 0)
		return "not supported: no profile is generated; name one that is loaded";
	*label = word_index("unconfined\0unchanged\0", value, strlen(value)) >= 0 ? NULL : load_keep(l, value);
	return NULL;
}

/* ---- lxc.mount.auto --------------------------------------------------------- */

/* What follows the first colon of proc:mixed; -1: nothing that is known. */
static int auto_mode(const char *text)
{
	int index = word_index(":ro\0:mixed\0:rw\0", text, strlen(text));

	return *text == '\0' ? (int)AUTO_DEFAULT : index < 0 ? -1 : (int)AUTO_RO + index;
}

/* shmounts:HOST[:INSIDE]: mounts made in HOST later on appear INSIDE. */
static const char *auto_shared(struct load *l, char *host)
{
	char line[2 * PATH_LEN_MAX + 64], *inside = strchr(host, ':');

	if (inside != NULL)
		*inside++ = '\0';
	if (host[0] != '/' || (inside != NULL && inside[0] != '/'))
		return "must be shmounts:/HOST/FOLDER[:/FOLDER/INSIDE]";
	snprintf(line, sizeof(line), "%s %s none rbind,create=dir,rslave 0 0", host,
		 inside != NULL ? inside : "/dev/.lxc-mounts");
	load_mount(l, line);
	return NULL;
}

static const char *auto_word(struct load *l, char *word)
{
	enum { PROC, SYS, CGROUP, CGROUP2, CGROUP_FULL, SHMOUNTS };
	size_t n = strcspn(word, ":");
	int what = word_index("proc\0sys\0cgroup\0cgroup2\0cgroup-full\0shmounts\0", word, n);
	struct conf *c = l->c;
	enum auto_mode *to = NULL;
	char *force = strstr(word, ":force");
	int mode;

	if (what == SHMOUNTS && word[n] == ':')
		return auto_shared(l, word + n + 1);
	if (what >= CGROUP && what <= CGROUP_FULL) {
		to = &c->auto_cgroup;
		c->auto_cgroup_full = what == CGROUP_FULL;
		c->auto_cgroup_force = force != NULL && force[6] == '\0';
		if (c->auto_cgroup_force)
			*force = '\0';
	} else if (what == PROC || what == SYS) {
		to = what == PROC ? &c->auto_proc : &c->auto_sys;
	}
	mode = auto_mode(word + n);
	if (to == NULL || mode < 0 || (to == &c->auto_proc && mode == AUTO_RO))
		return "must be of proc[:mixed|rw], sys[:ro|mixed|rw], "
		       "cgroup[-full][:ro|mixed|rw][:force], shmounts:/HOST[:/INSIDE]";
	*to = mode == (int)AUTO_DEFAULT && to != &c->auto_cgroup ? AUTO_MIXED : (enum auto_mode)mode;
	return NULL;
}

const char *load_mount_auto(struct load *l, const char *value)
{
	char words[CONF_LINE_MAX + 1], *save, *w;
	struct conf *c = l->c;
	const char *why = NULL;

	if (value[0] == '\0')
		c->auto_proc = c->auto_sys = c->auto_cgroup = AUTO_OFF;
	snprintf(words, sizeof(words), "%s", value);
	for (w = strtok_r(words, " \t", &save); w && !why; w = strtok_r(NULL, " \t", &save))
		why = auto_word(l, w);
	return why;
}
