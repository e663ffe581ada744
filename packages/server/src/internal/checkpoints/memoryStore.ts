/** A checkpoint store in memory. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as infos from "./info.ts"
import * as model from "./model.ts"
import * as uploadFiles from "./uploadFiles.ts"

/** Checkpoints by their formatted paths. */
type Checkpoints = Map<string, model.Checkpoint>

const find = (checkpoints: Checkpoints, path: TinkerPath.TinkerPath) =>
  Effect.suspend(() => infos.orNotFound(path, checkpoints.get(TinkerPath.format(path))))

/** Drops the checkpoints that have expired, so that their weights do not stay in memory. */
const dropExpired = (checkpoints: Checkpoints, now: number): void => {
  for (const [path, { info }] of checkpoints) if (!infos.isLive(info, now)) checkpoints.delete(path)
}

const save = (
  checkpoints: Checkpoints,
  options: model.SaveOptions
): Effect.Effect<model.Info, model.CheckpointExists> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const info = yield* infos.make(options, now)
    const path = TinkerPath.format(options.path)
    dropExpired(checkpoints, now)
    if (options.overwrite !== true && checkpoints.has(path)) return yield* new model.CheckpointExists({ path })
    checkpoints.set(path, structuredClone({ info, adapter: options.adapter, optimizer: options.optimizer }))
    return info
  })

const update = (checkpoints: Checkpoints, path: TinkerPath.TinkerPath, change: model.Change) =>
  Effect.map(find(checkpoints, path), (found) => {
    const info = infos.change(found.info, change)
    checkpoints.set(TinkerPath.format(path), { ...found, info })
    return info
  })

const remove = (checkpoints: Checkpoints, path: TinkerPath.TinkerPath) =>
  Effect.map(find(checkpoints, path), () => {
    checkpoints.delete(TinkerPath.format(path))
  })

/** @internal */
export const make = Effect.sync(() => {
  const checkpoints: Checkpoints = new Map()
  return {
    save: (options: model.SaveOptions) => save(checkpoints, options),
    load: (path: TinkerPath.TinkerPath) => Effect.map(find(checkpoints, path), (found) => structuredClone(found)),
    info: (path: TinkerPath.TinkerPath) => Effect.map(find(checkpoints, path), ({ info }) => info),
    update: (path: TinkerPath.TinkerPath, change: model.Change) => update(checkpoints, path, change),
    remove: (path: TinkerPath.TinkerPath) => remove(checkpoints, path),
    list: Effect.map(Clock.currentTimeMillis, (now) => {
      dropExpired(checkpoints, now)
      return infos.listLive(
        Array.from(checkpoints.values(), ({ info }) => info),
        now
      )
    }),
    uploads: uploadFiles.makeMemory()
  }
})
