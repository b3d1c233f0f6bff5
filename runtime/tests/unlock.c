/* SPDX-License-Identifier: MIT */
/*
 * A container's program that looks for a way to write to the runtime's binary, now or when
 * it does not run any more: by /proc/PID/exe and all of /proc/PID/map_files of PID 1, and
 * by making their mount writable again. Appends to /said a line for each way it has found,
 * and how many it has tried.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static FILE *said;
static unsigned tried;

/* What a sealed copy allows is not worth anything. */
static int sealed(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int seals = fcntl(fd, F_GET_SEALS);

	close(fd);
	return seals >= 0 && (seals & F_SEAL_WRITE);
}

static void try(const char *path)
{
	struct { uint64_t set, clear, propagation, userns; } writable = { .clear = 1 /* MOUNT_ATTR_RDONLY */ };
	int fd = open(path, O_PATH | O_CLOEXEC);
	char again[40];

	if (fd < 0)
		return;
	tried++;
	if (syscall(442 /* mount_setattr */, fd, "", 0x1000 /* AT_EMPTY_PATH */, &writable, sizeof(writable)) == 0)
		fprintf(said, "%s: its mount has been made writable\n", path);
	snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
	if (open(again, O_RDWR | O_CLOEXEC) >= 0 && !sealed(again))
		fprintf(said, "%s: can be written\n", path);
	/* As long as it runs the kernel says so first. */
	if (access(again, W_OK) == 0 && !sealed(again))
		fprintf(said, "%s: will be writable\n", path);
	close(fd);
}

int main(void)
{
	DIR *maps = opendir("/proc/1/map_files");
	struct dirent *e;
	char path[300];

	said = fopen("/said", "a");
	if (!said)
		return 1;
	try("/proc/1/exe");
	while (maps && (e = readdir(maps)) != NULL) {
		snprintf(path, sizeof(path), "/proc/1/map_files/%s", e->d_name);
		if (e->d_name[0] != '.')
			try(path);
	}
	fprintf(said, "tried %u\n", tried);
	return fclose(said) != 0;
}
