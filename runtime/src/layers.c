/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "layers.h"
#include "loop.h"
#include "mount.h"
#include "path.h"
#include "sys.h"

static const struct {
	uint32_t at;                    /* byte offset in the image */
	char magic[9], type[9];
} supers[] = {                          /* ext4 last: its two bytes are the weakest sign */
	{ 0, "hsqs", "squashfs" }, { 1024, "\xe2\xe1\xf5\xe0", "erofs" }, { 0x8001, "CD001", "iso9660" },
	{ 0, "\x45\x3d\xcd\x28", "cramfs" }, { 0, "XFSB", "xfs" }, { 1024, "\x10\x20\xf5\xf2", "f2fs" },
	{ 0x10040, "_BHRfS_M", "btrfs" }, { 1080, "\x53\xef", "ext4" },
};

bool layers_none(const struct conf *conf)
{
	enum root_kind kind = conf->root_kind ? conf->root_kind : conf->root_backend;
	struct stat st;

	if (kind == ROOT_PLAIN && conf->rootfs)
		return stat(conf->rootfs, &st) < 0 || S_ISDIR(st.st_mode);
	return kind <= ROOT_DIR;
}

/* ---- images ------------------------------------------------------------------- */

static const char *type_of(int image)
{
	char found[8];

	for (size_t i = 0; i < ARRAY_SIZE(supers); i++) {
		size_t n = strlen(supers[i].magic);

		if (pread(image, found, n, supers[i].at) == (ssize_t)n &&
		    memcmp(found, supers[i].magic, n) == 0)
			return supers[i].type;
	}
	return NULL;
}

static int mount_device(const char *dev, const char *type, int place, unsigned long flags,
			const char *data, const char *path)
{
	if (mnt_on(dev, place, type, flags, data) == 0)
		return 0;
	err_set("mount the %s in %s", type, path);
	if (errno == ENODEV)
		err_hint("this kernel has no file system '%s'", type);
	if (errno == EINVAL)
		err_hint("it is damaged, or compressed in a way this kernel was built without; the "
			 "kernel's log says which");
	if (errno == EROFS)
		err_hint("its journal must be replayed, but it cannot be written: lxc.rootfs.options = "
			 "ro,noload mounts it as it is");
	return -1;
}

/* An image on a medium that cannot be written, or of a kind that cannot, is mounted ro. */
static int mount_image(const char *path, int place, unsigned long flags, const char *data)
{
	struct loop loop = { .fd = -1 };
	CLEAN_FD int image = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC), writable = -1;
	const char *type = image < 0 ? NULL : type_of(image);
	struct stat st;
	int rc;

	if (image < 0 || fstat(image, &st) < 0)
		return err_set("root file system %s", path);
	if (!type) {
		err_plain("root file system %s: no file system is recognised in it", path);
		err_hint("known are squashfs, erofs, ext2/3/4, iso9660, cramfs, f2fs, xfs, btrfs");
		return -1;
	}
	if (!(flags & MS_RDONLY))
		writable = openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	if (writable < 0)
		flags |= MS_RDONLY;
	if (S_ISBLK(st.st_mode))
		return mount_device(path, type, place, flags, data, path);
	if (loop_attach(writable < 0 ? image : writable, writable < 0, &loop) < 0)
		return -1;
	rc = mount_device(loop.dev, type, place, flags, data, path);
	close(loop.fd);
	return rc;
}

/* ---- overlays ------------------------------------------------------------------- */

struct stack {
	int scratch;                    /* a tmpfs of ours, or -1 */
	char *lower[LAYERS_MAX], *upper;
	unsigned n;
	char text[CONF_LINE_MAX];
};

