/* String instructions (SDM vol. 2, REP): across pages, both directions, overlaps, faults in the middle. */
#include "check.h"
#include "../print.h"

#define RW (PTE_P | PTE_W)

/* What a REP instruction left in RCX, RSI, RDI and RFLAGS. */
static struct {
	uint64_t rcx, rsi, rdi, rflags;
} left __asm__("string_left") __attribute__((used));

#define LEAVE \
	"movq %rcx, string_left(%rip)\n\tmovq %rsi, string_left+8(%rip)\n\tmovq %rdi, string_left+16(%rip)\n\t" \
	"pushfq\n\tpopq string_left+24(%rip)\n\tcld\n\tret"
#define COUNT "movq %rdx, %rcx\n\t"
#define STRING_ROUTINES(name, instruction) \
	ROUTINE(name, COUNT instruction "\n\t" LEAVE); \
	ROUTINE(name##_down, "std\n\t" COUNT instruction "\n\t" LEAVE)

STRING_ROUTINES(movs1, "rep movsb");
STRING_ROUTINES(movs2, "rep movsw");
STRING_ROUTINES(movs4, "rep movsl");
STRING_ROUTINES(movs8, "rep movsq");
#define PATTERN "movabsq $0x8877665544332211, %rax\n\t"
STRING_ROUTINES(stos1, PATTERN "rep stosb");
STRING_ROUTINES(stos2, PATTERN "rep stosw");
STRING_ROUTINES(stos4, PATTERN "rep stosl");
STRING_ROUTINES(stos8, PATTERN "rep stosq");
STRING_ROUTINES(lods1, "xorl %eax, %eax\n\trep lodsb");
STRING_ROUTINES(lods2, "xorl %eax, %eax\n\trep lodsw");
STRING_ROUTINES(lods4, "xorl %eax, %eax\n\trep lodsl");
STRING_ROUTINES(lods8, "xorl %eax, %eax\n\trep lodsq");
STRING_ROUTINES(cmps1, "repe cmpsb");
STRING_ROUTINES(cmps2, "repe cmpsw");
STRING_ROUTINES(cmps4, "repe cmpsl");
STRING_ROUTINES(cmps8, "repe cmpsq");
STRING_ROUTINES(scas1, "movb $0x5a, %al\n\trepne scasb");
STRING_ROUTINES(scas2, "movw $0x5a5a, %ax\n\trepne scasw");
STRING_ROUTINES(scas4, "movl $0x5a5a5a5a, %eax\n\trepne scasl");
STRING_ROUTINES(scas8, "movabsq $0x5a5a5a5a5a5a5a5a, %rax\n\trepne scasq");

struct size {
	unsigned bytes;
	const char *up, *down;
};
#define SIZES(name) { { 1, name##1, name##1_down }, { 2, name##2, name##2_down }, { 4, name##4, name##4_down }, { 8, name##8, name##8_down } }
#define FOR_EACH_SIZE(s, sizes) for (const struct size *s = sizes; s < sizes + 4; s++)

/*
 * Source and destination: two pages each, that are neighbours in the window
 * but not in memory. Operations begin 37 bytes off the boundary between them.
 */
#define SOURCE (WINDOW + 0x100000)
#define DESTINATION (WINDOW + 0x200000)
enum { SPAN = 96, BEFORE = 37 };

static void map_buffers(void)
{
	map(SOURCE, (uint64_t)scratch[0], RW, PTE);
	map(SOURCE + PAGE_BYTES, (uint64_t)scratch[2], RW, PTE);
	map(DESTINATION, (uint64_t)scratch[6], RW, PTE);
	map(DESTINATION + PAGE_BYTES, (uint64_t)scratch[4], RW, PTE);
	for (unsigned i = 0; i < 2 * PAGE_BYTES; i++) {
		((uint8_t *)SOURCE)[i] = (uint8_t)(i * 7 + i / 256 + 1);
		((uint8_t *)DESTINATION)[i] = 0;
	}
}

static uint8_t *source(void)
{
	return (uint8_t *)SOURCE + PAGE_BYTES - BEFORE;
}

static uint8_t *destination(void)
{
	return (uint8_t *)DESTINATION + PAGE_BYTES - BEFORE;
}

static void movs(void)
{
	static const struct size sizes[] = SIZES(movs);
	FOR_EACH_SIZE(s, sizes) {
		uint64_t count = SPAN / s->bytes, last = SPAN - s->bytes;
		map_buffers();
		RUN3("upwards", RETURNS, s->up, destination(), source(), count);
		EXPECT("RCX", 0, left.rcx);
		EXPECT("RSI", (uint64_t)source() + SPAN, left.rsi);
		EXPECT("RDI", (uint64_t)destination() + SPAN, left.rdi);
		EXPECT("bytes moved differ", 0, memcmp(destination(), source(), SPAN));
		EXPECT("byte after them", 0, destination()[SPAN]);
		map_buffers();
		RUN3("downwards", RETURNS, s->down, destination() + last, source() + last, count);
		EXPECT("RSI downwards", (uint64_t)source() - s->bytes, left.rsi);
		EXPECT("RDI downwards", (uint64_t)destination() - s->bytes, left.rdi);
		EXPECT("bytes moved downwards differ", 0, memcmp(destination(), source(), SPAN));
		EXPECT("byte before them", 0, destination()[-1]);
	}
}

static void stos(void)
{
	static const struct size sizes[] = SIZES(stos);
	static const uint8_t pattern[] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88 };
	FOR_EACH_SIZE(s, sizes)
		for (unsigned down = 0; down < 2; down++) {
			map_buffers();
			RUN3("store", RETURNS, down ? s->down : s->up, destination() + (down ? SPAN - s->bytes : 0), 0, SPAN / s->bytes);
			EXPECT("RCX", 0, left.rcx);
			EXPECT("RDI", (uint64_t)destination() + (down ? -(uint64_t)s->bytes : SPAN), left.rdi);
			for (unsigned i = 0; i < SPAN; i++)
				EXPECT("byte stored", pattern[i % s->bytes], destination()[i]);
			EXPECT("byte before", 0, destination()[-1]);
			EXPECT("byte after", 0, destination()[SPAN]);
		}
}

