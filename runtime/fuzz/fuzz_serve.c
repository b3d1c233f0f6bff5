/* SPDX-License-Identifier: MIT */
/* The input is what a client writes to the command socket: a length, then so many bytes, at a time. */
#include "../src/serve.c"
#include "fuzz.h"

static unsigned requests_seen;

void monitor_halt(struct monitor *m)
{
	requests_seen += m->s != NULL;
}

void monitor_kill(struct monitor *m)
{
	requests_seen += m->s != NULL;
}

void monitor_reboot(struct monitor *m)
{
	requests_seen += m->s != NULL;
}

bool cg_frozen(const struct cg *cg)
{
	return cg->n > 0;
}

int set_state(struct start *s, enum run_state state)
{
	s->st.state = state;
	return 0;
}

void notify(const char *name, enum run_state state, int code)
{
	PROMISE(name != NULL && state <= ST_THAWED && code == -1);
}

const char *state_word(enum run_state s)
{
	return s == ST_RUNNING ? "RUNNING" : "OTHER";
}

void ring_peer(int fd)
{
	PROMISE(fd >= -1);
}

int fds_send(int sock, const void *data, size_t size, const int *fds, size_t n)
{
	PROMISE(n == 1 && fds[0] >= 0 && size > 0);
	return send(sock, data, size, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* Whole lines, each "ok" or "error", no more than were asked for. */
static void check_answers(int fd, size_t asked)
{
	char text[65536];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	size_t lines = 0;

	if (n <= 0)
		return;
	text[n] = '\0';
	PROMISE(text[n - 1] == '\n');
	for (const char *p = text; *p; p = strchr(p, '\n') + 1, lines++)
		PROMISE(strncmp(p, "ok", 2) == 0 || strncmp(p, "error ", 6) == 0);
	PROMISE(lines <= asked);
}

static void feed(struct monitor *m, int fd, const uint8_t *data, size_t size)
{
	struct client *c = &m->client[0];
	size_t lines = 0, before = c->used;

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	PROMISE(send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size);
	/* What is still in the socket wakes poll again. */
	for (size_t left = size + before; c->fd >= 0 && left > 0; left = left > 32 ? left - 32 : 0)
		serve_read(m, c);
	PROMISE(c->used < REQUEST_MAX - 1 && c->tty >= -1 && c->tty <= (int)m->s->ptys.nttys);
	PROMISE(c->fd < 0 || strchr(c->line, '\n') == NULL);
	check_answers(fd, lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ctr ctr = { .name = "fuzz" };
	static struct start s;
	static struct monitor m;
	int pair[2];

	s = (struct start){ .ctr = &ctr, .app = size % 2, .st.state = ST_RUNNING,
			    .ptys = { .console = 0, .nttys = 2, .tty = { 1, 2 } } };
	m = (struct monitor){ .s = &s };
	PROMISE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	for (int i = 0; i < CLIENTS_MAX; i++)
		m.client[i].fd = m.client[i].tty = -1;
	m.client[0].fd = pair[0];
	while (size > 1 && m.client[0].fd >= 0) {
		size_t n = *data++;

		size--;
		n = n < size ? n : size;
		if (n > 0)
			feed(&m, pair[1], data, n);
		data += n;
		size -= n;
	}
	serve_drop(&m.client[0]);
	close(pair[1]);
	return 0;
}
