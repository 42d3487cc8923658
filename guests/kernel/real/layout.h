/* Places that the C and the assembly of the real-mode kernel share. */
#ifndef LAYOUT_H
#define LAYOUT_H

/* Code, data and stack: one segment, which the loader's stub fills. */
#define REAL_SEGMENT 0x1000
#define REAL_BASE 0x10000
#define COMMAND_LINE_BYTES 512	/* the segment begins with it; then comes code */
#define STACK_TOP 0xfff0

/* Segments of 64 KB that are free for checks. */
#define DATA_SEGMENT 0x2000
#define OTHER_SEGMENT 0x3000
#define CODE_SEGMENT 0x4000
#define PAGE_TABLES 0x50000	/* linear; six pages */

/* Selectors of the GDT for excursions into protected mode (excursion.c). */
#define FLAT_CS32 0x08
#define FLAT_DS 0x10
#define REAL_CS16 0x18	/* this kernel's segment, 64 KB, 16-bit code */
#define REAL_DS16 0x20	/* the same for data */
#define FLAT_CS64 0x28
#define REAL_CS32 0x30	/* this kernel's segment, 32-bit code */
#define ODD_DS 0x38	/* what a check makes of it */
#define GDT_BYTES 0x40

#define KERNEL_VECTOR 0x82
#define USER_EXIT_VECTOR 0x80

#endif
