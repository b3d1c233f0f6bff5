/* SPDX-License-Identifier: MIT */
/* Asking a container's PID 1 to end, in the signal it understands. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"
#include "monitor.h"
#include "path.h"
#include "stop.h"
#include "sys.h"

enum { ALONE_TICKS = 2 };

/* busybox init sleeps two seconds in its halt, with nothing left to wait for. */
static bool is_busybox(pid_t pid)
{
	char path[40], exe[PATH_LEN_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	if (n <= 0)
		return false;
	exe[n] = '\0';
	return strstr(exe, "/busybox") != NULL;
}

/* SigBlk of /proc/PID/status: an init that takes SIGRTMIN+3 (systemd) blocks it. */
static bool blocks(pid_t pid, int sig)
{
	char path[40], text[2048], *line;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (read_small(AT_FDCWD, path, text, sizeof(text)) < 0 || !(line = strstr(text, "SigBlk:")))
		return false;
	return strtoull(line + 7, NULL, 16) >> (sig - 1) & 1;
}

static int halt_signal(const struct start *s)
{
	enum { KERNEL_RTMIN = 32 };     /* musl's SIGRTMIN keeps three for itself */

	if (s->st.sig_halt)
		return s->st.sig_halt;
	if (s->app)
		return SIGTERM;
	return blocks(s->pid, KERNEL_RTMIN + 2 + 3) ? KERNEL_RTMIN + 2 + 3 : SIGPWR;
}

void monitor_halt(struct monitor *m)
{
	struct start *s = m->s;

	s->stop_asked = true;
	if (m->over)
		return;
	kill(s->pid, halt_signal(s));
	if (s->stop_timeout > 0 && m->kill_at == 0)
		m->kill_at = now_ms() + 1000LL * s->stop_timeout;
	s->reboot_asked = false;
	m->watch_alone = !s->app && is_busybox(s->pid);
	set_state(s, ST_STOPPING);
	if (cg_frozen(&s->st.cg))
		cg_freeze(&s->st.cg, false);
}

void monitor_alone_tick(struct monitor *m)
{
	m->alone = cg_count(&m->s->st.cg, 2) == 1 ? m->alone + 1 : 0;
	if (m->alone >= ALONE_TICKS)
		kill(m->s->pid, SIGKILL);
}

/* As `stop` does it after its own time: first lxc.signal.stop, then SIGKILL. */
void monitor_late_tick(struct monitor *m)
{
	log_say(LOG_WARN, "%s: did not halt in time; it is killed", m->s->ctr->name);
	m->kill_at = now_ms() + STOP_SIGNAL_MS;
	monitor_kill(m);
}

void monitor_reboot(struct monitor *m)
{
	if (m->over)
		return;
	kill(m->s->pid, m->s->st.sig_reboot ? m->s->st.sig_reboot : SIGINT);
	m->s->reboot_asked = true;
	m->watch_alone = is_busybox(m->s->pid);
}

void monitor_kill(struct monitor *m)
{
	int sig = m->s->sig_stop;

	m->s->stop_asked = true;
	m->s->reboot_asked = false;
	m->s->sig_stop = 0;
	if (m->over)
		return;
	if (sig && sig != SIGKILL) {
		cg_freeze(&m->s->st.cg, false);
		kill(m->s->pid, sig);
		return;
	}
	cg_kill(&m->s->st.cg);
	kill(m->s->pid, SIGKILL);
}
