/* Page faults, their error codes and CR2 (SDM vol. 3, 4.6 and 4.7; APM vol. 2, 5.6 and 8.2.15). */
#include "check.h"
#include "../identity.h"

#define RW (PTE_P | PTE_W)
#define RWU (PTE_P | PTE_W | PTE_U)

USER_ROUTINE(user_load, "movb (%rdi), %al\n\t" EXIT);
USER_ROUTINE(user_store, "movb %sil, (%rdi)\n\t" EXIT);
USER_ROUTINE(user_jump, "jmp *%rdi\n\t" EXIT);
ROUTINE(stac_load, "stac\n\tmovzbl (%rdi), %eax\n\tret");
ROUTINE(clac_load, "clac\n\tmovzbl (%rdi), %eax\n\tret");
ROUTINE(load_through_rbp, "xchgq %rdi, %rbp\n\tmovb (%rbp), %al\n\tret");

/* The I bit of the error code exists when NX or SMEP is enabled. */
static uint64_t fetch_bit(void)
{
	return has_nx() ? PFEC_I : 0;
}

static void not_present(void)
{
	map(WINDOW, (uint64_t)scratch[0], RW, PTE);
	*entry(WINDOW, PTE) = 0;
	invlpg(WINDOW);
	RUN("read", PF_(0, WINDOW + 5), load8, WINDOW + 5, 0);
	RUN("write", PF_(PFEC_W, WINDOW + 5), store8, WINDOW + 5, 0);
	RUN("fetch", TRAP(PF, fetch_bit(), WINDOW + 5, WINDOW + 5), call_to, WINDOW + 5, 0);
}

static void not_present_levels(void)
{
	map(WINDOW, (uint64_t)scratch[0], RW, PTE);
	for (enum level level = PTE; level <= PML4E; level++) {
		uint64_t *e = entry(WINDOW, level), before = *e;
		*e = before & ~PTE_P;
		write_cr3(read_cr3());
		RUN("read", PF_(0, WINDOW + 0x123), load8, WINDOW + 0x123, 0);
		*e = before;
	}
}

static void write_protect(void)
{
	map(WINDOW, (uint64_t)scratch[0], PTE_P, PTE);
	RUN("read", RETURNS, load8, WINDOW, 0);
	RUN("write, WP=1", PF_(PFEC_P | PFEC_W, WINDOW), store8, WINDOW, 7);
	write_cr0(read_cr0() & ~CR0_WP);
	RUN("write, WP=0", RETURNS, store8, WINDOW, 7);
	EXPECT("byte written with WP=0", 7, scratch[0][0]);
	EXPECT("D with WP=0", PTE_D, *entry(WINDOW, PTE) & PTE_D);
	write_cr0(read_cr0() | CR0_WP);
	RUN("write, WP=1 again", PF_(PFEC_P | PFEC_W, WINDOW), store8, WINDOW, 7);
}

static void write_protect_levels(void)
{
	map(WINDOW, (uint64_t)scratch[0], RW, PTE);
	for (enum level level = PDE; level <= PML4E; level++) {
		*entry(WINDOW, level) &= ~PTE_W;
		write_cr3(read_cr3());
		RUN("write", PF_(PFEC_P | PFEC_W, WINDOW), store8, WINDOW, 7);
		*entry(WINDOW, level) |= PTE_W;
		write_cr3(read_cr3());
		RUN("write", RETURNS, store8, WINDOW, 7);
	}
}

static void no_execute(void)
{
	REQUIRE(has_nx(), "CPUID has no NX");
	scratch[0][16] = 0xc3;
	map(WINDOW, (uint64_t)scratch[0], RW | PTE_NX, PTE);
	RUN("read", RETURNS, load8, WINDOW, 0);
	RUN("fetch", TRAP(PF, PFEC_P | PFEC_I, WINDOW + 16, WINDOW + 16), call_to, WINDOW + 16, 0);
	*entry(WINDOW, PTE) &= ~PTE_NX;
	invlpg(WINDOW);
	RUN("fetch, NX=0", RETURNS, call_to, WINDOW + 16, 0);
	for (enum level level = PDE; level <= PML4E; level++) {
		*entry(WINDOW, level) |= PTE_NX;
		write_cr3(read_cr3());
		RUN("fetch, NX=1 above", TRAP(PF, PFEC_P | PFEC_I, WINDOW + 16, WINDOW + 16), call_to, WINDOW + 16, 0);
		*entry(WINDOW, level) &= ~PTE_NX;
	}
}

/* With NXE=0, bit 63 is reserved and fetches do not show in error codes. */
static void no_execute_disabled(void)
{
	REQUIRE(has_nx(), "CPUID has no NX");
	map(WINDOW, (uint64_t)scratch[0], RW | PTE_NX, PTE);
	map(WINDOW + PAGE_BYTES, (uint64_t)scratch[1], 0, PTE);
	write_msr(IA32_EFER, read_msr(IA32_EFER) & ~EFER_NXE);
	write_cr3(read_cr3());
	RUN("fetch, P=0", TRAP(PF, 0, WINDOW + PAGE_BYTES, WINDOW + PAGE_BYTES), call_to, WINDOW + PAGE_BYTES, 0);
	RUN("read, NX=1", PF_(PFEC_P | PFEC_RSVD, WINDOW), load8, WINDOW, 0);
}

