/*
 * The way in, for a multiboot 1 loader: protected mode with flat segments,
 * paging off, EBX = multiboot 1 information. Descriptor tables are
 * kernel_main's business.
 */
#include "../multiboot_header.h"

	.global	entry32
entry32:
	cli
	cld
	xorl	%edx, %edx
	cmpl	$MULTIBOOT_LOADER_MAGIC, %eax
	cmovel	%ebx, %edx
	movl	$kernel_stack_top, %esp
	xorl	%ebp, %ebp
	subl	$12, %esp		/* the call finds the stack aligned to 16 */
	pushl	%edx
	call	kernel_main
1:	cli
	hlt
	jmp	1b

	.bss
	.align	16
	.skip	32768
kernel_stack_top:
