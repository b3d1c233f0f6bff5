/* SPDX-License-Identifier: MIT */
/* How each kind of value is read; which key is of which kind says runtime/keys.toml. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include "conf_load.h"
#include "words.h"

void *load_field(struct load *l)
{
	size_t nic = l->m.nic > 0 ? (size_t)l->m.nic : 0;

	return (char *)l->c + l->m.key->field + nic * sizeof(struct conf_nic);
}

uint32_t load_max(const struct load *l)
{
	return (uint32_t)strtoul(l->m.reason, NULL, 10);
}

static const char *keep_field(struct load *l, const char *value)
{
	*(const char **)load_field(l) = load_keep(l, value);
	return NULL;
}

static const char *read_command(struct load *l, const char *value)
{
	char text[CONF_LINE_MAX + 1], *argv[WORDS_MAX + 1];

	strcpy(text, value);
	if (value[0] != '\0' && !split_command(text, argv))
		return "must be at most 64 words (WORDS_MAX), each quote closed";
	return keep_field(l, value);
}

static const char *read_path(struct load *l, const char *value)
{
	if (value[0] != '\0' && value[0] != '/')
		return "the path must be absolute";
	if (strlen(value) >= PATH_LEN_MAX)
		return "the path is too long (PATH_LEN_MAX)";
	return keep_field(l, value);
}

static const char *read_console(struct load *l, const char *value)
{
	return strcmp(value, "none") == 0 ? keep_field(l, value) : read_path(l, value);
}

static const char *read_subdir(struct load *l, const char *value)
{
	for (const char *p = value; *p != '\0'; p += strspn(p, "/")) {
		size_t n = strcspn(p, "/");

		if (n == 0 || p[0] == '.')
			return "the directory must lead down: no leading / and no name that begins with .";
		p += n;
	}
	if (strlen(value) > NAME_LEN_MAX)
		return "the directory is longer than 64 bytes (NAME_LEN_MAX)";
	return keep_field(l, value);
}

static const char *read_hostname(struct load *l, const char *value)
{
	if (value[0] != '\0' && !name_ok(value))
		return "a host name is 1 to 64 of a-z A-Z 0-9 . _ - and begins with a letter or digit";
	return keep_field(l, value);
}

static const char *not_in_range(struct load *l)
{
	return load_text(l, "must be a number from 0 to %s", l->m.reason);
}

static const char *read_count(struct load *l, const char *value)
{
	uint64_t number;
	int *count = load_field(l);

	if (value[0] == '\0') {
		*count = -1;
		return NULL;
	}
	if (!parse_uint(value, 0, load_max(l), &number))
		return not_in_range(l);
	*count = (int)number;
	return NULL;
}

static const char *read_id(struct load *l, const char *value)
{
	uint64_t number = 0;

	if (value[0] != '\0' && !parse_uint(value, 0, load_max(l), &number))
		return not_in_range(l);
	*(uint32_t *)load_field(l) = (uint32_t)number;
	return NULL;
}

static const char *read_bool(struct load *l, const char *value)
{
	uint64_t number = 0;

	if (value[0] != '\0' && !parse_uint(value, 0, 1, &number))
		return "must be 0 or 1";
	*(bool *)load_field(l) = number == 1;
	return NULL;
}

static const char *read_only(struct load *l, const char *value)
{
	if (value[0] == '\0' || word_index(l->m.only, value, strlen(value)) >= 0)
		return NULL;
	return load_text(l, "not supported: %s", l->m.reason);
}

static const char *read_arch(struct load *l, const char *value)
{
	l->c->arch = arch_of(value);
	return value[0] != '\0' && l->c->arch == ARCH_UNSET ? "unknown architecture" : NULL;
}

static const char *read_signal(struct load *l, const char *value)
{
	int number = value[0] != '\0' ? signal_number(value) : 0;

	if (number < 0)
		return "must be a signal: SIGTERM, SIGRTMIN+3, 15";
	*(int *)load_field(l) = number;
	return NULL;
}

const char *load_word(const char *list, const char *more, char *word, size_t size)
{
	char ends[8];
	size_t n;

	snprintf(ends, sizeof(ends), " 	%s", more);
	list += strspn(list, ends);
	n = strcspn(list, ends);
	if (n == 0)
		return NULL;
	if (n >= size)                  /* too long for any word we know: make it unknown */
		word[0] = '\0';
	else {
		memcpy(word, list, n);
		word[n] = '\0';
	}
	return list + n;
}


static const char *read_caps(struct load *l, const char *value)
{
	bool keep = load_field(l) == &l->c->cap_keep;
	uint64_t set = 0, *caps = load_field(l);
	char word[32];
	int number;

	if (value[0] == '\0') {
		*caps = 0;
		if (keep)
			l->c->cap_keep_set = false;
		return NULL;
	}
	if (keep ? l->c->cap_drop != 0 : l->c->cap_keep_set)
		return "lxc.cap.keep and lxc.cap.drop exclude each other";
	for (const char *p = value; (p = load_word(p, "", word, sizeof(word))) != NULL;) {
		if (keep && strcmp(word, "none") == 0) {
			set = *caps = 0;
			continue;
		}
		number = capability_number(word);
		if (number < 0)
			return load_text(l, "unknown capability %s", word);
		set |= UINT64_C(1) << number;
	}
	*caps |= set;
	l->c->cap_keep_set |= keep;
	return NULL;
}

