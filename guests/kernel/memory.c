/* The memory and text functions that gcc may call by itself, plus equality of text. */
#include "cpu.h"

void *memcpy(void *to, const void *from, size_t bytes)
{
	void *result = to;
	asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) :: "memory");
	return result;
}

void *memset(void *to, int value, size_t bytes)
{
	void *result = to;
	asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
	return result;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
	const uint8_t *x = a, *y = b;
	for (size_t i = 0; i < bytes; i++)
		if (x[i] != y[i])
			return x[i] - y[i];
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;
	while (s[n])
		n++;
	return n;
}

bool same_text(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}
