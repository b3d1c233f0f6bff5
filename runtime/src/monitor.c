/* SPDX-License-Identifier: MIT */
/*
 * The supervisor: one process per running container, asleep in one poll. It owns the
 * console, answers requests, sends the halt signal and sees PID 1 end.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "monitor.h"
#include "path.h"
#include "pty.h"
#include "ring.h"
#include "start.h"

enum { CLIENTS_MAX = 6, REQUEST_MAX = 64, ALONE_TICK_MS = 20, ALONE_TICKS = 2 };

struct client {
	int fd;
	size_t used;
	char line[REQUEST_MAX];
};

struct monitor {
	struct start *s;
	struct client client[CLIENTS_MAX];
	struct proxy proxy;
	bool proxying;
	bool watch_alone;               /* busybox init was told to end */
	unsigned alone;                 /* ticks PID 1 has been without company */
	int signalfd;
};

/* ---- the socket ----------------------------------------------------------------- */

static int socket_name(struct sockaddr_un *a, const char *name)
{
	const char *run = getenv("SAMPAN_RUN");

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if ((size_t)snprintf(a->sun_path, sizeof(a->sun_path), "%s/%s/socket",
			     run && *run ? run : RUN_DEFAULT, name) >= sizeof(a->sun_path))
		return err_plain("the path of the control socket is too long");
	return 0;
}

int monitor_listen(struct start *s)
{
	struct sockaddr_un a;

	if (socket_name(&a, s->ctr->name) < 0)
		return -1;
	unlink(a.sun_path);             /* of a supervisor that died; we hold the claim */
	s->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->socket < 0 || bind(s->socket, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(s->socket, CLIENTS_MAX) < 0)
		return err_set("listen on %s", a.sun_path);
	return 0;
}

