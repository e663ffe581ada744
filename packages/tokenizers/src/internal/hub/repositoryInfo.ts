/** The hub's metadata of a revision: its commit, and the files with their sizes and hashes. */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { type HubError, makeError, type Remote } from "./model.ts"
import * as request from "./request.ts"
import type { RetryLimits } from "./retries.ts"

/** The longest response with metadata, in bytes. The largest repositories have some 10 MB. */
const maxBytes = 64 * 1024 * 1024

const FileSize = Schema.Number.pipe(Schema.int(), Schema.nonNegative())

const RepositoryInfo = Schema.Struct({
  sha: Schema.String.pipe(Schema.pattern(/^[0-9a-f]{40}$/)),
  siblings: Schema.Array(
    Schema.Struct({
      rfilename: Schema.String,
      size: Schema.optional(Schema.NullOr(FileSize)),
      blobId: Schema.optional(Schema.NullOr(Schema.String)),
      lfs: Schema.optional(
        Schema.NullOr(
          Schema.Struct({
            sha256: Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/)),
            size: Schema.optional(Schema.NullOr(FileSize))
          })
        )
      )
    })
  )
})

/** What is announced of a file. @internal */
export interface FileInfo {
  readonly size: number | undefined
  /** the SHA-256 of a large file, the git blob id of another */
  readonly hash: string | undefined
}

/** @internal */
export interface Info {
  readonly commit: string
  readonly files: ReadonlyMap<string, FileInfo>
}

const toInfo = ({ sha, siblings }: typeof RepositoryInfo.Type): Info => ({
  commit: sha,
  files: new Map(
    siblings.map(({ blobId, lfs, rfilename, size }) => {
      const blob = blobId != null && /^[0-9a-f]{40}$/.test(blobId) ? blobId : undefined
      return [rfilename, { size: lfs?.size ?? size ?? undefined, hash: lfs?.sha256 ?? blob }]
    })
  )
})

const readText = (target: Remote, response: HttpClientResponse.HttpClientResponse, limits: RetryLimits) => {
  const decoder = new TextDecoder()
  let length = 0
  return request.bodyOf(target, response, "metadata", limits).pipe(
    Stream.mapEffect((bytes) => {
      length += bytes.length
      return length > maxBytes
        ? makeError(target, "Unreachable", `${target.endpoint} sent more than ${maxBytes} bytes of metadata`)
        : Effect.succeed(decoder.decode(bytes, { stream: true }))
    }),
    Stream.runFold("", (text, part) => text + part),
    Effect.map((text) => text + decoder.decode())
  )
}

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const decode = Schema.decodeUnknown(Schema.parseJson(RepositoryInfo))

/** Reads the metadata. An object without an end was cut off; anything else is not from a hub. */
const parse = (target: Remote, text: string): Effect.Effect<Info, HubError> =>
  Effect.mapBoth(decode(text), {
    onFailure: (cause) => {
      if (/^\s*\{/.test(text) && !isJson(text)) {
        return makeError(target, "Unreachable", `the metadata of ${target.endpoint} arrived in part`)
      }
      const detail = `${target.endpoint} does not respond like a Hugging Face hub: check HF_ENDPOINT`
      return makeError(target, "Unreachable", detail, { status: 200, cause })
    },
    onSuccess: toInfo
  })

/** @internal */
export const fetchInfo = (
  http: HttpClient.HttpClient,
  target: Remote,
  limits: RetryLimits
): Effect.Effect<Info, HubError> => {
  const { endpoint, kind, repo, revision } = target
  const url = `${endpoint}/api/${kind}s/${repo}/revision/${encodeURIComponent(revision)}?blobs=true`
  return request.get(http, target, url, limits, (response) =>
    Effect.flatMap(readText(target, response, limits), (text) => parse(target, text))
  )
}
