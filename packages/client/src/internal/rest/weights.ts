/** Describes, copies, downloads and uploads the weights of checkpoints. */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as Weights from "@effect-tinker/api/Weights"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as TinkerClient from "../../TinkerClient.ts"
import { headerProblem } from "../auth/credential.ts"
import * as archiveUrl from "./archiveUrl.ts"
import * as inputs from "./inputs.ts"
import { onCheckpoint, operation } from "./operation.ts"
import type * as options from "./options.ts"
import * as upload from "./upload.ts"
import type { DurationInput } from "../util/duration.ts"

/**
 * The weights of checkpoints, and their files.
 *
 * @since 0.1.0
 * @category models
 */
export interface CheckpointWeights {
  /**
   * A signed URL of the archive of a checkpoint's files. While the service builds the archive, the request is repeated
   * after the delay that the service asks for, or every 30 seconds, for at most `atMost` (10 minutes by default).
   */
  readonly getCheckpointArchiveUrl: (
    target: options.Target,
    options?: { readonly atMost?: DurationInput | undefined }
  ) => options.RestEffect<options.SignedUrl>
  /** Signed URLs of the files of an external checkpoint, by file name. */
  readonly getExternalWeightsUrls: (target: options.Target) => options.RestEffect<Weights.ExternalWeightsUrlsResponse>
  /** What a program needs to know to load a checkpoint. Also works on other users' published checkpoints. */
  readonly getWeightsInfo: (target: options.Target) => options.RestEffect<Weights.WeightsInfoResponse>
  /** Copies a checkpoint and returns the path of the copy. The copy shares its storage with the source. */
  readonly copyWeights: (source: options.Target, options: options.CopyOptions) => options.RestEffect<string>
  /** Uploads an adapter in the format that `save_weights_external` writes, and returns its path. */
  readonly uploadExternalWeights: (options: upload.Options) => options.RestEffect<string>
}

const getExternalWeightsUrls =
  (client: TinkerClient.Service): CheckpointWeights["getExternalWeightsUrls"] =>
  (target) => {
    const method = "getExternalWeightsUrls"
    return onCheckpoint(method, target, (path) =>
      path.kind === "external_weights"
        ? client.call(TinkerApi.getExternalWeightsUrls, inputs.noPayload, { path })
        : inputs.invalidInput(method, "path", `is of the kind ${path.kind}: only external_weights have such URLs`)
    )
  }

const getWeightsInfo =
  (client: TinkerClient.Service): CheckpointWeights["getWeightsInfo"] =>
  (target) => {
    const method = "getWeightsInfo"
    return onCheckpoint(method, target, (path) =>
      client.call(TinkerApi.weightsInfo, { tinker_path: TinkerPath.format(path) }, { method })
    )
  }

const copyWeights =
  (client: TinkerClient.Service): CheckpointWeights["copyWeights"] =>
  (source, { weightsAccessToken, ...options }) => {
    const method = "copyWeights"
    return onCheckpoint(method, source, (path) => {
      const toSession = options.session_id !== undefined && options.model_seq_id !== undefined
      const toProject = options.destination_project_id !== undefined
      if (toSession === toProject) {
        return inputs.invalidInput(
          method,
          "options",
          "must give destination_project_id, or session_id and model_seq_id"
        )
      }
      const problem = weightsAccessToken === undefined ? undefined : headerProblem(Redacted.value(weightsAccessToken))
      if (problem !== undefined) return inputs.invalidInput(method, "weightsAccessToken", problem)
      const copied = client.call(
        TinkerApi.copyWeights,
        { ...options, source_path: TinkerPath.format(path) },
        {
          method,
          ...(weightsAccessToken === undefined
            ? {}
            : { headers: { "x-tinker-weights-access-token": Redacted.value(weightsAccessToken) } })
        }
      )
      return Effect.map(copied, ({ tinker_path }) => tinker_path)
    })
  }

/** @internal */
export const make = (client: TinkerClient.Service, http: HttpClient.HttpClient): CheckpointWeights => ({
  getCheckpointArchiveUrl: (target, options) =>
    onCheckpoint("getCheckpointArchiveUrl", target, (path) => archiveUrl.getArchiveUrl(client, path, options?.atMost)),
  getExternalWeightsUrls: getExternalWeightsUrls(client),
  getWeightsInfo: getWeightsInfo(client),
  copyWeights: copyWeights(client),
  uploadExternalWeights: (options) =>
    operation("uploadExternalWeights", upload.uploadExternalWeights(client, http, options))
})
