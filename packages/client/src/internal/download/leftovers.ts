/** The remains of a download whose process was killed: finds their owner, and takes them over if it has ended. */
import type * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { platform } from "#platform"
import { processUuid } from "../effect/processUuid.ts"
import { hasParts } from "./parts.ts"

const ownerFile = "owner.json"

const Owner = Schema.parseJson(Schema.Struct({ host: Schema.String, pid: Schema.Int, uuid: Schema.String }))
const decodeOwner = Schema.decode(Owner)
const encodeOwner = Schema.encodeSync(Owner)

// a transfer that writes nothing for this long has failed
const idleMillis = 60 * 60 * 1000

type Files = FileSystem.FileSystem | Path.Path

/** The directories in which a directory is built are beside it, and begin with this. @internal */
export const prefixOf = (base: string): string => `.${base}.part-`

/** Writes into a directory that this process works in it. @internal */
export const writeOwner = (directory: string): Effect.Effect<void, PlatformError.PlatformError, Files> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const { process } = platform
    if (process === undefined) return
    const owner = encodeOwner({ host: process.host, pid: process.pid, uuid: yield* processUuid })
    yield* fs.writeFileString(join(directory, ownerFile), owner)
  })

/** Whether nothing was written below a directory for an hour. */
const isIdle = (directory: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const now = yield* Clock.currentTimeMillis
    for (const name of [".", ...(yield* fs.readDirectory(directory, { recursive: true }))]) {
      const { mtime } = yield* fs.stat(join(directory, name))
      if (Option.isNone(mtime) || mtime.value.getTime() > now - idleMillis) return false
    }
    return true
  })

/** Whether no process works in a directory any more, as far as can be determined. */
const isAbandoned = (directory: string): Effect.Effect<boolean, never, Files> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const { process } = platform
    const owner = yield* Effect.option(Effect.flatMap(fs.readFileString(join(directory, ownerFile)), decodeOwner))
    if (process === undefined || Option.isNone(owner) || owner.value.host !== process.host) {
      return yield* isIdle(directory)
    }
    const { pid, uuid } = owner.value
    // a container's first process has the same id each time
    if (pid === process.pid) return uuid !== (yield* processUuid)
    return process.isRunning(pid) ? yield* isIdle(directory) : true
  }).pipe(Effect.orElseSucceed(() => false))

/** The remains of earlier attempts to build a directory, except those that other processes still work on. @internal */
export const findAbandoned = (destination: string): Effect.Effect<ReadonlyArray<string>, never, Files> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { basename, dirname, join } = yield* Path.Path
    const prefix = prefixOf(basename(destination))
    const names = yield* Effect.orElseSucceed(fs.readDirectory(dirname(destination)), () => [])
    return yield* Effect.filter(
      names
        .filter((name) => name.startsWith(prefix) && /^\w{6}$/.test(name.slice(prefix.length)))
        .sort()
        .map((name) => join(dirname(destination), name)),
      isAbandoned
    )
  })

/** Puts back the directory that a killed process was about to replace. */
const restoreReplaced = (left: string, destination: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const replaced = join(left, "old")
    if ((yield* fs.exists(replaced)) && !(yield* fs.exists(destination))) yield* fs.rename(replaced, destination)
  })

/** Moves the parts of one download into the directory of another. */
const adopt = (left: string, work: string, source: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    if (!(yield* hasParts(left, source)) || (yield* hasParts(work, source))) return
    // the parts file last: it lists the others
    for (const name of ["archive", "new", "parts.json"]) {
      if (yield* fs.exists(join(left, name))) yield* fs.rename(join(left, name), join(work, name))
    }
  })

/**
 * Takes over the remains of downloads of the same source, puts back the directories that they were replacing, and
 * removes all else. `work` is the directory of the new download.
 *
 * @internal
 */
export const takeOver = (
  destination: string,
  work: string,
  source: string
): Effect.Effect<void, PlatformError.PlatformError, Files> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { basename, join } = yield* Path.Path
    for (const left of yield* findAbandoned(destination)) {
      const taken = join(work, basename(left))
      // of several processes, one succeeds
      const moved = yield* Effect.either(fs.rename(left, taken))
      if (moved._tag === "Left") continue
      yield* restoreReplaced(taken, destination)
      yield* adopt(taken, work, source)
      yield* fs.remove(taken, { recursive: true })
    }
  })
