/* SPDX-License-Identifier: MIT */
#ifndef SAMPAN_GUARD_H
#define SAMPAN_GUARD_H

/* The lowest descriptor that is not one of stdio. */
enum { FIRST_FD = 3 };

/*
 * A container's root can open /proc/PID/exe of whatever enters it, and write to it once it
 * is not running any more (CVE-2019-5736). So commands that enter run from a read-only clone
 * of the binary's mount, or from a sealed copy; this makes it so, if it is not so by itself.
 * The descriptors from the number returned on are the caller's, to be closed.
 */
int guard_self(char **argv);

/*
 * The clone may still be open then, as FIRST_FD. As long as it is, or is mounted somewhere, its
 * flags can be changed by who reaches it: before anything of a container runs each process that
 * has it calls guard_done(), which closes it or does nothing. The last one to close it waits for
 * all processors (an RCU grace period). So the new process of a start calls guard_child() instead:
 * that puts the clone into its own mount namespace, from where it goes with the old root; what is
 * left of the descriptor then changes nothing any more and is closed with all others.
 */
void guard_child(void);
void guard_done(void);
void guard_done_with(int fd);           /* and closes `fd`, by one call where they are neighbours */

#endif
