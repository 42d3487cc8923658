/** What a machine needs of the program it runs in. Shells for Node and for browsers supply it. */
export interface Host {
  /** Milliseconds; only differences count. */
  now(): number
  /** Lets everything that is ready in the event loop happen: input, timers, signals. Should take microseconds. */
  turn(): Promise<void>
  /** Resolves after a time, or as soon as `awake` resolves. */
  sleep(milliseconds: number, awake: Promise<void>): Promise<void>
}
