/*
 * The way into the 32-bit kernel, for a multiboot 1 loader (v86's, QEMU's
 * -kernel): protected mode with flat segments, EBX = multiboot 1 information.
 * The stub maps all 4 GB one to one in pages of 4 MB, because the 64-bit kernel
 * runs its workloads under paging, too. There is no GDT and no IDT of our own:
 * segments stay as they are, interrupts off, and a trap would be a reset.
 */
#include "../multiboot_header.h"

	.global	entry32
entry32:
	cli
	cld
	xorl	%edx, %edx
	cmpl	$MULTIBOOT_LOADER_MAGIC, %eax
	cmovel	%ebx, %edx

	movl	$boot_directory, %edi
	movl	$0x83, %eax		/* PS, W, P */
1:	movl	%eax, (%edi)
	addl	$4, %edi
	addl	$0x400000, %eax
	jnc	1b
	movl	$0x10, %eax		/* CR4.PSE */
	movl	%eax, %cr4
	movl	$boot_directory, %eax
	movl	%eax, %cr3
	movl	$0x80010011, %eax	/* CR0.PG, WP, ET, PE */
	movl	%eax, %cr0

	movl	$kernel_stack_top, %esp
	xorl	%ebp, %ebp
	subl	$12, %esp		/* the call finds the stack aligned to 16 */
	pushl	%edx
	call	kernel_main
1:	cli
	hlt
	jmp	1b

	.bss
	.align	4096
boot_directory:
	.skip	4096
	.skip	32768
kernel_stack_top:
