/* SPDX-License-Identifier: MIT */
/*
 * Device policy on cgroup v2: a BPF program that the kernel asks at each open,
 * access(2) and mknod. It gives the verdict of rules_verdict() for every question,
 * and is attached also when it has no rule, since no program means no limit.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include "devpolicy.h"
#include "util.h"

#define INSNS_PER_RULE 5
#define INSNS_MAX (6 + DEVRULES_MAX * INSNS_PER_RULE + 4)

/* Kernels before 5.2 take no longer program. */
_Static_assert(INSNS_MAX <= BPF_MAXINSNS, "DEVRULES_MAX needs a longer program");

enum { VERDICT = BPF_REG_0, CONTEXT = BPF_REG_1, KIND = BPF_REG_2, ACCESS = BPF_REG_3,
       MAJOR = BPF_REG_4, MINOR = BPF_REG_5 };

struct program {
	unsigned n;
	struct bpf_insn insn[INSNS_MAX];
};

static void emit(struct program *p, int code, int dst, int src, int off, uint32_t imm)
{
	struct bpf_insn *insn = &p->insn[p->n++];

	memset(insn, 0, sizeof(*insn));
	insn->code = (__u8)code;
	insn->dst_reg = (__u8)(dst & 15);
	insn->src_reg = (__u8)(src & 15);
	insn->off = (__s16)off;
	insn->imm = (__s32)imm;
}

static void load_word(struct program *p, int dst, size_t offset)
{
	emit(p, BPF_LDX | BPF_MEM | BPF_W, dst, CONTEXT, (int)offset, 0);
}

static void answer(struct program *p, bool allow)
{
	emit(p, BPF_ALU64 | BPF_MOV | BPF_K, VERDICT, 0, 0, allow);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* Where a jump leads, until that place is known; offsets of jumps ahead are never negative. */
enum { NEXT_RULE = -1, NEXT_GROUP = -2, EXCEPTION = -3 };

static void jump(struct program *p, int test, int what, uint32_t value, int to)
{
	emit(p, BPF_JMP | test | BPF_K, what, 0, to, value);
}

/* All jumps to `place` lead here. False: there are none. */
static bool land(struct program *p, int place)
{
	bool any = false;

	for (unsigned i = 0; i < p->n; i++)
		if (p->insn[i].off == place) {
			p->insn[i].off = (__s16)(p->n - i - 1);
			any = true;
		}
	return any;
}

/* Rules of one type and major that follow each other share the tests for these. */
static void emit_group(struct program *p, const struct dev_rule *rule)
{
	land(p, NEXT_GROUP);
	jump(p, BPF_JNE, KIND, rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR, NEXT_GROUP);
	if (rule->major != DEV_ANY)
		jump(p, BPF_JNE, MAJOR, rule->major, NEXT_GROUP);
}

/*
 * A rule of an allow-list speaks when no bit lies beyond it, one of a deny-list when one
 * bit is common. False: nothing gets past it, and the verifier refuses dead code.
 */
static bool emit_rule(struct program *p, const struct dev_rule *rule, bool allow_default)
{
	uint32_t beyond = DEV_RWM & ~(uint32_t)rule->access;

	if (!allow_default && beyond == 0) {
		jump(p, rule->minor == DEV_ANY ? BPF_JA : BPF_JEQ, rule->minor == DEV_ANY ? 0 : MINOR,
		     rule->minor == DEV_ANY ? 0 : rule->minor, EXCEPTION);
		return rule->minor != DEV_ANY;
	}
	if (rule->minor != DEV_ANY)
		jump(p, BPF_JNE, MINOR, rule->minor, NEXT_RULE);
	jump(p, BPF_JSET, ACCESS, allow_default ? rule->access : beyond,
	     allow_default ? EXCEPTION : NEXT_RULE);
	if (!allow_default)
		jump(p, BPF_JA, 0, 0, EXCEPTION);
	land(p, NEXT_RULE);
	return true;
}

static void compile(struct program *p, const struct dev_rules *r)
{
	const struct dev_rule *group = NULL;

	p->n = 0;
	load_word(p, KIND, offsetof(struct bpf_cgroup_dev_ctx, access_type));
	emit(p, BPF_ALU64 | BPF_MOV | BPF_X, ACCESS, KIND, 0, 0);
	emit(p, BPF_ALU64 | BPF_RSH | BPF_K, ACCESS, 0, 0, 16);
	emit(p, BPF_ALU64 | BPF_AND | BPF_K, KIND, 0, 0, 0xffff);
	load_word(p, MAJOR, offsetof(struct bpf_cgroup_dev_ctx, major));
	load_word(p, MINOR, offsetof(struct bpf_cgroup_dev_ctx, minor));
	for (unsigned i = 0; i < r->n; i++) {
		const struct dev_rule *rule = &r->rule[i];

		if (!group || group->type != rule->type || group->major != rule->major)
			emit_group(p, rule);
		group = emit_rule(p, rule, r->allow_default) ? rule : NULL;
	}
	land(p, NEXT_GROUP);
	answer(p, r->allow_default);
	if (land(p, EXCEPTION))
		answer(p, !r->allow_default);
}

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* Integers, because the kernel's interface has 64-bit fields for pointers. */
static uint64_t address(const void *pointer)
{
	return (uint64_t)(uintptr_t)pointer;
}

static int load_once(const struct program *p)
{
	static const char license[] = "Dual MIT/GPL";
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = address(p->insn);
	attr.insn_cnt = p->n;
	attr.license = address(license);
	return bpf(BPF_PROG_LOAD, &attr);
}

static int load(const struct program *p)
{
	struct rlimit old, all = { RLIM_INFINITY, RLIM_INFINITY };
	int fd = load_once(p);

	/* Before 5.11 programs count as locked memory. The limit must not reach the payload. */
	if (fd < 0 && errno == EPERM && prlimit(0, RLIMIT_MEMLOCK, &all, &old) == 0) {
		int error;

		fd = load_once(p);
		error = errno;
		prlimit(0, RLIMIT_MEMLOCK, &old, NULL);
		errno = error;
	}
	if (fd < 0) {
		err_set("load the device program (%u instructions)", p->n);
		err_hint("needs CAP_SYS_ADMIN, CONFIG_BPF_SYSCALL=y and CONFIG_CGROUP_BPF=y (Linux 4.15)");
	}
	return fd;
}

/* Attaches `program`, in the place of `old` when that is a descriptor. */
static int link_program(int command, int cgfd, int program, int old)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)cgfd;
	attr.attach_bpf_fd = (uint32_t)program;
	attr.attach_type = BPF_CGROUP_DEVICE;
	if (command == BPF_PROG_ATTACH)         /* the ancestors' programs keep their say */
		attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (old >= 0) {
		attr.attach_flags |= BPF_F_REPLACE;
		attr.replace_bpf_fd = (uint32_t)old;
	}
	return bpf(command, &attr);
}

