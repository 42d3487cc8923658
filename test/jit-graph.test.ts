/** Structuring: dominator trees, loops, entries, and the longest way between two looks at the budget. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { buildGraph, DISPATCH, type Graph, innermostLoops, longestPaths } from '../jit/graph.ts'
import { Random } from './fuzz/random.ts'

type Edges = Record<number, number[]>

function graphOf(edges: Edges, also: readonly number[] = []): Graph {
  return buildGraph(0, (name) => edges[name] ?? [], also)
}

/** Edges by the names of the input. */
function edgesOf(graph: Graph): string[] {
  return graph.successors
    .flatMap((targets, node) => targets.map((to) => `${graph.names[node]}>${graph.names[to]}`))
    .sort()
}

function dominates(graph: Graph, above: number, node: number): boolean {
  let at = node
  while (at > above) at = graph.children.findIndex((children) => children.includes(at))
  return at === above
}

/** What structured code needs: back edges go to nodes that dominate them, and whatever is not kept goes through an entry. */
function checkStructure(graph: Graph, edges: Edges): void {
  for (const [node, targets] of graph.successors.entries()) {
    for (const to of targets) assert.ok(to > node || dominates(graph, to, node), `${node} > ${to}`)
  }
  for (const [node, name] of graph.names.entries()) {
    for (const to of name === DISPATCH ? [] : (edges[name] ?? [])) {
      const kept = graph.successors[node]?.includes(graph.numbers.get(to) as number)
      assert.ok(kept || graph.entries.includes(to), `${name} > ${to} is lost`)
    }
  }
}

test('a diamond has one merge, which its head dominates', () => {
  const graph = graphOf({ 0: [1, 2], 1: [3], 2: [3] })
  const merge = graph.names.indexOf(3)
  assert.equal(
    graph.isMerge.map((is, node) => is && node).filter((is) => is !== false),
    [merge],
  )
  assert.ok(graph.children[0]?.includes(merge))
  assert.not.ok(graph.isLoopHeader.includes(true))
})

test('a natural loop keeps its back edge, and needs no dispatch node', () => {
  const graph = graphOf({ 0: [1], 1: [2, 3], 2: [1] })
  assert.equal(edgesOf(graph), ['0>1', '1>2', '1>3', '2>1'])
  assert.ok(graph.isLoopHeader[graph.names.indexOf(1)])
  assert.not.ok(graph.isMerge[graph.names.indexOf(1)], 'a back edge does not make a merge')
  assert.equal(graph.entries, [])
})

test('a loop with two entries: the second one is reached through the dispatch node', () => {
  const edges = { 0: [1, 2], 1: [2], 2: [1, 3] }
  const graph = graphOf(edges)
  assert.is(graph.names[0], DISPATCH)
  assert.is(graph.entries.length, 2, 'the head and one of the two')
  checkStructure(graph, edges)
})

test('the graph that Relooper throws on', () => {
  const edges = { 0: [1, 2], 1: [2, 6], 2: [2, 3], 3: [2, 4], 4: [5], 5: [1, 6], 6: [3] }
  const graph = graphOf(edges)
  checkStructure(graph, edges)
  assert.equal([...graph.names].sort(), [DISPATCH, 0, 1, 2, 3, 4, 5, 6], 'no node is lost')
})

test('random graphs, with entries that are asked for and without', () => {
  const random = new Random(7)
  for (let n = 0; n < 500; n++) {
    const size = 2 + random.below(20)
    const edges: Edges = {}
    for (let node = 0; node < size; node++) {
      edges[node] = Array.from({ length: random.below(4) }, () => random.below(size))
    }
    const graph = graphOf(edges)
    checkStructure(graph, edges)
    const loops = innermostLoops(graph)
    const entered = graphOf(edges, loops)
    checkStructure(entered, edges)
    for (const name of loops) assert.ok(entered.entries.includes(name))
  }
})

test('of nested loops the inner one is innermost, of two in a row both are', () => {
  assert.equal(innermostLoops(graphOf({ 0: [1], 1: [2], 2: [2, 3], 3: [1, 4] })), [2])
  assert.equal(innermostLoops(graphOf({ 0: [0, 1], 1: [1, 2] })), [0, 1])
})

test('the longest way ends at heads of loops', () => {
  const graph = graphOf({ 0: [1, 2], 1: [3], 2: [3], 3: [3, 4] })
  const instructions = [1, 10, 20, 100, 1000]
  const longest = longestPaths(graph, (name) => instructions[name] as number)
  const of = (name: number) => longest[graph.names.indexOf(name)]
  assert.is(of(0), 21, 'through 2, up to the head of the loop')
  assert.is(of(3), 1100)
})

test.run()
