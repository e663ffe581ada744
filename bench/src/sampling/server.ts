/** A scripted service that responds at once. It runs in a separate process, and prints its URL. */
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as Either from "effect/Either"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

const tokens = 16

const sample = Buffer.from(
  Either.getOrThrow(
    ProtobufCodec.encodeSampleResponse({
      sequences: [
        {
          stop_reason: "length",
          tokens: Int32Array.from({ length: tokens }, (_, i) => i),
          logprobs: Float32Array.from({ length: tokens }, () => -0.5)
        }
      ],
      prompt_cache_hit_tokens: 0,
      type: "sample"
    })
  )
)

const json: { readonly [path: string]: unknown } = {
  "client/config": {},
  "client/dynamic_config": {},
  create_session: { session_id: "session", type: "create_session" },
  session_heartbeat: { type: "session_heartbeat" },
  create_sampling_session: { sampling_session_id: "session:sample:0", type: "create_sampling_session" },
  get_server_capabilities: { supported_models: [{ model_name: "bench" }] },
  telemetry: { status: "accepted" }
}

const prefix = "/api/v1/"
let next = 0

const server = createServer((request, response) => {
  request.resume()
  request.on("end", () => {
    const path = request.url!.slice(request.url!.indexOf(prefix) + prefix.length)
    if (path === "retrieve_future") {
      response.writeHead(200, { "content-type": "application/x-protobuf", "content-length": sample.length })
      response.end(sample)
      return
    }
    const id = next++
    const body = JSON.stringify(
      path === "asample" ? { request_id: `request-${id}`, sample_sequence_ids: [`${id}:0`] } : (json[path] ?? {})
    )
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) })
    response.end(body)
  })
})

server.keepAliveTimeout = 75_000
server.listen(0, "127.0.0.1", 4096, () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
process.on("disconnect", () => process.exit(0))
