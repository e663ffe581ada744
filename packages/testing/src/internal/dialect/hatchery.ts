/** The dialect of hatchery-core 0.3. */
import * as Effect from "effect/Effect"
import { type Answer, type Body, mapBody, missing, type Rule, rule } from "./exchange.ts"
import * as operations from "./operations.ts"

/** It has these two routes of a training run, and none to list or describe runs, samplers or sessions. */
const ofRun = /^\/training_runs\/[^/]+\/checkpoints(\/[^/]+)?$/

const present =
  /^\/(healthz|client\/config|telemetry|get_server_capabilities|create_session|session_heartbeat|create_model|create_sampling_session|forward|forward_backward|optim_step|asample|save_weights|save_weights_for_sampler|load_weights|weights_info|get_info|unload_model|retrieve_future|training_runs\/[^/]+\/checkpoints(\/[^/]+)?)$/

const losses = new Set(["cross_entropy", "importance_sampling", "ppo", "cispo", "grpo", "dapo", "gspo", "orpo"])

/** The path of a training state in this server, and in the service. */
const outward = (path: unknown) => String(path).replace("/weights/", "/checkpoints/")
const inward = (path: unknown) => String(path).replace("/checkpoints/", "/weights/")

const envelope =
  (operation: string) =>
  (request_id: string, { model_id }: Body): Body => ({
    request_id,
    model_id: model_id ?? null,
    future_id: request_id,
    operation,
    status: "pending"
  })

/** It multiplies the mean over the weighted tokens by the number of all tokens, and computes no loss without gradients. */
const passOutput = (operation: operations.Operation, result: Body) => {
  const weights = operations.weightsOf(operation).flat()
  const weighted = weights.reduce((sum, weight) => sum + weight, 0)
  const isBackward = operation.endpoint === "forward_backward"
  const mean = isBackward ? Number((result["metrics"] as Body)["loss:sum"]) / Math.max(1, weighted) : 0
  const tokens = isBackward ? weights.length : 0
  return {
    loss_fn_output_type: "cross_entropy",
    loss_fn_outputs: operations.outputsOf(result).map(({ logprobs }) => ({ logprobs })),
    metrics: { "loss:mean": mean, "loss:sum": mean * tokens, "num_tokens:sum": tokens, "accum_steps:mean": 1 }
  }
}

const result = (operation: operations.Operation | undefined, body: Body): unknown => {
  switch (operation?.endpoint) {
    case "forward":
    case "forward_backward":
      return passOutput(operation, body)
    case "optim_step":
      return { type: "optim_step", metrics: { step: 1, learning_rate: 1e-4 } }
    case "save_weights":
      return { ...body, path: outward(body["path"]), checkpoint_type: "training", expires_at: null }
    case "save_weights_for_sampler":
      return { path: null, sampling_session_id: null, ...body, checkpoint_type: "sampler", expires_at: 4_000_000_000 }
    case "load_weights":
      return { path: null, type: "load_weights" }
    default:
      return body
  }
}

const failure = (reason: string): Answer => ({
  status: 200,
  body: { type: "request_failed", error: reason, category: "user_error" }
})

/** A body of bytes crashes its framework. */
const crash: Answer = { status: 500, body: "Internal Server Error" }

const isJson = ({ headers }: { readonly headers: { readonly [name: string]: string | undefined } }) =>
  (headers["content-type"] ?? "").startsWith("application/json")

const passProblem = (body: Body): Answer | undefined => {
  const loss = operations.lossOf({ endpoint: "", body })
  if (loss === "dro")
    return { status: 501, body: { detail: "loss_fn 'dro' is declared by Tinker but not implemented" } }
  return losses.has(loss) ? undefined : { status: 400, body: { detail: `unknown loss_fn '${loss}'` } }
}

const passes = (known: operations.Operations): ReadonlyArray<Rule> =>
  ["forward", "forward_backward"].map((endpoint) =>
    rule("POST", new RegExp(`^/${endpoint}$`), (call, ask) =>
      isJson(call)
        ? Effect.suspend(() => {
            const problem = endpoint === "forward" ? undefined : passProblem(call.body)
            return problem === undefined
              ? operations.submit(known, endpoint, call, ask(), envelope(endpoint))
              : Effect.succeed(problem)
          })
        : Effect.succeed(crash)
    )
  )

