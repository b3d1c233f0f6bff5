/* SPDX-License-Identifier: MIT */
/* Netlink: one builder of requests, one way to send one and to read what comes back. */
#ifndef SAMPAN_NETLINK_H
#define SAMPAN_NETLINK_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

enum { NL_BYTES = 1024 };               /* the largest request there is takes a third */

struct nl_msg {
	struct nlmsghdr head;
	unsigned char body[NL_BYTES];
};

/* A route socket in the network namespace `ns` (a descriptor; -1: ours). -1 with the error set. */
int nl_open(int ns);

/* Begins a request with the fixed structure its type has. */
void nl_begin(struct nl_msg *m, unsigned type, unsigned flags, const void *fixed, size_t size);

/* Appends; the place is for nl_end(), which closes a nest. */
void *nl_put(struct nl_msg *m, unsigned type, const void *data, size_t size);
void nl_text(struct nl_msg *m, unsigned type, const char *text);
void nl_u32(struct nl_msg *m, unsigned type, uint32_t value);
void *nl_nest(struct nl_msg *m, unsigned type);
void nl_fixed(struct nl_msg *m, const void *fixed, size_t size);        /* inside of a nest */
void nl_end(struct nl_msg *m, void *nest);

/* Sends it and hands each message of the answer to `each`. 0, or -1 and the kernel's errno. */
typedef void nl_each(const struct nlmsghdr *h, void *arg);
int nl_talk(int fd, struct nl_msg *m, nl_each *each, void *arg);

/* The attribute of a received message behind its fixed part, at least `min` bytes; or NULL. */
const void *nl_attr(const struct nlmsghdr *h, size_t fixed, unsigned type, size_t min);

#endif
