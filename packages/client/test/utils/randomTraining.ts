/** A training program that chooses its operations at random, and logs them. */
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import type * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TinkerFuture from "@effect-tinker/client/TinkerFuture"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import { Effect, Exit, Fiber } from "effect"
import type { PCGRandom } from "effect/Utils"
import { errorOf, type ModelLog, type Submitted, tokensOf } from "./appliedOperations.ts"

type Future = TinkerFuture.TinkerFuture<unknown>

/** One program, and what it has submitted. */
interface Program {
  readonly training: TrainingClient.TrainingClient
  readonly chance: PCGRandom
  readonly log: ModelLog
  readonly problems: Array<string>
  /** operations whose futures are not awaited yet */
  readonly pending: Array<readonly [Submitted, Future]>
  /** saved states */
  readonly paths: Array<string>
  nextTag: number
}

/** Awaits a future, and logs its exit, and what was submitted before the program has seen that. */
const settle = (log: ModelLog, [submitted, future]: readonly [Submitted, Future]) =>
  Effect.map(Fiber.await(future), (exit) => {
    submitted.exit = exit
    submitted.seenBefore = Math.min(submitted.seenBefore, log.submitted.length)
    return exit
  })

/** Logs an operation, and then submits it. */
const submit = (
  program: Program,
  kind: string,
  changesTraining: boolean,
  datums: number,
  make: (tag: number) => Effect.Effect<Future, unknown>,
  pathOf: (tag: number) => string | undefined = () => undefined
) =>
  Effect.suspend(() => {
    const submitted: Submitted = {
      kind,
      tag: program.nextTag,
      datums,
      changesTraining,
      path: pathOf(program.nextTag++),
      requests: 0,
      seqIds: () => [],
      exit: undefined,
      seenBefore: Number.POSITIVE_INFINITY
    }
    program.log.submitted.push(submitted)
    return Effect.map(Effect.either(make(submitted.tag)), (made) => {
      if (made._tag === "Left") {
        program.problems.push(`${kind} ${submitted.tag} was rejected: ${String(made.left)}`)
        return
      }
      const future = made.right
      submitted.requests = future.seqIds.length
      submitted.seqIds = () => future.seqIds
      program.pending.push([submitted, future])
    }).pipe(Effect.uninterruptible)
  })

const dataFor = (tag: number, count: number) =>
  Array.from({ length: count }, (_, i) => Datum.fromPromptCompletion(tokensOf(tag), [i, 1, 2].slice(0, 1 + (i % 3))))

const pass = (program: Program, method: "forward" | "forwardBackward") =>
  Effect.suspend(() => {
    const count = 1 + program.chance.integer(3)
    return submit(
      program,
      method === "forward" ? "Forward" : "ForwardBackward",
      method === "forwardBackward",
      count,
      (tag) => program.training[method](dataFor(tag, count), "cross_entropy")
    )
  })

const step = (program: Program) =>
  Effect.andThen(
    pass(program, "forwardBackward"),
    submit(program, "OptimStep", true, 0, (tag) => program.training.optimStep({ learning_rate: tag / 2 ** 20 }))
  )

/** A pass whose loss the service does not know: all its chunks are refused. */
const refusedPass = (program: Program) =>
  Effect.suspend(() => {
    const count = 1 + program.chance.integer(3)
    return submit(program, "ForwardBackward", true, count, (tag) =>
      program.training.forwardBackward(dataFor(tag, count), "nope" as "cross_entropy")
    )
  })

const image = { type: "image", format: "png", data: new Uint8Array(3), expected_tokens: 3 } as const

/** A batch with an image, which the service does not read: one of its chunks is refused. */
const spoiltPass = (program: Program) =>
  Effect.suspend(() => {
    const count = 2 + program.chance.integer(2)
    const spoilt = program.chance.integer(count)
    return submit(program, "ForwardBackward", true, count, (tag) => {
      const withImage = { ...Datum.fromPromptCompletion(tokensOf(tag), [1]), model_input: { chunks: [image] } }
      const data = dataFor(tag, count).map((datum, i) => (i === spoilt ? withImage : datum))
      return program.training.forwardBackward(data, "cross_entropy")
    })
  })

