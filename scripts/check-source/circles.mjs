/**
 * No circles of files. oxlint's import/no-cycle sees those within a package; this one sees dynamic imports and imports
 * from one package to another as well.
 */
import { edges, shortPath } from "./sources.mjs"

/** The strongly connected components of a graph that have more than one node (Tarjan). */
export const circlesOf = (graph) => {
  let counter = 0
  const index = new Map()
  const low = new Map()
  const stack = []
  const found = []
  const connect = (node) => {
    index.set(node, counter)
    low.set(node, counter++)
    stack.push(node)
    for (const next of graph.get(node) ?? []) {
      if (!index.has(next)) {
        connect(next)
        low.set(node, Math.min(low.get(node), low.get(next)))
      } else if (stack.includes(next)) {
        low.set(node, Math.min(low.get(node), index.get(next)))
      }
    }
    if (low.get(node) !== index.get(node)) return
    const members = stack.splice(stack.indexOf(node))
    if (members.length > 1) found.push(members)
  }
  for (const node of graph.keys()) if (!index.has(node)) connect(node)
  return found
}

/** A graph as a map from each node to those it points at. */
export const graphOf = (pairs) => {
  const graph = new Map()
  for (const [from, to] of pairs) {
    if (!graph.has(from)) graph.set(from, new Set())
    graph.get(from).add(to)
  }
  return graph
}

/** A shortest way from a node back to itself, within a circle. */
const wayAround = (graph, members) => {
  const [start] = members
  const inside = new Set(members)
  const cameFrom = new Map()
  const queue = [start]
  for (const node of queue) {
    for (const next of graph.get(node) ?? []) {
      if (next === start) {
        const way = [start]
        for (let at = node; at !== start; at = cameFrom.get(at)) way.splice(1, 0, at)
        return [...way, start]
      }
      if (inside.has(next) && !cameFrom.has(next)) {
        cameFrom.set(next, node)
        queue.push(next)
      }
    }
  }
  return members
}

export const check = (report) => {
  const graph = graphOf(edges().map(({ from, to }) => [from, to]))
  for (const members of circlesOf(graph)) {
    const way = wayAround(graph, members.sort()).map(shortPath)
    report(members[0], 0, `is in a circle of ${members.length} files: ${way.join(" → ")}`)
  }
}
