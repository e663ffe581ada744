/** Runs no processes: a CommandExecutor whose commands print what the test says, on TestClock. */
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import { Clock, Context, Effect, Encoding, Layer, Stream } from "effect"

/** What one run of the command does. */
export interface Run {
  readonly output?: string
  readonly exitCode?: number
}

export interface Commands {
  readonly layer: Layer.Layer<CommandExecutor.CommandExecutor>
  /** when each run began, in milliseconds of the clock */
  readonly runs: Effect.Effect<ReadonlyArray<number>>
}

/** `step` gets the number of the run, from 0, and may take time. */
export const make = (step: (run: number) => Effect.Effect<Run>): Effect.Effect<Commands> =>
  Effect.sync(() => {
    const runs: Array<number> = []
    const executor = CommandExecutor.makeExecutor(() =>
      Effect.gen(function* () {
        const run = runs.push(yield* Clock.currentTimeMillis) - 1
        const done = yield* Effect.cached(step(run))
        const process: Pick<CommandExecutor.Process, "exitCode" | "kill" | "stdout"> = {
          exitCode: Effect.map(done, ({ exitCode }) => CommandExecutor.ExitCode(exitCode ?? 0)),
          kill: () => Effect.void,
          stdout: Stream.fromEffect(Effect.map(done, ({ output }) => new TextEncoder().encode(output ?? "")))
        }
        return process as CommandExecutor.Process
      })
    )
    return {
      layer: Layer.succeedContext(Context.make(CommandExecutor.CommandExecutor, executor)),
      runs: Effect.sync(() => runs.slice())
    }
  })

/** A token with these claims; times are in seconds since the epoch. */
export const token = (claims: Record<string, unknown>) =>
  `eyJhbGciOiJub25lIn0.${Encoding.encodeBase64Url(JSON.stringify(claims))}.c2ln`
