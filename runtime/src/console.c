/* SPDX-License-Identifier: MIT */
/*
 * The command console. The supervisor hands over the master of the terminal: typing and
 * window size go there directly. The console's output comes by the connection instead,
 * because the supervisor reads it for its ring and the log; a tty's comes from the master.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include "control.h"
#include "fds.h"
#include "opts.h"
#include "pty.h"
#include "ring.h"
#include "state.h"
#include "sys.h"

/* Asks for terminal `which` ("" for any); its number, and the master in `*master`. */
static int take_terminal(int conn, const char *which, int *master)
{
	char text[256];
	int fds[FDS_MAX];
	uint64_t number;
	ssize_t n;
	size_t nfds;

	snprintf(text, sizeof(text), "tty %s\n", which);
	if (send(conn, text, strlen(text), MSG_NOSIGNAL) < 0)
		return err_set("ask the supervisor");
	n = fds_receive(conn, text, sizeof(text) - 1, fds, &nfds);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (nfds == 1 && strncmp(text, "ok ", 3) == 0 && parse_uint(text + 3, 0, TTYS_MAX, &number)) {
		*master = fds[0];
		return (int)number;
	}
	return err_plain("%s", strncmp(text, "error ", 6) == 0 ? text + 6
							       : "the supervisor does not answer");
}

/* Also what would end us, so that the terminal is set right before. */
static void take_signals(struct proxy *p, int signals)
{
	struct signalfd_siginfo info;

	while (read(signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGWINCH)
			pty_size(STDIN_FILENO, p->master);
		else
			p->ended = true;
	}
}

/* Until Ctrl-a q, a signal, or the end of the container. */
static void sit(struct proxy *p, int conn, int signals)
{
	while (!p->ended) {
		struct pollfd fds[4] = { [2] = { .fd = signals, .events = POLLIN } };
		char byte;

		proxy_poll(p, fds);
		fds[3] = (struct pollfd){ .fd = p->from == conn ? -1 : conn, .events = POLLIN };
		poll(fds, 4, -1);
		if (fds[2].revents)
			take_signals(p, signals);
		if (fds[3].revents && recv(conn, &byte, 1, MSG_DONTWAIT) == 0)
			p->ended = true;
		if (fds[0].revents == POLLHUP)
			poll(NULL, 0, 50);      /* nobody has opened this tty */
		proxy_step(p, fds, 2);
	}
}

static int parse_escape(const char *text)
{
	int c = (text[0] == '^' ? text[1] : text[0]) | 0x20;

	if (strlen(text) != (text[0] == '^' ? 2 : 1) || c < 'a' || c > 'z')
		usage_error("-e %s: not a letter, as 'a' or '^a'", text);
	return c;
}

static void run(const struct args *a, const char *tty, int letter)
{
	static const int ours[] = { SIGWINCH, SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	CLEAN_FD int conn = control_connect(a->name), peer = -1;
	int master = -1, number, signals;
	struct proxy p;
	sigset_t set;

	if (conn < 0) {
		err_plain("its supervisor is gone, and the terminals with it");
		fail();
	}
	number = take_terminal(conn, tty, &master);
	if (number < 0)
		fail();
	if (number > 0)         /* held open, so that the master hangs up for nobody */
		peer = ioctl(master, (int)SYS_TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (!a->quiet)
		fprintf(stderr, "Connected to %s %d. Ctrl-%c q leaves, Ctrl-%c Ctrl-%c sends Ctrl-%c.\n",
			number ? "tty" : "console", number, letter, letter, letter, letter);
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		sigaddset(&set, ours[i]);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	proxy_begin(&p, master, true);
	p.out = STDOUT_FILENO;
	p.from = number ? master : conn;
	p.escape = (char)(letter - 'a' + 1);
	sit(&p, conn, signals);
	proxy_restore(&p);
}

int cmd_console(int argc, char **argv)
{
	static const char *tty, *escape;
	static const struct opt opts[] = {
		{ OPT("-t, --tty=N", "terminal 1.., 0: the console (any that is free)"), &tty },
		{ OPT("-e, --escape=LETTER", "what leaves is Ctrl-LETTER q (a)"), &escape },
	};
	static const struct optset set = {
		"console [-n] NAME [-t N] [-e LETTER]",
		"Connects this terminal to one of the container's. What the console showed before\n"
		"comes first.",
		opts, ARRAY_SIZE(opts), OPTS_NAME,
	};
	struct args a = opts_parse(&set, argc, argv);
	int letter = parse_escape(escape ? escape : "a");
	struct state st;
	struct ctr ctr;

	if (tty && strcmp(tty, "-1") != 0)
		opts_number("-t", tty, TTYS_MAX);
	else
		tty = "";
	if (state_open(&ctr, &st, a.name, a.lxcpath) == 0)
		ring_show(a.name);      /* and then says that there is no more */
	state_running(&ctr, &st, &a);
	run(&a, tty, letter);
	return 0;
}
