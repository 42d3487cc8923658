/*
 * Self checks. A check is a function that returns early at the first thing
 * that is not as the manual's section says; afterwards the kernel's
 * machine_restore puts registers and tables back as they were.
 */
#ifndef CHECKING_H
#define CHECKING_H

#include "cpu.h"
#include "probe.h"

struct check {
	const char *name;
	/* Volume, a comma, and the section or the instruction of the SDM, or of AMD's APM. */
	const char *section;
	void (*run)(void);
};

struct check_group {
	const char *name;
	const struct check *checks;
	size_t count;
};
#define CHECK_GROUP(group, name, checks) \
	const struct check_group group = { name, checks, sizeof checks / sizeof checks[0] }

/*
 * Runs the checks that the comma-separated list names (null: all) and prints a
 * line for each; true when none failed.
 */
bool checks_run(const char *names);

/* Each kernel's: the groups, ended by null, and what surrounds every check. */
extern const struct check_group *const check_groups[];
void machine_save(void);
void machine_restore(void);

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

/* Machine code by name, in ring 0's text. */
#define ROUTINE(name, code) \
	asm(".pushsection .text\n.balign 16\n" #name ":\n\t" code "\n\t.popsection"); \
	extern routine name

/* Expectations, written as in the manuals: #GP(0) is GP_(0). */
#define TRAP(vector, ...) (&(const struct expectation){ vector, __VA_ARGS__ })
#define PF_(error, address) TRAP(PF, error, (uintptr_t)(address))
#define GP_(error) TRAP(GP, error)
#define UD_ TRAP(UD, 0)
#define RETURNS TRAP(NO_TRAP, 0)
/* Code ends with INT 0x80 where it can not return; RIP then does not matter. */
#define EXITS TRAP(USER_EXIT_VECTOR, 0, 0, ANY_RIP)
#define EXIT "int $0x80\n\t"

/* What is true or ends the check with what the probe saw. */
#define MEETS(what, condition) \
	do { \
		if (!(condition)) { \
			check_probe_failed(what); \
			return; \
		} \
	} while (0)
/* Calls a routine in ring 0, which must meet the expectation. */
#define RUN(what, expectation, routine, a, b) RUN3(what, expectation, routine, a, b, 0)
#define RUN3(what, expectation, routine, a, b, c) \
	MEETS(what, probe(expectation, routine, (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c)))

#endif
