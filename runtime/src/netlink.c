/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include "netlink.h"
#include "util.h"

/* A socket belongs to the namespace it was opened in, wherever its owner goes later. */
int nl_open(int ns)
{
	CLEAN_FD int home = ns < 0 ? -1 : openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int fd;

	if (ns >= 0 && (home < 0 || setns(ns, CLONE_NEWNET) < 0))
		return err_set("enter the container's network namespace");
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		err_set("open a netlink socket");
	if (ns >= 0 && setns(home, CLONE_NEWNET) < 0) {
		close_fd(&fd);          /* what is left to do from here asks which side it is on */
		return err_set("come back from the container's network namespace");
	}
	return fd;
}

/* ---- requests ------------------------------------------------------------------ */

static void *grow(struct nl_msg *m, size_t size)
{
	unsigned char *at = (unsigned char *)m + m->head.nlmsg_len;
	size_t padded = NLMSG_ALIGN(size);

	if (padded > sizeof(*m) - m->head.nlmsg_len)
		__builtin_trap();       /* all that is put in has a size that is known */
	memset(at, 0, padded);
	m->head.nlmsg_len += (uint32_t)padded;
	return at;
}

void nl_fixed(struct nl_msg *m, const void *fixed, size_t size)
{
	memcpy(grow(m, size), fixed, size);
}

void nl_begin(struct nl_msg *m, unsigned type, unsigned flags, const void *fixed, size_t size)
{
	m->head = (struct nlmsghdr){
		.nlmsg_len = sizeof(m->head), .nlmsg_type = (uint16_t)type,
		.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags),
	};
	nl_fixed(m, fixed, size);
}

void *nl_put(struct nl_msg *m, unsigned type, const void *data, size_t size)
{
	struct rtattr *a = grow(m, RTA_LENGTH(size));

	a->rta_type = (unsigned short)type;
	a->rta_len = (unsigned short)RTA_LENGTH(size);
	if (size > 0)
		memcpy(RTA_DATA(a), data, size);
	return a;
}

void nl_text(struct nl_msg *m, unsigned type, const char *text)
{
	nl_put(m, type, text, strlen(text) + 1);
}

void nl_u32(struct nl_msg *m, unsigned type, uint32_t value)
{
	nl_put(m, type, &value, sizeof(value));
}

void *nl_nest(struct nl_msg *m, unsigned type)
{
	return nl_put(m, type, NULL, 0);
}

void nl_end(struct nl_msg *m, void *nest)
{
	struct rtattr *a = nest;

	a->rta_len = (unsigned short)((unsigned char *)m + m->head.nlmsg_len - (unsigned char *)nest);
}

/* ---- answers -------------------------------------------------------------------- */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* True when this was the last message of the answer; errno is 0 or the kernel's. */
static bool last(const struct nlmsghdr *h, nl_each *each, void *arg)
{
	const struct nlmsgerr *e = NLMSG_DATA(h);

	errno = 0;
	if (h->nlmsg_type == NLMSG_ERROR && h->nlmsg_len >= NLMSG_LENGTH(sizeof(e->error)))
		errno = -e->error;
	else if (h->nlmsg_type != NLMSG_DONE && h->nlmsg_type != NLMSG_ERROR) {
		if (each)
			each(h, arg);
		return false;
	}
	return true;
}

int nl_talk(int fd, struct nl_msg *m, nl_each *each, void *arg)
{
	static uint32_t seq;
	union {
		struct nlmsghdr head;
		unsigned char bytes[8192];      /* what the kernel puts in one piece of a dump */
	} in;

	m->head.nlmsg_seq = ++seq;
	if (send(fd, m, m->head.nlmsg_len, 0) < 0)
		return -1;
	for (;;) {
		ssize_t got = recv(fd, &in, sizeof(in), 0);
		size_t left = got > 0 ? (size_t)got : 0;
		const unsigned char *at = in.bytes;

		if (got < 0 && errno != EINTR)
			return -1;
		while (left >= sizeof(struct nlmsghdr)) {
			const struct nlmsghdr *h = (const void *)at;
			size_t step;

			if (h->nlmsg_len < sizeof(*h) || h->nlmsg_len > left)
				break;
			if (h->nlmsg_seq == seq && last(h, each, arg))
				return errno ? -1 : 0;
			step = least(NLMSG_ALIGN(h->nlmsg_len), left);
			at += step;
			left -= step;
		}
	}
}

const void *nl_attr(const struct nlmsghdr *h, size_t fixed, unsigned type, size_t min)
{
	size_t at = NLMSG_LENGTH(NLMSG_ALIGN(fixed));

	while (at + sizeof(struct rtattr) <= h->nlmsg_len) {
		const struct rtattr *a = (const void *)((const unsigned char *)h + at);

		if (a->rta_len < sizeof(*a) || a->rta_len > h->nlmsg_len - at)
			break;
		if (a->rta_type == type && a->rta_len >= RTA_LENGTH(min))
			return RTA_DATA(a);
		at += RTA_ALIGN(a->rta_len);
	}
	return NULL;
}