/** Only training states are in its store, and so in its list; it does not know when they were saved. */
const listed = ({ checkpoints }: Body) => ({
  checkpoints: (checkpoints as ReadonlyArray<Body>)
    .filter(({ checkpoint_type }) => checkpoint_type === "training")
    .map(({ checkpoint_id, tinker_path }) => ({
      checkpoint_id: String(checkpoint_id).split("/").at(-1),
      checkpoint_type: "training",
      tinker_path: outward(tinker_path),
      path: outward(tinker_path),
      time: null,
      public: false,
      expires_at: null
    })),
  cursor: null
})

/** The failure of a job as it reports it: the key that its store lacks, in quotes. */
const lacksWeights = (path: unknown): Answer => {
  const [run = "", , name = ""] = String(path).replace("tinker://", "").split("/")
  const detail = `Sampler load_weights failed: 'sessions/${run}/checkpoints/${name}/lora_weights.pt'`
  return { status: 500, body: { detail } }
}

/** A checkpoint that is not stored fails the job that loads it. */
const sampled = ({ body }: { readonly body: Body }, ask: Parameters<Rule["answer"]>[1]) => {
  const path = body["model_path"]
  if (path == null) return ask({ body })
  return Effect.map(ask({ body: { ...body, model_path: inward(path) } }), (answer) =>
    answer.status === 404 ? lacksWeights(path) : answer
  )
}

/** It creates samplers in the background: the envelope of a future, whose result is kept here. */
const samplers = (created: Map<string, Body>): Rule =>
  rule("POST", /^\/create_sampling_session$/, (call, ask) =>
    mapBody(sampled(call, ask), ({ sampling_session_id }) => {
      const request_id = `sampler-${created.size}`
      created.set(request_id, {
        type: "create_sampling_session",
        sampling_session_id,
        session_id: call.body["session_id"],
        expires_at: 4_000_000_000
      })
      return envelope("create_sampling_session")(request_id, {})
    })
  )

const futures = ["create_model", "optim_step", "save_weights", "save_weights_for_sampler", "asample"]

const models = (_call: unknown, ask: Parameters<Rule["answer"]>[1]) =>
  mapBody(ask(), ({ supported_models }) => ({
    supported_models: (supported_models as ReadonlyArray<Body>).map(({ max_context_length, model_name }) => ({
      model_id: model_name,
      max_context_length,
      tokenizer_id: model_name
    })),
    supported_loss_fns: Array.from(losses),
    max_rank: 256,
    futures_api: true
  }))

/** @internal */
export const rules = (): ReadonlyArray<Rule> => {
  const known: operations.Operations = new Map()
  const created = new Map<string, Body>()
  return [
    rule("*", new RegExp(`^(?!${present.source.slice(1)}).*$`), () => Effect.succeed(missing())),
    rule("POST", /^\/client\/config$/, () =>
      Effect.succeed({
        status: 200,
        body: { sample_dispatch_bytes_semaphore_size: 134_217_728, max_pipelined_requests: 64 }
      })
    ),
    rule("GET", /^\/get_server_capabilities$/, models),
    rule("POST", /^\/session_heartbeat$/, ({ body }, ask) =>
      mapBody(ask(), () => ({ session_id: body["session_id"], alive: true }))
    ),
    ...passes(known),
    ...futures.map((endpoint) =>
      rule("POST", new RegExp(`^/${endpoint}$`), (call, ask) =>
        operations.submit(known, endpoint, call, ask(), envelope(endpoint))
      )
    ),
    rule("POST", /^\/load_weights$/, (call, ask) =>
      operations.submit(
        known,
        "load_weights",
        call,
        ask({ body: { ...call.body, path: inward(call.body["path"]) } }),
        envelope("load_weights")
      )
    ),
    // it takes the model from the query
    rule("POST", /^\/unload_model$/, () =>
      Effect.succeed({ status: 422, body: { detail: [{ loc: ["query", "model_id"], msg: "Field required" }] } })
    ),
    samplers(created),
    rule("POST", /^\/retrieve_future$/, (call, ask) => {
      const sampler = created.get(String(call.body["request_id"]))
      return sampler === undefined
        ? operations.retrieve(known, call, ask, { result, failure })
        : Effect.succeed({ status: 200, body: sampler })
    }),
    rule("POST", /^\/weights_info$/, ({ body }, ask) => ask({ body: { tinker_path: inward(body["tinker_path"]) } })),
    rule("GET", ofRun, (_call, ask) => mapBody(ask(), listed)),
    rule("DELETE", /^(\/training_runs\/[^/]+\/checkpoints)\/([^/]+)$/, (_call, ask, [, run, name]) =>
      mapBody(ask({ path: `${run}/weights/${name}` }), () => ({ deleted: true }), 200)
    )
  ]
}
