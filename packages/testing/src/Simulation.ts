/**
 * Runs a program in virtual time: as fast as the machine can, with the same outcome for the same seed, and with a count
 * of what it left behind. Nothing needs to move the clock: whenever all fibers wait, time goes on to the next moment at
 * which one of them wakes.
 *
 * ```ts
 * const report = yield* Simulation.run(program, { seed: 7 })
 * report.exit // what the program came to
 * report.millis // how much virtual time it took
 * report.left // fibers and timers that outlived it
 * ```
 *
 * What a program waits for must be fibers and the clock: a socket or a file answers in real time, which does not pass
 * here.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Runtime from "effect/Runtime"
import type * as Scheduler from "effect/Scheduler"
import * as Supervisor from "effect/Supervisor"
import * as Tracer from "effect/Tracer"
import { PCGRandom } from "effect/Utils"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** of `Random` and of the order in which fibers take turns; 0 */
  readonly seed?: number | undefined
  /**
   * `"fair"`: fibers take turns in the order in which they became ready, as they do without a simulation.
   * `"shuffled"`: in an order that the seed decides, which finds what depends on luck.
   */
  readonly turns?: "fair" | "shuffled" | undefined
  /** the program is interrupted when so much virtual time has passed; 30 days */
  readonly limit?: Duration.DurationInput | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Report<A, E> {
  readonly exit: Exit.Exit<A, E>
  /** the virtual time that passed */
  readonly millis: number
  /**
   * `"stuck"`: all fibers waited and no timer was set; `"late"`: the limit passed. Both were interrupted. `"spinning"`:
   * fibers went on and on without time going on; they were abandoned.
   */
  readonly ended: "done" | "stuck" | "late" | "spinning"
  /** what was still there when the program had ended */
  readonly left: {
    /** the number of each such fiber, and the span in which it was */
    readonly fibers: ReadonlyArray<string>
    readonly timers: number
  }
}

interface Timer {
  readonly at: number
  readonly order: number
  readonly wake: () => void
}

const placeOf = (fiber: Fiber.RuntimeFiber<unknown, unknown>): string => {
  const span = Context.getOption(fiber.getFiberRef(FiberRef.currentContext), Tracer.ParentSpan)
  const where = Option.exists(span, (span) => span._tag === "Span") ? (span as Option.Some<Tracer.Span>).value.name : ""
  return `${FiberId.threadName(fiber.id())}${where === "" ? "" : ` in ${where}`}`
}

/** The fibers that started and have not ended. */
class Living extends Supervisor.AbstractSupervisor<ReadonlySet<Fiber.RuntimeFiber<unknown, unknown>>> {
  readonly fibers = new Set<Fiber.RuntimeFiber<unknown, unknown>>()

  override get value() {
    return Effect.sync(() => this.fibers)
  }
  override onStart<A, E, R>(
    _context: Context.Context<R>,
    _effect: Effect.Effect<A, E, R>,
    _parent: Option.Option<Fiber.RuntimeFiber<unknown, unknown>>,
    fiber: Fiber.RuntimeFiber<A, E>
  ): void {
    this.fibers.add(fiber as Fiber.RuntimeFiber<unknown, unknown>)
  }
  override onEnd<A, E>(_exit: Exit.Exit<A, E>, fiber: Fiber.RuntimeFiber<A, E>): void {
    this.fibers.delete(fiber as Fiber.RuntimeFiber<unknown, unknown>)
  }
}

/**
 * Runs an effect that can ask which of the fibers that it started, and those started in turn, are there still.
 *
 * @since 0.1.0
 * @category running
 */
export const counting = <A, E, R>(
  effect: (left: Effect.Effect<ReadonlyArray<string>>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const living = new Living()
    return Effect.supervised(effect(Effect.sync(() => Array.from(living.fibers, placeOf))), living)
  })

// more than any program that gets somewhere takes at one moment
const maxTurns = 100_000

class Turns implements Scheduler.Scheduler {
  private tasks: Array<Scheduler.Task> = []
  private at = 0
  private readonly chance: PCGRandom | undefined

