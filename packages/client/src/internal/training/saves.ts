/** The operations that save checkpoints: training states, sampler weights and external weights. */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Weights from "@effect-tinker/api/Weights"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { type Context, submitRequest } from "./context.ts"
import { sendSave } from "./lostSaves.ts"
import type { Submitted } from "../submissions/operation.ts"
import * as validate from "./validate.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface SaveOptions {
  /** time until the checkpoint is deleted; by default it is kept */
  readonly ttl_seconds?: number | undefined
  /** replaces a checkpoint of the same name */
  readonly overwrite?: boolean | undefined
  /** stored with the checkpoint */
  readonly user_metadata?: { readonly [key: string]: string } | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface SaveForSamplerOptions {
  /** time until the checkpoint is deleted; by default it is kept */
  readonly ttl_seconds?: number | undefined
  /**
   * `snapshot` by default: samplers keep the weights as they were saved. `inflight`: samplers switch to the weights that are
   * saved later under the same name.
   */
  readonly kind?: Weights.SamplerKind | undefined
  /** stored with the checkpoint */
  readonly user_metadata?: { readonly [key: string]: string } | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface SaveExternalOptions {
  /** time until the checkpoint is deleted; by default it is kept */
  readonly ttl_seconds?: number | undefined
  /** age public keys that the files are encrypted for; by default they are not encrypted */
  readonly age_encryption_recipients?: ReadonlyArray<string> | undefined
}

/**
 * The path of saved sampler weights.
 *
 * @since 0.1.0
 * @category models
 */
export interface SavedForSampler {
  readonly path: string
}

// a named save returns its path, one without a name its sampling session
const SavedNamed = Schema.Struct({ path: Schema.String })
const SavedUnnamed = Schema.Struct({ sampling_session_id: Schema.String })

const checkpointPath = ({ modelId }: Context, kind: TinkerPath.Kind, name: string) =>
  TinkerPath.format({ training_run_id: modelId, kind, name })

/** @internal */
export const submitSaveState = (
  context: Context,
  name: string,
  { overwrite = false, ttl_seconds, user_metadata }: SaveOptions = {}
): Submitted<Weights.SaveWeightsResponse> =>
  Effect.suspend(() => {
    const method = "saveState"
    const problem =
      validate.checkName(method, name) ??
      validate.checkTtl(method, ttl_seconds) ??
      validate.checkMetadata(method, user_metadata)
    if (problem !== undefined) return problem
    const path = checkpointPath(context, "weights", name)
    return submitRequest(
      context,
      { method, type: "SaveWeights", schema: Weights.SaveWeightsResponse, role: "reads" },
      (seq_id, options) =>
        sendSave<Weights.SaveWeightsResponse>(context, path, { path, type: "save_weights" }, options, (options) =>
          context.client.call(
            TinkerApi.saveWeights,
            {
              model_id: context.modelId,
              path: name,
              seq_id,
              ...(ttl_seconds === undefined ? {} : { ttl_seconds }),
              overwrite,
              ...(user_metadata === undefined ? {} : { user_metadata }),
              type: "save_weights"
            },
            options
          )
        )
    )
  })

/** Calls the endpoint for sampler weights, with a name or for a new sampling session. */
const callSaveForSampler = (
  { client, modelId }: Context,
  target: { readonly path: string } | { readonly sampling_session_seq_id: number },
  seq_id: number,
  { kind, ttl_seconds, user_metadata }: SaveForSamplerOptions,
  options: Parameters<typeof client.call>[2]
) =>
  client.call(
    TinkerApi.saveWeightsForSampler,
    {
      model_id: modelId,
      ...target,
      seq_id,
      ...(kind === undefined ? {} : { kind }),
      ...(ttl_seconds === undefined ? {} : { ttl_seconds }),
      ...(user_metadata === undefined ? {} : { user_metadata }),
      type: "save_weights_for_sampler"
    },
    options
  )

/** @internal */
export const submitSaveForSampler = (
  context: Context,
  name: string,
  saveOptions: SaveForSamplerOptions = {}
): Submitted<SavedForSampler> =>
  Effect.suspend(() => {
    const method = "saveWeightsForSampler"
    const problem =
      validate.checkName(method, name) ??
      validate.checkTtl(method, saveOptions.ttl_seconds) ??
      validate.checkMetadata(method, saveOptions.user_metadata)
    if (problem !== undefined) return problem
    const path = checkpointPath(context, "sampler_weights", name)
    return submitRequest(
      context,
      { method, type: "SaveWeightsForSampler", schema: SavedNamed, role: "reads" },
      (seq_id, options) =>
        sendSave<SavedForSampler>(context, path, { path }, options, (options) =>
          callSaveForSampler(context, { path: name }, seq_id, saveOptions, options)
        )
    )
  })

/** Saves sampler weights without a name, and returns the id of a sampling session for them. @internal */
export const saveForSamplingSession = (
  context: Context,
  method: string
): Effect.Effect<string, TinkerError.TinkerError> =>
  Effect.gen(function* () {
    const sampling_session_seq_id = yield* context.session.nextSamplingSeqId
    const future = yield* submitRequest(
      context,
      { method, type: "SaveWeightsForSampler", schema: SavedUnnamed, role: "reads" },
      (seq_id, options) => callSaveForSampler(context, { sampling_session_seq_id }, seq_id, {}, options)
    )
    const { sampling_session_id } = yield* Fiber.join(future)
    return sampling_session_id
  })

/** @internal */
export const submitSaveExternal = (
  context: Context,
  name: string,
  { age_encryption_recipients, ttl_seconds }: SaveExternalOptions = {}
): Submitted<Weights.SaveWeightsExternalResponse> =>
  Effect.suspend(() => {
    const method = "saveWeightsExternal"
    const problem = validate.checkName(method, name) ?? validate.checkTtl(method, ttl_seconds)
    if (problem !== undefined) return problem
    const path = checkpointPath(context, "external_weights", name)
    return submitRequest(
      context,
      { method, type: "SaveWeightsExternal", schema: Weights.SaveWeightsExternalResponse, role: "reads" },
      (seq_id, options) =>
        sendSave<Weights.SaveWeightsExternalResponse>(
          context,
          path,
          { path, type: "save_weights_external" },
          options,
          (options) =>
            context.client.call(
              TinkerApi.saveWeightsExternal,
              {
                model_id: context.modelId,
                path: name,
                seq_id,
                ...(ttl_seconds === undefined ? {} : { ttl_seconds }),
                ...(age_encryption_recipients === undefined ? {} : { age_encryption_recipients }),
                type: "save_weights_external"
              },
              options
            )
        )
    )
  })
