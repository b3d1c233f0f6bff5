/* SPDX-License-Identifier: MIT */
/* Messages about a configuration, and the room its strings are kept in. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "conf_load.h"

static void report(struct load *l, enum conf_level level, const char *text)
{
	struct conf_msg msg = {
		.level = level, .at = l->at, .key = l->key, .value = l->value,
		.text = text == l->text ? text : load_text(l, "%s", text),
		.hint = l->hint[0] != '\0' ? l->hint : NULL,
	};

	l->sink(&msg, l->arg);
	l->hint[0] = '\0';
}

void load_error(struct load *l, const char *text)
{
	if (l->stop)
		return;
	report(l, CONF_ERROR, text);
	if (++l->c->errors < CONF_ERRORS_MAX)
		return;
	l->stop = true;
	l->key = l->value = NULL;
	report(l, CONF_ERROR, "too many errors: the rest is not read (CONF_ERRORS_MAX)");
}

void load_say(struct load *l, enum conf_level level, const char *text)
{
	if (!l->stop)
		report(l, level, text);
}

const char *load_text(struct load *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(l->text, sizeof(l->text), fmt, ap);
	va_end(ap);
	return l->text;
}

void load_hint(struct load *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(l->hint, sizeof(l->hint), fmt, ap);
	va_end(ap);
}

const char *load_keep(struct load *l, const char *text)
{
	size_t size = strlen(text) + 1;
	char *kept = l->c->bytes + l->c->used;

	if (size == 1)
		return NULL;
	if (size > CONF_BYTES_MAX - l->c->used) {
		load_error(l, "the strings of the configuration need too much room (CONF_BYTES_MAX)");
		l->stop = true;
		return NULL;
	}
	memcpy(kept, text, size);
	l->c->used += size;
	return kept;
}

/* A NULL-safe, printable copy: a configuration must not drive the terminal. */
static void printable(char *buf, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text != '\0' && n + 4 < size; text++)
		buf[n++] = (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text;
	buf[n] = '\0';
	if (*text != '\0')
		memcpy(buf + n, "...", 4);
}

void conf_print(const struct conf_msg *msg, void *arg)
{
	static const char levels[][10] = { "note: ", "warning: ", "" };
	char value[VALUE_SHOWN_MAX], line[CONF_LINE_MAX + 1024], number[16] = "";
	int n;

	(void)arg;
	printable(value, sizeof(value), msg->value ? msg->value : "");
	if (msg->at.line != 0)
		snprintf(number, sizeof(number), ":%u", msg->at.line);
	n = snprintf(line, sizeof(line), "%s%s: %s%.64s%s%s%s%s%s%s\n", msg->at.file, number,
		     levels[msg->level], msg->key ? msg->key : "",
		     msg->key ? " = " : "", value, msg->key || msg->value ? ": " : "", msg->text,
		     msg->hint ? "\n  hint: " : "", msg->hint ? msg->hint : "");
	if ((size_t)n >= sizeof(line))  /* cut, but still a line */
		line[sizeof(line) - 2] = '\n';
	if (n > 0)
		write_all(STDERR_FILENO, line, strlen(line));
}

void conf_print_errors(const struct conf_msg *msg, void *arg)
{
	if (msg->level == CONF_ERROR)
		conf_print(msg, arg);
}
