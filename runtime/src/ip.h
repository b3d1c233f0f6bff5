/* SPDX-License-Identifier: MIT */
/* Addresses of the internet as text. */
#ifndef SAMPAN_IP_H
#define SAMPAN_IP_H

#include <arpa/inet.h>
#include <stdbool.h>
#include "conf.h"

enum { IP_TEXT_MAX = INET6_ADDRSTRLEN + 4 };

/*
 * "10.0.3.5" or "10.0.3.5/24" of this family and nothing else. Without a length
 * `ip->prefix` is that of one address, and `prefix` (whether there was one) false.
 */
bool ip_parse(const char *text, int family, struct conf_ip *ip, bool *prefix);

/* The last address of an IPv4 network; 0.0.0.0 where there is none (/31, /32). */
void ip_broadcast(const struct conf_ip *ip, uint8_t broadcast[4]);

#endif
