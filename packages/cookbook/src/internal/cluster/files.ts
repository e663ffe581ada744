/** The files of trajectories, in a directory that trainer and runners share. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import { RolloutFailed } from "../rollouts/service.ts"
import * as codec from "../trajectories/codec.ts"
import type { Trajectory } from "../trajectories/model.ts"
import { type Answer, type RolloutKey, rolloutName } from "./protocol.ts"

/** An episode of more than this is no episode; one of twice as much would not fit in a string. */
const maxBytes = 2 ** 28

const hashOf = (bytes: Uint8Array) =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>)),
    (digest) => Encoding.encodeHex(new Uint8Array(digest))
  )

const failed = (key: RolloutKey, reason: string) => (cause: unknown) =>
  new RolloutFailed({ rollout: rolloutName(key), reason, cause })

/** @internal */
export interface Files {
  /** The answer of an episode that was played before; none if there is no such. */
  readonly find: (key: RolloutKey) => Effect.Effect<Answer | undefined, RolloutFailed>
  /** Writes a trajectory: whoever sees its file sees all of it. */
  readonly write: (key: RolloutKey, trajectory: Trajectory) => Effect.Effect<Answer, RolloutFailed>
  /** Reads a trajectory, and checks that it is what was answered. */
  readonly read: (key: RolloutKey, answer: Answer) => Effect.Effect<Trajectory, RolloutFailed>
  /** Removes all files whose names begin with a name of episodes. */
  readonly remove: (name: string) => Effect.Effect<void, RolloutFailed>
}

/** @internal */
export const make = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const root = path.resolve(directory)
  const nameOf = (key: RolloutKey) => `${rolloutName(key)}.json`

  const answerOf = (key: RolloutKey, bytes: Uint8Array) =>
    Effect.map(hashOf(bytes), (hash): Answer => ({ path: nameOf(key), hash, bytes: bytes.length }))

  const checkBytes = (key: RolloutKey, bytes: number) =>
    bytes > maxBytes ? failed(key, `takes ${bytes} bytes: the most is ${maxBytes}`)(undefined) : Effect.void

  /** The content of an episode's file, whose size is looked at first. */
  const readFile = Effect.fnUntraced(function* (key: RolloutKey) {
    const file = path.join(root, nameOf(key))
    const bytes = Number((yield* fs.stat(file)).size)
    yield* checkBytes(key, bytes)
    return yield* fs.readFile(file)
  })

  const find: Files["find"] = (key) =>
    readFile(key).pipe(
      Effect.flatMap((bytes) => answerOf(key, bytes)),
      Effect.catchIf(
        (error) => error._tag === "SystemError" && error.reason === "NotFound",
        () => Effect.succeed(undefined)
      ),
      Effect.mapError((error) =>
        error._tag === "RolloutFailed" ? error : failed(key, `has a file in ${root} that cannot be read`)(error)
      )
    )

  const write: Files["write"] = (key, trajectory) =>
    Effect.gen(function* () {
      const file = path.join(root, nameOf(key))
      const json = yield* Effect.mapError(codec.encode(trajectory), failed(key, "cannot be written as JSON"))
      const bytes = new TextEncoder().encode(json)
      yield* checkBytes(key, bytes.length)
      yield* Effect.gen(function* () {
        yield* fs.makeDirectory(path.dirname(file), { recursive: true })
        const draft = yield* fs.makeTempFileScoped({ directory: path.dirname(file), prefix: "draft-" })
        yield* fs.writeFile(draft, bytes)
        yield* fs.rename(draft, file)
      }).pipe(Effect.scoped, Effect.mapError(failed(key, `cannot be written to ${root}`)))
      return yield* answerOf(key, bytes)
    })

  const read: Files["read"] = (key, answer) =>
    Effect.gen(function* () {
      // a path from outside is only ever the one that is expected
      if (answer.path !== nameOf(key)) {
        return yield* failed(key, `was answered with ${answer.bytes} bytes in ${answer.path}`)(undefined)
      }
      const hint = `cannot be read from ${root}: trainer and runners must share this directory`
      const bytes = yield* Effect.mapError(readFile(key), (error) =>
        error._tag === "RolloutFailed" ? error : failed(key, hint)(error)
      )
      const { hash } = yield* answerOf(key, bytes)
      if (hash !== answer.hash) return yield* failed(key, `has another content than was answered`)(undefined)
      return yield* Effect.mapError(
        codec.decode(new TextDecoder().decode(bytes)),
        failed(key, "was written by another version of this library")
      )
    })

  const remove: Files["remove"] = (name) =>
    Effect.mapError(
      fs.remove(path.join(root, name), { recursive: true, force: true }),
      (cause) => new RolloutFailed({ rollout: name, reason: `cannot be removed from ${root}`, cause })
    )

  const files: Files = { find, write, read, remove }
  return files
})
