#ifndef MULTIBOOT_H
#define MULTIBOOT_H

#include <stdint.h>

/* Multiboot 1 information, up to what is used. */
struct multiboot {
	uint32_t flags, mem_lower, mem_upper, boot_device, command_line, mods_count, mods_addr, syms[4];
	uint32_t mmap_length, mmap_addr;
};
enum { HAS_MEMORY = 1 << 0, HAS_COMMAND_LINE = 1 << 2, HAS_MMAP = 1 << 6 };

#endif