static void lods(void)
{
	static const struct size sizes[] = SIZES(lods);
	map_buffers();
	FOR_EACH_SIZE(s, sizes) {
		uint64_t last = 0, first = 0;
		memcpy(&last, source() + SPAN - s->bytes, s->bytes);
		memcpy(&first, source(), s->bytes);
		RUN3("load", RETURNS, s->up, 0, source(), SPAN / s->bytes);
		EXPECT("RAX: last of them", last, probe_result);
		EXPECT("RSI", (uint64_t)source() + SPAN, left.rsi);
		RUN3("load downwards", RETURNS, s->down, 0, source() + SPAN - s->bytes, SPAN / s->bytes);
		EXPECT("RAX: first of them", first, probe_result);
	}
}

static void cmps(void)
{
	static const struct size sizes[] = SIZES(cmps);
	FOR_EACH_SIZE(s, sizes) {
		map_buffers();
		memcpy(destination(), source(), SPAN);
		RUN3("equal", RETURNS, s->up, destination(), source(), SPAN / s->bytes);
		EXPECT("RCX when equal", 0, left.rcx);
		EXPECT("ZF when equal", RFLAGS_ZF, left.rflags & RFLAGS_ZF);
		destination()[64] = (uint8_t)(source()[64] + 1);
		RUN3("unequal", RETURNS, s->up, destination(), source(), SPAN / s->bytes);
		EXPECT("RSI: after the first difference", (uint64_t)source() + 64 + s->bytes, left.rsi);
		EXPECT("RCX", (SPAN - 64) / s->bytes - 1, left.rcx);
		EXPECT("ZF and CF: source below", RFLAGS_CF, left.rflags & (RFLAGS_ZF | RFLAGS_CF));
		RUN3("downwards", RETURNS, s->down, destination() + SPAN - s->bytes, source() + SPAN - s->bytes, SPAN / s->bytes);
		EXPECT("RDI downwards", (uint64_t)destination() + 64 - s->bytes, left.rdi);
	}
}

static void scas(void)
{
	static const struct size sizes[] = SIZES(scas);
	FOR_EACH_SIZE(s, sizes) {
		map_buffers();
		RUN3("not there", RETURNS, s->up, destination(), 0, SPAN / s->bytes);
		EXPECT("RCX when not there", 0, left.rcx);
		EXPECT("ZF when not there", 0, left.rflags & RFLAGS_ZF);
		memset(destination() + 48, 0x5a, s->bytes);
		RUN3("there", RETURNS, s->up, destination(), 0, SPAN / s->bytes);
		EXPECT("RDI: after it", (uint64_t)destination() + 48 + s->bytes, left.rdi);
		EXPECT("RCX", (SPAN - 48) / s->bytes - 1, left.rcx);
		EXPECT("ZF", RFLAGS_ZF, left.rflags & RFLAGS_ZF);
	}
}

