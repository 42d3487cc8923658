/** The vmm(4) that a VM of the command line runs on: engine and clock, and who watches them. */
import type { Engine, TranslationObserver } from '../node/engines.ts'
import { openVmm, type Vmm, type VmmOptions } from '../vmm/index.ts'
import { VmctlError } from './error.ts'
import type { Watch } from './watch.ts'

/** What --engine may say, and what it means. */
export const ENGINES: Readonly<Record<Engine, string>> = {
  interpreter: 'nothing is translated',
  translator: 'everything is translated at first sight',
  both: 'what is hot is translated',
}

/** What --clock may say. */
export const CLOCKS = { host: "the host's time", instructions: 'virtual time, a run repeats bit for bit' } as const
export type ClockName = keyof typeof CLOCKS

export interface DeviceOptions {
  readonly engine: Engine
  readonly clock: ClockName
}

/** The value of an option that is one of a table's keys. @throws VmctlError */
export function oneOf<Name extends string>(table: Readonly<Record<Name, string>>, option: string, value: string): Name {
  if (Object.hasOwn(table, value)) return value as Name
  throw new VmctlError(`${option} ${value}: expected ${listed(Object.keys(table))}`)
}

/** For help texts: every name with its meaning. */
export function explained(table: Readonly<Record<string, string>>): string {
  return Object.entries(table)
    .map(([name, meaning]) => `${name} (${meaning})`)
    .join(', ')
}

export async function openDevice({ engine, clock }: DeviceOptions, { device, observer }: Watch): Promise<Vmm> {
  return openVmm({ ...device, clock, translator: await translatorFor(engine, observer) })
}

/** The translator and what it needs are loaded only when there is use for them. */
async function translatorFor(
  engine: Engine,
  observer: TranslationObserver | undefined,
): Promise<VmmOptions['translator']> {
  if (engine === 'interpreter') return undefined
  const { translatorOf } = await import('../node/engines.ts')
  return translatorOf(engine, observer)
}

function listed(names: readonly string[]): string {
  return `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`
}
