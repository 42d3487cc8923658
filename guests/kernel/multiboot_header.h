/*
 * The multiboot 1 header, for boot.S of each kernel. It carries the address fields
 * (flag bit 16), which a loader needs for a file that is not ELF32 or not to be
 * loaded as that. Follow it with entry32.
 */
#define MULTIBOOT_HEADER_MAGIC 0x1BADB002
#define MULTIBOOT_LOADER_MAGIC 0x2BADB002
#define MULTIBOOT_FLAGS 0x00010003

	.section .boot, "awx"
	.code32
	.align 8
multiboot_header:
	.long MULTIBOOT_HEADER_MAGIC, MULTIBOOT_FLAGS
	.long -(MULTIBOOT_HEADER_MAGIC + MULTIBOOT_FLAGS)
	.long multiboot_header, image_begin, image_data_end, image_end, entry32

