import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Renderer from "@effect-tinker/cookbook/Renderer"
import * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import * as Engine from "@effect-tinker/server/Engine"
import type * as TinkerServer from "@effect-tinker/server/TinkerServer"
import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import { generateObject, streamObject } from "ai"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as net from "node:net"
import OpenAI from "openai"
import { z } from "zod"
import { baseModel as model, listen, type Script, tokenizer } from "../utils/scriptedEngine.ts"

const call = (name: string, args: unknown) => `<tool_call>\n${JSON.stringify({ name, arguments: args })}\n</tool_call>`

const tools = [
  {
    type: "function" as const,
    function: {
      name: "weather",
      description: "The weather in a city",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
    }
  }
]

/** Runs a program with the official client of a service. */
const withClient = <A>(
  script: Script,
  program: (client: OpenAI, url: string) => Promise<A>,
  options: Partial<Parameters<typeof listen>[0]> = {}
) =>
  Effect.gen(function* () {
    const { url } = yield* listen({ script, ...options })
    return yield* Effect.promise(() =>
      program(new OpenAI({ baseURL: `${url}/v1`, apiKey: "tml-key", maxRetries: 0 }), url)
    )
  })

const hello = () => "Hello, wörld! How are you?"

describe("the client of OpenAI for Node", () => {
  it.scopedLive("lists and finds models", () =>
    withClient(hello, async (client) => {
      const list = await client.models.list()
      assert.deepStrictEqual(
        list.data.map(({ id }) => id),
        [model]
      )
      assert.strictEqual((await client.models.retrieve(model)).id, model)
      const checkpoint = "tinker://none/sampler_weights/final"
      for (const name of ["other/model", checkpoint, `${model};${checkpoint}`]) {
        const asked = [client.models.retrieve(name), client.completions.create({ model: name, prompt: "x" })]
        for (const answer of asked) {
          const error = await answer.then(
            () => assert.fail(`there is no ${name}`),
            (error: unknown) => error
          )
          assert.instanceOf(error, OpenAI.NotFoundError)
          assert.deepStrictEqual([error.param, error.code], ["model", "model_not_found"])
        }
      }
    })
  )

  it.scopedLive("completes texts, whole and in pieces, with logprobs and usage", () =>
    withClient(hello, async (client) => {
      const options = { model, prompt: "Say hello", max_tokens: 64, logprobs: 2, n: 2, seed: 1 }
      const whole = await client.completions.create(options)
      assert.deepStrictEqual(
        whole.choices.map(({ finish_reason, index, text }) => [index, text, finish_reason]),
        [
          [0, hello(), "stop"],
          [1, hello(), "stop"]
        ]
      )
      const logprobs = whole.choices[0]!.logprobs!
      assert.include(logprobs.tokens!.join(""), "rld! How are you?")
      assert.strictEqual(logprobs.token_logprobs![0], -0.125)
      assert.strictEqual(logprobs.text_offset!.length, logprobs.tokens!.length)
      assert.lengthOf(Object.keys(logprobs.top_logprobs![0]!), 2)
      const { completion_tokens, prompt_tokens, prompt_tokens_details, total_tokens } = whole.usage!
      assert.strictEqual(total_tokens, prompt_tokens + completion_tokens)
      assert.strictEqual(prompt_tokens_details!.cached_tokens, 3)
      const stream = await client.completions.create({
        ...options,
        stream: true,
        stream_options: { include_usage: true }
      })
      const texts = ["", ""]
      let usage: unknown
      for await (const chunk of stream) {
        for (const choice of chunk.choices) texts[choice.index] += choice.text
        usage = chunk.usage ?? usage
      }
      assert.deepStrictEqual(texts, [hello(), hello()])
      assert.deepStrictEqual(usage, whole.usage)
    })
  )

  it.scopedLive("completes several prompts, as texts and as tokens", () =>
    withClient(
      (prompt) => `<${prompt}>`,
      async (client) => {
        const { choices } = await client.completions.create({ model, prompt: ["one", "two"], n: 2 })
        assert.deepStrictEqual(
          choices.map(({ index, text }) => [index, text]),
          [
            [0, "<one>"],
            [1, "<one>"],
            [2, "<two>"],
            [3, "<two>"]
          ]
        )
        const ids = await client.completions.create({ model, prompt: [40, 41] })
        assert.lengthOf(ids.choices, 1)
      }
    )
  )

  it.scopedLive("ends before stop sequences, and at the limit", () =>
    withClient(hello, async (client) => {
      const stopped = await client.completions.create({ model, prompt: "x", max_tokens: 64, stop: ["How", "zzz"] })
      assert.deepStrictEqual([stopped.choices[0]!.text, stopped.choices[0]!.finish_reason], ["Hello, wörld! ", "stop"])
      const messages = [{ role: "user" as const, content: "hi" }]
      const chat = await client.chat.completions.create({ model, messages, stop: "wör" })
      assert.strictEqual(chat.choices[0]!.message.content, "Hello, ")
      const cut = await client.chat.completions.create({ model, messages, max_completion_tokens: 2 })
      assert.strictEqual(cut.choices[0]!.finish_reason, "length")
      assert.strictEqual(cut.usage!.completion_tokens, 2)
    })
  )

  it.scopedLive("chats, whole and in pieces that are no half characters", () =>
    withClient(
      hello,
      async (client) => {
        const options = {
          model,
          messages: [{ role: "user" as const, content: [{ type: "text" as const, text: "hi ".repeat(600) }] }],
          logprobs: true,
          top_logprobs: 1
        }
        const whole = await client.chat.completions.create(options)
        assert.strictEqual(whole.choices[0]!.message.content, hello())
        assert.strictEqual(whole.choices[0]!.logprobs!.content![0]!.logprob, -0.125)
        const pieces: Array<string> = []
        const stream = await client.chat.completions.create({ ...options, stream: true })
        for await (const { choices } of stream) pieces.push(choices[0]?.delta.content ?? "")
        assert.strictEqual(pieces.join(""), hello())
        assert.isAbove(pieces.filter((piece) => piece !== "").length, 3)
        assert.notInclude(pieces.join("|"), "\ufffd")
        const final = await client.chat.completions.stream(options).finalChatCompletion()
        assert.strictEqual(final.choices[0]!.message.content, hello())
      },
      { pause: Effect.sleep("1 millis") }
    )
  )

  it.scopedLive("calls tools, whole and in pieces", () =>
    withClient(
      (prompt) => {
        if (prompt.includes("rain")) return "it rains"
        return prompt.includes("weather") ? call("weather", { city: "Oslo" }) : "no tools"
      },
      async (client) => {
        const messages = [{ role: "user" as const, content: "How is it in Oslo?" }]
        const whole = await client.chat.completions.create({ model, messages, tools })
        const [choice] = whole.choices
        assert.strictEqual(choice!.finish_reason, "tool_calls")
        assert.isNull(choice!.message.content)
        const [made] = choice!.message.tool_calls!
        assert.deepInclude(made, { type: "function", function: { name: "weather", arguments: '{"city":"Oslo"}' } })
        const streamed = await client.chat.completions.stream({ model, messages, tools }).finalChatCompletion()
        assert.deepStrictEqual(streamed.choices[0]!.message.tool_calls![0]!.function.arguments, '{"city":"Oslo"}')
        const none = await client.chat.completions.create({ model, messages, tools, tool_choice: "none" })
        assert.strictEqual(none.choices[0]!.message.content, "no tools")
        const answer = { role: "tool" as const, tool_call_id: made!.id, content: "rain" }
        const next = await client.chat.completions.create({
          model,
          messages: [...messages, choice!.message, answer],
          tools: []
        })
        assert.strictEqual(next.choices[0]!.message.content, "it rains")
      }
    )
  )

  it.scopedLive("gets a call that is none as text, with a warning", () =>
    withClient(
      () => "<tool_call>\n{broken\n</tool_call>",
      async (client) => {
        const { data, response } = await client.chat.completions
          .create({ model, messages: [{ role: "user", content: "hi" }], tools, user: "me" })
          .withResponse()
        assert.include(data.choices[0]!.message.content, "{broken")
        assert.strictEqual(data.choices[0]!.finish_reason, "stop")
        assert.include(response.headers.get("x-tinker-warning"), "could not be parsed")
        assert.strictEqual(response.headers.get("x-ignored-parameters"), "user")
      }
    )
  )

  it.scopedLive("fails with its own errors, which name the field", () =>
    withClient(hello, async (client) => {
      const messages = [{ role: "user" as const, content: "hi" }]
      const refused = async (body: object, param: string, code: string | null) => {
        const error = await client.chat.completions.create({ model, messages, ...body } as never).then(
          () => assert.fail(`${param} was taken`),
          (error: unknown) => error
        )
        assert.instanceOf(error, OpenAI.BadRequestError)
        assert.deepStrictEqual([error.param, error.code], [param, code])
      }
      await refused({ surprise: 1 }, "surprise", "unknown_parameter")
      await refused({ logit_bias: { 1: 2 } }, "logit_bias", "unsupported_parameter")
      await refused({ temperature: -1 }, "temperature", null)
      await refused({ n: 1e9 }, "n", null)
      await refused(
        {
          messages: [
            { role: "user", content: "a" },
            { role: "tool", content: "b" }
          ]
        },
        "messages[1].tool_call_id",
        null
      )
      await refused(
        { tool_choice: { type: "function", function: { name: "none" } }, tools },
        "tool_choice.function.name",
        null
      )
    })
  )

  it.scopedLive("authenticates with a bearer", () =>
    withClient(
      hello,
      async (client, url) => {
        assert.lengthOf((await client.models.list()).data, 1)
        const other = new OpenAI({ baseURL: `${url}/v1`, apiKey: "wrong", maxRetries: 0 })
        await other.models.list().then(
          () => assert.fail("the key is wrong"),
          (error) => {
            assert.instanceOf(error, OpenAI.AuthenticationError)
            assert.deepInclude(error, { status: 401, type: "invalid_request_error", code: "invalid_api_key" })
            assert.include(error.message, "the key in Authorization: Bearer is missing or wrong")
          }
        )
      },
      { server: { apiKeys: [Redacted.make("tml-key")] } }
    )
  )

  it.scopedLive("frees the place of a completion that it leaves, whole or in pieces, and ends its sample", () =>
    Effect.gen(function* () {
      let ended = 0
      const pause = Effect.onInterrupt(Effect.sleep("1 hour"), () => Effect.sync(() => void ended++))
      const { service, url } = yield* listen({ script: hello, pause })
      const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "any", maxRetries: 0 })
      const held = Effect.delay(service.held, "1 millis")
      for (const [i, stream] of [true, false].entries()) {
        const controller = new AbortController()
        const body = { model, prompt: "x", stream, max_tokens: 64 }
        const left = client.completions.create(body, { signal: controller.signal }).then(
          () => undefined,
          () => undefined
        )
        yield* Effect.repeat(held, { until: ({ futures }) => futures === 1 })
        controller.abort()
        yield* Effect.promise(() => left)
        yield* Effect.repeat(held, { until: ({ futures }) => futures === 0 })
        assert.strictEqual(ended, i + 1)
      }
    })
  )
})

