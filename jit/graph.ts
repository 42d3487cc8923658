/**
 * The control-flow graph of a region and its dominator tree, in the form that structured code is emitted from (Ramsey,
 * "Beyond Relooper", 2022). Edges into a loop other than through its header can not be expressed by wasm's blocks and
 * loops; such an edge is cut, and its jump leaves the region for the dispatcher, which comes back by the target's address.
 */

export interface Graph {
  /** Node numbers in reverse postorder; the entry is 0. */
  readonly count: number
  /** Successors that are kept, by node. */
  readonly successors: readonly (readonly number[])[]
  /** Children in the dominator tree, by node, in reverse postorder. */
  readonly children: readonly (readonly number[])[]
  readonly isLoopHeader: readonly boolean[]
  /** Two or more forward edges lead here. */
  readonly isMerge: readonly boolean[]
  /** The names that the nodes had in the input. */
  readonly names: readonly number[]
}

/** `successorsOf` gives the successors of a node by name; names that it does not know must not be among them. */
export function buildGraph(entry: number, successorsOf: (name: number) => readonly number[]): Graph {
  const names = reversePostorder(entry, successorsOf)
  const number = new Map(names.map((name, index) => [name, index]))
  const all = names.map((name) => [...new Set(successorsOf(name).map((target) => number.get(target) as number))])
  const dominators = immediateDominators(all)
  const dominates = (a: number, b: number): boolean => {
    let node = b
    while (node > a) node = dominators[node] as number
    return node === a
  }
  const successors = all.map((targets, node) => targets.filter((target) => target > node || dominates(target, node)))
  // Cutting an edge can not take the last way to a node: a retreating edge is never the tree edge that reached it first.
  const isLoopHeader = names.map(() => false)
  const forward = names.map(() => 0)
  successors.forEach((targets, node) => {
    for (const target of targets) {
      if (target <= node) isLoopHeader[target] = true
      else forward[target] = (forward[target] as number) + 1
    }
  })
  const kept = immediateDominators(successors)
  const children: number[][] = names.map(() => [])
  for (let node = 1; node < names.length; node++) children[kept[node] as number]?.push(node)
  return {
    count: names.length,
    successors,
    children,
    isLoopHeader,
    isMerge: forward.map((edges) => edges > 1),
    names,
  }
}

function reversePostorder(entry: number, successorsOf: (name: number) => readonly number[]): number[] {
  const seen = new Set<number>([entry])
  const order: number[] = []
  const stack: { name: number; next: number; targets: readonly number[] }[] = [
    { name: entry, next: 0, targets: successorsOf(entry) },
  ]
  while (stack.length > 0) {
    const top = stack[stack.length - 1] as (typeof stack)[number]
    const target = top.targets[top.next++]
    if (target === undefined) {
      order.push(top.name)
      stack.pop()
    } else if (!seen.has(target)) {
      seen.add(target)
      stack.push({ name: target, next: 0, targets: successorsOf(target) })
    }
  }
  return order.reverse()
}

/** Cooper, Harvey and Kennedy's iteration; node numbers are in reverse postorder. */
function immediateDominators(successors: readonly (readonly number[])[]): number[] {
  const predecessors: number[][] = successors.map(() => [])
  successors.forEach((targets, node) => {
    for (const target of targets) predecessors[target]?.push(node)
  })
  const idom: number[] = successors.map(() => -1)
  idom[0] = 0
  const intersect = (a: number, b: number): number => {
    let x = a
    let y = b
    while (x !== y) {
      while (x > y) x = idom[x] as number
      while (y > x) y = idom[y] as number
    }
    return x
  }
  for (let changed = true; changed; ) {
    changed = false
    for (let node = 1; node < successors.length; node++) {
      const known = (predecessors[node] as number[]).filter((from) => idom[from] !== -1)
      const [first, ...others] = known
      if (first === undefined) continue
      const dominator = others.reduce(intersect, first)
      if (idom[node] === dominator) continue
      idom[node] = dominator
      changed = true
    }
  }
  return idom
}
