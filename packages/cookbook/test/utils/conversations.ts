/** Arbitrary conversations. */
import type * as Message from "@effect-tinker/cookbook/Message"
import fc from "fast-check"

/** Text with what renderers and tokenizers may stumble over. */
const pieces = [
  "word",
  " ",
  "  ",
  "\n",
  "\n\n",
  "\t",
  "\u00a0",
  "é",
  "日本",
  "👩‍👩‍👧",
  "<|im_end|>",
  "<|im_start|>",
  "<|eot_id|>",
  "<end_of_turn>",
  "<bos>",
  "{}",
  "Answer: 42.",
  "    return x"
]

export const text = fc
  .array(fc.oneof(fc.constantFrom(...pieces), fc.string({ maxLength: 6 })), { minLength: 1, maxLength: 5 })
  .map((parts) => parts.join(""))

/** Text that neither begins nor ends with white space, nor has what a format takes for structure. */
export const prose = text.map((value) => value.replaceAll(/[<>]|\n\nUser:/g, "").trim()).filter((value) => value !== "")

const system = fc.option(text, { nil: undefined })

/** A system message or none, and turns of the user and the assistant. */
export const turns = (content: fc.Arbitrary<string>): fc.Arbitrary<ReadonlyArray<Message.Message>> =>
  fc.tuple(system, fc.array(fc.tuple(text, content), { minLength: 1, maxLength: 3 })).map(([first, pairs]) => [
    ...(first === undefined ? [] : [{ role: "system", content: first }]),
    ...pairs.flatMap(([user, assistant]) => [
      { role: "user", content: user },
      { role: "assistant", content: assistant }
    ])
  ])

const json: fc.Arbitrary<unknown> = fc.oneof(fc.string({ maxLength: 8 }), fc.integer(), fc.boolean(), fc.constant(null))

export const toolCall: fc.Arbitrary<Message.ToolCall> = fc
  .tuple(fc.constantFrom("search", "get_weather"), fc.dictionary(fc.constantFrom("a", "b", "ü"), json, { maxKeys: 3 }))
  .map(([name, given]) => ({ type: "function", function: { name, arguments: { ...given } } }))
