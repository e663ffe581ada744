import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import OpenAI from "openai"
import { baseModel as model, listen, type Script } from "../utils/scriptedEngine.ts"

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
      await client.models.retrieve("other/model").then(
        () => assert.fail("there is no such model"),
        (error) => {
          assert.instanceOf(error, OpenAI.NotFoundError)
          assert.strictEqual(error.code, "model_not_found")
        }
      )
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
          messages: [{ role: "user" as const, content: [{ type: "text" as const, text: "hi" }] }],
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
          (error) => assert.instanceOf(error, OpenAI.AuthenticationError)
        )
      },
      { server: { apiKeys: [Redacted.make("tml-key")] } }
    )
  )

  it.scopedLive("frees the place of a stream that it leaves", () =>
    Effect.gen(function* () {
      const { service, url } = yield* listen({ script: hello, pause: Effect.sleep("1 hour") })
      const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "any" })
      const stream = yield* Effect.promise(() =>
        client.completions.create({ model, prompt: "x", stream: true, max_tokens: 64 })
      )
      const held = Effect.delay(service.held, "1 millis")
      yield* Effect.repeat(held, { until: ({ futures }) => futures === 1 })
      stream.controller.abort()
      yield* Effect.repeat(held, { until: ({ futures }) => futures === 0 })
    })
  )
})
