/* SPDX-License-Identifier: MIT */
/*
 * driver ROUNDS SEED FILE...: runs a fuzz target over the files, then over mutations
 * of them. The same seed gives the same inputs. An input that ends it is left in
 * fuzz-crash in the current directory; `driver 0 0 fuzz-crash` repeats it.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include "fuzz.h"

#define INPUT_MAX 16384
#define FILES_MAX 64

static struct input { size_t size; uint8_t bytes[INPUT_MAX]; } files[FILES_MAX], now;
static unsigned nfiles;
static uint64_t state;

static const char *const words[] = {
	"lxc.net.0.ipv4.address = ", "10.0.3.5/24", "fd00::5/64", "xx:", "veth.",
	"lxc.", "lxc.net.0.type", "lxc.network.", ".N.", "lxc.mount.entry = ", "lxc.include = /", " = ", "=\n",
	"lxc.cgroup.devices.allow = ", "c *:* rwm", "a *:* rwm", "b 8:0 r", "4294967295", "1048576", "\\040",
	"\\000", "..", "/", "none bind", "create=dir", ",", "\r\n", "\n", "\"", "'", "#", "\t", " ", "\\", "-1",
	"lxc.cap.keep = none\n", "lxc.mount =\n", "lxc.cgroup.devices.deny =\n", "SIGRTMIN+", "lxc.hook",
	"u 0 100000 65536\n", "b ", "state\n", "tty ",
};

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "abort_on_error=1:detect_leaks=1";
}

/* xorshift64*: small, and the same everywhere. */
static size_t below(size_t n)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return n == 0 ? 0 : (size_t)((state * UINT64_C(2685821657736338717)) >> 33) % n;
}

static void insert(size_t at, const void *bytes, size_t size)
{
	if (now.size + size > INPUT_MAX)
		return;
	memmove(now.bytes + at + size, now.bytes + at, now.size - at);
	memcpy(now.bytes + at, bytes, size);
	now.size += size;
}

static void mutate(void)
{
	size_t at = below(now.size + 1), size = below(now.size - at + 1);
	const struct input *other = &files[below(nfiles)];
	const char *word = words[below(sizeof(words) / sizeof(words[0]))];
	uint8_t copy[INPUT_MAX];

	switch (below(6)) {
	case 0:
		if (at < now.size)
			now.bytes[at] = (uint8_t)below(256);
		break;
	case 1:
		if (at < now.size)
			now.bytes[at] ^= (uint8_t)(1u << below(8));
		break;
	case 2:
		memmove(now.bytes + at, now.bytes + at + size, now.size - at - size);
		now.size -= size;
		break;
	case 3:
		memcpy(copy, now.bytes + at, size);
		insert(below(now.size + 1), copy, size);
		break;
	case 4:
		size = below(other->size + 1);
		insert(at, other->bytes + below(other->size - size + 1), size);
		break;
	default:
		insert(at, word, strlen(word));
	}
}

static void keep_input(int signal_number)
{
	int fd = open("fuzz-crash", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd >= 0 && write(fd, now.bytes, now.size) == (ssize_t)now.size)
		close(fd);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static void read_file(const char *name)
{
	FILE *file = fopen(name, "re");

	PROMISE(file != NULL && nfiles < FILES_MAX);
	files[nfiles].size = fread(files[nfiles].bytes, 1, INPUT_MAX, file);
	nfiles++;
	fclose(file);
}

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 3 ? strtoul(argv[1], NULL, 10) : 0;

	PROMISE(argc > 3);
	state = strtoul(argv[2], NULL, 10) * 2 + 1;
	for (int i = 3; i < argc; i++)
		read_file(argv[i]);
	signal(SIGABRT, keep_input);
	for (unsigned long i = 0; i < rounds + nfiles; i++) {
		now = i < nfiles ? files[i] : files[below(nfiles)];
		for (size_t n = i < nfiles ? 0 : 1 + below(8); n > 0; n--)
			mutate();
		LLVMFuzzerTestOneInput(now.bytes, now.size);
	}
	printf("%lu inputs\n", rounds + nfiles);
	return 0;
}
