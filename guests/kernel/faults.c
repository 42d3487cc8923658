/* Faults on demand, for the shell. */
#include "faults.h"
#include "print.h"
#include "selectors.h"
#include "traps.h"

asm(".text\n"
    "fault_de: xorl %edx, %edx\n\txorl %ecx, %ecx\n\tdivl %ecx\n\tret\n"
    "fault_ud: ud2\n"
    "fault_gp: movl $0x1230, %eax\n\tmovl %eax, %ds\n\tret\n"
    "fault_pf: movabsq $0x7fffdead0000, %rax\n\tmovq %rax, (%rax)\n\tret\n"
    "fault_df: movabsq $0x7fffdead0000, %rsp\n\tpushq %rax\n\tret\n"
    "fault_triple: pushq $0\n\tpushq $0\n\tlidt (%rsp)\n\tud2\n"
    "show_registers: int $0x82\n\tret\n"
    "read_byte: movzbl (%rdi), %eax\n\tret\n");
extern routine fault_de, fault_ud, fault_gp, fault_pf, fault_df, fault_triple, show_registers, read_byte;

static const struct fault {
	const char *name, *code, *what;
} faults[] = {
	{ "de", fault_de, "divide by zero" },
	{ "ud", fault_ud, "UD2" },
	{ "gp", fault_gp, "DS from beyond the GDT" },
	{ "pf", fault_pf, "write to an address that is not mapped" },
	{ "df", fault_df, "push without a stack" },
	{ "triple", fault_triple, "UD2 without an IDT: the machine resets or stops" },
};
#define FOR_EACH_FAULT(f) for (const struct fault *f = faults; f < faults + sizeof faults / sizeof faults[0]; f++)

static const struct expectation returns = { .vector = NO_TRAP };

/* Prints at once: the stack that is shown is gone after the recovery. */
static bool show_trap(struct trap_frame *frame)
{
	(void)frame;
	trap_print(&last_trap);
	return false;
}

bool fault_provoke(const char *kind)
{
	FOR_EACH_FAULT(f) {
		if (!same_text(kind, f->name))
			continue;
		trap_hook = show_trap;
		probe(&returns, f->code, 0, 0, 0);
		trap_hook = NULL;
		return true;
	}
	return false;
}

void fault_list(void)
{
	FOR_EACH_FAULT(f)
		print("    fault %-15s %s\n", f->name, f->what);
}

bool memory_read(uint64_t address, uint8_t *value)
{
	bool there = probe(&returns, read_byte, address, 0, 0);
	*value = (uint8_t)probe_result;
	return there;
}

static void print_tables(void)
{
	struct table_register gdtr, idtr;
	uint16_t ldtr, tr, ds, es, fs, gs;
	asm volatile("sgdt %0\n\tsidt %1" : "=m"(gdtr), "=m"(idtr));
	asm volatile("sldt %0\n\tstr %1" : "=m"(ldtr), "=m"(tr));
	asm volatile("movw %%ds, %0\n\tmovw %%es, %1\n\tmovw %%fs, %2\n\tmovw %%gs, %3" : "=m"(ds), "=m"(es), "=m"(fs), "=m"(gs));
	print("  ds %04x  es %04x  fs %04x base %016lx  gs %04x base %016lx\n", ds, es, fs, read_msr(IA32_FS_BASE), gs, read_msr(IA32_GS_BASE));
	print("  gdtr %016lx limit %04x  idtr %016lx limit %04x\n", gdtr.base, gdtr.limit, idtr.base, idtr.limit);
	print("  ldtr %04x  tr %04x\n", ldtr, tr);
}

void registers_print(void)
{
	probe(&returns, show_registers, 0, 0, 0);
	const struct trap_frame *f = &last_trap.frame;
	print("  rip %04lx:%016lx  rsp %04lx:%016lx  rflags %016lx\n", f->cs, f->rip, f->ss, f->rsp, f->rflags);
	print("  rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
	print("  rsi %016lx  rdi %016lx  rbp %016lx  r8  %016lx\n", f->rsi, f->rdi, f->rbp, f->r8);
	print("  r9  %016lx  r10 %016lx  r11 %016lx  r12 %016lx\n", f->r9, f->r10, f->r11, f->r12);
	print("  r13 %016lx  r14 %016lx  r15 %016lx\n", f->r13, f->r14, f->r15);
	print("  cr0 %016lx  cr2 %016lx  cr3 %016lx  cr4 %016lx\n", read_cr0(), last_trap.cr2, read_cr3(), read_cr4());
	print("  dr6 %016lx  dr7 %016lx  efer %016lx\n", last_trap.dr6, read_dr7(), read_msr(IA32_EFER));
	print_tables();
}
