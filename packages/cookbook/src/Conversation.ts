/**
 * Records of training files, either conversations or prompts with completions, and their conversion to datums. Only the
 * messages of the assistant have weight in the loss.
 *
 * @since 0.1.0
 */
import * as Datum from "@effect-tinker/api/Datum"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Dataset from "./Dataset.ts"
import { optionalKey } from "./internal/effect/optionalKey.ts"

/**
 * A message. Further fields are passed to the chat template of the model.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Message = Schema.Struct(
  { role: Schema.NonEmptyString, content: Schema.String },
  { key: Schema.String, value: Schema.Unknown }
)

/**
 * @since 0.1.0
 * @category models
 */
export type Message = typeof Message.Type

/**
 * A conversation with at least one message of the assistant.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Conversation = Schema.Struct({
  messages: Schema.NonEmptyArray(Message).pipe(
    Schema.filter((messages) => messages.some(({ role }) => role === "assistant"), {
      message: () => "has no message with the role assistant"
    })
  ),
  split: optionalKey(Schema.Literal("train", "test"))
})

/**
 * A line of a training file: `{"messages": […]}` or `{"prompt": …, "completion": …}`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Record = Schema.Union(Conversation, Dataset.PromptCompletion)

/**
 * @since 0.1.0
 * @category models
 */
export type Record = typeof Record.Type

/**
 * The part of a tokenizer that this module needs.
 *
 * @since 0.1.0
 * @category models
 */
export type Encoder = Pick<Tokenizer.Service, "encode" | "encodeChat" | "eos">

type SupervisedDatum = Datum.For<"cross_entropy">

const startsWith = (tokens: ReadonlyArray<number>, prefix: ReadonlyArray<number>): boolean =>
  prefix.length <= tokens.length && prefix.every((token, i) => tokens[i] === token)

/** A datum whose targets are the tokens shifted by one. */
const datumOf = (tokens: ReadonlyArray<number>, weights: Float32Array): SupervisedDatum =>
  Datum.forLoss("cross_entropy", {
    model_input: tokens.slice(0, -1),
    loss_fn_inputs: { target_tokens: tokens.slice(1), weights: weights.slice(1) }
  })

/**
 * The datum of a conversation. All messages of the assistant have weight 1. Some chat templates render earlier turns
 * differently once there are later ones (they drop the reasoning); then only the last turn has weight.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromMessages = (
  messages: ReadonlyArray<Message>,
  encoder: Encoder
): Effect.Effect<SupervisedDatum, Tokenizer.ChatTemplateError> =>
  Effect.gen(function* () {
    const last = messages.findLastIndex(({ role }) => role === "assistant")
    const tokens = yield* encoder.encodeChat(messages.slice(0, last + 1))
    const weights = new Float32Array(tokens.length)
    for (const [i, { role }] of messages.slice(0, last + 1).entries()) {
      if (role !== "assistant") continue
      const head = yield* encoder.encodeChat(messages.slice(0, i), { addGenerationPrompt: true })
      const through = i === last ? tokens : yield* encoder.encodeChat(messages.slice(0, i + 1))
      if (startsWith(tokens, head) && startsWith(tokens, through)) weights.fill(1, head.length, through.length)
      else if (i === last) {
        const from = head.findIndex((token, at) => tokens[at] !== token)
        weights.fill(1, from < 0 ? head.length : from)
      }
    }
    return datumOf(tokens, weights)
  })

/**
 * The datum of a record. The end-of-sequence token is appended to a completion, if the tokenizer has one.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toDatum = (
  record: Record,
  encoder: Encoder
): Effect.Effect<SupervisedDatum, Tokenizer.ChatTemplateError> => {
  if ("messages" in record) return fromMessages(record.messages, encoder)
  const prompt = encoder.encode(record.prompt)
  const completion = encoder.encode(record.completion, { addSpecialTokens: false })
  return Effect.sync(() =>
    Datum.fromPromptCompletion(prompt, encoder.eos === undefined ? completion : [...completion, encoder.eos.id])
  )
}
