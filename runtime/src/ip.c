/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "ip.h"
#include "util.h"

bool ip_parse(const char *text, int family, struct conf_ip *ip, bool *prefix)
{
	size_t n = strcspn(text, "/");
	uint64_t length = family == AF_INET ? 32 : 128;
	char address[INET6_ADDRSTRLEN];

	*prefix = text[n] == '/';
	if (n >= sizeof(address) || (*prefix && !parse_uint(text + n + 1, 0, length, &length)))
		return false;
	memcpy(address, text, n);
	address[n] = '\0';
	*ip = (struct conf_ip){ .family = (uint8_t)family, .prefix = (uint8_t)length };
	return inet_pton(family, address, ip->bytes) == 1;
}

void ip_broadcast(const struct conf_ip *ip, uint8_t broadcast[4])
{
	for (int i = 0; i < 4; i++) {
		int host = 8 * (i + 1) - ip->prefix;    /* bits of this byte and those before */

		broadcast[i] = ip->prefix > 30 ? 0 : host <= 0 ? ip->bytes[i] :
			       (uint8_t)(ip->bytes[i] | (host >= 8 ? 0xff : (1 << host) - 1));
	}
}
