/* Integer extensions, each when CPUID has it (SDM vol. 2): POPCNT, LZCNT, BMI1, BMI2, ADX, MOVBE, CRC32. */
#include "check.h"
#include "../identity.h"

static const uint64_t values[] = { 0, 1, 2, 0x80, 0x8000, 0x80000000, 1ul << 63, -1ul, 0x0123456789abcdef, 0xf0f0f0f0f0f0f0f0, 0x5500000000000000 };
#define FOR_EACH_VALUE(v) for (const uint64_t *v = values; v < values + sizeof values / sizeof values[0]; v++)

ROUTINE(popcnt, "popcntq %rdi, %rax\n\tret");
ROUTINE(lzcnt, "lzcntq %rdi, %rax\n\tret");
ROUTINE(lzcnt_32, "lzcntl %edi, %eax\n\tret");
ROUTINE(tzcnt, "tzcntq %rdi, %rax\n\tret");
ROUTINE(lzcnt_carry, "lzcntq %rdi, %rax\n\tsetc %al\n\tmovzbl %al, %eax\n\tret");

static void population_count(void)
{
	REQUIRE(has_popcnt(), "CPUID has no POPCNT");
	FOR_EACH_VALUE(v) {
		unsigned ones = 0;
		for (unsigned i = 0; i < 64; i++)
			ones += *v >> i & 1;
		RUN("POPCNT", RETURNS, popcnt, *v, 0);
		EXPECT("POPCNT", ones, probe_result);
	}
}

static void leading_zeros(void)
{
	REQUIRE(has_lzcnt(), "CPUID has no LZCNT");
	FOR_EACH_VALUE(v) {
		unsigned zeros = 0;
		while (zeros < 64 && !(*v >> (63 - zeros) & 1))
			zeros++;
		RUN("LZCNT", RETURNS, lzcnt, *v, 0);
		EXPECT("LZCNT", zeros, probe_result);
		RUN("CF of LZCNT", RETURNS, lzcnt_carry, *v, 0);
		EXPECT("CF of LZCNT", *v == 0, probe_result);
	}
	RUN("LZCNT of 32 bits", RETURNS, lzcnt_32, 0xffffffff00000001, 0);
	EXPECT("LZCNT of 32 bits", 31, probe_result);
}

ROUTINE(andn, "andnq %rsi, %rdi, %rax\n\tret");
ROUTINE(blsi, "blsiq %rdi, %rax\n\tret");
ROUTINE(blsr, "blsrq %rdi, %rax\n\tret");
ROUTINE(blsmsk, "blsmskq %rdi, %rax\n\tret");
ROUTINE(bextr, "bextrq %rsi, %rdi, %rax\n\tret");

static void bmi1(void)
{
	REQUIRE(has_bmi1(), "CPUID has no BMI1");
	FOR_EACH_VALUE(v) {
		unsigned zeros = 0;
		while (zeros < 64 && !(*v >> zeros & 1))
			zeros++;
		uint64_t lowest = zeros < 64 ? 1ul << zeros : 0;
		RUN("TZCNT", RETURNS, tzcnt, *v, 0);
		EXPECT("TZCNT", zeros, probe_result);
		RUN("BLSI", RETURNS, blsi, *v, 0);
		EXPECT("BLSI", lowest, probe_result);
		RUN("BLSR", RETURNS, blsr, *v, 0);
		EXPECT("BLSR", *v & ~lowest, probe_result);
		RUN("BLSMSK", RETURNS, blsmsk, *v, 0);
		EXPECT("BLSMSK", lowest ? lowest | (lowest - 1) : -1ul, probe_result);
		RUN("ANDN", RETURNS, andn, *v, 0xff00ff00ff00ff00);
		EXPECT("ANDN", ~*v & 0xff00ff00ff00ff00, probe_result);
		RUN("BEXTR, 12 bits from 8", RETURNS, bextr, *v, 12 << 8 | 8);
		EXPECT("BEXTR", *v >> 8 & 0xfff, probe_result);
	}
	RUN("BEXTR from beyond", RETURNS, bextr, -1ul, 8 << 8 | 64);
	EXPECT("BEXTR from beyond", 0, probe_result);
}

ROUTINE(pdep, "pdepq %rsi, %rdi, %rax\n\tret");
ROUTINE(pext, "pextq %rsi, %rdi, %rax\n\tret");
ROUTINE(bzhi, "bzhiq %rsi, %rdi, %rax\n\tret");
ROUTINE(mulx, "movq %rsi, %rdx\n\tstc\n\tmulxq %rdi, %rcx, %rax\n\tjnc 1f\n\txorq %rcx, %rax\n\tret\n\t1: ud2");
ROUTINE(rorx, "rorxq $13, %rdi, %rax\n\tret");
ROUTINE(shlx, "shlxq %rsi, %rdi, %rax\n\tret");
ROUTINE(sarx, "sarxq %rsi, %rdi, %rax\n\tret");

static uint64_t deposit(uint64_t source, uint64_t mask, bool extract)
{
	uint64_t result = 0;
	unsigned k = 0;
	for (unsigned i = 0; i < 64; i++) {
		if (!(mask >> i & 1))
			continue;
		if (extract)
			result |= (source >> i & 1) << k;
		else
			result |= (source >> k & 1) << i;
		k++;
	}
	return result;
}

