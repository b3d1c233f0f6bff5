/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ips.h"
#include "util.h"

static void add(struct ips *ips, const struct ifaddrs *a)
{
	const void *raw;

	if (!a->ifa_addr || (a->ifa_flags & IFF_LOOPBACK) || ips->n == IPS_MAX)
		return;
	if (a->ifa_addr->sa_family == AF_INET) {
		raw = &((const struct sockaddr_in *)(const void *)a->ifa_addr)->sin_addr;
	} else if (a->ifa_addr->sa_family == AF_INET6) {
		const struct in6_addr *six =
			&((const struct sockaddr_in6 *)(const void *)a->ifa_addr)->sin6_addr;

		if (IN6_IS_ADDR_LINKLOCAL(six))
			return;
		raw = six;
	} else {
		return;
	}
	ips->ip[ips->n].family = a->ifa_addr->sa_family;
	if (inet_ntop(a->ifa_addr->sa_family, raw, ips->ip[ips->n].text, IP_LEN))
		ips->n++;
}

void ips_of(pid_t pid, struct ips *ips)
{
	struct stat theirs, ours;
	char path[40];
	CLEAN_FD int fd = -1, home = -1;
	struct ifaddrs *list;

	ips->n = 0;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	home = openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || home < 0 || fstat(fd, &theirs) < 0 || fstat(home, &ours) < 0)
		return;
	if (theirs.st_ino != ours.st_ino && setns(fd, CLONE_NEWNET) < 0)
		return;
	if (getifaddrs(&list) == 0) {
		for (const struct ifaddrs *a = list; a; a = a->ifa_next)
			add(ips, a);
		freeifaddrs(list);
	}
	setns(home, CLONE_NEWNET);
}
