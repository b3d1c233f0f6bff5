/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "notify.h"

static struct sockaddr_un own;          /* address of our socket, when we watch */

static const char *folder(void)
{
	static char path[sizeof(own.sun_path) - 12];
	const char *run = getenv("SAMPAN_RUN");

	path_fmt(path, sizeof(path), "%s/.watch", run && *run ? run : RUN_DEFAULT);
	return path;
}

static struct sockaddr_un address(const char *file)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	path_fmt(a.sun_path, sizeof(a.sun_path), "%s/%s", folder(), file);
	return a;
}

static struct event event_of(const char *name, enum run_state state, int status)
{
	struct event e = { .state = state, .status = status };

	snprintf(e.name, sizeof(e.name), "%s", name);
	return e;
}

static struct event early;              /* goes with the next one, if it has a name */

void notify_soon(const char *name, enum run_state state)
{
	early = event_of(name, state, -1);
}

/* False: nobody listens there any more. */
static bool tell(int fd, const struct sockaddr_un *a, const struct event *e)
{
	return sendto(fd, e, sizeof(*e), MSG_NOSIGNAL, (const struct sockaddr *)a, sizeof(*a)) >= 0 ||
	       errno != ECONNREFUSED;
}

void notify(const char *name, enum run_state state, int status)
{
	struct event e = event_of(name, state, status);
	DIR *d = opendir(folder());
	struct dirent *entry;
	int fd;

	if (d) {
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		while (fd >= 0 && (entry = readdir(d)) != NULL) {
			struct sockaddr_un a;

			if (entry->d_name[0] == '.' || strlen(entry->d_name) > 10)
				continue;
			a = address(entry->d_name);
			if ((early.name[0] != '\0' && !tell(fd, &a, &early)) || !tell(fd, &a, &e))
				unlink(a.sun_path);     /* of a watcher that was killed */
		}
		close_fd(&fd);
		closedir(d);
		rmdir(folder());                /* if that was the last one */
	}
	early.name[0] = '\0';
}

static void leave(int sig)
{
	unlink(own.sun_path);
	rmdir(folder());
	if (sig)
		_exit(128 + sig);
}

static volatile sig_atomic_t caught;

static void note(int sig)
{
	caught = sig;
}

int watch_poll(struct pollfd *p, unsigned n, int milliseconds)
{
	struct timespec t = { .tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000L };
	sigset_t none;

	sigemptyset(&none);
	return ppoll(p, n, milliseconds < 0 ? NULL : &t, &none);
}

void watch_rest(void)
{
	if (caught)
		leave(caught);
}

void watch_close(void)
{
	leave(0);
}

int watch_open(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };
	CLEAN_FD int root = state_root(), fd = -1;
	sigset_t all;
	char pid[12];

	if (root < 0)
		return -1;
	snprintf(pid, sizeof(pid), "%d", getpid());
	own = address(pid);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		signal(ends[i], note);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	for (int tries = 0; fd >= 0 && tries < 20; tries++) {   /* the last watcher may just go */
		if (mkdirat(root, ".watch", 0700) < 0 && errno != EEXIST)
			break;
		unlink(own.sun_path);
		if (bind(fd, (struct sockaddr *)&own, sizeof(own)) == 0)
			return take_fd(&fd);
	}
	return err_set("listen on %s", own.sun_path);
}

bool watch_next(int fd, struct event *e)
{
	ssize_t n = recv(fd, e, sizeof(*e), MSG_DONTWAIT);

	e->name[NAME_LEN_MAX] = '\0';
	return n == sizeof(*e) && e->state <= ST_THAWED;
}
