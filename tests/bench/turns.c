/* SPDX-License-Identifier: MIT */
/*
 * Runs commands in turn, on a host or on a target, and says how long each took.
 *
 *   turns ROUNDS < COMMANDS
 *
 * A line is a command of absolute words; behind ";;" comes what restores the state, which
 * is not timed. "{n}" becomes a number no other run has. Each round begins one command
 * further on, so that none always follows the same one. Output, for each run:
 *
 *   INDEX WALL_US CPU_US            CPU of the command and all that it has waited for
 *   INDEX - FIRST LINE OF STDERR    it has failed, and is left out from there
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { COMMANDS = 16, WORDS = 96, WARM = 2, PAUSE_US = 8000 };     /* the kernel tidies up in between */

extern char **environ;

static struct command {
	char *word[WORDS];
	char **after;                   /* behind ";;", or NULL */
	int failed;
} commands[COMMANDS];
static int serial, said;

static long long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static int spawn(char **word, struct rusage *usage)
{
	posix_spawn_file_actions_t io;
	char *argv[WORDS], numbered[512];
	int status = -1, n = 0;
	pid_t pid;

	for (; word[n]; n++) {
		char *hole = strstr(word[n], "{n}");

		argv[n] = word[n];
		if (!hole)
			continue;
		snprintf(numbered, sizeof(numbered), "%.*s%d%s", (int)(hole - word[n]), word[n], serial++,
			 hole + 3);
		argv[n] = numbered;
	}
	argv[n] = NULL;
	posix_spawn_file_actions_init(&io);
	posix_spawn_file_actions_addopen(&io, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&io, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&io, said, 2);
	if (posix_spawn(&pid, argv[0], &io, NULL, argv, environ) == 0)
		wait4(pid, &status, 0, usage);
	posix_spawn_file_actions_destroy(&io);
	return status;
}

static void tell_failure(int index, int status)
{
	char text[200];
	ssize_t n = pread(said, text, sizeof(text) - 1, 0);

	text[n < 0 ? 0 : n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	printf("%d - %s (wait status %#x)\n", index, text, (unsigned)status);
}

static void run(int index, int counts)
{
	struct command *c = &commands[index];
	struct rusage usage, ignored;
	long long began;
	int status;

	if (ftruncate(said, 0) < 0 || lseek(said, 0, SEEK_SET) < 0)
		exit(1);
	usleep(PAUSE_US);
	began = now_us();
	status = spawn(c->word, &usage);
	began = now_us() - began;
	if (status != 0)
		tell_failure(index, status);
	else if (counts)
		printf("%d %lld %lld\n", index, began,
		       (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL +
		       usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
	c->failed = status != 0;
	if (c->after)
		spawn(c->after, &ignored);
}

static int read_commands(void)
{
	static char text[COMMANDS][8192];
	int n = 0;

	while (n < COMMANDS && fgets(text[n], sizeof(text[n]), stdin)) {
		struct command *c = &commands[n];
		char *rest = text[n], *word;

		rest[strcspn(rest, "\n")] = '\0';
		for (int i = 0; i < WORDS - 1 && (word = strsep(&rest, " ")) != NULL;) {
			if (strcmp(word, ";;") == 0) {
				c->word[i++] = NULL;
				c->after = &c->word[i];
			} else if (*word) {
				c->word[i++] = word;
			}
		}
		n++;
	}
	return n;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 20, n = read_commands();

	said = memfd_create("stderr", MFD_CLOEXEC);
	for (int round = -WARM; round < rounds; round++)
		for (int i = 0; i < n; i++) {
			int index = (round + WARM + i) % n;

			if (!commands[index].failed)
				run(index, round >= 0);
		}
	return 0;
}
