/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include "chan.h"
#include "fds.h"
#include "ids.h"
#include "link.h"
#include "pty.h"
#include "request.h"
#include "sampan.h"
#include "sys.h"

enum { MESSAGE, STDIN, STDOUT, STDERR };
enum { ON_PTY = 1, OWN_VERB = 2, URGENT = 4 };
enum { INPUT = 4096, ID_LEN = 8, KNOWN = 32, OPEN_LEN = 18, REPEATED = 1, SIGNALLED = 256 };

static struct chan {
	bool used, reaped, repeated;    /* repeated: the request was known, nothing was run */
	bool eof, deaf;                 /* stdin ends behind the input; the program reads no more */
	uint8_t flags;
	pid_t pid;
	int code;
	int in, fd[2];                  /* stdin; stdout and stderr. A pty's master is in and fd[0] */
	bool ready[2];
	uint32_t credit, owed;          /* of output; input passed on, not granted again */
	size_t at, filled;
	char failure[128];
	uint8_t input[INPUT];
} chans[CHANNELS];

/* Which requests were run: an id runs once. */
static struct { uint8_t id[ID_LEN]; pid_t pid; int code; } known[KNOWN];
static unsigned nknown;

/* ---- the end of programs --------------------------------------------------------- */

static void close_input(struct chan *c)
{
	if (c->in >= 0 && c->in != c->fd[0])
		close(c->in);
	c->in = -1;
	c->at = c->filled = 0;
}

static void close_all(struct chan *c)
{
	close_input(c);
	for (int i = 0; i < 2; i++) {
		close_fd(&c->fd[i]);
		c->fd[i] = -1;
	}
}

static void send_signal(const struct chan *c, int sig)
{
	/* The group exists once the child has made its session. */
	if (c->pid > 0 && !c->reaped && kill(-c->pid, sig) < 0)
		kill(c->pid, sig);
}

void chan_hang_up(void)
{
	for (struct chan *c = chans; c < chans + CHANNELS; c++) {
		if (!c->used)
			continue;
		send_signal(c, SIGHUP);
		close_all(c);
		c->used = false;
	}
	the_link.interactive = false;
}

void chan_reap(void)
{
	int status, code;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		code = WIFEXITED(status) ? WEXITSTATUS(status) : SIGNALLED + WTERMSIG(status);
		for (unsigned i = 0; i < KNOWN; i++)
			if (known[i].pid == pid) {
				known[i].pid = 0;
				known[i].code = code;
			}
		for (struct chan *c = chans; c < chans + CHANNELS; c++)
			if (c->used && c->pid == pid) {
				c->reaped = true;
				c->code = code;
			}
	}
}

/* ---- starting one --------------------------------------------------------------------- */

_Noreturn static void child(const struct chan *c, char **argv, char *variables, const int *fds)
{
	for (char *p = variables; *p; p += strlen(p) + 1)
		if (strchr(p, '='))
			putenv(p);
	setsid();
	for (int i = 0; i < 3; i++)
		dup2(fds[i], i);
	if (c->flags & ON_PTY)
		ioctl(0, TIOCSCTTY, 0);
	signals_default(SIGNALS_OFTEN_IGNORED);
	close_from(3, true);
	if (!(c->flags & OWN_VERB)) {
		int code = exec_program(argv);

		err_hint("%s", "");     /* it speaks of a container */
		die(code);
	}
	execv("/proc/self/exe", argv);
	err_set("run /proc/self/exe");
	die(EXIT_CANNOT_EXEC);
}

/* A pty or three pipes: our ends in `c`, the program's in `theirs`. */
static int make_streams(struct chan *c, int theirs[3], unsigned rows, unsigned columns)
{
	struct winsize size = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns };
	int pair[2];

	if (c->flags & ON_PTY) {
		if (pty_open(-1, "", &c->fd[0], &theirs[0]) < 0)
			return -1;
		theirs[1] = theirs[2] = theirs[0];
		c->in = c->fd[0];
		ioctl(c->in, TIOCSWINSZ, &size);
		return fcntl(c->in, F_SETFL, O_RDWR | O_NONBLOCK);
	}
	for (int i = 0; i < 3; i++) {
		if (pipe2(pair, O_CLOEXEC) < 0)
			return err_set("pipe");
		theirs[i] = pair[i > 0];
		*(i > 0 ? &c->fd[i - 1] : &c->in) = pair[i == 0];
		fcntl(pair[i == 0], F_SETFL, O_NONBLOCK);
	}
	return 0;
}

