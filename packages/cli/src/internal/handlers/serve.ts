/** Handler of `tinker serve`. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Global } from "../definition/global.ts"
import { UsageError } from "../errors/cliError.ts"
import * as embedded from "../service/embedded.ts"
import type { Local } from "../service/local.ts"
import * as models from "../service/models.ts"
import { shippedModel } from "../service/tokenizer.ts"
import * as format from "../terminal/format.ts"
import * as Io from "../terminal/io.ts"
import * as output from "../terminal/output.ts"
import * as files from "../util/files.ts"
import * as settings from "../util/settings.ts"
import * as sizes from "../util/sizes.ts"

// a day: whatever trains longer than that should be saved and stopped
const maxDrainSeconds = 86_400

interface Options extends Global {
  readonly host: string
  readonly port: number
  readonly modelDir: ReadonlyArray<string>
  readonly model: Option.Option<string>
  readonly checkpoints: string
  readonly quantizedSampling: boolean
  readonly database: Option.Option<string>
  readonly backup: Option.Option<string>
  readonly allowOrigin: ReadonlyArray<string>
  readonly quota: Option.Option<string>
  readonly drainSeconds: number
  readonly logRequests: boolean
  readonly otlp: Option.Option<string>
  readonly keysFile: Option.Option<string>
  readonly key: ReadonlyArray<string>
}

const nonEmpty = (keys: ReadonlyArray<string>): ReadonlyArray<string> =>
  keys.map((key) => key.trim()).filter((key) => key !== "")

/** The keys of the environment, of the file and of the flags. */
const keysOf = Effect.fnUntraced(function* ({ key, keysFile }: Options) {
  const io = yield* Io.Io
  const fromEnvironment = yield* settings.optional("TINKER_SERVE_KEYS")
  const lines = Option.isSome(keysFile) ? nonEmpty((yield* files.readText(keysFile.value)).split("\n")) : []
  const fromFile = lines.filter((line) => !line.startsWith("#"))
  if (Option.isSome(keysFile) && fromFile.length === 0) {
    return yield* new UsageError({ reason: `${keysFile.value} has no key: write one a line` })
  }
  const fromFlags = nonEmpty(key)
  const variable = Option.match(fromEnvironment, { onNone: () => [], onSome: (text) => nonEmpty(text.split(",")) })
  const keys = [...new Set([...variable, ...fromFile, ...fromFlags])]
  yield* Effect.forEach(keys, io.redact)
  if (fromFlags.length > 0) {
    yield* io.err("warning: --key shows in the process list: set TINKER_SERVE_KEYS, or --keys-file\n")
  }
  return keys
})

/** Where the tokenizers are: for clients that do not find them by themselves. */
const describeTokenizers = ({ localTokenizers, tokenizers }: Local): string => {
  const lines = Object.entries(tokenizers).map(([model, directory]) => `# tokenizer of ${model}: ${directory}\n`)
  const advice = localTokenizers
    ? "# training_client.get_tokenizer() loads it on this machine. Elsewhere, and for sampling clients of Python, copy the\n" +
      '# directory, and load it: AutoTokenizer.from_pretrained("DIRECTORY"), or TINKER_TOKENIZER=DIRECTORY for tinker\n'
    : '# on the machine of a client, copy the directory, and load it: AutoTokenizer.from_pretrained("DIRECTORY"), or\n' +
      "# TINKER_TOKENIZER=DIRECTORY for tinker\n"
  return lines.join("") + advice
}

/** The quota in bytes, if there is one. */
const quotaOf = ({ quota }: Options): Effect.Effect<number | undefined, UsageError> => {
  if (Option.isNone(quota)) return Effect.succeed(undefined)
  const bytes = sizes.parse(quota.value)
  return bytes === undefined
    ? new UsageError({ reason: `--quota is ${quota.value}: give a size, such as 500MB or 20GiB` })
    : Effect.succeed(bytes)
}

/** The base URL of the collector, if there is one. */
const otlpOf = ({ otlp }: Options): Effect.Effect<string | undefined, UsageError> => {
  if (Option.isNone(otlp)) return Effect.succeed(undefined)
  const url = URL.canParse(otlp.value) ? new URL(otlp.value) : undefined
  return url?.protocol === "http:" || url?.protocol === "https:"
    ? Effect.succeed(otlp.value.replace(/\/+$/, ""))
    : new UsageError({ reason: `--otlp is ${otlp.value}: give the URL of a collector, such as http://127.0.0.1:4318` })
}

/** Rejects numbers that mean nothing. */
const checkNumbers = ({ drainSeconds, port }: Options): Effect.Effect<void, UsageError> => {
  if (port < 0 || port > 65_535) {
    return new UsageError({ reason: `--port is ${port}: give 0 for any free one, or up to 65535` })
  }
  return drainSeconds >= 0 && drainSeconds <= maxDrainSeconds
    ? Effect.void
    : new UsageError({ reason: `--drain-seconds is ${drainSeconds}: give 0 to ${maxDrainSeconds}` })
}

/** Prints the environment variables that a client needs. Given keys are not printed. */
const printEnvironment = (format: output.Format, local: Local, needsKey: boolean) => {
  const { tokenizers, url } = local
  return output.text(format, {
    json: { TINKER_BASE_URL: url, ...(needsKey ? {} : { TINKER_API_KEY: embedded.anyKey }), tokenizers },
    text:
      `export TINKER_BASE_URL=${url}\n` +
      (needsKey ? "# export TINKER_API_KEY= one of the given keys\n" : `export TINKER_API_KEY=${embedded.anyKey}\n`) +
      describeTokenizers(local)
  })
}

/** Copies the store, and says what the copy holds. */
const backUp = Effect.fnUntraced(function* ({ checkpoints, database, format: as }: Options, directory: string) {
  const copied = yield* embedded.backup(checkpoints, directory, database)
  yield* output.text(as, {
    json: { directory, ...copied },
    text: `Copied ${copied.checkpoints} checkpoints, ${format.size(copied.bytes)}, and all records to ${directory}\n`
  })
})

/** @internal */
export const serve = (options: Options) =>
  Option.isSome(options.backup) ? backUp(options, options.backup.value) : listen(options)

/** Serves until it is interrupted. */
const listen = (options: Options) =>
  Effect.scoped(
    Effect.gen(function* () {
      const io = yield* Io.Io
      yield* checkNumbers(options)
      const quota = yield* quotaOf(options)
      const keys = yield* keysOf(options)
      const local = yield* embedded.start({
        host: options.host,
        port: options.port,
        models: [
          ...(yield* models.directories(options.modelDir)),
          ...(yield* models.served(options.model, shippedModel))
        ],
        checkpoints: options.checkpoints,
        quantizedSampling: options.quantizedSampling,
        database: options.database,
        allowOrigins: options.allowOrigin,
        exclusive: true,
        quota,
        drainSeconds: options.drainSeconds,
        logRequests: options.logRequests,
        otlp: yield* otlpOf(options),
        keys
      })
      yield* printEnvironment(options.format, local, keys.length > 0)
      if (io.errIsTerminal) {
        yield* io.err(`Listening on ${local.url}; checkpoints are stored in ${options.checkpoints}. Ctrl-C stops it.\n`)
      }
      return yield* Effect.never
    })
  )
