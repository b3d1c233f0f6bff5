/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "match.h"
#include "symbol.h"
#include "util.h"

static const char prefixes[][8] = {
	[SYM_NODE] = "/dev/", [SYM_CHAR] = "char-", [SYM_BLOCK] = "block-", [SYM_CLASS] = "class:",
};

static int kind_of(const char *value)
{
	int kind = ARRAY_SIZE(prefixes);

	while (--kind >= 0 && strncmp(value, prefixes[kind], strlen(prefixes[kind])) != 0)
		;
	return kind;
}

bool symbol_is(const char *value)
{
	return kind_of(value) >= 0 || strncmp(value, "profile:", 8) == 0;
}

bool symbol_is_pattern(const char *name)
{
	return strpbrk(name, "*?[") != NULL;
}

/* The shell's pattern as the regular expression that means the same. */
static void pattern_re(const char *pattern, char re[3 * SYMBOL_NAME_MAX + 1])
{
	for (const char *p = pattern; *p != '\0'; p++) {
		const char *end = *p == '[' && p[1] != '\0' && (p[1] != '!' || p[2] != '\0') ?
				  strchr(p + 2 + (p[1] == '!'), ']') : NULL;

		if (end) {              /* a set is the same but for its "not" */
			*re++ = *p++;
			for (; p < end; p++)
				*re++ = (char)(*p == '!' && p[-1] == '[' ? '^' : *p);
		} else if (*p == '*') {
			*re++ = '.';
		} else if (strchr("\\.+|()^{", *p)) {
			*re++ = '\\';
		}
		*re++ = (char)(*p == '?' ? '.' : *p);
		if (*p == '[')          /* one that does not end is no expression either */
			break;
	}
	*re = '\0';
}

bool symbol_match(const char *pattern, const char *text)
{
	char re[3 * SYMBOL_NAME_MAX + 1];

	pattern_re(pattern, re);
	return match(re, text);
}

/* Below one folder of sysfs or /dev: no way out of it. */
static bool name_good(const struct symbol *s)
{
	const char *last = strrchr(s->name, '/');
	char re[3 * SYMBOL_NAME_MAX + 1];

	pattern_re(s->name, re);
	if (s->name[0] == '\0' || !match_ok(re))
		return false;
	if (s->kind == SYM_CLASS)
		return !last && s->name[0] != '.' && !symbol_is_pattern(s->name);
	if (s->kind != SYM_NODE)
		return true;
	if (s->name[0] == '/' || strstr(s->name, "..") || strstr(s->name, "//"))
		return false;
	return !last || (last[1] != '\0' && strcspn(s->name, "*?[") > (size_t)(last - s->name));
}

const char *symbol_parse(const char *value, struct symbol *s)
{
	int kind = kind_of(value);
	const char *end;
	size_t n;

	if (kind < 0)
		return "a profile becomes numbers on the host: sampan devices generate";
	value += strlen(prefixes[kind]);
	n = strcspn(value, " ");
	*s = (struct symbol){ .kind = (enum symbol_kind)kind, .access = DEV_READ | DEV_WRITE };
	if (n > SYMBOL_NAME_MAX)
		return "the name of a device has at most 63 bytes";
	memcpy(s->name, value, n);
	if (!name_good(s))
		return "no name of a device: /dev/rtc0, /dev/ttyUSB*, char-DRIVER, block-DRIVER, class:CLASS";
	end = value + n;
	if (*end != '\0' && strcmp(end, " optional") != 0) {
		char access[4] = "";

		value = end + 1;
		n = strcspn(value, " ");
		end = value + n;
		if (n < sizeof(access))
			memcpy(access, value, n);
		s->access = rules_access(access);
		if (s->access == 0)
			return "behind the name stand one to three of r, w, m, and `optional`";
	}
	s->optional = *end != '\0';
	return !s->optional || strcmp(end, " optional") == 0 ? NULL :
		"behind the access only `optional` can stand";
}

const char *expect_parse(const char *value, struct dev_rule *rule, const char **name)
{
	char text[48];
	size_t n = value[0] != '\0' && value[1] == ' ' ? 2 + strcspn(value + 2, " ") : 0;

	if (n == 0 || n > sizeof(text) - 3 || value[n] != ' ' || value[n + 1] == '\0')
		return "TYPE MAJOR:MINOR NAME, as in c 252:0 rtc0, or c 166:* ttyACM for a whole driver";
	snprintf(text, sizeof(text), "%.*s r", (int)n, value);
	*name = value + n + 1;
	return rules_parse(text, rule);
}
