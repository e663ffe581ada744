/** The examples of a training run: records of a file, split into training and held-out data, as datums. */
import * as Conversation from "@effect-tinker/cookbook/Conversation"
import * as Nll from "@effect-tinker/cookbook/Nll"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"

/** The loss on held-out examples is only a check, so there is no point in more of them. */
const maxHeldOut = 256

/** @internal */
export interface Split<A> {
  readonly train: ReadonlyArray<A>
  readonly test: ReadonlyArray<A>
}

/** Holds out the records with `split: test`; if there are none, this fraction of the records, from the end. @internal */
export const split = (records: ReadonlyArray<Conversation.Record>, fraction: number): Split<Conversation.Record> => {
  const marked = records.filter(({ split }) => split === "test")
  if (marked.length > 0) {
    return { train: records.filter(({ split }) => split !== "test"), test: marked.slice(0, maxHeldOut) }
  }
  const count = Math.min(maxHeldOut, Math.floor(records.length * fraction))
  return { train: records.slice(0, records.length - count), test: records.slice(records.length - count) }
}

/** Tokenizes records, and drops those without a weighted token. */
const toExamples = (records: ReadonlyArray<Conversation.Record>, tokenizer: Tokenizer.Service) =>
  Effect.map(
    Effect.forEach(records, (record) => Conversation.toDatum(record, tokenizer)),
    (examples) => examples.filter((example) => Nll.weightOf([example]) > 0)
  )

/** @internal */
export const tokenize = ({ test, train }: Split<Conversation.Record>, tokenizer: Tokenizer.Service) =>
  Effect.gen(function* () {
    const examples: Split<Nll.Example> = {
      train: yield* toExamples(train, tokenizer),
      test: yield* toExamples(test, tokenizer)
    }
    return examples
  })
