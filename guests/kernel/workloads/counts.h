/*
 * Instructions per round of each workload, for where there is no counter to
 * read. The `calibrate` word prints these lines. These are from
 * `qemu -icount shift=0`, which counts a REP's iterations besides the
 * instruction itself: 45056 are taken off repmovs. They hold for the code that
 * the compiler of guest64.json makes.
 */
#define COUNT_SIEVE 1286639
#define COUNT_SHA256 4477255
#define COUNT_CRC32 1048596
#define COUNT_MATRIX 6406871
#define COUNT_QUICKSORT 5522041
#define COUNT_BYTECODE 4428288
#define COUNT_FIB 2100704
#define COUNT_CHASE 3670040
#define COUNT_MEMCPY 1474660
#define COUNT_CALLS 1113800
#define COUNT_STRIDE 3694100
#define COUNT_REPMOVS 2403
#define COUNT_SMC 10033
#define COUNT_NBODY 2672125
#define COUNT_MANDELBROT 1963296
#define COUNT_DAXPY 1888922
#define COUNT_PARTICLES 1320508
#define COUNT_DGEMM 1431706
#define COUNT_CONVOLVE 860602
#define COUNT_MOTION 799260
#define COUNT_BLEND 893303
#define COUNT_LANES 918481
#define COUNT_X87 950335
