"""Checksums of bench.c that need no line of the kernel's C: python3 host/checksums.py"""
import hashlib
import math
import struct
import zlib
from fractions import Fraction

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


def bits(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def nbody():
    bodies = [
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 40.0],
        [1.0, 0.0, 0.125, 0.0, 6.25, 0.0, 0.03125],
        [0.0, 2.5, -0.25, -4.0, 0.0, 0.0625, 0.0078125],
        [-5.0, 0.5, 0.5, -0.25, -2.75, 0.0, 0.015625],
        [0.25, -9.0, 1.0, 2.125, 0.0, -0.125, 0.00390625],
    ]
    dt = 2.0**-10
    for _ in range(4000):
        for i, a in enumerate(bodies):
            for b in bodies[i + 1 :]:
                d = [a[k] - b[k] for k in range(3)]
                square = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
                pull = dt / (square * math.sqrt(square))
                for k in range(3):
                    a[3 + k] -= d[k] * b[6] * pull
                    b[3 + k] += d[k] * a[6] * pull
        for a in bodies:
            for k in range(3):
                a[k] += dt * a[3 + k]
    return mixed(bits(a[k]) for a in bodies for k in range(3))


def mandelbrot():
    for row in range(48):
        for column in range(64):
            cx, cy = -2 + 2.75 / 64 * column, -1.25 + 2.5 / 48 * row
            x, y, steps = cx, cy, 0
            while steps < 256 and x * x + y * y <= 4:
                x, y = x * x - y * y + cx, x * y + x * y + cy
                steps += 1
            yield steps


def daxpy():
    for i in range(2048):
        x, y = (i % 97 - 48) / 64, float(i)
        for n in range(256):
            y += (-0.3 if n & 1 else 0.7) * x
        yield bits(y)


