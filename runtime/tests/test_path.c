/* SPDX-License-Identifier: MIT */
/* The way into an image: openat2(2) and the walk in its place, which must come to the same. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "check.h"
#include "feat.h"
#include "path.h"

static bool walks;                      /* as on a kernel without openat2 */

bool feat_on(enum feat f)
{
	return f != FEAT_OPENAT2 || !walks;
}

bool feat_lost(enum feat f)
{
	(void)f;
	return false;
}

static const struct {
	const char *name, *to;          /* NULL: a folder; "": a file */
} things[] = {
	{ "outside", "" }, { "root", NULL }, { "root/dir", NULL }, { "root/dir/sub", NULL },
	{ "root/file", "" }, { "root/dir/file", "" }, { "root/link", "dir/sub" }, { "root/up", ".." },
	{ "root/far", "../../../../outside" }, { "root/top", "/dir" }, { "root/out", "/outside" },
	{ "root/one", "two" }, { "root/two", "one" }, { "root/dangling", "dir/none" },
	{ "root/dir/back", "../link/../file" }, { "root/dir/self", "." }, { "root/dir/long", "././././file/" },
};

static int make(void)
{
	char place[] = "/tmp/sampan-path-XXXXXX";

	CHECK(mkdtemp(place) != NULL && chdir(place) == 0);
	for (size_t i = 0; i < sizeof(things) / sizeof(things[0]); i++) {
		const char *to = things[i].to;
		int rc = to == NULL ? mkdir(things[i].name, 0755) : *to ? symlink(to, things[i].name) :
			 mknod(things[i].name, S_IFREG | 0644, 0);

		CHECK(rc == 0);
	}
	return open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void take_away(void)
{
	for (size_t i = sizeof(things) / sizeof(things[0]); i-- > 0;)
		CHECK(remove(things[i].name) == 0);
}

/* The inode it leads to, or minus errno. */
static long long inode(int root, const char *path, int flags, bool walk)
{
	struct stat st;
	int fd;

	walks = walk;
	fd = root_open(root, path, flags);
	if (fd < 0)
		return -errno;
	CHECK(fstat(fd, &st) == 0);
	close(fd);
	return (long long)st.st_ino;
}

static long long at(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? (long long)st.st_ino : 0;
}

static void known(int root, bool walk)
{
	CHECK(inode(root, "/dir/sub", O_DIRECTORY, walk) == at("root/dir/sub"));
	CHECK(inode(root, "link", 0, walk) == at("root/dir/sub"));
	CHECK(inode(root, "", 0, walk) == at("root") && inode(root, "/../..", 0, walk) == at("root"));
	CHECK(inode(root, "up/../up/file", 0, walk) == at("root/file"));
	CHECK(inode(root, "far", 0, walk) == -ENOENT && inode(root, "out", 0, walk) == -ENOENT);
	CHECK(inode(root, "top/file", 0, walk) == at("root/dir/file"));
	CHECK(inode(root, "one", 0, walk) == -ELOOP);
	CHECK(inode(root, "file", O_DIRECTORY, walk) == -ENOTDIR && inode(root, "file/x", 0, walk) == -ENOTDIR);
	CHECK(inode(root, "dir/back", 0, walk) == at("root/dir/file"));
}

static void random_paths(int root)
{
	static const char *const parts[] = { "dir", "sub", "file", "link", "up", "far", "top", "out", "one",
					     "dangling", "back", "self", "long", "..", "..", ".", "", "none" };
	unsigned state = 1;

	for (int round = 0; round < 20000; round++) {
		char path[256] = "";

		for (unsigned n = state % 7 + 1; n > 0; n--) {
			state = state * 1103515245u + 12345u;
			strcat(strcat(path, "/"), parts[(state >> 16) % (sizeof(parts) / sizeof(parts[0]))]);
		}
		for (int flags = 0; flags <= O_DIRECTORY; flags += O_DIRECTORY)
			if (inode(root, path, flags, true) != inode(root, path, flags, false))
				check_text(path, "the same both ways", __FILE__, __LINE__);
		checks++;
	}
}

/* What is missing is made inside, and nothing is made through a link that leads nowhere. */
static void making(int root, bool walk)
{
	struct stat st;
	int fd;

	walks = walk;
	fd = root_mkdirs(root, "/link/new/er");
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && (long long)st.st_ino == at("root/dir/sub/new/er"));
	close(fd);
	fd = root_mkfile(root, "top/sub/new/file");
	CHECK(fd >= 0 && access("root/dir/sub/new/file", F_OK) == 0);
	close(fd);
	CHECK(root_mkdirs(root, "far/new") < 0 && root_mkdirs(root, "new/../../x") < 0);
	CHECK(root_mkfile(root, "dangling") < 0 && access("root/dir/none", F_OK) < 0);
	CHECK(remove("root/dir/sub/new/file") == 0 && remove("root/dir/sub/new/er") == 0);
	CHECK(remove("root/dir/sub/new") == 0);
	remove("root/new");
}

int main(void)
{
	int root = make();

	for (int walk = 0; walk < 2; walk++) {
		known(root, walk);
		making(root, walk);
	}
	random_paths(root);
	close(root);
	take_away();
	return check_end();
}
