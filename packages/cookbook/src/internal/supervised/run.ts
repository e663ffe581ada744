/** The loop of a supervised run. */
import * as Pipeline from "@effect-tinker/client/Pipeline"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Metrics from "../../Metrics.ts"
import * as Nll from "../../Nll.ts"
import type * as RunDirectory from "../../RunDirectory.ts"
import type { Row } from "../metrics/row.ts"
import * as limits from "./limits.ts"
import { InvalidRun, type Options, validate } from "./options.ts"
import { logRow, recordSaved } from "./record.ts"
import * as rows from "./rows.ts"
import * as starting from "./start.ts"
import * as submit from "./submit.ts"

/** What changes while a run goes on. */
interface State {
  readonly limits: limits.Limits
  readonly rows: Array<Row>
  readonly warned: rows.Warned
  /** the number of steps that are finished, of all parts of the run */
  finished: number
  /** tokens of the steps that are finished */
  tokens: number
  /** when the step before was finished */
  lastMillis: number
  checkpoint: RunDirectory.Checkpoint | undefined
}

interface Run<E, R> {
  readonly options: Options<E, R>
  readonly metrics: Metrics.Service
  readonly training: TrainingClient.TrainingClient
  readonly directory: RunDirectory.RunDirectory | undefined
  readonly state: State
}

const numberOf = (value: unknown): number => (typeof value === "number" && Number.isFinite(value) ? value : 0)

const makeState = Effect.fnUntraced(function* <E, R>(options: Options<E, R>, started: starting.Started) {
  const { checkpoint } = started
  const finished = checkpoint?.batch ?? 0
  const tokens = numberOf(checkpoint?.elapsed_tokens)
  const state: State = {
    limits: yield* limits.make(options, started.rows, { tokens, seconds: numberOf(checkpoint?.elapsed_seconds) }),
    rows: started.rows.slice(),
    warned: { loss: false, gradient: false },
    finished,
    tokens,
    lastMillis: yield* Clock.currentTimeMillis,
    checkpoint
  }
  return state
})

/** The next batch, in a window that records what happens to it; none when the run ends. */
const nextBatch = <E, R>({ options, state }: Run<E, R>, step: number) =>
  Effect.gen(function* () {
    // asks before it reads a batch that nobody needs
    if ((yield* limits.admit(options, state.limits, step, 0)) !== undefined) return Option.none()
    const window = yield* Metrics.window
    const batch = yield* options.batches
      .at(step)
      .pipe(submit.seeded(options, "batch", step), Effect.withSpan("get_batch"), window.record)
    if (batch.length === 0) {
      return yield* new InvalidRun({ path: `batches.at(${step})`, reason: "is empty: there is nothing to train on" })
    }
    if ((yield* limits.admit(options, state.limits, step, Nll.tokensOf(batch))) !== undefined) return Option.none()
    const pending: submit.Pending = { step, batch, window }
    return Option.some([pending, step + 1] as const)
  })

/** Records a checkpoint that was saved. */
const record = Effect.fnUntraced(function* <E, R>(run: Run<E, R>, saved: submit.Saved, batch: number) {
  const { directory, options, state } = run
  const place = { directory, before: state.checkpoint, remove: options.checkpoints?.rolling?.remove }
  state.checkpoint = yield* recordSaved(place, saved, {
    batch,
    epoch: rows.epochOf(batch, options.batches.stepsPerEpoch),
    elapsed_tokens: state.tokens,
    elapsed_seconds: yield* limits.secondsOf(state.limits)
  })
})

/** Writes the row of a step, then the record of its checkpoint. */
const finishStep = Effect.fnUntraced(function* <E, R>(run: Run<E, R>, finished: submit.Finished) {
  const { options, state } = run
  const row = yield* rows.rowOf(options, finished, state.tokens, state.warned)
  state.finished = finished.step + 1
  state.tokens += Nll.tokensOf(finished.batch)
  limits.noteRow(options, state.limits, row)
  yield* logRow(run, row, finished.window)
  if (finished.saved !== undefined) yield* record(run, finished.saved, state.finished)
})

const trainSteps = Effect.fnUntraced(function* <E, R>(run: Run<E, R>) {
  const { options, state } = run
  const context = yield* Effect.context<R>()
  yield* Stream.unfoldEffect(state.finished, (step) => nextBatch(run, step)).pipe(
    Pipeline.steps({
      submit: (pending) => submit.submitStep(options, run, pending, context),
      ahead: options.ahead
    }),
    Stream.runForEach((finished) => finishStep(run, finished))
  )
})

/** Measures the weights behind the last step, in a row of their own. */
const evaluateAtEnd = Effect.fnUntraced(function* <E, R>(run: Run<E, R>) {
  const { options, state } = run
  const { evaluations = [] } = options
  if (evaluations.length === 0) return {}
  const window = yield* Metrics.window
  const values = yield* submit
    .submitEvaluations(options, evaluations, run, state.finished)
    .pipe(Effect.flatten, window.record, Effect.map(rows.valuesOf))
  yield* logRow(run, { ...values, step: state.finished }, window)
  return values
})

/** Saves what the run has at its end, if no checkpoint has it yet. */
const saveAtEnd = Effect.fnUntraced(function* <E, R>(run: Run<E, R>, reason: limits.StopReason) {
  const { options, state, training } = run
  const { final = true, name = "final" } = options.checkpoints ?? {}
  const isFinal = reason !== "request"
  const { checkpoint } = state
  const hasIt = checkpoint?.batch === state.finished && checkpoint.rolling !== true
  if (!final || (hasIt && (!isFinal || checkpoint.final === true)) || (!isFinal && state.finished === 0)) return
  const saves = isFinal
    ? submit.submitSaves(training, "final", name, undefined)
    : submit.submitSaves(training, "periodic", submit.checkpointName(state.finished), options.checkpoints?.ttlSeconds)
  yield* record(run, yield* Effect.flatten(saves), state.finished)
})

/** @internal */
export const run = <E, R>(options: Options<E, R>) =>
  Effect.gen(function* () {
    yield* validate(options)
    const metrics = yield* Metrics.Metrics
    const started = yield* starting.start(options)
    const state = yield* makeState(options, started)
    const { directory, training } = started
    const current: Run<E, R> = { options, metrics, training, directory, state }
    const from = state.finished
    if (options.stop !== undefined) {
      const request = Effect.sync(() => void (state.limits.reason ??= "request"))
      yield* Effect.forkScoped(Effect.andThen(options.stop, request))
    }
    yield* trainSteps(current)
    const reason = state.limits.reason ?? "steps"
    const evaluated = reason === "request" ? {} : yield* evaluateAtEnd(current)
    yield* saveAtEnd(current, reason)
    return { training, from, steps: state.finished, reason, rows: state.rows, evaluated, checkpoint: state.checkpoint }
  }).pipe(Effect.withSpan("Supervised.run"))
