/** Uploads files as one commit, and starts over if another commit came first. */
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import type { CommitProgressEvent } from "@huggingface/hub"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Environment } from "../definition/global.ts"
import type { CliError } from "../errors/cliError.ts"
import * as format from "../terminal/format.ts"
import type * as output from "../terminal/output.ts"
import * as progress from "../terminal/progress.ts"
import * as hub from "./hub.ts"
import type { Destination } from "./repository.ts"

/** @internal */
export interface Upload {
  readonly directory: string
  readonly files: ReadonlyArray<string>
  readonly title: string
  readonly createPr: boolean
  readonly format: output.Format
}

const maxConflicts = 5

/** The files of a directory. Links, which may lead out of it, and directories are left out. @internal */
export const regularFiles = (directory: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    return yield* Effect.filter(yield* fs.readDirectory(directory), (name) =>
      Effect.gen(function* () {
        const isLink = yield* Effect.isSuccess(fs.readLink(join(directory, name)))
        return !isLink && (yield* fs.stat(join(directory, name))).type === "File"
      })
    )
  })

/** Sums what was hashed or uploaded of all files, in bytes. */
const makeReport = (bar: progress.Progress, sizes: ReadonlyMap<string, number>) => {
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0)
  const done = new Map<string, number>()
  return (event: CommitProgressEvent): Effect.Effect<void> => {
    if (event.event !== "fileProgress") return Effect.void
    const isHashing = event.state === "hashing"
    done.set(event.path, isHashing ? 0 : event.progress * (sizes.get(event.path) ?? 0))
    const bytes = [...done.values()].reduce((sum, size) => sum + size, 0)
    return bar.update(bytes, total, `${isHashing ? "Hashing" : "Uploading"} ${event.path}`)
  }
}

/** Commits the files on top of `head`. Large ones go first, in parts; those that the hub has are not sent again. */
const commit = (client: hub.Client, { branch, repo }: Destination, upload: Upload, head: string | undefined) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join, toFileUrl } = yield* Path.Path
    const operations = yield* Effect.forEach(upload.files, (path) =>
      Effect.map(toFileUrl(join(upload.directory, path)), (content) => ({
        operation: "addOrUpdate" as const,
        path,
        content
      }))
    )
    const sizes = new Map<string, number>()
    for (const name of upload.files) sizes.set(name, Number((yield* fs.stat(join(upload.directory, name))).size))
    const bar = yield* progress.make(upload.format, "Uploading", undefined, format.size)
    return yield* hub.drain(
      client,
      ({ commitIter }, access, abortSignal) =>
        commitIter({
          ...access,
          repo: { type: "model", name: repo },
          title: upload.title,
          operations,
          isPullRequest: upload.createPr,
          ...(head === undefined || upload.createPr ? {} : { parentCommit: head }),
          ...(branch === undefined ? {} : { branch }),
          abortSignal
        }),
      makeReport(bar, sizes)
    )
  }).pipe(Effect.scoped)

/**
 * Uploads the files as one commit on top of the one that `prepare` succeeds with, after it has made the files ready for it.
 * Where another commit came first, both run again. Succeeds with the URL of the pull request, if one was opened.
 * @internal
 */
export const upload = <E, R>(
  client: hub.Client,
  destination: Destination,
  files: Upload,
  prepare: Effect.Effect<string | undefined, E, R>,
  conflicts = 0
): Effect.Effect<string | undefined, CliError | E | PlatformError, R | Environment> =>
  Effect.gen(function* () {
    const head = yield* prepare
    const committed = yield* Effect.either(commit(client, destination, files, head))
    if (Either.isRight(committed)) return committed.right?.pullRequestUrl
    const failure = committed.left
    if (failure._tag !== "CallFailure") return yield* failure
    if ((failure.status !== 409 && failure.status !== 412) || conflicts >= maxConflicts) return yield* failure.error
    yield* Effect.sleep(200 * 2 ** conflicts)
    return yield* upload(client, destination, files, prepare, conflicts + 1)
  })
