/**
 * The batch of a base model: sequences of all sample requests, of all users and checkpoints, which join and leave while
 * it runs. One fiber reads prompts, a few chunks at a time, and extends all sequences by a token; then others have their
 * turn on the engine.
 */
import * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { interruptUnsafe } from "../effect/runtime.ts"
import type { RowAdapter } from "../lora/rowAdapter.ts"
import type { LoadedModel } from "../model/loaded.ts"
import * as admission from "./admission.ts"
import { Decoder, type Row } from "./decoder.ts"
import { PrefixCache } from "./prefixCache.ts"
import * as reading from "./readPrompt.ts"
import * as sampleMemory from "./sampleMemory.ts"
import { extend, type Sequence, type SequenceOptions } from "./sequence.ts"

type Done = Exit.Exit<void, Engine.EngineError>

/** A sample request in the batch. @internal */
export interface Job extends admission.Request {
  readonly adapter: RowAdapter
  readonly tokens: Int32Array
  readonly wantsAllLogits: boolean
  readonly sequences: ReadonlyArray<Sequence>
  readonly options: SequenceOptions
  readonly turn: Engine.Turn
  reading: reading.Reading | undefined
  prompt: reading.ReadPrompt | undefined
  /** how many tokens were computed for it since its last turn ended */
  computed: number
  readonly complete: (done: Done) => void
}

interface JobRow extends Row {
  readonly job: Job
  isEnded: boolean
}

/** A token of a prompt costs a third of a sampled one. */
const promptShare = 1 / 3

/** What sequences may continue with changes with each token. */
const refreshConstraints = (rows: ReadonlyArray<JobRow>): Effect.Effect<void> => {
  const constrained = rows.flatMap(({ job, sequence }) =>
    sequence.constraint === undefined || job.isEnded ? [] : [sequence.constraint]
  )
  if (constrained.length === 0) return Effect.void
  return Effect.promise(() => Promise.all(constrained.map((constraint) => constraint.refresh())))
}

class Batch {
  private readonly model: LoadedModel
  readonly prefixes: PrefixCache
  private readonly jobs = new Set<Job>()
  private decoders: ReadonlyArray<Decoder<JobRow>> = []
  private readonly scratch: Float64Array<ArrayBuffer>
  /** the fiber, as long as there are requests */
  private running: Fiber.RuntimeFiber<void> | undefined
  private isYielding = false

  constructor(model: LoadedModel) {
    this.model = model
    this.prefixes = new PrefixCache(sampleMemory.prefixBytes(model), model.deterministic ? sampleMemory.chunkSize : 1)
    this.scratch = new Float64Array(model.config.vocab_size)
  }

  /** Adds a request, and returns when all its sequences have ended. An interruption removes it at once. */
  run(
    request: Omit<Job, "turn" | "complete" | "reading" | "computed" | "next" | "active" | "isEnded">
  ): Effect.Effect<reading.ReadPrompt, Engine.EngineError> {
    const joined = Effect.flatMap(Engine.CurrentTurn, (turn) =>
      Effect.async<Job, Engine.EngineError>((resume) => {
        const job: Job = {
          ...request,
          turn,
          reading: undefined,
          computed: 0,
          next: 0,
          active: 0,
          isEnded: false,
          complete: (done) => {
            job.isEnded = true
            this.jobs.delete(job)
            this.stopIfIdle()
            resume(Effect.as(done, job))
          }
        }
        this.jobs.add(job)
        return Effect.sync(() => job.complete(Exit.void))
      })
    )
    return Effect.map(Effect.andThen(this.start, joined), ({ prompt }) => prompt!)
  }

  /** Forgets what was read with an adapter that is no longer used. */
  forget(adapter: RowAdapter): void {
    this.prefixes.forget(adapter)
  }

  /** Starts the fiber unless it runs. It ends when there is no request. */
  private readonly start: Effect.Effect<void> = Effect.suspend(() => {
    if (this.running !== undefined) return Effect.void
    return Effect.map(Effect.forkDaemon(this.loop), (fiber) => {
      this.running = fiber
    })
  }).pipe(Effect.uninterruptible)

  /** Ends the fiber where it waits for turns of requests of which none is left. */
  private stopIfIdle(): void {
    if (this.running === undefined || !this.isYielding || this.jobs.size > 0) return
    interruptUnsafe(this.running)
    this.running = undefined
    this.isYielding = false
  }

  private readonly loop: Effect.Effect<void> = Effect.suspend(() => {
    const { jobs } = this
    const round = Effect.gen(this, function* () {
      yield* this.readPrompts()
      this.admit()
      for (const decoder of this.decoders) yield* this.step(decoder)
      this.decoders = this.decoders.filter(({ rows }) => rows.length > 0)
      const parts = Array.from(jobs, (job) => [job.turn, job.computed] as const)
      for (const job of jobs) job.computed = 0
      this.isYielding = jobs.size > 0
      yield* Engine.yieldTurns(parts)
      this.isYielding = false
    })
    const safeRound = Effect.catchAllCause(round, (cause) => Effect.sync(() => this.fail(jobs, Exit.failCause(cause))))
    return Effect.whileLoop({
      while: () => {
        if (jobs.size === 0) this.running = undefined
        return jobs.size > 0
      },
      body: () => safeRound,
      step: () => undefined
    })
  })

