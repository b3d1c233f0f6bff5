/* SPDX-License-Identifier: MIT */
/* What a start takes from its configuration, and for how long. */
#ifndef SAMPAN_START_CONF_H
#define SAMPAN_START_CONF_H

#include "start.h"

int start_conf(struct start *s);        /* reads it; what is wrong has been printed then */

/* Names become numbers: those that the kernel has now; what changes from here on is heard. */
int start_devices(struct start *s);

void start_conf_end(struct start *s);   /* gives its memory back, once the container runs */

#endif
