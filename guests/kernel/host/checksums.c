/*
 * The workloads' checksums, computed on the host: the same C, but compiled
 * natively, without optimisation and with the sanitizers on, so neither our
 * kernel nor an optimiser has a part in the numbers of workloads.c.
 *
 *	gcc -O0 -fsanitize=undefined,address -mavx2 -mfma -ffp-contract=off -DHOST_CODE -o /tmp/checksums host/checksums.c workloads/[a-z]*.c -lm
 */
#include <stdio.h>
#include <sys/mman.h>
#include "../workloads/workload.h"

uint8_t *host_code;

int main(void)
{
	host_code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sha256_prepare();
	crc32_prepare();
	chase_prepare();
	memcpy_prepare();
	repmovs_prepare();
	dgemm_prepare();
	motion_prepare();
	blend_prepare();
	lanes_prepare();
#define PRINT(name) printf("%-10s 0x%llx\n", #name, (unsigned long long)name##_round());
	PRINT(sieve) PRINT(sha256) PRINT(crc32) PRINT(matrix) PRINT(quicksort) PRINT(bytecode) PRINT(fib)
	PRINT(chase) PRINT(memcpy) PRINT(calls) PRINT(stride) PRINT(repmovs) PRINT(smc)
	PRINT(nbody) PRINT(mandelbrot) PRINT(daxpy) PRINT(particles) PRINT(dgemm)
	PRINT(convolve) PRINT(motion) PRINT(blend) PRINT(lanes) PRINT(x87)
	return 0;
}