  private get rows(): ReadonlyArray<JobRow> {
    return this.decoders.flatMap(({ rows }) => rows)
  }

  /** Ends the given requests with a failure. */
  private fail(jobs: Iterable<Job>, exit: Exit.Exit<unknown, Engine.EngineError>): void {
    for (const job of new Set(jobs)) job.complete(Exit.asVoid(exit))
  }

  /** Reads prompts in the order of arrival, as many tokens as a round may have, while there is room for their rows. */
  private readPrompts(): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      let tokens = 0
      for (const job of this.jobs) {
        if (tokens >= sampleMemory.promptTokensPerRound) return
        if (job.prompt !== undefined || job.isEnded) continue
        const waiting = Array.from(this.jobs).filter(({ active, prompt }) => prompt !== undefined && active === 0)
        if (this.rows.length + waiting.length >= admission.mostRows) return
        tokens += yield* this.readSome(job, sampleMemory.promptTokensPerRound - tokens)
        if (job.prompt === undefined && !job.isEnded) return
      }
    })
  }

  /** Reads chunks of a prompt until it is read or so many tokens are. Returns their number, padding included. */
  private readSome(job: Job, budget: number): Effect.Effect<number> {
    return Effect.gen(this, function* () {
      const { adapter, tokens, wantsAllLogits } = job
      const known = wantsAllLogits || job.reading !== undefined ? undefined : this.prefixes.find(adapter, tokens)
      if (known?.length === tokens.length) {
        job.prompt = { ...known.prefix, lastLogits: known.prefix.lastLogits!, forEachLogits: undefined, reused: tokens.length } // prettier-ignore
        return 0
      }
      const state = (job.reading ??= reading.begin(this.model, adapter, tokens, wantsAllLogits, known))
      let read = 0
      while (job.prompt === undefined && !job.isEnded && read < budget) {
        const before = state.position
        const exit = yield* Effect.exit(reading.readChunk(state))
        read += sampleMemory.chunkLength(state.position - before)
        job.computed += (state.position - before) * promptShare
        if (Exit.isFailure(exit)) this.fail([job], exit)
        else job.prompt = exit.value
      }
      if (job.prompt !== undefined) this.prefixes.add(adapter, job.prompt)
      return read
    })
  }

  /** Lets sequences join: those of the requests that have the fewest rows come first. */
  private admit(): void {
    let { rows } = this
    for (;;) {
      const job = admission.next(this.jobs, (job) => job.prompt !== undefined)
      if (job === undefined || !admission.hasRoom(this.model, job, rows)) return
      this.join(job)
      rows = this.rows
    }
  }

  /** Starts the next sequence of a request: its first token follows the prompt. */
  private join(job: Job): void {
    const sequence = job.sequences[job.next++]!
    if (extend(sequence, job.prompt!.lastLogits, job.options, this.scratch)) {
      const { adapter, needs, tokens } = job
      const decoder = this.decoderFor(adapter)
      job.active++
      decoder.add({ job, adapter, sequence, length: tokens.length, isEnded: false, needs }, job.prompt!)
    } else this.completeIfDone(job)
  }

  private decoderFor(adapter: RowAdapter): Decoder<JobRow> {
    const known = this.decoders.find((decoder) => decoder.takes(adapter))
    if (known !== undefined) return known
    const fresh = new Decoder<JobRow>(this.model)
    this.decoders = [...this.decoders, fresh]
    return fresh
  }

  private completeIfDone(job: Job): void {
    if (job.active === 0 && job.next === job.sequences.length) job.complete(Exit.void)
  }

  /** Extends the sequences of a decoder by one token. */
  private step(decoder: Decoder<JobRow>): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      decoder.remove(({ job }) => job.isEnded)
      if (decoder.rows.length > 0) {
        const exit = yield* Effect.exit(decoder.step())
        if (Exit.isFailure(exit))
          this.fail(decoder.rows.map(({ job }) => job), exit) // prettier-ignore
        else {
          yield* refreshConstraints(decoder.rows)
          this.extendRows(decoder, exit.value)
        }
        decoder.remove(({ isEnded, job }) => isEnded || job.isEnded)
      }
    })
  }

  private extendRows(decoder: Decoder<JobRow>, logits: Float32Array): void {
    const { vocab_size } = this.model.config
    decoder.rows.forEach((row, i) => {
      const { job, sequence } = row
      if (job.isEnded) return
      job.computed++
      if (extend(sequence, logits.subarray(i * vocab_size, (i + 1) * vocab_size), job.options, this.scratch)) return
      row.isEnded = true
      job.active--
      this.keep(decoder, row)
      this.completeIfDone(job)
    })
  }

  /** Remembers a sequence that the next turn of a conversation may begin with. Its bits are those of this batch. */
  private keep(decoder: Decoder<JobRow>, row: JobRow): void {
    const { adapter, sequences, tokens } = row.job
    if (this.model.deterministic || sequences.length > 1) return
    const all = Int32Array.from([...tokens, ...row.sequence.tokens.slice(0, -1)])
    this.prefixes.add(adapter, { tokens: all, cache: decoder.read(row), lastLogits: undefined })
  }
}

// models are copied with other options in tests, and each copy has a batch of its own
const batches = new WeakMap<LoadedModel, Batch>()

/** The batch of a model. @internal */
export const of = (model: LoadedModel): Batch => {
  const known = batches.get(model) ?? new Batch(model)
  batches.set(model, known)
  return known
}
