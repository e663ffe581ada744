/** Checkpoint paths on the command line. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Effect from "effect/Effect"
import { CliError } from "../errors/cliError.ts"

const pathForm =
  "Checkpoint paths have the form tinker://<run id>/weights/<name>, or sampler_weights, or external_weights"

/** Parses a checkpoint path. Whether the checkpoint exists is up to the service. @internal */
export const parsePath = (path: string): Effect.Effect<TinkerPath.TinkerPath, CliError> =>
  Effect.mapError(
    TinkerPath.parse(path),
    () => new CliError({ title: `Invalid checkpoint path: ${path}`, details: pathForm })
  )
