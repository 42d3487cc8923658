/*
 * Where traps arrive, and how a check comes back from one. 256 stubs push a
 * zero where the CPU pushes no error code, then the vector; common_trap makes
 * the rest of struct trap_frame (traps.h).
 */
#include "layout.h"

	.text
	.global	trap_stubs
	.align	16
trap_stubs:
	.set	vector, 0
	.rept	256
	.align	16
	.if	!(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
	pushl	$0
	.endif
	pushl	$vector
	jmp	common_trap
	.set	vector, vector + 1
	.endr

common_trap:
	cld
	pushal
	pushl	%ds
	pushl	%es
	pushl	%fs
	pushl	%gs
	movl	$KERNEL_DS, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%esp, %ebx
	andl	$-16, %esp
	subl	$12, %esp
	pushl	%ebx
	call	trap_arrived
	movl	%ebx, %esp
	popl	%gs
	popl	%fs
	popl	%es
	popl	%ds
	popal
	addl	$8, %esp
	iret

/*
 * unsigned long probe_enter(routine, a, b, c): call the routine with EAX, EDX
 * and ECX. The routine may spoil every register but ESP, and every segment
 * register that it still can return with. A trap that it
 * provokes ends at trap_recover.
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
	call	*20(%esp)
	cld
	call	flat_segments
probe_recover:
	movl	$0, probe_stack
	popl	%ebp
	popl	%edi
	popl	%esi
	popl	%ebx
	ret

trap_recover:
	call	flat_segments
	movl	probe_stack, %esp
	pushl	$2
	popfl
	jmp	probe_recover

flat_segments:
	movl	$KERNEL_DS, %ecx
	movl	%ecx, %ds
	movl	%ecx, %es
	movl	%ecx, %fs
	movl	%ecx, %gs
	movl	%ecx, %ss
	ret

/* Into an outer ring or virtual-8086 mode with the registers from start. */
	.global	enter_start
enter_start:
	movl	$start, %esp
	popl	%ds
	popl	%es
	popl	%fs
	popl	%gs
	popal
	iret

	.section .note.GNU-stack, "", @progbits
