/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include "hooks.h"
#include "net.h"
#include "path.h"

/* From now on it can be lost: what brings it home is written down, its namespace kept. */
static int take(struct nic_job *j, pid_t pid, int statedir, struct state *st)
{
	CLEAN_FD int file = -1;

	if (link_take(j) < 0 || (file = state_publish(statedir, st)) < 0)
		return -1;
	return net_pin(statedir, pid);
}

static int run_script(const struct nic_job *j)
{
	const char *type = net_type_word(j->nic->type);
	const char *peer = j->nic->type == NET_VETH ? j->outer.name : NULL;

	if (j->nic->script_down && hooks_note_down(j->nic->script_down, type, j->nic->link, peer) < 0)
		return -1;
	return j->nic->script_up ? hooks_net("up", j->nic->script_up, type, j->nic->link, peer) : 0;
}

static int make_one(struct nic_job *j, pid_t pid, int statedir, struct state *st)
{
	int rc;

	if (j->nic->type == NET_EMPTY)
		return run_script(j);
	rc = link_parent(j);
	if (rc == 0)
		rc = j->nic->type == NET_PHYS ? take(j, pid, statedir, st) : link_make(j);
	if (rc < 0 || link_ready(j) < 0 || addr_inside(j) < 0)
		return -1;
	if (link_passthru(j->nic) && net_pin(statedir, pid) < 0)
		return -1;
	return addr_outside(j) < 0 ? -1 : run_script(j);
}

static bool wanted(const struct conf_nic *nic)
{
	return nic->used && (nic->type >= NET_VETH || nic->script_up || nic->script_down);
}

/* What is taken comes first: it has its name already, the others get what is free. */
static int make_all(struct nic_job *j, pid_t pid, int statedir, struct state *st)
{
	for (int phys = 1; phys >= 0; phys--) {
		for (j->n = 0; j->n < j->conf->nnics; j->n++) {
			j->nic = &j->conf->nic[j->n];
			if (!wanted(j->nic) || (j->nic->type == NET_PHYS) != phys)
				continue;
			j->parent = j->outer = j->inner = (struct link){ .index = 0 };
			if (make_one(j, pid, statedir, st) < 0)
				return -1;
		}
	}
	return 0;
}

static bool any(const struct conf *conf)
{
	for (unsigned i = 0; i < conf->nnics; i++)
		if (wanted(&conf->nic[i]))
			return true;
	return false;
}

int net_make(const struct conf *conf, pid_t pid, int statedir, struct state *st)
{
	CLEAN_FD int ns = -1, host = -1, in = -1;
	struct nic_job j = { .conf = conf, .undo = &st->net };

	if (!(conf->spaces & CLONE_NEWNET) || !any(conf))
		return 0;
	ns = open_path(O_RDONLY, "/proc/%d/ns/net", pid);
	if (ns < 0)
		return errno == ENOENT || errno == ESRCH ? 1 : -1;
	if ((host = nl_open(-1)) < 0 || (in = nl_open(ns)) < 0)
		return -1;
	st->net.ns = net_ns();
	if (st->net.ns == 0)
		return err_set("stat /proc/self/ns/net");
	j.ns = ns;
	j.host = host;
	j.in = in;
	return make_all(&j, pid, statedir, st);
}

int net_lo_up(int *socket)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int rc = *socket < 0 ? 0 : ioctl(*socket, SIOCSIFFLAGS, &r);

	if (rc < 0)
		err_set("bring lo up");
	close_fd(socket);
	*socket = -1;
	return rc < 0 ? -1 : 0;
}
