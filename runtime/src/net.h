/* SPDX-License-Identifier: MIT */
/*
 * The container's network, made by its parent from the host's side while the container
 * prepares: links by a netlink socket of the host, what is inside by one of the
 * container's namespace. Nothing of it runs in the container.
 */
#ifndef SAMPAN_NET_H
#define SAMPAN_NET_H

#include <net/if.h>
#include "conf.h"
#include "netlink.h"
#include "state.h"

struct link {
	char name[IF_NAMESIZE];
	int index;
	unsigned mtu;
	uint8_t mac[6];
};

struct nic_job {                        /* one lxc.net.N while it is made */
	const struct conf *conf;
	const struct conf_nic *nic;
	unsigned n;
	int host, in;                   /* netlink sockets of both sides */
	int ns;                         /* the container's network namespace */
	struct net_undo *undo;
	struct link parent;             /* lxc.net.N.link */
	struct link outer, inner;       /* the two ends; outer: only of a veth */
};

/*
 * Makes all interfaces of the container whose first process is `pid`; notes in the state
 * how to take back what the kernel does not by itself, and writes that down in time.
 * 1: the process is gone already.
 */
int net_make(const struct conf *conf, pid_t pid, int statedir, struct state *st);

/* By a socket of the network, which is closed; -1: there is none, and nothing to do. */
int net_lo_up(int *socket);

/* ---- between the files of the network */

/* Sets the error: "FILE:LINE: lxc.net.N: WHAT NAME: errno". -1 */
int nic_error(const struct nic_job *j, const char *what, const char *name);

static inline bool link_passthru(const struct conf_nic *nic)
{
	return nic->type == NET_MACVLAN && nic->macvlan_mode == 3;
}

int link_find(int fd, const char *name, struct link *l);        /* -1: errno */
int link_parent(struct nic_job *j);     /* finds lxc.net.N.link, or says what there is */
int link_make(struct nic_job *j);       /* both ends, down, the inner one in its namespace */
int link_take(struct nic_job *j);       /* phys */
int link_ready(struct nic_job *j);      /* names the inner end, brings both up */

int addr_inside(const struct nic_job *j);       /* addresses and gateways */
int addr_outside(const struct nic_job *j);      /* routes and proxies on the host */

#endif
