/** The result of one check of `tinker doctor`, and how checks report results. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { describe } from "../errors/describe.ts"
import * as Io from "../terminal/io.ts"
import type * as output from "../terminal/output.ts"

/** @internal */
export interface Check {
  readonly name: string
  readonly status: "ok" | "warning" | "failed" | "skipped"
  readonly detail: string
  /** How to fix it. */
  readonly advice?: string | undefined
}

/** Collects results, in order. @internal */
export interface Reporter {
  readonly report: (check: Check) => Effect.Effect<void>
  readonly checks: ReadonlyArray<Check>
}

const marks = { ok: "✓", warning: "!", failed: "✗", skipped: "-" } as const

const line = ({ advice, detail, name, status }: Check): string =>
  `${marks[status]} ${name}: ${detail}${advice === undefined ? "" : ` → ${advice}`}`.replace(/\s+/g, " ")

/** A reporter that also prints each result at once, unless the output is JSON. @internal */
export const makeReporter = (format: output.Format): Effect.Effect<Reporter, never, Io.Io> =>
  Effect.map(Io.Io, (io) => {
    const checks: Array<Check> = []
    return {
      checks,
      report: (check) =>
        Effect.suspend(() => {
          checks.push(check)
          return format === "json" ? Effect.void : io.out(`${line(check)}\n`)
        })
    }
  })

/** @internal */
export const ok = ({ report }: Reporter, name: string, detail: string) => report({ name, status: "ok", detail })

/** @internal */
export const failed = ({ report }: Reporter, name: string, error: unknown, advice: string | undefined) =>
  report({ name, status: "failed", detail: describe(error), advice })

/** @internal */
export const skip = ({ report }: Reporter, names: ReadonlyArray<string>, reason: string) =>
  Effect.forEach(names, (name) => report({ name, status: "skipped", detail: reason }), { discard: true })

/** Runs an effect, and measures how long it takes in milliseconds. @internal */
export const timed = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const start = yield* Clock.currentTimeMillis
    const value = yield* self
    return [(yield* Clock.currentTimeMillis) - start, value] as const
  })