static int spawn(struct chan *c, const uint8_t *rows)
{
	int theirs[3] = { -1, -1, -1 }, result = -1;
	char *variables, **argv = request_words(c, c->flags & OWN_VERB, &variables);

	if (!argv)
		return err_plain("the request is damaged");
	if (make_streams(c, theirs, get16(rows), get16(rows + 2)) == 0) {
		c->pid = sys_fork();
		if (c->pid == 0)
			child(c, argv, variables, theirs);
		result = c->pid < 0 ? err_set("fork") : 0;
	}
	for (int i = 0; i < (c->flags & ON_PTY ? 1 : 3); i++)
		close_fd(&theirs[i]);
	return result;
}

/* Was this request run before? Then the channel only tells how that ended. */
static bool is_known(struct chan *c, const uint8_t *id)
{
	for (unsigned i = 0; i < KNOWN && i < nknown; i++) {
		if (memcmp(known[i].id, id, ID_LEN) != 0)
			continue;
		c->repeated = true;
		c->pid = known[i].pid;
		c->code = known[i].code;
		c->reaped = c->pid == 0;
		return true;
	}
	return false;
}

static void open_chan(struct chan *c, const uint8_t *p)
{
	unsigned slot = nknown % KNOWN;

	*c = (struct chan){ .used = true, .in = -1, .fd = { -1, -1 }, .flags = p[ID_LEN],
			    .credit = get32(p + ID_LEN + 5) };
	if (is_known(c, p))
		return;
	if (spawn(c, p + ID_LEN + 1) < 0) {
		strncpy(c->failure, err_text(), sizeof(c->failure) - 1);
		return;
	}
	memcpy(known[slot].id, p, ID_LEN);
	known[slot].pid = c->pid;
	nknown++;
	if (c->flags & ON_PTY)
		the_link.interactive = true;
}

/* ---- what the host says --------------------------------------------------------------- */

static void on_message(struct chan *c, const uint8_t *p, size_t n)
{
	struct winsize size;

	if (*p == 'A' && !c->used)
		request_add(c, p + 1, n - 1);
	if (*p == 'O' && n == OPEN_LEN && !c->used) {
		open_chan(c, p + 1);
		request_end();
	}
	if (!c->used)
		return;
	if (*p == 'Z')
		c->eof = true;
	if (*p == 'K' && n == 2)
		send_signal(c, p[1]);
	if (*p == 'W' && n == 5 && c->in >= 0) {
		size = (struct winsize){ .ws_row = get16(p + 1), .ws_col = get16(p + 3) };
		ioctl(c->in, TIOCSWINSZ, &size);
	}
	if (*p == 'C' && n == 5)
		c->credit += get32(p + 1);
	if (*p == 'X') {
		send_signal(c, SIGHUP);
		close_all(c);
	}
}

void link_deliver(uint8_t channel, const uint8_t *payload, size_t size)
{
	struct chan *c = &chans[channel >> 3];
	size_t room;

	if (channel >> 3 >= CHANNELS || size == 0)
		return;
	if ((channel & 7) == MESSAGE)
		on_message(c, payload, size);
	if ((channel & 7) != STDIN || !c->used || c->in < 0)
		return;
	memmove(c->input, c->input + c->at, c->filled - c->at);
	c->filled -= c->at;
	c->at = 0;
	room = INPUT - c->filled;               /* a host that keeps to its credit has room */
	size = size < room ? size : room;
	memcpy(c->input + c->filled, payload, size);
	c->filled += size;
}

/* ---- what goes to the host -------------------------------------------------------------- */

static size_t message(struct chan *c, uint8_t *p)
{
	size_t n;

	if (c->failure[0]) {
		n = strlen(c->failure);
		*p = 'F';
		memcpy(p + 1, c->failure, n);
		close_all(c);
		c->used = false;
		return n + 1;
	}
	if (c->owed >= INPUT / 2) {
		*p = 'C';
		put32(p + 1, c->owed);
		c->owed = 0;
		return 5;
	}
	if (c->deaf) {
		*p = 'Z';
		c->deaf = false;
		return 1;
	}
	return 0;
}

