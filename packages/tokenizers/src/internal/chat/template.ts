/** Jinja chat templates, run so that they read the time from the Clock. */
import * as jinja from "@huggingface/jinja"
import { strftime } from "./strftime.ts"

/** Renders a template with variables; `now` is the time in milliseconds since the epoch. @internal */
export type Template = (now: number, variables: { readonly [name: string]: unknown }) => string

const range = (...args: ReadonlyArray<unknown>): ReadonlyArray<number> => {
  const numbers = args.filter((arg) => typeof arg === "number")
  const [start, stop, step] = numbers.length === 1 ? [0, numbers[0]!, 1] : [numbers[0]!, numbers[1]!, numbers[2] ?? 1]
  return Array.from({ length: Math.max(0, Math.ceil((stop - start) / step)) }, (_, i) => start + i * step)
}

const globals: { readonly [name: string]: unknown } = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  range,
  raise_exception: (message: string) => {
    throw new Error(message)
  }
}

/**
 * Parses a template. The library's own `Template` always reads the time of the machine and does not let a caller replace
 * its globals.
 *
 * @throws when the template is invalid; the returned function throws when the template rejects its variables.
 * @internal
 */
export const parse = (text: string): Template => {
  const program = jinja.parse(jinja.tokenize(text, { lstrip_blocks: true, trim_blocks: true }))
  return (now, variables) => {
    const environment = new jinja.Environment()
    const all = { ...globals, strftime_now: (format: string) => strftime(new Date(now), format), ...variables }
    for (const [name, value] of Object.entries(all)) environment.set(name, value)
    return String(new jinja.Interpreter(environment).run(program).value)
  }
}
