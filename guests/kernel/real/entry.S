/*
 * The real-mode kernel's beginning, where its traps arrive, and how a check
 * comes back from one.
 */
#include "layout.h"

	.section .head, "awx"
	.code16
	.global	command_line
command_line:
	.skip	COMMAND_LINE_BYTES
	/* Still in protected mode: segments as real mode has them, then PE=0 (SDM vol. 3, 9.9.2). */
	movw	$REAL_DS16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %fs
	movw	%ax, %gs
	movw	%ax, %ss
	movl	%cr0, %eax
	andl	$0x7ffffffe, %eax
	movl	%eax, %cr0
	ljmpw	$REAL_SEGMENT, $1f
1:	movw	%cs, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %fs
	movw	%ax, %gs
	movw	%ax, %ss
	movl	$STACK_TOP, %esp
	calll	kernel_main
2:	cli
	hlt
	jmp	2b

	.text
	.code16
	.global	trap_stubs
	.align	16
trap_stubs:
	.set	vector, 0
	.rept	256
	.align	8
	pushw	$vector
	jmp	common_trap
	.set	vector, vector + 1
	.endr

/* Fills trap_frame (traps.h), whatever the segment registers are, and goes to a stack of its own. */
common_trap:
	movl	%eax, %cs:trap_frame
	movl	%ecx, %cs:trap_frame+4
	movl	%edx, %cs:trap_frame+8
	movl	%ebx, %cs:trap_frame+12
	movl	%ebp, %cs:trap_frame+20
	movl	%esi, %cs:trap_frame+24
	movl	%edi, %cs:trap_frame+28
	movw	%ds, %cs:trap_frame+32
	movw	%es, %cs:trap_frame+34
	movw	%fs, %cs:trap_frame+36
	movw	%gs, %cs:trap_frame+38
	movw	%ss, %cs:trap_frame+40
	popw	%cs:trap_frame+42
	movl	%esp, %cs:trap_frame+16
	movw	%sp, %bp
	movw	(%bp), %ax
	movw	%ax, %cs:trap_frame+44
	movw	2(%bp), %ax
	movw	%ax, %cs:trap_frame+46
	movw	4(%bp), %ax
	movw	%ax, %cs:trap_frame+48
	call	own_segments
	movl	$trap_stack_top, %esp
	cld
	calll	trap_arrived
	/* Back to where the trap came from. */
	movw	trap_frame+40, %ss
	movl	trap_frame+16, %esp
	movw	%sp, %bp
	movw	trap_frame+48, %ax
	movw	%ax, 4(%bp)
	movl	trap_frame, %eax
	movl	trap_frame+4, %ecx
	movl	trap_frame+8, %edx
	movl	trap_frame+12, %ebx
	movl	trap_frame+20, %ebp
	movl	trap_frame+24, %esi
	movl	trap_frame+28, %edi
	movw	trap_frame+34, %es
	movw	trap_frame+36, %fs
	movw	trap_frame+38, %gs
	movw	trap_frame+32, %ds
	iretw

/* All data segments are this kernel's; SS is set last, with the caller's SP good for both. */
own_segments:
	popw	%bp
	movw	%cs, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %fs
	movw	%ax, %gs
	movw	%ax, %ss
	jmp	*%bp

/*
 * unsigned long probe_enter(routine, a, b, c): call the routine with EAX, EDX
 * and ECX. It may spoil every register but SS:ESP.
 */
	.global	probe_enter, probe_recover, trap_recover
probe_enter:
	pushl	%ebx
	pushl	%esi
	pushl	%edi
	pushl	%ebp
	movl	%esp, probe_stack
	movl	24(%esp), %eax
	movl	28(%esp), %edx
	movl	32(%esp), %ecx
	calll	*20(%esp)
	cld
	movw	%cs, %cx
	movw	%cx, %ds
	movw	%cx, %es
	movw	%cx, %fs
	movw	%cx, %gs
probe_recover:
	movl	$0, probe_stack
	popl	%ebp
	popl	%edi
	popl	%esi
	popl	%ebx
	retl

trap_recover:
	movl	probe_stack, %esp
	pushl	$2
	popfl
	jmp	probe_recover

	.bss
	.align	16
	.skip	2048
trap_stack_top:
