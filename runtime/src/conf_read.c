/* SPDX-License-Identifier: MIT */
/* Files, lines and includes of a configuration. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "conf_load.h"
#include "sys.h"

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Cuts blanks off both ends, in place. */
char *load_trim(char *text)
{
	size_t n;

	while (blank(*text))
		text++;
	n = strlen(text);
	while (n > 0 && blank(text[n - 1]))
		n--;
	text[n] = '\0';
	return text;
}

struct reader {
	int fd, error;                  /* errno of a read that failed */
	off_t left;                     /* of a file whose size is known: no read for its end */
	size_t at, end;
	char bytes[4096];
};

/* The next byte, -1 at the end or on an error. */
static int next_byte(struct reader *r)
{
	ssize_t n;

	if (r->at == r->end) {
		do
			n = r->left == 0 ? 0 : read(r->fd, r->bytes, sizeof(r->bytes));
		while (n < 0 && errno == EINTR);
		r->left -= n;
		if (n <= 0) {
			r->error = n < 0 ? errno : 0;
			return -1;
		}
		r->at = 0;
		r->end = (size_t)n;
	}
	return (unsigned char)r->bytes[r->at++];
}

/*
 * One line without its end (LF, CR LF, or the end of the file). Returns false at the
 * end; `why` says what is wrong with a line that must not be used.
 */
static bool next_line(struct reader *r, char line[CONF_LINE_MAX + 1], const char **why)
{
	size_t n = 0;
	bool any = false, control = false;
	int c, last = 0;

	*why = NULL;
	while ((c = next_byte(r)) >= 0 && c != '\n') {
		any = true;
		/* A CR is one only in front of LF: look at it when the next byte is known. */
		if (last == '\r' || (c < ' ' && c != '\t' && c != '\r') || c == 0x7f)
			control = true;
		last = c;
		if (n == CONF_LINE_MAX) {
			*why = "the line is longer than 4096 bytes (CONF_LINE_MAX)";
			continue;
		}
		line[n++] = (char)c;
	}
	if (n > 0 && last == '\r')
		n--;
	line[n] = '\0';
	if (control && *why == NULL)
		*why = "the line holds a control character";
	return any || c == '\n';
}

static void load_lines(struct load *l, int fd, off_t size, const char *file, load_line_fn *line)
{
	struct reader r = { .fd = fd, .left = size ? size : -1 };
	struct where outer = l->at;
	char text[CONF_LINE_MAX + 1];
	const char *why;

	l->at = (struct where){ .file = file };
	while (!l->stop && next_line(&r, text, &why)) {
		l->at.line++;
		l->key = l->value = NULL;
		if (why == NULL)
			line(l, load_trim(text));
		else
			load_error(l, why);
	}
	if (r.error != 0)
		load_error(l, load_text(l, "cannot read: %s", strerror(r.error)));
	l->at = outer;
	l->key = l->value = NULL;
}

static void load_dir(struct load *l, int dirfd, const char *path);

static bool is_open(const struct load *l, const struct stat *st)
{
	for (unsigned i = 0; i < l->depth; i++)
		if (l->open[i].dev == st->st_dev && l->open[i].ino == st->st_ino)
			return true;
	return false;
}

/*
 * Opens a regular file or a directory. Looked at first, because the open of a watchdog
 * starts it; O_NONBLOCK, because that of a FIFO would wait. -1: reported.
 */
static int open_input(struct load *l, int at, const char *name, struct stat *st)
{
	int fd = -1, known = fstatat(at, name, st, 0);

	if (known == 0 && !S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode)) {
		load_error(l, "not a regular file");
		return -1;
	}
	if (known == 0)
		fd = openat(at, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		load_error(l, load_text(l, "cannot open: %s", strerror(errno)));
	return fd;
}

static void load_file(struct load *l, int at, const char *name, const char *path)
{
	struct stat st;
	int fd CLEAN_FD = open_input(l, at, name, &st);
	const char *file;

	if (fd < 0)
		return;
	if (is_open(l, &st)) {
		load_error(l, "the file includes itself");
		return;
	}
	if (l->depth == CONF_DEPTH_MAX) {
		load_error(l, "includes are nested too deep (CONF_DEPTH_MAX)");
		return;
	}
	file = load_keep(l, path);
	if (file == NULL)
		return;
	l->open[l->depth].dev = st.st_dev;
	l->open[l->depth++].ino = st.st_ino;
	if (S_ISREG(st.st_mode))
		load_lines(l, fd, st.st_size, file, load_line);
	else if (S_ISDIR(st.st_mode) && l->depth > 1)
		load_dir(l, fd, file);
	else
		load_error(l, "not a regular file");
	l->depth--;
}

void load_include(struct load *l, const char *path)
{
	load_file(l, AT_FDCWD, path, path);
}

#define FILE_NAME_MAX 255               /* NAME_MAX of every file system */

static bool conf_name(const char *name)
{
	size_t n = strlen(name);

	return n > 5 && n <= FILE_NAME_MAX && name[0] != '.' && strcmp(name + n - 5, ".conf") == 0;
}

/* The smallest *.conf name behind `after`, into `name`; false when there is none. */
static bool next_name(int dirfd, const char *after, char name[FILE_NAME_MAX + 1])
{
	_Alignas(uint64_t) char buf[2048];
	bool found = false;
	long n;

	if (lseek(dirfd, 0, SEEK_SET) < 0)
		return false;
	while ((n = sys_getdents(dirfd, buf, sizeof(buf))) > 0)
		for (long at = 0; at < n;) {
			const struct sys_dirent *d = (const void *)(buf + at);

			at += d->reclen;
			if (!conf_name(d->name) || strcmp(d->name, after) <= 0 ||
			    (found && strcmp(d->name, name) >= 0))
				continue;
			memcpy(name, d->name, strlen(d->name) + 1);
			found = true;
		}
	return found;
}

/* Sorted by name, because a directory's own order differs from disk to disk. */
static void load_dir(struct load *l, int dirfd, const char *path)
{
	char after[FILE_NAME_MAX + 1] = "", name[FILE_NAME_MAX + 1], file[PATH_LEN_MAX];
	const char *key = l->key;
	struct conf_match m = l->m;

	while (!l->stop && next_name(dirfd, after, name)) {
		if ((size_t)snprintf(file, sizeof(file), "%s/%s", path, name) >= sizeof(file)) {
			load_error(l, "the path is too long (PATH_LEN_MAX)");
			return;
		}
		l->key = key;
		l->value = file;
		load_file(l, dirfd, name, file);
		l->m = m;
		memcpy(after, name, sizeof(after));
	}
}

void load_fstab(struct load *l, const char *path, load_line_fn *line)
{
	struct stat st;
	int fd CLEAN_FD = open_input(l, AT_FDCWD, path, &st);

	if (fd >= 0 && S_ISREG(st.st_mode))
		load_lines(l, fd, st.st_size, path, line);
	else if (fd >= 0)
		load_error(l, "not a regular file");
}
