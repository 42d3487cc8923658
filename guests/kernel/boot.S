/*
 * The two ways in.
 *
 * entry64 (e_entry): our own loader enters here in 64-bit mode, low 4 GB
 * mapped one to one, EAX = 0x2BADB002, EBX = multiboot 1 information.
 *
 * entry32: a multiboot 1 loader (QEMU's -kernel) enters here in protected
 * mode. The stub turns on long mode and joins entry64 with the same registers.
 */
#include "multiboot_header.h"

entry32:
	cli
	cld
	/* One PML4, one PDPT, four page directories of 2 MB pages. */
	movl	$(boot_pdpt + 3), boot_pml4
	movl	$boot_pdpt, %edi
	movl	$(boot_directories + 3), %eax
	movl	$4, %ecx
1:	movl	%eax, (%edi)
	addl	$4096, %eax
	addl	$8, %edi
	decl	%ecx
	jnz	1b
	movl	$boot_directories, %edi
	movl	$0x83, %eax
	movl	$2048, %ecx
2:	movl	%eax, (%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	decl	%ecx
	jnz	2b

	movl	$0x20, %eax		/* CR4.PAE */
	movl	%eax, %cr4
	movl	$boot_pml4, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	/* IA32_EFER.LME */
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	$0x80010011, %eax	/* CR0.PG, WP, ET, PE */
	movl	%eax, %cr0
	lgdt	boot_gdtr
	ljmp	$8, $3f
	.code64
3:	movl	$MULTIBOOT_LOADER_MAGIC, %eax
	jmp	entry64

	.align 8
boot_gdt:
	.quad	0, 0x00af9b000000ffff
boot_gdtr:
	.word	15
	.long	boot_gdt

	.text
	.global	entry64
entry64:
	cli
	cld
	leaq	kernel_stack_top(%rip), %rsp
	xorl	%ebp, %ebp
	xorl	%edi, %edi
	cmpl	$MULTIBOOT_LOADER_MAGIC, %eax
	cmovel	%ebx, %edi
	call	kernel_main
1:	cli
	hlt
	jmp	1b

	.bss
	.align	4096
boot_pml4:
	.skip	4096
boot_pdpt:
	.skip	4096
boot_directories:
	.skip	4 * 4096
	.skip	32768
kernel_stack_top:
