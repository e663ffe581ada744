import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { dataDirectory, env, tinker } from "../../utils/model.ts"
import { layer as ServiceLive, tokenizerDirectory } from "../../utils/service.ts"
import { run, start } from "../../utils/tinker.ts"

interface Line {
  readonly step: number
  readonly batch: number
  readonly prompt?: string
  readonly train_mean_nll?: number
}

const linesOf = (cwd: string, file: string): ReadonlyArray<Line> =>
  readFileSync(join(cwd, "tinker-data", file), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))

/** The step and the loss of each row. */
const losses = (cwd: string) =>
  linesOf(cwd, "metrics.jsonl").flatMap(({ step, train_mean_nll }) =>
    train_mean_nll === undefined ? [] : [[step, train_mean_nll] as const]
  )

const batches = (cwd: string) => linesOf(cwd, "checkpoints.jsonl").map(({ batch }) => batch)

layer(ServiceLive, { excludeTestServices: true })("tinker train", (it) => {
  it.scoped("writes metrics, a plot and checkpoints, and starts no second run in the same directory", () =>
    Effect.gen(function* () {
      const cwd = yield* dataDirectory
      const settings = "--watch --batch-size 6 --save-every 4 -l 0.1 --sample-every 8 --sample-prompt".split(" ")
      const { code, stderr, stdout } = yield* tinker(["train", "data.jsonl", ...settings, "say 3"], { cwd })
      assert.strictEqual(code, 0, stderr)
      // without a terminal: no progress
      assert.match(
        stderr,
        /^Training \S+ on the service: 18 examples, 2 held out, 9 steps of 6\nLive at http:\/\/127\.0\.0\.1:\d+\n$/
      )
      assert.match(stdout, /^Loss\n +[\d.]+┤━[━┓ ]*\n/)
      assert.match(stdout, /│ Weights +│ tinker:\/\/\S+\/sampler_weights\/final +│/)
      const all = losses(cwd)
      assert.deepStrictEqual(
        all.map(([step]) => step),
        Array.from({ length: 9 }, (_, step) => step)
      )
      assert.isBelow(all[8]![1], all[0]![1])
      assert.deepStrictEqual(batches(cwd), [4, 8, 9])
      assert.include(readFileSync(join(cwd, "tinker-data", "report.html"), "utf8"), '"train_mean_nll"')

      assert.deepStrictEqual(
        linesOf(cwd, "samples.jsonl").map(({ prompt, step }) => [step, prompt]),
        [0, 8, 9].map((step) => [step, "say 3"])
      )
      const report = JSON.parse(readFileSync(join(cwd, "tinker-data", "data.json"), "utf8"))
      assert.deepInclude(report, { training: 18, heldOut: 2, overlap: 0 })
      assert.deepInclude(report.examples, { datums: 18, truncated: 0 })
      assert.deepInclude(report.files[0], { records: 20, duplicates: 0 })
      assert.isAbove(report.lengths.trained, 0)
      const again = yield* tinker(["train", "data.jsonl"], { cwd })
      assert.strictEqual(again.code, 1)
      assert.include(again.stderr, "warn: no learning rate is known for effect-tinker/test")
      assert.include(again.stderr, "Resume it with --resume")
    })
  )

  it.scoped("ends with the same losses after --resume as without interruption", () =>
    Effect.gen(function* () {
      const cwd = yield* dataDirectory
      const args = [
        "-f",
        "json",
        "train",
        "data.jsonl",
        "--steps",
        "6",
        "--save-every",
        "2",
        "--rank",
        "8",
        "-l",
        "0.1"
      ]
      const whole = yield* tinker(args, { cwd })
      const result = JSON.parse(whole.stdout)
      assert.strictEqual(whole.stderr, "")
      const all = losses(cwd)
      // as if killed while writing the fifth row: the last record is that of the fourth step
      const rewrite = (file: string, lines: ReadonlyArray<unknown>, rest = "") =>
        writeFileSync(join(cwd, "tinker-data", file), lines.map((line) => `${JSON.stringify(line)}\n`).join("") + rest)
      const rows = linesOf(cwd, "metrics.jsonl")
      rewrite("metrics.jsonl", rows.slice(0, 4), '{"step":4,"tr')
      rewrite("checkpoints.jsonl", linesOf(cwd, "checkpoints.jsonl").slice(0, 2))
      const resumed = JSON.parse((yield* tinker([...args, "--resume"], { cwd })).stdout)
      assert.strictEqual(resumed.last_loss, result.last_loss)
      assert.strictEqual(resumed.first_loss, result.first_loss)
      assert.strictEqual(resumed.held_out_loss_after, result.held_out_loss_after)
      assert.deepStrictEqual(losses(cwd), all)

      const other = yield* tinker([...args, "--resume", "--schedule", "cosine"], { cwd })
      assert.strictEqual(other.code, 1)
      assert.match(other.stderr, /^Error: the run in \S+ cannot be resumed: learning_rate was .*"linear".*"cosine"/)
      writeFileSync(
        join(cwd, "data.jsonl"),
        Array.from({ length: 20 }, (_, i) => `{"prompt":"${i}","completion":"b"}\n`).join("")
      )
      assert.match((yield* tinker([...args, "--resume"], { cwd })).stderr, /cannot be resumed: .*data was "/)
    })
  )

  it.scoped("reports mistakes in the data before it sends a request", () =>
    Effect.gen(function* () {
      const cwd = yield* dataDirectory
      for (const [text, message] of [
        ['{"prompt":"a","completion":"b"}\n{"prompt":"a"}', /^Error: bad\.jsonl:2: [^\n]+\n$/],
        ['{"messages":[{"role":"user","content":"a"}]}', /^Error: bad\.jsonl:1: [^\n]+\n$/],
        ["", /^Error: \S*bad\.jsonl:? [^\n]*no records[^\n]*\n$/]
      ] as const) {
        writeFileSync(join(cwd, "bad.jsonl"), text)
        const result = yield* run(["train", "bad.jsonl"], { cwd, env: { TINKER_BASE_URL: "http://127.0.0.1:1" } })
        assert.match(result.stderr, message)
        assert.strictEqual(result.code, 1)
      }
      const image = { role: "user", content: [{ type: "image_url", image_url: { url: "u" } }] }
      const withImage = JSON.stringify({ messages: [image, { role: "assistant", content: "b" }] })
      writeFileSync(join(cwd, "image.jsonl"), `{"prompt":"a","completion":"b"}\n${withImage}\n`)
      assert.match(
        (yield* tinker(["train", "image.jsonl", "--held-out", "0"], { cwd })).stderr,
        /Error: image\.jsonl:2: messages\.0\.content\.0: the renderer \S+ has no form for content of the type image_url\n$/
      )
      const rank = yield* tinker(["train", "data.jsonl", "--rank", "0"], { cwd })
      assert.strictEqual(rank.code, 2)
      const model = yield* tinker(["train", "data.jsonl", "-m", "absent"], { cwd })
      assert.match(model.stderr, /does not offer the base model absent/)
    })
  )

  it.scoped("shows what is trained, and what the run would take, without a service", () =>
    Effect.gen(function* () {
      const cwd = yield* dataDirectory
      const env = {
        TINKER_BASE_URL: "http://127.0.0.1:1",
        TINKER_API_KEY: "tml-any",
        TINKER_TOKENIZER: tokenizerDirectory
      }
      const dry = (...args: ReadonlyArray<string>) =>
        run(["train", "data.jsonl", "--dry-run", "-l", "1e-3", "-m", "any/model", ...args], { cwd, env })
      const { code, stderr, stdout } = yield* dry("--price", "2")
      assert.deepStrictEqual([code, stderr], [0, ""])
      assert.match(stdout, /^── example 1\nsay \d+:⟦ abab<\|endoftext\|>⟧\n/)
      assert.match(stdout, /<\|im_start\|>assistant\n⟦abab<\|im_end\|>⟧/)
      assert.match(stdout, /│ Renderer +│ chat_template +│/)
      assert.match(stdout, /│ Cost +│ \$0\.00\d\d +│/)
      assert.isFalse(existsSync(join(cwd, "tinker-data")))

      const long = yield* dry("--max-length", "8")
      assert.match(
        long.stderr,
        /^Error: data\.jsonl:\d+: the example has \d+ tokens, and 8 are allowed[^\n]*--too-long\n$/
      )
      const skipped = yield* dry("--max-length", "12", "--too-long", "skip")
      assert.match(skipped.stderr, /^warn: \d+ examples are skipped, since they are too long\n$/)
      const unknown = yield* dry("--renderer", "absent")
      assert.match(unknown.stderr, /^Error: there is no renderer absent: choose one of /)
    })
  )

  it.scoped("saves at the first Ctrl-C, says so, ends with 130, and goes on from there", () =>
    Effect.gen(function* () {
      const cwd = yield* dataDirectory
      const args = ["train", "data.jsonl", "--save-every", "0", "--steps", "100000", "-l", "1e-3"]
      const running = yield* start(args, { cwd, env: yield* env })
      yield* running.until(/^Training /)
      const hasRows = Effect.sync(() => existsSync(join(cwd, "tinker-data", "metrics.jsonl")))
      yield* Effect.repeat(Effect.delay(hasRows, "20 millis"), { until: (found) => found })
      running.child.kill("SIGINT")
      const { code, stderr, stdout } = yield* running.result
      assert.strictEqual(code, 130)
      assert.strictEqual(stdout, "")
      const [, steps] = /Stopping: .*Saved (\d+) of 100000 steps in \S+: continue with --resume\n$/s.exec(stderr) ?? []
      assert.isDefined(steps, stderr)
      assert.deepStrictEqual(batches(cwd), [Number(steps)])
      assert.strictEqual(losses(cwd).length, Number(steps))

      const again = yield* start([...args, "--resume"], { cwd, env: yield* env })
      yield* again.until(new RegExp(`, from step ${steps}\n`))
      again.child.kill("SIGINT")
      assert.strictEqual((yield* again.result).code, 130)
      assert.strictEqual(losses(cwd)[0]![0], 0)
    })
  )
})
