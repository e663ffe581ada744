/** The border between functions that throw refusals, or wait for the tokens of a long text, and Effects. */
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"
import { RendererError } from "./model.ts"

type Tokens = ReadonlyArray<number>

/** Texts beyond are encoded in steps, so that they do not hold the event loop. */
const longest = 20_000

/** Thrown where the tokens of a long text are needed: the attempt is made again when it has them. */
class Awaits {
  readonly tokenizer: Tokenizer.Service
  readonly text: string
  readonly options: Tokenizer.EncodeOptions
  constructor(tokenizer: Tokenizer.Service, text: string, options: Tokenizer.EncodeOptions) {
    this.tokenizer = tokenizer
    this.text = text
    this.options = options
  }
}

type LongTexts = Map<string, Tokens>

/** The tokens of long texts that the running attempt has. An attempt runs at once, so that there is never a second one. */
let current: LongTexts | undefined

/** The tokens of a text. Inside of an attempt, a long one is encoded in steps. @internal */
export const encode = (tokenizer: Tokenizer.Service, text: string, options: Tokenizer.EncodeOptions): Tokens => {
  if (current === undefined || text.length <= longest) return tokenizer.encode(text, options)
  const found = current.get(keyOf(text, options))
  if (found === undefined) throw new Awaits(tokenizer, text, options)
  return found
}

const keyOf = (text: string, { addSpecialTokens = true, splitSpecialTokens = false }: Tokenizer.EncodeOptions) =>
  `${addSpecialTokens} ${splitSpecialTokens} ${text}`

const runWith = <A>(known: LongTexts, run: () => A): A => {
  const before = current
  current = known
  try {
    return run()
  } finally {
    current = before
  }
}

const attemptWith = <A>(known: LongTexts, run: () => A): Effect.Effect<A, RendererError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(runWith(known, run))
    } catch (error) {
      if (error instanceof RendererError) return Effect.fail(error)
      if (!(error instanceof Awaits)) return Effect.die(error)
      const { options, text, tokenizer } = error
      return Effect.flatMap(tokenizer.encodeInSteps(text, options), (tokens) =>
        attemptWith(known.set(keyOf(text, options), tokens), run)
      )
    }
  })

/** Runs what may refuse, and what may need the tokens of long texts. @internal */
export const attempt = <A>(run: () => A): Effect.Effect<A, RendererError> =>
  Effect.suspend(() => attemptWith(new Map(), run))
