/** Which losses a service offers, asked one by one with a tiny batch, and whether it reports their values. */
import * as Datum from "@effect-tinker/api/Datum"
import type * as Training from "@effect-tinker/api/Training"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { describe } from "../errors/describe.ts"
import type { Check } from "./check.ts"

/** Creates a model to ask about losses: a refused one may end the client of the model. @internal */
export type CreateModel = Effect.Effect<TrainingClient.TrainingClient, TinkerError.TinkerError, Scope.Scope>

const model_input = [10, 11, 12]
const target_tokens = [11, 12, 13]
const policy = { target_tokens, logprobs: [-1, -1, -1], advantages: [1, 1, 1] }

const spans = (type: "prompt") => [{ type, sequence_id: "doctor", offset: 0, length: model_input.length }]

/** The losses to ask about, with a datum for each. @internal */
export const questions: ReadonlyArray<readonly [name: string, datum: Datum.Datum]> = [
  ["cross_entropy", Datum.make({ model_input, loss_fn_inputs: { target_tokens, weights: [1, 1, 1] } })],
  ["importance_sampling", Datum.make({ model_input, loss_fn_inputs: policy })],
  ["ppo", Datum.make({ model_input, loss_fn_inputs: policy })],
  ["cispo", Datum.make({ model_input, loss_fn_inputs: policy })],
  ["dro", Datum.make({ model_input, loss_fn_inputs: policy })],
  ["gspo", Datum.make({ model_input, loss_fn_inputs: { ...policy, sequence_ratio_mask: [1, 1, 1] } })],
  [
    "stable_reinforce",
    // without a sampled token, so that the service needs no sample of its own
    Datum.withProvenance(Datum.make({ model_input, loss_fn_inputs: { target_tokens, advantages: [0, 0, 0] } }), {
      model_input: spans("prompt"),
      loss_fn_inputs: spans("prompt")
    })
  ]
]

type Answer = Either.Either<Training.ForwardBackwardOutput, unknown>

const forward = (training: TrainingClient.TrainingClient, loss: string, datum: Datum.Datum, limit: string) =>
  training.forward([datum] as never, loss as never).pipe(
    Effect.flatMap(Fiber.join),
    Effect.timeoutFail({
      duration: limit as "1 minute",
      onTimeout: () => new Error(`no result within ${limit}`)
    }),
    Effect.either
  )

const isBroken = (answer: Answer): boolean =>
  Either.isLeft(answer) && (answer.left as { readonly _tag?: unknown })._tag === "ClientBroken"

/** What a service said about each loss, by its name. @internal */
export type Answers = ReadonlyMap<string, Answer>

/** Asks about each loss. @internal */
export const ask = Effect.fnUntraced(function* (
  create: CreateModel,
  first: TrainingClient.TrainingClient,
  limit: string
) {
  const answers = new Map<string, Answer>()
  let training = first
  for (const [name, datum] of questions) {
    let answer: Answer = yield* forward(training, name, datum, limit)
    if (isBroken(answer)) {
      const other = yield* Effect.either(create)
      if (Either.isLeft(other)) {
        answers.set(name, Either.left(other.left))
        break
      }
      training = other.right
      answer = yield* forward(training, name, datum, limit)
    }
    answers.set(name, answer)
  }
  return { answers: answers as Answers, training }
})

/** A service that asks for recorded samples knows the loss. */
const asksForSamples = (answer: Answer): boolean =>
  Either.isLeft(answer) && /\bnames the sequence\b|\bspans?\b|record_stability_info/.test(describe(answer.left))

const offered = (answers: Answers): ReadonlyArray<string> =>
  Array.from(answers).flatMap(([name, answer]) => (Either.isRight(answer) || asksForSamples(answer) ? [name] : []))

/** The result about the losses. Only `cross_entropy` is needed to train at all. @internal */
export const lossesCheck = (answers: Answers): Check => {
  const supported = offered(answers)
  const first = answers.get("cross_entropy")
  if (first !== undefined && Either.isLeft(first)) {
    const advice = "training on text needs cross_entropy: ask the operator of the service"
    return { name: "losses", status: "failed", detail: `cross_entropy: ${describe(first.left)}`, advice }
  }
  const missing = questions.flatMap(([name]) => (supported.includes(name) ? [] : [name]))
  return {
    name: "losses",
    status: "ok",
    detail: supported.join(", ") + (missing.length === 0 ? "" : `; not ${missing.join(", ")}`)
  }
}

const isFinite = (value: unknown): boolean => typeof value === "number" && Number.isFinite(value)

/** Whether the loss has a value, and by which name. @internal */
export const lossReportedCheck = (answers: Answers): Check => {
  const name = "loss value"
  const answer = answers.get("cross_entropy")
  if (answer === undefined || Either.isLeft(answer))
    return { name, status: "skipped", detail: "requires cross_entropy" }
  const { loss_fn_outputs, metrics } = answer.right
  if (isFinite(metrics["loss:sum"])) return { name, status: "ok", detail: "loss:sum" }
  const outputs = Object.keys(loss_fn_outputs[0] ?? {})
  const detail = ["elementwise_loss", "logprobs"].find((output) => outputs.includes(output))
  return detail === undefined
    ? { name, status: "warning", detail: "the service reports none: losses cannot be shown" }
    : { name, status: "ok", detail: `no loss:sum; ${detail} of each token` }
}
