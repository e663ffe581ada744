/** The layers of the page: what `../main.ts` has on Node, in a browser. */
import * as RestClient from "@effect-tinker/client/RestClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Backend from "@effect-tinker/cookbook/Backend"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Metrics from "@effect-tinker/cookbook/Metrics"
import * as Timings from "@effect-tinker/cookbook/Timings"
import * as BrowserFileSystem from "@effect-tinker/embedded/BrowserFileSystem"
import * as Embedded from "@effect-tinker/embedded/Embedded"
import * as Tokenizers from "@effect-tinker/tokenizers/Tokenizers"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"

export const nano = "effect-tinker/nano"

/** What the page shows of the service while it works. */
export interface Shows {
  readonly download: (progress: Embedded.Progress) => void
  readonly step: (row: Metrics.Row) => void
  readonly log: (message: string) => void
}

const session = { apiKey: Redacted.make("tml-page"), baseUrl: "http://embedded.invalid" }

const layerBaseModel = Layer.effect(
  BaseModel.BaseModel,
  Effect.gen(function* () {
    const service = yield* ServiceClient.ServiceClient
    const sampling = yield* service.createSamplingClient({ base_model: nano })
    const tokenizer = yield* sampling.getTokenizer
    return {
      name: nano,
      encode: (text) => tokenizer.encode(text, { addSpecialTokens: false }),
      decode: (tokens) => tokenizer.decode(tokens)
    } satisfies BaseModel.Service
  })
).pipe(Layer.provide(Tokenizers.layerConfig()))

/** Everything that the program of `../past-tense.ts` needs, and the files and the list of checkpoints besides. */
export const layer = (shows: Shows) => {
  const service = Embedded.layerBrowser({
    worker: () => new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "model" }),
    models: [{ name: nano, url: new URL("./model", location.href).href }],
    checkpoints: "/checkpoints",
    onProgress: (progress) => Effect.sync(() => shows.download(progress))
  })
  const logger = Logger.make(({ logLevel, message }) => {
    const text = Array.isArray(message) ? message.map(String).join(" ") : String(message)
    shows.log(text)
    if (LogLevel.greaterThanEqual(logLevel, LogLevel.Warning)) console.warn(text)
  })
  return Layer.mergeAll(
    layerBaseModel,
    Backend.layerRemote("this page"),
    Metrics.layer([Effect.succeed((row) => Effect.sync(() => shows.step(row)))])
  ).pipe(
    Layer.provideMerge(Layer.merge(ServiceClient.layer(session), RestClient.layer(session))),
    Layer.provideMerge(service),
    Layer.provideMerge(Layer.merge(Timings.layer, BrowserFileSystem.layer())),
    Layer.provide(Logger.replace(Logger.defaultLogger, logger))
  )
}
