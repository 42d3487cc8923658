/**
 * The console of a machine on this process's stdin and stdout, as cu(1) makes it.
 *
 * On a terminal the line discipline is off, so the guest gets every key, ^C too; `~.` at the beginning of a line leaves,
 * `~~` there sends one `~`. The terminal is put back when the process ends, whichever way. Input that is no terminal goes
 * to the guest as it is, and its end means nothing.
 *
 * Output is collected and written when the event loop comes round: one write a line or a screen instead of one a byte.
 */
import { EscapeFilter } from './escape.ts'

const OUTPUT_BUFFER = 4096
/** Input beyond this is left in the pipe until the guest has taken some. */
const INPUT_HIGH = 65536
const INPUT_CHECK = 20

export interface TerminalConfig {
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly input: (bytes: Uint8Array) => void
  /** Bytes given to `input` that are not used yet. */
  readonly inputWaiting: () => number
  /** `~.`, or nobody reads the output any more. */
  readonly hangup: () => void
}

export class Terminal {
  readonly #config: TerminalConfig
  readonly #buffer = new Uint8Array(OUTPUT_BUFFER)
  readonly #raw: boolean
  readonly #escapes = new EscapeFilter()
  #used = 0
  #flushing: NodeJS.Immediate | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(config: TerminalConfig) {
    this.#config = config
    this.#raw = config.stdin.isTTY === true
  }

  open(): void {
    const { stdin, stdout } = this.#config
    process.on('exit', this.#restore)
    if (this.#raw) stdin.setRawMode(true)
    stdin.on('data', this.#receive)
    stdin.on('end', this.#inputEnded)
    stdin.on('error', this.#inputEnded)
    stdout.on('error', this.#outputFailed)
    this.#timer = setInterval(() => this.#resume(), INPUT_CHECK)
  }

  close(): void {
    const { stdin } = this.#config
    this.flush()
    clearInterval(this.#timer)
    stdin.off('data', this.#receive)
    stdin.off('end', this.#inputEnded)
    stdin.pause()
    this.#restore()
    process.off('exit', this.#restore)
  }

  write(byte: number): void {
    this.#buffer[this.#used++] = byte
    if (this.#used === OUTPUT_BUFFER) this.flush()
    else this.#flushing ??= setImmediate(() => this.flush())
  }

  flush(): void {
    clearImmediate(this.#flushing)
    this.#flushing = undefined
    if (this.#used === 0) return
    const bytes = this.#buffer.slice(0, this.#used)
    this.#used = 0
    this.#config.stdout.write(bytes)
  }

  readonly #receive = (bytes: Uint8Array): void => {
    const { stdin, input, inputWaiting, hangup } = this.#config
    const { data, disconnect } = this.#raw ? this.#escapes.filter(bytes) : { data: bytes, disconnect: false }
    if (data.length > 0) input(data)
    if (disconnect) hangup()
    if (inputWaiting() > INPUT_HIGH) stdin.pause()
  }

  #resume(): void {
    const { stdin, inputWaiting } = this.#config
    if (stdin.isPaused() && inputWaiting() < INPUT_HIGH / 2) stdin.resume()
  }

  /** A terminal ends when its window is closed; the kernel sends the signal only when it is the controlling one. */
  readonly #inputEnded = (): void => {
    if (this.#raw) process.kill(process.pid, 'SIGHUP')
  }

  /** Readers like head(1) go away early: that is no fault. */
  readonly #outputFailed = (): void => {
    this.#config.hangup()
  }

  readonly #restore = (): void => {
    const { stdin } = this.#config
    if (this.#raw && !stdin.destroyed) stdin.setRawMode(false)
  }
}