static void bmi2(void)
{
	REQUIRE(has_bmi2(), "CPUID has no BMI2");
	const uint64_t mask = 0x00ff0f3355aa0101;
	FOR_EACH_VALUE(v) {
		RUN("PDEP", RETURNS, pdep, *v, mask);
		EXPECT("PDEP", deposit(*v, mask, false), probe_result);
		RUN("PEXT", RETURNS, pext, *v, mask);
		EXPECT("PEXT", deposit(*v, mask, true), probe_result);
		RUN("BZHI", RETURNS, bzhi, *v, 20);
		EXPECT("BZHI of 20", *v & 0xfffff, probe_result);
		RUN("BZHI of 64", RETURNS, bzhi, *v, 64);
		EXPECT("BZHI of 64", *v, probe_result);
		RUN("RORX", RETURNS, rorx, *v, 0);
		EXPECT("RORX", *v >> 13 | *v << 51, probe_result);
		RUN("SHLX", RETURNS, shlx, *v, 64 + 3);
		EXPECT("SHLX, count modulo 64", *v << 3, probe_result);
		RUN("SARX", RETURNS, sarx, *v, 4);
		EXPECT("SARX", *v >> 4 | (*v >> 63 ? 0xful << 60 : 0), probe_result);
		RUN("MULX", RETURNS, mulx, *v, 0xdeadbeefcafebabe);
		unsigned __int128 product = (unsigned __int128)*v * 0xdeadbeefcafebabe;
		EXPECT("MULX, both halves; CF kept", (uint64_t)product ^ (uint64_t)(product >> 64), probe_result);
	}
}

/* Two carry chains at once, in CF and in OF: clear, add, collect. */
ROUTINE(adx, "xorl %eax, %eax\n\tmovq %rdi, %rcx\n\tadcxq %rsi, %rcx\n\tmovq %rdi, %rdx\n\tadoxq %rdi, %rdx\n\t"
	"setc %al\n\tseto %ah\n\txorq %rcx, %rdx\n\tshlq $2, %rdx\n\tmovzbl %ah, %ecx\n\tmovzbl %al, %eax\n\tleaq (%rax,%rcx,2), %rax\n\t"
	"addq %rdx, %rax\n\tret");

static void add_with_two_carries(void)
{
	REQUIRE(has_adx(), "CPUID has no ADX");
	FOR_EACH_VALUE(a)
		FOR_EACH_VALUE(b) {
			uint64_t sum = *a + *b, twice = *a + *a;
			RUN("ADCX, ADOX", RETURNS, adx, *a, *b);
			EXPECT("sums, CF and OF", ((sum ^ twice) << 2) + (sum < *a) + 2 * (twice < *a), probe_result);
		}
}

ROUTINE(movbe_load, "movbeq (%rdi), %rax\n\tret");
ROUTINE(movbe_store_16, "movbew %si, (%rdi)\n\tret");

static void move_big_endian(void)
{
	uint64_t memory = 0x0102030405060708;
	REQUIRE(has_movbe(), "CPUID has no MOVBE");
	RUN("MOVBE", RETURNS, movbe_load, &memory, 0);
	EXPECT("MOVBE", 0x0807060504030201, probe_result);
	RUN("MOVBE of 16 bits", RETURNS, movbe_store_16, &memory, 0xaabb);
	EXPECT("MOVBE of 16 bits", 0x010203040506bbaa, memory);
}

ROUTINE(crc32_8, "movl %esi, %eax\n\tcrc32b %dil, %eax\n\tret");
ROUTINE(crc32_64, "movq %rsi, %rax\n\tcrc32q %rdi, %rax\n\tret");

/* The Castagnoli polynomial, reflected, a bit at a time. */
static uint32_t crc_reference(uint64_t data, uint32_t crc, unsigned bits)
{
	for (unsigned i = 0; i < bits; i++) {
		unsigned feedback = (crc ^ data >> i) & 1;
		crc = crc >> 1 ^ (feedback ? 0x82f63b78 : 0);
	}
	return crc;
}

static void crc32c(void)
{
	REQUIRE(has_crc32(), "CPUID has no SSE4.2");
	FOR_EACH_VALUE(v) {
		RUN("CRC32 of a byte", RETURNS, crc32_8, *v, 0xffffffff);
		EXPECT("CRC32 of a byte", crc_reference(*v, 0xffffffff, 8), probe_result);
		RUN("CRC32 of 64 bits", RETURNS, crc32_64, *v, 0x12345678);
		EXPECT("CRC32 of 64 bits", crc_reference(*v, 0x12345678, 64), probe_result);
	}
}

static const struct check checks[] = {
	{ "popcnt", "SDM 2, POPCNT", population_count },
	{ "lzcnt", "SDM 2, LZCNT", leading_zeros },
	{ "bmi1", "SDM 2, BEXTR", bmi1 },
	{ "bmi2", "SDM 2, PDEP", bmi2 },
	{ "adx", "SDM 2, ADCX", add_with_two_carries },
	{ "movbe", "SDM 2, MOVBE", move_big_endian },
	{ "crc32", "SDM 2, CRC32", crc32c },
};
CHECK_GROUP(extension_group, "instruction set extensions", checks);
