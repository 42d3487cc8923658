/* Selectors and places that the C and the assembly of this kernel share. */
#ifndef LAYOUT_H
#define LAYOUT_H

/* SYSENTER, SYSEXIT and SYSRET dictate the order of the first four. */
#define KERNEL_CS 0x08
#define KERNEL_DS 0x10
#define USER_CS 0x1b
#define USER_DS 0x23
#define MAIN_TSS 0x28
#define FAULT_TSS 0x30	/* the task for double faults */
#define LDT 0x38
#define RING1_CS 0x41
#define RING1_DS 0x49
#define SLOT(n) (0x50 + 8 * (n))	/* descriptors that a check makes */
#define SLOTS 16
#define GDT_BYTES SLOT(SLOTS)

#define USER_EXIT_VECTOR 0x80	/* INT gate with DPL 3 */
#define ABSENT_VECTOR 0x81	/* gate with P=0 */
#define KERNEL_VECTOR 0x82	/* gate with DPL 0 */
#define SLOT_VECTOR 0x90	/* gates that a check makes */

/* Memory below 1 MB for code and data in virtual-8086 mode: three segments of 64 KB. */
#define V86_CODE 0x20000
#define V86_STACK 0x30000
#define V86_DATA 0x40000
#define V86_IP 0x100	/* where code begins */

#endif
