/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "feat.h"
#include "guard.h"
#include "path.h"
#include "sampan.h"
#include "sys.h"

#define SELF "/proc/self/exe"
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static bool on_readonly_mount(void)
{
	struct statvfs fs;

	/* access(2) asks the mount as well, and adds up no free blocks. */
	if (access(SELF, W_OK) == 0)
		return false;
	return errno == EROFS || (statvfs(SELF, &fs) == 0 && (fs.f_flag & ST_RDONLY));
}

static bool is_sealed(int self)
{
	int seals = sys_fcntl(self, F_GET_SEALS, 0);

	return seals >= 0 && (seals & F_SEAL_WRITE);
}

static int readonly_clone(void)
{
	/* Unbindable: no recursive bind of the host's takes it along into a container. */
	struct sys_mount_attr ro = { .attr_set = SYS_ATTR_RDONLY, .propagation = MS_UNBINDABLE };
	CLEAN_FD int tree = -1;

	if (!feat_on(FEAT_OPEN_TREE) || !feat_on(FEAT_MOUNT_SETATTR))
		return -1;
	tree = sys_open_tree(AT_FDCWD, SELF, SYS_OPEN_TREE_CLONE | O_CLOEXEC);
	if (tree < 0 || sys_mount_setattr(tree, AT_EMPTY_PATH, &ro) < 0)
		return -1;
	return take_fd(&tree);
}

/* ---- the same program from elsewhere, without an exec ------------------------------ */

#if UINTPTR_MAX > UINT32_MAX
typedef Elf64_Ehdr elf_t;
typedef Elf64_Phdr part_t;
#else
typedef Elf32_Ehdr elf_t;
typedef Elf32_Phdr part_t;
#endif

extern const elf_t __ehdr_start __attribute__((visibility("hidden")));          /* the linker's */

/* Variables that begin with a value: pages of their own instead of the file's, as they are now. */
static bool keep_pages(void *start, size_t size)
{
	void *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (copy == MAP_FAILED)
		return false;
	memcpy(copy, start, size);
	return syscall(SYS_mremap, copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, start) != -1;
}

static bool map_part(const part_t *part, int file)
{
	size_t page = getauxval(AT_PAGESZ), in_page = part->p_vaddr & (page - 1);
	size_t size = (in_page + part->p_filesz + page - 1) & ~(page - 1);
	int prot = PROT_READ | (part->p_flags & PF_X ? PROT_EXEC : 0);
	void *start = (void *)(part->p_vaddr - in_page);

	if (part->p_flags & PF_W)
		return keep_pages(start, size);
	return mmap(start, size, prot, MAP_PRIVATE | MAP_FIXED, file, (off_t)(part->p_offset - in_page)) != MAP_FAILED;
}

/* Behind the last of the words, which lie one behind the other. */
static uintptr_t end_of(char **words, uintptr_t end)
{
	for (; *words; words++)
		end = (uintptr_t)*words + strlen(*words) + 1;
	return end;
}

/* What the kernel shall note again, as it noted it at exec; `program` is filled for the parts. */
static void note_words(struct prctl_mm_map *program, char **argv)
{
	program->start_stack = (uintptr_t)(argv - 1);           /* the count lies before */
	program->arg_start = (uintptr_t)argv[0];
	program->arg_end = program->env_start = end_of(argv, program->arg_start);
	program->env_end = end_of(environ, program->env_start);
}

static void note_part(struct prctl_mm_map *program, const part_t *part)
{
	uintptr_t start = part->p_vaddr, end = start + part->p_filesz;

	if (part->p_flags & PF_X) {
		program->start_code = start;
		program->end_code = end;
	} else if (part->p_flags & PF_W) {
		program->start_data = start;
		program->end_data = end;
		program->start_brk = program->brk = start + part->p_memsz;      /* nothing here has a heap */
	}
}

/*
 * Once nothing of a process's program is mapped any more, another may be named for it
 * (PR_SET_MM(2const)). So the same bytes are mapped from `file` in the place of those that
 * run: /proc/PID/exe and map_files then lead there, as after an exec, at a fraction of its
 * time. PR_SET_MM_MAP is for whoever may restore checkpoints, in a user namespace too, where
 * the kernel has that (CONFIG_CHECKPOINT_RESTORE); else it takes CAP_SYS_RESOURCE.
 */