static const char *read_include(struct load *l, const char *value)
{
	if (value[0] != '/')
		return "must be an absolute path";
	load_include(l, value);
	return NULL;
}

static const char *read_mount(struct load *l, const char *value)
{
	if (value[0] == '\0')
		l->c->nmounts = 0;
	else
		load_mount(l, value);
	return NULL;
}

static const char *read_fstab(struct load *l, const char *value)
{
	if (value[0] != '\0' && value[0] != '/')
		return "must be an absolute path";
	l->fstab = load_keep(l, value);
	l->fstab_at = l->at;
	return NULL;
}

/* "auto", or bytes with KB, MB or GB behind them (of 1024); a page at least. */
static const char *read_size(struct load *l, const char *value)
{
	enum { DIGITS_MAX = 11 };
	static const char units[] = "KB\0MB\0GB\0";
	uint32_t *size = load_field(l), max = load_max(l);
	uint64_t number;
	size_t n;
	int shift = 0;

	*size = strcmp(value, "auto") == 0 ? 131072 : 0;
	if (value[0] == '\0' || *size != 0)
		return NULL;
	n = parse_digits(value, max, &number);
	value += n + (value[n] == ' ');
	if (*value != '\0')
		shift = 10 * (name_index(units, value) + 1);
	if (n == 0 || n > DIGITS_MAX || (*value != '\0' && shift == 0) || number > max >> shift)
		return load_text(l, "must be auto or a size up to %s bytes, as 64KB", l->m.reason);
	*size = number << shift < 4096 ? 4096 : (uint32_t)(number << shift);
	return NULL;
}

static const char *(*const readers[KINDS])(struct load *, const char *) = {
	[KIND_ARCH] = read_arch,
	[KIND_BACKEND] = load_backend,
	[KIND_BOOL] = read_bool,
	[KIND_CAPS] = read_caps,
	[KIND_CGROUP] = load_cgroup,
	[KIND_CGROUP2] = load_cgroup,
	[KIND_COMMAND] = read_command,
	[KIND_CONSOLE] = read_console,
	[KIND_COUNT] = read_count,
	[KIND_DEVICES_ALLOW] = load_device,
	[KIND_DEVICES_DENY] = load_device,
	[KIND_DEVICES_EXPECT] = load_device,
	[KIND_ENVIRONMENT] = load_environment,
	[KIND_FSTAB] = read_fstab,
	[KIND_GIDS] = load_gids,
	[KIND_GROUP] = load_group,
	[KIND_HOOK] = load_hook,
	[KIND_HOOK_CLEAR] = load_hook_clear,
	[KIND_HOSTNAME] = read_hostname,
	[KIND_ID] = read_id,
	[KIND_IDMAP] = load_idmap,
	[KIND_INCLUDE] = read_include,
	[KIND_LOG_FACILITY] = load_log_facility,
	[KIND_LOG_LEVEL] = load_log_level,
	[KIND_LABEL] = load_label,
	[KIND_MOUNT] = read_mount,
	[KIND_MOUNT_AUTO] = load_mount_auto,
	[KIND_NET_CLEAR] = load_net_clear,
	[KIND_NIC_ADDRESS] = load_nic_address,
	[KIND_NIC_CLEAR] = load_nic_clear,
	[KIND_NIC_FLAGS] = load_nic_flags,
	[KIND_NIC_GATEWAY] = load_nic_gateway,
	[KIND_NIC_HWADDR] = load_nic_hwaddr,
	[KIND_NIC_NAME] = load_nic_name,
	[KIND_NIC_ROUTE] = load_nic_address,
	[KIND_NIC_TYPE] = load_nic_type,
	[KIND_CHOICE] = load_choice,
	[KIND_OFFSET] = load_offset,
	[KIND_ONLY] = read_only,
	[KIND_PATH] = read_path,
	[KIND_PRLIMIT] = load_prlimit,
	[KIND_PROC] = load_proc,
	[KIND_ROOTFS] = load_rootfs,
	[KIND_ROOTFS_OPTIONS] = load_rootfs_options,
	[KIND_SHARE] = load_share,
	[KIND_SIGNAL] = read_signal,
	[KIND_SIZE] = read_size,
	[KIND_SPACES] = load_spaces,
	[KIND_STRING] = keep_field,
	[KIND_SUBDIR] = read_subdir,
	[KIND_SYSCTL] = load_sysctl,
};

const char *load_value(struct load *l, const char *value)
{
	const char *why = l->m.key->flags & KEY_INDEXED ? load_nic(l) : NULL;

	return why ? why : readers[l->m.key->kind](l, value);
}
