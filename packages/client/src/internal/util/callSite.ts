/** Lets errors of arguments point at the line of the program that called, and not into the library. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"

interface CallSite {
  readonly stack?: string
}

type Method = (...args: ReadonlyArray<unknown>) => unknown

// not in every browser
const { captureStackTrace } = Error as unknown as {
  readonly captureStackTrace?: (target: CallSite, below: Method) => void
}

const isLibraryFrame = (line: string): boolean => /node_modules\/(effect|@effect|@effect-tinker)\//.test(line)

/** Replaces the stack, which begins where the library made the error. */
const pointAt = <E>(error: E, site: CallSite): E => {
  if (!(error instanceof TinkerError.InvalidInput)) return error
  const frames = (site.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line) && !isLibraryFrame(line))
  if (frames.length > 0) error.stack = [`${error.name}: ${error.message}`, ...frames].join("\n")
  return error
}

const wrap = (method: Method): Method => {
  if (captureStackTrace === undefined) return method
  const called: Method = (...args) => {
    // it is formatted when it is read, which only a failure does
    const site: CallSite = {}
    captureStackTrace(site, called)
    const result = method(...args)
    return Effect.isEffect(result) ? Effect.mapError(result, (error) => pointAt(error, site)) : result
  }
  return called
}

/** The same methods, whose `InvalidInput` has the stack of its call. @internal */
export const pointingAtCalls = <Methods extends object>(methods: Methods): Methods =>
  Object.fromEntries(
    Object.entries(methods).map(([name, value]) => [name, typeof value === "function" ? wrap(value as Method) : value])
  ) as Methods
