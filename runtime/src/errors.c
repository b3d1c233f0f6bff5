/* SPDX-License-Identifier: MIT */
/* In the place of libc's strerror, with its texts: here they can be packed. */
#include <stdint.h>
#include <string.h>

/* By number, as all architectures of ours count; "" where there is none. */
static const char error_texts[] =
	"No error information\0Operation not permitted\0No such file or directory\0"
	"No such process\0Interrupted system call\0I/O error\0No such device or address\0"
	"Argument list too long\0Exec format error\0Bad file descriptor\0No child process\0"
	"Resource temporarily unavailable\0Out of memory\0Permission denied\0Bad address\0"
	"Block device required\0Resource busy\0File exists\0Cross-device link\0No such device\0"
	"Not a directory\0Is a directory\0Invalid argument\0Too many open files in system\0"
	"No file descriptors available\0Not a tty\0Text file busy\0File too large\0"
	"No space left on device\0Invalid seek\0Read-only file system\0Too many links\0"
	"Broken pipe\0Domain error\0Result not representable\0Resource deadlock would occur\0"
	"Filename too long\0No locks available\0Function not implemented\0Directory not empty\0Symbolic link loop\0"
	"\0No message of desired type\0Identifier removed\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
	"Device not a stream\0No data available\0Device timeout\0Out of streams resources\0\0\0\0"
	"Link has been severed\0\0\0\0Protocol error\0Multihop attempted\0\0Bad message\0"
	"Value too large for data type\0\0File descriptor in bad state\0\0\0\0\0\0\0"
	"Illegal byte sequence\0\0\0\0Not a socket\0Destination address required\0"
	"Message too large\0Protocol wrong type for socket\0Protocol not available\0"
	"Protocol not supported\0Socket type not supported\0Not supported\0"
	"Protocol family not supported\0Address family not supported by protocol\0"
	"Address in use\0Address not available\0Network is down\0Network unreachable\0"
	"Connection reset by network\0Connection aborted\0Connection reset by peer\0"
	"No buffer space available\0Socket is connected\0Socket not connected\0"
	"Cannot send after socket shutdown\0\0Operation timed out\0Connection refused\0"
	"Host is down\0Host is unreachable\0Operation already in progress\0"
	"Operation in progress\0Stale file handle\0\0\0\0\0Remote I/O error\0Quota exceeded\0"
	"No medium found\0Wrong medium type\0Operation canceled\0Required key not available\0"
	"Key has expired\0Key has been revoked\0Key was rejected by service\0"
	"Previous owner died\0State not recoverable\0";

char *strerror(int number)
{
	const char *text = error_texts;

	for (int n = number; n > 0 && text < error_texts + sizeof(error_texts) - 1; n--)
		text += strlen(text) + 1;
	if (*text == '\0')
		text = error_texts;
	return (char *)(uintptr_t)text;
}
