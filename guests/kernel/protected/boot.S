/*
 * The way in, for a multiboot 1 loader: protected mode with flat segments,
 * paging off, EBX = multiboot 1 information. Descriptor tables are
 * kernel_main's business.
 */
#define MULTIBOOT_HEADER_MAGIC 0x1BADB002
#define MULTIBOOT_LOADER_MAGIC 0x2BADB002
#define MULTIBOOT_FLAGS 0x00010003

	.section .boot, "awx"
	.align 8
multiboot_header:
	.long MULTIBOOT_HEADER_MAGIC, MULTIBOOT_FLAGS
	.long -(MULTIBOOT_HEADER_MAGIC + MULTIBOOT_FLAGS)
	.long multiboot_header, image_begin, image_data_end, image_end, entry32

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
