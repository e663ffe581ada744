/**
 * The HTTP endpoints of the service: handlers of `TinkerApi` over a `TinkerService`. `NodeServer` serves them,
 * `InProcessHttpClient` calls them without a socket, and `HttpApiBuilder.serve` adds them to any other server.
 *
 * An invalid request gets a 4xx response with a JSON body `{ detail }`: 422 if the body is not JSON or does not match the
 * endpoint's schema, with the path of the invalid field; 413 if it is too large; 415 if its content type is not supported; 401 if the API key is
 * missing or wrong; 404 if the path does not exist.
 *
 * @since 0.1.0
 */
import * as Zstd from "@effect-tinker/api/Zstd"
import type * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as CheckpointStore from "./CheckpointStore.ts"
import type * as Engine from "./Engine.ts"
import * as apiKeys from "./internal/auth/apiKeys.ts"
import * as direct from "./internal/endpoints/direct.ts"
import * as endpoints from "./internal/endpoints/endpoints.ts"
import * as largeJson from "./internal/http/body/largeJson.ts"
import * as bodyLimits from "./internal/http/body/limits.ts"
import * as middleware from "./internal/http/middleware.ts"
import * as openAi from "./internal/openai/routes.ts"
import type { DurationInput } from "./internal/util/duration.ts"
import type * as Store from "./Store.ts"
import * as TinkerService from "./TinkerService.ts"

/**
 * Who may use the endpoints, and how large a request may be.
 *
 * @since 0.1.0
 * @category models
 */
export interface HandlerOptions {
  /**
   * The keys that are accepted in `X-API-Key`. Each is a user. Users neither see nor change what other users created,
   * except that everyone may read a published checkpoint. Without keys every request is allowed, and sees everything.
   */
  readonly apiKeys?: ReadonlyArray<Redacted.Redacted<string>> | undefined
  /**
   * Lets users exchange their key for tokens that expire after this time (`pjwt_auth_enabled`). Keys stay valid. By
   * default no tokens are issued.
   */
  readonly tokenLifetime?: DurationInput | undefined
  /**
   * Serves the OpenAI protocol at `/v1`, `/oai/api/v1` and `/conversations/<key>/v1`, with these formats for texts and
   * conversations. Its clients send their key as `Authorization: Bearer`. By default it is not served.
   */
  readonly openAi?: OpenAi | undefined
  /** largest size in bytes of a body that is compressed with zstd; 64 MiB by default */
  readonly maxCompressedSize?: number | undefined
  /** largest size in bytes of such a body after decompression; 256 MiB by default */
  readonly maxDecompressedSize?: number | undefined
  /** largest sizes of bodies, after decompression; a larger body gets 413 while it arrives */
  readonly bodyLimits?: BodyLimits | undefined
}

/**
 * What the OpenAI protocol needs: the formats of the models. `onCompletion` is told each completion, with its tokens and
 * logprobs, before the client has read the last of it.
 *
 * @since 0.1.0
 * @category models
 */
export interface OpenAi extends openAi.Options {}

/**
 * A completion that was answered: its request and response with all tokens and logprobs, what was read in each sequence, and
 * the key of its conversation.
 *
 * @since 0.1.0
 * @category models
 */
export interface Completion extends openAi.Completion {}

/**
 * Largest sizes of request bodies in bytes. Parsing JSON blocks the event loop; clients send large passes as protobuf.
 *
 * @since 0.1.0
 * @category models
 */
export interface BodyLimits {
  /** JSON of all endpoints but the following; 4 MiB by default */
  readonly json?: number | undefined
  /** JSON of a sample request, whose prompt may hold images; 16 MiB by default */
  readonly sample?: number | undefined
  /** JSON of `forward` and `forward_backward`; 32 MiB by default */
  readonly jsonPass?: number | undefined
  /** protobuf of `forward_backward`; 256 MiB by default */
  readonly protobufPass?: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends TinkerService.Options, HandlerOptions {}

const limitsOf = ({
  bodyLimits: given = {},
  maxCompressedSize,
  maxDecompressedSize
}: HandlerOptions): bodyLimits.BodyLimits => ({
  json: given.json ?? bodyLimits.defaults.json,
  sample: given.sample ?? bodyLimits.defaults.sample,
  jsonPass: given.jsonPass ?? bodyLimits.defaults.jsonPass,
  protobufPass: given.protobufPass ?? bodyLimits.defaults.protobufPass,
  compressed: maxCompressedSize ?? bodyLimits.defaults.compressed,
  decompressed: maxDecompressedSize ?? bodyLimits.defaults.decompressed
})

/** What needs no router. */
const directOf = ({ openAi: protocol }: HandlerOptions, tinker: TinkerService.Service) =>
  new Map([...direct.make(tinker), ...(protocol === undefined ? [] : openAi.directApps(protocol, tinker))])

const layerMiddleware = (options: HandlerOptions) =>
  HttpApiBuilder.middleware(
    Effect.map(
      Effect.all([TinkerService.TinkerService, Zstd.make, apiKeys.ApiKeys, largeJson.make]),
      ([tinker, zstd, keys, parseJson]) =>
        middleware.make({ tinker, zstd, keys, parseJson, limits: limitsOf(options), direct: directOf(options, tinker) })
    )
  )

/**
 * The name of the user whose API key this is: what the service says for a user in its logs, and in what it tells of completions.
 *
 * @since 0.1.0
 * @category accessors
 */
export const userOf: (key: Redacted.Redacted<string>) => Effect.Effect<string> = apiKeys.userOf

/**
 * The endpoints of an existing `TinkerService`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerHandlers = (
  options: HandlerOptions = {}
): Layer.Layer<HttpApi.Api, never, TinkerService.TinkerService> => {
  const keys = options.apiKeys ?? []
  const protocol = options.openAi === undefined ? Layer.empty : openAi.layer(options.openAi)
  return Layer.mergeAll(endpoints.layer(keys), layerMiddleware(options), protocol).pipe(
    Layer.provide(apiKeys.layer(keys, options.tokenLifetime))
  )
}

/**
 * The endpoints and a `TinkerService`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<
  HttpApi.Api | TinkerService.TinkerService,
  never,
  Engine.Engine | CheckpointStore.CheckpointStore | Store.Store
> => Layer.provideMerge(layerHandlers(options), TinkerService.layer(options))
