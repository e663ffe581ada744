/** The parts of Effect's runtime that change with Effect 4, in one place: runtimes, schedulers, fiber refs, supervisors. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import type * as EffectScheduler from "effect/Scheduler"
import * as Supervisor from "effect/Supervisor"
import * as Tracer from "effect/Tracer"

/** Decides when the tasks of fibers run. @internal */
export interface Scheduler extends EffectScheduler.Scheduler {}

/** @internal */
export type Task = EffectScheduler.Task

/** Whether a fiber yields to others, now that it has run so many operations; 0 is the priority of its next task. @internal */
export const shouldYield: Scheduler["shouldYield"] = (fiber) => (fiber.currentOpCount > 2048 ? 0 : false)

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** The fibers that have started and not ended. */
class LiveFibers extends Supervisor.AbstractSupervisor<ReadonlySet<AnyFiber>> {
  readonly fibers = new Set<AnyFiber>()

  override get value() {
    return Effect.sync(() => this.fibers)
  }
  override onStart<A, E, R>(
    _context: Context.Context<R>,
    _effect: Effect.Effect<A, E, R>,
    _parent: Option.Option<AnyFiber>,
    fiber: Fiber.RuntimeFiber<A, E>
  ): void {
    this.fibers.add(fiber as AnyFiber)
  }
  override onEnd<A, E>(_exit: Exit.Exit<A, E>, fiber: Fiber.RuntimeFiber<A, E>): void {
    this.fibers.delete(fiber as AnyFiber)
  }
}

/** The number of a fiber, and the name of the span in which it was forked. */
const describe = (fiber: AnyFiber): string => {
  const span = Context.getOption(fiber.getFiberRef(FiberRef.currentContext), Tracer.ParentSpan)
  const name = Option.exists(span, (span) => span._tag === "Span") ? (span as Option.Some<Tracer.Span>).value.name : ""
  return `${FiberId.threadName(fiber.id())}${name === "" ? "" : ` in ${name}`}`
}

/** Tracks the fibers that an effect forks, directly and indirectly. @internal */
export interface FiberTracker {
  readonly track: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** descriptions of the fibers that have not ended */
  readonly live: () => ReadonlyArray<string>
}

/** @internal */
export const makeFiberTracker = (): FiberTracker => {
  const supervisor = new LiveFibers()
  return {
    track: (effect) => Effect.supervised(effect, supervisor),
    live: () => Array.from(supervisor.fibers, describe)
  }
}

/**
 * Captures the current supervisor. The function runs effects under that supervisor, so that trackers that are added later
 * do not see their fibers.
 *
 * @internal
 */
export const captureSupervisor: Effect.Effect<<A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>> =
  Effect.map(
    FiberRef.get(FiberRef.currentSupervisor),
    (supervisor) => (effect) => Effect.locally(effect, FiberRef.currentSupervisor, supervisor)
  )

/** A fiber that is driven from outside of Effect. @internal */
export interface RootFiber<A, E> {
  readonly poll: () => Exit.Exit<A, E> | null
  readonly interrupt: () => void
  /** its number, and its current span */
  readonly describe: () => string
}

/** Forks an effect whose fibers run on a scheduler, with the services of the calling fiber. @internal */
export const forkOnScheduler = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  scheduler: Scheduler
): Effect.Effect<RootFiber<A, E>, never, R> =>
  Effect.map(Effect.runtime<R>(), (runtime) => {
    const fiber = Runtime.runFork(runtime)(effect, { scheduler })
    return {
      poll: () => fiber.unsafePoll(),
      interrupt: () => fiber.unsafeInterruptAsFork(fiber.id()),
      describe: () => describe(fiber as AnyFiber)
    }
  })
