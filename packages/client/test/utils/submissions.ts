/** The queue of a model alone: operations whose requests follow a script, without a client and a service. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import type * as TinkerFuture from "../../src/TinkerFuture.ts"
import type { Sending } from "../../src/internal/submissions/operation.ts"
import type { Role } from "../../src/internal/submissions/steps.ts"
import * as submissionQueue from "../../src/internal/submissions/submissionQueue.ts"

/** What a request says: it is accepted with its number as the result, unless it fails. */
export type Answer = Effect.Effect<unknown, TinkerError.TinkerError> | TinkerError.TinkerError | undefined

/** One attempt to send a request. */
export interface Attempt {
  readonly method: string
  readonly seqId: number
  readonly index: number
  /** whether it is one that changes nothing, in place of another */
  readonly fills: boolean
  /** the refused numbers that it names */
  readonly named: string | undefined
}

export interface Call {
  readonly role: Role
  readonly requestCount?: number
  readonly parallel?: boolean
  readonly hasFill?: boolean
  readonly batch?: object
  readonly method?: string
  /** the answer to an attempt, which is the n-th of this operation, from 0 */
  readonly answer?: (attempt: Attempt, n: number, sending: Sending) => Answer
}

export const refusedSeqIdsHeader = "x-tinker-refused-seq-ids"

/** The error of a response. */
export const response = (status: number, detail = "", headers: Record<string, string> = {}): TinkerError.TinkerError =>
  TinkerError.fromResponse({ method: "m", status, headers, body: JSON.stringify({ detail }), now: 0 })

export const lost = new TinkerError.TransportError({ method: "m", url: "http://a.test", reason: "Connection" })
export const unreadable = new TinkerError.DecodeError({ method: "m", reason: "no JSON" } as never)

/** The tag of an error, and the request that it names. */
const describe = (error: unknown): string => {
  const { _tag, operation, reason, seqId } = error as Record<string, unknown>
  const of = operation === undefined ? "" : ` of ${String(operation)}:${String(seqId)}`
  return `${String(_tag)}${_tag === "StepRefused" ? ` ${String(reason)}` : ""}${of}`
}

const methods = { reads: "forward", gradient: "forwardBackward", step: "optimStep", load: "loadState" } as const

export const make = (options: { readonly namesRefused?: boolean; readonly dropsFailedSteps?: boolean } = {}) =>
  Effect.gen(function* () {
    const attempts: Array<Attempt> = []
    const retried: Array<string> = []
    const queue = yield* submissionQueue.make({
      client: {
        reportRetries: () => ({
          onRetry: ({ _tag }: TinkerError.TinkerError) => Effect.sync(() => void retried.push(_tag)),
          ended: Effect.void
        })
      } as never,
      limits: {} as never,
      queueState: { observe: () => Effect.void } as never,
      scope: yield* Effect.scope,
      modelId: "model-1",
      namesRefused: options.namesRefused ?? true,
      dropsFailedSteps: options.dropsFailedSteps ?? false,
      name: "TrainingClient",
      attributes: {}
    })
    const operationOf = ({ answer, batch, hasFill, method, parallel, requestCount = 1, role }: Call) => {
      let n = 0
      const name = method ?? methods[role]
      const send = (fills: boolean) => (seqId: number, index: number, sending: Sending) =>
        Effect.suspend(() => {
          const attempt = { method: name, seqId, index, fills, named: sending.headers[refusedSeqIdsHeader] }
          attempts.push(attempt)
          const answered = answer?.(attempt, n++, sending)
          if (answered === undefined) return Effect.succeed({ result: seqId })
          return Effect.isEffect(answered)
            ? Effect.as(answered as Effect.Effect<unknown, TinkerError.TinkerError>, { result: seqId })
            : Effect.fail(answered as TinkerError.TinkerError)
        })
      return {
        method: name,
        type: "OptimStep" as never,
        schema: Schema.Number,
        role,
        requestCount,
        parallel,
        batch,
        send: send(false),
        ...(hasFill === true ? { fill: send(true) } : {}),
        combine: (results: ReadonlyArray<number>) => [...results]
      }
    }
    const submit = (call: Call) => queue.submit(operationOf(call))
    /** Waits for an operation: its results, or what its error says. */
    const end = <E>(future: TinkerFuture.TinkerFuture<ReadonlyArray<number>, E>) =>
      Effect.match(Fiber.join(future), { onFailure: describe, onSuccess: (numbers) => [...numbers] })
    /** What was sent, as `method:number`, with `~` before what changes nothing. */
    const sent = () => attempts.map(({ fills, method, seqId }) => `${fills ? "~" : ""}${method}:${seqId}`)
    return { queue, submit, operationOf, end, attempts, sent, retried }
  })
