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
  /** loss of the batch, divided by its number of weighted tokens; `undefined` where it is not known */
  readonly lossPerToken: number | undefined
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

/** The state of a run after a step. */
interface State {
  readonly done: number
  readonly steps: number
  readonly lossPerToken: number | undefined
  readonly tokensPerSecond: number
  readonly elapsedSeconds: number
}

const lossText = (loss: number | undefined): string =>
  loss === undefined ? "not known" : Number.isFinite(loss) ? loss.toFixed(4) : "not finite"

const describe = ({ done, elapsedSeconds, lossPerToken, steps, tokensPerSecond }: State): string => {
  const left = Math.ceil((elapsedSeconds / done) * Math.max(0, steps - done))
  return [
    `step ${String(done).padStart(String(steps).length)}/${steps}`,
    `loss ${lossText(lossPerToken)}`,
    `${tokensPerSecond} tokens/s`,
    `${clockTime(left)} left`
  ].join("  ")
}

/** Redraws the line of the terminal. On a narrow terminal the bar is shorter, and then the text. */
const redraw = (output: Output, state: State): void => {
  // a terminal of unknown width reports 0
  const columns = output.columns === undefined || output.columns <= 0 ? 80 : output.columns
  const text = describe(state)
  const width = Math.max(0, Math.min(barWidth, columns - 2 - text.length))
  const full = Math.min(width, Math.round((state.done / state.steps) * width))
  const bar = width === 0 ? "" : `${"█".repeat(full)}${"░".repeat(width - full)} `
  output.write(`\r\u001b[2K${`${bar}${text}`.slice(0, Math.max(1, columns - 1))}`)
}

/** Prints about `plainLines` lines per run, among them the first and the last. */
const printLine = (output: Output, state: State): void => {
  const every = Math.max(1, Math.round(state.steps / plainLines))
  if (state.done === 1 || state.done === state.steps || state.done % every === 0) output.write(`${describe(state)}\n`)
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (output: Output): Service => ({
  run: (steps, use) =>
    Effect.flatMap(Clock.currentTimeMillis, (start) => {
      let done = 0
      let tokens = 0
      const elapsedMillis = Effect.map(Clock.currentTimeMillis, (now) => now - start)
      const rateAfter = (millis: number) => (millis > 0 ? Math.round((tokens * 1000) / millis) : 0)
      const step = (step: Step) =>
        Effect.map(elapsedMillis, (millis) => {
          done++
          tokens += step.tokens
          const { lossPerToken } = step
          const state = { done, steps, lossPerToken, tokensPerSecond: rateAfter(millis), elapsedSeconds: millis / 1000 }
          if (output.isTerminal) redraw(output, state)
          else printLine(output, state)
        })
      const endLine = Effect.sync(() => {
        if (output.isTerminal && done > 0) output.write("\n")
      })
      return Effect.ensuring(use({ step, tokensPerSecond: Effect.map(elapsedMillis, rateAfter) }), endLine)
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
