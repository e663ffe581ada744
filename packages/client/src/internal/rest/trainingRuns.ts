/** Lists training runs. */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as TrainingRun from "@effect-tinker/api/TrainingRun"
import * as Effect from "effect/Effect"
import type * as TinkerClient from "../../TinkerClient.ts"
import * as inputs from "./inputs.ts"
import { listOperation, operation, streamOperation } from "./operation.ts"
import type * as options from "./options.ts"
import * as pages from "./pages.ts"

/**
 * The training runs of an account.
 *
 * @since 0.1.0
 * @category models
 */
export interface TrainingRuns {
  /** A training run, by its id or by the path of one of its checkpoints. */
  readonly getTrainingRun: (idOrPath: string, options?: options.Access) => options.RestEffect<TrainingRun.TrainingRun>
  /** One page of the training runs. */
  readonly listTrainingRuns: (
    options?: options.Page & options.Access & options.Project
  ) => options.RestEffect<TrainingRun.TrainingRunsResponse>
  /** All training runs, page by page. */
  readonly streamTrainingRuns: (
    options?: options.Walk & options.Access & options.Project
  ) => options.RestStream<TrainingRun.TrainingRun>
}

const getTrainingRun =
  (client: TinkerClient.Service): TrainingRuns["getTrainingRun"] =>
  (idOrPath, options = {}) => {
    const method = "getTrainingRun"
    const id = idOrPath.startsWith("tinker://")
      ? Effect.map(inputs.parseTarget(method, idOrPath, "idOrPath"), ({ training_run_id }) => training_run_id)
      : Effect.succeed(idOrPath)
    return operation(
      method,
      Effect.flatMap(id, (training_run_id) =>
        client.call(TinkerApi.getTrainingRun, inputs.noPayload, {
          method,
          path: { training_run_id },
          urlParams: inputs.accessParams(options)
        })
      )
    )
  }

const listTrainingRuns =
  (client: TinkerClient.Service): TrainingRuns["listTrainingRuns"] =>
  (options = {}) => {
    const method = "listTrainingRuns"
    return listOperation(
      method,
      Effect.flatMap(inputs.pageParams(method, options), (page) =>
        client.call(TinkerApi.listTrainingRuns, inputs.noPayload, {
          method,
          urlParams: { ...page, ...inputs.accessParams(options), ...inputs.projectParams(options) }
        })
      )
    )
  }

const streamTrainingRuns =
  (list: TrainingRuns["listTrainingRuns"]): TrainingRuns["streamTrainingRuns"] =>
  (options = {}) => {
    const method = "streamTrainingRuns"
    return streamOperation(method, () =>
      pages.byOffset(method, options, (page) =>
        Effect.map(
          list({ ...page, access_scope: options.access_scope, project_id: options.project_id }),
          (response) => ({ items: response.training_runs, total: response.cursor?.total_count })
        )
      )
    )
  }

/** @internal */
export const make = (client: TinkerClient.Service): TrainingRuns => {
  const list = listTrainingRuns(client)
  return {
    getTrainingRun: getTrainingRun(client),
    listTrainingRuns: list,
    streamTrainingRuns: streamTrainingRuns(list)
  }
}
