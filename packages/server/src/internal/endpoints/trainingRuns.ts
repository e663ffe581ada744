/** Handlers of the group `trainingRuns`. */
import { TinkerApi } from "@effect-tinker/api/TinkerApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Effect from "effect/Effect"
import * as TinkerService from "../../TinkerService.ts"

/** @internal */
export const trainingRuns = HttpApiBuilder.group(TinkerApi, "trainingRuns", (handlers) =>
  Effect.map(TinkerService.TinkerService, ({ catalog }) =>
    handlers
      .handle("listTrainingRuns", ({ urlParams }) => catalog.listTrainingRuns(urlParams))
      .handle("getTrainingRun", ({ path, urlParams }) =>
        catalog.getTrainingRun(path.training_run_id, urlParams.access_scope)
      )
  )
)
