import * as ModelInput from "@effect-tinker/api/ModelInput"
import { assert, describe, it } from "@effect/vitest"
import * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as AiTool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as Env from "../src/Env.ts"
import * as Renderer from "../src/Renderer.ts"
import * as Rollouts from "../src/Rollouts.ts"
import * as Toolkits from "../src/Toolkits.ts"
import * as Trajectory from "../src/Trajectory.ts"
import * as sampler from "./utils/sampler.ts"

const decode = (tokens: ArrayLike<number>) => String.fromCharCode(...Array.from(tokens))
const codes = (text: string) => Array.from(text, (char) => char.charCodeAt(0))
const place = { run: 0, step: 0, group: 0 }

const problem = {
  prompt: codes("2+2="),
  stop: "\n",
  size: 4,
  decode,
  grade: ({ text }: Env.Answer) => (text === "4" ? 1 : 0)
} satisfies Env.ProblemOptions

/** Plays a conversation in which the model says these texts, turn by turn. */
const converse = (
  says: ReadonlyArray<string>,
  options: Omit<Env.ConversationOptions, "renderer" | "size">,
  limits?: Rollouts.Limits,
  endWith?: string
) =>
  Effect.gen(function* () {
    const tokenizer = yield* Tokenizer.fromDirectory(yield* ModelDirectory.nano)
    const renderer = yield* Renderer.make("role_colon", tokenizer)
    const end = endWith ?? (typeof renderer.stop[0] === "string" ? renderer.stop[0] : "")
    let turn = 0
    const speaker = sampler.make(() =>
      Array.from(tokenizer.encode(`${says[turn++]}${end}`, { addSpecialTokens: false }))
    )
    const group = Env.conversation({ ...options, renderer, size: 1 })
    const { trajectories } = yield* Rollouts.group(speaker, group, { limits }, place)
    return { trajectory: trajectories[0]!, asked: speaker.asked.map(({ prompt }) => tokenizer.decode(prompt)) }
  }).pipe(Effect.provide(NodeContext.layer))

describe("Env", () => {
  it.effect("rewards the right answer, and takes the penalty from one that does not end or lacks the form", () =>
    Effect.gen(function* () {
      const answers = ["4\n", "5\n", "4", "4 \n"]
      const speaker = sampler.make((_, i) => codes(answers[i]!))
      const hasForm = ({ text }: Env.Answer) => text.trim() === text
      const { trajectories } = yield* Rollouts.group(speaker, Env.problem({ ...problem, hasForm }), {}, place)
      assert.deepStrictEqual(trajectories.map(Trajectory.totalReward), [1, 0, 0.9, -0.1])
      assert.deepStrictEqual(
        trajectories.map(({ metrics }) => metrics?.["format"]),
        [1, 1, 0, 0]
      )
      // one request for all
      assert.deepStrictEqual(
        speaker.asked.map(({ options, prompt }) => [
          decode(prompt),
          options.num_samples,
          options.sampling_params?.stop
        ]),
        [["2+2=", 4, "\n"]]
      )
    })
  )

  it.effect("reads answers that end with a stop token, or whose last token holds more than the stop text", () =>
    Effect.gen(function* () {
      const answer = (stop: Env.ProblemOptions["stop"], tokens: ReadonlyArray<number>) =>
        Rollouts.group(
          sampler.make(() => tokens),
          Env.problem({ ...problem, stop, size: 1 }),
          {},
          place
        )
      const rewards = yield* Effect.forEach([answer([0], [...codes("4"), 0]), answer(["\n"], codes("4\nx"))], (run) =>
        Effect.map(run, Trajectory.rewards)
      )
      assert.deepStrictEqual(rewards, [[1], [1]])
    })
  )

  it.effect("fails with GraderTimeout when a grader never ends", () =>
    Effect.gen(function* () {
      const group = Env.problem({
        ...problem,
        grade: () => Effect.uninterruptible(Effect.never),
        graderTimeout: "3 seconds"
      })
      const fiber = yield* Effect.fork(
        Effect.flip(
          Rollouts.group(
            sampler.make(() => codes("4\n")),
            group,
            {},
            place
          )
        )
      )
      yield* TestClock.adjust("3 seconds")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error._tag, "GraderTimeout")
    })
  )

  const question = [{ role: "user", content: "guess" }]

  it.effect("leads a conversation: each turn's prompt repeats what came before", () =>
    Effect.gen(function* () {
      const { asked, trajectory } = yield* converse([" 3", " 7"], {
        messages: question,
        reply: ({ content }) =>
          content === "7" ? { reward: 1 } : { reward: -0.25, messages: [{ role: "user", content: "higher" }] }
      })
      assert.deepStrictEqual(
        trajectory.turns.map(({ reward }) => reward),
        [-0.25, 1]
      )
      assert.strictEqual(trajectory.stop, "completed")
      assert.include(asked[1], "3")
      assert.include(asked[1], "higher")
      assert.lengthOf(Trajectory.toExamples(trajectory, 1), 1)
    })
  )

  it.effect("ends with -1 where a message cannot be read, and with a limit where one is reached", () =>
    Effect.gen(function* () {
      const forever = {
        messages: question,
        reply: () => ({ reward: 0.5, messages: [{ role: "user", content: "on" }] })
      }
      const { trajectory: long } = yield* converse(["a", "b", "c"], forever, { maxTurns: 2, noGainAtLimit: true })
      assert.deepStrictEqual([long.stop, long.turns.length, Trajectory.totalReward(long)], ["max_turns", 2, 0])
      const { trajectory: big } = yield* converse(["a", "b", "c"], forever, { maxTrajectoryTokens: 40 })
      assert.deepStrictEqual([big.stop, big.reward], ["context_overflow", -0.1])
      const cut = yield* converse(
        ["this is cut before its end"],
        { messages: question, reply: () => ({ reward: 1 }) },
        {
          maxTurnTokens: 4
        }
      )
      // what cannot be read because it was cut was cut
      assert.deepStrictEqual([cut.trajectory.stop, Trajectory.totalReward(cut.trajectory)], ["max_tokens", -1])
      const unread = yield* converse(["no end"], { messages: question, reply: () => ({ reward: 1 }) }, undefined, "")
      assert.deepStrictEqual([unread.trajectory.stop, Trajectory.totalReward(unread.trajectory)], ["parse_error", -1])
      const graded = yield* converse(
        ["a", "b"],
        { ...forever, atLimit: (stop, history) => (stop === "max_turns" ? history.length / 10 : 0) },
        { maxTurns: 1 }
      )
      assert.closeTo(Trajectory.totalReward(graded.trajectory), 0.8, 1e-12)
    })
  )
})