static void user_supervisor(void)
{
	map(WINDOW, (uint64_t)scratch[0], RW, PTE);
	RUN_USER("read", PF_(PFEC_P | PFEC_U, WINDOW), user_load, WINDOW, 0);
	RUN_USER("write", PF_(PFEC_P | PFEC_U | PFEC_W, WINDOW), user_store, WINDOW, 0);
	RUN_USER("fetch", TRAP(PF, PFEC_P | PFEC_U | fetch_bit(), WINDOW, WINDOW), user_jump, WINDOW, 0);
	*entry(WINDOW, PTE) |= PTE_U;
	invlpg(WINDOW);
	RUN_USER("read, U=1", EXITS, user_load, WINDOW, 0);
	RUN_USER("write, U=1", EXITS, user_store, WINDOW, 0x33);
	EXPECT("byte written by ring 3", 0x33, scratch[0][0]);
	for (enum level level = PDE; level <= PML4E; level++) {
		*entry(WINDOW, level) &= ~PTE_U;
		write_cr3(read_cr3());
		RUN_USER("read, U=0 above", PF_(PFEC_P | PFEC_U, WINDOW), user_load, WINDOW, 0);
		*entry(WINDOW, level) |= PTE_U;
	}
}

static void user_not_present(void)
{
	map(WINDOW, 0, 0, PTE);
	RUN_USER("read", PF_(PFEC_U, WINDOW + 8), user_load, WINDOW + 8, 0);
	RUN_USER("write", PF_(PFEC_U | PFEC_W, WINDOW + 8), user_store, WINDOW + 8, 0);
	RUN_USER("fetch", TRAP(PF, PFEC_U | fetch_bit(), WINDOW + 8, WINDOW + 8), user_jump, WINDOW + 8, 0);
}

/* WP=0 is for ring 0 only. */
static void user_write_protect(void)
{
	map(WINDOW, (uint64_t)scratch[0], PTE_P | PTE_U, PTE);
	RUN_USER("write, WP=1", PF_(PFEC_P | PFEC_U | PFEC_W, WINDOW), user_store, WINDOW, 0);
	write_cr0(read_cr0() & ~CR0_WP);
	RUN_USER("write, WP=0", PF_(PFEC_P | PFEC_U | PFEC_W, WINDOW), user_store, WINDOW, 0);
	RUN_USER("read", EXITS, user_load, WINDOW, 0);
}

static void reserved_bits(void)
{
	map(WINDOW, (uint64_t)scratch_large, RW | 1ul << 13, PDE);
	RUN("read, bit 13 of a 2 MB page", PF_(PFEC_P | PFEC_RSVD, WINDOW), load8, WINDOW, 0);
	RUN("write", PF_(PFEC_P | PFEC_RSVD | PFEC_W, WINDOW), store8, WINDOW, 0);
	RUN_USER("read from ring 3", PF_(PFEC_P | PFEC_RSVD | PFEC_U, WINDOW), user_load, WINDOW, 0);
	*entry(WINDOW, PML4E) |= PTE_PS;
	write_cr3(read_cr3());
	RUN("read, PS=1 in the PML4E", PF_(PFEC_P | PFEC_RSVD, WINDOW), load8, WINDOW, 0);
}

static void reserved_address_bits(void)
{
	unsigned bits = physical_address_bits();
	REQUIRE(bits < 52, "physical addresses have 52 bits");
	map(WINDOW, (uint64_t)scratch[0] | 1ul << bits, RW, PTE);
	RUN("read", PF_(PFEC_P | PFEC_RSVD, WINDOW), load8, WINDOW, 0);
	map(WINDOW, (uint64_t)scratch[0] | 1ul << 51, RW, PTE);
	RUN("read, bit 51", PF_(PFEC_P | PFEC_RSVD, WINDOW), load8, WINDOW, 0);
}

static void smep(void)
{
	REQUIRE(has_smep(), "CPUID has no SMEP");
	scratch[0][0] = 0xc3;
	map(WINDOW, (uint64_t)scratch[0], RWU, PTE);
	RUN("fetch, SMEP=0", RETURNS, call_to, WINDOW, 0);
	write_cr4(read_cr4() | CR4_SMEP);
	RUN("fetch, SMEP=1", TRAP(PF, PFEC_P | PFEC_I, WINDOW, WINDOW), call_to, WINDOW, 0);
	RUN("read, SMEP=1", RETURNS, load8, WINDOW, 0);
	*entry(WINDOW, PDE) &= ~PTE_U;
	write_cr3(read_cr3());
	RUN("fetch, U=0 in the PDE", RETURNS, call_to, WINDOW, 0);
}

