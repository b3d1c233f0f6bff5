/* SPDX-License-Identifier: MIT */
/*
 * In the place of libc's printf family, with the same names and contracts for what this
 * program uses: d u x c s %, width, precision, - and 0. No floating point: on ARM libc's
 * brings quadruple precision arithmetic along, a tenth of the program.
 *
 * Texts of the program itself may be packed (sampan/build/texts.py), formats as well as
 * what %s prints.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "texts.h"
#include "words.h"

struct out {
	FILE *file;                     /* or NULL: */
	char *buf;
	size_t size, used;              /* used: what there would be without the limit */
};

struct spec {
	bool left, zero;
	int width, precision;           /* -1: none */
	unsigned longs;                 /* letters l, z counts as one */
};

static void put(struct out *o, const char *text, size_t n)
{
	if (o->file)
		fwrite(text, 1, n, o->file);
	else if (o->used < o->size)
		memcpy(o->buf + o->used, text, n < o->size - o->used ? n : o->size - o->used);
	o->used += n;
}

extern const char __executable_start[], edata[];       /* by the linker: all that is constant */

/* A byte that no text has, beyond ASCII or a control character, may stand for two, or with the next for more. */
static void put_packed(struct out *o, const unsigned char *text, size_t n)
{
	for (; n > 0; text++, n--) {
		unsigned pair = *text ^ 0x80u;

		if (*text == TEXT_PHRASE && n > 1) {
			const char *phrase = word_at(text_phrases, *++text - 1u);

			n--;
			put_packed(o, (const unsigned char *)phrase, strlen(phrase));
		} else if (pair < sizeof(text_pairs) / 2 && text_pairs[pair][1] != '\0')
			put_packed(o, text_pairs[pair], 2);
		else
			put(o, (const char *)text, 1);
	}
}

static void put_text(struct out *o, const char *text, size_t n)
{
	if (text >= __executable_start && text < edata)
		put_packed(o, (const unsigned char *)text, n);
	else
		put(o, text, n);
}

static void pad(struct out *o, char with, size_t n)
{
	while (n-- > 0)
		put(o, &with, 1);
}

/* How many bytes it is short of; a packed text is longer than it looks. */
static size_t lacking(const char *text, size_t n, size_t width)
{
	struct out shown = { .size = 0 };

	if (width == 0)
		return 0;
	put_text(&shown, text, n);
	return shown.used < width ? width - shown.used : 0;
}

static void put_field(struct out *o, const struct spec *s, const char *text, size_t n)
{
	size_t lacks = lacking(text, n, s->width < 0 ? 0 : (size_t)s->width);

	if (!s->left)
		pad(o, s->zero ? '0' : ' ', lacks);
	put_text(o, text, n);
	if (s->left)
		pad(o, ' ', lacks);
}

static int number(const char **p, va_list *ap)
{
	int n = 0;

	if (**p == '*') {
		++*p;
		return va_arg(*ap, int);
	}
	while (**p >= '0' && **p <= '9')
		n = n * 10 + (*(*p)++ - '0');
	return n;
}

static struct spec parse(const char **p, va_list *ap)
{
	struct spec s = { .precision = -1 };

	for (; **p == '-' || **p == '0'; ++*p) {
		s.left |= **p == '-';
		s.zero |= **p == '0';
	}
	s.width = number(p, ap);
	if (**p == '.') {
		++*p;
		s.precision = number(p, ap);
	}
	for (; **p == 'l' || **p == 'z'; ++*p)
		s.longs++;
	return s;
}

/* A long is either an int or a long long, on all of ours. */
static void put_number(struct out *o, const struct spec *s, va_list *ap, char how)
{
	bool wide = s->longs * sizeof(long) > sizeof(int), minus = false;
	unsigned long long value = wide ? va_arg(*ap, unsigned long long) : va_arg(*ap, unsigned);
	unsigned base = how == 'x' ? 16 : 10;
	char digits[24], *at = digits + sizeof(digits);

	if (how == 'd') {
		if (!wide)
			value = (unsigned long long)(int)value;
		minus = (long long)value < 0;
		value = minus ? 0 - value : value;
	}
	do
		*--at = "0123456789abcdef"[value % base];
	while ((value /= base) != 0);
	if (minus)
		*--at = '-';
	put_field(o, s, at, (size_t)(digits + sizeof(digits) - at));
}

static void convert(struct out *o, const struct spec *s, char how, va_list *ap)
{
	const char *text;
	char c;

	switch (how) {
	case 's':
		text = va_arg(*ap, const char *);
		put_field(o, s, text, s->precision < 0 ? strlen(text) :
						       strnlen(text, (size_t)s->precision));
		break;
	case 'd':
	case 'u':
	case 'x':
		put_number(o, s, ap, how);
		break;
	default:
		c = how == 'c' ? (char)va_arg(*ap, int) : how;
		put_field(o, s, &c, 1);
	}
}

static int run(struct out *o, const char *fmt, va_list given)
{
	va_list ap;

	va_copy(ap, given);             /* so that its address can be handed on everywhere */
	while (*fmt) {
		size_t n = 0;

		while (fmt[n] != '\0' && fmt[n] != '%')
			n++;

		put_text(o, fmt, n);
		fmt += n;
		if (*fmt) {
			struct spec s;

			fmt++;
			s = parse(&fmt, &ap);
			convert(o, &s, *fmt++, &ap);
		}
	}
	va_end(ap);
	return (int)o->used;
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = { .buf = buf, .size = size };
	int n = run(&o, fmt, ap);

	if (size > 0)
		buf[o.used < size ? o.used : size - 1] = '\0';
	return n;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}

int sprintf(char *buf, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, (size_t)-1 / 2, fmt, ap);
	va_end(ap);
	return n;
}

static int to_file(FILE *file, const char *fmt, va_list ap)
{
	struct out o = { .file = file };

	return run(&o, fmt, ap);
}

int printf(const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = to_file(stdout, fmt, ap);
	va_end(ap);
	return n;
}

int fprintf(FILE *file, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = to_file(file, fmt, ap);
	va_end(ap);
	return n;
}
