/*
 * Self-modifying and cross-modifying code on one processor (SDM vol. 3,
 * 8.1.3 and 11.6): through the same linear address it takes effect with the
 * next branch at the latest, and on all processors since the P6 at once;
 * through another linear address after a serializing instruction.
 */
#include "check.h"

#define RW (PTE_P | PTE_W)
enum { MOV_EAX = 0xb8, RET = 0xc3 };

static void write_function(volatile uint8_t *code, uint32_t value)
{
	code[0] = MOV_EAX;
	*(volatile uint32_t *)(code + 1) = value;
	code[5] = RET;
}

static void other_page(void)
{
	for (uint32_t i = 0; i < 100; i++) {
		write_function(scratch[0], i * 3);
		RUN("call", RETURNS, call_to, scratch[0], 0);
		EXPECT("value of the patched function", i * 3, probe_result);
	}
}

/* The patched function lies in the page of the code that patches. */
ROUTINE(patch_same_page,
	"movl %edi, same_page_function+1(%rip)\n\t"
	"call same_page_function\n\t"
	"ret\n\t"
	"same_page_function: movl $0, %eax\n\t"
	"ret");

static void same_page(void)
{
	for (uint32_t i = 0; i < 100; i++) {
		RUN("patch and call", RETURNS, patch_same_page, i + 1000, 0);
		EXPECT("value of the patched function", i + 1000, probe_result);
	}
}

/* The very next instruction, in the same straight line of code. */
ROUTINE(patch_next,
	"movb %dil, patch_next_at+1(%rip)\n\t"
	"patch_next_at: movb $0, %al\n\t"
	"movzbl %al, %eax\n\t"
	"ret");

static void next_instruction(void)
{
	for (uint32_t i = 1; i < 100; i++) {
		RUN("patch the next instruction", RETURNS, patch_next, i, 0);
		EXPECT("value of the patched instruction", i, probe_result);
	}
}

/* Further on in the same block: an opcode turns from INC to DEC. */
ROUTINE(patch_own_block,
	"movl %esi, %eax\n\t"
	"movb %dil, patch_own_at+1(%rip)\n\t"
	"addl $100, %eax\n\t"
	"leal 3(%rax), %eax\n\t"
	"patch_own_at: incl %eax\n\t"
	"ret");

static void own_block(void)
{
	for (uint32_t i = 0; i < 10; i++) {
		RUN("INC", RETURNS, patch_own_block, 0xc0, 5);
		EXPECT("after INC", 109, probe_result);
		RUN("DEC", RETURNS, patch_own_block, 0xc8, 5);
		EXPECT("after DEC", 107, probe_result);
	}
}

/* A loop that rewrites its own body in every iteration: adds 1 + 2 + ... + 10. */
ROUTINE(patch_loop,
	"xorl %eax, %eax\n\t"
	"movl $10, %ecx\n\t"
	"1: movb %cl, 2f+2(%rip)\n\t"
	"2: addl $127, %eax\n\t"
	"loop 1b\n\t"
	"ret");

static void loop_body(void)
{
	RUN("loop", RETURNS, patch_loop, 0, 0);
	EXPECT("sum", 55, probe_result);
}

static void across_pages(void)
{
	map(WINDOW, (uint64_t)scratch[4], RW, PTE);
	map(WINDOW + PAGE_BYTES, (uint64_t)scratch[2], RW, PTE);
	for (uint64_t at = WINDOW + PAGE_BYTES - 5; at < WINDOW + PAGE_BYTES; at++)
		for (uint32_t i = 1; i < 4; i++) {
			write_function((uint8_t *)at, i * 0x01010101);
			RUN("call", RETURNS, call_to, at, 0);
			EXPECT("immediate across pages", i * 0x01010101, probe_result);
			*(volatile uint8_t *)(at + 4) = 0x7f;
			RUN("call", RETURNS, call_to, at, 0);
			EXPECT("after a patch of the second page", 0x7f000000 | (i * 0x010101), probe_result);
			*(volatile uint8_t *)(at + 1) = 0x11;
			RUN("call", RETURNS, call_to, at, 0);
			EXPECT("after a patch of the first byte", 0x7f000011 | (i * 0x010100), probe_result);
		}
}

