/** Tries a service: a tiny forward pass for each loss, samples of one token and one save, which is deleted again. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as RestClient from "@effect-tinker/client/RestClient"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import type * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import { describe } from "../errors/describe.ts"
import * as Io from "../terminal/io.ts"
import { type Check, timed } from "./check.ts"
import * as losses from "./losses.ts"
import { routesCheck } from "./routes.ts"

/** @internal */
export interface Trial {
  readonly service: ServiceClient.Service
  readonly rest: RestClient.Service
  readonly model: string
  /** the content type of the last forward pass */
  readonly contentType: () => string | undefined
  /** in seconds, if the service is not on this computer: what an ended process leaves behind is deleted then */
  readonly ttl: number | undefined
}

/** How long one operation may take: a service may compile its programs first. */
const limit = "2 minutes"
const rank = 8

/** What a trial sends. @internal */
export const spending = (model: string): string =>
  `Trying ${model}: it creates a model of rank ${rank}, sends ${losses.questions.length} forward passes of 3 tokens, ` +
  "samples 3 tokens and saves one checkpoint, which it deletes. The service may charge for that."

/** The names of the results, in order. @internal */
export const names = ["slots", "encoding", "losses", "loss value", "save", "sample", "stop", "routes"] as const

const remove = (rest: RestClient.Service, path: string) =>
  rest.deleteCheckpoint(path).pipe(
    Effect.retry({ times: 2 }),
    Effect.interruptible,
    Effect.timeout("10 seconds"),
    Effect.as(undefined as unknown),
    Effect.catchAll((error) =>
      (error as { readonly _tag: string })._tag === "NotFound"
        ? Effect.succeed(undefined)
        : Effect.succeed(error as unknown)
    )
  )

/** Saves, and deletes the checkpoint with the scope, also when it is interrupted before the result arrives. */
const save = Effect.fnUntraced(function* ({ rest, ttl }: Trial, training: TrainingClient.TrainingClient) {
  const io = yield* Io.Io
  const name = `doctor-${(yield* Random.nextIntBetween(0, 2 ** 31)).toString(16)}`
  const path = `tinker://${training.modelId}/sampler_weights/${name}`
  const future = yield* Effect.acquireRelease(
    training.saveWeightsForSampler(name, ttl === undefined ? {} : { ttl_seconds: ttl }),
    (future) =>
      Fiber.await(future).pipe(
        Effect.interruptible,
        Effect.timeoutOption("10 seconds"),
        Effect.andThen(remove(rest, path)),
        Effect.flatMap((error) =>
          error === undefined
            ? Effect.void
            : io.err(`warning: ${path} was not deleted (${describe(error)}): run tinker checkpoint delete ${path}\n`)
        )
      )
  )
  return yield* Effect.timeout(Fiber.join(future), limit)
})

/** Whether a sample of one token arrives. */
const sampleOne = (sampling: SamplingClient.SamplingClient, stop?: ReadonlyArray<string> | ReadonlyArray<number>) =>
  sampling
    .sample(ModelInput.fromTokens([10, 11]), {
      sampling_params: { max_tokens: 1, ...(stop === undefined ? {} : { stop: stop as ReadonlyArray<string> }) }
    })
    .pipe(Effect.timeout(limit), timed, Effect.either)

const stopForms = [
  ["strings", ["\n\n"]],
  ["token ids", [13]]
] as const

const sampleChecks = Effect.fnUntraced(function* (sampling: SamplingClient.SamplingClient) {
  const plain = yield* sampleOne(sampling)
  if (Either.isLeft(plain)) {
    const sample: Check = { name: "sample", status: "warning", detail: describe(plain.left) }
    return [sample, { name: "stop", status: "skipped", detail: "requires a sample" }] satisfies ReadonlyArray<Check>
  }
  const forms: Array<string> = []
  for (const [form, stop] of stopForms) if (Either.isRight(yield* sampleOne(sampling, stop))) forms.push(form)
  const isWhole = forms.length === stopForms.length
  return [
    { name: "sample", status: "ok", detail: `a token arrived after ${plain.right[0]} ms` },
    { name: "stop", status: isWhole ? "ok" : "warning", detail: forms.length === 0 ? "no form" : forms.join(", ") }
  ] satisfies ReadonlyArray<Check>
})

const encodingCheck = (contentType: string | undefined): Check => {
  const detail =
    contentType === undefined ? "nothing was sent" : contentType.includes("json") ? "JSON" : `protobuf (${contentType})`
  return { name: "encoding", status: contentType === undefined ? "warning" : "ok", detail }
}

/** The sampler of the saved weights, or of the base model if there are none. */
const openSampler = ({ model, service }: Trial, path: string | undefined) =>
  service.createSamplingClient(path === undefined ? { base_model: model } : { model_path: path })

/** Everything but the creation of the model. */
const tryModel = Effect.fnUntraced(function* (
  trial: Trial,
  create: losses.CreateModel,
  first: TrainingClient.TrainingClient
) {
  const { answers, training } = yield* losses.ask(create, first, limit)
  const encoding = encodingCheck(trial.contentType())
  const saved = yield* Effect.either(save(trial, training))
  const path = Either.isRight(saved) ? saved.right.path : undefined
  const saveCheck: Check = Either.isRight(saved)
    ? { name: "save", status: "ok", detail: "weights for sampling, deleted again" }
    : { name: "save", status: "failed", detail: describe(saved.left), advice: "nothing that is trained can be kept" }
  const sampler = yield* Effect.either(openSampler(trial, path))
  const samples: ReadonlyArray<Check> = Either.isRight(sampler)
    ? yield* sampleChecks(sampler.right)
    : [
        { name: "sample", status: "warning", detail: describe(sampler.left) },
        { name: "stop", status: "skipped", detail: "requires a sample" }
      ]
  const routes = yield* routesCheck(trial.rest, { run: training.modelId, checkpoint: path })
  return [encoding, losses.lossesCheck(answers), losses.lossReportedCheck(answers), saveCheck, ...samples, routes]
})

/** Tries a service. What it has made is deleted when it ends, also by interruption. @internal */
export const run = (trial: Trial): Effect.Effect<ReadonlyArray<Check>, never, Io.Io> =>
  Effect.gen(function* () {
    const create: losses.CreateModel = trial.service.createLoraTrainingClient({ base_model: trial.model, rank })
    const created = yield* Effect.either(Effect.timeout(create, limit))
    if (Either.isLeft(created)) {
      const advice = "no model can be trained now: the service may have no slot left, or not train this model"
      const slots: Check = { name: "slots", status: "failed", detail: describe(created.left), advice }
      const rest = names.filter((name) => name !== "slots")
      return [slots, ...rest.map((name): Check => ({ name, status: "skipped", detail: "requires a model" }))]
    }
    const slots: Check = { name: "slots", status: "ok", detail: "at least one was left: a model was created" }
    return [slots, ...(yield* tryModel(trial, create, created.right))]
  }).pipe(Effect.scoped)
