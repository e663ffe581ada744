import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TensorData from "@effect-tinker/api/TensorData"
import type * as Record from "@effect-tinker/cookbook/Record"
import * as Renderer from "@effect-tinker/cookbook/Renderer"
import * as SupervisedExample from "@effect-tinker/cookbook/SupervisedExample"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import fc from "fast-check"
import "./utils/needsVocabularies.ts"
import * as vocabularies from "./utils/vocabularies.ts"

const image = (length: number) =>
  ModelInput.image({ data: new Uint8Array([1]), format: "png", expected_tokens: length })

const text = (...tokens: ReadonlyArray<number>) => ModelInput.text(tokens)

const example = (
  weights: ReadonlyArray<number>,
  ...chunks: ReadonlyArray<ModelInput.ModelInput["chunks"][number]>
): SupervisedExample.SupervisedExample => ({ input: { chunks }, weights: Float32Array.from(weights) })

/** The datum in plain numbers: chunks (the length of images), targets, weights. */
const shown = (outcome: SupervisedExample.Outcome) => {
  if (outcome._tag !== "Datum") return outcome
  const { loss_fn_inputs, model_input } = outcome.datum
  return {
    input: model_input.chunks.map((chunk) =>
      chunk.type === "encoded_text" ? Array.from(chunk.tokens) : Either.getOrThrow(ModelInput.chunkLength(chunk))
    ),
    targets: TensorData.toNumbers(loss_fn_inputs.target_tokens),
    weights: TensorData.toNumbers(loss_fn_inputs.weights),
    cut: outcome.cut
  }
}

const convert = (given: SupervisedExample.SupervisedExample, options: SupervisedExample.Options) =>
  Either.map(SupervisedExample.toDatum(given, options), shown)

const none = { reduction: "none" } as const
const truncate = (maxLength: number) => ({ ...none, maxLength, tooLong: "truncate" }) as const

