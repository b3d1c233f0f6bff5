/* SPDX-License-Identifier: MIT */
/* Readers of keys about a container's life: variables, limits, hooks, groups, log. */
#include <sched.h>
#include <string.h>
#include "conf_load.h"
#include "words.h"

/* ---- environment ---------------------------------------------------------- */

static size_t env_name(const char *value)
{
	size_t n = strcspn(value, "=");

	for (size_t i = 0; i < n; i++) {
		char c = value[i];

		if (!(c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		      (i > 0 && c >= '0' && c <= '9')))
			return 0;
	}
	return n;
}

/* lxc.environment is for both, .runtime and .hooks for one. */
static uint8_t env_scope(const char *key)
{
	key = strrchr(key, '.');
	return strcmp(key, ".runtime") == 0 ? ENV_INIT : strcmp(key, ".hooks") == 0 ? ENV_HOOKS :
	       ENV_INIT | ENV_HOOKS;
}

static void env_clear(struct conf *c, uint8_t scope)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < c->nenv; i++) {
		if (c->env_for[i] == scope)
			continue;
		c->env[kept] = c->env[i];
		c->env_for[kept++] = c->env_for[i];
	}
	c->nenv = kept;
}

const char *load_environment(struct load *l, const char *value)
{
	struct conf *c = l->c;
	size_t n = env_name(value);
	uint8_t scope = env_scope(l->key);
	unsigned i = 0;

	if (value[0] == '\0') {
		env_clear(c, scope);
		return NULL;
	}
	if (n == 0)
		return "must be NAME=VALUE or NAME, of letters, digits and _";
	while (i < c->nenv && (c->env_for[i] != scope || strncmp(c->env[i], value, n) != 0 ||
			       env_name(c->env[i]) != n))
		i++;
	if (i == ENVS_MAX)
		return "more variables than the runtime holds (ENVS_MAX)";
	c->env[i] = load_keep(l, value);
	c->env_for[i] = scope;
	c->nenv += i == c->nenv;
	return NULL;
}

/* ---- limits, sysctls, values of /proc/PID ------------------------------------ */

/* The place for `name`: the one it has, or a new one. An empty value gives the place back. */
static const char *set_put(struct load *l, const char *value, struct conf_set new)
{
	struct conf *c = l->c;
	unsigned i = 0;

	while (i < c->nsets && (c->set[i].kind != new.kind || strcmp(c->set[i].name, new.name) != 0))
		i++;
	if (value[0] == '\0') {
		if (i < c->nsets)
			memmove(&c->set[i], &c->set[i + 1], (--c->nsets - i) * sizeof(new));
		return NULL;
	}
	if (i == SETS_MAX)
		return "more values than the runtime holds (SETS_MAX)";
	new.at = l->at;
	new.name = load_keep(l, new.name);
	new.value = load_keep(l, value);
	if (new.name == NULL || new.value == NULL)
		return NULL;
	c->set[i] = new;
	c->nsets += i == c->nsets;
	return NULL;
}

static bool limit(const char *text, uint64_t *value)
{
	*value = UINT64_MAX;
	return strcmp(text, "unlimited") == 0 || parse_uint(text, 0, INT64_MAX, value);
}

const char *load_prlimit(struct load *l, const char *value)
{
	struct conf_set new = { .kind = SET_PRLIMIT, .name = l->m.rest,
				.number = rlimit_number(l->m.rest) };
	char soft[24], hard[24];
	const char *rest;

	if (new.number < 0)
		return "there is no such limit: nofile, nproc, core, memlock, stack...";
	if (value[0] == '\0')
		return set_put(l, value, new);
	rest = load_word(value, ":", soft, sizeof(soft));
	if (rest == NULL || load_word(rest, ":", hard, sizeof(hard)) == NULL)
		memcpy(hard, soft, sizeof(hard));
	if (rest == NULL || strcspn(value, ":") == strlen(value) - 1 || !limit(soft, &new.soft) ||
	    !limit(hard, &new.hard) || new.soft > new.hard)
		return "must be SOFT or SOFT:HARD, numbers or 'unlimited', soft not above hard";
	return set_put(l, value, new);
}

/* Values that a container has of its own; all others are the whole system's. */
static bool sysctl_own(const char *name)
{
	static const char ipc[] =
		"msgmax\0msgmnb\0msgmni\0sem\0shmall\0shmmax\0shmmni\0shm_rmid_forced\0"
		"auto_msgmni\0msg_next_id\0sem_next_id\0shm_next_id\0hostname\0domainname\0";

	if (strncmp(name, "net.", 4) == 0 || strncmp(name, "fs.mqueue.", 10) == 0)
		return true;
	return strncmp(name, "kernel.", 7) == 0 && name_index(ipc, name + 7) >= 0;
}

