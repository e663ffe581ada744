/** Bounds the size of each user's checkpoints: a store that rejects what exceeds the quota. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Effect from "effect/Effect"
import type * as CheckpointStore from "../../CheckpointStore.ts"
import { makeMutex } from "../effect/runtime.ts"
import * as adapterFiles from "./adapterFiles.ts"
import { QuotaExceeded } from "./model.ts"

/** What a user is about to store. @internal */
export interface Demand {
  readonly owner: string | undefined
  /** size of the tensors in bytes */
  readonly bytes: number
  /** the checkpoint that it replaces, if it exists */
  readonly path?: TinkerPath.TinkerPath | undefined
}

/** @internal */
export interface Quota {
  /** Fails unless the bytes fit into the user's quota now. */
  readonly check: (demand: Demand) => Effect.Effect<void, QuotaExceeded | CheckpointStore.CheckpointStoreError>
  /** How many bytes the user may still store. */
  readonly room: (owner: string | undefined) => Effect.Effect<number, CheckpointStore.CheckpointStoreError>
  /** whether there is one */
  readonly isLimited: boolean
}

/** The size of the user's checkpoints, without the one that will be replaced. */
const usedBy = (store: CheckpointStore.Service, { owner, path }: Demand) => {
  const replaced = path === undefined ? undefined : TinkerPath.format(path)
  return Effect.map(store.list, (infos) =>
    infos
      .filter((info) => info.owner === owner && TinkerPath.format(info) !== replaced)
      .reduce((total, { size_bytes }) => total + size_bytes, 0)
  )
}

const makeCheck =
  (store: CheckpointStore.Service, limit: number): Quota["check"] =>
  (demand) =>
    Effect.flatMap(usedBy(store, demand), (used) =>
      used + demand.bytes > limit ? new QuotaExceeded({ used, requested: demand.bytes, limit }) : Effect.void
    )

const unlimited: Quota = {
  check: () => Effect.void,
  room: () => Effect.succeed(Number.POSITIVE_INFINITY),
  isLimited: false
}

/** The quota, and the store that enforces it on every save. @internal */
export const make = (
  store: CheckpointStore.Service,
  limit: number | undefined
): Effect.Effect<{ readonly quota: Quota; readonly store: CheckpointStore.Service }> => {
  if (limit === undefined) return Effect.succeed({ quota: unlimited, store })
  const check = makeCheck(store, limit)
  const room = (owner: string | undefined) =>
    Effect.map(usedBy(store, { owner, bytes: 0 }), (used) => Math.max(0, limit - used))
  return Effect.map(makeMutex, (exclusively) => ({
    quota: { check, room, isLimited: true },
    store: {
      ...store,
      // two saves at a time would each find room for itself
      save: (options: CheckpointStore.SaveOptions) => {
        const { adapter, optimizer, owner, path } = options
        const demand = { owner, path, bytes: adapterFiles.sizeOf(adapter, optimizer) }
        return exclusively(Effect.andThen(check(demand), store.save(options)))
      }
    }
  }))
}
