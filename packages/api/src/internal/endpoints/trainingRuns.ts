/** Endpoints that look up training runs. */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as Schema from "effect/Schema"
import * as Pagination from "../../Pagination.ts"
import * as TrainingRun from "../../TrainingRun.ts"
import { optionalKey } from "../schemas/optional.ts"

const runPath = Schema.Struct({ training_run_id: Schema.String })

/**
 * Lists training runs, page by page.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const listTrainingRuns = HttpApiEndpoint.get("listTrainingRuns", "/training_runs")
  .setUrlParams(
    Schema.Struct({ ...Pagination.Page.fields, ...Pagination.Scope.fields, project_id: optionalKey(Schema.String) })
  )
  .addSuccess(TrainingRun.TrainingRunsResponse)

/**
 * Describes one training run.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const getTrainingRun = HttpApiEndpoint.get("getTrainingRun", "/training_runs/:training_run_id")
  .setPath(runPath)
  .setUrlParams(Pagination.Scope)
  .addSuccess(TrainingRun.TrainingRun)

/**
 * The endpoints that look up training runs.
 *
 * @since 0.1.0
 * @category groups
 */
export const TrainingRunsGroup = HttpApiGroup.make("trainingRuns").add(listTrainingRuns).add(getTrainingRun)
