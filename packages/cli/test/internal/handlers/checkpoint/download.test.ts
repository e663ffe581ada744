import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { failed, json, ok, tinker, trained } from "../../../utils/command.ts"
import { directory, stubServer } from "../../../utils/fixtures.ts"
import { layer as ServiceLive } from "../../../utils/service.ts"
import { start } from "../../../utils/tinker.ts"

layer(ServiceLive, { excludeTestServices: true })("tinker checkpoint download", (it) => {
  it.scoped("unpacks the archive into a new directory, or replaces it with --force", () =>
    Effect.gen(function* () {
      const id = yield* trained()
      const cwd = yield* directory
      const path = `tinker://${id}/sampler_weights/final`
      const found = json(yield* tinker(["-f", "json", "checkpoint", "download", path, "-o", "models"], { cwd }))
      const destination = join(cwd, "models", `${id}_sampler_weights_final`)
      assert.strictEqual(found.checkpoint_path, path)
      assert.isTrue(found.destination.endsWith(`/models/${id}_sampler_weights_final`))
      assert.isAbove(found.file_size_bytes, 0)
      assert.isAbove(readdirSync(destination).length, 0)
      failed(
        yield* tinker(["checkpoint", "download", path, "-o", "models"], { cwd }),
        "Target directory already exists"
      )
      writeFileSync(join(destination, "old"), "")
      const again = ok(yield* tinker(["checkpoint", "download", "--force", path, "--output", "models"], { cwd }))
      assert.match(again, /│ Checkpoint Path +│ tinker:/)
      assert.notInclude(readdirSync(destination), "old")
    })
  )

  it.scoped("resumes a download that was killed", () =>
    Effect.gen(function* () {
      const content = "x".repeat(300_000)
      const archive = tarOf("weights.bin", content)
      const ranges: Array<string | undefined> = []
      const storage = yield* stubServer((request, response) => {
        ranges.push(request.headers.range)
        const from = Number(/\d+/.exec(request.headers.range ?? "0")![0])
        response.writeHead(from > 0 ? 206 : 200, {
          etag: '"1"',
          "content-length": archive.length - from,
          ...(from > 0 ? { "content-range": `bytes ${from}-${archive.length - 1}/${archive.length}` } : {})
        })
        if (ranges.length === 1) response.write(archive.subarray(0, 100_000))
        else response.end(archive.subarray(from))
      })
      const TINKER_BASE_URL = yield* stubServer((request, response) => {
        const isArchive = request.url!.endsWith("/archive")
        response.writeHead(isArchive ? 302 : 404, isArchive ? { location: `${storage}/file?signature=1` } : {}).end()
      })
      const cwd = yield* directory
      const args = ["-f", "json", "checkpoint", "download", "tinker://run/weights/a"]
      const env = { TINKER_BASE_URL, TINKER_API_KEY: "tml-secret" }
      const { child, result } = yield* start(args, { cwd, env })
      const hasBytes = Effect.sync(() =>
        readdirSync(cwd, { recursive: true, encoding: "utf8" }).some(
          (name) => name.endsWith("/archive") && statSync(join(cwd, name)).size === 100_000
        )
      )
      yield* Effect.repeat(Effect.delay(hasBytes, "20 millis"), { until: (found) => found })
      child.kill("SIGKILL")
      yield* result
      assert.strictEqual(json(yield* tinker(args, { cwd, env })).file_size_bytes, archive.length)
      assert.deepStrictEqual(ranges, [undefined, "bytes=100000-"])
      assert.deepStrictEqual(readdirSync(cwd), ["run_weights_a"])
      assert.strictEqual(readFileSync(join(cwd, "run_weights_a", "weights.bin"), "utf8"), content)
    })
  )
})

/** An archive with one file. */
const tarOf = (name: string, content: string): Buffer => {
  const header = Buffer.alloc(512)
  header.write(name)
  header.write("0000644", 100)
  header.write(content.length.toString(8).padStart(11, "0"), 124)
  header.write("        0", 148)
  header.write("ustar", 257)
  header.write(
    `${header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
    148
  )
  return Buffer.concat([header, Buffer.from(content), Buffer.alloc(512 - (content.length % 512) + 1024)])
}
