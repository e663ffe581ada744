/** Every command of the service as a method: the changes that endpoints make outside of the model queues. */
import type * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as Weights from "@effect-tinker/api/Weights"
import * as Effect from "effect/Effect"
import type { Query, ServiceState } from "../queries/serviceState.ts"
import * as checkpoints from "./checkpoints.ts"
import { copyWeights, type CopyRuns } from "./copyWeights.ts"
import * as importAdapter from "./importAdapter.ts"
import * as sessions from "./sessions.ts"

/** @internal */
export interface Commands {
  readonly assignProject: (session: string, project: string) => Query<void>
  readonly deleteCheckpoint: (path: TinkerPath.TinkerPath) => Query<void>
  readonly setPublic: (path: TinkerPath.TinkerPath, isPublic: boolean) => Query<void>
  /** `null` keeps the checkpoint until it is deleted. */
  readonly setTtl: (path: TinkerPath.TinkerPath, seconds: number | null) => Query<void>
  /** Attempts of one call carry the same idempotency key, and make one copy. */
  readonly copyWeights: (
    request: Weights.CopyWeightsRequest,
    idempotencyKey?: string | undefined
  ) => Query<Weights.CopyWeightsResponse>
  /** Validates an upload before its files arrive, and returns the size of its tensors in bytes. */
  readonly validateUpload: (request: Weights.ExternalWeightsUploadStartRequest) => Query<number>
  /** How many bytes the user of an upload may still store. */
  readonly uploadRoom: (owner: string | undefined) => Query<number>
  /** Stores an uploaded adapter as sampler weights, and returns its path. */
  readonly importAdapter: (
    request: Weights.ExternalWeightsUploadStartRequest,
    files: importAdapter.PeftFiles
  ) => Query<string>
}

/** @internal */
export const make = (state: ServiceState): Commands => {
  const copyRuns: CopyRuns = new Map()
  /** Returns once all is committed that the command recorded. */
  const recorded = <A>(command: Query<A>): Query<A> => Effect.tap(command, () => Effect.orDie(state.records.mark()))
  return {
    assignProject: (session, project) => sessions.assignProject(state, session, project),
    deleteCheckpoint: (path) => recorded(checkpoints.deleteCheckpoint(state, path)),
    setPublic: (path, isPublic) => recorded(checkpoints.setPublic(state, path, isPublic)),
    setTtl: (path, seconds) => recorded(checkpoints.setTtl(state, path, seconds)),
    copyWeights: (request, idempotencyKey) => recorded(copyWeights(state, copyRuns, request, idempotencyKey)),
    validateUpload: (request) => importAdapter.validateUpload(state, request),
    uploadRoom: (owner) => Effect.orDie(state.quota.room(owner)),
    importAdapter: (request, files) => recorded(importAdapter.importAdapter(state, request, files))
  }
}
