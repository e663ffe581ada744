/** The dialect of SkyRL: what its `jax` back end answers. */
import * as Effect from "effect/Effect"
import { type Answer, type Body, mapBody, missing, type Rule, rule } from "./exchange.ts"
import * as operations from "./operations.ts"

const losses = new Set(["cross_entropy", "importance_sampling", "ppo", "cispo"])

const invalid = (detail: unknown): Answer => ({ status: 422, body: { detail } })
const bad = (detail: string): Answer => ({ status: 400, body: { detail } })

const nameOf = (id: unknown): string => String(id).split("/").at(-1)!

const checkpoint = ({ checkpoint_id, checkpoint_type, time, tinker_path }: Body) => ({
  checkpoint_id: nameOf(checkpoint_id),
  checkpoint_type,
  time,
  tinker_path
})

const trainingRun = (run: Body) => ({
  ...run,
  model_owner: "default",
  last_checkpoint: null,
  last_sampler_checkpoint: null,
  user_metadata: null
})

/** Losses per position in place of metrics. */
const passOutput = (operation: operations.Operation, result: Body) => {
  const weights = operations.weightsOf(operation)
  const loss_fn_outputs = operations.outputsOf(result).map(({ logprobs }, i) => ({
    logprobs,
    ...(operations.lossOf(operation) === "cross_entropy"
      ? { elementwise_loss: { ...logprobs!, data: logprobs!.data.map((value, at) => 0 - value * weights[i]![at]!) } }
      : {})
  }))
  return { loss_fn_output_type: "scalar", loss_fn_outputs, metrics: {} }
}

const result = (operation: operations.Operation | undefined, body: Body): unknown => {
  switch (operation?.endpoint) {
    case "forward":
    case "forward_backward":
      return passOutput(operation, body)
    case "optim_step": {
      const { learning_rate } = operation.body["adam_params"] as Body
      return { metrics: { "skyrl.ai/grad_norm": 1, "skyrl.ai/learning_rate": learning_rate } }
    }
    case "save_weights_for_sampler":
      // without the kind
      return { ...body, path: typeof body["path"] === "string" ? body["path"].replace("/sampler_weights/", "/") : null }
    case "load_weights":
      return { type: "load_weights" }
    case "asample":
      // one entry short: none for the first token
      return Array.isArray(body["prompt_logprobs"])
        ? { ...body, prompt_logprobs: body["prompt_logprobs"].slice(1) }
        : body
    default:
      return body
  }
}

/** What is wrong with the parameters of a sample, which it checks more strictly than the hosted service. */
const sampleProblem = ({ sampling_params }: Body): Answer | undefined => {
  const { max_tokens, stop } = (sampling_params ?? {}) as Body
  if (typeof stop === "string")
    return invalid([{ loc: ["body", "sampling_params", "stop"], msg: "a list is required" }])
  return typeof max_tokens === "number" ? undefined : bad("max_tokens is currently required")
}

const passProblem = (body: Body): Answer | undefined => {
  const loss = operations.lossOf({ endpoint: "", body })
  return losses.has(loss) ? undefined : invalid([{ loc: ["body", "loss_fn"], msg: `unknown loss ${loss}` }])
}

const loadProblem = ({ model_id }: Body): Answer | undefined =>
  model_id === undefined ? invalid([{ loc: ["body", "model_id"], msg: "Field required" }]) : undefined

const submitted = [
  "create_model",
  "unload_model",
  "forward",
  "forward_backward",
  "optim_step",
  "save_weights",
  "save_weights_for_sampler",
  "load_weights",
  "asample"
]

const problems: { readonly [endpoint: string]: (body: Body) => Answer | undefined } = {
  forward: passProblem,
  forward_backward: passProblem,
  load_weights: loadProblem,
  asample: sampleProblem
}

const submissions = (known: operations.Operations): ReadonlyArray<Rule> =>
  submitted.map((endpoint) =>
    rule("POST", new RegExp(`^/${endpoint}$`), (call, ask) => {
      const problem = problems[endpoint]?.(call.body)
      return problem === undefined
        ? operations.submit(known, endpoint, call, ask(), (request_id, accepted) => ({
            ...(accepted["model_id"] === undefined ? {} : { model_id: accepted["model_id"] }),
            future_id: request_id,
            status: "pending",
            request_id
          }))
        : Effect.succeed(problem)
    })
  )

const absent =
  /^\/(client\/dynamic_config|auth\/.*|sessions.*|checkpoints.*|join_sampling_session|retrieve_futures|cancel_future|create_custom_loss|copy_weights|save_weights_external|external_.*|audit|billing.*)$/

/** @internal */
export const rules = (): ReadonlyArray<Rule> => {
  const known: operations.Operations = new Map()
  return [
    rule("*", absent, () => Effect.succeed(missing())),
    rule("*", /\/(weights|sampler_weights|external_weights)\/[^/]+\/(archive|publish|ttl|external_weights_urls)$/, () =>
      Effect.succeed(missing(405))
    ),
    rule("POST", /^\/client\/config$/, () => Effect.succeed({ status: 200, body: { pjwt_auth_enabled: false } })),
    rule("GET", /^\/get_server_capabilities$/, (_call, ask) =>
      mapBody(ask(), ({ supported_models }) => ({
        supported_models: (supported_models as ReadonlyArray<Body>).map(({ model_name }) => ({ model_name }))
      }))
    ),
    rule("POST", /^\/get_info$/, (_call, ask) =>
      mapBody(ask(), ({ lora_rank, model_data, model_id }) => ({
        model_id,
        status: "created",
        model_data: { lora_config: { rank: lora_rank, seed: null }, model_name: (model_data as Body)["model_name"] }
      }))
    ),
    ...submissions(known),
    rule("POST", /^\/retrieve_future$/, (call, ask) => operations.retrieve(known, call, ask, { result, failure: bad })),
    rule("POST", /^\/weights_info$/, (call, ask) =>
      String(call.body["tinker_path"]).includes("/weights/")
        ? mapBody(ask(), ({ base_model, is_lora, lora_rank }) => ({ base_model, is_lora, lora_rank }))
        : Effect.succeed(bad("Invalid tinker path"))
    ),
    rule("GET", /^\/training_runs$/, (_call, ask) =>
      mapBody(ask(), ({ cursor, training_runs }) => ({
        training_runs: (training_runs as ReadonlyArray<Body>).map(trainingRun),
        cursor
      }))
    ),
    rule("GET", /^\/training_runs\/[^/]+$/, (_call, ask) => mapBody(ask(), trainingRun)),
    rule("GET", /^\/training_runs\/[^/]+\/checkpoints$/, (_call, ask) =>
      mapBody(ask(), ({ checkpoints }) => ({ checkpoints: (checkpoints as ReadonlyArray<Body>).map(checkpoint) }))
    ),
    // of sampler weights only
    rule("GET", /^(\/training_runs\/[^/]+\/checkpoints)\/([^/]+)\/archive$/, (_call, ask, [, run, name]) =>
      ask({ path: `${run}/sampler_weights/${name}/archive` })
    )
  ]
}