/* Upwards by one element, MOVS repeats the first over all: that is defined. */
static void overlap(void)
{
	static const struct size sizes[] = SIZES(movs);
	FOR_EACH_SIZE(s, sizes) {
		map_buffers();
		memcpy(destination(), source(), SPAN);
		RUN3("upwards by one", RETURNS, s->up, destination() + s->bytes, destination(), SPAN / s->bytes - 1);
		for (unsigned i = 0; i < SPAN; i++)
			EXPECT("byte", source()[i % s->bytes], destination()[i]);
		memcpy(destination(), source(), SPAN);
		RUN3("downwards by one", RETURNS, s->down, destination() + SPAN - s->bytes, destination() + SPAN - 2 * s->bytes, SPAN / s->bytes - 1);
		for (unsigned i = s->bytes; i < SPAN; i++)
			EXPECT("byte moved by one", source()[i - s->bytes], destination()[i]);
		memcpy(destination(), source(), SPAN);
		RUN3("upwards by three bytes", RETURNS, s->up, destination() + 3, destination(), 1);
		for (unsigned i = 0; i < s->bytes; i++)
			EXPECT("byte of one unaligned element", source()[i], destination()[i + 3]);
	}
}

/* With RCX = 0 nothing is touched, not even a bad address. */
static void count_zero(void)
{
	RUN3("REP MOVSB", RETURNS, movs1, NONCANONICAL, WINDOW, 0);
	EXPECT("RDI", NONCANONICAL, left.rdi);
	RUN3("REP STOSQ", RETURNS, stos8, NONCANONICAL, 0, 0);
	RUN3("REPE CMPSB", RETURNS, cmps1, NONCANONICAL, WINDOW, 0);
	RUN3("REPNE SCASB", RETURNS, scas1, NONCANONICAL, 0, 0);
}

/* The first fault is noted, the page behind it mapped, and the instruction resumed. */
static struct {
	unsigned count;
	uint64_t physical, bits;
	struct trap trap;
} fault;

static bool map_and_resume(struct trap_frame *frame)
{
	if (frame->vector != PF || fault.count++)
		return false;
	fault.trap = last_trap;
	map(last_trap.cr2 & -PAGE_BYTES, fault.physical, fault.bits, PTE);
	return true;
}

static void unmap(uint64_t page)
{
	fault.count = 0;
	fault.physical = *entry(page, PTE) & -PAGE_BYTES & ~PTE_NX;
	fault.bits = RW;
	*entry(page, PTE) = 0;
	invlpg(page);
	trap_hook = map_and_resume;
}

static void fault_in_movs(void)
{
	static const struct size sizes[] = SIZES(movs);
	FOR_EACH_SIZE(s, sizes)
		for (unsigned of_source = 0; of_source < 2; of_source++) {
			uint64_t page = (of_source ? SOURCE : DESTINATION) + PAGE_BYTES;
			uint64_t done = BEFORE / s->bytes;
			map_buffers();
			unmap(page);
			RUN3("move", RETURNS, s->up, destination(), source(), SPAN / s->bytes);
			trap_hook = NULL;
			const struct trap_frame *f = &fault.trap.frame;
			EXPECT("number of faults", 1, fault.count);
			EXPECT("error code", of_source ? 0 : PFEC_W, f->error);
			EXPECT("CR2: first byte of the absent page", page, fault.trap.cr2);
			EXPECT("RCX in the fault", SPAN / s->bytes - done, f->rcx);
			EXPECT("RSI in the fault", (uint64_t)source() + done * s->bytes, f->rsi);
			EXPECT("RDI in the fault", (uint64_t)destination() + done * s->bytes, f->rdi);
			EXPECT("RCX at the end", 0, left.rcx);
			EXPECT("bytes moved differ", 0, memcmp(destination(), source(), SPAN));
		}
}

/* Downwards the first element that touches the lower page faults, at its own first byte there. */
static void fault_in_movs_down(void)
{
	static const struct size sizes[] = SIZES(movs);
	FOR_EACH_SIZE(s, sizes) {
		uint64_t done = (SPAN - BEFORE) / s->bytes, last = SPAN - s->bytes;
		map_buffers();
		unmap(DESTINATION);
		RUN3("move", RETURNS, s->down, destination() + last, source() + last, SPAN / s->bytes);
		trap_hook = NULL;
		const struct trap_frame *f = &fault.trap.frame;
		EXPECT("number of faults", 1, fault.count);
		EXPECT("RCX in the fault", SPAN / s->bytes - done, f->rcx);
		EXPECT("RDI in the fault", (uint64_t)destination() + last - done * s->bytes, f->rdi);
		EXPECT("CR2", f->rdi, fault.trap.cr2);
		EXPECT("DF in the fault", RFLAGS_DF, f->rflags & RFLAGS_DF);
		EXPECT("bytes moved differ", 0, memcmp(destination(), source(), SPAN));
	}
}

