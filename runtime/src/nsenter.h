/* SPDX-License-Identifier: MIT */
/* The namespaces of a running process, taken and entered. */
#ifndef SAMPAN_NSENTER_H
#define SAMPAN_NSENTER_H

#include "state.h"

struct ns_set {
	int wanted;                     /* CLONE_NEW* bits */
	int flags;                      /* those of them that differ from ours */
	int pidfd;
	int root;                       /* the process's root directory */
	int ns[NS_KINDS];               /* for kernels whose setns takes no pidfd */
};

int ns_all(void);
int ns_parse(const char *text);         /* "MOUNT|PID"; -1 */

/* Opens what is wanted of `init`, and makes sure that it is still that process. */
int ns_open(struct ns_set *a, const struct task *init);

int ns_enter_pid(const struct ns_set *a);       /* for children made from now on */
int ns_enter_rest(const struct ns_set *a);

#endif
