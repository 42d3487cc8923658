/**
 * Compiles regions in a worker thread, one for the whole process, which is started when the first region gets hot: Binaryen
 * takes 300 ms and 77 MB to load, and only that thread loads it. Meanwhile the processors go on interpreting. Results are
 * fetched between runs without waiting for the event loop, which a busy guest hardly ever lets turn.
 *
 * The thread does not keep the process alive. When it can not be started, or fails, guests run on as they are, slower, and
 * the warning says why.
 */
import { type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import type { CompileOutcome, CompileService } from '../../jit/service.ts'
import type { RegionSource } from '../../jit/source.ts'

/** To the worker: compile these. Back: one outcome for each. */
export interface CompileRequest {
  readonly number: number
  readonly source: RegionSource
}
export interface CompileReply {
  readonly number: number
  readonly outcome: CompileOutcome
}

type Done = (outcome: CompileOutcome) => void

export class WorkerCompileService implements CompileService {
  #worker: Worker | undefined
  #port: MessagePort | undefined
  readonly #waiting = new Map<number, Done>()
  #next = 1
  #failure: string | undefined
  readonly #warn: (message: string) => void
  readonly #startWorker: (port: MessagePort) => Worker

  /** `start` makes the thread, which gets the other end of the port as its workerData. */
  constructor(
    warn: (message: string) => void = (message) => process.emitWarning(message, 'VmmjitWarning'),
    start: (port: MessagePort) => Worker = startWorker,
  ) {
    this.#warn = warn
    this.#startWorker = start
  }

  get started(): boolean {
    return this.#worker !== undefined
  }

  submit(source: RegionSource, done: Done): void {
    if (this.#failure !== undefined) {
      done({ failure: this.#failure, expected: true })
      return
    }
    this.#start()
    const number = this.#next++
    this.#waiting.set(number, done)
    this.#port?.postMessage({ number, source } satisfies CompileRequest)
  }

  poll(): void {
    if (this.#port === undefined || this.#waiting.size === 0) return
    for (;;) {
      const received = receiveMessageOnPort(this.#port) as { message: CompileReply[] } | undefined
      if (received === undefined) return
      for (const { number, outcome } of received.message) this.#settle(number, outcome)
    }
  }

  #settle(number: number, outcome: CompileOutcome): void {
    const done = this.#waiting.get(number)
    this.#waiting.delete(number)
    done?.(outcome)
  }

  #start(): void {
    if (this.#worker !== undefined) return
    const { port1, port2 } = new MessageChannel() as unknown as { port1: MessagePort; port2: MessagePort }
    this.#port = port1
    port1.unref()
    this.#worker = this.#startWorker(port2)
    this.#worker.unref()
    this.#worker.on('error', (error: Error) => this.#fail(error.message))
    this.#worker.on('exit', (status) => this.#fail(`it ended with status ${status}`))
  }

  #fail(why: string): void {
    if (this.#failure !== undefined) return
    this.#failure = `the compiler thread failed: ${why}`
    this.#warn(`${this.#failure}; guests run on without further translation`)
    this.#port?.close()
    this.#port = undefined
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const done of waiting) done({ failure: this.#failure, expected: true })
  }
}

/** Run from the sources, the thread needs the loader for TypeScript, which does not come with it by itself. */
function startWorker(port: MessagePort): Worker {
  const options = { workerData: port, transferList: [port] }
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./compile-worker.js', import.meta.url), options)
  const file = new URL('./compile-worker.ts', import.meta.url).href
  const load = `import('${import.meta.resolve('tsx/esm/api')}').then(({ register }) => (register(), import('${file}')))`
  return new Worker(load, { ...options, eval: true })
}

/** The process's one. */
export const compileService: CompileService = new WorkerCompileService()
