/* SPDX-License-Identifier: MIT */
/* Backtracking over the text of the expression; what follows a group is a list of rests. */
#include <stddef.h>
#include <string.h>
#include "match.h"

struct rest {
	const char *re, *end, *from;    /* from: a repeated group must have taken something */
	const struct rest *next;
};

static bool any_of(const char *re, const char *end, const char *text, const struct rest *rest);

/* Behind one character, [set], \x or (group). */
static const char *behind(const char *re, const char *end)
{
	int depth = 0;

	do {
		if (re >= end)
			return NULL;
		if (*re == '\\')
			re++;
		else if (*re == '[') {
			re += re[1] == '^' ? 3 : 2;     /* ']' may come first */
			while (re < end && *re != ']')
				re++;
		} else {
			depth += (*re == '(') - (*re == ')');
		}
		re++;
	} while (depth > 0);
	return re > end || depth < 0 ? NULL : re;
}

static bool in_set(const char *re, const char *end, char c)
{
	bool not = re[1] == '^', found = false;
	const char *first = re += not ? 2 : 1;

	for (; re < end - 1; re++) {
		bool range = re > first && *re == '-' && re + 1 < end - 1;

		found |= range ? c >= re[-1] && c <= re[1] : c == *re;
	}
	return found != not;
}

static bool sequence(const char *re, const char *end, const char *text, const struct rest *rest);

/* The atom once at `text`, then `rest`. */
static bool once(const char *re, const char *end, const char *text, const struct rest *rest)
{
	if (*re == '(')
		return any_of(re + 1, end - 1, text, rest);
	if (*text == '\0')
		return false;
	if (*re == '[' ? !in_set(re, end, *text) : *re == '\\' ? re[1] != *text
		       : *re != '.' && *re != *text)
		return false;
	return sequence(rest->re, rest->end, text + 1, rest->next);
}

static bool sequence(const char *re, const char *end, const char *text, const struct rest *rest)
{
	const char *atom, *after;
	struct rest go_on, again;

	if (re == end) {
		if (!rest)
			return *text == '\0';
		return text != rest->from && sequence(rest->re, rest->end, text, rest->next);
	}
	atom = behind(re, end);
	after = atom + (atom < end && strchr("*+?", *atom) != NULL);
	if (atom != after && *atom != '+' && sequence(after, end, text, rest))
		return true;
	go_on = (struct rest){ .re = after, .end = end, .next = rest };
	again = (struct rest){ .re = re, .end = end, .from = text, .next = rest };
	return once(re, atom, text, &go_on) ||
	       (atom != after && *atom != '?' && once(re, atom, text, &again));
}

static bool any_of(const char *re, const char *end, const char *text, const struct rest *rest)
{
	const char *at = re;

	while (at < end && *at != '|')
		at = behind(at, end);
	return sequence(re, at, text, rest) || (at < end && any_of(at + 1, end, text, rest));
}

bool match_ok(const char *re)
{
	bool atom = false;              /* is there something that * could repeat? */

	for (const char *p = re, *end = re + strlen(re); p < end;) {
		bool repeat = strchr("*+?", *p) != NULL;

		if ((repeat && !atom) || *p == ')' || *p == '{')
			return false;
		atom = !repeat && *p != '|';
		p = behind(p, end);
		if (!p)
			return false;
	}
	return true;
}

bool match(const char *re, const char *text)
{
	return any_of(re, re + strlen(re), text, NULL);
}
