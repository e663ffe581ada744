/** Conversations as environments: the model speaks, what it says is parsed, and tools, users or graders reply. */
import * as Effect from "effect/Effect"
import type { DurationInput } from "../effect/duration.ts"
import type * as Scope from "effect/Scope"
import type * as Message from "../../Message.ts"
import type * as Renderer from "../formats/model.ts"
import type { StopReason } from "../trajectories/model.ts"
import type { GraderTimeout } from "./errors.ts"
import type { Env, EnvGroup, Outcome } from "./model.ts"
import { withTimeout } from "./problem.ts"
import { argumentsOf, callTool, functionOf, type Tools } from "./tools.ts"

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
 * @since 0.1.0
 * @category models
 */
export interface ConversationOptions<E = never, R = never> {
  /** a renderer, or any other form of prompts and answers */
  readonly renderer: Pick<Renderer.Service, "generationPrompt" | "parse" | "stop">
  readonly messages: ReadonlyArray<Message.Message>
  readonly size: number
  /**
   * tools by name; their calls are answered before `reply` is asked. An effect makes those of each episode anew, in its
   * scope, for tools that keep something
   */
  readonly tools?: Tools<E, R> | Effect.Effect<Tools<E, R>, E, R | Scope.Scope> | undefined
  /** calls of tools in an episode; no limit by default */
  readonly maxToolCalls?: number | undefined
  /** what a message of the model that calls no tool leads to; `history` ends with that message */
  readonly reply: (
    message: Message.Message,
    history: ReadonlyArray<Message.Message>
  ) => Effect.Effect<Reply, E, R> | Reply
  /** after which `reply` fails with `GraderTimeout`; no limit by default */
  readonly graderTimeout?: DurationInput | undefined
  /**
   * what an episode earns that a limit has ended before its next turn. By default -0.1 if it outgrew the context, else 0
   */
  readonly atLimit?:
    | ((stop: StopReason, history: ReadonlyArray<Message.Message>) => Effect.Effect<number, E, R> | number)
    | undefined
  /** by default a message that cannot be read ends the episode with the reward -1 */
  readonly parseFailures?: ParseFailures | undefined
  readonly tags?: ReadonlyArray<string> | undefined
}

interface State<E, R> {
  readonly tools: Tools<E, R> | undefined
  history: ReadonlyArray<Message.Message>
  failures: number
  toolCalls: number
}

const observe = <E, R>(
  renderer: ConversationOptions["renderer"],
  tools: Tools<E, R> | undefined,
  history: ReadonlyArray<Message.Message>
) =>
  Effect.map(
    renderer.generationPrompt(
      history,
      tools === undefined ? {} : { tools: Object.values(tools).map(({ spec }) => spec) }
    ),
    (prompt) => ({ prompt, stop: renderer.stop as ReadonlyArray<number> })
  )

const say = <E, R>(
  options: ConversationOptions<E, R>,
  state: State<E, R>,
  messages: ReadonlyArray<Message.Message>
) => {
  state.history = [...state.history, ...messages]
  return observe(options.renderer, state.tools, state.history)
}

const onFailure = <E, R>(
  options: ConversationOptions<E, R>,
  state: State<E, R>,
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

const onToolCalls = <E, R>(
  options: ConversationOptions<E, R>,
  state: State<E, R>,
  message: Message.Message,
  calls: ReadonlyArray<Message.ToolCall>
) =>
  Effect.gen(function* () {
    const { maxToolCalls = Number.POSITIVE_INFINITY } = options
    const replies: Array<Message.Message> = []
    let stop: StopReason | undefined
    let errors = 0
    for (const call of calls) {
      if (state.toolCalls >= maxToolCalls) {
        stop = "max_tool_calls"
        break
      }
      state.toolCalls++
      const result = yield* callTool(state.tools ?? {}, functionOf(call).name, yield* argumentsOf(call))
      if (result.isError === true) errors++
      const id = "id" in call && typeof call.id === "string" ? { tool_call_id: call.id } : {}
      replies.push({ role: "tool", name: functionOf(call).name, content: result.text, ...id })
      if (result.stop === true) {
        stop = "tool_stopped"
        break
      }
    }
    const metrics = { tool_calls: replies.length, tool_errors: errors }
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
  state: State<E, R>,
  message: Message.Message
): Effect.Effect<Reply, E | GraderTimeout, R> => {
  const reply = options.reply(message, state.history)
  return Effect.isEffect(reply) ? withTimeout(reply, options.graderTimeout) : Effect.succeed(reply)
}

const step = <E, R>(options: ConversationOptions<E, R>, state: State<E, R>, tokens: Int32Array) =>
  Effect.gen(function* () {
    const { failure, message } = yield* options.renderer.parse(tokens)
    if (failure !== undefined) return yield* onFailure(options, state, message, failure)
    state.failures = 0
    const calls = message.tool_calls ?? []
    if (state.tools !== undefined && calls.length > 0) return yield* onToolCalls(options, state, message, calls)
    state.history = [...state.history, message]
    const { messages, ...outcome } = yield* ask(options, state, message)
    if (messages === undefined || outcome.stop !== undefined) return outcome satisfies Outcome as Outcome
    const continued: Outcome = { ...outcome, next: yield* say(options, state, messages) }
    return continued
  })

const envOf = <E, R>(
  options: ConversationOptions<E, R>,
  tools: Tools<E, R> | undefined
): Env<E | GraderTimeout | Renderer.RendererError, R> => {
  const state: State<E, R> = { tools, history: options.messages, failures: 0, toolCalls: 0 }
  return {
    initial: observe(options.renderer, tools, options.messages),
    step: ({ tokens }) => step(options, state, tokens),
    atLimit: (stop) => {
      const given = options.atLimit?.(stop, state.history) ?? (stop === "context_overflow" ? -0.1 : 0)
      return Effect.isEffect(given) ? withTimeout(given, options.graderTimeout) : Effect.succeed(given)
    }
  }
}

/** @internal */
export const conversation = <E = never, R = never>(
  options: ConversationOptions<E, R>
): EnvGroup<E | GraderTimeout | Renderer.RendererError, R, Env<E | GraderTimeout | Renderer.RendererError, R>> => {
  const { messages, renderer, size, tags, tools } = options
  if (Effect.isEffect(tools)) {
    return { size, tags, env: () => Effect.map(tools, (tools) => envOf(options, tools)) }
  }
  return {
    size,
    tags,
    initial: observe(renderer, tools, messages),
    env: () => Effect.sync(() => envOf(options, tools))
  }
}