static bool dotted(const char *name)
{
	for (const char *p = name; *p != '\0'; p++)
		if (!(*p == '_' || *p == '-' || *p == '.' || (*p >= '0' && *p <= '9') ||
		      ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z')))
			return false;
	return strstr(name, "..") == NULL && name[0] != '.' && name[strlen(name) - 1] != '.';
}

const char *load_sysctl(struct load *l, const char *value)
{
	struct conf_set new = { .kind = SET_SYSCTL, .name = l->m.rest };

	if (!dotted(new.name))
		return "a sysctl is named by letters, digits, _ and -, with single dots between";
	if (!sysctl_own(new.name))
		return "not supported: the value is the whole system's, no container has its own";
	return set_put(l, value, new);
}

const char *load_proc(struct load *l, const char *value)
{
	static const char files[] = "oom_score_adj\0coredump_filter\0timerslack_ns\0autogroup\0"
				    "loginuid\0";
	struct conf_set new = { .kind = SET_PROC, .name = l->m.rest };

	if (name_index(files, new.name) < 0)
		return "not supported: only oom_score_adj, coredump_filter, timerslack_ns, autogroup "
		       "and loginuid";
	return set_put(l, value, new);
}

void check_sysctls(struct load *l)
{
	struct conf *c = l->c;

	for (unsigned i = 0; i < c->nsets; i++) {
		const char *name = c->set[i].name;
		uint32_t space = name[0] == 'n' ? CLONE_NEWNET : strstr(name, "name") ? CLONE_NEWUTS : CLONE_NEWIPC;

		l->at = c->set[i].at;
		l->value = c->set[i].value;
		if (c->set[i].kind == SET_SYSCTL && !(c->spaces & space))
			load_error(l, "the namespace is not the container's own, and nor would this change be");
	}
}

/* ---- hooks -------------------------------------------------------------------- */

static const char stages[] = "pre-start\0pre-mount\0mount\0autodev\0start-host\0start\0stop\0"
			     "post-stop\0clone\0destroy\0";

const char *hook_word(enum hook_stage stage)
{
	return word_at(stages, stage);
}

int hook_stage(const char *word)
{
	return name_index(stages, word);
}

const char *load_hook(struct load *l, const char *value)
{
	struct conf *c = l->c;
	enum hook_stage stage = (enum hook_stage)hook_stage(strrchr(l->key, '.') + 1);
	unsigned kept = 0;

	if (value[0] == '\0') {
		for (unsigned i = 0; i < c->nhooks; i++)
			if (c->hook[i].stage != stage)
				c->hook[kept++] = c->hook[i];
		c->nhooks = kept;
		return NULL;
	}
	if (c->nhooks == HOOKS_MAX)
		return "more hooks than the runtime holds (HOOKS_MAX)";
	c->hook[c->nhooks++] = (struct conf_hook){ stage, load_keep(l, value) };
	return NULL;
}

const char *load_hook_clear(struct load *l, const char *value)
{
	if (value[0] != '\0')
		return "the key only takes an empty value, which clears the hooks";
	l->c->nhooks = 0;
	return NULL;
}

/* ---- groups ----------------------------------------------------------------------- */

const char *load_group(struct load *l, const char *value)
{
	struct conf *c = l->c;
	char word[NAME_LEN_MAX + 1];

	if (value[0] == '\0')
		c->ngroup = 0;
	for (const char *p = value; (p = load_word(p, "", word, sizeof(word))) != NULL;) {
		if (!name_ok(word))
			return "a group is named as a container is";
		if (c->ngroup == GROUPS_MAX)
			return "more groups than the runtime holds (GROUPS_MAX)";
		c->group[c->ngroup] = load_keep(l, word);
		c->ngroup += c->group[c->ngroup] != NULL;
	}
	return NULL;
}

const char *load_gids(struct load *l, const char *value)
{
	struct conf *c = l->c;
	char word[16];
	uint64_t gid;

	c->ngroups = 0;
	for (const char *p = value; (p = load_word(p, ",", word, sizeof(word))) != NULL;) {
		if (!parse_uint(word, 0, load_max(l), &gid))
			return "must be numbers with commas between them";
		if (c->ngroups == GIDS_MAX)
			return "more groups than the runtime holds (GIDS_MAX)";
		c->groups[c->ngroups++] = (gid_t)gid;
	}
	return NULL;
}

/* ---- log ------------------------------------------------------------------------ */

const char *load_log_level(struct load *l, const char *value)
{
	l->c->log_level = value[0] != '\0' ? log_level_number(value) : -1;
	return value[0] != '\0' && l->c->log_level < 0 ?
	       "must be 0 to 8 or TRACE DEBUG INFO NOTICE WARN ERROR CRIT ALERT FATAL" : NULL;
}

const char *load_log_facility(struct load *l, const char *value)
{
	static const char names[] =     /* in the order of syslog.h */
		"kern\0user\0mail\0daemon\0auth\0syslog\0lpr\0news\0uucp\0cron\0authpriv\0ftp\0"
		"12\00013\00014\00015\0local0\0local1\0local2\0local3\0local4\0local5\0local6\0local7\0";

	l->c->log_facility = value[0] != '\0' ? name_index(names, value) : -1;
	return value[0] != '\0' && l->c->log_facility < 0 ?
	       "must be a facility of syslog: daemon, user, local0..." : NULL;
}
