/* SPDX-License-Identifier: MIT */
/*
 * The device policy as a program, for tests/image/test_devpolicy.py:
 *
 *   devtool parse                 one value a line: "ok" or why it is refused
 *   devtool model GRID            rules_verdict() for each line of GRID
 *   devtool v1|bpf GRID CG NODES  the kernel's verdict, asked from inside the cgroup CG
 *
 * Rules come on stdin, "+VALUE" allows and "-VALUE" denies. GRID has lines
 * "c MAJOR MINOR ACCESS", ACCESS being DEV_* bits; NODES is a directory with a node
 * "c-MAJOR-MINOR" for each. Verdicts are printed as one row of 0 and 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "devpolicy.h"
#include "symbol.h"
#include "util.h"

struct question {
	char type;
	unsigned major, minor, access;
};

static struct dev_rules rules;
static struct symbol symbol;

static int parse_values(void)
{
	static char line[8192];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		const char *why;

		line[strcspn(line, "\n")] = '\0';
		rules_init(&rules);
		why = symbol_is(line) ? symbol_parse(line, &symbol) : rules_apply(&rules, RULE_ALLOW, line);
		puts(why != NULL ? why : "ok");
	}
	return 0;
}

static void read_rules(void)
{
	char line[256];

	rules_init(&rules);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		const char *why;

		line[strcspn(line, "\n")] = '\0';
		why = rules_apply(&rules, line[0] == '+' ? RULE_ALLOW : RULE_DENY, line + 1);
		if (why != NULL) {
			fprintf(stderr, "%s: %s\n", line, why);
			exit(2);
		}
	}
}

static int kernel_mknod(const char *nodes, const struct question *q)
{
	char path[PATH_LEN_MAX];

	snprintf(path, sizeof(path), "%s/new", nodes);
	if (mknod(path, (q->type == 'b' ? S_IFBLK : S_IFCHR) | 0600, makedev(q->major, q->minor)) == 0) {
		unlink(path);
		return 1;
	}
	if (errno == EPERM)
		return 0;
	perror(path);
	exit(3);
}

/* Numbers of the memory devices, which may be opened for real. */
static int harmless(const struct question *q)
{
	return q->type == 'c' && q->major == 1 && (q->minor == 3 || q->minor == 5);
}

static int kernel_access(const char *nodes, const struct question *q)
{
	static const int flags[] = { O_PATH, O_RDONLY, O_WRONLY, O_RDWR };
	int want = (q->access & DEV_READ ? R_OK : 0) | (q->access & DEV_WRITE ? W_OK : 0);
	char path[PATH_LEN_MAX];
	int allowed, fd;

	snprintf(path, sizeof(path), "%s/%c-%u-%u", nodes, q->type, q->major, q->minor);
	allowed = faccessat(AT_FDCWD, path, want, 0) == 0;
	if (!allowed && errno != EPERM) {
		perror(path);
		exit(3);
	}
	if (want != 0 && harmless(q)) {
		fd = open(path, flags[q->access >> 1]);
		if ((fd >= 0) != allowed) {
			fprintf(stderr, "%s: faccessat and open differ for %u\n", path, q->access);
			exit(3);
		}
		if (fd >= 0)
			close(fd);
	}
	return allowed;
}

static int model(const char *nodes, const struct question *q)
{
	(void)nodes;
	return rules_verdict(&rules, q->type, q->major, q->minor, (uint8_t)q->access);
}

static int kernel(const char *nodes, const struct question *q)
{
	return q->access == DEV_MKNOD ? kernel_mknod(nodes, q) : kernel_access(nodes, q);
}

static int ask_all(const char *grid, const char *nodes, int (*ask)(const char *, const struct question *))
{
	FILE *file = fopen(grid, "re");
	struct question q;

	if (file == NULL) {
		perror(grid);
		return 3;
	}
	while (fscanf(file, " %c %u %u %u", &q.type, &q.major, &q.minor, &q.access) == 4)
		putchar(ask(nodes, &q) ? '1' : '0');
	putchar('\n');
	fclose(file);
	return 0;
}

static void apply_and_enter(const char *mode, const char *cgroup)
{
	int cgfd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC), procs;
	int failed = strcmp(mode, "v1") == 0 ? devpolicy_v1(cgfd, &rules) : devpolicy_bpf(cgfd, devpolicy_bpf_load(&rules));

	if (failed)
		die(EXIT_OWN);
	procs = openat(cgfd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (procs < 0 || !write_all(procs, "0", 1)) {
		err_set("enter %s", cgroup);
		die(EXIT_OWN);
	}
	close(procs);
	close(cgfd);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "parse") == 0)
		return parse_values();
	if (argc < 3)
		return 2;
	read_rules();
	if (strcmp(argv[1], "model") == 0)
		return ask_all(argv[2], NULL, model);
	if (argc != 5)
		return 2;
	apply_and_enter(argv[1], argv[3]);
	return ask_all(argv[2], argv[4], kernel);
}
