/* SPDX-License-Identifier: MIT */
/*
 * In the place of libc's syscall() on the 64-bit architectures, where it takes the arguments
 * out of a va_list by ten times the code: here each moves to the register before its own.
 */
#include <errno.h>
#include <unistd.h>

long syscall_failed(long result);

__attribute__((used)) long syscall_failed(long result)
{
	errno = (int)-result;
	return -1;
}

#if defined(__x86_64__)
__asm__(".text\n"
	".globl syscall\n"
	".type syscall, @function\n"
	"syscall:\n"
	"	movq %rdi, %rax\n"
	"	movq %rsi, %rdi\n"
	"	movq %rdx, %rsi\n"
	"	movq %rcx, %rdx\n"
	"	movq %r8, %r10\n"
	"	movq %r9, %r8\n"
	"	movq 8(%rsp), %r9\n"
	"	syscall\n"
	"	movq %rax, %rdi\n"
	"	cmpq $-4095, %rax\n"
	"	jae syscall_failed\n"
	"	ret\n");
#elif defined(__aarch64__)
__asm__(".text\n"
	".globl syscall\n"
	".type syscall, %function\n"
	"syscall:\n"
	"	mov x8, x0\n"
	"	mov x0, x1\n"
	"	mov x1, x2\n"
	"	mov x2, x3\n"
	"	mov x3, x4\n"
	"	mov x4, x5\n"
	"	mov x5, x6\n"
	"	svc 0\n"
	"	cmn x0, 4095\n"
	"	b.hs syscall_failed\n"
	"	ret\n");
#endif
