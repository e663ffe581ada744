/**
 * Groups whose episodes have ended and that no checkpoint holds yet, in a file: a run that resumes trains on them as they
 * are, with the logprobs of the weights that sampled them. A line is appended when a group ends; those that a checkpoint
 * holds are removed when it is recorded.
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { makeMutex } from "../effect/mutex.ts"
import { optionalKey } from "../effect/optionalKey.ts"
import { RunDirectoryError } from "../run/errors.ts"
import * as lines from "../run/lines.ts"
import * as codec from "../trajectories/codec.ts"
import type { Options } from "./options.ts"
import type { Collected, Index, Run } from "./state.ts"

const Line = Schema.Struct({
  step: Schema.NonNegativeInt,
  group: Schema.NonNegativeInt,
  version: Schema.NonNegativeInt,
  tags: optionalKey(Schema.Array(Schema.String)),
  trajectories: Schema.Array(Schema.String)
})

type Line = typeof Line.Type

/** @internal */
export const keyOf = ({ group, step }: Index): string => `${step}/${group}`

const toLine = ({ episodes: { tags, trajectories }, group, step, version }: Collected): Effect.Effect<Line> =>
  Effect.map(Effect.orDie(Effect.forEach(trajectories, codec.encode)), (trajectories) => ({
    step,
    group,
    version,
    ...(tags === undefined ? {} : { tags }),
    trajectories
  }))

const fromLine = ({ tags, trajectories, ...index }: Line) =>
  Effect.map(Effect.forEach(trajectories, codec.decode), (trajectories): Collected => ({
    ...index,
    episodes: { trajectories, tags },
    isKept: true
  }))

/** @internal */
export interface Journal {
  /** groups that ended in an earlier part of the run */
  readonly kept: Map<string, Collected>
  readonly add: (collected: Collected) => Effect.Effect<void, RunDirectoryError>
  /** Keeps these alone. */
  readonly retain: (collected: () => ReadonlyArray<Collected>) => Effect.Effect<void, RunDirectoryError>
}

const none: Journal = { kept: new Map(), add: () => Effect.void, retain: () => Effect.void }

const fileOf = (path: string) => Effect.map(Path.Path, ({ join }) => join(path, "groups.jsonl"))

/** A run without checkpoints on its way begins anew, and would only gather lines. */
const isKept = <E, R>({ checkpoints = {} }: Options<E, R>): boolean =>
  checkpoints.every !== undefined || checkpoints.rolling !== undefined

/** What an earlier part of the run has left. A line that was cut would spoil the next one. */
const readKept = Effect.fnUntraced(function* (file: string) {
  const found = yield* lines.read(Line, file)
  if (found === undefined) return new Map<string, Collected>()
  if (found.isCut) yield* lines.replaceLines(file, found.values)
  const collected = yield* Effect.mapError(
    Effect.forEach(found.values, fromLine),
    (cause) => new RunDirectoryError({ path: file, reason: "has an episode that is none", cause })
  )
  return new Map(collected.map((one) => [keyOf(one), one]))
})

/** @internal */
export const open = Effect.fnUntraced(function* <E, R>({ directory, options }: Run<E, R>) {
  if (directory === undefined || !isKept(options)) return none
  const fs = yield* FileSystem.FileSystem
  const file = yield* fileOf(directory.path)
  const oneByOne = yield* makeMutex
  // what another run has left is not of this one
  if (!directory.isResumed) yield* remove(directory.path)
  const journal: Journal = {
    kept: yield* readKept(file),
    add: (collected) =>
      Effect.flatMap(toLine(collected), (line) => oneByOne(lines.append(file, line))).pipe(
        Effect.provideService(FileSystem.FileSystem, fs)
      ),
    retain: (collected) =>
      oneByOne(
        Effect.flatMap(
          Effect.suspend(() => Effect.forEach(collected(), toLine)),
          (kept) => lines.replaceLines(file, kept)
        )
      ).pipe(Effect.provideService(FileSystem.FileSystem, fs))
  }
  return journal
})

/** Removes the file of a run that has ended. @internal */
export const remove = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const file = yield* fileOf(directory)
  yield* Effect.mapError(
    fs.remove(file, { force: true }),
    (cause) => new RunDirectoryError({ path: file, reason: "cannot be removed", cause })
  )
})
