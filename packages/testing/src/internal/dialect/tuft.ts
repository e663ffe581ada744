/** The dialect of TuFT. */
import { contentType } from "@effect-tinker/api/ProtobufCodec"
import * as Effect from "effect/Effect"
import { type Body, mapBody, missing, type Rule, rule } from "./exchange.ts"
import * as operations from "./operations.ts"

const absent =
  /^\/(client\/dynamic_config|auth\/apikey.*|sessions\/[^/]+\/.*|sessions\/search|checkpoints\/search|forward|join_sampling_session|retrieve_futures|cancel_future|create_custom_loss|copy_weights|save_weights_external|external_.*|audit|billing.*)$/

const futures = [
  "create_model",
  "unload_model",
  "optim_step",
  "save_weights",
  "save_weights_for_sampler",
  "load_weights",
  "asample"
]

const envelope = (request_id: string, { model_id }: Body): Body => ({ request_id, model_id: model_id ?? null })

const result = (operation: operations.Operation | undefined, body: Body): unknown => {
  switch (operation?.endpoint) {
    case "optim_step":
      return { metrics: null }
    case "load_weights":
      return { path: operation.body["path"], type: null }
    default:
      return body
  }
}

const named = (checkpoint: Body): Body => ({
  ...checkpoint,
  checkpoint_id: String(checkpoint["checkpoint_id"]).split("/").at(-1),
  expires_at: checkpoint["expires_at"] ?? null
})

const checkpoints = (body: Body) => ({
  checkpoints: (body["checkpoints"] as ReadonlyArray<Body>).map(named),
  cursor: body["cursor"] ?? null
})

/** @internal */
export const rules = (): ReadonlyArray<Rule> => {
  const known: operations.Operations = new Map()
  return [
    rule("*", absent, () => Effect.succeed(missing())),
    rule("PUT", /\/ttl$/, () => Effect.succeed(missing(405))),
    rule("POST", /^\/client\/config$/, () =>
      Effect.succeed({
        status: 200,
        body: {
          pjwt_auth_enabled: false,
          credential_default_source: "api_key",
          sample_dispatch_bytes_semaphore_size: 10 * 1024 * 1024,
          inflight_response_bytes_semaphore_size: 50 * 1024 * 1024,
          parallel_fwdbwd_chunks: false
        }
      })
    ),
    rule("POST", /^\/(create_session|create_sampling_session)$/, (_call, ask) => mapBody(ask(), (body) => body, 201)),
    rule("POST", /^\/get_info$/, (_call, ask) => mapBody(ask(), (body) => ({ ...body, type: null }))),
    // protobuf only
    rule("POST", /^\/forward_backward$/, (call, ask) =>
      (call.headers["content-type"] ?? "").startsWith(contentType)
        ? operations.submit(known, "forward_backward", call, ask(), envelope, 202)
        : Effect.succeed({ status: 415, body: { detail: `Unsupported Content-Type; expected ${contentType}` } })
    ),
    ...futures.map((endpoint) =>
      rule("POST", new RegExp(`^/${endpoint}$`), (call, ask) =>
        operations.submit(known, endpoint, call, ask(), envelope, 202)
      )
    ),
    rule("POST", /^\/retrieve_future$/, (call, ask) =>
      operations.retrieve(known, call, ask, {
        result,
        failure: (reason) => ({ status: 422, body: { detail: `Future failed: ${reason}` } })
      })
    ),
    rule("GET", /^(\/training_runs\/[^/]+)?\/checkpoints$/, (_call, ask) => mapBody(ask(), checkpoints)),
    // a directory on its own disk
    rule("GET", /^\/training_runs\/([^/]+)\/checkpoints\/(?:[^/]+\/)?([^/]+)\/archive$/, (_call, _ask, [, run, name]) =>
      Effect.succeed({
        status: 302,
        headers: { location: `file:///var/tuft/checkpoints/${run}/${name}`, expires: "Thu, 01 Jan 2099 00:00:00 GMT" }
      })
    )
  ]
}