static void smap(void)
{
	REQUIRE(has_smap(), "CPUID has no SMAP");
	map(WINDOW, (uint64_t)scratch[0], RWU, PTE);
	RUN("read, SMAP=0", RETURNS, load8, WINDOW, 0);
	write_cr4(read_cr4() | CR4_SMAP);
	RUN("read, SMAP=1", PF_(PFEC_P, WINDOW), load8, WINDOW, 0);
	RUN("write, SMAP=1", PF_(PFEC_P | PFEC_W, WINDOW), store8, WINDOW, 0);
	RUN("read after STAC", RETURNS, stac_load, WINDOW, 0);
	RUN("read after CLAC", TRAP(PF, PFEC_P, WINDOW, ANY_RIP), clac_load, WINDOW, 0);
	RUN_USER("read from ring 3", EXITS, user_load, WINDOW, 0);
}

/* A store that touches a page it must not changes no byte on the other one. */
static void store_across_pages(void)
{
	map(WINDOW, (uint64_t)scratch[0], RW, PTE);
	map(WINDOW + PAGE_BYTES, (uint64_t)scratch[1], PTE_P, PTE);
	*(volatile uint64_t *)(scratch[0] + 4088) = 0;
	RUN("write into a read-only page", PF_(PFEC_P | PFEC_W, WINDOW + PAGE_BYTES), store64, WINDOW + 4093, -1);
	EXPECT("bytes before the boundary", 0, *(volatile uint64_t *)(scratch[0] + 4088));
	*entry(WINDOW + PAGE_BYTES, PTE) = 0;
	invlpg(WINDOW + PAGE_BYTES);
	RUN("write into an absent page", PF_(PFEC_W, WINDOW + PAGE_BYTES), store64, WINDOW + 4093, -1);
	RUN("read from an absent page", PF_(0, WINDOW + PAGE_BYTES), load64, WINDOW + 4093, 0);
	EXPECT("bytes before the boundary", 0, *(volatile uint64_t *)(scratch[0] + 4088));
}

/* movl $imm32, %eax with two bytes on a page that is not there. */
static void fetch_across_pages(void)
{
	map(WINDOW, (uint64_t)scratch[0], RW, PTE);
	map(WINDOW + PAGE_BYTES, (uint64_t)scratch[1], 0, PTE);
	scratch[0][4093] = 0xb8;
	scratch[0][4094] = 1;
	scratch[0][4095] = 2;
	RUN("fetch", TRAP(PF, fetch_bit(), WINDOW + PAGE_BYTES, WINDOW + 4093), call_to, WINDOW + 4093, 0);
	memcpy(scratch[1], "\3\4\xc3", 3);
	*entry(WINDOW + PAGE_BYTES, PTE) |= PTE_P;
	RUN("fetch", RETURNS, call_to, WINDOW + 4093, 0);
	EXPECT("immediate across pages", 0x04030201, probe_result);
}

static void non_canonical(void)
{
	RUN("read", GP_(0), load8, NONCANONICAL, 0);
	RUN("write", GP_(0), store8, NONCANONICAL, 0);
	RUN("read at the other end", GP_(0), load8, 0xffff7ffffffffffful, 0);
	RUN("jump", TRAP(GP, 0, 0, ANY_RIP), call_to, NONCANONICAL, 0);
	RUN("read below the hole", TRAP(PF, 0, NONCANONICAL - 8), load64, NONCANONICAL - 8, 0);
}

/* What goes through RSP or RBP is a stack access, and faults as one. */
static void non_canonical_stack(void)
{
	RUN("read through RBP", TRAP(SS, 0, 0, (uint64_t)load_through_rbp + 3), load_through_rbp, NONCANONICAL, 0);
}

static const struct check checks[] = {
	{ "not-present", "SDM 3, 4.7", not_present },
	{ "not-present-levels", "SDM 3, 4.7", not_present_levels },
	{ "write-protect", "SDM 3, 4.6.1", write_protect },
	{ "write-protect-levels", "SDM 3, 4.6.1", write_protect_levels },
	{ "no-execute", "SDM 3, 4.6.1", no_execute },
	{ "no-execute-disabled", "SDM 3, 4.7", no_execute_disabled },
	{ "user-supervisor", "SDM 3, 4.6.1", user_supervisor },
	{ "user-not-present", "SDM 3, 4.7", user_not_present },
	{ "user-write-protect", "SDM 3, 4.6.1", user_write_protect },
	{ "reserved-bits", "SDM 3, 4.7", reserved_bits },
	{ "reserved-address-bits", "SDM 3, 4.7", reserved_address_bits },
	{ "smep", "SDM 3, 4.6.1", smep },
	{ "smap-stac-clac", "SDM 3, 4.6.1", smap },
	{ "store-across-pages", "SDM 3, 6.15", store_across_pages },
	{ "fetch-across-pages", "SDM 3, 4.7", fetch_across_pages },
	{ "non-canonical", "SDM 1, 3.3.7.1", non_canonical },
	{ "non-canonical-stack", "SDM 1, 3.3.7.1", non_canonical_stack },
};
CHECK_GROUP(protection_group, "paging: protection and page faults", checks);
