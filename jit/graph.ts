/**
 * The control-flow graph of a region and its dominator tree, in the form that structured code is emitted from (Ramsey,
 * "Beyond Relooper", 2022).
 *
 * wasm's blocks and loops can not express an edge into a loop other than through its header. The target of such an edge
 * becomes an entry: a dispatch node, which dominates everything, leads to the head and to all entries, and a jump to an entry
 * from further down goes through it, with the number of the entry in a local. Making something an entry takes dominance from
 * other headers, so that is repeated until no edge is left over.
 */

export const DISPATCH = -1

export interface Graph {
  /** Node numbers are in reverse postorder; the first is 0. */
  readonly count: number
  /** The names that the nodes had in the input, DISPATCH for the dispatch node, which is node 0 if there is one. */
  readonly names: readonly number[]
  readonly numbers: ReadonlyMap<number, number>
  /** Successors by node. Jumps that go through the dispatch node are not among them. */
  readonly successors: readonly (readonly number[])[]
  /** Children in the dominator tree, by node, in reverse postorder. */
  readonly children: readonly (readonly number[])[]
  readonly isLoopHeader: readonly boolean[]
  /** Two or more forward edges lead here. */
  readonly isMerge: readonly boolean[]
  /** Names of the nodes that the dispatch node leads to: the head and the entries. Empty without one. */
  readonly entries: readonly number[]
}

type Successors = (name: number) => readonly number[]

/** `successorsOf` gives the successors of a node by name; `also` names nodes that are to be entries in any case. */
export function buildGraph(head: number, successorsOf: Successors, also: readonly number[] = []): Graph {
  const entries: number[] = also.length === 0 ? [] : [...new Set([head, ...also])]
  for (;;) {
    const dispatching = entries.length > 0
    const all: Successors = (name) => (name === DISPATCH ? entries : successorsOf(name))
    const names = reversePostorder(dispatching ? DISPATCH : head, all)
    const numbers = new Map(names.map((name, number) => [name, number]))
    const edges = names.map((name) => [...new Set(all(name))].map((to) => numbers.get(to) as number))
    const dominators = immediateDominators(edges)
    const bad = edges.flatMap((targets, from) => targets.filter((to) => !structured(from, to, dominators)))
    const fresh = [...new Set(bad)].map((to) => names[to] as number).filter((name) => !entries.includes(name))
    if (fresh.length === 0) return finish(names, numbers, edges, dominators, entries)
    if (!dispatching) entries.push(head)
    entries.push(...fresh.filter((name) => !entries.includes(name)))
  }
}

/** A forward edge, or a back edge to a node that dominates its source. */
function structured(from: number, to: number, dominators: readonly number[]): boolean {
  if (to > from) return true
  let node = from
  while (node > to) node = dominators[node] as number
  return node === to
}

function finish(
  names: readonly number[],
  numbers: ReadonlyMap<number, number>,
  edges: readonly (readonly number[])[],
  dominators: readonly number[],
  entries: readonly number[],
): Graph {
  const isLoopHeader = names.map(() => false)
  const forward = names.map(() => 0)
  const successors = edges.map((targets, from) => targets.filter((to) => structured(from, to, dominators)))
  edges.forEach((targets, from) => {
    for (const to of targets) {
      if (to > from) forward[to] = (forward[to] as number) + 1
      else isLoopHeader[structured(from, to, dominators) ? to : 0] = true
    }
  })
  const children: number[][] = names.map(() => [])
  for (let node = 1; node < names.length; node++) children[dominators[node] as number]?.push(node)
  const isMerge = forward.map((count) => count > 1)
  return { count: names.length, names, numbers, successors, children, isLoopHeader, isMerge, entries }
}

/** Heads of loops that have no other loop in them. */
export function innermostLoops({ successors, isLoopHeader, names }: Graph): number[] {
  const predecessors: number[][] = successors.map(() => [])
  successors.forEach((targets, from) => {
    for (const to of targets) predecessors[to]?.push(from)
  })
  /** Whether a natural loop has no other loop's head in it: everything that leads to its back edges. */
  const isInnermost = (head: number): boolean => {
    const body = new Set([head])
    const pending = (predecessors[head] as number[]).filter((from) => from >= head)
    for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
      if (body.has(node)) continue
      if (isLoopHeader[node]) return false
      body.add(node)
      pending.push(...(predecessors[node] as number[]))
    }
    return true
  }
  return names.filter((name, node) => name !== DISPATCH && isLoopHeader[node] && isInnermost(node))
}

/**
 * The most instructions that can run from each node to the next look at the budget, which the head of every loop takes, and
 * every jump through the dispatch node.
 */
export function longestPaths(graph: Graph, instructionsOf: (name: number) => number): number[] {
  const longest = graph.names.map(() => 0)
  for (let node = graph.count - 1; node >= 0; node--) {
    const further = (graph.successors[node] as readonly number[])
      .filter((to) => to > node && !graph.isLoopHeader[to])
      .map((to) => longest[to] as number)
    longest[node] = instructionsOf(graph.names[node] as number) + Math.max(0, ...further)
  }
  return longest
}

function reversePostorder(entry: number, successorsOf: Successors): number[] {
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
