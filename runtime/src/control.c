/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "control.h"
#include "sampan.h"

enum { QUEUE = 6 };                     /* of clients that have not been accepted yet */

static int socket_name(struct sockaddr_un *a, const char *name)
{
	const char *run = getenv("SAMPAN_RUN");

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if ((size_t)snprintf(a->sun_path, sizeof(a->sun_path), "%s/%s/socket",
			     run && *run ? run : RUN_DEFAULT, name) >= sizeof(a->sun_path))
		return err_plain("the path of the control socket is too long");
	return 0;
}

int control_listen(const char *name)
{
	CLEAN_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un a;

	if (socket_name(&a, name) < 0)
		return -1;
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, QUEUE) < 0)
		return err_set("listen on %s", a.sun_path);
	return take_fd(&fd);
}

int control_connect(const char *name)
{
	CLEAN_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a;

	if (fd < 0 || socket_name(&a, name) < 0 ||
	    connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -1;
	return take_fd(&fd);
}

int control_ask(int fd, const char *request)
{
	char answer[256];
	size_t used = 0;

	if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
		return err_set("ask the supervisor");
	while (used < sizeof(answer) - 1 && !memchr(answer, '\n', used)) {
		ssize_t n = recv(fd, answer + used, sizeof(answer) - 1 - used, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_plain("the supervisor does not answer");
		used += (size_t)n;
	}
	answer[used] = '\0';
	answer[strcspn(answer, "\n")] = '\0';
	if (strncmp(answer, "ok", 2) == 0)
		return 0;
	return err_plain("%s", strncmp(answer, "error ", 6) == 0 ? answer + 6 : answer);
}

int control_wait_end(int fd, int milliseconds)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;

	if (poll(&p, 1, milliseconds) <= 0)
		return 0;
	return recv(fd, &byte, 1, 0) <= 0;
}
