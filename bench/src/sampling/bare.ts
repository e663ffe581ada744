/** The baseline: the same two requests for each sample by undici alone, without an SDK. */
import { Agent, request } from "undici"
import { args, measure, promptTokens } from "./measure.ts"

const { count, inFlight, url } = args()
const dispatcher = new Agent()
const tokens = Array.from({ length: promptTokens }, (_, i) => i)

const post = (path: string, body: unknown, accept: string) =>
  request(`${url}/api/v1/${path}`, {
    method: "POST",
    dispatcher,
    headers: { "content-type": "application/json", accept, "x-api-key": "tml-bench" },
    body: JSON.stringify(body)
  })

let seq = 0

const sample = async () => {
  const submitted = await post(
    "asample",
    {
      num_samples: 1,
      prompt: { chunks: [{ type: "encoded_text", tokens }] },
      sampling_params: { max_tokens: 16, temperature: 1, top_k: -1, top_p: 1 },
      sampling_session_id: "session:sample:0",
      seq_id: seq++,
      prompt_logprobs: false,
      topk_prompt_logprobs: 0,
      type: "sample"
    },
    "application/json"
  )
  const { request_id } = (await submitted.body.json()) as { readonly request_id: string }
  const result = await post(
    "retrieve_future",
    { request_id, allow_metadata_only: true },
    "application/x-protobuf, application/json"
  )
  return await result.body.arrayBuffer()
}

await measure({ count, inFlight }, async (count, took) => {
  let left = count
  const loop = async () => {
    while (left-- > 0) {
      const start = performance.now()
      await sample()
      took(performance.now() - start)
    }
  }
  await Promise.all(Array.from({ length: Math.min(inFlight, count) }, loop))
})
await dispatcher.destroy()
