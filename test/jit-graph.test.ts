/** Structuring: dominator trees, loops, and graphs that wasm's blocks can not express. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { buildGraph, type Graph } from '../jit/graph.ts'

function graphOf(edges: Record<number, number[]>): Graph {
  return buildGraph(0, (name) => edges[name] ?? [])
}

/** Edges by the names of the input. */
function edgesOf(graph: Graph): string[] {
  return graph.successors
    .flatMap((targets, node) => targets.map((to) => `${graph.names[node]}>${graph.names[to]}`))
    .sort()
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

test('a natural loop keeps its back edge', () => {
  const graph = graphOf({ 0: [1], 1: [2, 3], 2: [1] })
  assert.equal(edgesOf(graph), ['0>1', '1>2', '1>3', '2>1'])
  assert.ok(graph.isLoopHeader[graph.names.indexOf(1)])
  assert.not.ok(graph.isMerge[graph.names.indexOf(1)], 'a back edge does not make a merge')
})

test('a loop with two entries: the edge that is no back edge of a natural loop is cut', () => {
  const graph = graphOf({ 0: [1, 2], 1: [2], 2: [1, 3] })
  assert.is(edgesOf(graph).length, 4)
  for (const [node, targets] of graph.successors.entries()) {
    for (const to of targets) assert.ok(to > node, 'what is left has no cycle')
  }
})

test('the graph that Relooper throws on', () => {
  const graph = graphOf({ 0: [1, 2], 1: [2, 6], 2: [2, 3], 3: [2, 4], 4: [5], 5: [1, 6], 6: [3] })
  const dominatorOf = (node: number) => graph.children.findIndex((children) => children.includes(node))
  for (const [node, targets] of graph.successors.entries()) {
    for (const to of targets) {
      if (to > node) continue
      let above = node
      while (above > to) above = dominatorOf(above)
      assert.is(above, to, 'a kept back edge goes to a node that dominates it')
    }
  }
  assert.is(graph.count, 7, 'no node is lost')
})

test.run()
