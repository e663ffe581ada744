import * as Message from "@effect-tinker/cookbook/Message"
import * as Json from "@effect-tinker/tokenizers/Json"
import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"

const decode = Schema.decodeUnknownEither(Message.Conversation)

const read = (conversation: unknown): Message.Conversation => Either.getOrThrow(decode(conversation))

/** The paths and messages of what is wrong with a conversation. */
const issues = (conversation: unknown): ReadonlyArray<string> =>
  Either.match(decode(conversation), {
    onLeft: (error) =>
      ParseResult.ArrayFormatter.formatErrorSync(error).map(({ message, path }) => `${path.join(".")}: ${message}`),
    onRight: () => []
  })

const message = (fields: object) => ({ messages: [{ role: "assistant", ...fields }] })

describe("Message", () => {
  it("keeps unknown keys, and the order of all keys, for chat templates", () => {
    const text =
      '{"messages":[{"zone":1,"content":[{"text":"a","type":"text","cache":true}],"role":"user","about":null}],' +
      '"tools":[{"type":"function","strict":true,"function":{"parameters":{"z":1,"a":2},"name":"f"}}]}'
    assert.strictEqual(JSON.stringify(read(JSON.parse(text))), text)
  })

  it("passes the arguments of calls and the parameters of tools on by reference", () => {
    const text =
      '{"messages":[{"role":"assistant","weight":0.0,"tool_calls":[{"function":{"name":"f","arguments":{"id":12345678901234567890}}}]}],' +
      '"tools":[{"name":"f","parameters":{"10":1.0,"2":1e-07}}]}'
    const given = Either.getOrThrow(Json.parse(text)) as {
      readonly messages: readonly [
        { readonly tool_calls: readonly [{ readonly function: { readonly arguments: unknown } }] }
      ]
      readonly tools: readonly [{ readonly parameters: unknown }]
    }
    const { messages, tools } = read(given)
    const [call] = messages[0].tool_calls!
    assert.strictEqual(
      "function" in call! ? (call.function as { arguments: unknown }).arguments : undefined,
      given.messages[0].tool_calls[0].function.arguments
    )
    assert.strictEqual((tools![0] as { parameters: unknown }).parameters, given.tools[0].parameters)
    assert.strictEqual(messages[0].weight, 0)
  })

  it("reads content that is text, a list of parts, null or missing", () => {
    const parts = [
      { type: "thinking", thinking: "hm" },
      { type: "text", text: "a" },
      { type: "image_url", image_url: { url: "x" } }
    ]
    for (const content of ["a", parts, null])
      assert.deepStrictEqual(read(message({ content })).messages[0].content, content)
    assert.strictEqual(read(message({})).messages[0].content, undefined)
  })

  it("reads null where a table has no value", () => {
    const nothing = {
      name: null,
      tool_calls: null,
      tool_call_id: null,
      reasoning_content: null,
      weight: null,
      trainable: null
    }
    assert.deepStrictEqual(issues({ ...message({ content: "a", ...nothing }), tools: null, split: null }), [])
  })

  it("names the path of what is wrong", () => {
    const cases: ReadonlyArray<readonly [unknown, string]> = [
      [{}, "messages: is missing"],
      [{ messages: [] }, "messages.0: is missing"],
      [message({ content: 5 }), "messages.0.content: Expected string, actual 5"],
      [message({ content: [{ type: "text" }] }), "messages.0.content.0.text: is missing"],
      [message({ content: ["a"] }), 'messages.0.content.0: Expected a part of text | a part of reasoning, actual "a"'],
      [message({ weight: 2 }), "messages.0.weight: Expected a number between 0 and 1, actual 2"],
      [message({ trainable: "yes" }), 'messages.0.trainable: Expected boolean, actual "yes"'],
      [message({ tool_calls: [{ function: { arguments: {} } }] }), "messages.0.tool_calls.0.function.name: is missing"],
      [
        message({ tool_calls: [{ name: "f", arguments: [1] }] }),
        "messages.0.tool_calls.0.arguments: Expected object, actual [1]"
      ],
      [{ ...message({ content: "a" }), split: "tset" }, 'split: Expected "train", actual "tset"']
    ]
    for (const [conversation, issue] of cases) assert.include(issues(conversation), issue)
  })
})
