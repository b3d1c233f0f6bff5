/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "conlog.h"
#include "fds.h"
#include "limits.h"
#include "sys.h"
#include "util.h"

enum { SIZE_USUAL = 131072, LAST_WAIT_MS = 2000 };

static struct {
	int pipe;
	pid_t pid;                      /* of the writer; 0: no log */
	size_t lost;                    /* bytes since the last mark */
} log;

/* ---- the writer -------------------------------------------------------------- */

struct writer {
	const char *path;
	int fd;
	size_t size, at, lost;
	bool rotate;
};

static int open_log(struct writer *w, int extra)
{
	struct stat st;

	close_fd(&w->fd);
	w->fd = openat(AT_FDCWD, w->path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOFOLLOW |
		       O_CLOEXEC | O_NOCTTY | extra, 0600);
	w->at = w->fd >= 0 && fstat(w->fd, &st) == 0 ? (size_t)st.st_size : 0;
	return w->fd;
}

static void turn_over(struct writer *w)
{
	char old[PATH_LEN_MAX + 4];

	snprintf(old, sizeof(old), "%s.1", w->path);
	if (w->rotate)
		rename(w->path, old);
	open_log(w, O_TRUNC);
}

static void mark(char *buf, size_t size, size_t lost)
{
	snprintf(buf, size, "\n[sampan: %zu bytes of the console are missing here]\n", lost);
}

/* What a full disk does not take is missing, and the file says so once there is room. */
static void write_log(struct writer *w, const char *text, size_t n)
{
	char gap[80] = "";

	if (w->lost > 0)
		mark(gap, sizeof(gap), w->lost);
	if (w->at + strlen(gap) + n > w->size)
		turn_over(w);
	if (w->fd < 0 || !write_all(w->fd, gap, strlen(gap)) || !write_all(w->fd, text, n)) {
		w->lost += n;
		return;
	}
	w->at += strlen(gap) + n;
	w->lost = 0;
}

_Noreturn static void write_all_of(int in, struct writer *w)
{
	char buf[4096];
	ssize_t n;

	if (dup2(in, STDIN_FILENO) < 0 || (w->fd != 3 && dup2(w->fd, 3) < 0))
		_exit(1);
	w->fd = 3;
	close_from(4, false);
	prctl(PR_SET_NAME, "sampan-log", 0, 0, 0);
	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0)
			write_log(w, buf, (size_t)n);
	_exit(0);
}

/* ---- the supervisor ------------------------------------------------------------- */

int conlog_begin(const char *file, size_t size, bool rotate)
{
	struct writer w = { .path = file, .fd = -1, .rotate = rotate, .size = size ? size : SIZE_USUAL };
	int ends[2];

	log.pid = 0;
	log.lost = 0;
	if (open_log(&w, 0) < 0)
		return err_set("open the console's log %s", file);
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0 || (log.pid = sys_fork()) < 0)
		return err_set("fork");
	if (log.pid == 0) {
		close(ends[1]);
		fcntl(ends[0], F_SETFL, 0);
		write_all_of(ends[0], &w);
	}
	close(ends[0]);
	close(w.fd);
	log.pipe = ends[1];
	return 0;
}

void conlog_put(const char *text, size_t n)
{
	char gap[80] = "";
	ssize_t done;

	if (log.pid <= 0)
		return;
	if (log.lost > 0)
		mark(gap, sizeof(gap), log.lost);
	/* A pipe takes writes of at most a page whole or not at all. */
	if (*gap && write(log.pipe, gap, strlen(gap)) < 0)
		done = -1;
	else
		done = write(log.pipe, text, n);
	log.lost = done < 0 ? log.lost + n : 0;
}

void conlog_end(void)
{
	if (log.pid <= 0)
		return;
	if (log.lost > 0)
		conlog_put("", 0);
	close(log.pipe);
	for (int waited = 0; waited < LAST_WAIT_MS && waitpid(log.pid, NULL, WNOHANG) == 0; waited++)
		poll(NULL, 0, 1);
	log.pid = 0;
}
