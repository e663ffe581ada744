/** A scheduler that runs its tasks on `drain`, in order or shuffled by a seed. */
import type { PCGRandom } from "effect/Utils"
import { type Scheduler, shouldYield, type Task } from "../effect/runtime.ts"

/** More tasks than any program with progress runs at one moment, if few of its fibers are ready at once. @internal */
export const maxTurns = 100_000

/** Programs of very many fibers run so many tasks more for each that was ready at once. */
const turnsPerTask = 20
const mostTasks = 200_000

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
    let most = 0
    for (let turns = 0; this.position < this.tasks.length; turns++) {
      most = Math.max(most, Math.min(this.tasks.length - this.position, mostTasks))
      if (turns >= maxTurns + turnsPerTask * most) return false
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
