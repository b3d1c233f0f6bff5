/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include "json.h"

void json_string(const char *text)
{
	if (!text) {
		fputs("null", stdout);
		return;
	}
	putchar('"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

void json_field(const char *before, const char *text)
{
	fputs(before, stdout);
	json_string(text);
}
