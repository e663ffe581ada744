/** A source of records that was opened: a file by lines, or one of Parquet. */
import type * as Effect from "effect/Effect"
import type { DatasetError } from "../bytes/datasetError.ts"
import type { Intake, Origin } from "./intake.ts"

/** @internal */
export interface Source<A> {
  readonly intake: Intake<A>
  readonly originOf: (position: number) => Origin
  readonly at: (position: number) => Effect.Effect<A, DatasetError>
}
