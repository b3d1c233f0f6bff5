/* SPDX-License-Identifier: MIT */
/*
 * Devices that come and go while a container runs whose list names some. What an event
 * says does not count: it only makes us look again, so that none can be missed, be it
 * lost, late or of the time before the container ran.
 */
#ifndef SAMPAN_HOTPLUG_H
#define SAMPAN_HOTPLUG_H

struct monitor;

int hotplug_open(void);                 /* before the names are resolved; -1 */
void hotplug_step(struct monitor *m);   /* there are events */
void hotplug_reap(struct monitor *m);   /* some child of ours has ended */

#endif
