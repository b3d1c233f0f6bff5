/* SPDX-License-Identifier: MIT */
/*
 * The two back ends of a device policy. Both fail closed: whatever cannot be
 * written, loaded, attached or read back exactly ends the start.
 */
#ifndef SAMPAN_DEVPOLICY_H
#define SAMPAN_DEVPOLICY_H

#include "rules.h"

/*
 * Each returns 0, or -1 after err_set() (util.h) named the step, the object and
 * errno. `cgfd` is a descriptor of the container's own cgroup directory, without
 * children; O_RDONLY, since bpf(2) takes no O_PATH. A set that is not `set` is no
 * policy: nothing is done, and the group keeps what it inherited.
 */
int devpolicy_v1(int cgfd, const struct dev_rules *r);    /* devices.allow/.deny, then devices.list read back */
int devpolicy_bpf_load(const struct dev_rules *r);        /* the program, or -1 */
int devpolicy_bpf(int cgfd, int program);                 /* attached, then queried back */

/*
 * The same while the container runs. v1 takes each difference in one write, what is
 * withdrawn first; on v2 a new program takes the old one's place. On kernels before 5.6
 * both hold for a moment, so that nothing is allowed that only one of them allows.
 */
int devpolicy_v1_change(int cgfd, const struct dev_rules *before, const struct dev_rules *after);
int devpolicy_bpf_change(int cgfd, const struct dev_rules *r);

#endif