/** A step of an optimizer that the service does not have, or a load of a checkpoint that does not exist. */
const refusedUpdate = (program: Program) =>
  Effect.suspend(() =>
    program.chance.integer(2) === 0
      ? submit(program, "OptimStep", true, 0, () =>
          program.training.optimizerStep({ type: "dimuon", learning_rate: 1 } as never)
        )
      : submit(program, "LoadWeights", true, 0, () =>
          program.training.loadState(`tinker://${program.training.modelId}/weights/none`)
        )
  )

const lastPending = ({ pending }: Program) => pending[pending.length - 1]!

const saveState = (program: Program) =>
  Effect.gen(function* () {
    const { training } = program
    yield* submit(
      program,
      "SaveWeights",
      false,
      0,
      (tag) => training.saveState(`state-${tag}`),
      (tag) => `tinker://${training.modelId}/weights/state-${tag}`
    )
    const exit = yield* settle(program.log, lastPending(program))
    if (Exit.isSuccess(exit)) program.paths.push((exit.value as { readonly path: string }).path)
  })

const loadState = (program: Program) =>
  Effect.suspend(() =>
    program.paths.length === 0
      ? Effect.void
      : submit(
          program,
          "LoadWeights",
          true,
          0,
          () => program.training.loadStateWithOptimizer(program.paths[0]!),
          () => program.paths[0]
        )
  )

/** A caller that is interrupted before, during or after its submission. */
const interruptedStep = (program: Program) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(step(program))
    yield* Effect.repeatN(Effect.yieldNow(), program.chance.integer(4))
    yield* Fiber.interrupt(fiber)
  })

/** A caller that stops waiting for its result. */
const abandonedStep = (program: Program) =>
  Effect.gen(function* () {
    yield* step(program)
    yield* Effect.timeoutOption(settle(program.log, lastPending(program)), 1 + program.chance.integer(3000))
  })

const sample = (client: SamplingClient.SamplingClient, n: number, limit: number) =>
  client
    .sample(ModelInput.fromTokens(tokensOf(n)), { sampling_params: { max_tokens: 1 + n, seed: n } })
    .pipe(Effect.timeoutOption(limit), Effect.exit)

/** Samples from the current weights; some callers stop waiting. */
const saveAndSample = ({ chance, log, problems, training }: Program) =>
  Effect.gen(function* () {
    const submitted: Submitted = {
      kind: "SaveWeightsForSampler",
      tag: 0,
      datums: 0,
      changesTraining: false,
      requests: 1,
      seqIds: () => [],
      exit: undefined,
      seenBefore: Number.POSITIVE_INFINITY
    }
    log.submitted.push(submitted)
    const exit = yield* Effect.exit(training.saveWeightsAndGetSamplingClient())
    submitted.exit = exit
    submitted.seenBefore = log.submitted.length
    if (Exit.isFailure(exit)) return
    const samples = yield* Effect.forEach(
      Array.from({ length: 1 + chance.integer(4) }, (_, n) => n),
      (n) => sample(exit.value, n, chance.integer(3) === 0 ? 500 : 3_600_000),
      { concurrency: "unbounded" }
    )
    for (const [n, result] of samples.entries()) {
      if (Exit.isSuccess(result) && result.value._tag === "Some") {
        const tokens = result.value.value.sequences[0]!.tokens.length
        if (tokens > 1 + n) problems.push(`sample ${n} has ${tokens} tokens, more than requested`)
      }
    }
  })

/** A step, after which only the last operations may stay pending. */
const stepAhead = (program: Program) =>
  Effect.gen(function* () {
    const { chance, pending } = program
    yield* step(program)
    if (chance.integer(2) === 0)
      yield* Effect.forEach(pending.splice(0, pending.length - 2), (one) => settle(program.log, one))
  })

const runOperation = (program: Program): Effect.Effect<unknown> => {
  switch (program.chance.integer(14)) {
    case 0:
      return pass(program, "forward")
    case 1:
      return saveState(program)
    case 2:
      return loadState(program)
    case 3:
      return interruptedStep(program)
    case 4:
      return abandonedStep(program)
    case 5:
      return Effect.sleep(program.chance.integer(15_000))
    case 6:
      return saveAndSample(program)
    case 7:
      return Effect.andThen(refusedPass(program), program.chance.integer(2) === 0 ? Effect.void : stepAhead(program))
    case 8:
      return Effect.andThen(spoiltPass(program), program.chance.integer(2) === 0 ? Effect.void : stepAhead(program))
    case 9:
      return refusedUpdate(program)
    default:
      return stepAhead(program)
  }
}

