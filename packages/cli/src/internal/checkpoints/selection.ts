/** Which checkpoints `tinker checkpoint delete` selects, from its arguments. */
import type * as Checkpoint from "@effect-tinker/api/Checkpoint"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CliError } from "../errors/cliError.ts"
import { parsePath } from "./path.ts"

/** @internal */
export interface Options {
  readonly paths: ReadonlyArray<string>
  readonly runId: Option.Option<string>
  readonly type: Option.Option<string>
  readonly before: Option.Option<string>
  readonly after: Option.Option<string>
}

/** Checkpoints by path, or those of one run that pass the filters. @internal */
export type Selection =
  | { readonly targets: ReadonlyArray<string> }
  | {
      readonly training_run_id: string
      readonly checkpoint_type: Checkpoint.CheckpointType | undefined
      readonly before: DateTime.Utc | undefined
      readonly after: DateTime.Utc | undefined
    }

/** The checkpoint types that a user may name, as the service calls them. */
const types: { readonly [name: string]: Checkpoint.CheckpointType } = {
  weights: "training",
  sampler_weights: "sampler",
  external_weights: "external",
  training: "training",
  sampler: "sampler",
  external: "external"
}

const date = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?$/

/** Parses an ISO 8601 time, in UTC where it has no zone. */
const parseTime = (option: string, value: Option.Option<string>): Effect.Effect<DateTime.Utc | undefined, CliError> =>
  Option.match(value, {
    onNone: () => Effect.succeed(undefined),
    onSome: (text) => {
      const [, zone] = date.exec(text.trim()) ?? [null]
      const iso = text.trim().replace(" ", "T")
      const parsed = DateTime.make(zone === undefined && iso.includes("T") ? `${iso}Z` : iso)
      return zone === null || Option.isNone(parsed)
        ? Effect.fail(
            new CliError({
              title: `Invalid date: ${text}`,
              details: `Give ${option} in ISO 8601: 2024-01-01, 2024-01-01T12:00:00Z`
            })
          )
        : Effect.succeed(DateTime.toUtc(parsed.value))
    }
  })

const parseType = (name: string | undefined): Effect.Effect<Checkpoint.CheckpointType | undefined, CliError> =>
  name === undefined || Object.hasOwn(types, name)
    ? Effect.succeed(name === undefined ? undefined : types[name])
    : Effect.fail(
        new CliError({
          title: `Invalid checkpoint type: ${name}`,
          details: "Valid types: weights, sampler_weights, external_weights"
        })
      )

/** Why the arguments do not go together, or undefined if they do. */
const conflict = (options: Options): CliError | undefined => {
  const isFiltered = [options.type, options.before, options.after].some(Option.isSome)
  if (options.paths.length === 0 && Option.isNone(options.runId)) {
    return new CliError({
      title: "Must specify checkpoint paths or --run-id",
      details: "For example: tinker checkpoint delete tinker://run-id/weights/0001"
    })
  }
  if (options.paths.length > 0 && Option.isSome(options.runId)) {
    return new CliError({
      title: "Cannot specify both checkpoint paths and --run-id",
      details: "Use either explicit paths or --run-id with optional filters"
    })
  }
  return isFiltered && Option.isNone(options.runId)
    ? new CliError({ title: "--type, --before, and --after require --run-id" })
    : undefined
}

/** Checks the arguments, without a request to the service. @internal */
export const parse = Effect.fnUntraced(function* (options: Options) {
  const error = conflict(options)
  if (error !== undefined) return yield* error
  yield* Effect.forEach(options.paths, parsePath)
  const before = yield* parseTime("--before", options.before)
  const after = yield* parseTime("--after", options.after)
  const checkpoint_type = yield* parseType(Option.getOrUndefined(options.type))
  return Option.match(options.runId, {
    onNone: (): Selection => ({ targets: options.paths }),
    onSome: (training_run_id) => ({ training_run_id, checkpoint_type, before, after })
  })
})
