/*
 * Integer instructions against references in C that compute result and flags
 * bit by bit, or from the definition (SDM vol. 1, 3.4.3 and vol. 2).
 */
#include "check.h"

/* Runs with flags %rdx on entry, and returns RAX with the flags left in flags_left. */
static uint64_t flags_left __asm__("flags_left") __attribute__((used));
#define WITH_FLAGS(code) "pushq %rdx\n\tpopfq\n\t" code "\n\tpushfq\n\tpopq flags_left(%rip)\n\tcld\n\tret"
#define FLAG_ROUTINE(name, code) ROUTINE(name, "movq %rdi, %rax\n\tmovq %rsi, %rcx\n\t" WITH_FLAGS(code))

static uint64_t state;

static uint64_t random64(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Now and then a value at an edge, where flags change. */
static uint64_t operand(void)
{
	static const uint64_t edges[] = { 0, 1, -1ul, 1ul << 63, (1ul << 63) - 1, 0x80000000, 0x7fffffff, 0xffffffff, 0x80, 0x7f, 0xffff, 0x8000 };
	uint64_t r = random64();
	return r & 1 ? random64() : edges[(r >> 8) % (sizeof edges / sizeof edges[0])];
}

static uint64_t mask_of(unsigned bits)
{
	return bits == 64 ? -1ul : (1ul << bits) - 1;
}

static uint64_t result_flags(uint64_t result, unsigned bits)
{
	unsigned ones = 0;
	for (unsigned i = 0; i < 8; i++)
		ones += result >> i & 1;
	result &= mask_of(bits);
	return (ones & 1 ? 0 : RFLAGS_PF) | (result ? 0 : RFLAGS_ZF) | (result >> (bits - 1) & 1 ? RFLAGS_SF : 0);
}

/* A full adder, bit by bit; subtraction adds the complement and inverts the carries. */
static uint64_t add_reference(uint64_t a, uint64_t b, unsigned carry, bool subtract, unsigned bits, uint64_t *flags)
{
	uint64_t result = 0;
	unsigned c = subtract ? !carry : carry, into_sign = 0, half = 0;
	for (unsigned i = 0; i < bits; i++) {
		unsigned x = a >> i & 1, y = (b >> i & 1) ^ subtract;
		if (i == 4)
			half = c;
		if (i == bits - 1)
			into_sign = c;
		result |= (uint64_t)(x ^ y ^ c) << i;
		c = (x & y) | (x & c) | (y & c);
	}
	*flags = result_flags(result, bits) | (into_sign != c ? RFLAGS_OF : 0) |
	         (c != subtract ? RFLAGS_CF : 0) | (half != subtract ? RFLAGS_AF : 0);
	return result;
}

#define ADD_ROUTINES(name) \
	FLAG_ROUTINE(name##_8, #name "b %cl, %al"); \
	FLAG_ROUTINE(name##_16, #name "w %cx, %ax"); \
	FLAG_ROUTINE(name##_32, #name "l %ecx, %eax"); \
	FLAG_ROUTINE(name##_64, #name "q %rcx, %rax")
ADD_ROUTINES(add);
ADD_ROUTINES(adc);
ADD_ROUTINES(sub);
ADD_ROUTINES(sbb);

static void add_and_subtract(void)
{
	static const struct {
		const char *code;
		unsigned bits;
		bool subtract, carry;
	} cases[] = {
		{ add_8, 8, false, false }, { add_16, 16, false, false }, { add_32, 32, false, false }, { add_64, 64, false, false },
		{ adc_8, 8, false, true }, { adc_16, 16, false, true }, { adc_32, 32, false, true }, { adc_64, 64, false, true },
		{ sub_8, 8, true, false }, { sub_16, 16, true, false }, { sub_32, 32, true, false }, { sub_64, 64, true, false },
		{ sbb_8, 8, true, true }, { sbb_16, 16, true, true }, { sbb_32, 32, true, true }, { sbb_64, 64, true, true },
	};
	state = 0x9e3779b97f4a7c15;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (unsigned n = 0; n < 200; n++) {
			uint64_t a = operand(), b = operand(), flags, m = mask_of(cases[i].bits);
			unsigned carry = n & 1;
			uint64_t expected = add_reference(a & m, b & m, cases[i].carry ? carry : 0, cases[i].subtract, cases[i].bits, &flags);
			RUN3("instruction", RETURNS, cases[i].code, a, b, RFLAGS_FIXED | carry);
			EXPECT("result", expected, probe_result & m);
			EXPECT("flags", flags, flags_left & RFLAGS_STATUS);
			/* 8 and 16 bits keep the rest of RAX, 32 bits clear it. */
			EXPECT("rest of RAX", cases[i].bits == 32 ? 0 : a & ~m, probe_result & ~m);
		}
}

/* 256-bit numbers in four words: the carry goes from word to word through MOV, LEA, DEC and JNZ. */
ROUTINE(chain_add, "movl $4, %edx\n\tclc\n\t"
	"1: movq (%rdi), %rax\n\tadcq (%rsi), %rax\n\tmovq %rax, (%rdi)\n\t"
	"leaq 8(%rdi), %rdi\n\tleaq 8(%rsi), %rsi\n\tdecl %edx\n\tjnz 1b\n\tsbbq %rax, %rax\n\tret");
ROUTINE(chain_subtract, "movl $4, %edx\n\tclc\n\t"
	"1: movq (%rdi), %rax\n\tsbbq (%rsi), %rax\n\tmovq %rax, (%rdi)\n\t"
	"leaq 8(%rdi), %rdi\n\tleaq 8(%rsi), %rsi\n\tdecl %edx\n\tjnz 1b\n\tsetc %al\n\tmovzbl %al, %eax\n\tret");

static void carry_chains(void)
{
	state = 12345;
	for (unsigned n = 0; n < 100; n++) {
		uint64_t a[4], b[4], sum[4];
		unsigned carry = 0;
		for (unsigned i = 0; i < 4; i++) {
			uint64_t flags;
			a[i] = operand();
			b[i] = operand();
			sum[i] = add_reference(a[i], b[i], carry, false, 64, &flags);
			carry = flags & RFLAGS_CF;
		}
		uint64_t before[4];
		memcpy(before, a, sizeof a);
		RUN("ADC chain", RETURNS, chain_add, a, b);
		EXPECT("sum differs", 0, memcmp(a, sum, sizeof a));
		EXPECT("carry out, by SBB of a register with itself", carry ? -1ul : 0, probe_result);
		RUN("SBB chain", RETURNS, chain_subtract, a, b);
		EXPECT("difference differs", 0, memcmp(a, before, sizeof a));
		EXPECT("borrow out", carry, probe_result);
	}
}

#define SHIFT_ROUTINES(name) \
	FLAG_ROUTINE(name##_8, #name "b %cl, %al"); \
	FLAG_ROUTINE(name##_16, #name "w %cl, %ax"); \
	FLAG_ROUTINE(name##_32, #name "l %cl, %eax"); \
	FLAG_ROUTINE(name##_64, #name "q %cl, %rax")
SHIFT_ROUTINES(rol);
SHIFT_ROUTINES(ror);
SHIFT_ROUTINES(rcl);
SHIFT_ROUTINES(rcr);
SHIFT_ROUTINES(shl);
SHIFT_ROUTINES(shr);
SHIFT_ROUTINES(sar);

enum shift { ROL, ROR, RCL, RCR, SHL, SHR, SAR };

/* One bit at a time, as the manual's pseudocode; flags that it defines are in *defined. */
static uint64_t shift_reference(enum shift kind, uint64_t a, unsigned count, unsigned bits, uint64_t *flags, uint64_t *defined)
{
	uint64_t m = mask_of(bits), top = 1ul << (bits - 1), v = a & m;
	unsigned carry = *flags & RFLAGS_CF;
	bool rotate = kind <= RCR;
	count &= bits == 64 ? 63 : 31;
	*defined = RFLAGS_STATUS;
	if (!count)
		return v;
	for (unsigned i = 0; i < count; i++) {
		unsigned low = v & 1, high = v & top ? 1 : 0, in = carry;
		switch (kind) {
		case ROL: v = v << 1 | high; carry = high; break;
		case ROR: v = v >> 1 | (low ? top : 0); carry = low; break;
		case RCL: v = v << 1 | in; carry = high; break;
		case RCR: v = v >> 1 | (in ? top : 0); carry = low; break;
		case SHL: v <<= 1; carry = high; break;
		case SHR: v >>= 1; carry = low; break;
		case SAR: v = v >> 1 | (v & top); carry = low; break;
		}
		v &= m;
	}
	bool left = kind == ROL || kind == RCL || kind == SHL;
	unsigned sign = v & top ? 1 : 0, below = v & top >> 1 ? 1 : 0, before = a & top ? 1 : 0;
	unsigned overflow = left ? sign ^ carry : kind == SHR ? before : kind == SAR ? 0 : sign ^ below;
	uint64_t changed = RFLAGS_CF | RFLAGS_OF | (rotate ? 0 : RFLAGS_PF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_AF);
	*flags = (*flags & ~changed) | carry | (overflow ? RFLAGS_OF : 0) | (rotate ? 0 : result_flags(v, bits));
	/* OF is defined for counts of one, AF never after a shift, CF not when SHL or SHR run out of bits. */
	*defined = RFLAGS_STATUS & ~(count > 1 ? RFLAGS_OF : 0) & ~(rotate ? 0 : RFLAGS_AF);
	if (!rotate && kind != SAR && count >= bits)
		*defined &= ~RFLAGS_CF;
	return v;
}

static void shifts_and_rotates(void)
{
	static const struct {
		const char *code[4];
		enum shift kind;
	} cases[] = {
		{ { rol_8, rol_16, rol_32, rol_64 }, ROL }, { { ror_8, ror_16, ror_32, ror_64 }, ROR },
		{ { rcl_8, rcl_16, rcl_32, rcl_64 }, RCL }, { { rcr_8, rcr_16, rcr_32, rcr_64 }, RCR },
		{ { shl_8, shl_16, shl_32, shl_64 }, SHL }, { { shr_8, shr_16, shr_32, shr_64 }, SHR },
		{ { sar_8, sar_16, sar_32, sar_64 }, SAR },
	};
	state = 777;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (unsigned size = 0; size < 4; size++)
			for (unsigned count = 0; count < 70; count++) {
				unsigned bits = 8u << size;
				uint64_t a = operand(), defined, before = random64() & RFLAGS_STATUS, flags = before;
				uint64_t expected = shift_reference(cases[i].kind, a, count, bits, &flags, &defined);
				RUN3("instruction", RETURNS, cases[i].code[size], a, count, before | RFLAGS_FIXED);
				EXPECT("result", expected, probe_result & mask_of(bits));
				EXPECT("flags", flags & defined, flags_left & defined);
			}
}

static uint64_t double_shift_reference(bool left, uint64_t a, uint64_t fill, unsigned count, unsigned bits)
{
	count &= bits - 1;
	if (!count)
		return a & mask_of(bits);
	unsigned __int128 both = left ? (unsigned __int128)(a & mask_of(bits)) << bits | (fill & mask_of(bits))
	                              : (unsigned __int128)(fill & mask_of(bits)) << bits | (a & mask_of(bits));
	return (uint64_t)(left ? both >> (bits - count) : both >> count) & mask_of(bits);
}

ROUTINE(shld_r8, "movq %rdi, %rax\n\tmovq %rsi, %r8\n\tmovq %rdx, %rcx\n\tshldq %cl, %r8, %rax\n\tret");
ROUTINE(shrd_r8, "movq %rdi, %rax\n\tmovq %rsi, %r8\n\tmovq %rdx, %rcx\n\tshrdq %cl, %r8, %rax\n\tret");
ROUTINE(shld_r8d, "movq %rdi, %rax\n\tmovq %rsi, %r8\n\tmovq %rdx, %rcx\n\tshldl %cl, %r8d, %eax\n\tret");
ROUTINE(shrd_r8d, "movq %rdi, %rax\n\tmovq %rsi, %r8\n\tmovq %rdx, %rcx\n\tshrdl %cl, %r8d, %eax\n\tret");

static void double_shifts(void)
{
	state = 4242;
	for (unsigned count = 0; count < 130; count++) {
		uint64_t a = random64(), fill = random64();
		RUN3("SHLD", RETURNS, shld_r8, a, fill, count);
		EXPECT("SHLD, 64 bits", double_shift_reference(true, a, fill, count, 64), probe_result);
		RUN3("SHRD", RETURNS, shrd_r8, a, fill, count);
		EXPECT("SHRD, 64 bits", double_shift_reference(false, a, fill, count, 64), probe_result);
		RUN3("SHLD", RETURNS, shld_r8d, a, fill, count);
		EXPECT("SHLD, 32 bits", double_shift_reference(true, a, fill, count, 32), probe_result);
		RUN3("SHRD", RETURNS, shrd_r8d, a, fill, count);
		EXPECT("SHRD, 32 bits", double_shift_reference(false, a, fill, count, 32), probe_result);
	}
}

FLAG_ROUTINE(mul_high, "mulq %rcx\n\tmovq %rdx, %rax");
FLAG_ROUTINE(mul_low, "mulq %rcx");
FLAG_ROUTINE(imul_high, "imulq %rcx\n\tmovq %rdx, %rax");
FLAG_ROUTINE(imul_two, "imulq %rcx, %rax");
FLAG_ROUTINE(mul_8, "mulb %cl");
ROUTINE(divide, "movq %rdx, %rcx\n\tmovq %rsi, %rax\n\tmovq %rdi, %rdx\n\tdivq %rcx\n\tmovq %rdx, flags_left(%rip)\n\tret");
ROUTINE(idivide_32, "movl %edi, %eax\n\tcltd\n\tidivl %esi\n\tmovq %rdx, flags_left(%rip)\n\tret");
ROUTINE(divide_8, "movl %edi, %eax\n\tdivb %sil\n\tret");

/* 64 x 64 -> 128 bits by shift and add. */
static uint64_t multiply_reference(uint64_t a, uint64_t b, uint64_t *low)
{
	uint64_t high = 0, sum = 0;
	for (unsigned i = 0; i < 64; i++)
		if (b >> i & 1) {
			uint64_t part = a << i;
			high += i ? a >> (64 - i) : 0;
			sum += part;
			high += sum < part;
		}
	*low = sum;
	return high;
}

static void multiply(void)
{
	const uint64_t both = RFLAGS_CF | RFLAGS_OF;
	state = 99;
	for (unsigned n = 0; n < 200; n++) {
		uint64_t a = operand(), b = operand(), low, high = multiply_reference(a, b, &low);
		RUN3("MUL", RETURNS, mul_high, a, b, RFLAGS_FIXED);
		EXPECT("upper half of MUL", high, probe_result);
		EXPECT("CF and OF of MUL", high ? both : 0, flags_left & both);
		RUN3("MUL", RETURNS, mul_low, a, b, RFLAGS_FIXED);
		EXPECT("lower half of MUL", low, probe_result);
		uint64_t signed_high = high - (a >> 63 ? b : 0) - (b >> 63 ? a : 0);
		RUN3("IMUL", RETURNS, imul_high, a, b, RFLAGS_FIXED);
		EXPECT("upper half of IMUL", signed_high, probe_result);
		RUN3("IMUL of two operands", RETURNS, imul_two, a, b, RFLAGS_FIXED);
		EXPECT("IMUL of two operands", low, probe_result);
		EXPECT("CF and OF of IMUL", signed_high == (low >> 63 ? -1ul : 0) ? 0 : both, flags_left & both);
		RUN3("MUL of bytes", RETURNS, mul_8, a, b, RFLAGS_FIXED);
		EXPECT("AX of MUL of bytes", (a & 0xff) * (b & 0xff), probe_result & 0xffff);
	}
}

static void division(void)
{
	state = 31337;
	for (unsigned n = 0; n < 200; n++) {
		/* From quotient, divisor and remainder to the dividend, and back. */
		uint64_t quotient = operand(), divisor = operand() | 1, remainder = operand() % divisor, low;
		uint64_t high = multiply_reference(quotient, divisor, &low);
		low += remainder;
		high += low < remainder;
		RUN3("DIV", RETURNS, divide, high, low, divisor);
		EXPECT("quotient", quotient, probe_result);
		EXPECT("remainder", remainder, flags_left);
	}
	RUN("IDIV -7 / 2", RETURNS, idivide_32, -7, 2);
	EXPECT("-7 / 2, towards zero", 0xfffffffd, probe_result);
	EXPECT("remainder, with the dividend's sign", 0xffffffff, flags_left);
	RUN("IDIV 7 / -2", RETURNS, idivide_32, 7, -2);
	EXPECT("7 / -2", 0xfffffffd, probe_result);
	EXPECT("remainder", 1, flags_left);
	RUN("DIV 511 / 2 in bytes", RETURNS, divide_8, 511, 2);
	EXPECT("AH:AL", 0x01ff, probe_result & 0xffff);
	RUN("DIV 512 / 2 in bytes", TRAP(DE, 0, 0, (uint64_t)divide_8 + 2), divide_8, 512, 2);
}

/* Byte registers: AH to BH without REX, SPL to DIL with one. */
ROUTINE(high_bytes, "movl $0x1122, %eax\n\tmovl $0x3344, %ecx\n\tmovb %ch, %al\n\taddb %ah, %al\n\txchgb %al, %ah\n\tret");
ROUTINE(low_bytes, "movl $0x55667788, %esi\n\tmovb %dil, %sil\n\tmovq %rsi, %rax\n\tret");
ROUTINE(cmov_clears, "movq $-1, %rax\n\tcmpl %eax, %eax\n\tcmovnel %edi, %eax\n\tret");
ROUTINE(xchg_clears, "movq $-1, %rax\n\txchgl %eax, %eax\n\tmovq $-1, %rcx\n\txchgl %ecx, %eax\n\tret");
ROUTINE(bswaps, "movq %rdi, %rax\n\tbswapq %rax\n\tmovq %rdi, %rcx\n\tbswapl %ecx\n\tsubq %rcx, %rax\n\tret");
ROUTINE(sign_extensions, "movb $0x80, %al\n\tcbtw\n\tcwtl\n\tcltq\n\tmovslq %edi, %rcx\n\taddq %rcx, %rax\n\tret");

static void registers(void)
{
	RUN("high bytes", RETURNS, high_bytes, 0, 0);
	EXPECT("AX", 0x4411, probe_result);
	RUN("low bytes", RETURNS, low_bytes, 0x99, 0);
	EXPECT("RSI", 0x55667799, probe_result);
	RUN("CMOV that does not move", RETURNS, cmov_clears, 5, 0);
	EXPECT("RAX: upper half clear all the same", 0xffffffff, probe_result);
	RUN("XCHG", RETURNS, xchg_clears, 0, 0);
	EXPECT("RAX", 0xffffffff, probe_result);
	RUN("BSWAP", RETURNS, bswaps, 0x0102030405060708, 0);
	EXPECT("64 minus 32 bits", 0x0807060504030201 - 0x08070605, probe_result);
	RUN("sign extensions", RETURNS, sign_extensions, 0x80000000, 0);
	EXPECT("sum", -128ul - 0x80000000, probe_result);
}

FLAG_ROUTINE(bsf, "bsfq %rax, %rax");
FLAG_ROUTINE(bsr, "bsrq %rax, %rax");
FLAG_ROUTINE(inc, "incq %rax");
FLAG_ROUTINE(neg, "negq %rax");
FLAG_ROUTINE(lahf, "lahf");
FLAG_ROUTINE(sahf, "sahf");

static void flags(void)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		RUN3("BSF", RETURNS, bsf, -1ul << bit, 0, RFLAGS_FIXED);
		EXPECT("BSF", bit, probe_result);
		RUN3("BSR", RETURNS, bsr, 1ul << bit | 1, 0, RFLAGS_FIXED);
		EXPECT("BSR", bit, probe_result);
	}
	RUN3("BSF of 0", RETURNS, bsf, 0, 0, RFLAGS_FIXED);
	EXPECT("ZF of BSF of 0", RFLAGS_ZF, flags_left & RFLAGS_ZF);
	RUN3("INC", RETURNS, inc, -1, 0, RFLAGS_FIXED | RFLAGS_CF);
	EXPECT("INC keeps CF", RFLAGS_CF | RFLAGS_ZF | RFLAGS_PF | RFLAGS_AF, flags_left & RFLAGS_STATUS);
	RUN3("INC", RETURNS, inc, (1ul << 63) - 1, 0, RFLAGS_FIXED);
	EXPECT("INC to the sign", RFLAGS_OF | RFLAGS_SF | RFLAGS_PF | RFLAGS_AF, flags_left & RFLAGS_STATUS);
	RUN3("NEG", RETURNS, neg, 1ul << 63, 0, RFLAGS_FIXED);
	EXPECT("NEG of INT64_MIN", RFLAGS_CF | RFLAGS_OF | RFLAGS_SF | RFLAGS_PF, flags_left & RFLAGS_STATUS);
	RUN3("LAHF", RETURNS, lahf, 0, 0, RFLAGS_FIXED | RFLAGS_CF | RFLAGS_SF);
	EXPECT("AH", 0x83, probe_result >> 8 & 0xff);
	RUN3("SAHF", RETURNS, sahf, 0xff00, 0, RFLAGS_FIXED);
	EXPECT("flags of SAHF", RFLAGS_STATUS & ~RFLAGS_OF, flags_left & RFLAGS_STATUS);
}

/* ENTER with three display pointers, LEAVE, and what they leave of RSP and RBP. */
ROUTINE(enter_leave, "movq %rsp, %rdx\n\tpushq %rbp\n\tleaq nest_end(%rip), %rbp\n\t"
	"enter $32, $3\n\tmovq 0(%rbp), %rax\n\tmovq -8(%rbp), %rcx\n\tmovq %rbp, %rsi\n\tsubq -24(%rbp), %rsi\n\t"
	"movq %rbp, %rdi\n\tsubq %rsp, %rdi\n\tleave\n\tpopq %rbp\n\tsubq %rsp, %rdx\n\t"
	"leaq nest_end(%rip), %r8\n\tsubq %r8, %rax\n\tshlq $8, %rcx\n\taddq %rcx, %rax\n\tshlq $16, %rsi\n\taddq %rsi, %rax\n\t"
	"shlq $24, %rdi\n\taddq %rdi, %rax\n\tshlq $48, %rdx\n\taddq %rdx, %rax\n\tret\n\t"
	".balign 8\n\t.quad 0x22, 0x11\n\tnest_end: .quad 0");
ROUTINE(loops, "movl $5, %ecx\n\txorl %eax, %eax\n\t1: incl %eax\n\tloop 1b\n\tjrcxz 2f\n\tud2\n\t2: movabsq $0x100000000, %rcx\n\t"
	"jecxz 3f\n\tud2\n\t3: ret");
ROUTINE(push_pop, "pushq $-5\n\tpushw $0x1234\n\tpopw %ax\n\tmovzwl %ax, %eax\n\tpopq %rcx\n\taddq %rcx, %rax\n\t"
	"pushq %rsp\n\tpopq %rdx\n\tsubq %rsp, %rdx\n\taddq %rdx, %rax\n\tpushq %rax\n\tpopq (%rdi)\n\tret");

static void stack_and_loops(void)
{
	RUN("ENTER, LEAVE", RETURNS, enter_leave, 0, 0);
	EXPECT("saved RBP, display, frame size, balance", 0x11 * 0x100ul + 0 + (32 + 24) * 0x1000000ul, probe_result);
	RUN("LOOP, JRCXZ, JECXZ", RETURNS, loops, 0, 0);
	EXPECT("iterations", 5, probe_result);
	uint64_t memory = 0;
	RUN("PUSH, POP", RETURNS, push_pop, &memory, 0);
	EXPECT("sum", 0x1234 - 5, memory);
}

static const struct check checks[] = {
	{ "add-adc-sub-sbb", "SDM 1, 3.4.3.1", add_and_subtract },
	{ "carry-chains", "SDM 2, ADC", carry_chains },
	{ "shifts-and-rotates", "SDM 2, SAL and RCL", shifts_and_rotates },
	{ "shld-shrd", "SDM 2, SHLD", double_shifts },
	{ "mul-imul", "SDM 2, IMUL", multiply },
	{ "div-idiv", "SDM 2, IDIV", division },
	{ "registers", "SDM 1, 3.4.1.1", registers },
	{ "flags", "SDM 2, LAHF and BT", flags },
	{ "stack-and-loops", "SDM 2, ENTER and LOOP", stack_and_loops },
};
CHECK_GROUP(arithmetic_group, "integer arithmetic", checks);
