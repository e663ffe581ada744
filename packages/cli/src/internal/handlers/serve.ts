import * as Effect from "effect/Effect"
import { UsageError } from "../cliError.ts"
import type { Global } from "../commands.ts"
import * as embedded from "../embedded.ts"
import * as Io from "../io.ts"
import * as models from "../models.ts"
import * as output from "../output.ts"

interface Options extends Global {
  readonly host: string
  readonly port: number
  readonly modelDir: ReadonlyArray<string>
  readonly checkpoints: string
  readonly key: ReadonlyArray<string>
}

/** @internal */
export const serve = (options: Options) =>
  Effect.scoped(
    Effect.gen(function* () {
      const io = yield* Io.Io
      if (options.port < 0 || options.port > 65_535) {
        return yield* new UsageError({ reason: `--port is ${options.port}: give 0 for any free one, or up to 65535` })
      }
      const keys = options.key.map((key) => key.trim()).filter((key) => key !== "")
      yield* Effect.forEach(keys, io.hide)
      const { url } = yield* embedded.start({
        host: options.host,
        port: options.port,
        models: yield* models.directories(options.modelDir),
        checkpoints: options.checkpoints,
        keys
      })
      const open = keys.length === 0
      yield* output.text(options.format, {
        json: { TINKER_BASE_URL: url, ...(open ? { TINKER_API_KEY: embedded.anyKey } : {}) },
        text: `export TINKER_BASE_URL=${url}\n${open ? `export TINKER_API_KEY=${embedded.anyKey}` : "# export TINKER_API_KEY= one of the keys that were given"}\n`
      })
      if (io.errIsTerminal) {
        yield* io.err(`Listening on ${url}; checkpoints are kept in ${options.checkpoints}. Ctrl-C ends it.\n`)
      }
      return yield* Effect.never
    })
  )