/** A value inside of JSON, replaced, added or removed. */
const mutate = (value: unknown, path: ReadonlyArray<number>, other: unknown): unknown => {
  const [first, ...rest] = path
  if (first === undefined || typeof value !== "object" || value === null) return other
  if (Array.isArray(value)) {
    const at = first % (value.length + 1)
    return value.toSpliced(at, 1, mutate(value[at], rest, other))
  }
  const keys = [...Object.keys(value), "surprise"]
  const key = keys[first % keys.length]!
  const changed = mutate((value as Record<string, unknown>)[key], rest, other)
  return Object.fromEntries([...Object.entries(value).filter(([name]) => name !== key), [key, changed]])
}

const anyJson = FastCheck.oneof(
  FastCheck.jsonValue({ maxDepth: 3 }),
  FastCheck.constantFrom(
    undefined,
    "",
    "__proto__",
    1e308,
    -1,
    2 ** 53,
    "\u0000",
    "\ud800",
    "x".repeat(5000),
    [[]],
    [null]
  ),
  FastCheck.string()
) as FastCheck.Arbitrary<unknown>

const shared = { model, stream: false, n: 1, seed: 1, stop: ["a"], temperature: 0, top_p: 1, top_k: 5, user: "me" }

const bodies: ReadonlyArray<readonly [path: string, body: object]> = [
  [
    "completions",
    { ...shared, prompt: ["one", [40]], max_tokens: 4, logprobs: 1, echo: false, best_of: 1, suffix: "" }
  ],
  [
    "chat/completions",
    {
      ...shared,
      messages: [
        { role: "system", content: "be brief" },
        { role: "user", content: [{ type: "text", text: "hi" }], name: "me" },
        {
          role: "assistant",
          content: null,
          tool_calls: [{ id: "1", type: "function", function: { name: "weather", arguments: "{}" } }]
        },
        { role: "tool", content: "rain", tool_call_id: "1" }
      ],
      max_completion_tokens: 4,
      logprobs: true,
      top_logprobs: 1,
      tools,
      tool_choice: { type: "function", function: { name: "weather" } },
      response_format: { type: "text" },
      stream_options: { include_usage: true }
    }
  ]
]

