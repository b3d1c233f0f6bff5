/* SPDX-License-Identifier: MIT */
/* The semantics of the v1 controller, row by row, and the shapes that are refused. */
#include "check.h"
#include "rules.h"
#include "util.h"

static struct dev_rules r;

/* A set made from "+value" (allow) and "-value" (deny). */
static void make(const char *const *values)
{
	rules_init(&r);
	for (; *values != NULL; values++)
		CHECK_TEXT(rules_apply(&r, **values == '+' ? RULE_ALLOW : RULE_DENY, *values + 1) ?: "",
			   "");
}
#define MAKE(...) make((const char *const[]){ __VA_ARGS__, NULL })

static bool c(uint32_t major, uint32_t minor, int access)
{
	return rules_verdict(&r, 'c', major, minor, (uint8_t)access);
}

static void test_new_set(void)
{
	rules_init(&r);
	CHECK(!r.set && c(1, 3, DEV_RWM) && c(254, 0, DEV_READ));
	MAKE("-a");
	CHECK(r.set && !c(1, 3, DEV_READ) && !rules_verdict(&r, 'b', 8, 0, DEV_MKNOD));
	MAKE("-a", "+a *:* rwm");
	CHECK(c(1, 3, DEV_RWM));
	MAKE("-a *:* rwm", "+c 1:3 r", "-a");   /* a again forgets what came before */
	CHECK(r.n == 0 && !c(1, 3, DEV_READ));
}

static void test_allow_list(void)
{
	MAKE("-a", "+c 1:3 r", "+c 1:3 w");     /* one number: merged */
	CHECK(r.n == 1 && c(1, 3, DEV_READ | DEV_WRITE) && !c(1, 3, DEV_MKNOD));
	MAKE("-a", "+c 1:* r", "+c 1:5 w");     /* two numbers: neither covers both bits */
	CHECK(c(1, 5, DEV_READ) && c(1, 5, DEV_WRITE) && !c(1, 5, DEV_READ | DEV_WRITE));
	MAKE("-a", "+c 1:* rwm", "-c 1:5 rwm"); /* only the very same numbers are taken away */
	CHECK(c(1, 5, DEV_RWM));
	MAKE("-a", "+c 1:3 rwm", "-c 1:3 w");
	CHECK(c(1, 3, DEV_READ) && !c(1, 3, DEV_WRITE) && !c(1, 3, DEV_READ | DEV_WRITE));
	MAKE("-a", "+c 1:3 rw", "-c 1:3 r", "-c 1:3 w");
	CHECK(r.n == 0);
	MAKE("-a", "+c 1:1 r", "+c 1:2 r", "+c 1:3 r", "-c 1:1 r");
	CHECK(r.n == 2 && !c(1, 1, DEV_READ) && c(1, 2, DEV_READ) && c(1, 3, DEV_READ));
	MAKE("-a", "+b 1:3 r");                 /* types are apart */
	CHECK(!c(1, 3, DEV_READ) && rules_verdict(&r, 'b', 1, 3, DEV_READ));
}

static void test_deny_list(void)
{
	MAKE("+a", "-c 1:5 w");                 /* one common bit is enough to refuse */
	CHECK(!c(1, 5, DEV_READ | DEV_WRITE) && c(1, 5, DEV_READ) && !c(1, 5, DEV_WRITE));
	MAKE("-c 1:* r", "+c 1:3 r");           /* an allow takes away the very same numbers only */
	CHECK(!c(1, 3, DEV_READ) && c(1, 3, DEV_WRITE));
	MAKE("-c *:* m");
	CHECK(!c(9, 9, DEV_MKNOD) && c(9, 9, DEV_READ | DEV_WRITE));
	MAKE("-c 1:3 rwm");
	CHECK(c(1, 3, 0) && c(1, 4, DEV_RWM));  /* existence is not asked for in a deny-list */
	MAKE("-a", "+c 1:3 m");
	CHECK(c(1, 3, 0) && !c(1, 4, 0));       /* and in an allow-list it is */
}

