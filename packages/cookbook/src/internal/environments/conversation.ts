/** Conversations as environments: the model speaks, what it says is parsed, and tools, users or graders reply. */
import * as Effect from "effect/Effect"
import type { DurationInput } from "../effect/duration.ts"
import type * as Message from "../../Message.ts"
import type * as Renderer from "../formats/model.ts"
import type { StopReason } from "../trajectories/model.ts"
import type { GraderTimeout } from "./errors.ts"
import type { Env, EnvGroup, Outcome } from "./model.ts"
import { withTimeout } from "./problem.ts"

/**
 * What a message of the model led to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reply extends Omit<Outcome, "next"> {
  /** what is said next, before the model speaks again; none if the conversation ends */
  readonly messages?: ReadonlyArray<Message.Message> | undefined
}

/**
 * What to do with a message that cannot be read. A structural failure always ends the episode. After up to `maxConsecutive`
 * failures of content in a row the model is told what is wrong, and speaks again.
 *
 * @since 0.1.0
 * @category models
 */
export interface ParseFailures {
  readonly maxConsecutive: number
  /** what a turn loses that is answered so; 0 by default */
  readonly penalty?: number | undefined
  /** the reward of a turn that ends the episode; 0 by default */
  readonly reward?: number | undefined
  /** whether such turns are left out of training; false by default */
  readonly masked?: boolean | undefined
}

/**
 * A function that the model may call: what is said of it, and what it does with the arguments, as JSON has them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tool<E = never, R = never> {
  readonly spec: Message.ToolSpec
  readonly run: (input: unknown) => Effect.Effect<string | { readonly text: string; readonly stop: boolean }, E, R>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ConversationOptions<E = never, R = never> {
  readonly renderer: Renderer.Service
  readonly messages: ReadonlyArray<Message.Message>
  readonly size: number
  /** tools by name; their calls are answered before `reply` is asked */
  readonly tools?: { readonly [name: string]: Tool<E, R> } | undefined
  /** calls of tools in an episode; no limit by default */
  readonly maxToolCalls?: number | undefined
  /** what a message of the model that calls no tool leads to; `history` ends with that message */
  readonly reply: (
    message: Message.Message,
    history: ReadonlyArray<Message.Message>
  ) => Effect.Effect<Reply, E, R> | Reply
  /** after which `reply` fails with `GraderTimeout`; no limit by default */
  readonly graderTimeout?: DurationInput | undefined
  /** by default a message that cannot be read ends the episode with the reward -1 */
  readonly parseFailures?: ParseFailures | undefined
  readonly tags?: ReadonlyArray<string> | undefined
}

interface State {
  history: ReadonlyArray<Message.Message>
  failures: number
  toolCalls: number
}

const observe = <E, R>({ renderer, tools }: ConversationOptions<E, R>, history: ReadonlyArray<Message.Message>) =>
  Effect.map(
    renderer.generationPrompt(
      history,
      tools === undefined ? {} : { tools: Object.values(tools).map(({ spec }) => spec) }
    ),
    (prompt) => ({ prompt, stop: renderer.stop as ReadonlyArray<number> })
  )

const say = <E, R>(options: ConversationOptions<E, R>, state: State, messages: ReadonlyArray<Message.Message>) => {
  state.history = [...state.history, ...messages]
  return observe(options, state.history)
}

const onFailure = <E, R>(
  options: ConversationOptions<E, R>,
  state: State,
  message: Message.Message,
  { detail, kind }: Renderer.ParseFailure
) =>
  Effect.gen(function* () {
    const policy = options.parseFailures
    const metrics = { parse_error: 1 }
    if (policy === undefined || kind === "structural" || state.failures >= policy.maxConsecutive) {
      const reward = policy === undefined ? -1 : (policy.reward ?? 0)
      const outcome: Outcome = { reward, stop: "parse_error", masked: policy?.masked, metrics }
      return outcome
    }
    state.failures++
    const content = `The previous message had a formatting issue.\nError: ${detail}`
    const next = yield* say(options, state, [message, { role: "user", content }])
    const outcome: Outcome = { reward: -(policy.penalty ?? 0), next, masked: policy.masked, metrics }
    return outcome
  })

