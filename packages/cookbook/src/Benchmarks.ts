/**
 * Benchmarks whose data are on the Hugging Face hub, as problems of `Eval.run`. They are downloaded by name into the cache of
 * the Python libraries.
 *
 * ```ts
 * const problems = Benchmarks.gsm8k({
 *   limit: 200,
 *   prompt: (question) => renderer.generationPrompt([{ role: "user", content: question }])
 * })
 * const result = yield* Eval.run({ name: "gsm8k", model, sampler, problems, decode, sampling: { max_tokens: 1024 } })
 * ```
 *
 * | | rows of | an answer is right if |
 * |---|---|---|
 * | `gsm8k` | `openai/gsm8k`, main, test | its last number, or that in its last `\boxed{}`, is the one of the solution |
 * | `math500` | `HuggingFaceH4/MATH-500`, test | its last `\boxed{}` has the answer, up to spaces and the like; other forms of one value count as wrong |
 * | `mmlu` | `cais/mmlu`, all, test | it ends with the letter, in a box or on its own |
 * | `arcChallenge` | `allenai/ai2_arc`, ARC-Challenge, test | the same |
 *
 * Scores depend on how a prompt asks. Compare them with those of other programs only where the prompts are the same.
 *
 * @since 0.1.0
 */
import type * as Hub from "@effect-tinker/tokenizers/Hub"
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Dataset from "./Dataset.ts"
import type * as Eval from "./Eval.ts"
import * as sources from "./internal/benchmarks/problems.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<E = never, R = never> {
  /** what the model is given for a question: with the format of a chat, say */
  readonly prompt: (question: string) => Effect.Effect<Eval.Problem["prompt"], E, R> | Eval.Problem["prompt"]
  /** the first so many problems; all by default */
  readonly limit?: number | undefined
  /** a branch, a tag or a commit of the data; `main` by default */
  readonly revision?: string | undefined
}

/**
 * The problems of a benchmark, in the order of its rows.
 *
 * @since 0.1.0
 * @category models
 */
export type Problems<E, R> = Stream.Stream<
  Eval.Problem,
  E | Dataset.DatasetError | Hub.HubError,
  R | Hub.Hub | FileSystem.FileSystem
>

const load = <A, I, E, R>(source: sources.Source<A, I>, { limit, prompt, revision }: Options<E, R>): Problems<E, R> =>
  Stream.unwrapScoped(
    Effect.map(
      Dataset.fromHubWith(source.schema, source.repo, { config: source.config, split: source.split, revision }),
      (rows) =>
        Stream.range(0, Math.min(limit ?? rows.size, rows.size) - 1).pipe(
          Stream.mapEffect((position) =>
            Effect.flatMap(rows.at(position), (row) => sources.toProblem(source.questionOf(row), prompt))
          )
        )
    )
  )

/**
 * @since 0.1.0
 * @category benchmarks
 */
export const gsm8k = <E = never, R = never>(options: Options<E, R>): Problems<E, R> => load(sources.gsm8k, options)

/**
 * @since 0.1.0
 * @category benchmarks
 */
export const math500 = <E = never, R = never>(options: Options<E, R>): Problems<E, R> => load(sources.math500, options)

/**
 * @since 0.1.0
 * @category benchmarks
 */
export const mmlu = <E = never, R = never>(options: Options<E, R>): Problems<E, R> => load(sources.mmlu, options)

/**
 * @since 0.1.0
 * @category benchmarks
 */
export const arcChallenge = <E = never, R = never>(options: Options<E, R>): Problems<E, R> =>
  load(sources.arcChallenge, options)
