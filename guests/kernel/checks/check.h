/*
 * Self checks. A check is a function that returns early at the first thing
 * that is not as the manuals say; afterwards the framework puts control
 * registers, MSRs, tables and the window back as they were.
 */
#ifndef CHECK_H
#define CHECK_H

#include "../cpu.h"
#include "../paging.h"
#include "../selectors.h"
#include "../traps.h"

struct check {
	const char *name;
	void (*run)(void);
};

struct check_group {
	const char *name;
	const struct check *checks;
	size_t count;
};
#define CHECK_GROUP(group, name, checks) \
	const struct check_group group = { name, checks, sizeof checks / sizeof checks[0] }

extern const struct check_group paging_group, protection_group, exception_group, debug_group, ring_group, system_call_group,
	self_modifying_group, string_group, arithmetic_group, atomic_group, extension_group;

/*
 * Runs the checks that the comma-separated list names (null: all) and prints a
 * line for each; true when none failed.
 */
bool checks_run(const char *names);

/* The running check fails, or does not apply. Later calls of the same check change nothing. */
void check_failed(const char *what, uint64_t expected, uint64_t seen);
void check_probe_failed(const char *what);
void check_skip(const char *why);

#define EXPECT(what, expected, seen) \
	do { \
		uint64_t expected_ = (uint64_t)(expected), seen_ = (uint64_t)(seen); \
		if (expected_ != seen_) { \
			check_failed(what, expected_, seen_); \
			return; \
		} \
	} while (0)

#define REQUIRE(condition, what) \
	do { \
		if (!(condition)) { \
			check_skip(what); \
			return; \
		} \
	} while (0)

/* Machine code by name, in ring 0's text or in section .user for ring 3. */
#define ROUTINE(name, code) \
	asm(".pushsection .text\n.balign 16\n" #name ":\n\t" code "\n\t.popsection"); \
	extern routine name
#define USER_ROUTINE(name, code) \
	asm(".pushsection .user,\"awx\"\n.balign 16\n" #name ":\n\t" code "\n\t.popsection"); \
	extern routine name

/* Expectations, written as in the manuals: #GP(0) is GP_(0). */
#define TRAP(vector, ...) (&(const struct expectation){ vector, __VA_ARGS__ })
#define PF_(error, address) TRAP(PF, error, (uint64_t)(address))
#define GP_(error) TRAP(GP, error)
#define UD_ TRAP(UD, 0)
#define RETURNS TRAP(NO_TRAP, 0)
/* Ring 3 ends with INT 0x80; RIP then does not matter. */
#define EXITS TRAP(USER_EXIT_VECTOR, 0, 0, ANY_RIP)
#define EXIT "int $0x80\n\t"

/* Calls a routine in ring 0, which must meet the expectation. */
#define RUN(what, expectation, routine, a, b) \
	do { \
		if (!probe(expectation, routine, (uint64_t)(a), (uint64_t)(b), 0)) { \
			check_probe_failed(what); \
			return; \
		} \
	} while (0)
#define RUN3(what, expectation, routine, a, b, c) \
	do { \
		if (!probe(expectation, routine, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c))) { \
			check_probe_failed(what); \
			return; \
		} \
	} while (0)
/* The same in ring 3, entered through IRETQ with the usual stack. */
#define RUN_USER(what, expectation, routine, a, b) \
	do { \
		if (!run_user(expectation, routine, (uint64_t)(a), (uint64_t)(b), RFLAGS_FIXED)) { \
			check_probe_failed(what); \
			return; \
		} \
	} while (0)
bool run_user(const struct expectation *expected, const char *routine, uint64_t a, uint64_t b, uint64_t rflags);

/* Routines that many checks use; each faults at its first instruction. */
extern routine load8, load64, store8, store64, call_to;

#endif