const settleAll = ({ log, pending }: Program) => Effect.forEach(pending, (one) => settle(log, one), { discard: true })

/** What is called after all failures were seen is a new step, unless a gradient still waits for an optimizer step. */
const finalStep = (program: Program) =>
  Effect.gen(function* () {
    const { log, problems } = program
    const call = (submitting: Effect.Effect<void, unknown>) =>
      Effect.map(
        Effect.zipRight(
          submitting,
          Effect.suspend(() => settle(log, lastPending(program)))
        ),
        (exit) => errorOf(exit)
      )
    const update = submit(program, "OptimStep", true, 0, (tag) =>
      program.training.optimStep({ learning_rate: tag / 2 ** 20 })
    )
    const first = yield* call(pass(program, "forwardBackward"))
    const waits = first?._tag === "StepRefused" && first.reason === "GradientWaits"
    const passed = waits ? Effect.zipRight(call(update), call(pass(program, "forwardBackward"))) : Effect.succeed(first)
    const error = yield* passed
    if (error?._tag === "StepRefused" && error.reason !== "GradientWaits") {
      problems.push(`${log.modelId}: a new step was held up: ${error.message}`)
    }
    if (error !== undefined) return
    const last = yield* call(update)
    if (last?._tag === "StepRefused") problems.push(`${log.modelId}: a complete step was held up: ${last.message}`)
  })

/** A successful pass has one output per datum. */
const checkOutputs = ({ pending, problems }: Program) => {
  for (const [{ datums, exit, kind }, future] of pending) {
    if (!Exit.isSuccess(exit!) || !kind.startsWith("Forward")) continue
    const outputs = (exit.value as { readonly loss_fn_outputs: ReadonlyArray<unknown> }).loss_fn_outputs.length
    if (outputs !== datums) problems.push(`${future.method} of ${datums} datums has ${outputs} outputs`)
  }
}

/** Goes on from the state that was last saved, if the model was lost with the process of the service. */
const goOn = (service: ServiceClient.Service, { chance, log, problems }: Program, models: Array<ModelLog>) =>
  Effect.gen(function* () {
    const lost = log.submitted
      .map(({ exit }) => (exit === undefined ? undefined : errorOf(exit)))
      .find((error) => error?._tag === "ModelLost")
    if (lost?._tag !== "ModelLost" || lost.lastSaved === undefined) return
    const origin = lost.lastSaved
    const made = yield* Effect.either(service.createTrainingClientFromStateWithOptimizer(origin))
    if (made._tag === "Left") {
      const { _tag } = made.left
      if (_tag === "NotFound" || _tag === "BadRequest")
        problems.push(`cannot go on from ${origin}: ${String(made.left)}`)
      return
    }
    const training = made.right
    const next: ModelLog = { modelId: training.modelId, origin, submitted: [] }
    models.push(next)
    const program: Program = { training, chance, log: next, problems, pending: [], paths: [], nextTag: 1 }
    yield* step(program)
    yield* settleAll(program)
  })

/** Trains one model with a number of random operations. */
export const trainingProgram = (
  service: ServiceClient.Service,
  chance: PCGRandom,
  operations: number,
  models: Array<ModelLog>,
  problems: Array<string>
) =>
  Effect.gen(function* () {
    const training = yield* service.createLoraTrainingClient({
      base_model: TestEngine.baseModel,
      rank: 1 + chance.integer(8)
    })
    const log: ModelLog = { modelId: training.modelId, submitted: [] }
    models.push(log)
    const program: Program = { training, chance, log, problems, pending: [], paths: [], nextTag: 1 }
    for (let i = 0; i < operations; i++) yield* runOperation(program)
    yield* settleAll(program)
    yield* finalStep(program)
    checkOutputs(program)
    yield* goOn(service, program, models)
  })