static int attach(int cgfd, int program, int old)
{
	if (link_program(BPF_PROG_ATTACH, cgfd, program, old) == 0)
		return 0;
	if (old >= 0 && errno == EINVAL &&      /* before Linux 5.6 */
	    link_program(BPF_PROG_ATTACH, cgfd, program, -1) == 0 &&
	    link_program(BPF_PROG_DETACH, cgfd, old, -1) == 0)
		return 0;
	err_set("attach the device program to the cgroup");
	if (errno == EPERM)
		err_hint("a cgroup above holds a program that lets none run below it");
	if (errno == EINVAL)
		err_hint("needs CONFIG_CGROUP_BPF=y and a cgroup v2 directory");
	return -1;
}

static int query(int cgfd, uint32_t *ids, unsigned n, union bpf_attr *attr)
{
	memset(attr, 0, sizeof(*attr));
	attr->query.target_fd = (uint32_t)cgfd;
	attr->query.attach_type = BPF_CGROUP_DEVICE;
	attr->query.prog_ids = address(ids);
	attr->query.prog_cnt = n;
	if (bpf(BPF_PROG_QUERY, attr) < 0)
		return err_set("ask which device programs the cgroup has");
	return 0;
}

/* One that was attached is among them: it is the only one, in the mode asked for. */
static int check(int cgfd)
{
	uint32_t ids[4] = { 0 };
	union bpf_attr attr;

	if (query(cgfd, ids, ARRAY_SIZE(ids), &attr) < 0)
		return -1;
	if (attr.query.prog_cnt != 1)
		return err_plain("the cgroup has %u device programs instead of ours alone", attr.query.prog_cnt);
	if (attr.query.attach_flags != BPF_F_ALLOW_MULTI)
		return err_plain("the device program is attached with flags %u instead of %u",
				 attr.query.attach_flags, BPF_F_ALLOW_MULTI);
	return 0;
}

int devpolicy_bpf_load(const struct dev_rules *r)
{
	static struct program program;

	compile(&program, r);
	return load(&program);
}

int devpolicy_bpf(int cgfd, int program)
{
	return attach(cgfd, program, -1) < 0 ? -1 : check(cgfd);
}

int devpolicy_bpf_change(int cgfd, const struct dev_rules *r)
{
	int old CLEAN_FD = -1, program CLEAN_FD = -1;
	uint32_t ids[4] = { 0 };
	union bpf_attr attr;

	if (query(cgfd, ids, ARRAY_SIZE(ids), &attr) < 0)
		return -1;
	if (attr.query.prog_cnt > 1)
		return err_plain("the cgroup has %u device programs instead of one", attr.query.prog_cnt);
	if (attr.query.prog_cnt == 1) {
		memset(&attr, 0, sizeof(attr));
		attr.prog_id = ids[0];
		old = bpf(BPF_PROG_GET_FD_BY_ID, &attr);
		if (old < 0)
			return err_set("open the device program in force");
	}
	program = devpolicy_bpf_load(r);
	return program < 0 || attach(cgfd, program, old) < 0 ? -1 : check(cgfd);
}
