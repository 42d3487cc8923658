/* Read-modify-write instructions and bit strings (SDM vol. 2: CMPXCHG, XADD, BT; vol. 3, 8.1). */
#include "check.h"
#include "../identity.h"

#define MEMORY (&memory)
static uint64_t flags_left __asm__("atomic_flags_left") __attribute__((used));
#define KEEP_FLAGS "pushfq\n\tpopq atomic_flags_left(%rip)\n\t"

ROUTINE(cmpxchg, "movq %rsi, %rax\n\tmovq %rdx, %rcx\n\tlock cmpxchgq %rcx, (%rdi)\n\t" KEEP_FLAGS "ret");
ROUTINE(cmpxchg_8, "movq %rsi, %rax\n\tmovq %rdx, %rcx\n\tlock cmpxchgb %cl, (%rdi)\n\t" KEEP_FLAGS "ret");

static void compare_exchange(void)
{
	uint64_t memory = 10;
	RUN3("CMPXCHG, equal", RETURNS, cmpxchg, MEMORY, 10, 20);
	EXPECT("memory", 20, memory);
	EXPECT("ZF", RFLAGS_ZF, flags_left & RFLAGS_ZF);
	RUN3("CMPXCHG, unequal", RETURNS, cmpxchg, MEMORY, 10, 30);
	EXPECT("memory", 20, memory);
	EXPECT("RAX: memory's value", 20, probe_result);
	EXPECT("flags of 10 - 20", RFLAGS_CF | RFLAGS_SF | RFLAGS_PF, flags_left & RFLAGS_STATUS);
	RUN3("CMPXCHG of bytes", RETURNS, cmpxchg_8, MEMORY, 0xffffff14, 0x77);
	EXPECT("memory", 0x77, memory);
	EXPECT("RAX, as it was", 0xffffff14, probe_result);
}

/* EDX:EAX and ECX:EBX from a table, results back into it. */
ROUTINE(cmpxchg8b, "movq %rsi, %r8\n\tmovl (%r8), %eax\n\tmovl 8(%r8), %edx\n\tmovl 16(%r8), %ebx\n\tmovl 24(%r8), %ecx\n\t"
	"lock cmpxchg8b (%rdi)\n\t" KEEP_FLAGS "movq %rax, (%r8)\n\tmovq %rdx, 8(%r8)\n\tret");
ROUTINE(cmpxchg16b, "movq %rsi, %r8\n\tmovq (%r8), %rax\n\tmovq 8(%r8), %rdx\n\tmovq 16(%r8), %rbx\n\tmovq 24(%r8), %rcx\n\t"
	"cmpxchg16b_at: lock cmpxchg16b (%rdi)\n\t" KEEP_FLAGS "movq %rax, (%r8)\n\tmovq %rdx, 8(%r8)\n\tret");
ROUTINE(cmpxchg8b_register, ".byte 0x0f, 0xc7, 0xc8\n\tret");
extern routine cmpxchg16b_at;

static void compare_exchange_8_bytes(void)
{
	uint64_t memory = 0x1111111122222222;
	uint64_t table[4] = { 0x22222222, 0x11111111, 0x44444444, 0x33333333 };
	RUN("CMPXCHG8B, equal", RETURNS, cmpxchg8b, MEMORY, table);
	EXPECT("memory", 0x3333333344444444, memory);
	EXPECT("ZF", RFLAGS_ZF, flags_left & RFLAGS_ZF);
	RUN("CMPXCHG8B, unequal", RETURNS, cmpxchg8b, MEMORY, table);
	EXPECT("memory", 0x3333333344444444, memory);
	EXPECT("EAX", 0x44444444, table[0]);
	EXPECT("EDX", 0x33333333, table[1]);
	EXPECT("ZF", 0, flags_left & RFLAGS_ZF);
	RUN("CMPXCHG8B of a register", UD_, cmpxchg8b_register, 0, 0);
}

static void compare_exchange_16_bytes(void)
{
	static uint64_t memory[4] __attribute__((aligned(16)));
	uint64_t table[4] = { 1, 2, 3, 4 };
	REQUIRE(has_cmpxchg16b(), "CPUID has no CMPXCHG16B");
	memory[0] = 1;
	memory[1] = 2;
	RUN("CMPXCHG16B, equal", RETURNS, cmpxchg16b, memory, table);
	EXPECT("lower half of memory", 3, memory[0]);
	EXPECT("upper half of memory", 4, memory[1]);
	EXPECT("ZF", RFLAGS_ZF, flags_left & RFLAGS_ZF);
	RUN("CMPXCHG16B, unequal", RETURNS, cmpxchg16b, memory, table);
	EXPECT("RAX", 3, table[0]);
	EXPECT("RDX", 4, table[1]);
	EXPECT("lower half of memory", 3, memory[0]);
	RUN("CMPXCHG16B, misaligned", TRAP(GP, 0, 0, (uint64_t)cmpxchg16b_at), cmpxchg16b, memory + 1, table);
}

ROUTINE(xadd, "movq %rsi, %rax\n\tlock xaddq %rax, (%rdi)\n\tret");
ROUTINE(xadd_32, "movq %rsi, %rax\n\tlock xaddl %eax, (%rdi)\n\tret");
ROUTINE(xadd_itself, "movq %rdi, %rax\n\txaddq %rax, %rax\n\tret");
ROUTINE(xchg, "movq %rsi, %rax\n\txchgq %rax, (%rdi)\n\tret");

