/** The translating engines as tests want them: compiled where the processor runs, so that a run does not depend on time. */
import { synchronousService } from '../../jit/together.ts'
import { createTranslator } from '../../jit/translator.ts'
import type { TranslatorFactory } from '../../src/cpu/translator.ts'

export const TRANSLATORS = {
  /** Everything at first sight. */
  translator: createTranslator({ service: synchronousService, eager: true }),
  /** What is hot. */
  both: createTranslator({ service: synchronousService }),
} as const satisfies Record<string, TranslatorFactory>

export type TranslatingEngine = keyof typeof TRANSLATORS
