/** Handlers of `tinker model`. */
import * as RestClient from "@effect-tinker/client/RestClient"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CliError } from "../errors/cliError.ts"
import type { Global } from "../definition/global.ts"
import * as format from "../terminal/format.ts"
import * as output from "../terminal/output.ts"
import { withRest } from "../service/rest.ts"

/** @internal */
export const list = (options: Global & { readonly substring: Option.Option<string> }) =>
  Effect.gen(function* () {
    const { supported_models } = yield* withRest(
      Effect.flatMap(RestClient.RestClient, (rest) => rest.getServerCapabilities)
    )
    const part = Option.getOrElse(options.substring, () => "")
    const models = supported_models.filter(
      ({ model_name = "" }) => part === "" || model_name.toLowerCase().includes(part.toLowerCase())
    )
    if (models.length === 0 && part !== "") {
      return yield* new CliError({
        title: `No model name contains '${part}'`,
        details: "Run 'tinker model list' to see every model that the service offers"
      })
    }
    const bool = (value: boolean | undefined) => (value === undefined ? "N/A" : format.bool(value))
    yield* output.print(options.format, {
      json: {
        models: models.map(({ max_context_length, model_name, sampleable, trainable }) => ({
          model_name: model_name ?? null,
          max_context_length: max_context_length ?? null,
          trainable: trainable ?? null,
          sampleable: sampleable ?? null
        }))
      },
      table: {
        columns: ["Model", "Max Context", "Trainable", "Sampleable"],
        rows: models.map((model) => [
          model.model_name ?? "N/A",
          String(model.max_context_length ?? "N/A"),
          bool(model.trainable),
          bool(model.sampleable)
        ])
      }
    })
  })