def single(value):
    """Rounds to 24 bits; a result in double of an operation on singles, rounded so, is rounded once."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def particles():
    noise = iter(lcg(512))
    start = [(single((next(noise) >> 8) * 2.0**-19), single(((next(noise) >> 8) - 2**23) * 2.0**-20)) for _ in range(256)]
    cells, places = [0] * 32, []
    for p, v in start:
        for _ in range(128):
            p = single(p + single(v * 0.125))
            if p < 0 or p >= 32:
                v = -v
                p = -p if p < 0 else single(64 - p)
            cell = int(p)
            distance = single(p - single(cell + 0.5))
            v = single(v - single(distance / single(1 + single(distance * distance))))
            v = single(v - single(single(v * 2.0**-7) * single(math.sqrt(abs(v)))))
            cells[cell & 31] += 1
            p = min(p, 32.0)
        places.append(struct.unpack("<I", struct.pack("<f", p))[0])
    return cells + places


def convolve():
    taps = [-1311, 2622, 9175, 19661, 14418, 5243, -3932, 655]
    state, samples = 7, []
    for _ in range(4096 + 8):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        samples.append((state >> 16 ^ 0x8000) - 0x8000)
    for _ in range(32):
        sums = [sum(t * s for t, s in zip(taps, samples[i : i + 8])) + 2**14 >> 15 for i in range(4096)]
        filtered = [max(-0x8000, min(0x7FFF, s)) for s in sums]
        samples[:4096] = [(s + 1 + 0x8000 & 0xFFFF) - 0x8000 for s in filtered]
    return (s & 0xFFFF for s in filtered)


def seeded(state):
    while True:
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        yield state


def motion():
    noise = seeded(3)
    before = [[next(noise) >> 24 for _ in range(128)] for _ in range(64)]
    after = [[before[(y - 5) % 64][(x - 3) % 128] ^ next(noise) >> 30 for x in range(128)] for y in range(64)]
    for y in range(8, 41, 16):
        for x in range(8, 105, 16):
            block = [before[y + i][x : x + 16] for i in range(16)]
            yield min(
                sum(abs(a - b) for i in range(16) for a, b in zip(block[i], after[row + i][column : column + 16])) << 16
                | row << 8
                | column
                for row in range(y - 8, y + 9)
                for column in range(x - 8, x + 9)
            )


def blend():
    noise = seeded(5)
    for i in range(8192):
        over, alpha = next(noise) >> 24, next(noise) >> 24
        under = (i ^ i >> 5) & 255
        for _ in range(32):
            t = over * alpha + under * (255 - alpha) + 128
            value = min((t + (t >> 8)) >> 8, 255)
            value = min(max(min(value + 16, 255), 16), 239)
            under = (value + under + 1) >> 1 if alpha & 1 else value
        yield under


def lanes():
    noise = seeded(9)
    words = [[next(noise) for _ in range(8)] for _ in range(1024)]
    left, order = [5, 7, 9, 11, 13, 17, 19, 23], [3, 6, 1, 4, 7, 2, 5, 0]
    state = list(range(1, 9))
    for _ in range(64):
        for vector in words:
            x = [(s ^ w) * 0x9E3779B1 & 0xFFFFFFFF for s, w in zip(state, vector)]
            x = [(v << n | v >> 32 - n) & 0xFFFFFFFF for v, n in zip(x, left)]
            swapped = [int.from_bytes(w.to_bytes(4, "big"), "little") for w in vector[:4]]
            swapped += [(w >> 16 | w << 16) & 0xFFFFFFFF for w in vector[4:]]
            x = [v + w & 0xFFFFFFFF for v, w in zip(x, swapped)]
            x = [x[n] for n in order]
            state = [v + max(v, s) & 0xFFFFFFFF for v, s in zip(x, state)]
    return state


def extended(x):
    """Rounds a Fraction to 64 bits, to nearest, ties to even."""
    exponent = x.numerator.bit_length() - x.denominator.bit_length() - 64
    scaled = x / Fraction(2) ** exponent
    while scaled >= 2**64:
        exponent, scaled = exponent + 1, scaled / 2
    return round(scaled) * Fraction(2) ** exponent


def root(n):
    """A square root's Fraction that rounds as the root does."""
    whole = math.isqrt(n << 256)
    return Fraction(2 * whole + (whole * whole != n << 256), 2**129)


def x87():
    zeta, wallis, roots, chain = Fraction(0), Fraction(1), Fraction(0), Fraction(1)
    for k in range(1, 32769):
        zeta = extended(zeta + extended(Fraction(1, k * k)))
        wallis = extended(wallis * extended(1 - extended(Fraction(1, 4 * k * k))))
        roots = extended(roots + extended(root(k)))
        chain = extended(extended(k / extended(chain + 2)) + Fraction(1, 2))
    for result in zeta, wallis, roots, chain:
        exponent = result.numerator.bit_length() - result.denominator.bit_length() - 64
        while result / Fraction(2) ** exponent >= 2**64:
            exponent += 1
        yield int(result / Fraction(2) ** exponent)
        yield exponent + 63 + 16383


def dgemm():
    noise = seeded(11)
    scale = 2**120
    pairs = [((next(noise) >> 1) / 3.0, (next(noise) >> 1) / 7.0) for _ in range(128 * 128)]
    a, b = [[(n * scale) // d for n, d in (x[side].as_integer_ratio() for x in pairs)] for side in (0, 1)]
    columns = [b[j::128] for j in range(128)]
    for i in range(128):
        row = a[128 * i : 128 * i + 128]
        for column in columns:
            total = 0.0
            for x, y in zip(row, column):
                n, d = total.as_integer_ratio()
                total = (x * y + n * (scale * scale // d)) / (scale * scale)
            yield bits(total)


print("nbody     ", hex(nbody()))
for workload in mandelbrot, daxpy, particles, convolve, motion, blend, lanes, x87, dgemm:
    print(f"{workload.__name__:10}", hex(mixed(workload())))
