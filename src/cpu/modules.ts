/** The two wasm modules of the processor, compiled once in a process and shared by all VMs. */
import { INTERPRETER_WASM, RUNTIME_WASM } from './generated/wasm.ts'

/** What the runtime module exports to TypeScript (src/cpu/runtime/index.ts); i64 is bigint. */
export interface Runtime extends WebAssembly.Exports {
  initialize(): void
  refresh(): void
  readRflags(): bigint
  writeRflags(value: bigint): void
  /** The four return 0, or 1 for a value that must raise #GP(0). */
  writeCr0(value: bigint): number
  writeCr4(value: bigint): number
  writeEfer(value: bigint): number
  writeXcr0(value: bigint): number
  advance(): void
  completeIn(value: number): void
  raiseException(vector: number, errorCode: number): void
  externalInterrupt(vector: number): void
  codeWritten(host: number, length: number): void
  protectPage(host: number, denied: number): void
  lookUp(linear: bigint): bigint
  allocateTrace(records: number): number
  enterTrace(trace: number, end: number): void
  markCode(host: number, length: number): void
  trackSecondPage(trace: number, second: number): void
  fetchNextPage(): number
  findRecord(host: number, mode: number): number
  watchPage(record: number, page: number): void
  /** Drops all decoded code; not while a trace is running. */
  flushRecords(): void
  /** Whether so many more records fit. */
  hasRoom(records: number): number
  /** Copies the head of a region to be. */
  copyHead(record: number): number
  /** Host address of a linear page that the running code may execute, else 0; nothing is raised. */
  executableHost(page: bigint): number
}

function compile(base64: string): WebAssembly.Module {
  return new WebAssembly.Module(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)))
}

let runtime: WebAssembly.Module | undefined
let interpreter: WebAssembly.Module | undefined

export function runtimeModule(): WebAssembly.Module {
  return (runtime ??= compile(RUNTIME_WASM))
}

export function interpreterModule(): WebAssembly.Module {
  return (interpreter ??= compile(INTERPRETER_WASM))
}
