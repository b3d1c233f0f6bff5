/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "events.h"
#include "hotplug.h"
#include "json.h"
#include "match.h"
#include "sampan.h"

enum { KERNELS = 8 };                   /* priorities below are the kernel's own messages */

void events_open(struct pollfd *p)
{
	p[0] = (struct pollfd){ .fd = hotplug_open(), .events = POLLIN };
	if (p[0].fd < 0)
		fail();
	p[1] = (struct pollfd){ .fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC), .events = POLLIN };
	if (p[1].fd < 0) {
		err_set("open /dev/kmsg");
		fail();
	}
	lseek(p[1].fd, 0, SEEK_END);
}

/* ---- devices ------------------------------------------------------------------------ */

static const char *field(const char *text, size_t n, const char *key)
{
	for (const char *p = text; p < text + n; p += strlen(p) + 1)
		if (strncmp(p, key, strlen(key)) == 0)
			return p + strlen(key);
	return NULL;
}

/* An event of the kernel; what udev sends on is the same once more, and begins with its name. */
static void print_device(const char *text, size_t n, bool json)
{
	const char *node = field(text, n, "DEVNAME="), *net = field(text, n, "INTERFACE=");
	const char *action = field(text, n, "ACTION="), *kind = field(text, n, "SUBSYSTEM=");
	const char *major = field(text, n, "MAJOR="), *minor = field(text, n, "MINOR=");
	const char *name = node ? node : net;
	bool numbered = node && major && minor;
	char type;

	if (!name || !kind || !action || (strcmp(action, "add") != 0 && strcmp(action, "remove") != 0))
		return;
	type = strcmp(kind, "block") == 0 ? 'b' : 'c';
	if (!json) {
		printf("device '%s' [%s", name, kind);
		if (numbered)
			printf(" %c %s:%s", type, major, minor);
		printf("] %s\n", *action == 'a' ? "added" : "removed");
		return;
	}
	printf("{\"device\": ");
	json_string(name);
	printf(", \"event\": \"%s\", \"subsystem\": ", action);
	json_string(kind);
	if (numbered)
		printf(", \"type\": \"%c\", \"major\": %d, \"minor\": %d", type, atoi(major), atoi(minor));
	puts("}");
}

static void take_devices(int fd, bool json)
{
	char text[4096];
	ssize_t n;

	while ((n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT)) >= 0 || errno == ENOBUFS || errno == EINTR) {
		text[n < 0 ? 0 : n] = '\0';
		if (n > 0 && strcmp(text, "libudev") != 0)
			print_device(text, (size_t)n, json);
	}
}

/* ---- memory ------------------------------------------------------------------------- */

/* Whose cgroup a report of the kernel names: of Linux 4.19 and later, and of older ones. */
static void take_owner(const char *text, char *owner, size_t size)
{
	const char *path = strstr(text, "task_memcg="), *at;

	if (!path)
		path = strstr(text, "Task in ");
	at = path ? strstr(path, "/sampan/") : NULL;
	if (at && strcspn(path, ", ") > (size_t)(at - path))
		snprintf(owner, size, "%.*s", (int)strcspn(at + 8, "/, \n"), at + 8);
	else if (path)
		*owner = '\0';
}

static void print_kill(const char *text, const char *owner, bool json)
{
	const char *program = strchr(text, '('), *end = program ? strstr(program, ") ") : NULL;
	char name[64] = "";

	if (end)
		snprintf(name, sizeof(name), "%.*s", (int)(end - program - 1), program + 1);
	if (!json) {
		printf("%s%s%sout of memory: killed '%s' [%d]\n", *owner ? "'" : "", owner, *owner ? "' " : "",
		       name, atoi(text));
		return;
	}
	printf("{\"name\": ");
	json_string(*owner ? owner : NULL);
	printf(", \"event\": \"oom\", \"pid\": %d, \"program\": ", atoi(text));
	json_string(name);
	puts("}");
}

static void take_messages(int fd, const char *wanted, bool json)
{
	static const char killed[] = "Killed process ";
	static char owner[256];
	char text[8192];
	const char *at;
	ssize_t n;

	while ((n = read(fd, text, sizeof(text) - 1)) > 0 || (n < 0 && (errno == EPIPE || errno == EINTR))) {
		text[n < 0 ? 0 : n] = '\0';
		if (n <= 0 || atoi(text) >= KERNELS)
			continue;
		take_owner(text, owner, sizeof(owner));
		at = strstr(text, killed);
		if (at && match(wanted, owner))
			print_kill(at + strlen(killed), owner, json);
		if (at)
			*owner = '\0';
	}
}

void events_print(const struct pollfd *p, const char *name, bool json)
{
	if (p[0].revents)
		take_devices(p[0].fd, json);
	if (p[1].revents)
		take_messages(p[1].fd, name, json);
}
