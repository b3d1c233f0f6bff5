/* SPDX-License-Identifier: MIT */
/*
 * sampan agent: gives the line it was started on to a host that speaks the serial
 * protocol, and gives it back to the shell when the host leaves or is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include "agent.h"
#include "chan.h"
#include "link.h"
#include "opts.h"
#include "path.h"
#include "sampan.h"
#include "sys.h"

enum { SILENCE_S = 10, OUT_MAX = FRAME_LINE + 512, CTRL_C = 3, FLUSH_MS = 300, PERSON_MS = 200 };

static struct {
	int fd, signals;
	bool tty;
	struct termios before;
	unsigned interrupts;            /* Ctrl-C typed in a row */
	uint32_t read_at;
	size_t at, filled;
	uint8_t out[OUT_MAX + FRAME_LINE];
} line;

static uint32_t clock_ms(void)
{
	return (uint32_t)now_ms();
}

/* ---- the line ---------------------------------------------------------------------- */

/* Opened anew: the shell's own descriptor must not become non-blocking. */
static void open_line(const char *device)
{
	struct termios raw;

	line.fd = open(device, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (line.fd < 0) {
		err_set("open %s", device);
		fail();
	}
	line.tty = tcgetattr(line.fd, &line.before) == 0;
	if (!line.tty)
		return;
	raw = line.before;
	cfmakeraw(&raw);
	raw.c_iflag = (raw.c_iflag & ~(tcflag_t)(IXOFF | IXANY)) | BRKINT;
	raw.c_cflag |= CLOCAL;
	if (tcsetattr(line.fd, TCSADRAIN, &raw) < 0) {
		err_set("set %s raw", device);
		fail();
	}
}

static void read_id(const char *path, uint8_t *id)
{
	char text[40];
	unsigned digits = 0;

	if (read_small(AT_FDCWD, path, text, sizeof(text)) < 0)
		return;
	for (const char *p = text; *p && digits < 16; p++) {
		unsigned value = (unsigned)(*p <= '9' ? *p - '0' : *p - 'a' + 10);

		if (value > 15)
			continue;
		id[digits / 2] = (uint8_t)((unsigned)id[digits / 2] << 4 | value);
		digits++;
	}
}

/*
 * Only a host that comes gets to know who we are: the kernel makes the boot id when it is
 * first read, and one that was read before a snapshot would be that of all its clones.
 */
void link_opened(void)
{
	static bool known;

	chan_hang_up();
	if (!known) {
		read_id("/proc/sys/kernel/random/boot_id", the_link.boot);
		read_id("/proc/sys/kernel/random/uuid", the_link.agent);
	}
	known = true;
}

static int block_signals(void)
{
	static const int taken[] = { SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	sigset_t set;

	sigemptyset(&set);
	for (unsigned i = 0; i < ARRAY_SIZE(taken); i++)
		sigaddset(&set, taken[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* ---- the loop ----------------------------------------------------------------------- */

/* Three times Ctrl-C with nothing between, and nothing soon after, is a person: in a frame more follows. */
static void count_interrupts(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		line.interrupts = bytes[i] == CTRL_C ? line.interrupts + 1 : 0;
}

/* False when the line is gone. */
static bool read_line(void)
{
	uint8_t buf[1024];
	ssize_t n = read(line.fd, buf, sizeof(buf));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	line.read_at = clock_ms();
	count_interrupts(buf, (size_t)n);
	link_receive(buf, (size_t)n, line.read_at);
	return n > 0;
}

/* Frames wait here and not in the driver for as long as possible: who types goes first. */
static bool write_line(void)
{
	ssize_t n;

	for (;;) {
		while (line.filled < OUT_MAX) {
			size_t more = link_transmit(line.out + line.filled, clock_ms());

			if (more == 0)
				break;
			line.filled += more;
		}
		if (line.filled == line.at)
			return true;
		n = write(line.fd, line.out + line.at, line.filled - line.at);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		line.at += (size_t)n;
		memmove(line.out, line.out + line.at, line.filled - line.at);
		line.filled -= line.at;
		line.at = 0;
	}
}

/* False when one of them asks us to leave. */
static bool take_signals(void)
{
	struct signalfd_siginfo info;
	bool stay = true;

	while (read(line.signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			chan_reap();
		else
			stay = false;
	}
	return stay;
}

static const char *serve(unsigned silence)
{
	struct pollfd p[2 + CHAN_POLLS];

	for (;;) {
		uint32_t now = clock_ms();
		int left = (int)(the_link.heard + silence - now);
		int wait = line.filled ? left : link_wait(now);

		if (left <= 0)
			return "no host";
		if (line.interrupts >= CTRL_C) {
			if (now - line.read_at >= PERSON_MS)
				return "Ctrl-C";
			wait = PERSON_MS;
		}
		p[0] = (struct pollfd){ .fd = line.fd, .events = (short)(POLLIN | (line.filled ? POLLOUT : 0)) };
		p[1] = (struct pollfd){ .fd = line.signals, .events = POLLIN };
		chan_poll(p + 2);
		if (poll(p, ARRAY_SIZE(p), wait < left ? wait : left) < 0)
			continue;
		if (p[1].revents && !take_signals())
			return "a signal";
		if (p[0].revents & ~POLLOUT && !read_line())
			return "the line is gone";
		if (the_link.left)
			return "the host has left";
		chan_step(p + 2);
		if (!write_line())
			return "the line is gone";
	}
}

/* Back to the shell: the last frames, the terminal as it was, no program left. */
static void leave(const char *why)
{
	struct pollfd p = { .fd = line.fd, .events = POLLOUT };
	uint8_t bye[FRAME_LINE];
	size_t n = link_goodbye(bye);
	char text[64];

	chan_hang_up();
	for (int i = 0; i < 3 && n > 0 && poll(&p, 1, FLUSH_MS) > 0; i++)
		if (write(line.fd, bye, n) < 0)
			break;
	if (!line.tty)
		return;
	tcsetattr(line.fd, TCSADRAIN, &line.before);
	tcflush(line.fd, TCIFLUSH);             /* the rest of a frame is no command */
	snprintf(text, sizeof(text), "sampan agent: %s\n", why);
	if (poll(&p, 1, FLUSH_MS) > 0 && write(line.fd, text, strlen(text)) < 0)
		return;
}

int cmd_agent(int argc, char **argv)
{
	static const char *timeout;
	static const struct opt opts[] = {
		{ OPT("-t, --timeout=SECONDS", "leave when no host was heard for so long (10)"), &timeout },
	};
	static const struct optset set = {
		"agent [-t SECONDS] [DEVICE]",
		"Speaks the serial protocol with a host on the terminal it is started on, or on\n"
		"DEVICE, and leaves when the host does, on BREAK, or on Ctrl-C three times.",
		opts, ARRAY_SIZE(opts), 0,
	};
	struct args a;
	unsigned silence;

	if (delta_command(argv + 1, argc - 1))
		return 0;
	a = opts_parse(&set, argc, argv);
	silence = timeout ? (unsigned)opts_number("-t", timeout, 86400) : SILENCE_S;
	open_line(a.nrest > 0 ? a.rest[0] : "/proc/self/fd/0");
	line.signals = block_signals();
	link_init(clock_ms());
	leave(serve(silence * 1000));
	return 0;
}
