/** What is sampled from: resolved from a request, checked again before each sample, and loaded into the engine. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Engine from "../../Engine.ts"
import * as currentUser from "../auth/currentUser.ts"
import * as checkpoints from "../checkpoints/access.ts"
import { revisionOf } from "../checkpoints/info.ts"
import * as responses from "../util/responses.ts"
import { requireBaseModel } from "../work/baseModels.ts"
import type { Environment } from "../work/environment.ts"
import type * as outcomes from "../work/outcomes.ts"

/** A checkpoint as it was when a request named it: a path may name other weights later. */
interface StoredSource {
  readonly path: TinkerPath.TinkerPath
  readonly revision: string
  /** the user who may read it, with the access token that the request carried */
  readonly reader: currentUser.User
}

/** A base model, alone or with an adapter, which is in memory or in the store. @internal */
export interface Source {
  readonly base_model: string
  readonly adapter?: Engine.Adapter | undefined
  readonly stored?: StoredSource | undefined
}

/** Equal for equal weights, and never for others. @internal */
export const sourceId = ({ base_model, stored }: Source): string =>
  stored === undefined ? `base:${base_model}` : `${TinkerPath.format(stored.path)}@${stored.revision}`

/** Resolves what a request samples from. Rejects what does not exist, or what the user may not read. @internal */
export const resolveSource = Effect.fnUntraced(function* (
  environment: Environment,
  request: { readonly base_model?: string | undefined; readonly model_path?: string | undefined }
): Effect.fn.Return<Source, responses.OperationRejection> {
  const { base_model, model_path } = request
  if (base_model !== undefined) yield* requireBaseModel(environment.engine, base_model)
  if (model_path === undefined) {
    return base_model === undefined
      ? yield* responses.badRequest("give base_model or model_path, so that there is something to sample from")
      : { base_model }
  }
  const parsed = TinkerPath.parse(model_path)
  if (Option.isNone(parsed)) {
    return yield* responses.badRequest(`model_path ${JSON.stringify(model_path)} is not a checkpoint path`)
  }
  const path = parsed.value
  if (path.kind !== "sampler_weights") {
    return yield* responses.badRequest(
      `${model_path} holds no sampler weights: pass the path that save_weights_for_sampler returned`
    )
  }
  const info = yield* checkpoints.findReadable(environment.store, path)
  if (base_model !== undefined && base_model !== info.base_model) {
    return yield* responses.badRequest(`${model_path} is of base model ${info.base_model}, not of ${base_model}`)
  }
  yield* requireBaseModel(environment.engine, info.base_model)
  const reader = yield* currentUser.CurrentUser
  return { base_model: info.base_model, stored: { path, revision: revisionOf(info), reader } }
})

const replaced = (path: TinkerPath.TinkerPath): string =>
  `the checkpoint ${TinkerPath.format(path)} was replaced: create another sampling session to sample from the new one`

/**
 * Rejects a sample of a sampling session whose checkpoint was deleted, has expired, was replaced, or is no longer public.
 *
 * @internal
 */
export const checkSource = (
  { store }: Environment,
  samplingSession: string,
  { stored }: Source
): Effect.Effect<void, responses.OperationRejection> =>
  stored === undefined
    ? Effect.void
    : checkpoints.findReadable(store, stored.path).pipe(
        Effect.provideService(currentUser.CurrentUser, stored.reader),
        Effect.flatMap((info) =>
          revisionOf(info) === stored.revision
            ? Effect.void
            : responses.notFound(`sampling session ${samplingSession}: ${replaced(stored.path)}`)
        )
      )

/** The adapter of a stored source, if its path still names it. */
const loadStored = Effect.fnUntraced(function* (
  { store }: Environment,
  { path, revision }: StoredSource
): Effect.fn.Return<Engine.Adapter, outcomes.Failure> {
  const { adapter, info } = yield* Effect.withSpan(store.load(path), "tinker.server.storage")
  return revisionOf(info) === revision
    ? adapter
    : yield* new Engine.EngineError({ reason: replaced(path), category: "user" })
})

/** The engine's sampler of a source. @internal */
export const createEngineSampler = Effect.fnUntraced(function* (
  environment: Environment,
  { adapter, base_model, stored }: Source
): Effect.fn.Return<Engine.EngineSampler, outcomes.Failure, Scope.Scope> {
  const loaded = adapter ?? (stored === undefined ? undefined : yield* loadStored(environment, stored))
  return yield* environment.engine.createSampler({ base_model, adapter: loaded })
})