int monitor_connect(const char *name)
{
	CLEAN_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a;

	if (fd < 0 || socket_name(&a, name) < 0 ||
	    connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -1;
	return take_fd(&fd);
}

int monitor_ask(int fd, const char *request)
{
	char answer[256];
	size_t used = 0;

	if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
		return err_set("ask the supervisor");
	while (used < sizeof(answer) - 1 && !memchr(answer, '\n', used)) {
		ssize_t n = recv(fd, answer + used, sizeof(answer) - 1 - used, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_plain("the supervisor does not answer");
		used += (size_t)n;
	}
	answer[used] = '\0';
	answer[strcspn(answer, "\n")] = '\0';
	if (strncmp(answer, "ok", 2) == 0)
		return 0;
	return err_plain("%s", strncmp(answer, "error ", 6) == 0 ? answer + 6 : answer);
}

int monitor_wait_end(int fd, int milliseconds)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;

	if (poll(&p, 1, milliseconds) <= 0)
		return 0;
	return recv(fd, &byte, 1, 0) <= 0;
}

/* ---- ending ---------------------------------------------------------------------- */

/* busybox init sleeps two seconds in its halt, with nothing left to wait for. */
static bool is_busybox(pid_t pid)
{
	char path[40], exe[PATH_LEN_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	if (n <= 0)
		return false;
	exe[n] = '\0';
	return strstr(exe, "/busybox") != NULL;
}

/* SigBlk of /proc/PID/status: an init that takes SIGRTMIN+3 (systemd) blocks it. */
static bool blocks(pid_t pid, int sig)
{
	char path[40], text[2048], *line;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (read_small(AT_FDCWD, path, text, sizeof(text)) < 0 || !(line = strstr(text, "SigBlk:")))
		return false;
	return strtoull(line + 7, NULL, 16) >> (sig - 1) & 1;
}

static int halt_signal(const struct start *s)
{
	enum { KERNEL_RTMIN = 32 };     /* musl's SIGRTMIN keeps three for itself */

	if (s->st.sig_halt)
		return s->st.sig_halt;
	if (s->app)
		return SIGTERM;
	return blocks(s->pid, KERNEL_RTMIN + 2 + 3) ? KERNEL_RTMIN + 2 + 3 : SIGPWR;
}

static void halt(struct monitor *m)
{
	struct start *s = m->s;

	kill(s->pid, halt_signal(s));
	s->reboot_asked = false;
	m->watch_alone = !s->app && is_busybox(s->pid);
	s->st.state = ST_STOPPING;
	state_write(s->statedir, &s->st);
}

static void alone_tick(struct monitor *m)
{
	m->alone = cg_count(&m->s->st.cg, 2) == 1 ? m->alone + 1 : 0;
	if (m->alone >= ALONE_TICKS)
		kill(m->s->pid, SIGKILL);
}

/* ---- requests -------------------------------------------------------------------- */

static void answer(const struct client *c, const char *text)
{
	send(c->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void do_state(struct monitor *m, struct client *c)
{
	char text[64];

	snprintf(text, sizeof(text), "ok %s %d\n", state_word(m->s->st.state), m->s->pid);
	answer(c, text);
}

static void do_halt(struct monitor *m, struct client *c)
{
	halt(m);
	answer(c, "ok\n");
}

static void do_reboot(struct monitor *m, struct client *c)
{
	if (m->s->app) {
		answer(c, "error an app container has no init to restart it\n");
		return;
	}
	kill(m->s->pid, m->s->st.sig_reboot ? m->s->st.sig_reboot : SIGINT);
	m->s->reboot_asked = true;
	m->watch_alone = is_busybox(m->s->pid);
	answer(c, "ok\n");
}

static void do_kill(struct monitor *m, struct client *c)
{
	m->s->reboot_asked = false;
	cg_kill(&m->s->st.cg);
	kill(m->s->pid, SIGKILL);
	answer(c, "ok\n");
}

static const struct {
	char word[12];
	void (*run)(struct monitor *m, struct client *c);
} requests[] = {
	{ "state", do_state }, { "halt", do_halt }, { "reboot", do_reboot }, { "kill", do_kill },
};

static void serve_line(struct monitor *m, struct client *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		if (strcmp(requests[i].word, c->line) == 0) {
			requests[i].run(m, c);
			return;
		}
	}
	answer(c, "error unknown request\n");
}

static void drop(struct client *c)
{
	close_fd(&c->fd);
	c->fd = -1;
	c->used = 0;
}

static void serve(struct monitor *m, struct client *c)
{
	ssize_t n = recv(c->fd, c->line + c->used, REQUEST_MAX - 1 - c->used, MSG_DONTWAIT);
	char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(c);
		return;
	}
	c->used += (size_t)n;
	c->line[c->used] = '\0';
	while ((end = strchr(c->line, '\n')) != NULL) {
		*end = '\0';
		serve_line(m, c);
		c->used -= (size_t)(end + 1 - c->line);
		memmove(c->line, end + 1, c->used + 1);
	}
	if (c->used == REQUEST_MAX - 1)
		drop(c);
}

static void accept_client(struct monitor *m)
{
	int fd = accept4(m->s->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	    (peer.uid == 0 || peer.uid == geteuid())) {
		for (int i = 0; i < CLIENTS_MAX; i++) {
			if (m->client[i].fd < 0) {
				m->client[i].fd = fd;
				return;
			}
		}
	}
	close(fd);
}

/* ---- signals ---------------------------------------------------------------------- */

/* What a person or a service manager sends to us is meant for the container. */
static void pass_signal(struct monitor *m, int sig)
{
	switch (sig) {
	case SIGWINCH:
		if (m->proxying)
			pty_size(STDIN_FILENO, m->proxy.master);
		break;
	case SIGINT:
	case SIGHUP:
	case SIGQUIT:
	case SIGTERM:
		if (m->s->app && m->s->foreground)
			kill(m->s->pid, sig);
		else
			halt(m);
		break;
	case SIGUSR1:
	case SIGUSR2:
		if (m->s->app)
			kill(m->s->pid, sig);
		break;
	default:
		break;
	}
}

/* True when PID 1 has ended. */
static bool take_signals(struct monitor *m, int *status)
{
	struct signalfd_siginfo info;

	while (read(m->signalfd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGCHLD)
			pass_signal(m, (int)info.ssi_signo);
	}
	return waitpid(m->s->pid, status, WNOHANG) == m->s->pid;
}

/* ---- the loop ---------------------------------------------------------------------- */

static bool stdio_tty(void)
{
	return isatty(STDIN_FILENO) || isatty(STDOUT_FILENO) || isatty(STDERR_FILENO);
}

/* Clients stay connected over a restart. */
static void begin(struct monitor *m, struct start *s)
{
	for (int i = 0; i < CLIENTS_MAX && !m->s; i++)
		m->client[i].fd = -1;
	m->s = s;
	m->watch_alone = false;
	m->alone = 0;
	m->signalfd = signalfd(-1, &s->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	m->proxying = s->foreground && s->ptys.console >= 0 && stdio_tty();
	if (m->proxying)
		proxy_begin(&m->proxy, s->ptys.console, isatty(STDIN_FILENO));
	else if (s->ptys.console >= 0)
		ring_begin(s->ptys.console, s->logfile);
}

static unsigned fill_poll(const struct monitor *m, struct pollfd *p)
{
	unsigned n = 2;

	p[0] = (struct pollfd){ .fd = m->signalfd, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = m->s->socket, .events = POLLIN };
	if (m->proxying) {
		n += proxy_poll(&m->proxy, p + n);
	} else {
		p[n++] = (struct pollfd){ .fd = m->s->ptys.console, .events = POLLIN };
		p[n++] = (struct pollfd){ .fd = -1 };
	}
	for (int i = 0; i < CLIENTS_MAX; i++)
		p[n++] = (struct pollfd){ .fd = m->client[i].fd, .events = POLLIN };
	return n;
}

static void handle(struct monitor *m, const struct pollfd *p)
{
	if (m->proxying)
		proxy_step(&m->proxy, p + 2, 2);
	else if (p[2].revents)
		ring_drain();
	for (int i = 0; i < CLIENTS_MAX; i++)   /* before accepting: p[] knows the old ones */
		if (m->client[i].fd >= 0 && p[4 + i].revents)
			serve(m, &m->client[i]);
	if (p[1].revents)
		accept_client(m);
}

int monitor_run(struct start *s)
{
	static struct monitor m;
	struct pollfd p[4 + CLIENTS_MAX];
	int status = 0;

	begin(&m, s);
	for (;;) {
		unsigned n = fill_poll(&m, p);
		int rc = poll(p, n, m.watch_alone ? ALONE_TICK_MS : -1);

		if (rc > 0)
			handle(&m, p);
		if (rc > 0 && p[0].revents && take_signals(&m, &status))
			break;
		if (m.watch_alone)
			alone_tick(&m);
	}
	if (m.proxying)
		proxy_end(&m.proxy);
	else
		ring_end();
	close(m.signalfd);
	/* The clients' sockets stay open until this process ends, when all is cleaned up. */
	return status;
}