describe("a request of the OpenAI protocol", () => {
  it.scopedLive(
    "is answered or refused in its form, whatever its fields hold",
    () =>
      Effect.gen(function* () {
        const { url } = yield* listen({ script: () => "ok" })
        const property = FastCheck.asyncProperty(
          FastCheck.constantFrom(...bodies),
          FastCheck.array(FastCheck.nat(20), { minLength: 1, maxLength: 4 }),
          anyJson,
          async ([path, body], where, other) => {
            const response = await fetch(`${url}/v1/${path}`, {
              method: "POST",
              headers: { "content-type": "application/json" },
              body: JSON.stringify(mutate(body, where, other))
            })
            const text = await response.text()
            assert.include([200, 400, 404, 422], response.status, text)
            if (response.status === 200) return
            const { error } = JSON.parse(text) as { error: Record<string, unknown> }
            assert.strictEqual(typeof error["message"], "string")
            assert.hasAllKeys(error, ["message", "type", "param", "code"])
          }
        )
        yield* Effect.promise(() => FastCheck.assert(property, { numRuns: 100 }))
      }),
    60_000
  )
})

describe("a reader that is slow", () => {
  it.scopedLive(
    "gets all tokens, in fewer pieces: what waits for it does not grow with the time that it takes",
    () =>
      Effect.gen(function* () {
        const length = 20_000
        let said = 0
        const token = 100
        const sample = ({ onToken }: Engine.SampleOptions) =>
          Effect.gen(function* () {
            for (; said < length; said++) {
              onToken?.({ index: 0, token, logprob: -1, stop_reason: said === length - 1 ? "length" : undefined })
              yield* Effect.yieldNow()
            }
            const tokens = new Int32Array(length).fill(token)
            return {
              sequences: [{ stop_reason: "length" as const, tokens }],
              prompt_cache_hit_tokens: 0,
              type: "sample" as const
            }
          })
        const fast = Layer.succeed(Engine.Engine, {
          models: [{ model_name: model, max_context_length: 2 * length }],
          createModel: () => new Engine.EngineError({ reason: "it does not train", category: "user" }),
          createSampler: () => Effect.succeed({ sample })
        })
        const { url } = yield* listen({ script: hello, engine: fast })
        const body = JSON.stringify({ model, prompt: "x", stream: true, max_tokens: length })
        const socket = net.connect(Number(new URL(url).port), "127.0.0.1")
        yield* Effect.addFinalizer(() => Effect.sync(() => socket.destroy()))
        socket.pause()
        socket.write(
          `POST /v1/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json\r\n` +
            `content-length: ${body.length}\r\n\r\n${body}`
        )
        // the model says all while nobody reads
        yield* Effect.repeat(Effect.sleep("20 millis"), { until: () => said >= length })
        const chunks: Array<Buffer> = []
        const ended = yield* Effect.fork(
          Effect.async<void>((resume) => {
            socket.on("data", (chunk: Buffer) => chunks.push(chunk))
            socket.on("close", () => resume(Effect.void))
          })
        )
        socket.resume()
        yield* Fiber.join(ended)
        const events = Buffer.concat(chunks).toString().split("data: ").slice(1)
        const texts = events.flatMap((event) => /"text":"([^"]*)"/.exec(event)?.[1] ?? [])
        assert.strictEqual(texts.join("").length, length)
        assert.include(events.at(-1), "[DONE]")
        assert.isBelow(events.length, length / 2)
      }),
    60_000
  )
})

