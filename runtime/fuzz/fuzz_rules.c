/* SPDX-License-Identifier: MIT */
/* The input has one device rule a line, + allows and - denies. */
#include <string.h>
#include "fuzz.h"
#include "rules.h"

static struct dev_rules set, before, again;

/* What rules print, a new set reads back the same. */
static void check_text(void)
{
	char text[40];

	rules_init(&again);
	rules_apply(&again, set.allow_default ? RULE_ALLOW : RULE_DENY, "a");
	for (unsigned i = 0; i < set.n; i++) {
		PROMISE(set.rule[i].access != 0 && set.rule[i].access <= DEV_RWM);
		rule_text(&set.rule[i], text, sizeof(text));
		PROMISE(rules_apply(&again, set.allow_default ? RULE_DENY : RULE_ALLOW, text) == NULL);
	}
	PROMISE(rules_equal(&set, &again));
}

/* Asking for more is never answered with yes where asking for less got a no. */
static void check_verdicts(void)
{
	for (unsigned i = 0; i < set.n && i < 16; i++) {
		const struct dev_rule *rule = &set.rule[i];
		uint32_t major = rule->major == DEV_ANY ? 7 : rule->major;
		uint32_t minor = rule->minor == DEV_ANY ? 7 : rule->minor;

		for (uint8_t more = 0; more <= DEV_RWM; more++)
			for (uint8_t less = 0; less <= DEV_RWM; less++)
				if ((less & ~more) == 0 && rules_verdict(&set, rule->type, major, minor, more))
					PROMISE(rules_verdict(&set, rule->type, major, minor, less));
		PROMISE(rules_verdict(&set, rule->type, major, minor, rule->access) != set.allow_default);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *line = text, *end;

	PROMISE(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	rules_init(&set);
	for (; line != NULL && *line != '\0'; line = end) {
		end = strchr(line, '\n');
		if (end != NULL)
			*end++ = '\0';
		before = set;
		if (rules_apply(&set, *line == '+' ? RULE_ALLOW : RULE_DENY, line + 1) != NULL)
			PROMISE(rules_equal(&set, &before) && set.set == before.set);
	}
	check_text();
	check_verdicts();
	free(text);
	return 0;
}
