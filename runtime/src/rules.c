/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "rules.h"
#include "util.h"

#define MAJOR_MAX 4095u                 /* dev_t: 12 bits major, 20 bits minor */
#define MINOR_MAX 1048575u
#define DIGITS_MAX 11u                  /* the kernel reads no more */

void rules_init(struct dev_rules *r)
{
	r->set = false;
	r->allow_default = true;
	r->n = 0;
}

/* One of the two numbers: `*` or decimal digits up to `end`. Returns what follows it. */
static const char *parse_number(const char *text, char end, uint32_t max, uint32_t *number)
{
	uint64_t value;
	size_t n;

	if (text[0] == '*' && text[1] == end) {
		*number = DEV_ANY;
		return text + 2;
	}
	n = parse_digits(text, max, &value);
	if (n == 0 || n > DIGITS_MAX || text[n] != end)
		return NULL;
	*number = (uint32_t)value;
	return text + n + 1;
}

static const char *parse_access(const char *text, uint8_t *access)
{
	*access = 0;
	if (*text == '\0')
		return "access is missing: one to three of r, w, m";
	for (; *text != '\0'; text++) {
		uint8_t bit = *text == 'r' ? DEV_READ : *text == 'w' ? DEV_WRITE :
			      *text == 'm' ? DEV_MKNOD : 0;

		if (bit == 0)
			return "access is one to three of r, w, m and nothing after them";
		if (*access & bit)
			return "access names a letter twice";
		*access = (uint8_t)(*access | bit);
	}
	return NULL;
}

/* Why `value` has no rule's shape; the kernel reads several of these as something else. */
const char *rules_parse(const char *value, struct dev_rule *rule)
{
	const char *p;

	if (value[0] != 'b' && value[0] != 'c')
		return "type must be a (all), b (block) or c (character)";
	if (value[1] != ' ')
		return "one blank must follow the type";
	p = value + 2;
	if (*p == ' ')
		return "exactly one blank must stand between type and numbers";
	if (strchr(p, ':') == NULL)
		return "numbers must be MAJOR:MINOR";
	p = parse_number(p, ':', MAJOR_MAX, &rule->major);
	if (p == NULL)
		return "major must be * or a number from 0 to 4095";
	if (strchr(p, ' ') == NULL)
		return "access is missing: one to three of r, w, m";
	p = parse_number(p, ' ', MINOR_MAX, &rule->minor);
	if (p == NULL)
		return "minor must be * or a number from 0 to 1048575";
	rule->type = value[0];
	return parse_access(p, &rule->access);
}

uint8_t rules_access(const char *text)
{
	uint8_t access;

	return parse_access(text, &access) == NULL ? access : 0;
}

/* Index of the rule of these very numbers, r->n when there is none. */
static unsigned find(const struct dev_rules *r, const struct dev_rule *key)
{
	unsigned i = 0;

	while (i < r->n && (r->rule[i].type != key->type || r->rule[i].major != key->major ||
			    r->rule[i].minor != key->minor))
		i++;
	return i;
}

static const char *add(struct dev_rules *r, const struct dev_rule *rule)
{
	unsigned i = find(r, rule);

	if (i < r->n) {
		r->rule[i].access = (uint8_t)(r->rule[i].access | rule->access);
		return NULL;
	}
	if (r->n == DEVRULES_MAX)
		return "more device rules than the runtime holds (DEVRULES_MAX)";
	r->rule[r->n++] = *rule;
	return NULL;
}

/* Only the very same numbers: `c 1:5` takes nothing from `c 1:*`, as in the kernel. */
static void take(struct dev_rules *r, const struct dev_rule *rule)
{
	unsigned i = find(r, rule);

	if (i == r->n)
		return;
	r->rule[i].access = (uint8_t)(r->rule[i].access & ~rule->access);
	if (r->rule[i].access != 0)
		return;
	r->n--;
	memmove(&r->rule[i], &r->rule[i + 1], (r->n - i) * sizeof(r->rule[i]));
}

const char *rules_apply(struct dev_rules *r, enum rule_verb verb, const char *value)
{
	struct dev_rule rule;
	const char *why;

	if (value[0] == 'a') {
		if (strcmp(value, "a") != 0 && strcmp(value, "a *:* rwm") != 0)
			return "a stands for every device and takes no numbers but *:* rwm";
		r->allow_default = verb == RULE_ALLOW;
		r->n = 0;
		r->set = true;
		return NULL;
	}
	why = rules_parse(value, &rule);
	return why != NULL ? why : rules_add(r, verb, &rule);
}

const char *rules_add(struct dev_rules *r, enum rule_verb verb, const struct dev_rule *rule)
{
	const char *why = NULL;

	if (r->allow_default == (verb == RULE_DENY))
		why = add(r, rule);
	else
		take(r, rule);
	if (why == NULL)
		r->set = true;
	return why;
}

uint8_t rules_own(const struct dev_rules *r, const struct dev_rule *key)
{
	unsigned i = find(r, key);

	return i < r->n ? r->rule[i].access : 0;
}

static bool same_device(const struct dev_rule *rule, char type, uint32_t major, uint32_t minor)
{
	return rule->type == type && (rule->major == DEV_ANY || rule->major == major) &&
	       (rule->minor == DEV_ANY || rule->minor == minor);
}

bool rules_verdict(const struct dev_rules *r, char type, uint32_t major, uint32_t minor,
		   uint8_t access)
{
	for (unsigned i = 0; i < r->n; i++) {
		const struct dev_rule *rule = &r->rule[i];

		if (!same_device(rule, type, major, minor))
			continue;
		/* A refusal needs one common bit, a permission needs all of them in one rule. */
		if (r->allow_default && (rule->access & access) != 0)
			return false;
		if (!r->allow_default && (access & ~rule->access) == 0)
			return true;
	}
	return r->allow_default;
}

bool rules_equal(const struct dev_rules *a, const struct dev_rules *b)
{
	if (a->allow_default != b->allow_default || a->n != b->n)
		return false;
	for (unsigned i = 0; i < a->n; i++) {
		unsigned j = find(b, &a->rule[i]);

		if (j == b->n || b->rule[j].access != a->rule[i].access)
			return false;
	}
	return true;
}

static void number_text(uint32_t number, char *buf, size_t size)
{
	if (number == DEV_ANY)
		snprintf(buf, size, "*");
	else
		snprintf(buf, size, "%u", number);
}

void rule_text(const struct dev_rule *rule, char *buf, size_t size)
{
	char major[12], minor[12];

	number_text(rule->major, major, sizeof(major));
	number_text(rule->minor, minor, sizeof(minor));
	snprintf(buf, size, "%c %s:%s %s%s%s", rule->type, major, minor,
		 rule->access & DEV_READ ? "r" : "", rule->access & DEV_WRITE ? "w" : "",
		 rule->access & DEV_MKNOD ? "m" : "");
}
