/**
 * An API of one's own in front of Tinker: it trains on examples that it is given, and samples from what it has trained. A run
 * in the background tells its progress by server-sent events, and can be cancelled:
 *
 *     POST /runs, GET /runs/run-1/events, DELETE /runs/run-1
 *
 * Schemas and errors are those of the library, so that the OpenAPI page shows them and a generated client has them typed.
 */
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Sampling from "@effect-tinker/api/Sampling"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiError from "@effect/platform/HttpApiError"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as HttpApiSwagger from "@effect/platform/HttpApiSwagger"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Runs from "./runs.ts"

const TrainRequest = Schema.Struct({
  base_model: Schema.String,
  data: Schema.Array(Datum.schemaFor("cross_entropy")).pipe(Schema.minItems(1), Schema.maxItems(1024)),
  steps: Schema.Int.pipe(Schema.between(1, 100)),
  learning_rate: Schema.Number.pipe(Schema.between(0, 1))
})

const TrainResponse = Schema.Struct({
  losses: Schema.Array(Schema.Number),
  /** what to sample from */
  path: Schema.String
})

const SampleRequest = Schema.Struct({
  path: Schema.String,
  prompt: ModelInput.ModelInput,
  sampling_params: Sampling.PartialSamplingParams
})

const Started = Schema.Struct({ id: Schema.String })

/** Lines of `data: {…}`, one for each event. */
const Events = Schema.String.pipe(HttpApiSchema.withEncoding({ kind: "Text", contentType: "text/event-stream" }))

const id = HttpApiSchema.param("id", Schema.String)

export const Api = HttpApi.make("FineTuning").add(
  HttpApiGroup.make("tuning")
    .add(HttpApiEndpoint.post("train", "/train").setPayload(TrainRequest).addSuccess(TrainResponse))
    .add(HttpApiEndpoint.post("sample", "/sample").setPayload(SampleRequest).addSuccess(Sampling.SampleResponse))
    .add(HttpApiEndpoint.post("start", "/runs").setPayload(TrainRequest).addSuccess(Started))
    .add(HttpApiEndpoint.get("events")`/runs/${id}/events`.addSuccess(Events).addError(HttpApiError.NotFound))
    .add(HttpApiEndpoint.del("cancel")`/runs/${id}`)
    .addError(TinkerError.Union)
)

const train = Effect.fnUntraced(function* (service: ServiceClient.Service, request: typeof TrainRequest.Type) {
  const losses: Array<number> = []
  const path = yield* Runs.train(service, request, (_, loss) => Effect.sync(() => losses.push(loss)))
  return { losses, path }
})

const follow = (runs: Runs.Service, id: string) =>
  Option.match(runs.events(id), {
    onNone: () => Effect.fail(new HttpApiError.NotFound()),
    onSome: (events) =>
      Effect.succeed(
        HttpServerResponse.stream(
          events.pipe(
            Stream.map((event) => `data: ${JSON.stringify(event)}\n\n`),
            Stream.encodeText
          ),
          { contentType: "text/event-stream" }
        )
      )
  })

const Tuning = HttpApiBuilder.group(Api, "tuning", (handlers) =>
  Effect.map(Effect.all([ServiceClient.ServiceClient, Runs.Runs]), ([service, runs]) =>
    handlers
      .handle("train", ({ payload }) => train(service, payload))
      .handle("sample", ({ payload }) =>
        Effect.flatMap(service.createSamplingClient({ model_path: payload.path }), (sampling) =>
          sampling.sample(payload.prompt, { sampling_params: payload.sampling_params })
        )
      )
      .handle("start", ({ payload }) => Effect.map(runs.start(payload), (id) => ({ id })))
      .handle("events", ({ path }) => follow(runs, path.id))
      .handle("cancel", ({ path }) => runs.cancel(path.id))
  )
)

/** The API with its page at `/docs`. */
export const layer = Layer.provideMerge(
  HttpApiSwagger.layer({ path: "/docs" }),
  Layer.provide(HttpApiBuilder.api(Api), Layer.provide(Tuning, Runs.layer))
)
