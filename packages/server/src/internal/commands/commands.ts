/** Every command of the service as a method: the changes that endpoints make outside of the model queues. */
import type * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as Weights from "@effect-tinker/api/Weights"
import * as Effect from "effect/Effect"
import { makeMutex, type Mutex } from "../effect/runtime.ts"
import type { Query, ServiceState } from "../queries/serviceState.ts"
import type * as responses from "../util/responses.ts"
import * as checkpoints from "./checkpoints.ts"
import { copyWeights, type CopyRuns } from "./copyWeights.ts"
import * as sessions from "./sessions.ts"
import * as uploads from "./uploads.ts"

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
  /** Records an upload whose files may be sent until that time, in milliseconds since the epoch, and returns its id. */
  readonly startUpload: (request: Weights.ExternalWeightsUploadStartRequest, expires: number) => Query<string>
  /** How large a file of an upload may be, for whoever has its signed URL. */
  readonly uploadRoom: (
    id: string,
    file: string
  ) => Effect.Effect<uploads.FileRoom, responses.OperationRejection | responses.Gone>
  /** Stores a file of an upload. A later one of the same name replaces it. */
  readonly putUploadFile: (id: string, file: string, content: Uint8Array) => Query<void>
  /** Stores an uploaded adapter as sampler weights, and returns its path. Later calls return the same path. */
  readonly finishUpload: (id: string) => Query<string>
}

/** @internal */
export const make = (state: ServiceState): Effect.Effect<Commands> =>
  // users may not have more uploads than their limit, and an upload must not be imported twice
  Effect.map(Effect.all([makeMutex, makeMutex]), ([starting, finishing]) => makeWith(state, starting, finishing))

const makeWith = (state: ServiceState, starting: Mutex, finishing: Mutex): Commands => {
  const copyRuns: CopyRuns = new Map()
  /** Returns once all is committed that the command recorded. */
  const recorded = <A>(command: Query<A>): Query<A> => Effect.tap(command, () => Effect.orDie(state.records.mark()))
  return {
    assignProject: (session, project) => sessions.assignProject(state, session, project),
    deleteCheckpoint: (path) => recorded(checkpoints.deleteCheckpoint(state, path)),
    setPublic: (path, isPublic) => recorded(checkpoints.setPublic(state, path, isPublic)),
    setTtl: (path, seconds) => recorded(checkpoints.setTtl(state, path, seconds)),
    copyWeights: (request, idempotencyKey) => recorded(copyWeights(state, copyRuns, request, idempotencyKey)),
    startUpload: (request, expires) => uploads.start(state, starting, request, expires),
    uploadRoom: (id, file) => uploads.roomFor(state, id, file),
    putUploadFile: (id, file, content) => uploads.putFile(state, id, file, content),
    finishUpload: (id) => finishing(recorded(uploads.finish(state, id)))
  }
}