/* Each is taken by the kernel, as something else, or refused by it without a reason. */
static void test_refused(void)
{
	static const char *const values[] = {
		"", " ", "b", "c", "c ", "c 1", "c 1:", "c 1:3", "c 1:3 ", "c :3 r", "c 1: r",
		"c  1:3 r", "c 1:3  r", "c 1:3 r ", " c 1:3 r", "c\t1:3 r", "c 1:3 rwmx", "c 1:3 rrr",
		"c 1:3 rr", "c 1:3 x", "c 1:3 rw m", "c 1:3 rwmr", "c 4294967295:3 r",
		"c 1:4294967295 r", "c 4096:0 r", "c 1:1048576 r", "c -1:3 r", "c +1:3 r",
		"c 0x1:3 r", "c 1:3 r\nc 1:5 r", "c 1:3 r\n", "c 1:3:5 r", "c **:3 r", "c *1:3 r",
		"a 1:3 r", "a *:* r", "a *:*", "a *:* rwm ", "a ", "all", "A", "u 1:3 r", "C 1:3 r",
		"/dev/rtc0 rw", "char-rtc rw", "block-loop r", "class:rtc rw",
	};
	struct dev_rules before;

	MAKE("-a", "+c 1:3 rw");
	before = r;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		CHECK(rules_apply(&r, RULE_ALLOW, values[i]) != NULL);
		CHECK(rules_apply(&r, RULE_DENY, values[i]) != NULL);
		if (!rules_equal(&r, &before))
			fprintf(stderr, "changed by '%s'\n", values[i]);
		CHECK(rules_equal(&r, &before));
	}
	CHECK(rules_apply(&r, RULE_ALLOW, "/dev/rtc0 rw") != NULL);
	CHECK(rules_apply(&r, RULE_ALLOW, "char-rtc rw") != NULL);
}

static void test_limit(void)
{
	char value[40];

	MAKE("-a");
	for (unsigned i = 0; i < DEVRULES_MAX; i++) {
		snprintf(value, sizeof(value), "c %u:%u r", i / 100, i % 100);
		CHECK(rules_apply(&r, RULE_ALLOW, value) == NULL);
	}
	CHECK(strstr(rules_apply(&r, RULE_ALLOW, "c 9:99 r"), "DEVRULES_MAX") != NULL);
	CHECK(rules_apply(&r, RULE_ALLOW, "c 1:1 w") == NULL);  /* merging needs no room */
	CHECK(rules_apply(&r, RULE_DENY, "c 1:1 rw") == NULL);
	CHECK(rules_apply(&r, RULE_ALLOW, "c 9:99 r") == NULL);
	CHECK(!c(1, 1, DEV_READ) && c(9, 99, DEV_READ) && c(0, 0, DEV_READ));
}

static void test_text(void)
{
	static const struct { struct dev_rule rule; const char *text; } rows[] = {
		{ { 'c', DEV_RWM, 1, 3 }, "c 1:3 rwm" },
		{ { 'b', DEV_READ, 4095, 1048575 }, "b 4095:1048575 r" },
		{ { 'c', DEV_WRITE | DEV_MKNOD, 136, DEV_ANY }, "c 136:* wm" },
		{ { 'b', DEV_MKNOD, DEV_ANY, DEV_ANY }, "b *:* m" },
	};
	char text[40];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		rule_text(&rows[i].rule, text, sizeof(text));
		CHECK_TEXT(text, rows[i].text);
	}
}

static void test_equal(void)
{
	struct dev_rules other;

	MAKE("-a", "+c 1:3 r", "+c 1:5 w");
	other = r;
	MAKE("-a", "+c 1:5 w", "+c 1:3 r");
	CHECK(rules_equal(&r, &other));
	MAKE("-a", "+c 1:5 w", "+c 1:3 rw");
	CHECK(!rules_equal(&r, &other));
	MAKE("-a", "+c 1:5 w");
	CHECK(!rules_equal(&r, &other) && !rules_equal(&other, &r));
	MAKE("+a", "-c 1:3 r", "-c 1:5 w");
	CHECK(!rules_equal(&r, &other));
}

int main(void)
{
	test_new_set();
	test_allow_list();
	test_deny_list();
	test_refused();
	test_limit();
	test_text();
	test_equal();
	return check_end();
}
