/** Wrong results: old weights, lost sequence numbers, dropped options, shared random numbers. */
import { type Attack, expect } from "./attack.ts"
import { type Client, someTokens } from "./client.ts"
import type { Service } from "./service.ts"

const rounded = (numbers: ReadonlyArray<number> | undefined): string =>
  (numbers ?? [])
    .slice(0, 3)
    .map((x) => Number(x).toFixed(2))
    .join(" ")

const logprobs = async (client: Client, model_path: string): Promise<string> => {
  const prompt = { chunks: [{ type: "encoded_text", tokens: someTokens(8) }] }
  const { prompt_logprobs } = await client.sample({ model_path, prompt, prompt_logprobs: true })
  return rounded((prompt_logprobs ?? []).filter((x: unknown) => x !== null))
}

const reusedName = async (client: Client): Promise<string> => {
  const model_id = await client.model(await client.session())
  const save = (seq_id: number, path: string) => client.run("/save_weights_for_sampler", { model_id, seq_id, path })
  const { path } = await save(1, "x")
  const before = await logprobs(client, path)
  for (let seq = 2; seq < 8; seq += 2) await client.train(model_id, seq, 0.1)
  await client.send("DELETE", `/api/v1/training_runs/${encodeURIComponent(model_id)}/checkpoints/sampler_weights/x`)
  await save(8, "x")
  const other = await save(9, "y")
  const after = await logprobs(client, path)
  const right = await logprobs(client, other.path)
  expect(after === right, `x serves ${after}, but its weights give ${right}; before the training it was ${before}`)
  return `${before} before, ${after} after, as under another name`
}

const unload = async (client: Client): Promise<string> => {
  const model_id = await client.model(await client.session())
  const { request_id } = await client.ok(client.post("/unload_model", { model_id }))
  await client.result(request_id)
  const answer = await client.pass(model_id, 1)
  expect(answer.status !== 409, `the first operation after unload gets 409: ${answer.body?.detail}`)
  const reason = answer.status === 200 ? (await client.result(answer.body.request_id)).error : answer.body?.detail
  expect(/unloaded/.test(String(reason)), `the operation gets ${answer.status} ${reason}`)
  return `it fails at once: ${reason}`
}

const dropped = async (client: Client): Promise<string> => {
  const sampling_session_id = await client.ok(
    client.post("/create_sampling_session", {
      session_id: await client.session(),
      sampling_session_seq_id: 0,
      base_model: "effect-tinker/nano"
    })
  )
  const sampled = await client.sample({
    ...sampling_session_id,
    seq_id: 0,
    topk_sample_logprobs: 2,
    prompt_alt_tokens_k: 2
  })
  const text = JSON.stringify(sampled)
  const found = ["topk_logprobs", "alt_tokens"].filter((name) => text.includes(name))
  const fields = Object.keys(sampled).concat(Object.keys(sampled.sequences?.[0] ?? {}))
  const filled = fields.filter((name) => /topk|alt/.test(name))
  expect(found.length + filled.length > 0, `two options came back as nothing: fields ${fields.join(", ")}`)
  return `fields ${fields.join(", ")}`
}

const seeds = async (client: Client): Promise<string> => {
  const sample = async (seed: number) => {
    const sampling_params = { max_tokens: 8, seed, temperature: 1 }
    const { sequences } = await client.sample({ base_model: "effect-tinker/nano", num_samples: 16, sampling_params })
    return sequences.map((sequence: { readonly tokens: ReadonlyArray<number> }) => sequence.tokens.join())
  }
  const first = await sample(100)
  const second = await sample(101)
  const shared = first.slice(1).filter((tokens: string, i: number) => tokens === second[i]).length
  expect(shared < 8, `${shared} of 15 samples of seed 100 are those of seed 101`)
  return `${shared} of 15 samples in common`
}

/** @param service the service under attack */
export const attacks = (service: Service): ReadonlyArray<Attack> => [
  { name: "a sampler name that is used again", short: true, run: () => reusedName(service) },
  { name: "an operation after unload_model", short: true, run: () => unload(service) },
  { name: "scoring options that are dropped", short: true, run: () => dropped(service) },
  { name: "samples shared by neighbouring seeds", short: false, run: () => seeds(service) }
]