describe("over a model that is trained here", () => {
  const engine = JaxEngine.layer().pipe(Layer.provide(NodeContext.layer), Layer.orDie)
  const nano = JaxEngine.nano
  const Sky = z.object({
    sky: z.enum(["clear", "grey"]),
    degrees: z.number().int().min(-40).max(50),
    tags: z.array(z.boolean()).max(2)
  })

  it.scopedLive(
    "both clients get objects of a schema, whole and in pieces",
    () =>
      Effect.gen(function* () {
        const { url } = yield* listen({ script: hello, engine })
        yield* Effect.promise(async () => {
          const options = { name: "tinker", baseURL: `${url}/v1`, supportsStructuredOutputs: true }
          const sdk = { model: createOpenAICompatible(options)(nano), schema: Sky, prompt: "The sky?", maxRetries: 0 }
          const whole = await generateObject({ ...sdk, seed: 1 })
          assert.deepStrictEqual(Sky.parse(whole.object), whole.object)
          const streamed = streamObject({ ...sdk, seed: 1 })
          let last: unknown
          for await (const partial of streamed.partialObjectStream) last = partial
          assert.deepStrictEqual(last, await streamed.object)
          const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "any", maxRetries: 0 })
          const ask = (response_format: unknown) =>
            client.chat.completions.create({
              model: nano,
              messages: [{ role: "user", content: "The sky?" }],
              seed: 2,
              max_completion_tokens: 400,
              response_format: response_format as never
            })
          const format = (schema: unknown) => ({
            type: "json_schema",
            json_schema: { name: "sky", strict: true, schema }
          })
          const answer = await ask(format(z.toJSONSchema(Sky)))
          Sky.parse(JSON.parse(answer.choices[0]!.message.content!))
          assert.strictEqual(answer.choices[0]!.finish_reason, "stop")
          const withTools = await client.chat.completions
            .create({ model: nano, messages: [{ role: "user", content: "hi" }], tools })
            .catch((error: unknown) => error)
          assert.match(String(withTools), /400 tools: the renderer chat_template has no form for tools/)
          const refused = (schema: unknown) =>
            ask(format(schema)).then(
              () => assert.fail("the schema was taken"),
              (error: unknown) => {
                assert.instanceOf(error, OpenAI.BadRequestError)
                return error.message
              }
            )
          assert.include(await refused({ type: "string", format: "date" }), "schema.format: cannot be enforced")
          assert.include(await refused({ $ref: "#/nope" }), "Cannot find field nope")
        })
      }),
    60_000
  )

  it.scopedLive(
    "chats are laid out by the renderer that a checkpoint was trained with",
    () =>
      Effect.gen(function* () {
        const completions: Array<TinkerServer.Completion> = []
        const onCompletion = (completion: TinkerServer.Completion) =>
          Effect.sync(() => void completions.push(completion))
        const { url } = yield* listen({ script: hello, engine, onCompletion })
        const client = ServiceClient.layer({ apiKey: Redacted.make("tml-key"), baseUrl: url }).pipe(
          Layer.provide(NodeHttpClient.layer)
        )
        const { path } = yield* Effect.gen(function* () {
          const service = yield* ServiceClient.ServiceClient
          const training = yield* service.createLoraTrainingClient({
            base_model: nano,
            rank: 2,
            user_metadata: { [Renderer.metadataKey]: "role_colon" }
          })
          return yield* Fiber.join(yield* training.saveWeightsForSampler("final"))
        }).pipe(Effect.scoped, Effect.provide(client))
        const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "any" })
        const { decode } = yield* tokenizer
        for (const name of [nano, path, `${nano};${path}`]) {
          yield* Effect.promise(() =>
            openai.chat.completions.create({
              model: name,
              messages: [{ role: "user", content: "hi" }],
              max_completion_tokens: 1
            })
          )
          const prompt = decode(Array.from(ModelInput.toTokens(completions.at(-1)!.request.prompt)))
          if (name === nano) assert.include(prompt, "<|im_start|>user\nhi")
          else assert.include(prompt, "User: hi")
        }
      }),
    60_000
  )
})
