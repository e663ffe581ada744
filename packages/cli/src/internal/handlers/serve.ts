/** Handler of `tinker serve`. */
import * as Effect from "effect/Effect"
import type { Global } from "../definition/global.ts"
import { UsageError } from "../errors/cliError.ts"
import * as embedded from "../service/embedded.ts"
import * as models from "../service/models.ts"
import * as Io from "../terminal/io.ts"
import * as output from "../terminal/output.ts"

interface Options extends Global {
  readonly host: string
  readonly port: number
  readonly modelDir: ReadonlyArray<string>
  readonly checkpoints: string
  readonly allowOrigin: ReadonlyArray<string>
  readonly key: ReadonlyArray<string>
}

/** Prints the environment variables that a client needs. Given keys are not printed. */
const printEnvironment = (format: output.Format, url: string, needsKey: boolean) =>
  output.text(format, {
    json: { TINKER_BASE_URL: url, ...(needsKey ? {} : { TINKER_API_KEY: embedded.anyKey }) },
    text:
      `export TINKER_BASE_URL=${url}\n` +
      (needsKey ? "# export TINKER_API_KEY= one of the given keys\n" : `export TINKER_API_KEY=${embedded.anyKey}\n`)
  })

/** @internal */
export const serve = (options: Options) =>
  Effect.scoped(
    Effect.gen(function* () {
      const io = yield* Io.Io
      if (options.port < 0 || options.port > 65_535) {
        return yield* new UsageError({ reason: `--port is ${options.port}: give 0 for any free one, or up to 65535` })
      }
      const keys = options.key.map((key) => key.trim()).filter((key) => key !== "")
      yield* Effect.forEach(keys, io.redact)
      const { url } = yield* embedded.start({
        host: options.host,
        port: options.port,
        models: yield* models.directories(options.modelDir),
        checkpoints: options.checkpoints,
        allowOrigins: options.allowOrigin,
        keys
      })
      yield* printEnvironment(options.format, url, keys.length > 0)
      if (io.errIsTerminal) {
        yield* io.err(`Listening on ${url}; checkpoints are stored in ${options.checkpoints}. Ctrl-C stops it.\n`)
      }
      return yield* Effect.never
    })
  )