static int open_dir(const char *path)
{
	return openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int scratch_dir(int scratch, const char *name)
{
	int fd = mkdirat(scratch, name, 0755) < 0 ? -1 :
		 openat(scratch, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? err_set("make a folder on a tmpfs") : fd;
}

static int make_scratch(int place, const char *options)
{
	char data[CONF_LINE_MAX + 16];

	snprintf(data, sizeof(data), "mode=755%s", options);
	if (mnt_fs("none", place, "tmpfs", MS_NOSUID | MS_NODEV, data, "") < 0)
		return -1;
	return mnt_top(place);
}

/* `work` has to be on the file system of `upper`, and to belong to it alone. */
static int mount_overlay(const char *lowers, int upper, int work, int place, unsigned long flags,
			 const char *data)
{
	char text[CONF_LINE_MAX];
	CLEAN_FD int top = mnt_top(place);

	if (top < 0)
		return err_set("open the root's mount point");
	/* By descriptors: no comma or colon of a path counts, and /proc/mounts tells nothing. */
	snprintf(text, sizeof(text), "lowerdir=%s,upperdir=%s,workdir=%s%s%s", lowers,
		 fd_path(upper).s, fd_path(work).s, data ? "," : "", data ? data : "");
	if (mnt_on("overlay", top, "overlay", flags & ~(unsigned long)MS_RDONLY, text) == 0)
		return 0;
	err_set("mount the overlay");
	if (errno == ENODEV)
		err_hint("this kernel has no file system 'overlay'");
	if (errno == EINVAL)
		err_hint("the upper folder must be on ext4, f2fs, xfs, btrfs, ubifs or tmpfs, and no "
			 "overlay itself; the kernel's log says more");
	return -1;
}

static int cut(struct stack *s, const char *layers)
{
	char *at = s->text, *next;

	snprintf(s->text, sizeof(s->text), "%s", layers);
	for (; (next = strchr(at, ':')) != NULL && s->n < LAYERS_MAX; at = next) {
		*next++ = '\0';
		s->lower[s->n++] = at;
	}
	s->upper = at;
	if (s->n > 0 && !strchr(at, ':'))
		return 0;
	return err_plain("lxc.rootfs.path: %s is no LOWER:UPPER", layers);
}

/* A folder, or an image that is mounted on the scratch. */
static int open_lower(struct stack *s, int place, unsigned i)
{
	int fd = open_dir(s->lower[i]);
	CLEAN_FD int under = -1;
	char name[2] = { (char)('0' + i), '\0' };

	if (fd >= 0 || errno != ENOTDIR)
		return fd < 0 ? err_set("root file system %s", s->lower[i]) : fd;
	if (s->scratch < 0)
		s->scratch = make_scratch(place, ",size=64k");
	under = s->scratch < 0 ? -1 : scratch_dir(s->scratch, name);
	if (under < 0 || mount_image(s->lower[i], under, MS_RDONLY, NULL) < 0)
		return -1;
	fd = openat(s->scratch, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_set("root file system %s", s->lower[i]) : fd;
}

static int open_uppers(struct stack *s, int *upper, int *work)
{
	char path[CONF_LINE_MAX + 8];

	if (root_upper_tmpfs(s->upper)) {
		*upper = scratch_dir(s->scratch, "upper");
		*work = scratch_dir(s->scratch, "work");
		return *upper < 0 || *work < 0 ? -1 : 0;
	}
	snprintf(path, sizeof(path), "%s.work", s->upper);
	if ((mkdir(s->upper, 0755) < 0 && errno != EEXIST) || (*upper = open_dir(s->upper)) < 0)
		return err_set("upper folder %s", s->upper);
	if ((mkdir(path, 0700) < 0 && errno != EEXIST) || (*work = open_dir(path)) < 0)
		return err_set("work folder %s", path);
	return 0;
}

static int overlay(const struct conf *conf, int place)
{
	CLEAN_FD int scratch = -1, upper = -1, work = -1;
	struct stack s = { .scratch = -1 };
	char lowers[LAYERS_MAX * 24] = "";
	int fds[LAYERS_MAX], rc = -1;
	unsigned n = 0;

	if (cut(&s, conf->rootfs) < 0)
		return -1;
	if (root_upper_tmpfs(s.upper) && (s.scratch = make_scratch(place, s.upper + 5)) < 0)
		return -1;
	while (n < s.n && (fds[n] = open_lower(&s, place, n)) >= 0) {
		strcat(strcat(lowers, n ? ":" : ""), fd_path(fds[n]).s);
		n++;
	}
	scratch = s.scratch;
	if (n == s.n && open_uppers(&s, &upper, &work) == 0)
		rc = mount_overlay(lowers, upper, work, place, conf->rootfs_flags, conf->rootfs_data);
	while (n > 0)
		close(fds[--n]);
	return rc;
}

int layers_cover(int lower, int place)
{
	CLEAN_FD int scratch = make_scratch(place, ",size=256k"), upper = -1, work = -1;

	if (scratch < 0)
		return -1;
	upper = scratch_dir(scratch, "upper");
	work = scratch_dir(scratch, "work");
	if (upper < 0 || work < 0)
		return -1;
	return mount_overlay(fd_path(lower).s, upper, work, place, 0, NULL);
}

int layers_mount(const struct conf *conf, int place)
{
	enum root_kind kind = conf->root_kind ? conf->root_kind : conf->root_backend;

	if (kind == ROOT_OVERLAY)
		return overlay(conf, place);
	return mount_image(conf->rootfs, place, conf->rootfs_flags, conf->rootfs_data);
}
