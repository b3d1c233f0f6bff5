/* SPDX-License-Identifier: MIT */
/* What conf.h says of every configuration, good or bad. */
#ifndef SAMPAN_CONF_PROMISES_H
#define SAMPAN_CONF_PROMISES_H

#include <string.h>
#include <sys/socket.h>
#include "conf.h"
#include "fuzz.h"

static struct conf c;
static unsigned messages;

static void check_string(const char *text)
{
	if (text != NULL)
		PROMISE(text >= c.bytes && text + strlen(text) < c.bytes + c.used);
}

static inline void count_message(const struct conf_msg *msg, void *arg)
{
	char hint[8192];

	(void)arg;
	PROMISE(msg->text != NULL && msg->text[0] != '\0' && msg->at.file != NULL);
	PROMISE(msg->hint == NULL || snprintf(hint, sizeof(hint), "%s", msg->hint) > 0);
	messages += msg->level == CONF_ERROR;
}

static inline void check_lists(void)
{
	PROMISE(c.nmounts <= MOUNTS_MAX && c.ncgvalues <= CGVALUES_MAX && c.nenv <= ENVS_MAX);
	PROMISE(c.ndevices <= DEVRULES_MAX && c.devices.n <= DEVRULES_MAX && c.nnics <= NICS_MAX);
	for (unsigned i = 0; i < c.nmounts; i++) {
		PROMISE(c.mount[i].source != NULL && c.mount[i].target != NULL && c.mount[i].type != NULL);
		check_string(c.mount[i].source);
		check_string(c.mount[i].target);
		check_string(c.mount[i].type);
		check_string(c.mount[i].data);
	}
	PROMISE(c.naddrs <= ADDRS_MAX);
	for (unsigned i = 0; i < c.naddrs; i++)
		PROMISE(c.addr[i].nic < NICS_MAX && c.addr[i].ip.prefix <= (c.addr[i].ip.family == AF_INET ? 32 : 128));
	for (unsigned i = 0; i < c.nnics; i++) {
		check_string(c.nic[i].link);
		check_string(c.nic[i].name);
		check_string(c.nic[i].pair);
		PROMISE(c.nic[i].macvlan_mode < 4 && c.nic[i].ipvlan_mode < 3 && c.nic[i].vlan_id <= 4094);
	}
	for (unsigned i = 0; i < c.ncgvalues; i++) {
		check_string(c.cgvalue[i].file);
		check_string(c.cgvalue[i].value);
		PROMISE(strchr(c.cgvalue[i].file, '/') == NULL && c.cgvalue[i].file[0] != '.');
	}
}

/* Loads a file and holds the result against what conf.h promises. */
static inline void load_and_check(const char *path)
{
	int failed;

	messages = 0;
	failed = conf_load(&c, path, count_message, NULL);
	PROMISE(failed == (c.errors != 0 ? -1 : 0));
	PROMISE(c.errors <= messages && c.errors <= CONF_ERRORS_MAX && c.used <= CONF_BYTES_MAX);
	check_lists();
	check_string(c.utsname);
	check_string(c.rootfs);
	check_string(c.rootfs_data);
	check_string(c.tty_dir);
	check_string(c.init_cmd);
	PROMISE(c.tty_max >= -1 && c.tty_max <= TTYS_MAX);
	PROMISE(failed || c.tty_dir == NULL || strstr(c.tty_dir, "..") != c.tty_dir);
}

#endif
