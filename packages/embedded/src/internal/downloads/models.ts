/** Models that are fetched by their URL, and kept in the browser's files by their hash. */
import type * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import type * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as FileSystem from "@effect/platform/FileSystem"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { fail, fetchFile } from "./fetchFile.ts"
import * as sums from "./sums.ts"

/** @internal */
export interface RemoteModel {
  readonly name: string
  readonly url: string
}

/** @internal */
export interface Progress {
  readonly model: string
  readonly file: string
  readonly received: number
  readonly total: number | undefined
}

/** @internal */
export interface Options {
  readonly maxModelBytes: number
  readonly onProgress: (progress: Progress) => Effect.Effect<void>
}

const root = "/models"
const draft = "draft-"

const hex = (bytes: ArrayBuffer): string =>
  Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("")

const sha256 = (bytes: Uint8Array<ArrayBuffer>): Effect.Effect<string> =>
  Effect.promise(async () => hex(await crypto.subtle.digest("SHA-256", bytes)))

const orUnstored = (url: string) => (cause: { readonly message: string }) =>
  fail(url, `cannot be stored in this browser: ${cause.message}`, cause)

/** The directory of the model's versions. Its name has no slash. */
const directoryOf = (name: string): string => `${root}/${encodeURIComponent(name)}`

/** The version that is complete, if there is one. */
const cached = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const names = yield* Effect.orElseSucceed(fs.readDirectory(directory), (): Array<string> => [])
  const complete = names.find((name) => !name.startsWith(draft))
  return complete === undefined ? undefined : `${directory}/${complete}`
})

/** Fetches a file into the draft, unless an earlier attempt has, and returns its size. */
const fetchInto = Effect.fnUntraced(function* (
  path: string,
  url: string,
  { name, sha256: expected }: sums.Listed,
  most: number,
  tell: (received: number, total: number | undefined) => Effect.Effect<void>
) {
  const fs = yield* FileSystem.FileSystem
  const there = yield* Effect.option(fs.stat(path))
  if (there._tag === "Some") return Number(there.value.size)
  const bytes = yield* fetchFile(url, most, tell)
  const actual = yield* sha256(bytes)
  if (actual !== expected) {
    return yield* fail(url, `has the SHA-256 ${actual}, but ${sums.listName} says ${expected} for ${name}`)
  }
  yield* Effect.mapError(fs.writeFile(path, bytes), orUnstored(url))
  return bytes.length
})

/** Fetches all files of a version, and gives them their name when they are all there. */
const fetchVersion = Effect.fnUntraced(function* (
  { name, url }: RemoteModel,
  directory: string,
  version: string,
  files: ReadonlyArray<sums.Listed>,
  { maxModelBytes, onProgress }: Options
) {
  const fs = yield* FileSystem.FileSystem
  const unfinished = `${directory}/${draft}${version}`
  const target = `${directory}/${version}`
  const stored = Effect.mapError(orUnstored(url))
  yield* stored(fs.makeDirectory(unfinished, { recursive: true }))
  let left = maxModelBytes
  for (const file of files) {
    const tell = (received: number, total: number | undefined) =>
      onProgress({ model: name, file: file.name, received, total })
    left -= yield* fetchInto(`${unfinished}/${file.name}`, urlOf(url, file.name), file, left, tell)
  }
  const old = (yield* stored(fs.readDirectory(directory))).filter((name) => name !== draft + version)
  yield* stored(fs.rename(unfinished, target))
  yield* Effect.forEach(old, (name) => Effect.ignore(fs.remove(`${directory}/${name}`, { recursive: true })))
  return target
})

const urlOf = (url: string, name: string): string => `${url.replace(/\/$/, "")}/${name}`

/**
 * The model of a URL, as a directory: the version that the URL has now, fetched if the browser does not have it; without a
 * network, the one that the browser has.
 *
 * @internal
 */
export const fetchModel = (
  model: RemoteModel,
  options: Options
): Effect.Effect<
  JaxEngine.BaseModel,
  ModelDirectory.ModelDirectoryError,
  FileSystem.FileSystem | HttpClient.HttpClient
> =>
  Effect.gen(function* () {
    const { name, url } = model
    const directory = directoryOf(name)
    const have = yield* cached(directory)
    const listUrl = urlOf(url, sums.listName)
    const fetched = yield* Effect.either(fetchFile(listUrl, sums.mostListBytes, () => Effect.void))
    if (Either.isLeft(fetched)) {
      if (have === undefined) return yield* fetched.left
      yield* Effect.logInfo(`${fetched.left.message}. ${name} is the one that this browser has`)
      return { name, directory: have }
    }
    const files = yield* Effect.mapError(sums.parse(new TextDecoder().decode(fetched.right)), (reason) =>
      fail(listUrl, reason)
    )
    const version = yield* sha256(fetched.right)
    if (have?.endsWith(`/${version}`) === true) return { name, directory: have }
    return { name, directory: yield* fetchVersion(model, directory, version, files, options) }
  })
