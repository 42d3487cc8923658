/**
 * Time as a guest reads it: the time-stamp counter (RDTSC, IA32_TIME_STAMP_COUNTER) and the wall clock (pvclock).
 *
 * Both functions are told how many instructions the asking vcpu has run, so that a clock can be made of them. The counter
 * must not run backwards and should run at the `tscHz` given to openVmm, for CPUID and pvclock tell guests that rate.
 */
export interface Clock {
  /** The time-stamp counter. */
  tsc(instructions: bigint): bigint
  /** Nanoseconds since 1970. */
  wall(instructions: bigint): bigint
}

const NS_PER_S = 1_000_000_000n

/** The host's time; the counter starts at 0 now and runs at a fixed rate, whatever the guest's speed. */
export function hostClock(tscHz: number): Clock {
  const { performance } = globalThis
  const start = performance.now()
  const ticksPerMs = tscHz / 1000
  return {
    tsc: () => BigInt(Math.floor((performance.now() - start) * ticksPerMs)),
    wall: () => BigInt(Math.floor((performance.timeOrigin + performance.now()) * 1000)) * 1000n,
  }
}

/** Virtual time: one tick an instruction, the wall clock starts on 1 January 1970. The same input gives the same run. */
export function instructionClock(tscHz: number): Clock {
  const hz = BigInt(tscHz)
  return {
    tsc: (instructions) => instructions,
    wall: (instructions) => (instructions * NS_PER_S) / hz,
  }
}

/** Fills an array with random bytes. */
export type RandomSource = (bytes: Uint8Array) => void

export const hostRandom: RandomSource = (bytes) => {
  globalThis.crypto.getRandomValues(bytes)
}

/** Reproducible noise (xorshift32) for machines on virtual time. Not fit for keys. */
export function reproducibleRandom(seed = 0x2545f491): RandomSource {
  let state = seed
  return (bytes) => {
    for (let i = 0; i < bytes.length; i++) {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      bytes[i] = state >>> 11
    }
  }
}
