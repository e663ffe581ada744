/**
 * Progress of a training run: a bar that is redrawn on a terminal, or a few lines elsewhere.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/**
 * Where progress is written, usually standard error.
 *
 * @since 0.1.0
 * @category models
 */
export interface Output {
  readonly write: (text: string) => void
  readonly isTerminal: boolean
  /** width of the terminal, 80 by default */
  readonly columns?: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Step {
  /** loss of the batch, divided by its number of weighted tokens */
  readonly lossPerToken: number
  /** number of tokens that the step trained on */
  readonly tokens: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Run {
  /** Reports that a step is done. */
  readonly step: (step: Step) => Effect.Effect<void>
  /** tokens per second since the run started */
  readonly tokensPerSecond: Effect.Effect<number>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Shows the progress of an effect that runs `steps` steps. The last state stays visible when the effect ends. */
  readonly run: <A, E, R>(steps: number, use: (run: Run) => Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Progress extends Context.Tag("@effect-tinker/cookbook/Progress")<Progress, Service>() {}

const barWidth = 24

const clockTime = (seconds: number): string =>
  `${Math.floor(seconds / 60)}:${String(Math.round(seconds) % 60).padStart(2, "0")}`

/** The number of lines to print for a run without a terminal. */
const plainLines = 16

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (output: Output): Service => ({
  run: (steps, use) =>
    Effect.gen(function* () {
      const begun = yield* Clock.currentTimeMillis
      // a terminal that does not know its width says 0
      const columns = output.columns === undefined || output.columns <= 0 ? 80 : output.columns
      const every = Math.max(1, Math.round(steps / plainLines))
      let done = 0
      let tokens = 0

      const rate = Effect.map(Clock.currentTimeMillis, (now) =>
        now > begun ? Math.round((tokens * 1000) / (now - begun)) : 0
      )

      const show = (lossPerToken: number) =>
        Effect.gen(function* () {
          const elapsed = ((yield* Clock.currentTimeMillis) - begun) / 1000
          const left = Math.ceil((elapsed / done) * Math.max(0, steps - done))
          const facts = [
            `step ${String(done).padStart(String(steps).length)}/${steps}`,
            `loss ${lossPerToken.toFixed(4)}`,
            `${yield* rate} tokens/s`,
            `${clockTime(left)} left`
          ].join("  ")
          if (!output.isTerminal) {
            if (done === 1 || done === steps || done % every === 0) output.write(`${facts}\n`)
            return
          }
          // where the line is short, the facts come before the bar
          const width = Math.max(0, Math.min(barWidth, columns - 2 - facts.length))
          const full = Math.min(width, Math.round((done / steps) * width))
          const bar = width === 0 ? "" : `${"█".repeat(full)}${"░".repeat(width - full)} `
          output.write(`\r\u001b[2K${`${bar}${facts}`.slice(0, Math.max(1, columns - 1))}`)
        })

      const end = Effect.sync(() => {
        if (output.isTerminal && done > 0) output.write("\n")
      })

      return yield* Effect.ensuring(
        use({
          step: (step) =>
            Effect.suspend(() => {
              done++
              tokens += step.tokens
              return show(step.lossPerToken)
            }),
          tokensPerSecond: rate
        }),
        end
      )
    })
})

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (output: Output): Layer.Layer<Progress> => Layer.sync(Progress, () => make(output))

/**
 * Writes nothing.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerSilent: Layer.Layer<Progress> = layer({ write: () => undefined, isTerminal: false })
