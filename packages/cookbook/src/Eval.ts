/**
 * Evaluations: problems are answered and graded, and what came of it is kept.
 *
 * ```ts
 * const result = yield* Eval.run({
 *   name: "past-tense",
 *   model: path,
 *   sampler: yield* service.createSamplingClient({ model_path: path }),
 *   problems: Stream.fromIterable(problems),
 *   decode: base.decode,
 *   samples: 4,
 *   k: [1, 4],
 *   file: "runs/first/past-tense.jsonl"
 * })
 * ```
 *
 * A problem that fails, or takes too long, has the score 0, and the next run tries it again. A run that was killed goes on
 * with what its file has: outcomes are told apart by a hash of the model, the problem and how it was sampled.
 *
 * @since 0.1.0
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { toInspectLog } from "./internal/evaluation/inspect.ts"
import type { Comparison, Result } from "./internal/evaluation/model.ts"
import type { InvalidEval, Options } from "./internal/evaluation/options.ts"
import { toPage } from "./internal/evaluation/page.ts"
import * as evaluation from "./internal/evaluation/run.ts"
import * as lines from "./internal/run/lines.ts"
import type * as RunDirectory from "./RunDirectory.ts"

export * from "./internal/evaluation/model.ts"
export { InvalidEval, type Options } from "./internal/evaluation/options.ts"

/**
 * Runs an evaluation. Problems that fail do not fail it.
 *
 * @since 0.1.0
 * @category running
 */
export const run: <E = never, R = never, E2 = never, R2 = never>(
  options: Options<E, R, E2, R2>
) => Effect.Effect<Result, E2 | InvalidEval | RunDirectory.RunDirectoryError, R | R2 | FileSystem.FileSystem> =
  evaluation.run

/**
 * Compares problem by problem, which tells smaller differences apart than two intervals do.
 *
 * @since 0.1.0
 * @category comparisons
 */
export const compare: (first: Result, second: Result) => Comparison = evaluation.compare

/**
 * Writes a log that inspect-ai reads (`inspect view`), in its JSON form. The name of the file should end with `.json`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const writeInspectLog = (
  result: Result,
  path: string
): Effect.Effect<void, RunDirectory.RunDirectoryError, FileSystem.FileSystem> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    lines.replace(path, JSON.stringify(toInspectLog(result, new Date(now).toISOString()), undefined, 1))
  )

/**
 * Writes a page of HTML to read the answers, which opens without a server and runs nothing: the numbers, and problems with
 * their answers, the worst ones first; with `other`, both answers and the comparison, the largest differences first. At most
 * `limit` problems are on it, 500 by default.
 *
 * @since 0.1.0
 * @category conversions
 */
export const writePage = (
  result: Result,
  path: string,
  { limit = 500, other }: { readonly limit?: number | undefined; readonly other?: Result | undefined } = {}
): Effect.Effect<void, RunDirectory.RunDirectoryError, FileSystem.FileSystem> =>
  lines.replace(
    path,
    toPage(result, {
      limit,
      other: other === undefined ? undefined : { result: other, comparison: evaluation.compare(result, other) }
    })
  )
