/* SPDX-License-Identifier: MIT */
/* The names a configuration uses for the kernel's numbers. */
#include <signal.h>
#include <string.h>
#include "conf_load.h"
#include "words.h"

int capability_number(const char *name)
{
	static const char names[] =     /* in the order of linux/capability.h */
		"chown\0dac_override\0dac_read_search\0fowner\0fsetid\0kill\0setgid\0setuid\0"
		"setpcap\0linux_immutable\0net_bind_service\0net_broadcast\0net_admin\0net_raw\0"
		"ipc_lock\0ipc_owner\0sys_module\0sys_rawio\0sys_chroot\0sys_ptrace\0sys_pacct\0"
		"sys_admin\0sys_boot\0sys_nice\0sys_resource\0sys_time\0sys_tty_config\0mknod\0"
		"lease\0audit_write\0audit_control\0setfcap\0mac_override\0mac_admin\0syslog\0"
		"wake_alarm\0block_suspend\0audit_read\0perfmon\0bpf\0checkpoint_restore\0";
	uint64_t number;

	if (parse_uint(name, 0, 63, &number))
		return (int)number;
	if (strncasecmp(name, "cap_", 4) == 0)
		name += 4;
	return name_index(names, name);
}

int rlimit_number(const char *name)
{
	static const char names[] =     /* in the order of asm-generic/resource.h */
		"cpu\0fsize\0data\0stack\0core\0rss\0nproc\0nofile\0memlock\0as\0locks\0sigpending\0"
		"msgqueue\0nice\0rtprio\0rttime\0";

	return name_index(names, name);
}

int log_level_number(const char *text)
{
	static const char names[] = "trace\0debug\0info\0notice\0warn\0error\0crit\0alert\0fatal\0";
	uint64_t number;

	return parse_uint(text, 0, 8, &number) ? (int)number : name_index(names, text);
}

_Static_assert(SIGHUP == 1 && SIGUSR1 == 10 && SIGCHLD == 17 && SIGIO == 29 && SIGSYS == 31, "names of signals");

/* The kernel's real-time signals, 34 to 64 as programs count them: libc keeps the first few. */
static int realtime(const char *name)
{
	uint64_t n;

	if (strcmp(name, "RTMIN") == 0)
		return SIGRTMIN;
	if (strcmp(name, "RTMAX") == 0)
		return SIGRTMAX;
	if (strncmp(name, "RTMIN+", 6) == 0 &&
	    parse_uint(name + 6, 0, (uint64_t)(SIGRTMAX - SIGRTMIN), &n))
		return SIGRTMIN + (int)n;
	if (strncmp(name, "RTMAX-", 6) == 0 &&
	    parse_uint(name + 6, 0, (uint64_t)(SIGRTMAX - SIGRTMIN), &n))
		return SIGRTMAX - (int)n;
	return -1;
}

int signal_number(const char *name)
{
	static const char names[] =     /* in the order of asm-generic/signal.h */
		"HUP\0INT\0QUIT\0ILL\0TRAP\0ABRT\0BUS\0FPE\0KILL\0USR1\0SEGV\0USR2\0PIPE\0ALRM\0TERM\0"
		"STKFLT\0CHLD\0CONT\0STOP\0TSTP\0TTIN\0TTOU\0URG\0XCPU\0XFSZ\0VTALRM\0PROF\0WINCH\0IO\0"
		"PWR\0SYS\0";
	uint64_t number;
	int index;

	if (parse_uint(name, 1, 64, &number))
		return (int)number;
	if (strncmp(name, "SIG", 3) != 0)
		return -1;
	name += 3;
	if (strcmp(name, "POLL") == 0)
		return SIGPOLL;
	index = word_index(names, name, strlen(name));
	return index < 0 ? realtime(name) : index + 1;
}

enum conf_arch arch_of(const char *name)
{
	static const char bits32[] =
		"arm\0armel\0armhf\0armv4l\0armv5l\0armv5tel\0armv6l\0armv7l\0armv7b\0armv7hl\0"
		"armv8l\0athlon\0i386\0i486\0i586\0i686\0linux32\0mips\0mipsel\0ppc\0powerpc\0"
		"riscv32\0x86\0";
	static const char bits64[] =
		"aarch64\0amd64\0arm64\0linux64\0loongarch64\0mips64\0mips64el\0ppc64\0ppc64el\0"
		"ppc64le\0riscv64\0s390x\0x86_64\0";

	if (name_index(bits32, name) >= 0)
		return ARCH_32;
	return name_index(bits64, name) >= 0 ? ARCH_64 : ARCH_UNSET;
}
