/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "fds.h"
#include "sync.h"
#include "util.h"

struct message {
	char kind;                      /* 'R' ready, with ptys; 'G' go; 'E' error */
	int code;                       /* of an error its exit code; of 'G' the signals the caller ignored */
	bool console;                   /* the first two descriptors are its master and slave */
	bool net;                       /* the last one is a socket of the network */
	char text[1100], hint[600];     /* of an error alone */
};

enum { SHORT = offsetof(struct message, text) };

/* ---- the new process ---------------------------------------------------------- */

void sync_fail(int sync, int code)
{
	struct message m = { .kind = 'E', .code = code };

	snprintf(m.text, sizeof(m.text), "%.*s", (int)sizeof(m.text) - 1, err_text());
	snprintf(m.hint, sizeof(m.hint), "%.*s", (int)sizeof(m.hint) - 1, err_hint_text());
	send(sync, &m, sizeof(m), MSG_NOSIGNAL);
	_exit(code);
}

int sync_ready(int sync, const struct ptys *ptys, int net)
{
	struct message m;
	int fds[TTYS_MAX + 3];
	size_t n = 0;

	memset(&m, 0, SHORT);
	m.kind = 'R';
	m.console = ptys->console >= 0;
	if (m.console) {
		fds[n++] = ptys->console;
		fds[n++] = ptys->console_peer;
	}
	for (unsigned i = 0; i < ptys->nttys; i++)
		fds[n++] = ptys->tty[i];
	m.net = net >= 0;
	if (m.net)
		fds[n++] = net;
	return fds_send(sync, &m, SHORT, fds, n) < 0 ? err_set("report to the supervisor") : 0;
}

uint32_t sync_wait(int sync)
{
	struct message m;

	ssize_t n = recv(sync, &m, SHORT, 0);

	if (n < 0) {
		err_set("wait for the supervisor");
		sync_fail(sync, EXIT_OWN);
	}
	if (n != SHORT || m.kind != 'G')
		_exit(EXIT_OWN);        /* it gave up and has said why */
	return (uint32_t)m.code;
}

/* ---- its parent ----------------------------------------------------------------- */

static void take_ptys(struct ptys *ptys, bool console, const int *fds, size_t n)
{
	size_t i = 0;

	if (console && n >= 2) {
		ptys->console = fds[i++];
		ptys->console_peer = fds[i++];  /* kept open: no hang-up between readers */
	}
	while (i < n && ptys->nttys < TTYS_MAX)
		ptys->tty[ptys->nttys++] = fds[i++];
}

int sync_hear(int sync, struct ptys *ptys, int *net, int *code)
{
	int fds[FDS_MAX];
	struct message m;
	size_t nfds;
	ssize_t n = fds_receive(sync, &m, sizeof(m), fds, &nfds);

	/* It ended without having read our last word; its own comes behind the news of that. */
	if (n < 0 && errno == ECONNRESET)
		n = fds_receive(sync, &m, sizeof(m), fds, &nfds);
	if (n == 0)
		return 0;
	if (n != SHORT && n != sizeof(m))
		return err_set("hear from the container's first process");
	if (m.kind == 'E' && n == sizeof(m)) {
		m.text[sizeof(m.text) - 1] = m.hint[sizeof(m.hint) - 1] = '\0';
		err_plain("%s", m.text);
		err_hint("%s", m.hint);
		*code = m.code;
		return -1;
	}
	*net = m.net && nfds > 0 ? fds[--nfds] : -1;
	take_ptys(ptys, m.console, fds, nfds);
	return 1;
}

int sync_go(int sync, uint32_t ignored)
{
	struct message m;

	memset(&m, 0, SHORT);
	m.kind = 'G';
	m.code = (int)ignored;
	return send(sync, &m, SHORT, MSG_NOSIGNAL) < 0 ? -1 : 0;
}