describe("Env with tools", () => {
  const spec = { type: "function", function: { name: "add", parameters: { type: "object" } } } as const
  const call = (x: unknown) => ({ function: { name: "add", arguments: JSON.stringify(x) } })

  /** A renderer whose responses are JSON messages. */
  const renderer = {
    name: "json",
    hasExtensionProperty: true,
    stop: [0],
    generationPrompt: (messages: ReadonlyArray<unknown>) =>
      Effect.succeed(ModelInput.fromTokens(codes(JSON.stringify(messages)))),
    parse: (tokens: ArrayLike<number>) =>
      Effect.sync(() => {
        try {
          return { message: JSON.parse(decode(tokens)), termination: "stop_sequence", failure: undefined }
        } catch {
          const failure = { kind: "content", detail: "is no JSON" }
          return { message: { role: "assistant", content: decode(tokens) }, termination: "stop_sequence", failure }
        }
      })
  } as unknown as Renderer.Service

  const play = <E = never>(says: ReadonlyArray<unknown>, options: Partial<Env.ConversationOptions<E>>) => {
    let turn = 0
    const speaker = sampler.make(() => {
      const next = says[turn++]
      return codes(typeof next === "string" ? next : JSON.stringify(next))
    })
    const group = Env.conversation<E>({
      messages: [{ role: "user", content: "1+2" }],
      tools: {
        add: {
          spec,
          run: (input) => {
            const { a, b } = input as { readonly a: number; readonly b: number }
            return Effect.succeed(String(a + b))
          }
        }
      },
      reply: ({ content }) => ({ reward: content === "3" ? 1 : 0 }),
      ...options,
      renderer,
      size: 1
    })
    return Effect.map(Rollouts.group(speaker, group, {}, place), ({ trajectories }) => ({
      trajectory: trajectories[0]!,
      last: JSON.parse(decode(speaker.asked.at(-1)!.prompt)) as ReadonlyArray<{
        readonly role: string
        readonly content: string
      }>
    }))
  }

  it.effect("answers calls of tools one after the other, then asks for the reward", () =>
    Effect.gen(function* () {
      const { last, trajectory } = yield* play(
        [
          { role: "assistant", tool_calls: [call({ a: 1, b: 2 })] },
          { role: "assistant", content: "3" }
        ],
        {}
      )
      assert.deepStrictEqual(
        last.map(({ role }) => role),
        ["user", "assistant", "tool"]
      )
      assert.strictEqual(last[2]!.content, "3")
      assert.deepStrictEqual([trajectory.stop, Trajectory.totalReward(trajectory)], ["completed", 1])
      assert.strictEqual(trajectory.metrics?.["tool_calls"], 1)
    })
  )

  it.effect("tells the model what it called wrongly: another tool, or one that throws", () =>
    Effect.gen(function* () {
      const add = { spec, run: (input: unknown) => String((input as { readonly a: { readonly b: number } }).a.b) }
      const tool_calls = [{ function: { name: "subtract", arguments: "{}" } }, call({}), call({ a: { b: 3 } })]
      const { last, trajectory } = yield* play(
        [
          { role: "assistant", tool_calls },
          { role: "assistant", content: "3" }
        ],
        { tools: { add } }
      )
      assert.strictEqual(last[2]!.content, "there is no tool subtract")
      assert.match(last[3]!.content, /^add failed: .*undefined/)
      assert.strictEqual(last[4]!.content, "3")
      assert.deepInclude(trajectory.metrics, { tool_calls: 3, tool_errors: 2 })
    })
  )

  const Counter = Toolkit.make(
    AiTool.make("count", {
      parameters: { by: Schema.NumberFromString },
      success: Schema.Struct({ total: Schema.Number })
    }),
    AiTool.make("divide", {
      parameters: { by: Schema.Number },
      success: Schema.Number,
      failure: Schema.String,
      failureMode: "return"
    }),
    AiTool.make("submit", { parameters: {}, success: Schema.String }),
    AiTool.make("broken", { parameters: {}, success: Schema.Int, failure: Schema.String })
  )

  /** Handlers that keep a total. */
  const CounterLive = Counter.toLayer(
    Effect.sync(() => {
      let total = 0
      return {
        count: ({ by }) => Effect.sync(() => ({ total: (total += by) })),
        divide: ({ by }) => (by === 0 ? Effect.fail("by zero") : Effect.succeed(total / by)),
        submit: () => Effect.succeed("handed in"),
        broken: () => Effect.fail("no network")
      }
    })
  )
  const counting = Toolkits.tools(Counter, { stop: ["submit"] }).pipe(Effect.provide(CounterLive))
  const calling = (name: string, args: unknown) => ({
    role: "assistant",
    tool_calls: [{ function: { name, arguments: args } }]
  })

  it.effect("calls the handlers of a toolkit, which each episode has of its own", () =>
    Effect.gen(function* () {
      const texts = { reply: () => ({ reward: 0.5 }), tools: counting }
      const says = [
        calling("count", { by: "2" }),
        calling("count", JSON.stringify({ by: "3" })),
        calling("count", { by: 4 }),
        calling("divide", { by: 0 }),
        calling("submit", {})
      ]
      for (let episode = 0; episode < 2; episode++) {
        const { last, trajectory } = yield* play(says, texts)
        const answers = last.filter(({ role }) => role === "tool").map(({ content }) => content)
        assert.deepStrictEqual(answers.slice(0, 2), ['{"total":2}', '{"total":5}'])
        assert.match(answers[2]!, /^by: Expected string, actual 4/)
        assert.strictEqual(answers[3], "by zero")
        assert.deepStrictEqual([trajectory.stop, Trajectory.totalReward(trajectory)], ["tool_stopped", 0.5])
        assert.deepInclude(trajectory.metrics, { tool_calls: 5, tool_errors: 2 })
      }
    })
  )

  it.effect("fails with the error of a handler, and tells the model what the tools are", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Effect.flip(play([calling("broken", {})], { tools: counting })), "no network")
      const tools = yield* counting
      assert.deepStrictEqual(Object.keys(tools), ["count", "divide", "submit", "broken"])
      assert.include(JSON.stringify(tools["divide"]!.spec), '"required":["by"]')
    })
  )

  it.effect("stops between the calls of a turn when their number is reached", () =>
    Effect.gen(function* () {
      const calls = [call({ a: 1, b: 1 }), call({ a: 2, b: 2 })]
      const { trajectory } = yield* play([{ role: "assistant", tool_calls: calls }], { maxToolCalls: 1 })
      assert.deepStrictEqual([trajectory.stop, trajectory.metrics?.["tool_calls"]], ["max_tool_calls", 1])
    })
  )

  it.effect("tells the model what is wrong with its message, so often in a row", () =>
    Effect.gen(function* () {
      const parseFailures = { maxConsecutive: 1, penalty: 0.5, masked: true }
      const good = { role: "assistant", content: "3" }
      const { last, trajectory } = yield* play(["{", good], { parseFailures })
      assert.strictEqual(last.at(-1)!.content, "The previous message had a formatting issue.\nError: is no JSON")
      assert.deepStrictEqual(
        trajectory.turns.map(({ masked, reward }) => [reward, masked]),
        [
          [-0.5, true],
          [1, undefined]
        ]
      )
      const twice = yield* play(["{", "{", good], { parseFailures })
      assert.deepStrictEqual([twice.trajectory.stop, twice.trajectory.turns.length], ["parse_error", 2])
    })
  )
})
