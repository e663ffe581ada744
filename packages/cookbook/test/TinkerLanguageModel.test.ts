import * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import * as Renderer from "@effect-tinker/cookbook/Renderer"
import * as TinkerLanguageModel from "@effect-tinker/cookbook/TinkerLanguageModel"
import * as LanguageModel from "@effect/ai/LanguageModel"
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { samplerOf, type Script, tokenizer } from "./utils/scriptedEngine.ts"

const call = (name: string, args: unknown) => `<tool_call>\n${JSON.stringify({ name, arguments: args })}\n</tool_call>`

const layerOf = (
  script: Script,
  { pause, ...options }: Partial<TinkerLanguageModel.Options> & { readonly pause?: Effect.Effect<void> } = {}
) =>
  Layer.unwrapScoped(
    Effect.gen(function* () {
      const sampling = yield* samplerOf({ script, pause })
      const renderer = yield* Renderer.make("qwen3_instruct", yield* tokenizer)
      return TinkerLanguageModel.layer({ sampling, renderer, maxTokens: 256, ...options })
    })
  )

const Weather = Toolkit.make(
  Tool.make("weather", {
    description: "The weather in a city",
    parameters: { city: Schema.String },
    success: Schema.Struct({ sky: Schema.String })
  })
)
const WeatherLive = Weather.toLayer({ weather: ({ city }) => Effect.succeed({ sky: `grey over ${city}` }) })

