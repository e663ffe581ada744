/** Numbers that are huge, negative, fractional or none, in every field that takes one. */
import { type Attack, expect } from "./attack.ts"
import { datum, model, someTokens } from "./client.ts"
import type { Service } from "./service.ts"

const hostile = [
  "1e308",
  "-1e308",
  "1e400",
  "-1",
  "-0",
  "0.5",
  "9007199254740993",
  "2147483648",
  "NaN",
  '"1"',
  "null",
  "[]",
  "true"
]

const samples = async (service: Service): Promise<string> => {
  const seen = []
  for (const [field, value] of [
    ["num_samples", 1e6],
    ["num_samples", 1e7],
    ["max_tokens", 1e9],
    ["top_k", 1e12],
    ["topk_prompt_logprobs", 1e7]
  ] as const) {
    const sampling_params = {
      max_tokens: 4,
      ...(field === "max_tokens" || field === "top_k" ? { [field]: value } : {})
    }
    const rest = field in sampling_params ? {} : { [field]: value }
    const request = service.post("/asample", {
      base_model: model,
      num_samples: 1,
      prompt: { chunks: [{ type: "encoded_text", tokens: someTokens(4) }] },
      sampling_params,
      ...rest
    })
    const { longest, value: answer } = await service.healthDuring(request)
    expect(answer.status === 400 || answer.status === 422, `${field} ${value} got ${answer.status}`)
    expect(longest < 5000, `${field} ${value} held others up for ${longest} ms`)
    seen.push(`${field} ${value}: ${answer.status}`)
  }
  return seen.join(", ")
}

/** Every place of a number in a request, as the text of the request with a hole. */
const holes = (body: unknown): ReadonlyArray<string> => {
  const found: Array<string> = []
  const visit = (value: unknown, path: ReadonlyArray<string | number>): void => {
    if (typeof value === "number") found.push(withHole(body, path))
    else if (Array.isArray(value)) value.slice(0, 1).forEach((item, i) => visit(item, [...path, i]))
    else if (typeof value === "object" && value !== null)
      for (const [k, v] of Object.entries(value)) visit(v, [...path, k])
  }
  visit(body, [])
  return found
}

const withHole = (body: unknown, path: ReadonlyArray<string | number>): string => {
  const copy = structuredClone(body) as Record<string | number, unknown>
  let at = copy
  for (const key of path.slice(0, -1)) at = at[key] as Record<string | number, unknown>
  at[path.at(-1)!] = "HOLE"
  return JSON.stringify(copy)
}

const everywhere = async (service: Service): Promise<string> => {
  const session_id = await service.session()
  const model_id = await service.model(session_id)
  const forward = { loss_fn: "ppo", loss_fn_config: { clip_low_threshold: 0.8 }, data: [datum([3, 4, 5])] }
  const requests: ReadonlyArray<readonly [string, unknown]> = [
    ["/create_model", { session_id, model_seq_id: 7, base_model: model, lora_config: { rank: 8, seed: 1 } }],
    ["/forward", { model_id, seq_id: 900, forward_input: forward }],
    ["/forward_backward", { model_id, seq_id: 901, forward_backward_input: forward }],
    [
      "/optim_step",
      {
        model_id,
        seq_id: 902,
        adam_params: { learning_rate: 1, beta1: 0.9, beta2: 0.9, eps: 1, weight_decay: 0, grad_clip_norm: 1 }
      }
    ],
    ["/save_weights", { model_id, seq_id: 903, path: "n", ttl_seconds: 60 }],
    ["/save_weights_for_sampler", { model_id, seq_id: 904, ttl_seconds: 60, sampling_session_seq_id: 3 }],
    [
      "/asample",
      {
        base_model: model,
        num_samples: 1,
        topk_prompt_logprobs: 1,
        topk_sample_logprobs: 1,
        prompt_alt_tokens_k: 1,
        prompt_logprobs_last_n: 1,
        prompt: { chunks: [{ type: "encoded_text", tokens: [3] }] },
        sampling_params: { max_tokens: 1, seed: 1, temperature: 1, top_k: 1, top_p: 1 }
      }
    ],
    ["/create_sampling_session", { session_id, sampling_session_seq_id: 5, base_model: model }],
    ["/checkpoints/search", { limit: 3, offset: 1 }],
    ["/sessions/search", { limit: 3, offset: 1 }]
  ]
  let count = 0
  for (const [path, body] of requests) {
    for (const text of holes(body)) {
      for (const number of hostile) {
        const { status, text: answer } = await service.postText(path, text.replace('"HOLE"', number))
        expect(status < 500, `${path} ${text.slice(0, 120)} with ${number}: ${status} ${answer.slice(0, 200)}`)
        count++
      }
    }
  }
  for (const number of ["-1", "1e308", "NaN", "0.5", "99999999999999999999", "%00"]) {
    for (const path of ["/training_runs?limit=", "/checkpoints?offset=", "/sessions?limit=", "/sessions?offset="]) {
      const { status } = await service.get(`${path}${number}`)
      expect(status < 500, `${path}${number}: ${status}`)
      count++
    }
  }
  await service.health()
  return `${count} requests: no 5xx, none that holds others up`
}

export const attacks = (service: Service): ReadonlyArray<Attack> => [
  { name: "samples beyond all bounds", short: true, run: () => samples(service) },
  { name: "hostile numbers in every field", short: false, run: () => everywhere(service) }
]
