/** Adapters that were trained elsewhere: records their uploads, receives their files, and imports them. */
import type * as Weights from "@effect-tinker/api/Weights"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Store from "../../Store.ts"
import * as currentUser from "../auth/currentUser.ts"
import * as layout from "../checkpoints/layout.ts"
import type { Mutex } from "../effect/runtime.ts"
import type { Query, ServiceState } from "../queries/serviceState.ts"
import * as responses from "../util/responses.ts"
import * as ids from "../util/ids.ts"
import * as importAdapter from "./importAdapter.ts"

type StartRequest = Weights.ExternalWeightsUploadStartRequest

/** How large a file of an upload may be, in bytes. @internal */
export interface FileRoom {
  /** for this file */
  readonly limit: number
  /** in the user's quota */
  readonly room: number
}

// size of the configuration, or of the header of a safetensors file
const overhead = 2 ** 20

// for each user, since their files are stored until they are finished or expire
const maxUnfinished = 4

const notFound = (id: string) => responses.notFound(`there is no upload ${id}, or it has expired`)

const isFinished = (id: string) => responses.conflict(`upload ${id} is finished`)

const remove = ({ records, store }: ServiceState, id: string): Effect.Effect<void> =>
  Effect.orDie(Effect.andThen(store.uploads.remove(id), records.uploads.remove({ id })))

const removeExpired = (state: ServiceState): Effect.Effect<void> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const expired = yield* Effect.orDie(
      state.records.uploads.list({ range: { column: "expires_at", from: 0, to: now + 1 } })
    )
    for (const { id } of expired) yield* remove(state, id)
  })

const countUnfinished = ({ records }: ServiceState, owner: string | undefined): Effect.Effect<number> =>
  Effect.map(
    Effect.orDie(records.uploads.list()),
    (rows) => rows.filter((row) => row.owner === owner && row.finished === undefined).length
  )

/** Records an upload of the current user, whose files may be sent until it expires, and returns its id. @internal */
export const start = Effect.fnUntraced(function* (
  state: ServiceState,
  exclusively: Mutex,
  request: StartRequest,
  expires_at: number
): Effect.fn.Return<string, responses.OperationRejection> {
  const tensorBytes = yield* importAdapter.validateUpload(state, request)
  const limits = { [layout.configFile]: overhead, [layout.adapterFile]: tensorBytes + overhead }
  yield* removeExpired(state)
  return yield* exclusively(add(state, { request, expires_at, limits }))
})

/** Adds an upload, unless the current user has too many. */
const add = Effect.fnUntraced(function* (
  state: ServiceState,
  fields: Pick<Store.UploadRow, "request" | "expires_at" | "limits">
): Effect.fn.Return<string, responses.OperationRejection> {
  const { id: owner } = yield* currentUser.CurrentUser
  const unfinished = yield* countUnfinished(state, owner)
  if (unfinished >= maxUnfinished) {
    return yield* responses.tooMany(`${unfinished} uploads are not finished: finish them, or wait until they expire`)
  }
  const id = yield* ids.uuid
  yield* Effect.orDie(state.records.uploads.put({ id, owner, ...fields, finished: undefined }))
  return id
})

/** An upload that has not expired, of any user. */
const find = ({ records }: ServiceState, id: string): Effect.Effect<Store.UploadRow | undefined> =>
  Effect.flatMap(Effect.orDie(records.uploads.get({ id })), (row) =>
    Effect.map(Clock.currentTimeMillis, (now) => (row === undefined || row.expires_at <= now ? undefined : row))
  )

/** How large a file of an upload may be now. Rejects one that is finished or has expired. @internal */
export const roomFor = Effect.fnUntraced(function* (
  state: ServiceState,
  id: string,
  file: string
): Effect.fn.Return<FileRoom, responses.OperationRejection | responses.Gone> {
  const upload = yield* find(state, id)
  if (upload === undefined) return yield* responses.gone("this URL has expired: start another upload")
  if (upload.finished !== undefined) return yield* isFinished(id)
  const room = (yield* Effect.orDie(state.quota.room(upload.owner))) + overhead
  return { limit: upload.limits[file] ?? 0, room }
})

/** Stores a file. A later one of the same name replaces it. @internal */
export const putFile = Effect.fnUntraced(function* (
  state: ServiceState,
  id: string,
  file: string,
  content: Uint8Array
): Effect.fn.Return<void, responses.OperationRejection> {
  yield* Effect.orDie(state.store.uploads.write(id, file, content))
  // another request may have finished it while the body arrived
  const upload = yield* find(state, id)
  if (upload !== undefined && upload.finished === undefined) return
  yield* Effect.orDie(state.store.uploads.remove(id))
  return yield* responses.conflict(`upload ${id} is finished, or has expired`)
})

/** Imports the adapter of the user's upload, and returns its path; later calls return the same one. @internal */
export const finish = Effect.fnUntraced(function* (
  state: ServiceState,
  id: string
): Effect.fn.Return<string, responses.OperationRejection> {
  const { records, store } = state
  const upload = yield* find(state, id)
  const user = yield* currentUser.CurrentUser
  if (upload === undefined || !currentUser.owns(user, upload.owner)) return yield* notFound(id)
  // a retry, after the response was lost
  if (upload.finished !== undefined) return upload.finished
  const adapter = yield* Effect.orDie(store.uploads.read(id, layout.adapterFile))
  const config = yield* Effect.orDie(store.uploads.read(id, layout.configFile))
  if (adapter === undefined || config === undefined) {
    const missing = adapter === undefined ? layout.adapterFile : layout.configFile
    return yield* responses.badRequest(`${missing} has not been uploaded`)
  }
  return yield* importAdapter.importAdapter(state, upload.request, { adapter, config }).pipe(
    Effect.tap((finished) => Effect.orDie(records.uploads.patch({ id, finished }))),
    Effect.tap(() => Effect.orDie(store.uploads.remove(id))),
    Effect.uninterruptible
  )
}) satisfies (state: ServiceState, id: string) => Query<string>
