/* SPDX-License-Identifier: MIT */
/*
 * inject REPORT list -- COMMAND...               every system call of the runtime's processes
 * inject REPORT fail PROC SEQ ERRNO -- ...       the SEQth call of process PROC fails
 * inject REPORT kill PROC SEQ VICTIM -- ...      process VICTIM is killed as PROC comes to it
 * inject REPORT delay PROC NUMBER MS -- ...      NUMBER waits, in PROC and in all later ones
 *
 * PROC counts the processes as they are born, SEQ the calls of one. A program that another
 * process than the first executes is the payload: it runs on untraced. Exits as COMMAND does.
 * REPORT gets lines "PROC SEQ NUMBER ARGUMENT PAYLOAD": of the call, its first argument, and whether
 * the payload ran then.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/reg.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef __x86_64__
#error "x86-64 alone"
#endif

enum { TASKS_MAX = 4096 };

static struct task {
	pid_t pid;                      /* 0: has ended */
	unsigned long seq;
	bool fails, counts;
	int64_t resume;                 /* ms of the clock when a delayed one goes on, or 0 */
} task[TASKS_MAX];
static unsigned ntasks, ndelayed;
static bool payload;

static enum { LIST, FAIL, KILL, DELAY } mode;
static unsigned long want_proc, want_seq, want_value;
static FILE *report;

static void bail(const char *what)
{
	fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
	exit(99);
}

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct task *find(pid_t pid)
{
	for (unsigned i = 0; i < ntasks; i++)
		if (task[i].pid == pid)
			return &task[i];
	if (ntasks == TASKS_MAX)
		bail("too many processes");
	task[ntasks] = (struct task){ .pid = pid, .counts = ntasks > 0 };
	return &task[ntasks++];
}

static void note(const struct task *t, const struct __ptrace_syscall_info *info)
{
	fprintf(report, "%d %lu %lu %lu %d\n", (int)(t - task), t->seq, (unsigned long)info->entry.nr,
		(unsigned long)info->entry.args[0], payload);
	fflush(report);
}

/* The call is replaced by one that there is not; its result is set at its end. */
static void replace(pid_t pid)
{
	if (ptrace(PTRACE_POKEUSER, pid, 8L * ORIG_RAX, -1L) < 0)
		bail("replace a call");
}

static void set_result(pid_t pid, long result)
{
	if (ptrace(PTRACE_POKEUSER, pid, 8L * RAX, result) < 0)
		bail("set a result");
}

/* False when it shall not go on yet. */
static bool enter(struct task *t, const struct __ptrace_syscall_info *info)
{
	uint64_t number = info->entry.nr;
	unsigned long proc = (unsigned long)(t - task);

	t->seq++;
	if (mode == LIST)
		note(t, info);
	if (mode == DELAY && proc >= want_proc && number == want_seq) {
		note(t, info);
		t->resume = now() + (int64_t)want_value;
		ndelayed++;
		return false;
	}
	if (proc != want_proc || t->seq != want_seq || (mode != FAIL && mode != KILL))
		return true;
	note(t, info);
	if (mode == FAIL && number != SYS_wait4 && number != SYS_rt_sigprocmask) {      /* which cannot */
		if (number != SYS_close)        /* which closes, whatever it says */
			replace(t->pid);
		t->fails = true;
	} else if (mode == KILL && want_value < ntasks && task[want_value].pid > 0) {
		kill(task[want_value].pid, SIGKILL);
	}
	return true;
}

static bool at_call(struct task *t)
{
	struct __ptrace_syscall_info info;

	if (!t->counts || ptrace(PTRACE_GET_SYSCALL_INFO, t->pid, sizeof(info), &info) < 0)
		return true;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		return enter(t, &info);
	if (t->fails)
		set_result(t->pid, -(long)want_value);
	t->fails = false;
	return true;
}

static void go_on(pid_t pid, int sig)
{
	ptrace(PTRACE_SYSCALL, pid, 0, (long)sig);      /* it may be dead already */
}

/* Killed by ourselves is not ended: the others run on as without us. */
static void ended(struct task *t, int status)
{
	t->pid = 0;
	if (t == task)
		exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void stopped(struct task *t, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16;

	if (sig == (SIGTRAP | 0x80)) {
		if (at_call(t))
			go_on(t->pid, 0);
		return;
	}
	if (event == PTRACE_EVENT_EXEC && t != task) {
		payload = true;
		ptrace(PTRACE_DETACH, t->pid, 0, 0);
		t->pid = 0;
		return;
	}
	if (event == PTRACE_EVENT_EXEC)
		t->counts = true;
	if (event == PTRACE_EVENT_STOP && sig != SIGTRAP) {
		ptrace(PTRACE_LISTEN, t->pid, 0, 0);
		return;
	}
	go_on(t->pid, event ? 0 : sig);
}

static void resume_delayed(void)
{
	for (unsigned i = 0; i < ntasks; i++) {
		if (task[i].resume == 0 || task[i].resume > now())
			continue;
		task[i].resume = 0;
		ndelayed--;
		if (task[i].pid > 0)
			go_on(task[i].pid, 0);
	}
}

static void run(void)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, __WALL | (ndelayed ? WNOHANG : 0));
		struct task *t;

		if (ndelayed)
			resume_delayed();
		if (pid == 0)
			usleep(2000);
		if (pid < 0 && errno != EINTR)
			bail("wait");
		if (pid <= 0)
			continue;
		t = find(pid);
		if (WIFSTOPPED(status))
			stopped(t, status);
		else
			ended(t, status);
	}
}

static void start(char **argv)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			     PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
	int go[2];
	char byte;
	pid_t pid;

	if (pipe2(go, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		bail("fork");
	if (pid == 0) {
		close(go[1]);
		if (read(go[0], &byte, 1) != 1)
			_exit(99);
		execvp(argv[0], argv);
		bail(argv[0]);
	}
	find(pid);
	if (ptrace(PTRACE_SEIZE, pid, 0, options) < 0 || ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0 ||
	    write(go[1], "g", 1) != 1)
		bail("trace");
	close(go[0]);
	close(go[1]);
}

int main(int argc, char **argv)
{
	static const char *const modes[] = { "list", "fail", "kill", "delay" };
	int rest = 3;

	if (argc < 5)
		return 99;
	for (mode = LIST; strcmp(argv[2], modes[mode]) != 0; mode++)
		if (mode == DELAY)
			return 99;
	if (mode != LIST) {
		want_proc = strtoul(argv[3], NULL, 10);
		want_seq = strtoul(argv[4], NULL, 10);
		want_value = strtoul(argv[5], NULL, 10);
		rest = 6;
	}
	report = fopen(argv[1], "we");
	if (!report || rest + 1 >= argc || strcmp(argv[rest], "--") != 0)
		return 99;
	start(argv + rest + 1);
	run();
}
