/** Loads the grammar engine, whose module is made for browsers: it leaves its exports in a global, and asks where it is. */
import { importModule } from "#grammar-module"
import type * as XGrammar from "@mlc-ai/web-xgrammar"

interface Globals {
  xgrammar?: typeof XGrammar
  location?: unknown
}

let loaded: Promise<typeof XGrammar> | undefined

/** Outside of browsers it asks for its location when it is first used, and only to find Node's modules. */
const load = async (): Promise<typeof XGrammar> => {
  const globals = globalThis as Globals
  const isMissing = globals.location === undefined
  if (isMissing) globals.location = { href: "file:///xgrammar.js" }
  try {
    const module = (await importModule()) as Partial<typeof XGrammar>
    const library = module.GrammarCompiler === undefined ? globals.xgrammar! : (module as typeof XGrammar)
    await library.Grammar.builtinJSONGrammar()
    return library
  } finally {
    if (isMissing) delete globals.location
  }
}

/** @internal */
export const library = (): Promise<typeof XGrammar> => (loaded ??= load())
