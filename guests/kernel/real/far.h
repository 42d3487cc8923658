/* Memory of other segments than the kernel's own. */
#ifndef FAR_H
#define FAR_H

#include "../cpu.h"

static inline uint16_t far_read(uint16_t segment, uint16_t offset)
{
	uint16_t value;
	asm volatile("movw %1, %%fs\n\tmovw %%fs:(%2), %0" : "=r"(value) : "r"(segment), "r"((uint32_t)offset) : "memory");
	return value;
}

static inline void far_write(uint16_t segment, uint16_t offset, uint16_t value)
{
	asm volatile("movw %1, %%fs\n\tmovw %0, %%fs:(%2)" :: "r"(value), "r"(segment), "r"((uint32_t)offset) : "memory");
}

static inline void far_write_byte(uint16_t segment, uint16_t offset, uint8_t value)
{
	asm volatile("movw %1, %%fs\n\tmovb %0, %%fs:(%2)" :: "q"(value), "r"(segment), "r"((uint32_t)offset) : "memory");
}

/* Copies code or data out of the kernel's segment. */
static inline void far_copy(uint16_t segment, uint16_t offset, const void *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		far_write_byte(segment, (uint16_t)(offset + i), ((const uint8_t *)from)[i]);
}

static inline void vector_set(unsigned vector, uint16_t segment, uint16_t offset)
{
	far_write(0, (uint16_t)(vector * 4), offset);
	far_write(0, (uint16_t)(vector * 4 + 2), segment);
}

#endif
