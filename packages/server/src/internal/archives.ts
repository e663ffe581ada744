import type * as Weights from "@effect-tinker/api/Weights"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as CheckpointStore from "../CheckpointStore.ts"
import * as files from "./checkpointFiles.ts"
import * as checkpoints from "./checkpoints.ts"
import * as responses from "./responses.ts"
import * as tar from "./tar.ts"

/** A file that can be fetched without a key, for a while. @internal */
export interface Download {
  /** below the base URL */
  readonly path: string
  readonly expires: DateTime.Utc
}

/** What a download gives. @internal */
export interface Content {
  readonly bytes: Uint8Array
  readonly contentType: string
}

/** @internal */
export interface Archives {
  /** all files of an adapter in one archive */
  readonly archive: (path: TinkerPath.TinkerPath) => Effect.Effect<Download, responses.Refusal>
  /** the files of an external checkpoint, each by its name */
  readonly external: (
    path: TinkerPath.TinkerPath,
    toUrl: (download: Download) => string
  ) => Effect.Effect<Weights.ExternalWeightsUrlsResponse, responses.Refusal>
  readonly open: (token: string, file: string) => Effect.Effect<Content, responses.Refusal | responses.Gone>
}

/** Where downloads lie. @internal */
export const prefix = "/api/v1/downloads"

const lifetime = 60 * 60 * 1000

interface Grant {
  readonly checkpoint: TinkerPath.TinkerPath
  readonly expires: number
}

// whoever has the token may fetch the file, so it must not be guessed
const makeToken = Effect.sync(() =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("")
)

const archiveName = ({ name }: TinkerPath.TinkerPath): string => `${name}.tar`

/** @internal */
export const make = (store: CheckpointStore.Service): Archives => {
  const grants = new Map<string, Grant>()

  const grant = Effect.fnUntraced(function* (checkpoint: TinkerPath.TinkerPath) {
    yield* checkpoints.find(store, checkpoint)
    const now = yield* Clock.currentTimeMillis
    for (const [token, { expires }] of grants) if (expires <= now) grants.delete(token)
    const token = yield* makeToken
    const expires = now + lifetime
    grants.set(token, { checkpoint, expires })
    return (file: string): Download => ({
      path: `${prefix}/${token}/${encodeURIComponent(file)}`,
      expires: DateTime.unsafeMake(expires)
    })
  })

  const external: Archives["external"] = Effect.fnUntraced(function* (path, toUrl) {
    if (path.kind !== "external_weights") {
      return yield* responses.badRequest(`${TinkerPath.format(path)} is not a checkpoint of the kind external_weights`)
    }
    const download = yield* grant(path)
    const names = [files.adapterFile, files.configFile]
    return {
      urls: Object.fromEntries(names.map((name) => [name, toUrl(download(name))])),
      expires: download("").expires
    }
  })

  const open: Archives["open"] = Effect.fnUntraced(function* (token, file) {
    const found = grants.get(token)
    if (found === undefined) return yield* responses.notFound("there is no such download")
    if (found.expires <= (yield* Clock.currentTimeMillis)) {
      return yield* responses.gone("this download has expired: ask for another")
    }
    const { checkpoint } = found
    const { adapter, info } = yield* checkpoints.orRefuse(store.load(checkpoint))
    const contents = files.encode(adapter, undefined)
    if (file === archiveName(checkpoint)) {
      return { bytes: tar.encode(contents, info.created_at), contentType: "application/x-tar" }
    }
    const single = contents.find(([name]) => name === file)
    if (single === undefined) return yield* responses.notFound("there is no such download")
    const contentType = file.endsWith(".json") ? "application/json" : "application/octet-stream"
    return { bytes: single[1], contentType }
  })

  return {
    archive: (path) => Effect.map(grant(path), (download) => download(archiveName(path))),
    external,
    open
  }
}
