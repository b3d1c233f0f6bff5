/* SPDX-License-Identifier: MIT */
#ifndef SAMPAN_GUARD_H
#define SAMPAN_GUARD_H

/*
 * A container's root can open /proc/PID/exe of whatever enters it, and write to it
 * once it is not running any more (CVE-2019-5736). So commands that enter run from a
 * mount or a copy that cannot be written: this returns at once if that is so, else it
 * executes the binary again from a read-only clone of its mount, or a sealed copy.
 */
void guard_self(char **argv);

#endif
