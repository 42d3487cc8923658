/*
 * The way in, for a multiboot 1 loader, which starts kernels in protected mode:
 * the stub puts the real-mode kernel into its segment below 1 MB and leaves
 * through a 16-bit code segment. Paging is off.
 */
#include "layout.h"
#include "../multiboot_header.h"

	.global	entry32
entry32:
	cli
	cld
	/* The command line first: it may lie where the kernel goes. */
	cmpl	$MULTIBOOT_LOADER_MAGIC, %eax
	jne	2f
	testl	$4, (%ebx)
	jz	2f
	movl	16(%ebx), %esi
	movl	$words, %edi
	movl	$(COMMAND_LINE_BYTES - 1), %ecx
1:	lodsb
	testb	%al, %al
	jz	2f
	stosb
	loop	1b
2:	movl	$REAL_BASE, %edi
	xorl	%eax, %eax
	movl	$0x4000, %ecx
	rep stosl
	movl	$real_image, %esi
	movl	$REAL_BASE, %edi
	movl	$(real_image_end - real_image), %ecx
	rep movsb
	movl	$words, %esi
	movl	$REAL_BASE, %edi
	movl	$(COMMAND_LINE_BYTES / 4), %ecx
	rep movsl
	lgdt	stub_gdtr
	ljmp	$REAL_CS16, $COMMAND_LINE_BYTES

	.align 8
stub_gdt:
	.quad	0, 0, 0, 0x00009b010000ffff, 0x000093010000ffff
stub_gdtr:
	.word	39
	.long	stub_gdt
real_image:
	.incbin	"real.bin"
real_image_end:

	.bss
words:
	.skip	COMMAND_LINE_BYTES
