/* SPDX-License-Identifier: MIT */
/*
 * The supervisor: one process per running container, asleep in one poll. It owns the
 * console, answers requests, sends the halt signal and sees PID 1 end.
 */
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include "conlog.h"
#include "hotplug.h"
#include "log.h"
#include "monitor.h"
#include "ring.h"
#include "sys.h"

enum { ALONE_TICK_MS = 20 };

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
			monitor_halt(m);
		break;
	case SIGUSR1:
	case SIGUSR2:
		if (m->s->app && !m->over)
			kill(m->s->pid, sig);
		break;
	default:
		break;
	}
}

/* True when PID 1 has ended. */
static bool take_signals(struct monitor *m, int *status)
{
	struct signalfd_siginfo info[4];
	ssize_t n = read(m->s->signalfd, info, sizeof(info));      /* what is left wakes poll again */

	for (ssize_t i = 0; i < n / (ssize_t)sizeof(info[0]); i++)
		if (info[i].ssi_signo != SIGCHLD)
			pass_signal(m, (int)info[i].ssi_signo);
	hotplug_reap(m);
	return waitpid(m->s->pid, status, WNOHANG) == m->s->pid;
}

/* ---- the loop ---------------------------------------------------------------------- */

static bool any_tty(const struct start *s)
{
	return s->stdio[0] == STDIO_TTY || s->stdio[1] == STDIO_TTY || s->stdio[2] == STDIO_TTY;
}

/* The container runs already: a log that cannot be made is no reason to end it. */
static void begin_console(struct start *s)
{
	ring_begin(s->ptys.console, s->ring_size);
	if (s->logfile[0] && conlog_begin(s->logfile, s->log_size, s->log_rotate) < 0)
		log_say(LOG_ERROR, "%s: %s", s->ctr->name, err_text());
}

/* Clients stay connected over a restart, but for those at terminals that are gone. */
static void begin(struct monitor *m, struct start *s)
{
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (!m->s || m->client[i].tty >= 0)
			serve_drop(&m->client[i]);
	m->s = s;
	m->watch_alone = m->over = s->stop_asked = false;
	m->alone = 0;
	m->kill_at = 0;
	m->proxying = s->foreground && s->ptys.console >= 0 && any_tty(s);
	if (s->ptys.console >= 0)
		begin_console(s);
	if (m->proxying) {
		proxy_begin(&m->proxy, s->ptys.console, s->stdio[STDIN_FILENO] == STDIO_TTY);
		m->proxy.tap = ring_take;
	}
}

static unsigned fill_poll(const struct monitor *m, struct pollfd *p)
{
	unsigned n = 3;

	p[0] = (struct pollfd){ .fd = m->s->signalfd, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = m->s->socket, .events = POLLIN };
	p[2] = (struct pollfd){ .fd = m->s->uevents, .events = POLLIN };
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
		proxy_step(&m->proxy, p + 3, 2);
	else if (p[3].revents)
		ring_drain();
	for (int i = 0; i < CLIENTS_MAX; i++)   /* before accepting: p[] knows the old ones */
		if (m->client[i].fd >= 0 && p[5 + i].revents)
			serve_read(m, &m->client[i]);
	if (p[1].revents)
		serve_accept(m);
	if (p[2].revents)
		hotplug_step(m);
}

static struct monitor m;

static int next_tick(void)
{
	long long left;

	if (m.watch_alone)
		return ALONE_TICK_MS;
	if (m.kill_at == 0)
		return -1;
	left = m.kill_at - now_ms();
	return left > 0 ? (int)left : 0;
}

int monitor_run(struct start *s)
{
	struct pollfd p[5 + CLIENTS_MAX];
	int status = 0;

	begin(&m, s);
	for (;;) {
		unsigned n = fill_poll(&m, p);
		int rc = poll(p, n, next_tick());

		if (rc > 0)
			handle(&m, p);
		if (rc > 0 && p[0].revents && take_signals(&m, &status))
			break;
		if (m.watch_alone)
			monitor_alone_tick(&m);
		if (m.kill_at && now_ms() >= m.kill_at)
			monitor_late_tick(&m);
	}
	if (m.proxying)
		proxy_end(&m.proxy);
	ring_end(s->ctr->name);
	if (m.looker > 0)
		kill(m.looker, SIGKILL);
	m.proxying = false;
	/* The clients' sockets stay open until this process ends, when all is cleaned up. */
	return status;
}

bool monitor_pause(struct start *s)
{
	long long end = now_ms() + 1000LL * s->restart_delay, left;
	struct pollfd p[5 + CLIENTS_MAX];
	int status;

	m.s = s;
	m.over = true;
	set_state(s, ST_STARTING);
	while (!s->stop_asked && (left = end - now_ms()) > 0) {
		unsigned n = fill_poll(&m, p);

		p[2].fd = p[3].fd = -1;
		if (poll(p, n, (int)left) <= 0)
			continue;
		handle(&m, p);
		if (p[0].revents)
			take_signals(&m, &status);
	}
	return !s->stop_asked;
}
