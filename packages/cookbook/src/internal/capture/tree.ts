/** The completions of one conversation as a tree: a completion continues the one whose tokens its prompt begins with. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as TinkerServer from "@effect-tinker/server/TinkerServer"
import type { Trajectory, Turn } from "../trajectories/model.ts"

/** One sequence of a completion. @internal */
export interface Node {
  readonly completion: TinkerServer.Completion
  /** which of its sequences */
  readonly index: number
  /** unlike that of the completion, which is its client's to choose, it is its own among all of its conversation */
  readonly id: string
  readonly prompt: Int32Array
  readonly parent: Node | undefined
  isContinued: boolean
}

const actionOf = ({ completion, index }: Node) => completion.response.sequences[index]!

const commonLength = (a: Int32Array, b: Int32Array, from: number): number => {
  let length = 0
  while (length < a.length && from + length < b.length && a[length] === b[from + length]) length++
  return length
}

/** How many tokens of the node its prompt and its action have in common with a prompt; -1 if it does not begin with the node's. */
const overlap = (node: Node, prompt: Int32Array): number =>
  prompt.length > node.prompt.length && commonLength(node.prompt, prompt, 0) === node.prompt.length
    ? node.prompt.length + commonLength(actionOf(node).tokens, prompt, node.prompt.length)
    : -1

/**
 * The sequence that a prompt continues: the one with most tokens in common, of several the last. The text of an action may
 * come back in other tokens, so that its own need not all be there.
 */
const parentOf = (nodes: ReadonlyArray<Node>, prompt: Int32Array): Node | undefined => {
  let best: Node | undefined
  let most = -1
  for (const node of nodes) {
    const length = overlap(node, prompt)
    if (length >= 0 && length >= most) [best, most] = [node, length]
  }
  return best
}

/** Adds a completion. A retry has the prompt of another, and becomes a branch beside it. @internal */
export const add = (nodes: Array<Node>, completion: TinkerServer.Completion): void => {
  const prompt = ModelInput.toTokens(completion.request.prompt)
  const parent = parentOf(nodes, prompt)
  if (parent !== undefined) parent.isContinued = true
  completion.response.sequences.forEach((_, index) =>
    nodes.push({ completion, index, id: `${completion.id}:${nodes.length}`, prompt, parent, isContinued: false })
  )
}

const turnOf = (node: Node): Turn => {
  const { logprobs, stop_reason, tokens } = actionOf(node)
  return {
    observation: node.completion.request.prompt,
    action: {
      tokens,
      logprobs: logprobs ?? new Float32Array(0),
      stop_reason,
      sequence_id: node.id
    },
    reward: 0
  }
}

const pathTo = (leaf: Node): ReadonlyArray<Node> => {
  const path: Array<Node> = []
  for (let node: Node | undefined = leaf; node !== undefined; node = node.parent) path.unshift(node)
  return path
}

/** A path from the first completion to one that nothing continues. @internal */
export interface Path {
  readonly nodes: ReadonlyArray<Node>
  readonly trajectory: Trajectory
}

/** @internal */
export const paths = (nodes: ReadonlyArray<Node>): ReadonlyArray<Path> =>
  nodes
    .filter(({ isContinued }) => !isContinued)
    .map((leaf) => {
      const path = pathTo(leaf)
      const stop = actionOf(leaf).stop_reason === "stop" ? "completed" : "max_tokens"
      return { nodes: path, trajectory: { turns: path.map(turnOf), stop, reward: 0 } }
    })
