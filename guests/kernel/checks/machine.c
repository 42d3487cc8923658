/* What surrounds a check of the 64-bit kernel, and the way into ring 3. */
#include "check.h"
#include "../descriptors.h"
#include "../identity.h"
#include "../units.h"

const struct check_group *const check_groups[] = {
	&paging_group, &protection_group, &exception_group, &debug_group, &ring_group, &system_call_group,
	&self_modifying_group, &string_group, &arithmetic_group, &atomic_group, &extension_group,
	&descriptor_group, &float_group, &compatibility_group,
	NULL,
};

asm(".text\n"
    "load8: movzbl (%rdi), %eax\n\tret\n"
    "load64: movq (%rdi), %rax\n\tret\n"
    "store8: movb %sil, (%rdi)\n\tret\n"
    "store64: movq %rsi, (%rdi)\n\tret\n"
    "call_to: jmp *%rdi\n"
    ".global load8, load64, store8, store64, call_to");

bool run_user(const struct expectation *expected, const char *routine, uint64_t a, uint64_t b, uint64_t rflags)
{
	struct expectation e = *expected;
	user_entry = (struct user_entry){ user_address(routine), USER_STACK_TOP - 64, rflags, a, b, USER_CS, USER_SS };
	if (e.rip == 0)
		e.rip = user_entry.rip;
	return probe(&e, enter_user_iretq, 0, 0, 0);
}

/* What a check may change. */
static struct {
	uint64_t cr0, cr4, efer, fs_base, gs_base, kernel_gs_base;
} before;

void machine_save(void)
{
	before.cr0 = read_cr0();
	before.cr4 = read_cr4();
	before.efer = read_msr(IA32_EFER);
	before.fs_base = read_msr(IA32_FS_BASE);
	before.gs_base = read_msr(IA32_GS_BASE);
	before.kernel_gs_base = read_msr(IA32_KERNEL_GS_BASE);
}

void machine_restore(void)
{
	trap_hook = NULL;
	write_cr4(before.cr4);
	write_cr0(before.cr0);
	write_msr(IA32_EFER, before.efer);
	write_msr(IA32_FS_BASE, before.fs_base);
	write_msr(IA32_GS_BASE, before.gs_base);
	write_msr(IA32_KERNEL_GS_BASE, before.kernel_gs_base);
	write_dr7(0x400);
	descriptors_init();
	memset(tss.io_map, 0xff, sizeof tss.io_map);
	window_clear();
}
