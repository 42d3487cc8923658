/**
 * pvclock: the KVM system-time page. The guest writes its address to MSR 0x4B564D01; while bit 0 is set the page tells
 * wall time = system_time + (((TSC - tsc_timestamp) << tsc_shift) * tsc_to_system_mul >> 32), renewed at every entry.
 */
import type { GuestMemory } from './memory.ts'
import type { Vcpu } from './vcpu.ts'

export const MSR_KVM_SYSTEM_TIME = 0x4b564d01

const PVCLOCK_SIZE = 32
const PAGE_SIZE = 4096
const SYSTEM_TIME_ENABLE = 1n
const TSC_SHIFT = 12
const FLAG_TSC_STABLE = 1

/** WRMSR of the system-time MSR. Returns false, and changes nothing, when the page can not lie there (#GP). */
export function writeSystemTime(vcpu: Vcpu, value: bigint): boolean {
  const gpa = Number(value & ~0xfn)
  if (!fits(vcpu.memory, gpa)) return false
  vcpu.vc_pvclock_system_gpa = value
  updatePvclock(vcpu)
  return true
}

/** Renews the page, if the guest has enabled one. */
export function updatePvclock(vcpu: Vcpu): void {
  const value = vcpu.vc_pvclock_system_gpa
  if ((value & SYSTEM_TIME_ENABLE) === 0n) return
  const { clock, tscHz } = vcpu.platform
  const gpa = Number(value & ~0xfn)
  vcpu.vc_pvclock_version = (vcpu.vc_pvclock_version + 1) >>> 0

  // One vcpu, which is not running now: nobody sees the odd version that marks a page under construction.
  const page = new DataView(new ArrayBuffer(PVCLOCK_SIZE))
  page.setUint32(0, vcpu.vc_pvclock_version << 1, true)
  page.setBigUint64(8, vcpu.tsc, true)
  page.setBigUint64(16, clock.wall(vcpu.cpu.instructions), true)
  page.setUint32(24, Number((1_000_000_000n << 20n) / BigInt(tscHz)), true)
  page.setInt8(28, TSC_SHIFT)
  page.setUint8(29, FLAG_TSC_STABLE)
  vcpu.memory.write(gpa, new Uint8Array(page.buffer))
}

/** Inside one range and one page. The kernel's test is strict: the last 32 bytes of a range do not do. */
function fits(memory: GuestMemory, gpa: number): boolean {
  if (gpa % PAGE_SIZE > PAGE_SIZE - PVCLOCK_SIZE) return false
  return memory.ranges.some((range) => gpa >= range.gpa && gpa < range.gpa + range.size - PVCLOCK_SIZE)
}
