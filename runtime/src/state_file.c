/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "path.h"
#include "state_file.h"

enum { STATE_BYTES_MAX = 3 * PATH_LEN_MAX + CG_MAX * (CG_PATH_MAX + 16) + 2 * NET_UNDO_MAX + DEVLIST_TEXT_MAX };

static const char words[][9] = { "STOPPED", "STARTING", "RUNNING", "STOPPING", "ABORTING",
				 "FREEZING", "FROZEN", "THAWED" };

const char *state_word(enum run_state s)
{
	return words[s];
}

enum { FIRST = sizeof("state 0\n") - 1, LAST = sizeof("end 01234567\n") - 1 };

/* FNV-1a of all but the first line, whose digit changes in its place. */
static unsigned sum(const char *text, size_t n)
{
	uint32_t h = 2166136261u;

	for (size_t i = FIRST; i < n; i++)
		h = (h ^ (unsigned char)text[i]) * 16777619u;
	return h;
}

int state_write(int dir, const struct state *st)
{
	CLEAN_FD int fd = openat(dir, "state.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW |
				 O_CLOEXEC, 0600);
	char text[STATE_BYTES_MAX];
	int n;

	if (fd < 0)
		return err_set("create state.new");
	n = snprintf(text, sizeof(text),
		     "state %d\ninit %d %" PRIu64 "\nsupervisor %d %" PRIu64 "\napp %d\nunfiltered %d\n"
		     "halt %d\nlxcpath %s\nconfig %s\n", st->state, st->init.pid, st->init.start,
		     st->supervisor.pid, st->supervisor.start, st->app, st->unfiltered, st->sig_halt,
		     st->lxcpath, st->config);
	for (unsigned i = 0; i < st->cg.n; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "cgroup %d%d %s\n",
			      st->cg.dir[i].v2, st->cg.dir[i].track, st->cg.dir[i].path);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "net ");
	n += (int)net_undo_text(&st->net, text + n, sizeof(text) - (size_t)n);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "\ndevices\n%s", st->devices ? st->devices : "");
	n += snprintf(text + n, sizeof(text) - (size_t)n, "end %08x\n", sum(text, (size_t)n));
	if (!write_all(fd, text, (size_t)n) || renameat(dir, "state.new", dir, "state") < 0)
		return err_set("write the state file");
	return take_fd(&fd);
}

int state_set(int file, enum run_state s)
{
	char digit = (char)('0' + s);

	/* One byte: who reads meanwhile sees the old state or the new one. */
	return pwrite(file, &digit, 1, sizeof("state ") - 1) == 1 ? 0 : err_set("write the state file");
}

static bool parse_task(const char *v, struct task *t)
{
	char *end;

	t->pid = (pid_t)strtol(v, &end, 10);
	if (end == v || *end != ' ')
		return false;
	v = end + 1;
	t->start = strtoull(v, &end, 10);
	return end != v && *end == '\0';
}

static bool parse_cgroup(const char *v, struct cg *cg)
{
	struct cg_dir *d = &cg->dir[cg->n];

	if (cg->n == CG_MAX || strlen(v) < 4 || strlen(v + 3) >= sizeof(d->path) ||
	    !strstr(v + 3, "/sampan/"))
		return false;
	d->v2 = v[0] == '1';
	d->track = v[1] == '1';
	strcpy(d->path, v + 3);
	cg->n++;
	return true;
}

static bool parse_path(const char *v, char *path)
{
	if (strlen(v) >= PATH_LEN_MAX)
		return false;
	strcpy(path, v);
	return true;
}

static bool parse_line(const char *key, const char *v, struct state *st)
{
	if (strcmp(key, "init") == 0)
		return parse_task(v, &st->init);
	if (strcmp(key, "supervisor") == 0)
		return parse_task(v, &st->supervisor);
	if (strcmp(key, "cgroup") == 0)
		return parse_cgroup(v, &st->cg);
	if (strcmp(key, "net") == 0)
		return net_undo_parse(v, &st->net);
	if (strcmp(key, "lxcpath") == 0)
		return parse_path(v, st->lxcpath);
	if (strcmp(key, "config") == 0)
		return parse_path(v, st->config);
	if (strcmp(key, "app") == 0)
		st->app = *v == '1';
	if (strcmp(key, "unfiltered") == 0)
		st->unfiltered = *v == '1';
	if (strcmp(key, "halt") == 0)
		st->sig_halt = atoi(v);
	if (strcmp(key, "state") == 0)
		st->state = (enum run_state)(*v - '0');
	return true;
}

/*
 * A file that is cut short (disk full, power) or spoilt does not end in its sum: it is not
 * loaded. 0: `text` holds a good one, without its end; -1: it does not, and errno is that
 * of reading it or 0.
 */
static int read_state(int dir, char text[STATE_BYTES_MAX])
{
	long n = read_small(dir, "state", text, STATE_BYTES_MAX);
	char end[LAST + 1];

	if (n < 0)
		return -1;
	errno = 0;
	if (n < FIRST + LAST || text[FIRST - 2] < '0' || text[FIRST - 2] > '7' || text[FIRST - 1] != '\n')
		return -1;
	snprintf(end, sizeof(end), "end %08x\n", sum(text, (size_t)n - LAST));
	if (strcmp(text + n - LAST, end) != 0)
		return -1;
	text[n - LAST] = '\0';
	return 0;
}

static const char list_begins[] = "\ndevices\n";

static int parse_state(char *text, struct state *st)
{
	char *list = strstr(text, list_begins), *line, *save;

	if (list)
		*list = '\0';
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *v = strchr(line, ' ');

		if (v)
			*v++ = '\0';
		if (v && !parse_line(line, v, st))
			return -1;
	}
	return 0;
}

int state_read(int dir, const char *name, struct state *st)
{
	char text[STATE_BYTES_MAX];
	int rc = read_state(dir, text);

	if (rc < 0 && errno != 0)
		return errno == ENOENT ? 0 : err_set("read the state file");
	if (rc == 0 && parse_state(text, st) == 0)
		return 1;
	err_plain("the state file is damaged");
	err_hint("is the file system full? remove " RUN_DEFAULT "/%s when nothing of the container runs", name);
	return -1;
}

int state_devices(int dir, char list[DEVLIST_TEXT_MAX])
{
	char text[STATE_BYTES_MAX];
	const char *begin;
	int rc = read_state(dir, text);

	list[0] = '\0';
	if (rc < 0 && errno == ENOENT)
		return 0;
	if (rc < 0)
		return errno ? err_set("read the state file") : err_plain("the state file is damaged");
	begin = strstr(text, list_begins);
	if (begin)
		snprintf(list, DEVLIST_TEXT_MAX, "%s", begin + sizeof(list_begins) - 1);
	return 0;
}
