/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "match.h"

int main(void)
{
	static const struct { const char *re, *text; bool good; } rows[] = {
		{ "", "", true }, { "", "a", false }, { "abc", "abc", true }, { "abc", "abcd", false },
		{ "b", "abc", false }, { ".*", "", true }, { ".*", "any-1.x", true },
		{ "a|bc", "bc", true }, { "a|bc", "abc", false }, { "a(b|c)d", "acd", true },
		{ "a(b|c)d", "ad", false }, { "(ab)+", "ababab", true }, { "(ab)+", "", false },
		{ "(a*)*b", "aaab", true }, { "(a*)*b", "aaac", false }, { "(a|)+", "aa", true },
		{ "[a-c]+[^a-c]", "abcx", true }, { "[a-c]+[^a-c]", "abca", false },
		{ "[]x]", "]", true }, { "[^]x]", "]", false }, { "[a-]", "-", true },
		{ "web-?[0-9]", "web7", true }, { "web-?[0-9]", "web--7", false },
		{ "a\\.b", "a.b", true }, { "a\\.b", "axb", false }, { "x(y(z)?)?", "xyz", true },
		{ "x(y(z)?)?", "xz", false }, { "a+b*", "aab", true }, { "a|b|", "", true },
	};
	static const char *const bad[] = { "(a", "a)", "[a", "*a", "a**", "a{2}", "a\\", "|*", "(", "[", "[^" };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK(match_ok(rows[i].re) && match(rows[i].re, rows[i].text) == rows[i].good);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!match_ok(bad[i]));
	return check_end();
}
