/*
 * Where traps arrive, and how a check comes back from one. 256 stubs push a
 * zero where the CPU pushes no error code, then the vector; common_trap makes
 * the rest of struct trap_frame (traps.h).
 */
#include "selectors.h"

	.text
	.global	trap_stubs
	.align	16
trap_stubs:
	.set	vector, 0
	.rept	256
	.align	16
	.if	!(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	pushq	$0
	.endif
	pushq	$vector
	jmp	common_trap
	.set	vector, vector + 1
	.endr

common_trap:
	cld
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rbx
	pushq	%rbp
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, %rdi
	call	trap_arrived
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rbp
	popq	%rbx
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$16, %rsp
	iretq

/*
 * uint64_t probe_enter(routine, a, b, c): call the routine with (a, b, c).
 * The routine may spoil every register but RSP. A trap that it provokes ends
 * at probe_recover, with RSP = probe_stack.
 */
	.global	probe_enter, probe_recover
probe_enter:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, probe_stack(%rip)
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	call	*%rax
	cld
probe_recover:
	movq	$0, probe_stack(%rip)
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

/* Into ring 3 with the registers from user_entry. */
	.global	enter_user_iretq, enter_user_sysretq, enter_user_sysexit, enter_user_lretq
enter_user_iretq:
	movq	user_entry+24(%rip), %rdi
	movq	user_entry+32(%rip), %rsi
	pushq	user_entry+48(%rip)
	pushq	user_entry+8(%rip)
	pushq	user_entry+16(%rip)
	pushq	user_entry+40(%rip)
	pushq	user_entry(%rip)
	iretq

enter_user_sysretq:
	movq	user_entry+24(%rip), %rdi
	movq	user_entry+32(%rip), %rsi
	movq	user_entry(%rip), %rcx
	movq	user_entry+16(%rip), %r11
	movq	user_entry+8(%rip), %rsp
	sysretq

enter_user_sysexit:
	movq	user_entry+24(%rip), %rdi
	movq	user_entry+32(%rip), %rsi
	movq	user_entry(%rip), %rdx
	movq	user_entry+8(%rip), %rcx
	rex.w sysexit

enter_user_lretq:
	movq	user_entry+24(%rip), %rdi
	movq	user_entry+32(%rip), %rsi
	pushq	$USER_SS
	pushq	user_entry+8(%rip)
	pushq	$USER_CS
	pushq	user_entry(%rip)
	lretq
