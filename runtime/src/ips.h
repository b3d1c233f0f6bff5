/* SPDX-License-Identifier: MIT */
#ifndef SAMPAN_IPS_H
#define SAMPAN_IPS_H

#include <sys/types.h>

enum { IPS_MAX = 16, IP_LEN = 46 };

struct ips {
	unsigned n;
	struct {
		int family;
		char text[IP_LEN];
	} ip[IPS_MAX];
};

/* The addresses inside the network namespace of `pid`, without loopback and link-local. */
void ips_of(pid_t pid, struct ips *ips);

#endif
