/** Handlers of the group `sampling`. */
import * as SampleLine from "@effect-tinker/api/SampleLine"
import { TinkerApi } from "@effect-tinker/api/TinkerApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as eventStreams from "../http/eventStreams.ts"
import * as TinkerService from "../../TinkerService.ts"

/** Whether the client reads a sample while it is sampled. Clients that know nothing of it do not ask. @internal */
export const wantsLines = ({ headers }: HttpServerRequest.HttpServerRequest): boolean =>
  (headers["accept"] ?? "").includes(SampleLine.contentType)

const encodeLine = Schema.encodeSync(Schema.parseJson(SampleLine.SampleLine))

const toLine = (event: TinkerService.SampleEvent): string =>
  event._tag === "Tokens"
    ? encodeLine(event.delta)
    : encodeLine({ type: "sample_end", prompt_cache_hit_tokens: event.response.prompt_cache_hit_tokens })

type Events = Effect.Effect.Success<ReturnType<TinkerService.Service["streamSample"]>>

const toLines = (events: Events): HttpServerResponse.HttpServerResponse =>
  eventStreams.toResponse({
    contentType: SampleLine.contentType,
    keepAlive: "\n",
    text: events.pipe(
      Stream.map((events) => events.map((event) => `${toLine(event)}\n`).join("")),
      Stream.catchAll(({ category, error }) =>
        Stream.succeed(`${encodeLine({ type: "sample_failed", error, category })}\n`)
      )
    )
  })

/** @internal */
export const sampling = HttpApiBuilder.group(TinkerApi, "sampling", (handlers) =>
  Effect.map(TinkerService.TinkerService, (tinker) =>
    handlers
      .handle("createSamplingSession", ({ payload }) =>
        Effect.map(tinker.createSamplingSession(payload), (sampling_session_id) => ({ sampling_session_id }))
      )
      .handle("joinSamplingSession", ({ payload }) =>
        Effect.map(tinker.joinSamplingSession(payload.sampling_session_id), (client_counter) => ({
          client_counter,
          type: "join_sampling_session" as const
        }))
      )
      .handle("asample", ({ payload, request }) =>
        wantsLines(request) ? Effect.map(tinker.streamSample(payload), toLines) : tinker.sample(payload)
      )
      .handle("getSampler", ({ path }) => tinker.catalog.getSampler(path.sampler_id))
  )
)
