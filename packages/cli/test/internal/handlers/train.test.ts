import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { layer as ServiceLive, Service } from "../../utils/service.ts"
import { type Options, run, start } from "../../utils/tinker.ts"

const tokenizer = fileURLToPath(new URL("../../../../engine/models/nano", import.meta.url))

const records = Array.from({ length: 20 }, (_, i) =>
  JSON.stringify(
    i % 2 === 0
      ? { prompt: `say ${i}:`, completion: " abab" }
      : {
          messages: [
            { role: "user", content: `say ${i}` },
            { role: "assistant", content: "abab" }
          ]
        }
  )
).join("\n")

const directory = Effect.acquireRelease(
  Effect.sync(() => {
    const path = mkdtempSync(join(tmpdir(), "tinker-cli-"))
    writeFileSync(join(path, "data.jsonl"), records)
    return path
  }),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const env = Effect.flatMap(Service, (service) =>
  Effect.map(service.models, ([model]) => ({ ...service.env, TINKER_BASE_MODEL: model, TINKER_TOKENIZER: tokenizer }))
)

const tinker = (args: ReadonlyArray<string>, options: Options = {}) =>
  Effect.flatMap(env, (env) => run(args, { ...options, env }))

interface Line {
  readonly type: string
  readonly step?: number
  readonly loss?: number
  readonly path?: string
}

const metrics = (cwd: string): ReadonlyArray<Line> =>
  readFileSync(join(cwd, "tinker-data", "metrics.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))

layer(ServiceLive, { excludeTestServices: true })("tinker", (it) => {
  it.scoped("train", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      const { code, stderr, stdout } = yield* tinker(
        ["train", "data.jsonl", "--batch-size", "6", "--save-every", "4"],
        {
          cwd
        }
      )
      assert.strictEqual(code, 0, stderr)
      // nobody watches: no progress, one line that says what happens
      assert.match(stderr, /^Training \S+ on the service: 18 examples, 2 held out, 9 steps of 6\n$/)
      assert.match(stdout, /┤[⠀-⣿ ]+\n/)
      assert.match(stdout, /│ Weights +│ tinker:\/\/\S+\/sampler_weights\/final +│/)
      const lines = metrics(cwd)
      const losses = lines.flatMap(({ loss, type }) => (type === "step" ? [loss!] : []))
      assert.strictEqual(losses.length, 9)
      assert.isBelow(losses[8]!, losses[0]!)
      assert.deepStrictEqual(
        lines.flatMap(({ step, type }) => (type === "state" ? [step] : [])),
        [4, 8, 9]
      )
      assert.match(
        readFileSync(join(cwd, "tinker-data", "loss.svg"), "utf8"),
        /^<svg [\s\S]*<polyline[\s\S]*<\/svg>\n$/
      )

      const again = yield* tinker(["train", "data.jsonl"], { cwd })
      assert.strictEqual(again.code, 1)
      assert.include(again.stderr, "Resume it with --resume")
    })
  )

  it.scoped("train --resume goes on as if it had never stopped", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      const args = ["-f", "json", "train", "data.jsonl", "--steps", "6", "--save-every", "2", "--rank", "8"]
      const whole = yield* tinker(args, { cwd })
      const result = JSON.parse(whole.stdout)
      assert.strictEqual(whole.stderr, "")
      const lines = metrics(cwd)
      // killed while step 5 was written
      const file = join(cwd, "tinker-data", "metrics.jsonl")
      const at = lines.findIndex(({ step, type }) => type === "step" && step === 5)
      writeFileSync(
        file,
        lines
          .slice(0, at)
          .map((line) => `${JSON.stringify(line)}\n`)
          .join("")
      )
      appendFileSync(file, '{"type":"step","st')
      const resumed = JSON.parse((yield* tinker([...args, "--resume"], { cwd })).stdout)
      assert.strictEqual(resumed.last_loss, result.last_loss)
      assert.strictEqual(resumed.first_loss, result.first_loss)
      assert.strictEqual(resumed.held_out_loss_after, result.held_out_loss_after)
      const steps = (lines: ReadonlyArray<Line>) =>
        lines.flatMap(({ loss, step, type }) => (type === "step" ? [{ step, loss }] : []))
      assert.deepStrictEqual(steps(metrics(cwd)), steps(lines))
    })
  )

  it.scoped("train says what is wrong with the data before it asks a service", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      for (const [text, message] of [
        ['{"prompt":"a","completion":"b"}\n{"prompt":"a"}', /^Error: bad\.jsonl:2: [^\n]+\n$/],
        ['{"messages":[{"role":"user","content":"a"}]}', /^Error: bad\.jsonl:1: [^\n]+\n$/],
        ["", /^Error: bad\.jsonl: holds no records\n$/]
      ] as const) {
        writeFileSync(join(cwd, "bad.jsonl"), text)
        const result = yield* run(["train", "bad.jsonl"], { cwd, env: { TINKER_BASE_URL: "http://127.0.0.1:1" } })
        assert.match(result.stderr, message)
        assert.strictEqual(result.code, 1)
      }
      const rank = yield* tinker(["train", "data.jsonl", "--rank", "0"], { cwd })
      assert.strictEqual(rank.code, 2)
      const model = yield* tinker(["train", "data.jsonl", "-m", "absent"], { cwd })
      assert.match(model.stderr, /does not offer the base model absent/)
    })
  )

  it.scoped("train ends with 130 on SIGINT, and goes on from where it was", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      const args = ["train", "data.jsonl", "--save-every", "1"]
      const running = yield* start([...args, "--steps", "100000"], { cwd, env: yield* env })
      yield* running.until(/^Training /)
      const saved = Effect.suspend(() => {
        try {
          return Effect.succeed(metrics(cwd).some(({ type }) => type === "state"))
        } catch {
          return Effect.succeed(false)
        }
      })
      yield* Effect.repeat(Effect.delay(saved, "20 millis"), { until: (found) => found })
      running.child.kill("SIGINT")
      const { code, stdout } = yield* running.result
      assert.strictEqual(code, 130)
      assert.strictEqual(stdout, "")
    })
  )

  it.effect("sample", () =>
    Effect.gen(function* () {
      const args = ["sample", "say 1:", "--temperature", "0", "--max-tokens", "5"]
      const json = JSON.parse((yield* tinker(["-f", "json", ...args, "-n", "2"])).stdout)
      assert.strictEqual(json.prompt, "say 1:")
      assert.strictEqual(json.samples.length, 2)
      assert.deepStrictEqual(json.samples[0], json.samples[1])
      assert.strictEqual(json.samples[0].tokens.length, 5)
      const whole = yield* tinker(args)
      assert.strictEqual(whole.stdout, `${json.samples[0].text}\n`)
      // in several requests, the same text
      const long = [...args.slice(0, -1), "40"]
      const [streamed, once] = yield* Effect.all([tinker([...long, "--stream"]), tinker(long)])
      assert.strictEqual(streamed.stdout, once.stdout)
      const input = yield* tinker(["sample", ...args.slice(2)], { input: "say 1:" })
      assert.strictEqual(input.stdout, whole.stdout)
      assert.strictEqual((yield* tinker(["sample"])).code, 2)
      const state = yield* tinker(["sample", "a", "-c", "tinker://run/weights/x"])
      assert.match(state.stderr, /cannot be sampled from/)
    })
  )

  it.scoped("sample and chat with what was trained", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      const trained = yield* tinker(["-f", "json", "train", "data.jsonl", "--epochs", "20", "-l", "0.2"], { cwd })
      const { sampler_path } = JSON.parse(trained.stdout)
      const weights = ["-c", sampler_path, "--temperature", "0", "--max-tokens", "4"]
      const sampled = yield* tinker(["sample", "say 2: a", ...weights])
      assert.strictEqual(sampled.stderr, "")
      assert.match(sampled.stdout, /^b/)
      const chatted = yield* tinker(["chat", ...weights], { input: "say 1\nsay 3\n" })
      assert.strictEqual(chatted.code, 0, chatted.stderr)
      assert.strictEqual(chatted.stdout.split("\n").length, 3)
      const json = yield* tinker(["-f", "json", "chat", "--system", "be brief", ...weights], { input: "say 1\n\n" })
      const { messages } = JSON.parse(json.stdout)
      assert.deepStrictEqual(
        messages.map(({ role }: { role: string }) => role),
        ["system", "user", "assistant"]
      )
    })
  )
})
