/** A scheduler that runs its tasks on `drain`, in order or shuffled by a seed. */
import type { PCGRandom } from "effect/Utils"
import { type Scheduler, shouldYield, type Task } from "../effect/runtime.ts"

/** More tasks than any program with progress runs at one moment. @internal */
export const maxTurns = 100_000

/** @internal */
export class TurnScheduler implements Scheduler {
  private tasks: Array<Task> = []
  private position = 0
  private readonly random: PCGRandom | undefined

  /** Without `random`, tasks run in the order in which they were scheduled. */
  constructor(random: PCGRandom | undefined) {
    this.random = random
  }

  readonly shouldYield = shouldYield

  scheduleTask(task: Task): void {
    this.tasks.push(task)
  }

  /** Runs the scheduled tasks, and those that they schedule; `false` if there is no end to them. */
  drain(): boolean {
    let left = maxTurns
    while (this.position < this.tasks.length) {
      if (left-- === 0) return false
      if (this.random !== undefined) this.swap(this.random.integer(this.tasks.length - this.position))
      const task = this.tasks[this.position]!
      this.position++
      task()
      if (this.position > 1024) {
        this.tasks.splice(0, this.position)
        this.position = 0
      }
    }
    this.tasks = []
    this.position = 0
    return true
  }

  /** Swaps the next task with the one `offset` places behind it. */
  private swap(offset: number): void {
    const other = this.position + offset
    const task = this.tasks[other]!
    this.tasks[other] = this.tasks[this.position]!
    this.tasks[this.position] = task
  }
}
