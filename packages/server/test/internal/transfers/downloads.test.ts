import * as SafeTensors from "@effect-tinker/server/SafeTensors"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import * as signing from "../../../src/internal/auth/signing.ts"
import * as client from "../../utils/client.ts"
import * as fixtures from "../../utils/checkpoints.ts"

const { run } = client

/** Text of a field that NUL bytes end. */
const text = (start: number, length: number, bytes: Uint8Array) =>
  new TextDecoder().decode(bytes.slice(start, start + length)).replace(/\0.*$/s, "")

/** Reads a tar archive. */
const untar = (bytes: Uint8Array) => {
  const files: Record<string, Uint8Array> = {}
  let offset = 0
  while (text(offset, 100, bytes) !== "") {
    const size = Number.parseInt(text(offset + 124, 12, bytes), 8)
    assert.strictEqual(text(offset + 257, 6, bytes), "ustar")
    files[text(offset, 100, bytes)] = bytes.slice(offset + 512, offset + 512 + size)
    offset += 512 + Math.ceil(size / 512) * 512
  }
  assert.strictEqual(bytes.length, offset + 1024)
  return files
}

describe("signed URLs", () => {
  it.scoped("grant access to the files of a checkpoint for an hour, without an API key", () =>
    Effect.gen(function* () {
      const { client: http } = yield* client.start({ apiKeys: [Redacted.make("tml-key")] })
      const keyed = HttpClient.mapRequest(http, HttpClientRequest.setHeader("x-api-key", "tml-key"))
      const { external, model_id } = yield* Effect.gen(function* () {
        const { model_id } = yield* fixtures.savedModel
        const { path } = yield* run("/save_weights_external", { model_id, path: "c" })
        return { model_id, external: path as string }
      }).pipe(Effect.provideService(HttpClient.HttpClient, keyed))
      const run_url = `${client.base}/training_runs/${model_id}/checkpoints`

      const redirect = yield* keyed.get(`${run_url}/sampler_weights/b/archive`)
      assert.strictEqual(redirect.status, 302)
      assert.strictEqual(redirect.headers["expires"], "Thu, 01 Jan 1970 01:00:02 GMT")
      const url = redirect.headers["location"]!
      assert.strictEqual(((yield* redirect.json) as { readonly url: string }).url, url)
      const files = untar(new Uint8Array(yield* (yield* http.get(url)).arrayBuffer))
      assert.deepStrictEqual(Object.keys(files), [
        "adapter_model.safetensors",
        "adapter_config.json",
        "checkpoint_complete"
      ])
      assert.include(JSON.parse(new TextDecoder().decode(files["adapter_config.json"])), { peft_type: "LORA", r: 8 })
      const { tensors } = yield* SafeTensors.decode(files["adapter_model.safetensors"]!)
      assert.isAbove(Object.keys(tensors).length, 0)

      const part = (range: string, ifRange?: string) =>
        http.get(url, { headers: { range, ...(ifRange === undefined ? {} : { "if-range": ifRange }) } })
      const complete = new Uint8Array(yield* (yield* http.get(url)).arrayBuffer)
      const rest = yield* part("bytes=600-")
      assert.strictEqual(rest.status, 206)
      assert.strictEqual(rest.headers["content-range"], `bytes 600-${complete.length - 1}/${complete.length}`)
      assert.deepStrictEqual(new Uint8Array(yield* rest.arrayBuffer), complete.slice(600))
      assert.strictEqual((yield* part("bytes=600-", rest.headers["etag"])).status, 206)
      assert.strictEqual((yield* part("bytes=600-", '"of another version"')).status, 200)
      assert.strictEqual((yield* part(`bytes=${complete.length}-`)).status, 416)

      assert.strictEqual(external, `tinker://${model_id}/external_weights/c`)
      const found = yield* keyed.get(`${run_url}/external_weights/c/external_weights_urls`)
      const { urls } = (yield* found.json) as { readonly urls: Record<string, string> }
      assert.strictEqual((yield* http.get(urls["adapter_config.json"]!)).status, 200)
      assert.strictEqual((yield* keyed.get(`${run_url}/weights/a/external_weights_urls`)).status, 400)

      assert.strictEqual((yield* http.get(url.replace("/b/b.tar", "/b/c.tar"))).status, 403)
      assert.strictEqual((yield* http.get(url.replace(/expires=\d+/, "expires=9999999999999"))).status, 403)
      assert.strictEqual((yield* http.get(url.split("?")[0]!)).status, 403)
      assert.strictEqual((yield* http.get(`${client.base}/downloads/../sessions`)).status, 401)
      assert.strictEqual((yield* keyed.get(`${run_url}/weights/none/archive`)).status, 404)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* http.get(url)).status, 410)
    })
  )

  it.scoped("grant nothing else that the same keys signed, and name what is missing", () =>
    Effect.gen(function* () {
      const keys = [Redacted.make("tml-key")]
      const { client: http } = yield* client.start({ apiKeys: keys })
      const keyed = HttpClient.mapRequest(http, HttpClientRequest.setHeader("x-api-key", "tml-key"))
      const { model_id } = yield* Effect.provideService(fixtures.savedModel, HttpClient.HttpClient, keyed)
      const expires = 9_999_999
      const open = (file: string, purpose: string, at = expires) =>
        Effect.gen(function* () {
          const sign = yield* signing.makeKeySign(keys, purpose)
          const signature = yield* sign(`${at}/${file}`)
          const url = `http://tinker.test/api/v1/downloads/${file}?expires=${at}&signature=${signature}`
          const response = yield* http.get(url)
          return { status: response.status, type: response.headers["content-type"], text: yield* response.text }
        })
      const place = `${encodeURIComponent(model_id)}/sampler_weights/b`
      for (const [file, type] of [
        ["b.tar", "application/x-tar"],
        ["adapter_config.json", "application/json"],
        ["adapter_model.safetensors", "application/octet-stream"]
      ] as const) {
        const served = yield* open(`${place}/${file}`, "downloads")
        assert.strictEqual(served.status, 200)
        assert.strictEqual(served.type, type)
        // what was signed for another purpose
        for (const purpose of ["uploads", "tokens", ""]) {
          assert.strictEqual((yield* open(`${place}/${file}`, purpose)).status, 403, purpose)
        }
      }
      const missing = yield* open(`${place}/other.bin`, "downloads")
      assert.strictEqual(missing.status, 404)
      assert.include(missing.text, "there is no file other.bin")
      yield* TestClock.adjust("1 hour")
      const late = yield* open(`${place}/b.tar`, "downloads", 5)
      assert.strictEqual(late.status, 410)
      assert.include(late.text, "this URL has expired: request another")
      // the trace of a session is at a URL of its own
      const session = model_id.split(":")[0]!
      const trace = yield* open(`traces/${session}`, "downloads")
      assert.strictEqual(trace.status, 200)
      assert.include(trace.text, "traceEvents")
      assert.strictEqual((yield* open(`traces/${session}`, "uploads")).status, 403)
      const kind = yield* keyed.get(
        `${client.base}/training_runs/${model_id}/checkpoints/weights/a/external_weights_urls`
      )
      assert.include(yield* kind.text, `${model_id}/weights/a is not an external checkpoint (external_weights)`)
    })
  )
})
