/** Uploads the files of an adapter to signed URLs. */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Weights from "@effect-tinker/api/Weights"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import * as RetryPolicy from "../../RetryPolicy.ts"
import type * as TinkerClient from "../../TinkerClient.ts"
import * as codec from "../codec/endpoint.ts"
import * as inputs from "./inputs.ts"
import type * as options from "./options.ts"
import * as signedUrls from "./signedUrls.ts"

/** @internal */
export type Options = typeof Weights.ExternalWeightsUploadStartRequest.Encoded & {
  /** contents by file name */
  readonly files: { readonly [name: string]: Uint8Array }
}

const method = "uploadExternalWeights"
const concurrentFiles = 4

const readStartRequest = codec.input(method, "options", Weights.ExternalWeightsUploadStartRequest)

/** What is wrong with the files of an upload, given the URLs that the service returned for them. */
const checkFiles = (
  files: Options["files"],
  urls: { readonly [name: string]: string }
): TinkerError.InvalidInput | undefined => {
  const unexpected = Object.keys(files).find((name) => !Object.hasOwn(urls, name))
  if (unexpected !== undefined) {
    return inputs.invalidInput(method, `files.${unexpected}`, "is not a file that the service accepts")
  }
  const missing = Object.keys(urls).find((name) => !Object.hasOwn(files, name))
  return missing === undefined
    ? undefined
    : inputs.invalidInput(method, `files.${missing}`, "is missing, and the service requires it")
}

/** @internal */
export const uploadExternalWeights = (
  client: TinkerClient.Service,
  http: HttpClient.HttpClient,
  { files, ...options }: Options
): options.RestEffect<string> =>
  Effect.gen(function* () {
    if (Object.keys(files).length === 0) {
      return yield* inputs.invalidInput(method, "files", "is empty: give the files of an adapter")
    }
    const request = yield* readStartRequest(options)
    const { upload_id, urls } = yield* client.call(TinkerApi.externalWeightsUploadStart, request, { method })
    const problem = checkFiles(files, urls)
    if (problem !== undefined) return yield* problem
    const policy = yield* RetryPolicy.CurrentRetryPolicy
    yield* Effect.forEach(
      Object.entries(files),
      ([name, bytes]) =>
        signedUrls
          .execute(http, method, HttpClientRequest.bodyUint8Array(HttpClientRequest.put(urls[name]!), bytes))
          .pipe(Effect.scoped, RetryPolicy.apply(policy, client.reportRetries().onRetry)),
      { concurrency: concurrentFiles, discard: true }
    )
    const { tinker_path } = yield* client.call(TinkerApi.externalWeightsUploadFinish, { upload_id }, { method })
    return tinker_path
  })