describe("TinkerLanguageModel", () => {
  it.live("generates text, with its usage, its end, and telemetry", () =>
    Effect.gen(function* () {
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (name, parent, context, links, startTime, kind) => {
          const attributes = new Map<string, unknown>()
          const span: Tracer.Span = {
            _tag: "Span",
            name,
            spanId: String(spans.length),
            traceId: "trace",
            parent,
            context,
            status: { _tag: "Started", startTime },
            attributes,
            links,
            sampled: true,
            kind,
            end: () => {},
            attribute: (key, value) => void attributes.set(key, value),
            event: () => {},
            addLinks: () => {}
          }
          spans.push(span)
          return span
        },
        context: (f) => f()
      })
      const response = yield* LanguageModel.generateText({ prompt: "hi" }).pipe(Effect.withTracer(tracer))
      assert.strictEqual(response.text, "Hello!")
      assert.strictEqual(response.finishReason, "stop")
      assert.strictEqual(response.usage.cachedInputTokens, 3)
      assert.strictEqual(response.usage.totalTokens, response.usage.inputTokens! + response.usage.outputTokens!)
      const span = spans.find(({ name }) => name === "LanguageModel.generateText")!
      assert.strictEqual(span.attributes.get("gen_ai.system"), "tinker")
      assert.strictEqual(span.attributes.get("gen_ai.request.model"), "nano")
      assert.strictEqual(span.attributes.get("gen_ai.usage.output_tokens"), response.usage.outputTokens)
    }).pipe(Effect.provide(layerOf(() => "Hello!", { model: "nano" })))
  )

  it.live("ends at the limit", () =>
    Effect.gen(function* () {
      const response = yield* LanguageModel.generateText({ prompt: "hi" })
      assert.strictEqual(response.finishReason, "length")
      assert.strictEqual(response.usage.outputTokens, 2)
    }).pipe(Effect.provide(layerOf(() => "Hello, hello, hello!", { maxTokens: 2 })))
  )

  it.live("streams text, in pieces", () =>
    Effect.gen(function* () {
      const parts = Array.from(yield* Stream.runCollect(LanguageModel.streamText({ prompt: "hi" })))
      const texts = parts.flatMap((part) => (part.type === "text-delta" ? [part.delta] : []))
      assert.strictEqual(texts.join(""), "Héllo, wörld")
      assert.isAbove(texts.length, 2)
      assert.deepStrictEqual(
        parts.filter(({ type }) => type !== "text-delta").map(({ type }) => type),
        ["text-start", "text-end", "finish"]
      )
      const finish = parts.at(-1)!
      assert.isTrue(finish.type === "finish" && finish.reason === "stop" && finish.usage.outputTokens! > 2)
    }).pipe(Effect.provide(layerOf(() => "Héllo, wörld", { pause: Effect.sleep("1 millis") })))
  )

  const script: Script = (prompt) => {
    if (prompt.includes("grey over Oslo")) return "It is grey."
    return prompt.includes('"weather"') ? `Let me look.\n${call("weather", { city: "Oslo" })}` : "no tools"
  }

  it.live("calls the tools of a toolkit, whole and in a stream", () =>
    Effect.gen(function* () {
      const options = { prompt: "The sky in Oslo?", toolkit: Weather }
      const first = yield* LanguageModel.generateText(options)
      assert.strictEqual(first.finishReason, "tool-calls")
      assert.strictEqual(first.text, "Let me look.")
      assert.deepStrictEqual(
        first.toolResults.map(({ name, result }) => [name, result]),
        [["weather", { sky: "grey over Oslo" }]]
      )
      const parts = Array.from(yield* Stream.runCollect(LanguageModel.streamText(options)))
      assert.deepStrictEqual(
        parts.flatMap((part) => (part.type === "tool-call" ? [[part.name, part.params]] : [])),
        [["weather", { city: "Oslo" }]]
      )
      const none = yield* LanguageModel.generateText({ ...options, toolChoice: "none" })
      assert.strictEqual(none.text, "no tools")
    }).pipe(Effect.provide([layerOf(script), WeatherLive]))
  )

  it.live("gives the results of tools to the model", () =>
    Effect.gen(function* () {
      const next = yield* LanguageModel.generateText({
        prompt: [
          { role: "user", content: [{ type: "text", text: "The sky in Oslo?" }] },
          {
            role: "assistant",
            content: [
              { type: "tool-call", id: "1", name: "weather", params: { city: "Oslo" }, providerExecuted: false }
            ]
          },
          {
            role: "tool",
            content: [
              {
                type: "tool-result",
                id: "1",
                name: "weather",
                isFailure: false,
                result: { sky: "grey over Oslo" },
                providerExecuted: false
              }
            ]
          }
        ]
      })
      assert.strictEqual(next.text, "It is grey.")
    }).pipe(Effect.provide(layerOf(script)))
  )

  it.live("generates objects, and fails for what does not match", () =>
    Effect.gen(function* () {
      const schema = Schema.Struct({ age: Schema.Number })
      const good = yield* LanguageModel.generateObject({ prompt: "good", schema })
      assert.deepStrictEqual(good.value, { age: 7 })
      const bad = yield* Effect.flip(LanguageModel.generateObject({ prompt: "bad", schema }))
      assert.strictEqual(bad._tag, "MalformedOutput")
    }).pipe(
      Effect.provide(
        layerOf((prompt) =>
          prompt.includes("good") && prompt.includes('"age"') ? '```json\n{"age": 7}\n```' : '{"age": "x"}'
        )
      )
    )
  )

  it.scopedLive("keeps objects to their schema where the service can, and says where it cannot", () =>
    Effect.gen(function* () {
      const engine = JaxEngine.layer().pipe(Layer.provide(NodeContext.layer), Layer.orDie)
      const sampling = yield* samplerOf({ script: () => "", engine, model: JaxEngine.nano })
      assert.isTrue(sampling.takesJsonSchemas)
      const renderer = yield* Renderer.make("chat_template", yield* tokenizer)
      const warnings: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        if (logLevel._tag === "Warning") warnings.push(String(message))
      })
      const model = Layer.mergeAll(
        TinkerLanguageModel.layer({ sampling, renderer, maxTokens: 200, seed: 1 }),
        Logger.replace(Logger.defaultLogger, logger)
      )
      const generate = <A, I extends Record<string, unknown>>(schema: Schema.Schema<A, I>) =>
        Effect.provide(LanguageModel.generateObject({ prompt: "The sky?", schema }), model)
      // what it says is not sensible, but it is what was asked for
      const Sky = Schema.Struct({
        sky: Schema.Literal("clear", "grey"),
        degrees: Schema.Int.pipe(Schema.between(-40, 50)),
        tags: Schema.Array(Schema.Boolean).pipe(Schema.maxItems(2))
      })
      const { value } = yield* generate(Sky)
      assert.isTrue(Schema.is(Sky)(value))
      assert.deepStrictEqual(warnings, [])
      const error = yield* Effect.flip(generate(Schema.Struct({ degrees: Schema.Number.pipe(Schema.positive()) })))
      assert.strictEqual(error._tag, "MalformedOutput")
      assert.match(warnings[0]!, /^schema\.properties\.degrees\.exclusiveMinimum cannot be enforced: /)
    })
  )

  it.live("returns calls that are none as text", () =>
    Effect.gen(function* () {
      const response = yield* LanguageModel.generateText({ prompt: "hi", toolkit: Weather })
      assert.include(response.text, "{broken")
      assert.strictEqual(response.finishReason, "stop")
    }).pipe(Effect.provide([layerOf(() => "<tool_call>\n{broken\n</tool_call>"), WeatherLive]))
  )

  it.live("refuses what is not text", () =>
    Effect.gen(function* () {
      const file = { type: "file" as const, mediaType: "image/png", data: new Uint8Array(1) }
      const error = yield* Effect.flip(LanguageModel.generateText({ prompt: [{ role: "user", content: [file] }] }))
      assert.strictEqual(error._tag, "MalformedInput")
    }).pipe(Effect.provide(layerOf(() => "")))
  )
})
