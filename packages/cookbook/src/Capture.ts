/**
 * Records what an unmodified agent samples by the OpenAI protocol, and gives it back as trajectories, exact at the token:
 * observations are the prompts that the model was given, actions the tokens that it sampled with their logprobs.
 *
 * ```ts
 * const capture = yield* Capture.make()
 * const ServerLive = NodeServer.layer({ openAi: { formats, onCompletion: capture.onCompletion } })
 * // the agent's client sends `x-conversation-id: problem-7`, or has the base URL …/conversations/problem-7/v1
 * const branches = yield* capture.take("problem-7")
 * ```
 *
 * A conversation is a tree: a completion continues the one whose prompt and tokens its own prompt begins with, and one that
 * continues none, or is tried again, begins a branch. Each branch is one trajectory; turns that branches share are in each.
 * Completions without the key of a conversation are not recorded.
 *
 * A conversation belongs to the user who leads it: two users may use the same key and neither sees the other's. On a service
 * with API keys, name the user whose conversations are asked for, by `TinkerServer.userOf`; without keys there is none to name.
 *
 * @since 0.1.0
 */
import type * as TinkerServer from "@effect-tinker/server/TinkerServer"
import * as Effect from "effect/Effect"
import * as tree from "./internal/capture/tree.ts"
import type { Trajectory } from "./internal/trajectories/model.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** how many conversations of a user are kept; the oldest is dropped for another, with a warning; 10,000 */
  readonly maxConversations?: number | undefined
  /** how many sequences of a conversation are kept; what follows is dropped, with a warning; 4,096 */
  readonly maxSequences?: number | undefined
}

/**
 * A completion of a branch: the sequence of it that the branch has, what it was sampled from, and what was read in it, with its
 * calls of tools.
 *
 * @since 0.1.0
 * @category models
 */
export interface CapturedTurn {
  readonly id: string
  readonly base_model: string
  /** the path of the sampler's weights; absent for the base model */
  readonly model_path: string | undefined
  readonly pieces: TinkerServer.Completion["pieces"][number]
}

/**
 * One branch of a conversation. `captured` has one item for each turn of the trajectory. Rewards are 0: they are the program's
 * to give.
 *
 * @since 0.1.0
 * @category models
 */
export interface Branch {
  readonly trajectory: Trajectory
  readonly captured: ReadonlyArray<CapturedTurn>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Capture {
  /** for the option of the server */
  readonly onCompletion: (completion: TinkerServer.Completion) => Effect.Effect<void>
  /** the keys of a user's conversations, oldest first */
  readonly keys: (user?: string) => Effect.Effect<ReadonlyArray<string>>
  /** the branches of a conversation so far, in the order in which they ended; none if it is unknown */
  readonly branches: (key: string, user?: string) => Effect.Effect<ReadonlyArray<Branch>>
  /** the same, and forgets the conversation */
  readonly take: (key: string, user?: string) => Effect.Effect<ReadonlyArray<Branch>>
}

const toBranch = ({ nodes, trajectory }: tree.Path): Branch => ({
  trajectory,
  captured: nodes.map(({ completion: { base_model, id, pieces, request }, index }) => ({
    id,
    base_model,
    model_path: request.model_path,
    pieces: pieces[index]!
  }))
})

/** The conversations of one user by key, oldest first. */
type Conversations = Map<string, Array<tree.Node>>

/** The nodes of a conversation, and the key of the one that a new one takes the place of. */
const begin = (
  conversations: Conversations,
  key: string,
  most: number
): { readonly nodes: Array<tree.Node>; readonly dropped: string | undefined } => {
  const nodes: Array<tree.Node> = []
  conversations.set(key, nodes)
  if (conversations.size <= most) return { nodes, dropped: undefined }
  const oldest = conversations.keys().next().value!
  conversations.delete(oldest)
  return { nodes, dropped: `the conversation ${oldest} was dropped: ${most} others are kept` }
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = ({ maxConversations = 10_000, maxSequences = 4096 }: Options = {}): Effect.Effect<Capture> =>
  Effect.sync(() => {
    // keys are of users' own choice, and mean nothing between users
    const users = new Map<string | undefined, Conversations>()
    const branches = (key: string, user: string | undefined) =>
      tree.paths(users.get(user)?.get(key) ?? []).map(toBranch)
    return {
      onCompletion: (completion) =>
        Effect.suspend(() => {
          const { conversation: key, user } = completion
          if (key === undefined) return Effect.void
          const conversations: Conversations = users.get(user) ?? new Map()
          users.set(user, conversations)
          const known = conversations.get(key)
          const { dropped, nodes } =
            known === undefined ? begin(conversations, key, maxConversations) : { nodes: known, dropped: undefined }
          const isFull = nodes.length + completion.response.sequences.length > maxSequences
          if (!isFull) tree.add(nodes, completion)
          const warning = isFull
            ? `a completion of ${key} was dropped: it has ${nodes.length} sequences already`
            : dropped
          return warning === undefined ? Effect.void : Effect.logWarning(warning)
        }),
      keys: (user) => Effect.sync(() => Array.from(users.get(user)?.keys() ?? [])),
      branches: (key, user) => Effect.sync(() => branches(key, user)),
      take: (key, user) =>
        Effect.sync(() => {
          const all = branches(key, user)
          users.get(user)?.delete(key)
          return all
        })
    }
  })
