/*
 * A boot sector that enters a multiboot 1 image which Bochs has put into
 * memory (bochs.sh): A20 on, protected mode, EAX and EBX as the specification
 * wants them. ENTRY and WORDS, the command line, come from bochs.sh.
 */
	.code16
	.global	_start
_start:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	inb	$0x92, %al
	orb	$2, %al
	outb	%al, $0x92
	lgdtl	gdtr
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$8, $1f
	.code32
1:	movw	$16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %fs
	movw	%ax, %gs
	movw	%ax, %ss
	movl	$0x2badb002, %eax
	movl	$information, %ebx
	movl	$ENTRY, %ecx
	jmp	*%ecx

	.balign	8
gdt:	.quad	0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr:	.word	23
	.long	gdt
	/* flags: memory and command line; mem_lower, mem_upper, boot_device, cmdline */
information:
	.long	5, 639, 0x1e000, 0, words
	.skip	36
words:	.asciz	WORDS
	.org	510
	.word	0xaa55
