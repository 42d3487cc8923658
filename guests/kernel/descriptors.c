/* Descriptor tables: GDT, TSS, IDT. */
#include "descriptors.h"

#define STACK_BYTES 8192
#define DESCRIPTOR_PRESENT (1ull << 47)

struct __attribute__((packed)) gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, reserved;
};

struct tss tss;
static struct gate idt[256] __attribute__((aligned(4096)));
static uint8_t rsp0_stack[STACK_BYTES] __attribute__((aligned(16)));
static uint8_t ist_stacks[2][STACK_BYTES] __attribute__((aligned(16)));

static uint64_t gdt[GDT_BYTES / 8] __attribute__((aligned(16))) = {
	[KERNEL_CS / 8] = 0x00af9b000000ffff,
	[KERNEL_SS / 8] = 0x00cf93000000ffff,
	[USER_CS32 / 8] = 0x00cffb000000ffff,
	[USER_SS / 8] = 0x00cff3000000ffff,
	[USER_CS / 8] = 0x00affb000000ffff,
	[SYSEXIT_SS / 8] = 0x00cff3000000ffff,
	[ABSENT_DATA / 8] = 0x00cf93000000ffff & ~DESCRIPTOR_PRESENT,
	[ABSENT_CODE / 8] = 0x00af9b000000ffff & ~DESCRIPTOR_PRESENT,
};

extern const char trap_stubs[], call_gate_landing[];
enum { PIC1_MASK = 0x21, PIC2_MASK = 0xa1 };
enum { TRAP_STUB_BYTES = 16, GATE_INTERRUPT = 0x8e, GATE_DPL3 = 0x60, GATE_PRESENT = 0x80 };

uint64_t rsp0_top(void)
{
	return (uint64_t)rsp0_stack + STACK_BYTES;
}

uint64_t ist_top(unsigned ist)
{
	return (uint64_t)ist_stacks[ist - 1] + STACK_BYTES;
}

void gate_set_ist(unsigned vector, unsigned ist)
{
	idt[vector].ist = (uint8_t)ist;
}

void idt_load(unsigned gates)
{
	struct table_register idtr = { (uint16_t)(gates * sizeof idt[0] - 1), (uint64_t)idt };
	asm volatile("lidt %0" :: "m"(idtr));
}

uint16_t slot(unsigned n, uint64_t descriptor)
{
	gdt[SLOT(n) / 8] = descriptor;
	return SLOT(n);
}

void idt_set(unsigned vector, uint64_t low, uint64_t high)
{
	const uint64_t halves[2] = { low, high };
	memcpy(&idt[vector], halves, sizeof halves);
}

static void gdt_init(void)
{
	uint64_t base = (uint64_t)&tss, limit = sizeof tss - 1;
	gdt[TSS_SELECTOR / 8] = (limit & 0xffff) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
	gdt[TSS_SELECTOR / 8 + 1] = base >> 32;
	uint64_t landing = (uint64_t)call_gate_landing;
	gdt[KERNEL_GATE / 8] = (landing & 0xffff) | (uint64_t)KERNEL_CS << 16 | 0xecull << 40 | (landing >> 16 & 0xffff) << 48;
	gdt[KERNEL_GATE / 8 + 1] = landing >> 32;

	struct table_register gdtr = { sizeof gdt - 1, (uint64_t)gdt };
	asm volatile("lgdt %0\n\t"
	             "pushq %1\n\t"
	             "leaq 1f(%%rip), %%rax\n\t"
	             "pushq %%rax\n\t"
	             "lretq\n"
	             "1:\n\t"
	             "movl %2, %%ds\n\t"
	             "movl %2, %%es\n\t"
	             "movl %2, %%ss\n\t"
	             "movl %3, %%fs\n\t"
	             "movl %3, %%gs"
	             :: "m"(gdtr), "i"(KERNEL_CS), "r"(KERNEL_SS), "r"(0) : "rax", "memory");
}

void descriptors_init(void)
{
	gdt_init();

	tss.rsp[0] = rsp0_top();
	tss.ist[0] = ist_top(1);
	tss.ist[1] = ist_top(2);
	tss.io_map_base = offsetof(struct tss, io_map);
	memset(tss.io_map, 0xff, sizeof tss.io_map);
	tss.io_map_end = 0xff;
	asm volatile("ltr %w0\n\tlldt %w1" :: "r"(TSS_SELECTOR), "r"(0));

	for (unsigned vector = 0; vector < 256; vector++) {
		uint64_t stub = (uint64_t)trap_stubs + vector * TRAP_STUB_BYTES;
		idt[vector] = (struct gate){
			.offset_low = (uint16_t)stub, .offset_middle = (uint16_t)(stub >> 16), .offset_high = (uint32_t)(stub >> 32),
			.selector = KERNEL_CS, .type = GATE_INTERRUPT,
		};
	}
	idt[3].type |= GATE_DPL3;
	idt[USER_EXIT_VECTOR].type |= GATE_DPL3;
	idt[ABSENT_VECTOR].type &= ~GATE_PRESENT;
	gate_set_ist(8, 1);
	idt_load(256);

	/* Where there are PICs, they must not interrupt when a check sets IF. */
	out8(PIC1_MASK, 0xff);
	out8(PIC2_MASK, 0xff);
}
