/** Downloads the files of a tokenizer into the cache, and checks their hashes. */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as hashes from "../util/hashes.ts"
import * as cache from "./cache.ts"
import { type HubError, makeError, type Snapshot, type Target } from "./model.ts"
import * as request from "./request.ts"

/** Access to the hub and to the disk. @internal */
export interface Context extends cache.Disk {
  readonly http: HttpClient.HttpClient
}

// Downloaded in this order, so that a snapshot with a tokenizer.json is complete.
const tokenizerFileNames = [
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
  "chat_template.json",
  "tokenizer.json"
]

const fileAttempts = 5

const RepositoryInfo = Schema.Struct({
  sha: Schema.String.pipe(Schema.pattern(/^[0-9a-f]{40}$/)),
  siblings: Schema.Array(
    Schema.Struct({
      rfilename: Schema.String,
      blobId: Schema.optional(Schema.NullOr(Schema.String)),
      lfs: Schema.optional(
        Schema.NullOr(Schema.Struct({ sha256: Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/)) }))
      )
    })
  )
})

type RepositoryFile = (typeof RepositoryInfo.Type)["siblings"][number]

const fetchInfo = (http: HttpClient.HttpClient, target: Target, attempts: number) => {
  const { endpoint, repo, revision } = target
  const url = `${endpoint}/api/models/${repo}/revision/${encodeURIComponent(revision)}?blobs=true`
  return request.get(http, target, url, attempts, (response) =>
    response.json.pipe(
      Effect.flatMap(Schema.decodeUnknown(RepositoryInfo)),
      Effect.mapError((cause) => {
        const detail = `${endpoint} does not respond like a Hugging Face hub: check HF_ENDPOINT`
        return makeError(target, "Unreachable", detail, { status: 200, cause })
      })
    )
  )
}

interface Blob {
  readonly hash: string
  readonly bytes: Uint8Array
}

const readBlob = (
  target: Target,
  file: RepositoryFile,
  response: HttpClientResponse.HttpClientResponse
): Effect.Effect<Blob, HubError> =>
  Effect.gen(function* () {
    const body = response.arrayBuffer.pipe(
      Effect.mapError((error) =>
        makeError(target, "Unreachable", `the response of ${target.endpoint} broke off: ${error.message}`)
      ),
      Effect.timeoutFail({
        duration: "10 minutes",
        onTimeout: () => makeError(target, "Unreachable", `${file.rfilename} did not arrive within 10 minutes`)
      })
    )
    const bytes = new Uint8Array(yield* body)
    const hash = yield* file.lfs == null ? hashes.gitBlob(bytes) : hashes.sha256(bytes)
    const announced = file.lfs?.sha256 ?? file.blobId ?? undefined
    if (announced !== undefined && announced !== hash) {
      const detail = `${file.rfilename} does not match the hash that ${target.endpoint} announced`
      return yield* makeError(target, "Corrupt", detail)
    }
    return { hash, bytes }
  })

const downloadFile = (context: Context, target: Target, commit: string, file: RepositoryFile) =>
  Effect.gen(function* () {
    const path = context.path.join(cache.snapshotDirectory(context, target, commit), file.rfilename)
    if (yield* cache.mapDiskError(target)(context.fs.exists(path))) return
    const url = `${target.endpoint}/${target.repo}/resolve/${commit}/${file.rfilename}`
    const blob = yield* request.get(context.http, target, url, fileAttempts, (response) =>
      readBlob(target, file, response)
    )
    yield* cache.writeBlob(context, target, { ...blob, file: path })
  })

/** Resolves the revision and downloads what the cache does not contain yet. @internal */
export const downloadSnapshot = (
  context: Context,
  target: Target,
  infoAttempts: number
): Effect.Effect<Snapshot, HubError> =>
  Effect.gen(function* () {
    const { sha: commit, siblings } = yield* fetchInfo(context.http, target, infoAttempts)
    for (const name of tokenizerFileNames) {
      const file = siblings.find(({ rfilename }) => rfilename === name)
      if (file !== undefined) yield* downloadFile(context, target, commit, file)
    }
    if (target.revision !== commit) yield* cache.writeRef(context, target, commit)
    return { commit, directory: cache.snapshotDirectory(context, target, commit) }
  })
