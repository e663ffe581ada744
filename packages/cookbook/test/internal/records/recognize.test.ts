import * as Json from "@effect-tinker/tokenizers/Json"
import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import { recognize } from "../../../src/internal/records/recognize.ts"
import type * as Record from "../../../src/Record.ts"

const read = (json: string, format?: Record.Format) => recognize(Either.getOrThrow(Json.parse(json)), format)

const recordOf = (json: string, format?: Record.Format) => Either.getOrThrow(read(json, format))

const problemOf = (json: string, format?: Record.Format) => {
  const { field, reason } = Either.getOrThrow(Either.flip(read(json, format)))
  return field === undefined ? reason : `${field}: ${reason}`
}

const user = { role: "user", content: "hi" }
const assistant = { role: "assistant", content: "hello" }

describe("recognize", () => {
  it("reads conversations", () => {
    const json = JSON.stringify({ messages: [user, assistant], split: "test", extra: 1 })
    const expected = { _tag: "Conversation", messages: [user, assistant] }
    assert.deepStrictEqual(recordOf(json), { record: expected, format: "messages", split: "test" } as never)
  })

  it("reads OpenAI's fine-tuning files, with tools, weights and what there was before tools", () => {
    const spec = { name: "f", parameters: { type: "object", properties: {} } }
    const call = { name: "f", arguments: '{"a": 1.0}' }
    const modern = {
      messages: [
        user,
        { role: "assistant", content: null, tool_calls: [{ type: "function", function: call }], weight: 0 }
      ],
      tools: [{ type: "function", function: spec }],
      parallel_tool_calls: false
    }
    const { format, record } = recordOf(JSON.stringify(modern))
    assert.strictEqual(format, "openai")
    assert.deepStrictEqual(record, {
      _tag: "Conversation",
      messages: modern.messages,
      tools: modern.tools,
      parallelToolCalls: false
    } as never)
    const legacy = {
      messages: [
        user,
        { role: "assistant", content: null, function_call: call, weight: 0 },
        { role: "function", name: "f", content: "2" },
        assistant
      ],
      functions: [spec]
    }
    const converted = recordOf(JSON.stringify(legacy)).record as Record.Conversation
    assert.deepStrictEqual(converted.messages[1], modern.messages[1] as never)
    assert.deepStrictEqual(converted.messages[2], { role: "tool", name: "f", content: "2" })
    assert.deepStrictEqual(converted.tools, modern.tools as never)
  })

  it("keeps numbers of tool calls as they were written", () => {
    const { record } = recordOf(
      '{"messages":[{"role":"user","content":"x"},{"role":"assistant","tool_calls":' +
        '[{"function":{"name":"f","arguments":{"id":12345678901234567890,"t":1.0}}}]}]}'
    )
    assert.include(Json.stringify(record), '{"id": 12345678901234567890, "t": 1.0}')
  })

  it("reads ShareGPT, with its names of roles, its calls and its tools as text", () => {
    const { format, record } = recordOf(
      JSON.stringify({
        system: "be kind",
        tools: '[{"name": "f"}]',
        conversations: [
          { from: "human", value: "hi" },
          { from: "function_call", value: '{"name": "f", "arguments": {}}' },
          { from: "observation", value: "3" },
          { from: "gpt", value: "hello", weight: 1 }
        ]
      })
    )
    assert.strictEqual(format, "sharegpt")
    assert.deepStrictEqual(record, {
      _tag: "Conversation",
      messages: [
        { role: "system", content: "be kind" },
        user,
        {
          role: "assistant",
          content: null,
          tool_calls: [{ type: "function", function: { name: "f", arguments: {} } }]
        },
        { role: "tool", content: "3" },
        { ...assistant, weight: 1 }
      ],
      tools: [{ name: "f" }]
    } as never)
  })

  it("reads Alpaca, whose input follows the instruction", () => {
    const { format, record } = recordOf('{"instruction":"add","input":"1 2","output":"3","text":"…"}')
    assert.strictEqual(format, "alpaca")
    assert.deepStrictEqual(
      (record as Record.Conversation).messages.map(({ content, role }) => `${role}: ${String(content)}`),
      ["user: add\n1 2", "assistant: 3"]
    )
    const without = recordOf('{"instruction":"add","input":"","output":"3"}').record as Record.Conversation
    assert.strictEqual(without.messages[0].content, "add")
  })

  it("reads prompts with completions, of which only the completion is trained", () => {
    assert.deepStrictEqual(recordOf('{"prompt":"a","completion":"b"}').record, {
      _tag: "PromptCompletion",
      prompt: "a",
      completion: "b"
    })
    const { record } = recordOf(JSON.stringify({ prompt: [user, assistant, user], completion: [assistant] }))
    assert.deepStrictEqual(
      (record as Record.Conversation).messages.map(({ weight }) => weight),
      [0, 0, 0, undefined]
    )
  })

  it("reads pairs of answers as texts, as messages, with the prompt inside, and as OpenAI has them", () => {
    const pair = (json: unknown) => (recordOf(JSON.stringify(json)).record as Record.Preference).pair
    assert.deepStrictEqual(pair({ prompt: "a", chosen: "b", rejected: "c" }), {
      form: "text",
      prompt: "a",
      chosen: "b",
      rejected: "c"
    })
    const worse = { role: "assistant", content: "no" }
    const expected = { form: "messages", prompt: [user], chosen: [assistant], rejected: [worse] }
    for (const form of [
      { prompt: [user], chosen: [assistant], rejected: [worse] },
      { prompt: "hi", chosen: [user, assistant], rejected: [user, worse] },
      { chosen: [user, assistant], rejected: [user, worse] },
      { input: { messages: [user] }, preferred_output: [assistant], non_preferred_output: [worse] }
    ]) {
      assert.deepStrictEqual(pair(form), expected as never)
    }
  })

  it("reads texts", () => {
    assert.deepStrictEqual(recordOf('{"text":"a","meta":{}}'), {
      record: { _tag: "Text", text: "a" },
      format: "text",
      split: undefined
    })
  })

  it("takes the format that is given", () => {
    const json = JSON.stringify({
      messages: [user, assistant],
      prompt: "hi",
      chosen: [assistant],
      rejected: [user, { ...assistant, content: "x" }]
    })
    assert.match(problemOf(json), /the fields of messages and of preference: say which/)
    assert.strictEqual(recordOf(json, "messages").record._tag, "Conversation")
    assert.strictEqual(recordOf(json, "preference").record._tag, "Preference")
    assert.strictEqual(recordOf('{"text":"a","prompt":"b","completion":"c"}', "text").record._tag, "Text")
    assert.match(problemOf('{"text":"a"}', "alpaca"), /^instruction: is missing$/)
  })

  for (const [name, json, message] of [
    ["a value that is no object", "3", /^is no object$/],
    [
      "no known field",
      '{"question":"a","answer":"b"}',
      /^is of no known format: give messages, .*"question", "answer"/
    ],
    [
      "no message of the assistant",
      JSON.stringify({ messages: [user] }),
      /^messages: no message has the role assistant$/
    ],
    ["no messages", '{"messages":[]}', /^messages.*: is missing$/],
    ["a message without a role", '{"messages":[{"content":"a"}]}', /^messages\.0\.role: is missing$/],
    ["content of another type", '{"messages":[{"role":"user","content":3}]}', /^messages\.0\.content: /],
    [
      "a weight above 1",
      '{"messages":[{"role":"assistant","content":"a","weight":2}]}',
      /^messages\.0\.weight: .*between 0 and 1/
    ],
    [
      "a role of nobody",
      '{"conversations":[{"from":"toString","value":"a"}]}',
      /^conversations\.0\.from: "toString" is none of/
    ],
    ["a turn without a value", '{"conversations":[{"from":"gpt"}]}', /^conversations\.0\.value: is missing$/],
    [
      "a call that is no JSON",
      '{"conversations":[{"from":"function_call","value":"f("}]}',
      /^conversations\.0\.value: is text that is not JSON/
    ],
    ["no output", '{"instruction":"a","output":3}', /^output: /],
    ["an empty completion", '{"prompt":"a","completion":""}', /^completion: /],
    ["equal answers", '{"prompt":"a","chosen":"b","rejected":"b"}', /^rejected: is the same as chosen$/],
    ["an answer in another form", JSON.stringify({ prompt: "a", chosen: [assistant], rejected: "b" }), /^rejected: /],
    [
      "answers without a prompt",
      JSON.stringify({ chosen: [assistant], rejected: [{ ...assistant, content: "b" }] }),
      /^prompt: is missing/
    ],
    [
      "an answer of the user",
      JSON.stringify({ prompt: "x", chosen: [user], rejected: [assistant] }),
      /^chosen: no message/
    ],
    ["a split that is none", '{"text":"a","split":"dev"}', /^split: is "dev": give "train" or "test"$/],
    ["tools that are no list", JSON.stringify({ messages: [user, assistant], tools: {} }), /^tools: /],
    [
      "parallel_tool_calls as text",
      JSON.stringify({ messages: [user, assistant], parallel_tool_calls: "no" }),
      /^parallel_tool_calls: /
    ]
  ] as const) {
    it(`names the field of a record with ${name}`, () => {
      assert.match(problemOf(json), message)
    })
  }
})
