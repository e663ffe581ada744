/** Loads the grammar engine, whose module is made for browsers: it leaves its exports in a global, and asks where it is. */
import { importModule, isAvailable } from "#grammar-module"
import type * as XGrammar from "@mlc-ai/web-xgrammar"

/** Whether there is one on this platform. @internal */
export { isAvailable }

interface Globals {
  xgrammar?: typeof XGrammar
  location?: unknown
  readonly console: { error: (...texts: ReadonlyArray<unknown>) => void }
}

let loaded: Promise<typeof XGrammar> | undefined
let failure: string | undefined

/** Why the library failed last, in its words; taken once. @internal */
export const lastFailure = (): string | undefined => {
  const last = failure
  failure = undefined
  return last
}

const isOfLibrary = (text: unknown): text is string => typeof text === "string" && /^(?:\[FATAL\]|Aborted\()/.test(text)

/** A line that the library writes before it fails, without the place in its sources and the condition that it checked. */
const reasonOf = (line: string): string =>
  line
    .replace(/^\[FATAL\] \S+:\d+: /, "")
    .replace(/^Check failed: .*? is (?:true|false): /s, "")
    .replace(/\s+/g, " ")
    .slice(0, 300)

/**
 * The library takes the function that writes errors when it starts, and writes one before it fails. It is given one that
 * remembers its lines, and passes on those of others.
 */
const withErrors = async <A>({ console: output }: Globals, start: () => Promise<A>): Promise<A> => {
  const original = output.error
  output.error = (...texts) => {
    const [text] = texts
    if (!isOfLibrary(text)) original.apply(output, [...texts])
    else if (text.startsWith("[FATAL]")) failure = reasonOf(text)
  }
  try {
    return await start()
  } finally {
    output.error = original
  }
}

/** Outside of browsers it asks for its location when it is first used, and only to find Node's modules. */
const load = async (): Promise<typeof XGrammar> => {
  const globals = globalThis as unknown as Globals
  const isMissing = globals.location === undefined
  if (isMissing) globals.location = { href: "file:///xgrammar.js" }
  try {
    const module = (await importModule()) as Partial<typeof XGrammar>
    const library = module.GrammarCompiler === undefined ? globals.xgrammar! : (module as typeof XGrammar)
    await withErrors(globals, () => library.Grammar.builtinJSONGrammar())
    return library
  } finally {
    if (isMissing) delete globals.location
  }
}

/** @internal */
export const library = (): Promise<typeof XGrammar> => (loaded ??= load())
