/** Spans of what runs for every sample, at less cost than those of `Effect.withSpan`. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Tracer from "effect/Tracer"

const run = <A, E, R>(name: string, use: (span: Tracer.Span) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.makeSpan(name, { captureStackTrace: false }), (span) =>
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
  run(name, () => effect)

/** Runs an effect under a span, and with a service. @internal */
export const under = <A, E, R, I, S>(
  name: string,
  effect: Effect.Effect<A, E, R>,
  tag: Context.Tag<I, S> | Context.Reference<I, S>,
  service: S
): Effect.Effect<A, E, Exclude<R, I>> =>
  run(name, (span) =>
    Effect.mapInputContext(
      effect,
      (context: Context.Context<Exclude<R, I>>) =>
        Context.add(
          Context.add(context, Tracer.ParentSpan, span),
          tag as Context.Tag<I, S>,
          service
        ) as Context.Context<R>
    )
  )
