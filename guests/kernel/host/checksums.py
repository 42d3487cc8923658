"""Checksums of bench.c that need no line of the kernel's C: python3 host/checksums.py"""
import hashlib
import zlib

M64 = (1 << 64) - 1


def lcg(count):
    state = 1
    for _ in range(count):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        yield state


def mixed(values):
    total = 0
    for value in values:
        total = ((total ^ value) * 0x100000001B3) & M64
    return total


def collatz_steps(limit):
    steps = 0
    for n in range(1, limit):
        while n != 1:
            n = n * 3 + 1 if n & 1 else n >> 1
            steps += 1
    return steps


noise = bytes(x >> 24 for x in lcg(131072))
primes = [n for n in range(2, 65536) if all(n % d for d in range(2, int(n**0.5) + 1))]
print("sieve     ", hex(sum(primes) << 16 | len(primes)))
print("sha256    ", "0x" + hashlib.sha256(noise[:65536]).hexdigest()[:16])
print("crc32     ", hex(zlib.crc32(noise)))
print("quicksort ", hex(mixed(sorted(lcg(16384)))))
print("bytecode  ", hex(collatz_steps(500)))
print("smc       ", hex(mixed(i * 2654435761 & 0xFFFFFFFF for i in range(1000))))
