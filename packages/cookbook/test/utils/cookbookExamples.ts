/** Examples of this package in the form in which `reference/render.py` writes those of tinker-cookbook. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TensorData from "@effect-tinker/api/TensorData"
import type * as Renderer from "@effect-tinker/cookbook/Renderer"
import * as SupervisedExample from "@effect-tinker/cookbook/SupervisedExample"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { type Conversation, differences } from "./cookbookDifferences.ts"

/** An example, and its datum of at most 64 tokens with the mean of the weights. */
export interface Example {
  readonly tokens: ReadonlyArray<number>
  readonly weights: ReadonlyArray<number>
  readonly targets: ReadonlyArray<number>
  readonly reduced: ReadonlyArray<number>
}

/** What `customized` trains in conversation `i`; the reference computes the same. */
const withTrainable = ({ messages, ...rest }: Conversation, i: number): Conversation => ({
  ...rest,
  messages: messages.map((message, j) => ({ ...message, trainable: (i + j) % 3 !== 0 }))
})

const datumOf = (example: Renderer.SupervisedExample): Pick<Example, "targets" | "reduced"> => {
  const outcome = Either.getOrThrow(
    SupervisedExample.toDatum(example, { maxLength: 64, tooLong: "truncate", reduction: "mean" })
  )
  if (outcome._tag !== "Datum") {
    // the reference makes a datum that trains nothing
    const targets = Array.from(ModelInput.toTokens(example.input)).slice(1, 64)
    return { targets, reduced: targets.map(() => 0) }
  }
  const { target_tokens, weights } = outcome.datum.loss_fn_inputs
  return {
    targets: TensorData.toNumbers(target_tokens),
    reduced: TensorData.toNumbers(weights)
  }
}

/** The example of conversation `i`, or undefined if the renderer refuses it. */
export const render = (
  renderer: Renderer.Service,
  conversation: Conversation,
  i: number,
  mode: Renderer.TrainOn
): Effect.Effect<Example | undefined> =>
  renderer.example(mode === "customized" ? withTrainable(conversation, i) : conversation, mode).pipe(
    Effect.map((example) => ({
      tokens: Array.from(ModelInput.toTokens(example.input)),
      weights: Array.from(example.weights),
      ...datumOf(example)
    })),
    Effect.orElseSucceed(() => undefined)
  )

/** Counts the differences of one renderer by their numbers; 0 stands for those that no reason explains. */
export const makeCounter = (renderer: string) => {
  const counts = new Map<number, number>()
  const unexplained: Array<string> = []
  return {
    add: (conversation: Conversation, i: number, mode: string) => {
      const reason = differences.find(({ concerns }) => concerns(conversation, renderer))
      if (reason === undefined) unexplained.push(`conversation ${i} with ${mode}`)
      else counts.set(reason.number, (counts.get(reason.number) ?? 0) + 1)
    },
    counts,
    unexplained
  }
}
