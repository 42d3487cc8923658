/* Running the checks and printing what came out. */
#include "check.h"
#include "../descriptors.h"
#include "../options.h"
#include "../print.h"

enum outcome { OK, FAILED, SKIPPED };
static enum outcome outcome;
static char explanation[320];

asm(".text\n"
    "load8: movzbl (%rdi), %eax\n\tret\n"
    "load64: movq (%rdi), %rax\n\tret\n"
    "store8: movb %sil, (%rdi)\n\tret\n"
    "store64: movq %rsi, (%rdi)\n\tret\n"
    "call_to: jmp *%rdi\n"
    ".global load8, load64, store8, store64, call_to");

void check_failed(const char *what, uint64_t expected, uint64_t seen)
{
	if (outcome != OK)
		return;
	outcome = FAILED;
	format_text(explanation, sizeof explanation, "%s: expected %lx, seen %lx", what, expected, seen);
}

void check_probe_failed(const char *what)
{
	char text[220];
	if (outcome != OK)
		return;
	outcome = FAILED;
	probe_describe(text, sizeof text);
	format_text(explanation, sizeof explanation, "%s: %s", what, text);
}

void check_skip(const char *why)
{
	if (outcome != OK)
		return;
	outcome = SKIPPED;
	format_text(explanation, sizeof explanation, "%s", why);
}

bool run_user(const struct expectation *expected, const char *routine, uint64_t a, uint64_t b, uint64_t rflags)
{
	struct expectation e = *expected;
	user_entry = (struct user_entry){ user_address(routine), USER_STACK_TOP - 64, rflags, a, b };
	if (e.rip == 0)
		e.rip = user_entry.rip;
	return probe(&e, enter_user_iretq, 0, 0, 0);
}

/* What a check may change, as it was before. */
struct machine_state {
	uint64_t cr0, cr4, efer, fs_base, gs_base, kernel_gs_base;
};

static struct machine_state save(void)
{
	return (struct machine_state){
		read_cr0(), read_cr4(), read_msr(IA32_EFER),
		read_msr(IA32_FS_BASE), read_msr(IA32_GS_BASE), read_msr(IA32_KERNEL_GS_BASE),
	};
}

static void restore(const struct machine_state *state)
{
	trap_hook = NULL;
	write_cr4(state->cr4);
	write_cr0(state->cr0);
	write_msr(IA32_EFER, state->efer);
	write_msr(IA32_FS_BASE, state->fs_base);
	write_msr(IA32_GS_BASE, state->gs_base);
	write_msr(IA32_KERNEL_GS_BASE, state->kernel_gs_base);
	write_dr7(0x400);
	idt_load(256);
	memset(tss.io_map, 0xff, sizeof tss.io_map);
	window_clear();
}

static void run_check(const struct check *check)
{
	struct machine_state state = save();
	outcome = OK;
	check->run();
	restore(&state);

	static const char *const words[] = { [OK] = "ok", [FAILED] = "FAILED", [SKIPPED] = "skipped" };
	print("  check %-30s ", check->name);
	print_colour(outcome == OK ? GOOD : outcome == FAILED ? BAD : DIM);
	print("%s", words[outcome]);
	print_colour(PLAIN);
	if (outcome != OK)
		print(": %s", explanation);
	print("\n");
	if (options.machine)
		print("@check %s %s\n", check->name, words[outcome]);
}

static bool chosen(const struct check *check, const char *names)
{
	if (options.skip && name_listed(options.skip, check->name))
		return false;
	return !names || name_listed(names, check->name);
}

static void print_title(const char *title)
{
	print_colour(TITLE);
	print("\n  %s\n", title);
	print_colour(PLAIN);
}

bool checks_run(const char *names)
{
	static const struct check_group *const groups[] = {
		&paging_group, &protection_group, &exception_group, &debug_group, &ring_group, &system_call_group,
		&self_modifying_group, &string_group, &arithmetic_group, &atomic_group, &extension_group,
	};
	unsigned counts[3] = { 0 };
	for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
		bool titled = false;
		for (size_t i = 0; i < groups[g]->count; i++) {
			const struct check *check = &groups[g]->checks[i];
			if (!chosen(check, names))
				continue;
			if (!titled)
				print_title(groups[g]->name);
			titled = true;
			run_check(check);
			counts[outcome]++;
		}
	}
	print("\n  %u checks: %u ok, %u failed, %u skipped\n", counts[OK] + counts[FAILED] + counts[SKIPPED],
	      counts[OK], counts[FAILED], counts[SKIPPED]);
	return counts[FAILED] == 0;
}
