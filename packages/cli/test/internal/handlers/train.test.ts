import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { appendFileSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { dataDirectory, env, tinker } from "../../utils/model.ts"
import { layer as ServiceLive } from "../../utils/service.ts"
import { run, start } from "../../utils/tinker.ts"

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

layer(ServiceLive, { excludeTestServices: true })("tinker train", (it) => {
  it.scoped("writes metrics, a plot and checkpoints, and starts no second run in the same directory", () =>
    Effect.gen(function* () {
      const cwd = yield* dataDirectory
      const { code, stderr, stdout } = yield* tinker(
        ["train", "data.jsonl", "--batch-size", "6", "--save-every", "4"],
        {
          cwd
        }
      )
      assert.strictEqual(code, 0, stderr)
      // without a terminal: one line, and no progress
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

  it.scoped("ends with the same losses after --resume as without interruption", () =>
    Effect.gen(function* () {
      const cwd = yield* dataDirectory
      const args = ["-f", "json", "train", "data.jsonl", "--steps", "6", "--save-every", "2", "--rank", "8"]
      const whole = yield* tinker(args, { cwd })
      const result = JSON.parse(whole.stdout)
      assert.strictEqual(whole.stderr, "")
      const lines = metrics(cwd)
      // as if killed while writing step 5
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

  it.scoped("reports mistakes in the data before it sends a request", () =>
    Effect.gen(function* () {
      const cwd = yield* dataDirectory
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

  it.scoped("ends with 130 on SIGINT, after it has saved states", () =>
    Effect.gen(function* () {
      const cwd = yield* dataDirectory
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
})