static void exchange_add(void)
{
	uint64_t memory = 100;
	RUN("XADD", RETURNS, xadd, MEMORY, 5);
	EXPECT("memory", 105, memory);
	EXPECT("RAX: memory's value before", 100, probe_result);
	memory = 0xaaaaaaaafffffffful;
	RUN("XADD of 32 bits", RETURNS, xadd_32, MEMORY, -1ul);
	EXPECT("memory", 0xaaaaaaaafffffffeul, memory);
	EXPECT("RAX: upper half clear", 0xffffffff, probe_result);
	RUN("XADD of a register with itself", RETURNS, xadd_itself, 21, 0);
	EXPECT("RAX", 42, probe_result);
	RUN("XCHG", RETURNS, xchg, MEMORY, 7);
	EXPECT("memory", 7, memory);
}

#define LOCKED(name, code) ROUTINE(name, code "\n\t" KEEP_FLAGS "ret")
LOCKED(lock_add, "lock addq %rsi, (%rdi)");
LOCKED(lock_sub, "lock subq %rsi, (%rdi)");
LOCKED(lock_and, "lock andq %rsi, (%rdi)");
LOCKED(lock_or, "lock orq %rsi, (%rdi)");
LOCKED(lock_xor, "lock xorq %rsi, (%rdi)");
LOCKED(lock_inc, "lock incl (%rdi)");
LOCKED(lock_dec, "lock decl (%rdi)");
LOCKED(lock_not, "lock notq (%rdi)");
LOCKED(lock_neg, "lock negq (%rdi)");

static void locked_arithmetic(void)
{
	static const struct {
		const char *name, *code;
		uint64_t before, operand, after;
	} cases[] = {
		{ "ADD", lock_add, 5, 7, 12 }, { "SUB", lock_sub, 5, 7, -2ul }, { "AND", lock_and, 0xff, 0x3c, 0x3c },
		{ "OR", lock_or, 0xf0, 0x0f, 0xff }, { "XOR", lock_xor, 0xff, 0x0f, 0xf0 },
		{ "INC", lock_inc, 0x1ffffffff, 0, 0x100000000 }, { "DEC", lock_dec, 0x100000000, 0, 0x1ffffffff },
		{ "NOT", lock_not, 0xff, 0, ~0xfful }, { "NEG", lock_neg, 1, 0, -1ul },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint64_t memory = cases[i].before;
		RUN(cases[i].name, RETURNS, cases[i].code, MEMORY, cases[i].operand);
		EXPECT(cases[i].name, cases[i].after, memory);
	}
	/* Across a cache line and across pages, LOCK is slow but valid. */
	map(WINDOW, (uint64_t)scratch[0], PTE_P | PTE_W, PTE);
	map(WINDOW + PAGE_BYTES, (uint64_t)scratch[2], PTE_P | PTE_W, PTE);
	uint64_t *across = (uint64_t *)(WINDOW + PAGE_BYTES - 3);
	*across = 0x00ffffffffffffff;
	RUN("ADD across pages", RETURNS, lock_add, across, 1);
	EXPECT("sum across pages", 0x0100000000000000, *across);
}

/* The offset in a register reaches any bit of memory, and is signed. */
#define BIT_ROUTINE(name, code) ROUTINE(name, "xorl %eax, %eax\n\t" code "\n\tsetc %al\n\tret")
BIT_ROUTINE(bts_64, "lock btsq %rsi, (%rdi)");
BIT_ROUTINE(btr_32, "lock btrl %esi, (%rdi)");
BIT_ROUTINE(btc_16, "btcw %si, (%rdi)");
BIT_ROUTINE(bt_64, "btq %rsi, (%rdi)");
BIT_ROUTINE(bts_immediate, "btsl $35, (%rdi)");
BIT_ROUTINE(bt_register, "btq %rsi, %rdi");

static uint8_t bits[256];

static void bit_offsets(void)
{
	for (int64_t offset = -1000; offset < 1000; offset += 37) {
		uint8_t *byte = bits + 128 + (offset >> 3), mask = (uint8_t)(1 << (offset & 7));
		memset(bits, 0, sizeof bits);
		RUN("BTS", RETURNS, bts_64, bits + 128, offset);
		EXPECT("CF of BTS", 0, probe_result);
		EXPECT("byte after BTS", mask, *byte);
		RUN("BT", RETURNS, bt_64, bits + 128, offset);
		EXPECT("CF of BT", 1, probe_result);
		RUN("BTR", RETURNS, btr_32, bits + 128, offset);
		EXPECT("CF of BTR", 1, probe_result);
		EXPECT("byte after BTR", 0, *byte);
		RUN("BTC", RETURNS, btc_16, bits + 128, offset);
		EXPECT("byte after BTC", mask, *byte);
	}
	memset(bits, 0, sizeof bits);
	RUN("BTS of an immediate", RETURNS, bts_immediate, bits, 0);
	EXPECT("bit 35, taken modulo 32", 8, bits[0]);
	RUN("BT of a register", RETURNS, bt_register, 1ul << 5, 64 + 5);
	EXPECT("bit 69, taken modulo 64", 1, probe_result);
}

static const struct check checks[] = {
	{ "cmpxchg", "SDM 2, CMPXCHG", compare_exchange },
	{ "cmpxchg8b", "SDM 2, CMPXCHG8B", compare_exchange_8_bytes },
	{ "cmpxchg16b", "SDM 2, CMPXCHG8B", compare_exchange_16_bytes },
	{ "xadd-xchg", "SDM 2, XADD", exchange_add },
	{ "locked-arithmetic", "SDM 3, 8.1.2", locked_arithmetic },
	{ "bit-offsets", "SDM 2, BT", bit_offsets },
};
CHECK_GROUP(atomic_group, "atomics and bit strings", checks);
