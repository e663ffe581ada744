/** Creates and changes the metadata of checkpoints, as both stores do. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as ids from "../util/ids.ts"
import * as adapterFiles from "./adapterFiles.ts"
import { type Change, CheckpointNotFound, type Info, type SaveOptions } from "./model.ts"

/** The metadata of a checkpoint that is saved now, under a new revision. @internal */
export const make = (options: SaveOptions, now: number): Effect.Effect<Info> =>
  Effect.map(ids.uuid, (revision) => ({ ...describe(options, now), revision }))

/** The revision of a checkpoint: equal for the same save, and for no other. @internal */
export const revisionOf = ({ created_at, revision, size_bytes }: Info): string =>
  // stores before revisions existed recorded these
  revision ?? `${created_at}-${size_bytes}`

const describe = (options: SaveOptions, now: number): Info => ({
  ...options.path,
  base_model: options.adapter.base_model,
  lora_config: options.adapter.lora_config,
  lora_alpha: options.adapter.lora_alpha,
  ...(options.optimizer === undefined ? {} : { optimizer_step: options.optimizer.step }),
  ...(options.user_metadata === undefined ? {} : { user_metadata: options.user_metadata }),
  ...(options.owner === undefined ? {} : { owner: options.owner }),
  created_at: now,
  ...(options.ttl_seconds === undefined ? {} : { expires_at: now + options.ttl_seconds * 1000 }),
  size_bytes: adapterFiles.sizeOf(options.adapter, options.optimizer)
})

/** Applies a change. @internal */
export const change = (info: Info, changes: Change): Info => {
  const { expires_at, public: isPublic, ...rest } = info
  const next = { public: isPublic, expires_at, ...changes }
  return {
    ...rest,
    ...(next.public === true ? { public: true } : {}),
    ...(next.expires_at === undefined ? {} : { expires_at: next.expires_at })
  }
}

/** Whether a checkpoint has not expired. @internal */
export const isLive = (info: Info, now: number): boolean => info.expires_at === undefined || info.expires_at > now

/** The checkpoints that have not expired, the newest first. @internal */
export const listLive = (infos: ReadonlyArray<Info>, now: number): ReadonlyArray<Info> =>
  infos.filter((info) => isLive(info, now)).sort((a, b) => b.created_at - a.created_at)

/** Fails unless there is a checkpoint, and it has not expired. @internal */
export const orNotFound = <A extends { readonly info: Info }>(
  path: TinkerPath.TinkerPath,
  found: A | undefined
): Effect.Effect<A, CheckpointNotFound> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    found !== undefined && isLive(found.info, now)
      ? Effect.succeed(found)
      : new CheckpointNotFound({ path: TinkerPath.format(path) })
  )
