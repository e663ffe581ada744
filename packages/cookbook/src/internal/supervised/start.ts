/** Starts a run: a new adapter, or the last checkpoint of the run in the directory. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as RunDirectory from "../../RunDirectory.ts"
import type { Row } from "../metrics/row.ts"
import type { Options } from "./options.ts"

/** @internal */
export interface Started {
  readonly training: TrainingClient.TrainingClient
  readonly directory: RunDirectory.RunDirectory | undefined
  /** where it resumes */
  readonly checkpoint: RunDirectory.Checkpoint | undefined
  /** the rows of the steps that it has done */
  readonly rows: ReadonlyArray<Row>
}

type Json = RunDirectory.Config[string]

const withoutUndefined = (value: { readonly [name: string]: unknown }): RunDirectory.Config =>
  JSON.parse(JSON.stringify(value)) as { readonly [name: string]: Json }

/** What of a model must be equal for a run to resume. @internal */
export const adapterOf = ({ user_metadata: _, ...adapter }: Options["model"]) => adapter

const configOf = <E, R>({ batches, model, ...options }: Options<E, R>): StartOptions["config"] => ({
  ...adapterOf(model),
  steps: options.steps,
  learning_rate: options.learningRate,
  adam: options.adam ?? {},
  loss: options.loss?.name,
  seed: options.seed ?? 0,
  early_stop: options.earlyStop,
  renderer: options.renderer,
  data: batches.fingerprint
})

/** What a run is started from. @internal */
export interface StartOptions {
  readonly model: Options["model"]
  readonly directory: Options["directory"]
  readonly threads: number | undefined
  readonly data?: Options["data"]
  /** what must be equal for a run to resume */
  readonly config: { readonly [name: string]: unknown }
}

const openDirectory = (options: StartOptions) =>
  options.directory === undefined
    ? Effect.succeed(undefined)
    : RunDirectory.open({
        ...options.directory,
        data: options.data,
        config: withoutUndefined(options.config),
        environment: withoutUndefined({ threads: options.threads })
      })

/** A client of the newest checkpoint that the service still has. */
const resume = Effect.fnUntraced(function* (
  checkpoints: ReadonlyArray<RunDirectory.Checkpoint>,
  metadata: ServiceClient.LoraOptions["user_metadata"]
) {
  const service = yield* ServiceClient.ServiceClient
  for (const [i, checkpoint] of checkpoints.entries()) {
    const path = checkpoint.state_path!
    const created: Effect.Effect<TrainingClient.TrainingClient | undefined, TinkerError.TinkerError, Scope.Scope> =
      service.createTrainingClientFromStateWithOptimizer(path, { user_metadata: metadata })
    const isLast = i === checkpoints.length - 1
    const training = yield* isLast
      ? created
      : Effect.catchTag(created, "NotFound", () =>
          Effect.as(Effect.logWarning(`the service no longer has ${path}: the run resumes further back`), undefined)
        )
    if (training !== undefined) return { training, checkpoint }
  }
  return undefined
})

const create = Effect.fnUntraced(function* ({ weights, ...model }: Options["model"]) {
  const service = yield* ServiceClient.ServiceClient
  return yield* weights === undefined
    ? service.createLoraTrainingClient(model)
    : service.createTrainingClientFromState(weights, {
        base_model: model.base_model,
        user_metadata: model.user_metadata
      })
})

/** Starts or resumes a run of any kind. @internal */
export const open = Effect.fnUntraced(function* (options: StartOptions) {
  const directory = yield* openDirectory(options)
  const resumed = yield* resume(directory?.resumable ?? [], options.model.user_metadata)
  const training = resumed?.training ?? (yield* create(options.model))
  const checkpoint = resumed?.checkpoint
  const rows = directory === undefined ? [] : yield* directory.startAt(checkpoint?.batch ?? 0)
  return { training, directory, checkpoint, rows } satisfies Started
})

/** @internal */
export const start = <E, R>(options: Options<E, R>) =>
  open({
    model: options.model,
    directory: options.directory,
    threads: options.threads,
    data: options.data,
    config: configOf(options)
  })
