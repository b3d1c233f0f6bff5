/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "symbol.h"
#include "util.h"

static struct symbol s;

static void test_forms(void)
{
	CHECK(symbol_parse("/dev/rtc0 r", &s) == NULL && s.kind == SYM_NODE && s.access == DEV_READ);
	CHECK(strcmp(s.name, "rtc0") == 0 && !s.optional);
	CHECK(symbol_parse("char-ttyUSB rwm optional", &s) == NULL && s.kind == SYM_CHAR && s.optional);
	CHECK(s.access == DEV_RWM && strcmp(s.name, "ttyUSB") == 0);
	CHECK(symbol_parse("block-loop", &s) == NULL && s.kind == SYM_BLOCK && s.access == (DEV_READ | DEV_WRITE));
	CHECK(symbol_parse("class:rtc optional", &s) == NULL && s.kind == SYM_CLASS && s.optional);
	CHECK(symbol_parse("/dev/input/event* r", &s) == NULL && strcmp(s.name, "input/event*") == 0);
	CHECK(symbol_parse("char-cpu/msr r", &s) == NULL);
	CHECK(symbol_is("profile:rtc") && symbol_parse("profile:rtc", &s) != NULL);
	CHECK(!symbol_is("c 1:3 rwm") && !symbol_is("a") && !symbol_is("/sys/x") && !symbol_is(""));
}

static void test_refused(void)
{
	static const char *const values[] = {
		"/dev/", "/dev/ rw", "/dev/../sda r", "/dev//sda r", "/dev/a/ r", "/dev/*/event0 r", "/dev/rtc0 x",
		"/dev/rtc0 rr", "/dev/rtc0  r", "/dev/rtc0 ", "/dev/rtc0 rwmr", "/dev/rtc0 r w", "/dev/rtc0 r optional ",
		"/dev/rtc0 optional r", "/dev/[a r", "/dev/[] r", "/dev/[!] r", "/dev/a[ r", "char- rw", "class: r", "class:a/b r", "class:.. r", "class:r* r",
		"class:rtc r optionally",
		"/dev/0123456789012345678901234567890123456789012345678901234567890123 r",
	};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		if (symbol_parse(values[i], &s) == NULL)
			fprintf(stderr, "taken: '%s'\n", values[i]);
		CHECK(symbol_is(values[i]) && symbol_parse(values[i], &s) != NULL);
	}
}

static void test_patterns(void)
{
	CHECK(symbol_match("ttyUSB*", "ttyUSB0") && symbol_match("ttyUSB*", "ttyUSB"));
	CHECK(symbol_match("ttyUSB?", "ttyUSB1") && !symbol_match("ttyUSB?", "ttyUSB10"));
	CHECK(symbol_match("sd[a-c]", "sdb") && !symbol_match("sd[a-c]", "sdd"));
	CHECK(symbol_match("a.b", "a.b") && !symbol_match("a.b", "axb") && symbol_match("a+(b)", "a+(b)"));
	CHECK(symbol_match("sd[!a-c]", "sdd") && !symbol_match("sd[!a-c]", "sdb") && symbol_match("x[.?]", "x."));
	CHECK(!symbol_match("rtc", "rtc0") && !symbol_match("rtc0", "rtc"));
}

static void test_expectations(void)
{
	struct dev_rule rule;
	const char *name;

	CHECK(expect_parse("c 252:0 rtc0", &rule, &name) == NULL && strcmp(name, "rtc0") == 0);
	CHECK(rule.type == 'c' && rule.major == 252 && rule.minor == 0);
	CHECK(expect_parse("b 7:* loop", &rule, &name) == NULL && rule.minor == DEV_ANY);
	CHECK(expect_parse("c 5:1 /dev/console", &rule, &name) == NULL && strcmp(name, "/dev/console") == 0);
	CHECK(expect_parse("c 252:0", &rule, &name) != NULL && expect_parse("c 252:0 ", &rule, &name) != NULL);
	CHECK(expect_parse("x 252:0 rtc0", &rule, &name) != NULL && expect_parse("", &rule, &name) != NULL);
	CHECK(expect_parse("c", &rule, &name) != NULL && expect_parse("c ", &rule, &name) != NULL);
	CHECK(expect_parse("c 9999:0 rtc0", &rule, &name) != NULL && expect_parse("a rtc0", &rule, &name) != NULL);
}

int main(void)
{
	test_forms();
	test_refused();
	test_patterns();
	test_expectations();
	return check_end();
}