/* A piece of output, when there is some and the host wants it. */
static size_t output(struct chan *c, size_t room, unsigned *stream, uint8_t *p)
{
	for (unsigned i = 0; i < 2; i++) {
		ssize_t n;

		if (c->fd[i] < 0 || c->credit == 0 || !(c->ready[i] || c->reaped))
			continue;
		c->ready[i] = false;
		n = read(c->fd[i], p, room < c->credit ? room : c->credit);
		if (n > 0) {
			c->ready[i] = true;
			c->credit -= (uint32_t)n;
			*stream = STDOUT + i;
			return (size_t)n;
		}
		if (n == 0 || errno != EAGAIN) {
			if (c->in == c->fd[i])
				c->in = -1;
			close_fd(&c->fd[i]);
			c->fd[i] = -1;
		}
	}
	return 0;
}

/* It has ended, and nothing that it wrote is left: a child of its may hold the pipes. */
static size_t end(struct chan *c, uint8_t *p)
{
	bool typing = false;

	if (!c->reaped || (c->credit == 0 && (c->fd[0] >= 0 || c->fd[1] >= 0)))
		return 0;
	p[0] = 'E';
	put16(p + 1, (unsigned)c->code);
	p[3] = c->repeated ? REPEATED : 0;
	close_all(c);
	c->used = false;
	for (c = chans; c < chans + CHANNELS; c++)
		typing = typing || (c->used && c->flags & ON_PTY);
	the_link.interactive = typing;
	return 4;
}

size_t link_source(size_t room, bool bulk, uint8_t *channel, uint8_t *payload)
{
	static unsigned turn;

	for (unsigned i = 0; i < CHANNELS; i++) {
		size_t n = chans[i].used ? message(&chans[i], payload) : 0;

		*channel = (uint8_t)(i * 8 + MESSAGE);
		if (n > 0)
			return n;
	}
	turn++;
	for (unsigned i = 0; i < 2 * CHANNELS; i++) {   /* those who type, then everybody */
		unsigned at = (turn + i) % CHANNELS, stream = MESSAGE;
		struct chan *c = &chans[at];
		bool urgent = c->flags & (ON_PTY | URGENT);
		size_t n;

		if (!c->used || urgent != (i < CHANNELS) || !(bulk || urgent))
			continue;
		n = output(c, room, &stream, payload);
		if (n == 0)
			n = end(c, payload);
		*channel = (uint8_t)(at * 8 + stream);
		if (n > 0)
			return n;
	}
	return 0;
}

/* ---- waiting ------------------------------------------------------------------------------ */

void chan_poll(struct pollfd *p)
{
	for (struct chan *c = chans; c < chans + CHANNELS; c++, p += 3) {
		bool may = c->used && c->credit > 0 && link_room(!(c->flags & (ON_PTY | URGENT)));

		p[0] = (struct pollfd){ .fd = c->used && c->filled > c->at ? c->in : -1, .events = POLLOUT };
		for (int i = 0; i < 2; i++)
			p[i + 1] = (struct pollfd){ .fd = may ? c->fd[i] : -1, .events = POLLIN };
	}
}

static void pass_input(struct chan *c)
{
	ssize_t n = 0;

	if (c->filled > c->at)
		n = write(c->in, c->input + c->at, c->filled - c->at);
	if (n > 0) {
		c->at += (size_t)n;
		c->owed += (uint32_t)n;
	}
	if (n < 0 && errno != EAGAIN) {
		c->deaf = true;
		close_input(c);
	}
	if (c->eof && c->at == c->filled && c->in >= 0) {
		c->eof = false;
		if (!(c->flags & ON_PTY))
			close_input(c);
		else if (write(c->in, "\4", 1) < 0)
			c->deaf = true;
	}
}

void chan_step(const struct pollfd *p)
{
	for (struct chan *c = chans; c < chans + CHANNELS; c++, p += 3) {
		if (!c->used)
			continue;
		if (c->in >= 0)
			pass_input(c);
		for (int i = 0; i < 2; i++)
			c->ready[i] = c->ready[i] || p[i + 1].revents;
	}
}
