/** What the cache knows of a revision: its commit, which files it holds, and which the hub does not have. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as blobs from "./blobs.ts"
import { type Disk, exists, writeText } from "./disk.ts"
import * as layout from "./layout.ts"
import type { Snapshot, Target } from "./model.ts"
import type { FileInfo } from "./repositoryInfo.ts"

/**
 * - `held`: the cache contains the file, intact as far as can be checked - `absent`: the commit does not have the file
 * - `unknown`: the cache does not say, or its file is damaged
 */
type FileState = "held" | "absent" | "unknown"

/** A commit in the cache, with the state of the files that a tokenizer consists of. @internal */
export interface Cached {
  readonly snapshot: Snapshot
  readonly states: ReadonlyMap<string, FileState>
}

/** The files that a tokenizer may consist of, in the order of their download. @internal */
export const tokenizerFileNames = [
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
  "chat_template.json",
  "tokenizer.json"
]

/** Offline, the state of these files must be known. */
const requiredFileNames = ["tokenizer.json", "tokenizer_config.json"]

const isCommit = (revision: string) => /^[0-9a-f]{40}$/.test(revision)

const largestTree = 64 * 1024 * 1024

const Tree = Schema.parseJson(
  Schema.Struct({
    format_version: Schema.Literal(1),
    files: Schema.Record({
      key: Schema.String,
      value: Schema.Struct({
        size: Schema.Number,
        blob_id: Schema.String,
        lfs_sha256: Schema.optional(Schema.NullOr(Schema.String))
      })
    })
  })
)

/** The files of a commit, if Python has listed them in the cache. */
const readTree = (disk: Disk, target: Target, commit: string) =>
  Effect.gen(function* () {
    const file = layout.treeFile(disk, target, commit)
    if (!(yield* exists(disk, file)) || (yield* blobs.sizeOf(disk, file)) > largestTree) return undefined
    const { files } = yield* Schema.decode(Tree)(yield* disk.fs.readFileString(file))
    return new Map<string, FileInfo>(
      Object.entries(files).map(([name, { blob_id, lfs_sha256, size }]) => [
        name,
        { size, hash: lfs_sha256 ?? blob_id }
      ])
    )
  }).pipe(Effect.orElseSucceed(() => undefined))

const stateOf = (
  disk: Disk,
  target: Target,
  commit: string,
  tree: ReadonlyMap<string, FileInfo> | undefined,
  name: string
): Effect.Effect<FileState> =>
  Effect.gen(function* () {
    const file = disk.path.join(layout.snapshotDirectory(disk, target, commit), name)
    if (yield* exists(disk, file)) {
      const isIntact = yield* Effect.orElseSucceed(blobs.isIntact(disk, file, tree?.get(name)), () => false)
      return isIntact ? "held" : "unknown"
    }
    if (tree !== undefined) return tree.has(name) ? "unknown" : "absent"
    return (yield* exists(disk, layout.absenceMarker(disk, target, commit, name))) ? "absent" : "unknown"
  })

const readRef = (disk: Disk, target: Target): Effect.Effect<string> =>
  Effect.orElseSucceed(disk.fs.readFileString(layout.refFile(disk, target)), () => "").pipe(
    Effect.map((text) => text.trim())
  )

/** The commit of the revision, if the cache contains anything of it. @internal */
export const find = (disk: Disk, target: Target): Effect.Effect<Option.Option<Cached>> =>
  Effect.gen(function* () {
    const commit = isCommit(target.revision) ? target.revision : yield* readRef(disk, target)
    const directory = layout.snapshotDirectory(disk, target, commit)
    if (!isCommit(commit) || !(yield* exists(disk, directory))) return Option.none<Cached>()
    const tree = yield* readTree(disk, target, commit)
    const states = yield* Effect.forEach(tokenizerFileNames, (name) =>
      Effect.map(stateOf(disk, target, commit, tree, name), (state) => [name, state] as const)
    )
    return Option.some<Cached>({ snapshot: { commit, directory }, states: new Map(states) })
  })

/** The files whose state is unknown. @internal */
export const unknownFiles = ({ states }: Cached): ReadonlyArray<string> =>
  tokenizerFileNames.filter((name) => states.get(name) === "unknown")

/** Whether the tokenizer can be used without the hub. @internal */
export const isUsable = ({ states }: Cached): boolean =>
  requiredFileNames.every((name) => states.get(name) !== "unknown")

/** Writes a file that only saves later requests, so a cache that cannot be written is no failure. */
const writeHint = (disk: Disk, file: string, text: string): Effect.Effect<void> =>
  Effect.catchAll(writeText(disk, file, text), (error) => Effect.logDebug(`${file} was not written: ${error.message}`))

/** Records the commit that the revision resolved to. @internal */
export const writeRef = (disk: Disk, target: Target, commit: string): Effect.Effect<void> =>
  Effect.flatMap(readRef(disk, target), (current) =>
    current === commit || isCommit(target.revision)
      ? Effect.void
      : writeHint(disk, layout.refFile(disk, target), commit)
  )

/** Records that a commit does not have a file. @internal */
export const markAbsent = (disk: Disk, target: Target, commit: string, name: string): Effect.Effect<void> => {
  const marker = layout.absenceMarker(disk, target, commit, name)
  return Effect.flatMap(exists(disk, marker), (isMarked) => (isMarked ? Effect.void : writeHint(disk, marker, "")))
}
