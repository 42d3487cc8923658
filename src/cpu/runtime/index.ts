// The runtime: everything of the processor that is not one instruction. Compiled by AssemblyScript into a module of its
// own, which shares the VM's memory with the generated interpreter and exports what that and the monitor call.

import * as L from '../layout'
import { dropPage, pageEntry } from './code'
import { contextChanged } from './context'
import { floatModeChanged, initializeFloat, resetMxcsr } from './float'
import { makeAesTables } from './simd-aes'
import { flushTlb } from './tlb'
import { x87Initialize } from './x87-environment'

export { modifyCommit, modifyMiss, probeOperand, readMiss, storeTenBytes, writeMiss } from './access'
export {
  crc32c,
  divideSigned,
  divideUnsigned,
  pdep,
  pext,
} from './arithmetic'
export {
  allocateTrace,
  codeWritten,
  copyHead,
  enterTrace,
  findRecord,
  flushRecords,
  hasRoom,
  markCode,
  trackSecondPage,
  watchPage,
} from './code'
export * from './control'
export { moveFromDebug, moveToDebug } from './debug'
export { advance, crossPage, fetchNextPage, next, staleRecord, sync } from './dispatch'
export {
  breakpoint,
  externalInterrupt,
  interrupt1,
  interruptOnOverflow,
  raiseException,
  softwareInterrupt,
} from './event'
export { compareExchange8, compareExchange16 } from './exchange'
export { pushedFlags, readRflags, writeRflags } from './flags'
export { checkFloat, checkPendingFloat, mxcsrChanged, settleFloat } from './float'
export { fxrstor, fxsave } from './fxsave'
export { completeIn, input, output, stringInput, stringOutput } from './io'
export { checkWritable, segmentCheck } from './limit'
export { refresh } from './mode'
export { executableHost, lookUp } from './paging'
export { farReturn, interruptReturn, popFlags } from './return'
export { checkBaseInstructions, moveToSegment, readSelector, writeSegmentBase } from './segment'
export {
  aesDecrypt,
  aesDecryptLast,
  aesEncrypt,
  aesEncryptLast,
  aesKeyGeneration,
  carrylessProduct,
  inverseMixColumns,
} from './simd-aes'
export { gather, maskedLoad, maskedStore, storeMaskedBytes } from './simd-memory'
export { sha1Rounds, sha256Rounds } from './simd-sha'
export { compareExplicit, compareImplicit, comparisonMask } from './simd-string'
export * from './softfloat-sse'
export {
  enter,
  leaveSegmented,
  movePointer,
  popAll,
  popSegment,
  probeStack,
  pushAll,
  pushSegmented,
  topSegmented,
} from './stack'
export { stringCompare, stringLoad, stringMove, stringScan, stringStore } from './string'
export { swapGs, systemCall, systemEnter, systemExit, systemReturn } from './syscall'
export {
  checkSelectorAccess,
  checkUserModePrevention,
  loadGlobalTable,
  loadInterruptTable,
  loadLocalTable,
  loadTask,
  storeGlobalTable,
  storeInterruptTable,
} from './tables'
export { farCall, farCallDirect, farJump, farJumpDirect, loadFarPointer } from './transfer'
export { accessRights, checkProtectedMode, segmentLimit, verifyRead, verifyWrite } from './verify'
export {
  x87Absolute,
  x87Arithmetic,
  x87ArithmeticDouble,
  x87ArithmeticInteger,
  x87ArithmeticSingle,
  x87ChangeSign,
  x87Compare,
  x87CompareDouble,
  x87CompareFlags,
  x87CompareInteger,
  x87CompareSingle,
  x87Examine,
  x87Extract,
  x87RoundToInteger,
  x87Scale,
  x87SquareRoot,
} from './x87-arithmetic'
export {
  x87ClearExceptions,
  x87Initialize,
  x87LoadControl,
  x87LoadEnvironment,
  x87Restore,
  x87Save,
  x87StoreEnvironment,
} from './x87-environment'
export * from './x87-remainder'
export * from './x87-transcendental'
export * from './x87-transfer'
export { xrstor, xsave, xsavec, xsaveopt } from './xsave'

// A fresh memory becomes a processor without any register state.
export function initialize(): void {
  memory.fill(L.OPEN_BUS, 0xff, 4096)
  store<u32>(L.RECORD_NEXT, L.RECORDS)
  store<u32>(L.RECORD_END, L.RECORDS + L.RECORDS_SIZE)
  store<i32>(L.FAULT_VECTOR, -1)
  store<u32>(L.EXIT_REASON, L.EXIT_NONE)
  store<u64>(L.RFLAGS, 2)
  makeAesTables()
  x87Initialize()
  resetMxcsr()
  flushTlb(false)
  floatModeChanged()
  initializeFloat()
  contextChanged()
}

// Sets the rights that the EPT denies on the page of guest RAM at a host address. Takes effect at the next access, of
// decoded code, too.
export function protectPage(host: u32, denied: u32): void {
  const entry = pageEntry(host)
  dropPage(entry)
  store<u32>(entry, (load<u32>(entry, L.PAGE_FLAGS) & ~L.PAGE_DENY_ALL) | denied, L.PAGE_FLAGS)
  flushTlb(false)
}