static void fault_in_stos(void)
{
	static const struct size sizes[] = SIZES(stos);
	FOR_EACH_SIZE(s, sizes) {
		uint64_t done = BEFORE / s->bytes;
		map_buffers();
		unmap(DESTINATION + PAGE_BYTES);
		RUN3("store", RETURNS, s->up, destination(), 0, SPAN / s->bytes);
		trap_hook = NULL;
		EXPECT("CR2", DESTINATION + PAGE_BYTES, fault.trap.cr2);
		EXPECT("RCX in the fault", SPAN / s->bytes - done, fault.trap.frame.rcx);
		EXPECT("RDI in the fault", (uint64_t)destination() + done * s->bytes, fault.trap.frame.rdi);
		EXPECT("RDI at the end", (uint64_t)destination() + SPAN, left.rdi);
		EXPECT("last byte", s->bytes * 0x11, destination()[SPAN - 1]);
	}
}

static void fault_in_compare(void)
{
	map_buffers();
	memcpy(destination(), source(), SPAN);
	unmap(DESTINATION + PAGE_BYTES);
	RUN3("REPE CMPSB", RETURNS, cmps1, destination(), source(), SPAN);
	EXPECT("RCX in the fault", SPAN - BEFORE, fault.trap.frame.rcx);
	EXPECT("error code", 0, fault.trap.frame.error);
	EXPECT("RCX at the end", 0, left.rcx);
	EXPECT("ZF at the end", RFLAGS_ZF, left.rflags & RFLAGS_ZF);
	map_buffers();
	unmap(DESTINATION + PAGE_BYTES);
	RUN3("REPNE SCASB", RETURNS, scas1, destination(), 0, SPAN);
	EXPECT("RCX in the fault", SPAN - BEFORE, fault.trap.frame.rcx);
	map_buffers();
	unmap(SOURCE + PAGE_BYTES);
	RUN3("REP LODSB", RETURNS, lods1, 0, source(), SPAN);
	EXPECT("RCX in the fault", SPAN - BEFORE, fault.trap.frame.rcx);
	EXPECT("AL in the fault: last byte loaded", source()[BEFORE - 1], fault.trap.frame.rax & 0xff);
}

/* A write-protected page in the middle: what was moved stays, and nothing of the rest. */
static void protected_page(void)
{
	map_buffers();
	*entry(DESTINATION + PAGE_BYTES, PTE) &= ~PTE_W;
	invlpg(DESTINATION + PAGE_BYTES);
	RUN3("REP MOVSB", TRAP(PF, PFEC_P | PFEC_W, DESTINATION + PAGE_BYTES, (uint64_t)movs1 + 3), movs1, destination(), source(), SPAN);
	EXPECT("RCX", SPAN - BEFORE, last_trap.frame.rcx);
	EXPECT("bytes moved differ", 0, memcmp(destination(), source(), BEFORE));
	EXPECT("first byte of the protected page", 0, destination()[BEFORE]);
}

/* A 32-bit address size takes ECX, ESI and EDI, and clears their upper halves. */
ROUTINE(movs_address_32, COUNT "addr32 rep movsb\n\t" LEAVE);

static void address_size_32(void)
{
	uint64_t high = 0x5500000000ul;
	memcpy(scratch[10], "abcdefgh", 8);
	RUN3("REP MOVSB", RETURNS, movs_address_32, high | (uint64_t)scratch[11], high | (uint64_t)scratch[10], high | 8);
	EXPECT("RCX", 0, left.rcx);
	EXPECT("RSI", (uint64_t)scratch[10] + 8, left.rsi);
	EXPECT("RDI", (uint64_t)scratch[11] + 8, left.rdi);
	EXPECT("bytes moved differ", 0, memcmp(scratch[10], scratch[11], 8));
}

static const struct check checks[] = {
	{ "rep-movs", "SDM 2, REP", movs },
	{ "rep-stos", "SDM 2, REP", stos },
	{ "rep-lods", "SDM 2, REP", lods },
	{ "repe-cmps", "SDM 2, REP", cmps },
	{ "repne-scas", "SDM 2, REP", scas },
	{ "rep-movs-overlapping", "SDM 2, REP", overlap },
	{ "rep-count-zero", "SDM 2, REP", count_zero },
	{ "rep-movs-fault", "SDM 2, REP", fault_in_movs },
	{ "rep-movs-fault-downwards", "SDM 2, REP", fault_in_movs_down },
	{ "rep-stos-fault", "SDM 2, REP", fault_in_stos },
	{ "rep-cmps-scas-lods-fault", "SDM 2, REP", fault_in_compare },
	{ "rep-movs-protected-page", "SDM 2, REP", protected_page },
	{ "rep-address-size-32", "SDM 2, REP", address_size_32 },
};
CHECK_GROUP(string_group, "string instructions", checks);
