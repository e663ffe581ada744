/** Files of a data set: from the hub, or from the cache if the hub does not respond. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as cache from "../hub/cache.ts"
import { exists, mapDiskError } from "../hub/disk.ts"
import { type Context, provideFile } from "../hub/download.ts"
import * as layout from "../hub/layout.ts"
import { type HubError, makeError, type Snapshot, type Target } from "../hub/model.ts"
import { fetchInfo } from "../hub/repositoryInfo.ts"
import * as settings from "../hub/settings.ts"

/**
 * Files of a data set at one commit.
 *
 * @since 0.1.0
 * @category models
 */
export interface DatasetFiles extends Snapshot {
  /** the paths of the chosen files on this computer, in the order of the choice */
  readonly files: ReadonlyArray<string>
  /** the paths of all files in the repository, or of those in the cache */
  readonly paths: ReadonlyArray<string>
}

/** The most files of a data set that are downloaded. */
const maxFiles = 10_000

const limits = { attempts: 5, idleMillis: 30_000 }

/** Whether a path stays inside of its directory, on any system. */
const isSafe = (path: string): boolean =>
  path.split("/").every((part) => part !== "" && part !== "." && part !== ".." && !/[\\:\p{Cc}]/u.test(part))

const filesOf = (
  { path }: Context,
  { commit, directory }: Snapshot,
  chosen: ReadonlyArray<string>,
  paths: ReadonlyArray<string>
): DatasetFiles => ({
  commit,
  directory,
  files: chosen.map((name) => path.join(directory, name)),
  paths
})

type Choose = (paths: ReadonlyArray<string>) => ReadonlyArray<string>

const download = Effect.fnUntraced(function* (context: Context, target: Target, choose: Choose) {
  const remote = yield* settings.checkRemote(target)
  const { commit, files } = yield* fetchInfo(context.http, remote, {
    attempts: 5,
    idleMillis: 10_000,
    duration: 60_000
  })
  const paths = [...files.keys()].filter(isSafe).sort()
  const chosen = choose(paths)
  if (chosen.length > maxFiles) {
    return yield* makeError(target, "Invalid", `${chosen.length} files were chosen, and ${maxFiles} are allowed`)
  }
  for (const name of chosen) {
    const info = files.get(name)
    if (info === undefined) return yield* makeError(target, "NotFound", `there is no file ${name}`)
    yield* provideFile(context, remote, commit, { name, info, limits })
  }
  yield* cache.writeRef(context, target, commit)
  return filesOf(context, { commit, directory: layout.snapshotDirectory(context, target, commit) }, chosen, paths)
})

/** What the cache holds of the revision; `undefined` if that is nothing. */
const findCached = Effect.fnUntraced(function* (context: Context, target: Target, choose: Choose) {
  const found = yield* cache.find(context, target)
  if (Option.isNone(found)) return undefined
  const { snapshot } = found.value
  const names = yield* mapDiskError(target)(context.fs.readDirectory(snapshot.directory, { recursive: true }))
  const paths = names
    .map((name) => name.replaceAll("\\", "/"))
    .filter(isSafe)
    .sort()
  const chosen = choose(paths)
  for (const name of chosen) {
    if (!(yield* exists(context, context.path.join(snapshot.directory, name)))) return undefined
  }
  return chosen.length === 0 ? undefined : filesOf(context, snapshot, chosen, paths)
})

/** @internal */
export const datasetFiles = (context: Context, target: Target, choose: Choose): Effect.Effect<DatasetFiles, HubError> =>
  Effect.gen(function* () {
    yield* settings.checkNames(target)
    if (target.options.offline !== true) {
      const fetched = yield* Effect.either(download(context, target, choose))
      if (fetched._tag === "Right") return fetched.right
      const cached = fetched.left.reason === "Unreachable" ? yield* findCached(context, target, choose) : undefined
      if (cached === undefined) return yield* fetched.left
      yield* Effect.logWarning(`${fetched.left.message}. Using ${cached.files.length} cached files of ${cached.commit}`)
      return cached
    }
    const cached = yield* findCached(context, target, choose)
    if (cached !== undefined) return cached
    const detail = `the cache at ${target.options.cache} does not contain it: unset HF_HUB_OFFLINE to fetch it once`
    return yield* makeError(target, "NotCached", detail)
  }).pipe(Effect.withSpan("Hub.datasetFiles", { attributes: { repo: target.repo, revision: target.revision } }))
