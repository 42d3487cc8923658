#include "tables.h"

#define STACK_BYTES 4096

uint64_t gdt[GDT_BYTES / 8] __attribute__((aligned(16)));
uint64_t ldt[8] __attribute__((aligned(16)));
uint64_t idt[256] __attribute__((aligned(16)));
struct main_tss main_tss;
struct tss fault_tss;
static uint8_t stacks[3][STACK_BYTES] __attribute__((aligned(16)));

extern const char trap_stubs[];
enum { TRAP_STUB_BYTES = 16 };
enum { PIC1_MASK = 0x21, PIC2_MASK = 0xa1 };

uint64_t segment(uint32_t base, uint32_t limit, unsigned access, unsigned flags)
{
	return (uint64_t)(base >> 24) << 56 | (uint64_t)flags << 52 | (uint64_t)(limit >> 16 & 15) << 48 |
	       (uint64_t)access << 40 | (uint64_t)(base & 0xffffff) << 16 | (limit & 0xffff);
}

uint64_t gate(uint16_t selector, uintptr_t offset, unsigned access, unsigned parameters)
{
	return (uint64_t)(offset >> 16) << 48 | (uint64_t)access << 40 | (uint64_t)parameters << 32 | (uint32_t)selector << 16 |
	       (offset & 0xffff);
}

uint16_t slot(unsigned n, uint64_t descriptor)
{
	gdt[SLOT(n) / 8] = descriptor;
	return SLOT(n);
}

unsigned access_of(uint16_t selector)
{
	return (selector & 4 ? ldt : gdt)[selector / 8] >> 40 & 0xff;
}

uintptr_t esp0_top(void)
{
	return (uintptr_t)(stacks[0] + STACK_BYTES);
}

uintptr_t esp1_top(void)
{
	return (uintptr_t)(stacks[1] + STACK_BYTES);
}

void idt_load(unsigned gates)
{
	struct table_register idtr = { (uint16_t)(gates * 8 - 1), (uintptr_t)idt };
	asm volatile("lidt %0" :: "m"(idtr));
}

static void gdt_fill(void)
{
	memset(gdt, 0, sizeof gdt);
	gdt[KERNEL_CS / 8] = segment(0, 0xfffff, CODE_RX | ACCESSED, FLAT);
	gdt[KERNEL_DS / 8] = segment(0, 0xfffff, DATA_RW | ACCESSED, FLAT);
	gdt[USER_CS / 8] = segment(0, 0xfffff, CODE_RX | ACCESSED | DPL3, FLAT);
	gdt[USER_DS / 8] = segment(0, 0xfffff, DATA_RW | ACCESSED | DPL3, FLAT);
	gdt[MAIN_TSS / 8] = segment((uintptr_t)&main_tss, MAIN_TSS_BYTES - 1, TSS32, 0);
	gdt[LDT / 8] = segment((uintptr_t)ldt, sizeof ldt - 1, LDT_TYPE, 0);
	gdt[RING1_CS / 8] = segment(0, 0xfffff, CODE_RX | ACCESSED | DPL1, FLAT);
	gdt[RING1_DS / 8] = segment(0, 0xfffff, DATA_RW | ACCESSED | DPL1, FLAT);
}

static void idt_fill(void)
{
	for (unsigned vector = 0; vector < 256; vector++)
		idt[vector] = gate(KERNEL_CS, (uintptr_t)trap_stubs + vector * TRAP_STUB_BYTES, INT32, 0);
	idt[3] |= (uint64_t)DPL3 << 40;
	idt[4] |= (uint64_t)DPL3 << 40;
	idt[USER_EXIT_VECTOR] |= (uint64_t)DPL3 << 40;
	idt[ABSENT_VECTOR] &= ~((uint64_t)PRESENT << 40);
}

/*
 * The fault arrives at the stub of its vector, which finds the error code on the task's stack, and above it zeros: the state
 * that faulted is in the other TSS.
 */
void fault_task(unsigned vector)
{
	fault_tss = (struct tss){
		.eip = (uintptr_t)trap_stubs + vector * TRAP_STUB_BYTES, .eflags = RFLAGS_FIXED,
		.esp = (uintptr_t)(stacks[2] + STACK_BYTES - 32), .cs = KERNEL_CS, .ss = KERNEL_DS, .ds = KERNEL_DS, .es = KERNEL_DS,
		.cr3 = read_cr3(), .io_map_base = sizeof(struct tss),
	};
	gdt[FAULT_TSS / 8] = segment((uintptr_t)&fault_tss, sizeof fault_tss - 1, TSS32, 0);
	idt[vector] = gate(FAULT_TSS, 0, TASK_GATE, 0);
}

static void tss_fill(void)
{
	main_tss.tss = (struct tss){
		.esp0 = esp0_top(), .ss0 = KERNEL_DS, .esp1 = esp1_top(), .ss1 = RING1_DS,
		.io_map_base = offsetof(struct main_tss, io_map),
	};
	memset(main_tss.io_map, 0xff, IO_MAP_BYTES + 1);
}

void main_task_reload(void)
{
	gdt[MAIN_TSS / 8] &= ~((uint64_t)BUSY << 40);
	asm volatile("ltr %w0" :: "r"(MAIN_TSS) : "memory");
}

void tables_init(void)
{
	memset(ldt, 0, sizeof ldt);
	gdt_fill();
	idt_fill();
	tss_fill();
	fault_task(8);
	struct table_register gdtr = { sizeof gdt - 1, (uintptr_t)gdt };
	asm volatile("lgdt %0\n\t"
	             "ljmp %1, $1f\n"
	             "1:\n\t"
	             "movl %2, %%ds\n\t"
	             "movl %2, %%es\n\t"
	             "movl %2, %%ss\n\t"
	             "movl %2, %%fs\n\t"
	             "movl %2, %%gs\n\t"
	             "lldt %w3"
	             :: "m"(gdtr), "i"(KERNEL_CS), "r"(KERNEL_DS), "r"(0) : "memory");
	main_task_reload();
	idt_load(256);

	/* Where there are PICs, they must not interrupt when a check sets IF. */
	out8(PIC1_MASK, 0xff);
	out8(PIC2_MASK, 0xff);
}
