/**
 * Looks up and manages training runs, checkpoints, sessions, samplers, usage and the audit log. It needs no session: it
 * creates nothing on the service and sends no heartbeats.
 *
 * ```ts
 * const rest = yield* RestClient.RestClient
 * yield* rest.streamUserCheckpoints().pipe(Stream.take(10), Stream.runForEach(Console.log))
 * yield* rest.publishCheckpoint("tinker://<run>/sampler_weights/final")
 * ```
 *
 * `list…` and `search…` return one page. `stream…` requests pages as they are needed, from any offset or cursor on.
 * Checkpoints are named by their path, `tinker://<run>/<kind>/<name>`, or by the parts of it. An invalid path fails with
 * `InvalidInput` before a request is sent. A service that lacks an operation responds with 404 or 405.
 *
 * @since 0.1.0
 */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as account from "./internal/rest/account.ts"
import * as checkpoints from "./internal/rest/checkpoints.ts"
import * as sessions from "./internal/rest/sessions.ts"
import * as trainingRuns from "./internal/rest/trainingRuns.ts"
import * as weights from "./internal/rest/weights.ts"
import * as TinkerClient from "./TinkerClient.ts"
import * as TinkerConfig from "./TinkerConfig.ts"

export type {
  Access,
  CopyOptions,
  Deletion,
  Identity,
  Page,
  Project,
  Selection,
  SignedUrl,
  Target,
  Walk
} from "./internal/rest/options.ts"

/**
 * All operations. Each part is declared beside its implementation in `internal/rest/`:
 *
 * - `TrainingRuns`: `getTrainingRun`, `listTrainingRuns`, `streamTrainingRuns`
 * - `Checkpoints`: `listCheckpoints`, `listUserCheckpoints`, `streamUserCheckpoints`, `searchCheckpoints`,
 *   `streamCheckpointSearch`, `getCheckpoint`, `publishCheckpoint`, `unpublishCheckpoint`, `setCheckpointTtl`,
 *   `deleteCheckpoint`, `deleteCheckpoints`
 * - `CheckpointWeights`: `getWeightsInfo`, `getCheckpointArchiveUrl`, `getExternalWeightsUrls`, `copyWeights`,
 *   `uploadExternalWeights`
 * - `Sessions`: `getSession`, `listSessions`, `streamSessions`, `searchSessions`, `streamSessionSearch`, `finishSession`,
 *   `assignSessionProject`, `exportSessionTrace`, `getSampler`
 * - `Account`: `getServerCapabilities`, `getAuditLog`, `getBillingUsage`, `streamBillingUsage`, `getCheckpointStorage`,
 *   `whoami`, `getApiKey`, `deleteApiKey`
 *
 * @since 0.1.0
 * @category models
 */
export interface Service
  extends
    trainingRuns.TrainingRuns,
    checkpoints.Checkpoints,
    weights.CheckpointWeights,
    sessions.Sessions,
    account.Account {}

/**
 * @since 0.1.0
 * @category tags
 */
export class RestClient extends Context.Tag("@effect-tinker/client/RestClient")<RestClient, Service>() {}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Service, never, TinkerClient.TinkerClient | HttpClient.HttpClient> = Effect.gen(
  function* () {
    const client = yield* TinkerClient.TinkerClient
    const http = yield* HttpClient.HttpClient
    const runs = trainingRuns.make(client)
    return {
      ...runs,
      ...checkpoints.make(client, () => runs.streamTrainingRuns()),
      ...weights.make(client, http),
      ...sessions.make(client),
      ...account.make(client)
    }
  }
)

/**
 * Uses the `TinkerClient` that is provided.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNoDeps: Layer.Layer<RestClient, never, TinkerClient.TinkerClient | HttpClient.HttpClient> =
  Layer.effect(RestClient, make)

const withConfig = (
  config: Layer.Layer<TinkerConfig.TinkerConfig, TinkerError.InvalidInput>
): Layer.Layer<RestClient, TinkerError.TinkerError, HttpClient.HttpClient> =>
  layerNoDeps.pipe(Layer.provide(TinkerClient.layer), Layer.provide(config))

/**
 * Connects to the service that the options name.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: TinkerConfig.Options
): Layer.Layer<RestClient, TinkerError.TinkerError, HttpClient.HttpClient> => withConfig(TinkerConfig.layer(options))

/**
 * Connects to the service that the environment names: `TINKER_API_KEY`, `TINKER_BASE_URL`, ...
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: TinkerConfig.Options = {}
): Layer.Layer<RestClient, TinkerError.TinkerError, HttpClient.HttpClient> =>
  withConfig(TinkerConfig.layerConfig(options))
