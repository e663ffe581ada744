/** Runs a program in virtual time: whenever all of its fibers wait, the clock moves to the next timer. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import { PCGRandom } from "effect/Utils"
import { forkOnScheduler, makeFiberTracker, type RootFiber } from "../effect/runtime.ts"
import { maxTurns, TurnScheduler } from "./turnScheduler.ts"
import { VirtualClock } from "./virtualClock.ts"

/** @internal */
export interface SimulationOptions {
  readonly seed: number
  readonly shuffled: boolean
  /** the program is interrupted when this much virtual time has passed */
  readonly limitMillis: number
  /** the program is interrupted when this much real time has passed */
  readonly realLimitMillis: number
}

/** @internal */
export type Ending = "done" | "stuck" | "late" | "slow" | "spinning"

// virtual time that an interrupted program gets for its finalizers
const graceMillis = 3_600_000

// real time between two turns of the event loop, so that timeouts and signals of the test run work
const sliceMillis = 50

/** The clock of the machine, whatever the clock of the caller is. */
const realClock = Clock.make()

const turnOfEventLoop = Effect.withClock(Effect.sleep(0), realClock)

/** How many fibers a text names. */
const mostNamed = 100

const namesOf = (fibers: ReadonlyArray<string>): string =>
  fibers.length <= mostNamed
    ? fibers.join(", ")
    : `${fibers.slice(0, mostNamed).join(", ")} and ${fibers.length - mostNamed} more`

/** The exit of a program that was interrupted says what it waited for. */
const explain = <A, E>(
  exit: Exit.Exit<A, E> | null,
  ended: Ending,
  waiting: ReadonlyArray<string>
): Exit.Exit<A, E> => {
  if (ended === "done" && exit !== null) return exit
  const what = waiting.length === 0 ? "no fiber waits" : `these fibers wait: ${namesOf(waiting)}`
  const unresponsive = exit === null ? ", and does not respond to interruption" : ""
  const explanation = Cause.die(new Error(`the program is ${ended}${unresponsive}: ${what}`))
  if (exit === null) return Exit.failCause(explanation)
  return Exit.isSuccess(exit) ? exit : Exit.failCause(Cause.sequential(exit.cause, explanation))
}

/** @internal */
export const simulate = <A, E, R>(effect: Effect.Effect<A, E, R>, options: SimulationOptions) =>
  Effect.suspend(() => {
    const { seed, shuffled } = options
    const scheduler = new TurnScheduler(shuffled ? new PCGRandom(seed) : undefined)
    const clock = new VirtualClock()
    const fibers = makeFiberTracker()
    const program = effect.pipe(
      Effect.withRandom(Random.make(`simulation ${seed}`)),
      Effect.withClock(clock),
      fibers.track
    )
    return Effect.flatMap(forkOnScheduler(program, scheduler), (root) => {
      const drive = new Drive(root, scheduler, clock, options, fibers.live)
      return Effect.map(
        Effect.onInterrupt(drive.run, () => Effect.sync(() => root.interrupt())),
        () => ({
          exit: explain(root.poll(), drive.ended, drive.waiting),
          millis: clock.now,
          ended: drive.ended,
          waiting: drive.waiting,
          left: { fibers: fibers.live(), timers: clock.timers.size }
        })
      )
    })
  })

/** Drives the program until it ends, or cannot be interrupted. */
class Drive {
  ended: Ending = "done"
  /** the fibers that waited when the program was interrupted */
  waiting: ReadonlyArray<string> = []
  private readonly root: RootFiber<unknown, unknown>
  private readonly scheduler: TurnScheduler
  private readonly clock: VirtualClock
  private readonly options: SimulationOptions
  private readonly live: () => ReadonlyArray<string>
  private readonly startMillis = realClock.unsafeCurrentTimeMillis()
  /** how many timers woke without moving the time */
  private wakes = 0

  constructor(
    root: RootFiber<unknown, unknown>,
    scheduler: TurnScheduler,
    clock: VirtualClock,
    options: SimulationOptions,
    live: () => ReadonlyArray<string>
  ) {
    this.root = root
    this.scheduler = scheduler
    this.clock = clock
    this.options = options
    this.live = live
  }

  /** A slice of real time, then a turn of the event loop, until the end. */
  readonly run: Effect.Effect<void> = Effect.suspend(() => {
    const until = realClock.unsafeCurrentTimeMillis() + sliceMillis
    let goesOn = this.drain()
    while (goesOn && realClock.unsafeCurrentTimeMillis() < until) goesOn = this.advance()
    return goesOn ? Effect.flatMap(turnOfEventLoop, () => this.run) : Effect.void
  })

  private interrupt(ended: Ending): void {
    this.ended = ended
    this.waiting = [this.root.describe(), ...this.live()]
    this.root.interrupt()
  }

  /** Runs what is ready. `false`: the program has ended, or runs without end. */
  private drain(): boolean {
    if (!this.scheduler.drain() || this.wakes >= maxTurns) {
      this.ended = "spinning"
      this.waiting = [this.root.describe(), ...this.live()]
      return false
    }
    return this.root.poll() === null
  }

  /** Moves the time to the next timer, or interrupts the program. `false`: it has ended, or nothing more will happen. */
  private advance(): boolean {
    const { limitMillis, realLimitMillis } = this.options
    const timer = this.clock.next
    const isSlow = realClock.unsafeCurrentTimeMillis() - this.startMillis > realLimitMillis
    if (this.ended === "done" && (isSlow || timer === undefined || timer.at > limitMillis)) {
      this.interrupt(isSlow ? "slow" : timer === undefined ? "stuck" : "late")
    } else if (timer === undefined || timer.at > limitMillis + graceMillis) {
      return false
    } else {
      this.wakes = timer.at > this.clock.now ? 0 : this.wakes + 1
      this.clock.advanceTo(timer)
    }
    return this.drain()
  }
}
