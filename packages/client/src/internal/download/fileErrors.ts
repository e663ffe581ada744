/** Turns failures of the file system into `FileError`s. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as PlatformError from "@effect/platform/Error"

/** @internal */
export const fileError = (method: string, path: string) => (cause: PlatformError.PlatformError) =>
  new TinkerError.FileError({ method, path, reason: `cannot be used: ${cause.message}`, cause })
