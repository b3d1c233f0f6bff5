/* SPDX-License-Identifier: MIT */
/* SAMPAN_TIMES=FILE: one line per start, "label=microseconds ..." for each step. */
#ifndef SAMPAN_TIMES_H
#define SAMPAN_TIMES_H

void times_init(void);
void times_mark(const char *label);     /* a string constant */
void times_child(void);                 /* from here on in the new process */
void times_write(void);

#endif
