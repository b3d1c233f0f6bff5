/* SPDX-License-Identifier: MIT */
#include <sys/mman.h>
#include "hotplug.h"
#include "restart.h"
#include "start_conf.h"

/* Asked only when something is wrong: the name may stand for nothing. */
static bool undefined(const struct start *s)
{
	return !s->rcfile && !ctr_defined(s->ctr);
}

static void load_sink(const struct conf_msg *msg, void *arg)
{
	const struct start *s = arg;

	/* Notes are for those who write the file: create and config check. */
	if ((msg->level == CONF_ERROR || (msg->level == CONF_WARNING && !s->quiet_conf)) && !undefined(s))
		conf_print(msg, NULL);
}

static struct devlist devices;
static struct seccomp filter;

int start_conf(struct start *s)
{
	struct conf *c = &own_conf;

	s->conf = c;
	s->devices = &devices;
	s->filter = &filter;
	if (conf_load(c, s->ctr->config, load_sink, s) < 0 && undefined(s)) {
		err_plain("no such container in %s", s->ctr->lxcpath);
		err_hint("sampan ls shows those there are, sampan create makes one, -f FILE names "
			 "a configuration elsewhere");
		return -1;
	}
	if (c->errors > 0) {
		err_plain("%s: %u error%s in the configuration", s->ctr->config, c->errors,
			  c->errors == 1 ? "" : "s");
		return -1;
	}
	s->st.sig_halt = c->sig_halt;
	s->st.sig_reboot = c->sig_reboot;
	s->sig_stop = c->sig_stop;
	restart_read(s);
	s->log_size = c->console_size;
	s->ring_size = c->console_ring;
	s->log_rotate = c->console_rotate != 0;
	path_fmt(s->logfile, sizeof(s->logfile), "%s", c->console_logfile ? c->console_logfile : "");
	return 0;
}

int start_devices(struct start *s)
{
	if (s->conf->symbolic && s->uevents < 0 && (s->uevents = hotplug_open()) < 0)
		return -1;
	if (devlist_of(s->devices, s->conf, dev_wanted(s->ctr, s->conf)) < 0)
		return -1;
	s->st.devices = devlist_text(s->devices);
	if (seccomp_read(s->filter, s->conf->seccomp) < 0)
		return -1;
	s->st.unfiltered = s->filter->none;
	return 0;
}

void start_conf_end(struct start *s)
{
	madvise(s->conf, sizeof(*s->conf) & ~(size_t)4095, MADV_DONTNEED);      /* larger pages stay */
	s->conf = NULL;
}
