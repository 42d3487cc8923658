/*
 * The GDT's layout. SYSCALL, SYSRET, SYSENTER and SYSEXIT dictate the order:
 * SYSRET loads CS from STAR[63:48]+16 and SS from +8; SYSEXIT to 64-bit code
 * loads CS from IA32_SYSENTER_CS+32 and SS from +40.
 */
#ifndef SELECTORS_H
#define SELECTORS_H

#define KERNEL_CS 0x08
#define KERNEL_SS 0x10
#define USER_CS32 0x1b	/* compatibility mode, and SYSRET's base */
#define USER_SS 0x23
#define USER_CS 0x2b
#define SYSEXIT_SS 0x33
#define TSS_SELECTOR 0x38
#define ABSENT_DATA 0x48	/* P=0, for #NP and #SS */
#define ABSENT_CODE 0x50
#define KERNEL_GATE 0x58	/* 64-bit call gate, DPL 3 */
#define SLOT(n) (0x68 + 8 * (n))	/* descriptors that a check makes; the gate takes two entries */
#define SLOTS 8
#define GDT_BYTES SLOT(SLOTS)

#define USER_EXIT_VECTOR 0x80	/* INT gate with DPL 3: how ring 3 code ends */
#define ABSENT_VECTOR 0x81	/* gate with P=0 */
#define KERNEL_VECTOR 0x82	/* gate with DPL 0 */

#endif
