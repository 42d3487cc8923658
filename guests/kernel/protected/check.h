/* The checks of the 32-bit kernel. */
#ifndef CHECK_H
#define CHECK_H

#include "../checking.h"
#include "tables.h"
#include "traps.h"

extern const struct check_group segment_group, limit_group, transfer_group, gate_group, interrupt_group, task_group, v86_group, page_group, debug_group,
	float_group, system_group;

/* 16-bit code; NAME_end is behind it. */
#define CODE16(name, code) \
	asm(".pushsection .text\n.balign 16\n.code16\n" #name ":\n\t" code "\n" #name "_end:\n.code32\n\t.popsection"); \
	extern const char name[], name##_end[]

/* start, for a routine in a ring with flat segments: EAX = a, EDX = b. */
void prepare_ring(unsigned ring, const char *routine, uintptr_t a, uintptr_t b);
/* start, for virtual-8086 mode: code copied to V86_CODE, where it begins at V86_IP, its stack and data in segments of their own. */
void prepare_v86(const char *code, const char *end, unsigned iopl);
/* Enters what start says; rip 0 of an expectation stands for start.eip. */
bool run_start(const struct expectation *expected);

#define RUN_START(what, expectation) MEETS(what, run_start(expectation))
#define RUN_RING(ring, what, expectation, routine, a, b) \
	do { \
		prepare_ring(ring, routine, (uintptr_t)(a), (uintptr_t)(b)); \
		RUN_START(what, expectation); \
	} while (0)
#define RUN_USER(what, expectation, routine, a, b) RUN_RING(3, what, expectation, routine, a, b)
#define RUN_V86(what, expectation, code, iopl) \
	do { \
		prepare_v86(code, code##_end, iopl); \
		RUN_START(what, expectation); \
	} while (0)

/* The same trap, wherever EIP is. */
#define TRAP_ANYWHERE(vector, error) TRAP(vector, error, 0, ANY_RIP)

/* Operand of far jumps and calls through memory. */
struct __attribute__((packed)) far_pointer {
	uint32_t offset;
	uint16_t selector;
};

/* Code that shows six words of its stack, from the top on, in EAX, EBX, ECX, EDX, ESI, EDI of last_trap, and exits. */
extern routine landing;
/* The same with words of 16 bits. */
extern routine landing16;
extern routine exit_now;
/* MOV to a segment register from EAX, and RET. */
extern routine load_ds, load_es, load_fs, load_gs, load_ss;
/* Through the far pointer at EAX. */
extern routine jump_far, call_far;

/* Puts a segment of 256 bytes of code into slot n, with the code to exit at its beginning, and behind its end for who gets there. */
uint16_t short_code(unsigned n);

enum { SCRATCH_PAGES = 4 };
extern uint8_t scratch[SCRATCH_PAGES][PAGE_BYTES];
uintptr_t user_stack_top(void);

#endif