describe("SupervisedExample", () => {
  it("shifts inputs and targets by one, and leaves or reduces the weights", () => {
    const given = example([0, 0, 1, 1], text(5, 6), text(7, 8))
    const input = [[5, 6], [7]]
    assert.deepStrictEqual(
      convert(given, none),
      Either.right({ input, targets: [6, 7, 8], weights: [0, 1, 1], cut: 0 })
    )
    assert.deepStrictEqual(
      convert(given, { reduction: "mean" }),
      Either.right({ input, targets: [6, 7, 8], weights: [0, 0.5, 0.5], cut: 0 })
    )
    assert.deepStrictEqual([...given.weights], [0, 0, 1, 1])
  })

  it("drops a last chunk of one token, which is only a target", () => {
    assert.deepStrictEqual(
      convert(example([1, 1, 1], text(1, 2), text(3)), none),
      Either.right({ input: [[1, 2]], targets: [2, 3], weights: [1, 1], cut: 0 })
    )
  })

  it("gives the positions of images the target 0", () => {
    assert.deepStrictEqual(
      convert(example([0, 0, 0, 0, 1, 1], text(1), image(3), text(2, 3)), none),
      Either.right({ input: [[1], 3, [2]], targets: [0, 0, 0, 2, 3], weights: [0, 0, 0, 1, 1], cut: 0 })
    )
  })

  it("cuts first, then drops empty chunks and images at the end, then shifts, then reduces", () => {
    const given = example([0, 1, 0, 0, 0, 1, 1, 1], text(1, 2), image(3), text(), text(3, 4, 5))
    // text is cut inside
    assert.deepStrictEqual(
      convert(given, { ...truncate(7), reduction: "mean" }),
      Either.right({
        input: [[1, 2], 3, [3]],
        targets: [2, 0, 0, 0, 3, 4],
        weights: [1, 0, 0, 0, 1, 1].map((w) => Math.fround(w / 3)),
        cut: 1
      })
    )
    // no text is left after the image
    assert.deepStrictEqual(
      convert(given, truncate(5)),
      Either.right({ input: [[1]], targets: [2], weights: [1], cut: 3 })
    )
    // an image that does not fit goes whole
    assert.deepStrictEqual(
      convert(given, truncate(4)),
      Either.right({ input: [[1]], targets: [2], weights: [1], cut: 4 })
    )
  })

  it("drops empty chunks, of which the last would keep the shift from dropping a token", () => {
    assert.deepStrictEqual(
      convert(example([1, 1], text(), text(1, 2), text()), none),
      Either.right({ input: [[1]], targets: [2], weights: [1], cut: 0 })
    )
  })

  it("fails, truncates or skips what is too long, as the caller says", () => {
    const given = example([0, 1, 1], text(1, 2, 3))
    const error = Either.getOrThrow(Either.flip(SupervisedExample.toDatum(given, { ...none, maxLength: 2 })))
    assert.deepStrictEqual([error.reason, error.length], ["TooLong", 3])
    assert.include(error.message, "the example has 3 tokens, and 2 are allowed")
    assert.deepStrictEqual(
      convert(given, { ...none, maxLength: 2, tooLong: "skip" }),
      Either.right({ _tag: "Skipped", length: 3 })
    )
    assert.deepStrictEqual(
      convert(given, truncate(2)),
      Either.right({ input: [[1]], targets: [2], weights: [1], cut: 1 })
    )
    assert.isTrue(Either.isRight(SupervisedExample.toDatum(given, { ...none, maxLength: 3 })))
  })

  it("says when nothing is trained, from the beginning or after the cut", () => {
    assert.deepStrictEqual(
      convert(example([1, 0, 0], text(1, 2, 3)), none),
      Either.right({ _tag: "Untrained", emptied: false })
    )
    assert.deepStrictEqual(
      convert(example([0, 0, 1], text(1, 2, 3)), truncate(2)),
      Either.right({ _tag: "Untrained", emptied: true })
    )
  })

  it("rejects fewer than two tokens, and weights that do not fit", () => {
    const reason = (given: SupervisedExample.SupervisedExample, options: SupervisedExample.Options = none) =>
      Either.match(SupervisedExample.toDatum(given, options), {
        onLeft: ({ reason }) => reason,
        onRight: () => undefined
      })
    assert.strictEqual(reason(example([1], text(1))), "TooShort")
    assert.strictEqual(reason(example([])), "TooShort")
    assert.strictEqual(reason(example([0, 0, 0, 1], image(3), text(1)), truncate(3)), "TooShort")
    assert.strictEqual(reason(example([1], text(1, 2))), "Invalid")
    assert.strictEqual(
      reason(example([1, 1], ModelInput.image({ data: new Uint8Array([1]), format: "png" }), text(1))),
      "Invalid"
    )
  })

  it("does the same to text in any number of chunks", () => {
    const tokens = fc.array(fc.nat({ max: 9 }), { minLength: 2, maxLength: 12 })
    fc.assert(
      fc.property(
        tokens,
        fc.array(fc.nat({ max: 12 }), { maxLength: 4 }),
        fc.integer({ min: 2, max: 14 }),
        (all, cuts, maxLength) => {
          const weights = all.map((token) => token % 2)
          const bounds = [0, ...cuts.map((at) => Math.min(at, all.length)).sort((a, b) => a - b), all.length]
          const chunks = bounds.slice(1).map((end, i) => text(...all.slice(bounds[i], end)))
          const inOne = convert(example(weights, text(...all)), truncate(maxLength))
          const inMany = convert(example(weights, ...chunks), truncate(maxLength))
          const flat = (result: typeof inOne) =>
            Either.map(result, (value) => ("input" in value ? { ...value, input: value.input.flat() } : value))
          assert.deepStrictEqual(flat(inMany), flat(inOne))
        }
      )
    )
  })

  it.effect("makes the datums of a conversation, each with the mean of its weights, and counts them", () =>
    Effect.gen(function* () {
      const renderer = yield* Renderer.make("qwen3", yield* vocabularies.load("qwen3"))
      const messages = [
        { role: "user", content: "a" },
        { role: "assistant", content: "A" },
        { role: "user", content: "b" },
        { role: "assistant", content: "B ".repeat(30) }
      ]
      const { counts, datums } = yield* SupervisedExample.fromConversation(renderer, { messages })
      assert.deepStrictEqual(counts, { ...SupervisedExample.noCounts, datums: 2 })
      for (const { loss_fn_inputs } of datums) {
        const sum = TensorData.toNumbers(loss_fn_inputs.weights).reduce((total, weight) => total + weight, 0)
        assert.closeTo(sum, 1, 1e-6)
      }
      const count = (options: SupervisedExample.ConversationOptions) =>
        Effect.map(SupervisedExample.fromConversation(renderer, { messages }, options), ({ counts }) => counts)
      const cut = yield* count({ maxLength: 30, tooLong: "truncate" })
      assert.deepStrictEqual(cut, { ...SupervisedExample.noCounts, datums: 2, truncated: 1 })
      const emptied = yield* count({ maxLength: 16, tooLong: "truncate" })
      assert.deepStrictEqual(emptied, { ...SupervisedExample.noCounts, datums: 1, untrained: 1, emptied: 1 })
      const skipped = yield* count({ maxLength: 30, tooLong: "skip" })
      assert.deepStrictEqual(skipped, { ...SupervisedExample.noCounts, datums: 1, skipped: 1 })
      assert.deepStrictEqual(SupervisedExample.addCounts(cut, skipped), {
        ...SupervisedExample.noCounts,
        datums: 3,
        truncated: 1,
        skipped: 1
      })
      const untrained = yield* SupervisedExample.fromConversation(renderer, { messages: messages.slice(0, 1) })
      assert.deepStrictEqual(untrained.counts, { ...SupervisedExample.noCounts, untrained: 1 })
    })
  )

  it.effect("makes the datums of prompts with completions and of texts, which end", () =>
    Effect.gen(function* () {
      const tokenizer = yield* vocabularies.load("llama3_1")
      const renderer = yield* Renderer.make("role_colon", tokenizer)
      const trained = (record: Record.Record, rest: object = {}) =>
        Effect.map(SupervisedExample.fromRecord(record, { renderer, tokenizer, ...rest }), ({ datums: [datum] }) => {
          const { target_tokens, weights } = datum!.loss_fn_inputs
          const tokens = TensorData.toNumbers(target_tokens).filter((_, i) => TensorData.toNumbers(weights)[i]! > 0)
          return { text: tokenizer.decode(tokens), special: tokens.filter((token) => token >= 128_000).length }
        })
      const pair = { _tag: "PromptCompletion", prompt: "walk ->", completion: " walked<|eot_id|>" } as const
      assert.deepStrictEqual(yield* trained(pair), { text: " walked<|eot_id|><|eot_id|>", special: 1 })
      assert.deepStrictEqual(yield* trained(pair, { recognizeSpecialTokens: true }), {
        text: " walked<|eot_id|><|eot_id|>",
        special: 2
      })
      assert.deepStrictEqual(yield* trained({ _tag: "Text", text: "once upon" }), {
        text: "once upon<|eot_id|>",
        special: 1
      })
      const messages = [
        { role: "user", content: "a" },
        { role: "assistant", content: "A" }
      ] as const
      assert.strictEqual((yield* trained({ _tag: "Conversation", messages })).text, " A\n\nUser:")
      const preference = {
        _tag: "Preference",
        pair: { form: "text", prompt: "a", chosen: "b", rejected: "c" }
      } as const
      const error = yield* Effect.flip(SupervisedExample.fromRecord(preference, { renderer, tokenizer }))
      assert.deepStrictEqual("reason" in error ? error.reason : undefined, "Unsupported")
    })
  )
})
