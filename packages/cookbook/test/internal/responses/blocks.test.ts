import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { type Block, BlockReader, type Grammar } from "../../../src/internal/responses/blocks.ts"

const pieces = [
  "<think>",
  "</think>",
  "<tool_call>",
  "</tool_call>",
  "\n",
  "\n\n",
  "a",
  " ",
  "<",
  "<th",
  "</tool",
  '{"name": "f", "arguments": {}}'
]

const grammars: ReadonlyArray<Grammar> = [
  { thinking: "framed", tools: true },
  { thinking: "framed", tools: true, opensThinking: true },
  { thinking: "plain", tools: true },
  { thinking: "none", tools: false }
]

/** Blocks of one type in a row as one. */
const join = (blocks: ReadonlyArray<Block>): ReadonlyArray<Block> => {
  const joined: Array<Block> = []
  for (const block of blocks) {
    const last = joined.at(-1)
    if (last?.type === "text" && block.type === "text")
      joined[joined.length - 1] = { type: "text", text: last.text + block.text }
    else if (last?.type === "thinking" && block.type === "thinking") {
      joined[joined.length - 1] = { type: "thinking", thinking: last.thinking + block.thinking }
    } else joined.push(block)
  }
  return joined
}

const read = (grammar: Grammar, texts: ReadonlyArray<string>): ReadonlyArray<Block> => {
  const reader = new BlockReader(grammar)
  return join([...texts.flatMap((text) => reader.push(text)), ...reader.end()])
}

describe("BlockReader", () => {
  it("reads the same blocks however a response is cut into pieces", () => {
    const text = fc.array(fc.constantFrom(...pieces), { maxLength: 12 }).map((parts) => parts.join(""))
    fc.assert(
      fc.property(
        text,
        fc.constantFrom(...grammars),
        fc.array(fc.nat({ max: 60 }), { maxLength: 6 }),
        (whole, grammar, cuts) => {
          const expected = read(grammar, [whole])
          assert.deepStrictEqual(read(grammar, [...whole]), expected)
          const bounds = [0, ...cuts.map((at) => Math.min(at, whole.length)).sort((a, b) => a - b), whole.length]
          assert.deepStrictEqual(
            read(
              grammar,
              bounds.slice(1).map((end, i) => whole.slice(bounds[i], end))
            ),
            expected
          )
        }
      ),
      { numRuns: 1000 }
    )
  })

  it("reads a frame of reasoning, an empty one as none, and calls apart from the text before them", () => {
    const framed: Grammar = { thinking: "framed", tools: true }
    const call = '<tool_call>\n{"name": "f", "arguments": {"a": 1.0}}\n</tool_call>'
    const blocks = read(framed, [`<think>\nhm\n</think>\n\nyes\n${call}\n${call}`])
    assert.deepStrictEqual(
      blocks.map((block) => block.type),
      ["thinking", "text", "call", "call"]
    )
    assert.deepStrictEqual(blocks.slice(0, 2), [
      { type: "thinking", thinking: "hm" },
      { type: "text", text: "yes" }
    ])
    assert.deepStrictEqual(read(framed, ["<think>\n\n</think>\n\n\tyes"]), [{ type: "text", text: "\tyes" }])
    assert.deepStrictEqual(read({ ...framed, opensThinking: true }, ["hm\n</think>\n\nyes"]), [
      { type: "thinking", thinking: "hm" },
      { type: "text", text: "yes" }
    ])
    assert.deepStrictEqual(read({ thinking: "plain", tools: true }, ["<think>\nhm\n</think>\nyes"]), [
      { type: "thinking", thinking: "\nhm\n" },
      { type: "text", text: "\nyes" }
    ])
  })
})
