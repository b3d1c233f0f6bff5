/* SPDX-License-Identifier: MIT */
/*
 * The filter of system calls. Policies are text that the host compiles (sampan seccomp
 * compile); what is loaded here is POLICY.ARCH.bpf beside it, or the built-in list.
 */
#ifndef SAMPAN_SECCOMP_H
#define SAMPAN_SECCOMP_H

#include <linux/filter.h>
#include <stdbool.h>

struct seccomp {
	unsigned n;                     /* instructions; 0: the built-in list */
	bool none;                      /* no filter at all */
	struct sock_filter insn[BPF_MAXINSNS];
};

/* `profile` as configured: NULL for the built-in list, "none", or the text's path. */
int seccomp_read(struct seccomp *f, const char *profile);

/* Beside the state of a running container, for those who attach to it; the state says `none`. */
int seccomp_save(int statedir, const struct seccomp *f);
int seccomp_restore(int statedir, struct seccomp *f);

/* For this process and all that come from it, for good. */
int seccomp_load(const struct seccomp *f);

#endif
