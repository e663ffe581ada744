/** What a recipe is: an idea in one file, with numbers before and after that say whether it works. */
import type * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as Backend from "@effect-tinker/cookbook/Backend"
import type * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import type * as Metrics from "@effect-tinker/cookbook/Metrics"
import type * as Timings from "@effect-tinker/cookbook/Timings"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** What a recipe may use: a service with a base model, and files. */
export type Environment =
  | ServiceClient.ServiceClient
  | BaseModel.BaseModel
  | Backend.Backend
  | Metrics.Metrics
  | Timings.Timings
  | FileSystem.FileSystem
  | Path.Path
  | Scope.Scope

export interface Outcome {
  readonly before: number
  readonly after: number
  /** what must hold, such as `after ≥ 0.60` */
  readonly line: string
  readonly passed: boolean
}

export interface Options {
  /** `full` takes as long as it takes; the short form is for each change of the code */
  readonly full: boolean
  /** the file of verbs and their past tenses */
  readonly data: string
  /** of the weights, the order of the data and the samples */
  readonly seed: number
}

export interface Recipe {
  readonly name: string
  /** what `--only` selects */
  readonly group: string
  /** why it is left out of the short form of all recipes, if it is: then it runs at full length, or when it is named */
  readonly nightly?: string | undefined
  readonly run: (options: Options) => Effect.Effect<Outcome, unknown, Environment>
}
