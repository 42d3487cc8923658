/* DR6 and DR7 (SDM vol. 3, 17.2). */
#ifndef DEBUG_REGISTERS_H
#define DEBUG_REGISTERS_H

enum {
	DR6_B0 = 1 << 0, DR6_B1 = 1 << 1, DR6_B2 = 1 << 2, DR6_B3 = 1 << 3, DR6_BD = 1 << 13, DR6_BS = 1 << 14,
	DR7_ALWAYS = 1 << 10, DR7_GD = 1 << 13,
	ON_EXECUTE = 0, ON_WRITE = 1, ON_IO = 2, ON_ACCESS = 3,
	BYTES_1 = 0, BYTES_2 = 1, BYTES_4 = 3, BYTES_8 = 2,
};

static inline unsigned long dr7(unsigned index, unsigned condition, unsigned length)
{
	return DR7_ALWAYS | 1ul << index * 2 | (unsigned long)(condition | length << 2) << (16 + index * 4);
}

#endif
