/* CRC-32 (ISO-HDLC, reflected 0x04C11DB7) by table over 128 KB: dependent loads. */
#include "workload.h"

enum { BYTES = 131072 };
static uint8_t data[BYTES];
static uint32_t table[256];

void crc32_prepare(void)
{
	for (uint32_t n = 0; n < 256; n++) {
		uint32_t c = n;
		for (unsigned bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
		table[n] = c;
	}
	uint32_t state = 1;
	for (uint32_t i = 0; i < BYTES; i++)
		data[i] = (uint8_t)(lcg_next(&state) >> 24);
}

INNERMOST WORKLOAD(crc32)
{
	uint32_t crc = 0xffffffff;
	for (uint32_t i = 0; i < BYTES; i++)
		crc = table[(uint8_t)crc ^ data[i]] ^ crc >> 8;
	return crc ^ 0xffffffff;
}
