/** Keeps sequences to the JSON of a schema: which tokens may come next. */
import type * as Engine from "@effect-tinker/server/Engine"
import type * as XGrammar from "@mlc-ai/web-xgrammar"
import * as Effect from "effect/Effect"
import type { LoadedModel } from "../model/loaded.ts"
import { userError } from "../util/errors.ts"
import { lastFailure, library } from "./library.ts"
import { type Spelling, Text, Tokens } from "./utf8.ts"

/** What one sequence may continue with. @internal */
export interface Constraint {
  /** Computes what may come next: before the first token, and after each. */
  readonly refresh: () => Promise<void>
  /** Sets the logits of the tokens that may not come next to -Infinity. Returns whether any may. */
  readonly apply: (logits: Float32Array) => boolean
  readonly accept: (token: number) => void
  readonly dispose: () => void
}

class Matcher implements Constraint {
  private readonly matcher: XGrammar.GrammarMatcher
  private readonly text: Text
  private mask: Int32Array = new Int32Array(0)

  constructor(matcher: XGrammar.GrammarMatcher, tokens: Tokens) {
    this.matcher = matcher
    this.text = new Text(tokens)
  }

  async refresh(): Promise<void> {
    if (this.matcher.isTerminated()) return
    // where the library fails, no token may come next, and the sequence ends with an error
    this.mask = await this.matcher.getNextTokenBitmask().catch(() => new Int32Array(0))
  }

  apply(logits: Float32Array): boolean {
    const utf8 = this.text.mask
    let isAny = false
    for (let token = 0; token < logits.length; token++) {
      const word = (this.mask[token >> 5] ?? 0) & (utf8[token >> 5] ?? 0)
      if (((word >>> (token & 31)) & 1) === 0) logits[token] = -Infinity
      else isAny = true
    }
    return isAny
  }

  accept(token: number): void {
    this.matcher.acceptToken(token)
    this.text.accept(token)
  }

  dispose(): void {
    this.matcher.dispose()
  }
}

interface Compiler {
  readonly compiler: XGrammar.GrammarCompiler
  readonly tokens: Tokens
}

const compilers = new WeakMap<LoadedModel, Promise<Compiler>>()

/** The spelling of tokens in the vocabulary, by that of a space. */
const spellingOf = (space: string): Spelling =>
  space.includes("Ġ") ? "byte_level" : space.includes("▁") ? "byte_fallback" : "raw"

/**
 * Whether a token may be part of JSON on one line: special ones have no text, and the grammar takes control characters
 * in strings, which JSON does not.
 */
const isPartOfJson = (text: string): boolean => text !== "" && Array.from(text).every((char) => char >= " ")

const makeCompiler = async (model: LoadedModel, stop: ReadonlyArray<number>): Promise<Compiler> => {
  const { GrammarCompiler, TokenizerInfo } = await library()
  const tokenizer = model.directory.tokenizer!
  const { vocab_size } = model.config
  const vocabulary = Array.from({ length: vocab_size }, (_, id) => {
    const token = tokenizer.idToToken(id) ?? ""
    return token !== "" && isPartOfJson(tokenizer.decode([id], { skipSpecialTokens: true })) ? token : ""
  })
  const space = tokenizer.encode("a b").map((id) => tokenizer.idToToken(id) ?? "")
  const spelling = spellingOf(space.join(""))
  const info = await TokenizerInfo.createTokenizerInfo(vocabulary, spelling, false, vocab_size, [...stop])
  return { compiler: await GrammarCompiler.createGrammarCompiler(info), tokens: new Tokens(vocabulary, spelling) }
}

const compilerOf = (model: LoadedModel): Promise<Compiler> => {
  const known = compilers.get(model) ?? makeCompiler(model, model.directory.eos_token_ids)
  compilers.set(model, known)
  return known
}

/** How the library is told that there are no lines. */
const withoutIndent = -1

/** An object of any kind; in all others, what a schema does not name is left out. */
const isAnyObject = (schema: string): boolean => schema === '{"type":"object"}'

const makeAll = async (model: LoadedModel, schema: string, count: number, stop: ReadonlyArray<number>) => {
  const { GrammarMatcher } = await library()
  const { compiler, tokens } = await compilerOf(model)
  const compiled = await compiler.compileJSONSchema(schema, false, withoutIndent, undefined, !isAnyObject(schema))
  const matchers = Array.from({ length: count }, () => GrammarMatcher.createGrammarMatcher(compiled, [...stop]))
  const all = (await Promise.all(matchers)).map((matcher) => new Matcher(matcher, tokens))
  compiled.dispose()
  await Promise.all(all.map((constraint) => constraint.refresh()))
  return all
}

/** A constraint for each sequence of a request. Fails if the schema cannot be compiled. @internal */
export const make = (
  model: LoadedModel,
  schema: string,
  count: number,
  stop: Engine.SampleOptions["sampling_params"]["stop"]
): Effect.Effect<ReadonlyArray<Constraint>, Engine.EngineError> => {
  if (model.directory.tokenizer === undefined) {
    return userError(`${model.name} has no tokenizer.json, so it cannot be kept to a JSON schema`)
  }
  const given = typeof stop === "string" ? [] : (stop ?? []).filter((item) => typeof item === "number")
  // a request that names tokens reads its sequences up to one of those: another end would be a part of the text
  const stops = given.length > 0 ? [...new Set(given)] : model.directory.eos_token_ids
  if (stops.length === 0) {
    return userError(`${model.name} has no token that ends a text: give one in stop, so that JSON can end`)
  }
  return Effect.tryPromise({
    try: () => makeAll(model, schema, count, stops),
    catch: (error) => {
      const reason = lastFailure() ?? (error instanceof Error ? error.message : undefined)
      return userError(`json_schema cannot be compiled${reason === undefined ? "" : `: ${reason}`}`)
    }
  })
}
