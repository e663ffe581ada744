/** Handlers of `tinker checkpoint publish`, `unpublish` and `set-ttl`. */
import * as RestClient from "@effect-tinker/client/RestClient"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { parsePath } from "../../checkpoints/path.ts"
import type { Global } from "../../definition/global.ts"
import { CliError } from "../../errors/cliError.ts"
import { withRest } from "../../service/rest.ts"
import * as output from "../../terminal/output.ts"

interface Options extends Global {
  readonly path: string
}

/** The Python command writes nothing on success. With `--format json` there is always a document. */
const jsonOnly = (format: output.Format, json: unknown) => (format === "json" ? output.json(json) : Effect.void)

/** @internal */
export const setPublic = (isPublic: boolean) => (options: Options) =>
  Effect.gen(function* () {
    const parsed = yield* parsePath(options.path)
    yield* withRest(
      Effect.flatMap(RestClient.RestClient, (rest) =>
        isPublic ? rest.publishCheckpoint(parsed) : rest.unpublishCheckpoint(parsed)
      )
    )
    yield* jsonOnly(options.format, { tinker_path: options.path, public: isPublic })
  })

/** @internal */
export const setTtl = (options: Options & { readonly ttl: Option.Option<number>; readonly remove: boolean }) =>
  Effect.gen(function* () {
    const parsed = yield* parsePath(options.path)
    const details = "Use --ttl to set an expiration or --remove to clear it"
    if (Option.isNone(options.ttl) && !options.remove) {
      return yield* new CliError({ title: "Must specify either --ttl <seconds> or --remove", details })
    }
    if (Option.isSome(options.ttl) && options.remove) {
      return yield* new CliError({ title: "Cannot specify both --ttl and --remove", details })
    }
    const ttl_seconds = Option.getOrNull(options.ttl)
    yield* withRest(Effect.flatMap(RestClient.RestClient, (rest) => rest.setCheckpointTtl(parsed, ttl_seconds)))
    yield* jsonOnly(options.format, { tinker_path: options.path, ttl_seconds })
  })
