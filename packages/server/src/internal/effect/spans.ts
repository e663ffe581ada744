/** Spans of what runs for every sample, at less cost than those of `Effect.withSpan`. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Tracer from "effect/Tracer"
import { updateContext } from "./runtime.ts"

const run = <A, E, R>(
  name: string,
  options: Tracer.SpanOptions,
  use: (span: Tracer.Span) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.makeSpan(name, { ...options, captureStackTrace: false }), (span) =>
      Effect.clockWith((clock) => {
        const end = (exit: Exit.Exit<A, E>): Exit.Exit<A, E> => {
          span.end(clock.unsafeCurrentTimeNanos(), exit)
          return exit
        }
        return Effect.matchCauseEffect(restore(use(span)), {
          onFailure: (cause) => end(Exit.failCause(cause)),
          onSuccess: (value) => end(Exit.succeed(value))
        })
      })
    )
  )

/** Runs an effect that makes no spans of its own with a span, which does not become the current one. @internal */
export const beside = <A, E, R>(name: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  run(name, {}, () => effect)

/** Runs an effect under a span, and with what else `update` adds to its context. @internal */
export const under = <A, E, R>(
  name: string,
  options: Tracer.SpanOptions,
  effect: Effect.Effect<A, E, R>,
  update: (context: Context.Context<R>) => Context.Context<R> = (context) => context
): Effect.Effect<A, E, R> =>
  run(name, options, (span) =>
    updateContext(effect, (context: Context.Context<R>) => update(Context.add(context, Tracer.ParentSpan, span)))
  )