  constructor(chance: PCGRandom | undefined) {
    this.chance = chance
  }
  shouldYield(fiber: Fiber.RuntimeFiber<unknown, unknown>): number | false {
    return fiber.currentOpCount > 2048 ? 0 : false
  }
  scheduleTask(task: Scheduler.Task): void {
    this.tasks.push(task)
  }
  /** runs all that is ready, and all that this makes ready; false if that finds no end */
  drain(): boolean {
    let left = maxTurns
    while (this.at < this.tasks.length) {
      if (left-- === 0) return false
      if (this.chance !== undefined) {
        const other = this.at + this.chance.integer(this.tasks.length - this.at)
        const task = this.tasks[other]!
        this.tasks[other] = this.tasks[this.at]!
        this.tasks[this.at] = task
      }
      const task = this.tasks[this.at]!
      this.at++
      task()
      if (this.at > 1024) {
        this.tasks.splice(0, this.at)
        this.at = 0
      }
    }
    this.tasks = []
    this.at = 0
    return true
  }
}

class VirtualClock implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  now = 0
  private order = 0
  readonly timers = new Set<Timer>()

  unsafeCurrentTimeMillis(): number {
    return this.now
  }
  readonly currentTimeMillis: Effect.Effect<number> = Effect.sync(() => this.now)
  unsafeCurrentTimeNanos(): bigint {
    return BigInt(Math.round(this.now * 1e6))
  }
  readonly currentTimeNanos: Effect.Effect<bigint> = Effect.sync(() => this.unsafeCurrentTimeNanos())
  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      const millis = Duration.toMillis(duration)
      // whole milliseconds, as clocks and timers have them
      const timer: Timer = { at: Math.ceil(this.now + millis), order: this.order++, wake: () => resume(Effect.void) }
      // what sleeps for ever is no reason for time to go on
      if (Number.isFinite(timer.at)) this.timers.add(timer)
      return Effect.sync(() => {
        this.timers.delete(timer)
      })
    })
  }
  get next(): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.timers) {
      if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer
    }
    return next
  }
}

const died = (message: string): Cause.Cause<never> => (Exit.die(new Error(message)) as Exit.Failure<never, never>).cause

// for what a program that was interrupted does before it ends
const graceMillis = 3_600_000

const simulate = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options: Options,
  runtime: Runtime.Runtime<R>
): Report<A, E> => {
  const seed = options.seed ?? 0
  const turns = new Turns(options.turns === "shuffled" ? new PCGRandom(seed) : undefined)
  const clock = new VirtualClock()
  const living = new Living()
  const limit = Duration.toMillis(options.limit ?? "30 days")
  const root = Runtime.runFork(runtime)(
    effect.pipe(
      Effect.withRandom(Random.make(`simulation ${seed}`)),
      Effect.withClock(clock),
      Effect.supervised(living)
    ),
    { scheduler: turns }
  )
  let ended: Report<A, E>["ended"] = "done"
  let goesOn = turns.drain()
  let wakes = 0
  while (goesOn && root.unsafePoll() === null) {
    const timer = clock.next
    if (ended === "done" && (timer === undefined || timer.at > limit)) {
      ended = timer === undefined ? "stuck" : "late"
      root.unsafeInterruptAsFork(root.id())
    } else if (timer === undefined || timer.at > limit + graceMillis) {
      break
    } else {
      clock.timers.delete(timer)
      wakes = timer.at > clock.now ? 0 : wakes + 1
      clock.now = Math.max(clock.now, timer.at)
      timer.wake()
    }
    goesOn = turns.drain() && wakes < maxTurns
  }
  if (!goesOn) ended = "spinning"
  const exit =
    root.unsafePoll() ?? Exit.failCause(died(`the program is ${ended}, and cannot be interrupted where it is`))
  return {
    exit,
    millis: clock.now,
    ended,
    left: { fibers: Array.from(living.fibers, placeOf), timers: clock.timers.size }
  }
}

/**
 * Runs a program to its end, in virtual time. It never fails: the report says how the program ended.
 *
 * @since 0.1.0
 * @category running
 */
export const run = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options: Options = {}
): Effect.Effect<Report<A, E>, never, R> =>
  Effect.map(Effect.runtime<R>(), (runtime) => simulate(effect, options, runtime))
