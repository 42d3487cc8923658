/** How a definition tries wasm's own arithmetic before it does something in software. */
import type { Value } from '../wasm/emitter.ts'
import type { Builder } from './builder.ts'

type Test = (condition: Value) => void

export interface Attempt {
  /** i32 conditions: none holds when the result is right. */
  readonly unusual: readonly Value[]
  /** When one does, decides exactly: by `wrong` and `right`, one after the other. What is left is right. */
  readonly look?: (wrong: Test, right: Test) => void
  readonly software: () => void
}

/** Emits the test of a result that variables hold already, and what gives them another one. */
export function attempt(x: Builder, { unusual, look, software }: Attempt): void {
  const right = x.label('right')
  const wrong = x.label('wrong')
  x.block(right, () => {
    x.block(wrong, () => {
      const first = look === undefined ? wrong : x.label('unusual')
      const test = (): void => {
        for (const condition of unusual) x.br(first, condition)
        x.br(right)
      }
      if (look === undefined) test()
      else {
        x.block(first, test)
        look(
          (condition) => x.br(wrong, condition),
          (condition) => x.br(right, condition),
        )
        x.br(right)
      }
    })
    x.rarely(x.i32(1), software)
  })
}

/** Part of what is done in software, where exceptions must be raised before the instruction's end. */
export function settle(x: Builder): void {
  x.if(x.callWithState('settleFloat', 'i32'), () => x.fault())
}
