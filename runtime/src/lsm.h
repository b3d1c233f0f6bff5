/* SPDX-License-Identifier: MIT */
/* Security labels of AppArmor and SELinux, which the next exec takes on. */
#ifndef SAMPAN_LSM_H
#define SAMPAN_LSM_H

#include <stdbool.h>
#include <sys/types.h>

/* This process's /proc/self/attr, in the proc of the host, which no container can fake; or -1. */
int lsm_open(void);

/*
 * NULL: that one is not asked for. Fails where the kernel does not know the label. `now`:
 * AppArmor's holds for this process from here on, which never executes anything.
 */
int lsm_exec(int attr, const char *apparmor, const char *selinux, bool now);

struct lsm_label {                      /* "" when nothing confines it more than us */
	bool selinux;
	char text[256];
};
void lsm_of(pid_t pid, struct lsm_label *label);

/* The label of keys made from now on. */
int lsm_keys(int attr, const char *selinux);

#endif
