/** Runs evaluations, and keeps each outcome when it is there. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import { makeMutex } from "../effect/mutex.ts"
import { hashOf } from "../records/hash.ts"
import * as lines from "../run/lines.ts"
import { type Answer, Outcome, type Problem, type Result } from "./model.ts"
import { InvalidEval, type Options } from "./options.ts"
import * as statistics from "./statistics.ts"

const hex = (value: unknown): string => hashOf(value).toString(16)

const inputOf = ({ prompt }: Pick<Problem, "prompt">): ModelInput.ModelInput =>
  "chunks" in prompt ? prompt : ModelInput.fromTokens(prompt)

/** What tells an outcome from any other: all that it depends on. */
const keyOf = <E, R>(
  { model, name, samples = 1, sampling = {} }: Pick<Options, "model" | "name" | "samples" | "sampling">,
  problem: Problem<E, R>,
  seed: number
): string => hex([name, model, samples, { ...sampling, seed }, inputOf(problem).chunks, problem.target ?? null])

const gradeOne = <E, R>({ grade }: Problem<E, R>, answer: Answer): Effect.Effect<number, E | InvalidEval, R> =>
  Effect.suspend(() => {
    const graded = grade(answer)
    return typeof graded === "number" ? Effect.succeed(graded) : graded
  }).pipe(
    Effect.filterOrFail(
      (score) => score >= 0 && score <= 1,
      (score) => new InvalidEval({ path: "grade", reason: `returned ${score}: give a number from 0 to 1` })
    )
  )

const answer = <E, R, E2, R2>(
  { decode, sampler, samples = 1, sampling }: Options<E, R, E2, R2>,
  problem: Problem<E, R>,
  seed: number
) =>
  Effect.gen(function* () {
    const { sequences } = yield* sampler.sample(inputOf(problem), {
      num_samples: samples,
      sampling_params: { temperature: 0.6, ...sampling, seed }
    })
    return yield* Effect.forEach(sequences, ({ stop_reason, tokens }) => {
      const text = decode(tokens)
      return Effect.map(gradeOne(problem, { text, tokens, stopReason: stop_reason }), (score) => ({
        text,
        stop_reason,
        score
      }))
    })
  })

/** The outcome of a problem; one that fails has none but its error. An interruption is no outcome. */
const attempt = <E, R, E2, R2>(options: Options<E, R, E2, R2>, problem: Problem<E, R>, index: number) =>
  Effect.gen(function* () {
    const seed = (options.sampling?.seed ?? 0) + index
    const hash = keyOf(options, problem, seed)
    const about = {
      hash,
      id: problem.id ?? hex([inputOf(problem).chunks, problem.target ?? null]),
      input: problem.input,
      ...(problem.target === undefined ? {} : { target: problem.target })
    }
    const exit = yield* Effect.exit(
      Effect.timeoutFail(Effect.disconnect(answer(options, problem, seed)), {
        duration: options.timeout ?? "300 seconds",
        onTimeout: () => new InvalidEval({ path: about.id, reason: "took longer than its time" })
      })
    )
    if (Exit.isSuccess(exit)) return { ...about, samples: exit.value } satisfies Outcome
    if (Cause.isInterruptedOnly(exit.cause)) return yield* Effect.interrupt
    return { ...about, samples: [], error: Cause.pretty(exit.cause) } satisfies Outcome
  })

const readKnown = Effect.fnUntraced(function* (file: string | undefined) {
  const known = new Map<string, Outcome>()
  if (file === undefined) return known
  const read = yield* lines.read(Outcome, file)
  if (read === undefined) return known
  // a line that was cut would spoil the next one
  if (read.isCut) yield* lines.replaceLines(file, read.values)
  for (const outcome of read.values) if (outcome.error === undefined) known.set(outcome.hash, outcome)
  return known
})

const scoreOf = ({ samples }: Outcome): number => statistics.mean(samples.map(({ score }) => score))

const resultOf = (
  { k, model, name, samples = 1 }: Pick<Options, "k" | "model" | "name" | "samples">,
  outcomes: ReadonlyArray<Outcome>,
  reused: number
): Result => {
  const scores = outcomes.map(scoreOf)
  const passAt = (k ?? [1, samples]).map((k) => {
    const all = outcomes.map((outcome) =>
      outcome.samples.length === 0
        ? 0
        : statistics.passAt(outcome.samples.length, outcome.samples.filter(({ score }) => score === 1).length, k)
    )
    return [k, statistics.mean(all)] as const
  })
  return {
    name,
    model,
    samples,
    outcomes,
    accuracy: statistics.mean(scores),
    standardError: statistics.standardError(scores),
    interval: statistics.interval(scores),
    passAt: Object.fromEntries(passAt),
    errors: outcomes.filter(({ error }) => error !== undefined).length,
    reused
  }
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 1

const validate = ({ concurrency = 64, k = [], samples = 1 }: Pick<Options, "concurrency" | "k" | "samples">) => {
  const count = "must be a whole number of 1 or more"
  if (!isCount(samples)) return new InvalidEval({ path: "samples", reason: count })
  if (!isCount(concurrency)) return new InvalidEval({ path: "concurrency", reason: count })
  const bad = k.find((value) => !isCount(value) || value > samples)
  return bad === undefined
    ? Effect.void
    : new InvalidEval({ path: "k", reason: `has ${bad}: give whole numbers from 1 to the number of samples` })
}

/** @internal */
export const run = <E, R, E2, R2>(options: Options<E, R, E2, R2>) =>
  Effect.gen(function* () {
    yield* validate(options)
    const { concurrency = 64, file } = options
    const known = yield* readKnown(file)
    const oneByOne = yield* makeMutex
    let reused = 0
    const outcomes = yield* Stream.zipWithIndex(options.problems).pipe(
      Stream.mapEffect(
        ([problem, index]) =>
          Effect.gen(function* () {
            const before = known.get(keyOf(options, problem, (options.sampling?.seed ?? 0) + index))
            if (before !== undefined) {
              reused++
              return before
            }
            const outcome: Outcome = yield* attempt(options, problem, index)
            if (file !== undefined) yield* oneByOne(lines.append(file, outcome))
            return outcome
          }),
        { concurrency }
      ),
      Stream.runCollect
    )
    return resultOf(options, Array.from(outcomes), reused)
  }).pipe(Effect.withSpan("Eval.run"))

/** @internal */
export const compare = (a: Result, b: Result) => {
  const others = new Map(b.outcomes.map((outcome) => [outcome.id, scoreOf(outcome)]))
  const differences = a.outcomes.flatMap((outcome) => {
    const other = others.get(outcome.id)
    return other === undefined ? [] : [other - scoreOf(outcome)]
  })
  const difference = statistics.mean(differences)
  const half = 1.959963984540054 * statistics.standardError(differences)
  const better = differences.filter((value) => value > 0).length
  const worse = differences.filter((value) => value < 0).length
  return {
    problems: differences.length,
    difference,
    interval: [difference - half, difference + half] as const,
    better,
    worse,
    p: statistics.signTest(better, worse)
  }
}