const functionOf = (call: Message.ToolCall) =>
  ("function" in call ? call.function : call) as {
    readonly name: string
    readonly arguments: unknown
  }

/** The arguments of a call; text that is no JSON stays text, for the tool to refuse. */
const argumentsOf = (call: Message.ToolCall): Effect.Effect<unknown> => {
  const given = functionOf(call).arguments
  return typeof given !== "string"
    ? Effect.succeed(given)
    : Effect.orElseSucceed(
        Effect.try(() => JSON.parse(given) as unknown),
        () => given
      )
}

const callTool = <E, R>({ tools = {} }: ConversationOptions<E, R>, call: Message.ToolCall) =>
  Effect.gen(function* () {
    const { name } = functionOf(call)
    const tool = Object.hasOwn(tools, name) ? tools[name] : undefined
    if (tool === undefined) return { text: `there is no tool ${name}`, stop: false }
    const result = yield* tool.run(yield* argumentsOf(call))
    return typeof result === "string" ? { text: result, stop: false } : result
  })

const onToolCalls = <E, R>(
  options: ConversationOptions<E, R>,
  state: State,
  message: Message.Message,
  calls: ReadonlyArray<Message.ToolCall>
) =>
  Effect.gen(function* () {
    const { maxToolCalls = Number.POSITIVE_INFINITY } = options
    const replies: Array<Message.Message> = []
    let stop: StopReason | undefined
    for (const call of calls) {
      if (state.toolCalls >= maxToolCalls) {
        stop = "max_tool_calls"
        break
      }
      state.toolCalls++
      const result = yield* callTool(options, call)
      const id = "id" in call && typeof call.id === "string" ? { tool_call_id: call.id } : {}
      replies.push({ role: "tool", name: functionOf(call).name, content: result.text, ...id })
      if (result.stop) {
        stop = "tool_stopped"
        break
      }
    }
    const metrics = { tool_calls: replies.length }
    if (stop === undefined) {
      const outcome: Outcome = { reward: 0, next: yield* say(options, state, [message, ...replies]), metrics }
      return outcome
    }
    // what a tool or the limit ends is graded as it is
    state.history = [...state.history, message, ...replies]
    const { reward } = yield* ask(options, state, message)
    const outcome: Outcome = { reward, stop, metrics }
    return outcome
  })

const ask = <E, R>(
  options: ConversationOptions<E, R>,
  state: State,
  message: Message.Message
): Effect.Effect<Reply, E | GraderTimeout, R> => {
  const reply = options.reply(message, state.history)
  return Effect.isEffect(reply) ? withTimeout(reply, options.graderTimeout) : Effect.succeed(reply)
}

const step = <E, R>(options: ConversationOptions<E, R>, state: State, tokens: Int32Array) =>
  Effect.gen(function* () {
    const { failure, message } = yield* options.renderer.parse(tokens)
    if (failure !== undefined) return yield* onFailure(options, state, message, failure)
    state.failures = 0
    const calls = message.tool_calls ?? []
    if (options.tools !== undefined && calls.length > 0) return yield* onToolCalls(options, state, message, calls)
    state.history = [...state.history, message]
    const { messages, ...outcome } = yield* ask(options, state, message)
    if (messages === undefined || outcome.stop !== undefined) return outcome satisfies Outcome as Outcome
    const continued: Outcome = { ...outcome, next: yield* say(options, state, messages) }
    return continued
  })

/** @internal */
export const conversation = <E = never, R = never>(
  options: ConversationOptions<E, R>
): EnvGroup<E | GraderTimeout | Renderer.RendererError, R> => {
  const first = observe(options, options.messages)
  return {
    size: options.size,
    tags: options.tags,
    initial: first,
    env: () =>
      Effect.sync((): Env<E | GraderTimeout | Renderer.RendererError, R> => {
        const state: State = { history: options.messages, failures: 0, toolCalls: 0 }
        return {
          initial: first,
          step: ({ tokens }) => step(options, state, tokens),
          atLimit: (stop: StopReason) => Effect.succeed(stop === "context_overflow" ? -0.1 : 0)
        }
      })
  }
}
