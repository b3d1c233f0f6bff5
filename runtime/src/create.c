/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "clone.h"
#include "conf.h"
#include "opts.h"
#include "sampan.h"
#include "sys.h"

#define TEMPLATES "/usr/share/lxc/templates"

static const struct ctr *making;        /* its folder goes away when creating fails */

_Noreturn static void fail_create(void)
{
	if (making)
		clone_abort(making->dir);
	fail();
}

static void make_dirs(const struct ctr *ctr)
{
	char rootfs[PATH_LEN_MAX];

	path_fmt(rootfs, sizeof(rootfs), "%s/rootfs", ctr->dir);
	if (mkdir(ctr->lxcpath, 0755) < 0 && errno != EEXIST) {
		err_set("mkdir %s", ctr->lxcpath);
		fail();
	}
	if (mkdir(ctr->dir, 0770) < 0) {
		if (errno == EEXIST)
			err_plain("Container already exists");
		else
			err_set("mkdir %s", ctr->dir);
		fail();
	}
	making = ctr;
	if (mkdir(rootfs, 0755) < 0) {
		err_set("mkdir %s", rootfs);
		fail_create();
	}
}

static void copy_to(FILE *out, const char *from)
{
	CLEAN_FD int in = openat(AT_FDCWD, from, O_RDONLY | O_CLOEXEC);
	char buf[4096];
	ssize_t n;
	int last = '\n';

	while ((n = in < 0 ? -1 : read(in, buf, sizeof(buf))) > 0) {
		fwrite(buf, 1, (size_t)n, out);
		last = buf[n - 1];
	}
	if (n < 0) {
		err_set("read %s", from);
		fail_create();
	}
	if (last != '\n')
		fputc('\n', out);
}

static void write_config(const struct ctr *ctr, const char *from)
{
	char temporary[PATH_LEN_MAX];
	char buf[OUTPUT_BYTES];
	FILE out = { .bytes = buf };

	if (from && conf_load(&own_conf, from, conf_print, NULL) < 0) {
		if (own_conf.errors)
			err_plain("%s: %u error%s in the configuration; nothing was created", from,
				  own_conf.errors, own_conf.errors == 1 ? "" : "s");
		else
			err_set("read %s", from);
		fail_create();
	}
	path_fmt(temporary, sizeof(temporary), "%s/config.new", ctr->dir);
	out.fd = openat(AT_FDCWD, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (out.fd < 0) {
		err_set("create %s", temporary);
		fail_create();
	}
	if (from)
		copy_to(&out, from);
	if (fflush(&out) != 0 || close(out.fd) != 0 ||
	    rename(temporary, ctr->config) < 0) {
		err_set("write %s", ctr->config);
		fail_create();
	}
}

/* LXC's way of calling templates, so that its own work here too. */
static void run_template(const struct ctr *ctr, const char *name, const struct args *a)
{
	char path[PATH_LEN_MAX], opt_path[PATH_LEN_MAX + 8], opt_root[PATH_LEN_MAX + 24],
		opt_name[NAME_LEN_MAX + 8];
	char *argv[LIST_MAX + 6] = { path, opt_path, opt_name, opt_root };
	int status;
	pid_t pid;

	path_fmt(path, sizeof(path), name[0] == '/' ? "%s" : TEMPLATES "/lxc-%s", name);
	snprintf(opt_path, sizeof(opt_path), "--path=%s", ctr->dir);
	snprintf(opt_name, sizeof(opt_name), "--name=%s", ctr->name);
	snprintf(opt_root, sizeof(opt_root), "--rootfs=%s/rootfs", ctr->dir);
	for (int i = 0; i < a->nrest && i < LIST_MAX; i++)
		argv[4 + i] = a->rest[i];
	if (access(path, X_OK) < 0) {
		err_set("template %s", path);
		err_hint("templates are executables lxc-NAME in " TEMPLATES "; 'none' needs none");
		fail_create();
	}
	pid = sys_fork();
	if (pid == 0) {
		execv(path, argv);
		_exit(EXIT_NOT_FOUND);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0) {
		err_plain("template %s failed; what it made has been deleted", name);
		fail_create();
	}
}

/*
 * What neither the file nor the template said: where the root file system is, and the host name.
 * Last, because a template tells by them what a person wrote, who wants nothing added.
 */
static void complete(const struct ctr *ctr)
{
	CLEAN_FD int fd = openat(AT_FDCWD, ctr->config, O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
	char buf[OUTPUT_BYTES], last = '\n';
	FILE out = { .fd = fd, .bytes = buf };
	off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);

	/* What a template wrote wrong is shown, and stays for its author to see. */
	if (fd < 0 || (conf_load(&own_conf, ctr->config, conf_print_errors, NULL) < 0 && !own_conf.errors) ||
	    (end > 0 && pread(fd, &last, 1, end - 1) != 1)) {
		err_set("read %s", ctr->config);
		fail_create();
	}
	if (last != '\n')
		fputc('\n', &out);
	if (!own_conf.rootfs)
		fprintf(&out, "lxc.rootfs.path = dir:%s/rootfs\n", ctr->dir);
	if (!own_conf.utsname)
		fprintf(&out, "lxc.uts.name = %s\n", ctr->name);
	if (fflush(&out) != 0) {
		err_set("write %s", ctr->config);
		fail_create();
	}
}

int cmd_create(int argc, char **argv)
{
	static const char *template, *file, *backing;
	static const struct opt opts[] = {
		{ OPT("-t, --template=NAME", "template to run, or none (the default)"), &template },
		{ OPT("-f, --config=FILE", "configuration to start from"), &file },
		{ OPT("-B, --bdev=TYPE", "backing store: dir, the only one"), &backing },
	};
	static const struct optset set = {
		"create [-n] NAME [-f CONFIG] [-t TEMPLATE [-- OPTIONS...]]",
		"Makes LXCPATH/NAME with config and an empty rootfs, which a template may fill.\n"
		"A configuration with errors is refused.",
		opts, ARRAY_SIZE(opts), OPTS_NAME,
	};
	static struct ctr ctr;
	struct args a = opts_parse(&set, argc, argv);

	need_root();
	ctr_init(&ctr, a.name, a.lxcpath);
	if (backing && strcmp(backing, "dir") != 0 && strcmp(backing, "best") != 0) {
		err_plain("-B %s: only 'dir' is supported", backing);
		fail();
	}
	umask(022);
	make_dirs(&ctr);
	write_config(&ctr, file);
	if (template && strcmp(template, "none") != 0)
		run_template(&ctr, template, &a);
	complete(&ctr);
	return 0;
}
