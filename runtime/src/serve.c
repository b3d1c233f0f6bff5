/* SPDX-License-Identifier: MIT */
/* The supervisor's clients: accepting them, their lines, the requests there are. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "fds.h"
#include "monitor.h"
#include "notify.h"
#include "ring.h"

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
	monitor_halt(m);
	answer(c, "ok\n");
}

static void do_reboot(struct monitor *m, struct client *c)
{
	if (m->s->app) {
		answer(c, "error an app container has no init to restart it\n");
		return;
	}
	monitor_reboot(m);
	answer(c, "ok\n");
}

static void do_kill(struct monitor *m, struct client *c)
{
	monitor_kill(m);
	answer(c, "ok\n");
}

/* Somebody froze or thawed it: what the kernel says counts. */
static void do_look(struct monitor *m, struct client *c)
{
	struct start *s = m->s;
	enum run_state now = cg_frozen(&s->st.cg) ? ST_FROZEN : ST_RUNNING;

	if (s->st.state != now && (s->st.state == ST_RUNNING || s->st.state == ST_FROZEN)) {
		notify(s->ctr->name, now == ST_FROZEN ? ST_FREEZING : ST_THAWED, -1);
		set_state(s, now);
	}
	answer(c, "ok\n");
}

static bool busy(const struct monitor *m, int tty)
{
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (m->client[i].fd >= 0 && m->client[i].tty == tty)
			return true;
	return false;
}

/* The first free terminal; the console when there are none at all. */
static int free_tty(const struct monitor *m)
{
	int n = 1;

	while (n <= (int)m->s->ptys.nttys && busy(m, n))
		n++;
	return m->s->ptys.nttys == 0 ? 0 : n;
}

/* "tty N", N empty: any. The master goes along; the console's output comes by the socket. */
static void do_tty(struct monitor *m, struct client *c)
{
	const struct ptys *p = &m->s->ptys;
	const char *word = c->line + 3 + strspn(c->line + 3, " ");
	uint64_t number = (uint64_t)free_tty(m);
	char text[16];
	int fd;

	if ((*word && !parse_uint(word, 0, TTYS_MAX, &number)) || number > p->nttys) {
		answer(c, *word ? "error it has no such terminal: see lxc.tty.max\n"
				: "error all its terminals are in use\n");
		return;
	}
	fd = number ? p->tty[number - 1] : m->proxying ? -1 : p->console;
	if (fd < 0 || busy(m, (int)number)) {
		answer(c, fd >= 0 ? "error somebody else is at this terminal\n" : m->proxying ?
			  "error its console is on the terminal it was started from\n" :
			  "error it has no console of ours\n");
		return;
	}
	snprintf(text, sizeof(text), "ok %d\n", (int)number);
	if (fds_send(c->fd, text, strlen(text), &fd, 1) < 0)
		return;
	c->tty = (int)number;
	if (c->tty == 0)
		ring_peer(c->fd);
}

static const struct {
	char word[12];
	void (*run)(struct monitor *m, struct client *c);
} requests[] = {
	{ "state", do_state }, { "halt", do_halt }, { "reboot", do_reboot }, { "kill", do_kill },
	{ "look", do_look }, { "tty", do_tty },
};

static void serve_line(struct monitor *m, struct client *c)
{
	size_t n = strcspn(c->line, " ");

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		if (strlen(requests[i].word) == n && strncmp(requests[i].word, c->line, n) == 0) {
			requests[i].run(m, c);
			return;
		}
	}
	answer(c, "error unknown request\n");
}

void serve_drop(struct client *c)
{
	if (c->tty == 0)
		ring_peer(-1);
	if (c->fd > 0)
		close(c->fd);
	c->fd = c->tty = -1;
	c->used = 0;
}

void serve_read(struct monitor *m, struct client *c)
{
	ssize_t n = recv(c->fd, c->line + c->used, REQUEST_MAX - 1 - c->used, MSG_DONTWAIT);
	char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		serve_drop(c);
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
		serve_drop(c);
}

void serve_accept(struct monitor *m)
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
