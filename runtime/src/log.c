/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include "log.h"
#include "sys.h"
#include "opts.h"

static struct {
	int fd, syslog;                 /* -1: not used */
	int level, facility;            /* level -1: not said */
} out;

static void to_syslog(int level, const char *text)
{
	static const char severity[] = { 7, 7, 6, 5, 4, 3 };
	char line[1400];
	int n = snprintf(line, sizeof(line), "<%d>sampan[%d]: %s", out.facility * 8 + severity[level],
			 getpid(), text);

	send(out.syslog, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1,
	     MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void note(int level, const char *text)
{
	static const char words[][7] = { "TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "ERROR" };
	char line[1500];
	int64_t now;
	time_t seconds;
	struct tm t;
	int n;

	if (level < (out.level < 0 ? LOG_ERROR : out.level))
		return;
	if (out.syslog >= 0)
		to_syslog(level, text);
	if (out.fd < 0)
		return;
	now = sys_clock_ns(CLOCK_REALTIME);
	seconds = (time_t)(now / 1000000000);
	gmtime_r(&seconds, &t);
	n = snprintf(line, sizeof(line), "%d-%02d-%02dT%02d:%02d:%02d.%03dZ %s %s\n", t.tm_year + 1900,
		     t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec,
		     (int)(now / 1000000 % 1000), words[level], text);
	if ((size_t)n >= sizeof(line)) {        /* cut, but still a line */
		n = sizeof(line) - 1;
		line[n - 1] = '\n';
	}
	write_all(out.fd, line, (size_t)n);
}

void log_say(enum log_level level, const char *fmt, ...)
{
	char text[1200];
	va_list ap;

	if (!err_note)                  /* nobody is told */
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	note((int)level, text);
}

static int open_file(const char *file)
{
	out.fd = openat(AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NOCTTY |
			O_NONBLOCK | O_CLOEXEC, 0640);
	err_note = note;
	return out.fd < 0 ? err_set("open the log %s", file) : 0;
}

void log_options(const char *file, const char *level)
{
	out.fd = out.syslog = out.level = -1;
	if (level && (out.level = log_level_number(level)) < 0)
		usage_error("-l %s: not one of TRACE DEBUG INFO NOTICE WARN ERROR CRIT ALERT FATAL", level);
	if (file && open_file(file) < 0)
		usage_error("%s", err_text());
}

int log_start(const struct conf *c)
{
	static const struct sockaddr_un to = { AF_UNIX, "/dev/log" };

	if (out.level < 0)
		out.level = c->log_level;
	if (c->log_file && out.fd < 0 && open_file(c->log_file) < 0)
		return -1;
	if (c->log_facility < 0 || out.syslog >= 0)
		return 0;
	/* Without a daemon there is nobody to tell, as with every program's syslog. */
	out.facility = c->log_facility;
	out.syslog = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (out.syslog >= 0 && connect(out.syslog, (const struct sockaddr *)&to, sizeof(to)) < 0) {
		close(out.syslog);
		out.syslog = -1;
	}
	err_note = note;
	return 0;
}

int log_fd(void)
{
	return out.fd;
}