static void two_mappings(void)
{
	map(WINDOW, (uint64_t)scratch[5], RW, PTE);
	map(WINDOW + PAGE_BYTES, (uint64_t)scratch[5], RW, PTE);
	for (uint32_t i = 0; i < 20; i++) {
		write_function((uint8_t *)WINDOW, i);
		cpuid(0, 0);
		RUN("call through the other mapping", RETURNS, call_to, WINDOW + PAGE_BYTES, 0);
		EXPECT("value there", i, probe_result);
		write_function(scratch[5], i + 50);
		cpuid(0, 0);
		RUN("call through the first mapping", RETURNS, call_to, WINDOW, 0);
		EXPECT("value after a write by the physical address", i + 50, probe_result);
	}
}

/* Code stays, the page under it changes. */
static void remapped(void)
{
	write_function(scratch[6], 6);
	write_function(scratch[7], 7);
	for (unsigned i = 0; i < 10; i++) {
		map(WINDOW, (uint64_t)scratch[6 + i % 2], RW, PTE);
		RUN("call", RETURNS, call_to, WINDOW, 0);
		EXPECT("value of the page mapped now", 6 + i % 2, probe_result);
	}
}

ROUTINE(string_store, "movq %rsi, %rcx\n\tmovb $0x90, %al\n\trep stosb\n\tret");

static void by_string_store(void)
{
	for (unsigned i = 0; i < 5; i++) {
		write_function(scratch[8], 1);
		write_function(scratch[8] + 6, 2);
		RUN("call", RETURNS, call_to, scratch[8], 0);
		EXPECT("first function", 1, probe_result);
		RUN("REP STOSB", RETURNS, string_store, scratch[8], 6);
		RUN("call", RETURNS, call_to, scratch[8], 0);
		EXPECT("second function, after NOPs", 2, probe_result);
	}
}

/* A string store over the code that follows it, in one line. */
ROUTINE(store_ahead,
	"leaq store_ahead_at(%rip), %rdi\n\t"
	"movl $4, %ecx\n\t"
	"movb $0x90, %al\n\t"
	"rep stosb\n\t"
	"movl $3, %eax\n\t"
	"store_ahead_at: addl $4, %eax\n\t"
	"nop\n\t"
	"ret");

static void store_over_what_follows(void)
{
	RUN("REP STOSB ahead", RETURNS, store_ahead, 0, 0);
	EXPECT("result without the ADD", 3, probe_result);
}

/* Data beside code, in the same page and even the same line: writes must not harm. */
static void data_beside_code(void)
{
	write_function(scratch[9], 9);
	for (uint32_t i = 0; i < 1000; i++) {
		*(volatile uint32_t *)(scratch[9] + 8 + i % 64 * 4) = i;
		RUN("call", RETURNS, call_to, scratch[9], 0);
		EXPECT("value", 9, probe_result);
	}
}

static const struct check checks[] = {
	{ "patch-other-page", "SDM 3, 8.1.3", other_page },
	{ "patch-same-page", "SDM 3, 8.1.3", same_page },
	{ "patch-next-instruction", "SDM 3, 8.1.3", next_instruction },
	{ "patch-own-block", "SDM 3, 8.1.3", own_block },
	{ "patch-loop-body", "SDM 3, 8.1.3", loop_body },
	{ "patch-across-pages", "SDM 3, 8.1.3", across_pages },
	{ "patch-two-mappings", "SDM 3, 8.1.3", two_mappings },
	{ "code-page-remapped", "SDM 3, 8.1.3", remapped },
	{ "patch-by-string-store", "SDM 3, 8.1.3", by_string_store },
	{ "string-store-ahead", "SDM 3, 8.1.3", store_over_what_follows },
	{ "data-beside-code", "SDM 3, 8.1.3", data_beside_code },
};
CHECK_GROUP(self_modifying_group, "self-modifying code", checks);
