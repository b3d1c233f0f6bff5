/* SPDX-License-Identifier: MIT */
/* The cgroup hierarchies this system has mounted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include "cgroup.h"
#include "lines.h"
#include "sys.h"
#include "util.h"
#include "words.h"

/* Options of a v1 mount that are no controllers. */
static bool is_controller(const char *word)
{
	static const char not[][16] = { "rw", "ro", "noprefix", "xattr", "clone_children",
					"cpuset_v2_mode", "favordynmods" };

	for (size_t i = 0; i < ARRAY_SIZE(not); i++)
		if (strcmp(word, not[i]) == 0)
			return false;
	return strncmp(word, "name=", 5) != 0 && strncmp(word, "release_agent", 13) != 0;
}

static void add_hier(struct cg_host *host, bool v2, const char *mount, char *options)
{
	struct cg_hier *h = &host->hier[host->n];
	size_t used = 1;
	char *word, *save;

	if (host->n == CG_MAX || strlen(mount) + NAME_LEN_MAX + 16 > sizeof(h->mount))
		return;
	*h = (struct cg_hier){ .v2 = v2, .ctrl = "," };
	strcpy(h->mount, mount);
	for (word = v2 ? NULL : strtok_r(options, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		if (!is_controller(word) || used + strlen(word) + 2 > sizeof(h->ctrl))
			continue;
		used += (size_t)sprintf(h->ctrl + used, "%s,", word);
	}
	if (v2 || h->ctrl[1] != '\0')
		host->n++;
}

/* Another mount may lie over it, or it may be outside of our chroot: is `mount` that device? */
static bool leads_there(const char *line, const char *mount)
{
	char device[24], seen[24];
	struct stat st;

	if (!nth_word(line, 2, device, sizeof(device)) || stat(mount, &st) < 0)
		return false;
	snprintf(seen, sizeof(seen), "%u:%u", major(st.st_dev), minor(st.st_dev));
	return strcmp(seen, device) == 0;
}

/*
 * "36 35 98:0 ROOT MOUNTPOINT OPTIONS [OPTIONAL...] - TYPE SOURCE SUPEROPTIONS".
 */
static void mountinfo_line(struct cg_host *host, char *line, const char *below)
{
	char mount[CG_PATH_MAX], type[16], super[CG_PATH_MAX];
	char *dash = strstr(line, " - ");
	bool v2;

	if (!dash || !nth_word(dash + 3, 0, type, sizeof(type)) ||
	    !nth_word(dash + 3, 2, super, sizeof(super)) || !nth_word(line, 4, mount, sizeof(mount)))
		return;
	v2 = strcmp(type, "cgroup2") == 0;
	if ((!v2 && strcmp(type, "cgroup") != 0) ||
	    (below && strncmp(mount, below, strlen(below)) != 0))
		return;
	for (unsigned i = 0; i < host->n; i++)  /* the same hierarchy bound elsewhere */
		if (v2 && host->hier[i].v2)
			return;
	if (!leads_there(line, mount))
		return;
	add_hier(host, v2, mount, super);
}

static bool is_type(const char *path, unsigned long type)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == type;
}

/* A v1 controller at its usual place, alone: with cpuset in its hierarchy it would need more than a folder. */
static void add_usual(struct cg_host *host, const char *root, char *ctrl)
{
	char mount[CG_PATH_MAX], cpuset[CG_PATH_MAX + 16];

	snprintf(mount, sizeof(mount), "%s/%s", root, ctrl);
	snprintf(cpuset, sizeof(cpuset), "%s/cpuset.cpus", mount);
	if (is_type(mount, FS_CGROUP) && access(cpuset, F_OK) < 0)
		add_hier(host, false, mount, ctrl);
}

/*
 * Where systems mount them as a rule: v2 alone, or v1 by controller with v2 in `unified`. What
 * lies elsewhere is not seen then, nor is a controller that keeps no track and holds no rules.
 */
bool cg_quick(struct cg_host *host, bool all)
{
	char unified[CG_PATH_MAX], freezer[] = "freezer", devices[] = "devices";
	const char *root = getenv("SAMPAN_CGROUP_ROOT");

	root = root ? root : "/sys/fs/cgroup";
	snprintf(unified, sizeof(unified), "%s/unified", root);
	host->n = 0;
	if (is_type(root, FS_CGROUP2)) {
		add_hier(host, true, root, NULL);
		return true;
	}
	if (all)
		return false;
	if (is_type(unified, FS_CGROUP2))
		add_hier(host, true, unified, NULL);
	else
		add_usual(host, root, freezer);
	add_usual(host, root, devices);
	return host->n == 2;
}

int cg_detect(struct cg_host *host)
{
	const char *below = getenv("SAMPAN_CGROUP_ROOT");
	struct lines l CLEAN_LINES;

	host->n = 0;
	if (!lines_open(&l, "/proc/self/mountinfo"))
		return err_set("open /proc/self/mountinfo");
	for (char *line; (line = lines_next(&l)) != NULL;)
		mountinfo_line(host, line, below);
	return 0;
}

/* "4:cpu,cpuacct:/GROUP", v2 "0::/GROUP" */
static int place_of_caller(struct cg_host *host)
{
	struct lines l CLEAN_LINES;

	if (!lines_open(&l, "/proc/self/cgroup"))
		return err_set("open /proc/self/cgroup");
	for (char *line; (line = lines_next(&l)) != NULL;) {
		char *ctrl = strchr(line, ':') + 1, *path = strchr(ctrl, ':');
		const struct cg_hier *h;

		*path++ = '\0';
		h = *ctrl ? cg_find(host, ctrl) : cg_find_v2(host);
		if (h && path[1] && (strncmp(path, "/..", 3) == 0 || strlen(path) >= sizeof(h->below)))
			return err_plain("lxc.cgroup.relative: nothing can be made below %s", path);
		if (h && path[1])
			strcpy(host->hier[h - host->hier].below, path);
	}
	return 0;
}

int cg_place(struct cg_host *host, const struct conf *conf)
{
	if (conf->cgroup_relative && place_of_caller(host) < 0)
		return -1;
	for (unsigned i = 0; i < host->n; i++) {
		struct cg_hier *h = &host->hier[i];
		size_t n = strlen(h->below);

		if (conf->cgroup_dir)
			n += (size_t)snprintf(h->below + n, sizeof(h->below) - n, "/%s", conf->cgroup_dir);
		if (strlen(h->mount) + n + NAME_LEN_MAX + 16 > sizeof(h->mount))
			return err_plain("lxc.cgroup.dir: the path of its cgroup is too long");
	}
	return 0;
}

const struct cg_hier *cg_find(const struct cg_host *host, const char *ctrl)
{
	char word[64];

	snprintf(word, sizeof(word), ",%s,", ctrl);
	for (unsigned i = 0; i < host->n; i++)
		if (strstr(host->hier[i].ctrl, word))
			return &host->hier[i];
	return NULL;
}

const struct cg_hier *cg_find_v2(const struct cg_host *host)
{
	for (unsigned i = 0; i < host->n; i++)
		if (host->hier[i].v2)
			return &host->hier[i];
	return NULL;
}

const char *cg_layout(const struct cg_host *host)
{
	bool v2 = cg_find_v2(host) != NULL;

	if (host->n == 0)
		return "none";
	return v2 ? (host->n > 1 ? "hybrid" : "v2") : "v1";
}