static bool become(int file, char **argv)
{
	struct prctl_mm_map program = { .exe_fd = (uint32_t)file };
	const elf_t *elf = &__ehdr_start;
	const part_t *part = (const void *)((const char *)elf + elf->e_phoff), *end = part + elf->e_phnum;

	if (file < 0 || !feat_on(FEAT_SET_MM) || elf->e_type != ET_EXEC)
		return false;
	for (; part < end; part++) {
		if (part->p_type != PT_LOAD)
			continue;
		note_part(&program, part);
		if (part->p_filesz > 0 && !map_part(part, file))
			return false;
	}
	note_words(&program, argv);
	return syscall(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, &program, sizeof(program), 0) == 0 ||
	       prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, (unsigned long)file, 0, 0) == 0;
}

/* ---- a copy ----------------------------------------------------------------------- */

static int sealed_copy(int self)
{
	CLEAN_FD int copy = memfd_create("sampan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct stat st;
	off_t at = 0;

	if (copy < 0 || fstat(self, &st) < 0)
		return -1;
	while (at < st.st_size)
		if (sendfile(copy, self, &at, (size_t)(st.st_size - at)) <= 0)
			return -1;
	return sys_fcntl(copy, F_ADD_SEALS, SEALS) < 0 ? -1 : take_fd(&copy);
}

/* True: this already is a copy that cannot be written. Otherwise returns on failure only. */
static bool run_copy(char **argv)
{
	CLEAN_FD int self = openat(AT_FDCWD, SELF, O_RDONLY | O_CLOEXEC), copy = -1;

	if (self >= 0 && is_sealed(self))
		return true;
	copy = self < 0 ? -1 : sealed_copy(self);
	if (copy >= 0)
		sys_execveat(copy, argv, environ);
	return false;
}

static bool held;                       /* the clone's mount, as FIRST_FD */

void guard_done(void)
{
	if (held)
		close(FIRST_FD);
	held = false;
}

void guard_done_with(int fd)
{
	if (held && fd == FIRST_FD + 1 && feat_on(FEAT_CLOSE_RANGE) &&
	    sys_close_range(FIRST_FD, FIRST_FD + 1, 0) == 0) {
		held = false;
		return;
	}
	guard_done();
	close(fd);
}

void guard_child(void)
{
	/* Onto a file that each kernel has and nobody mounts; both descriptors are then as good as closed. */
	if (held && syscall(NR_MOVE_MOUNT, FIRST_FD, "", AT_FDCWD, "/proc/execdomains", SYS_MOVE_MOUNT_F_EMPTY) < 0)
		guard_done();
}

/* The lowest number is its own, so that all above can be closed: ours of the file, too. */
static int hold(int clone)
{
	held = clone == FIRST_FD || dup3(clone, FIRST_FD, O_CLOEXEC) == FIRST_FD;
	return FIRST_FD + held;
}

/* By a link, or executed by descriptor, it has another name. */
static void name_self(void)
{
	const char *file = (const char *)getauxval(AT_EXECFN);
	const char *name = file ? strrchr(file, '/') : NULL;

	if (!name || strcmp(name, "/sampan") != 0)
		prctl(PR_SET_NAME, "sampan", 0, 0, 0);
}

/* Executes the binary again, or fails; returns when it is a sealed copy already. */
static void run_again(int clone, char **argv)
{
	if (clone >= 0)
		sys_execveat(clone, argv, environ);
	if (run_copy(argv))
		return;
	err_set("protect the runtime's own binary from the container");
	err_hint("put it on a read-only mount; a kernel since 3.17 needs no such help");
	fail();
}

int guard_self(char **argv)
{
	int first = FIRST_FD;

	if (!on_readonly_mount()) {
		int clone = readonly_clone();

		if (clone >= 0 && become(open_path(O_RDONLY, "/proc/self/fd/%d", clone), argv))
			first = hold(clone);
		else
			run_again(clone, argv);
	}
	name_self();
	return first;
}
