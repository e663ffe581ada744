/** The page of a run: what it reads, what it says of what it leaves out, and how it follows a run that goes on. */
import * as NodeReport from "@effect-tinker/cookbook/NodeReport"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as http from "node:http"
import * as vm from "node:vm"

interface Files {
  readonly [name: string]: string
}

const lines = (values: ReadonlyArray<unknown>) => values.map((value) => `${JSON.stringify(value)}\n`).join("")

const rows = (count: number, more: (step: number) => object = () => ({})) =>
  Array.from({ length: count }, (_, step) => ({ step, train_mean_nll: 1 / (step + 1), num_tokens: 10, ...more(step) }))

const directoryWith = (files: Files) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const directory = yield* fs.makeTempDirectoryScoped()
    yield* Effect.forEach(Object.entries(files), ([name, text]) => fs.writeFileString(`${directory}/${name}`, text))
    return directory
  })

const scoped = <A, E>(name: string, test: () => Effect.Effect<A, E, FileSystem.FileSystem | NodeContext.NodeContext>) =>
  it.live(name, () => Effect.provide(test(), NodeContext.layer))

interface Answer {
  readonly status: number
  readonly etag: string | undefined
  readonly body: string
}

const get = (url: string, headers: http.OutgoingHttpHeaders = {}) =>
  Effect.async<Answer, Error>((resume) => {
    const request = http.get(url, { headers }, (response) => {
      let body = ""
      response.setEncoding("utf8").on("data", (text: string) => (body += text))
      response.on("end", () =>
        resume(Effect.succeed({ status: response.statusCode ?? 0, etag: response.headers.etag, body }))
      )
    })
    request.on("error", (error) => resume(Effect.fail(error)))
  })

/** The data that stand in a page. */
const dataIn = (html: string) =>
  JSON.parse(/<script type="application\/json" id="run">(.*?)<\/script>/s.exec(html)![1]!)

scoped("holds rows, evaluations, samples, timings and checkpoints of a run", () =>
  Effect.gen(function* () {
    const span = { name: "forward_backward", duration: 0.5, wall_start: 10, wall_end: 10.5 }
    const directory = yield* directoryWith({
      "metrics.jsonl": lines(rows(3, (step) => (step === 1 ? { "test/nll": 0.25 } : {}))),
      "timing_spans.jsonl": lines([{ step: 0, spans: [span] }]),
      "samples.jsonl": lines([{ step: 2, prompt: "a?", text: "b!", stop_reason: "stop" }]),
      "checkpoints.jsonl": lines([{ name: "final", batch: 3, state_path: "tinker://run/weights/final" }]),
      "config.json": JSON.stringify({ base_model: "effect-tinker/nano" })
    })
    const run = yield* NodeReport.read(directory)
    assert.deepStrictEqual(run.table.step, [0, 1, 2])
    assert.deepStrictEqual(run.table.columns["train_mean_nll"], [1, 1 / 2, 1 / 3])
    assert.deepStrictEqual(run.table.columns["test/nll"], [null, 0.25, null])
    assert.deepStrictEqual([run.tokens, run.every, run.notes], [30, 1, []])
    assert.deepStrictEqual(run.timings, [{ step: 0, spans: [span] }])
    assert.deepEqual<unknown>(run.samples, [{ step: 2, prompt: "a?", text: "b!", stop_reason: "stop" }])
    assert.strictEqual(run.checkpoints[0]!["state_path"], "tinker://run/weights/final")
    assert.deepStrictEqual(run.config, { base_model: "effect-tinker/nano" })
  }).pipe(Effect.scoped)
)

scoped("reads a run that is being written, and counts lines that hold nothing", () =>
  Effect.gen(function* () {
    const whole = lines(rows(2))
    const directory = yield* directoryWith({ "metrics.jsonl": `${whole}{"step": 2, "trai` })
    const running = yield* NodeReport.read(directory)
    assert.deepStrictEqual([running.table.step, running.notes], [[0, 1], []])

    const broken = yield* directoryWith({ "metrics.jsonl": `{"no step": 1}\nnot json\n${whole}` })
    const { notes, table } = yield* NodeReport.read(broken)
    assert.deepStrictEqual(table.step, [0, 1])
    assert.deepStrictEqual(notes, ["2 lines of metrics.jsonl could not be read"])
  }).pipe(Effect.scoped)
)

scoped("keeps some thousand rows of a long run, all its evaluations, and its last row", () =>
  Effect.gen(function* () {
    const evaluated = (step: number) => (step % 1000 === 7 ? { "test/nll": 1 } : {})
    const directory = yield* directoryWith({ "metrics.jsonl": lines(rows(20_001, evaluated)) })
    const { every, table, tokens } = yield* NodeReport.read(directory)
    assert.strictEqual(every, 8)
    assert.isBelow(table.step.length, 5_100)
    assert.strictEqual(table.columns["test/nll"]!.filter((value) => value === 1).length, 20)
    assert.deepStrictEqual([table.step.at(-1), tokens], [20_000, 200_010])
  }).pipe(Effect.scoped)
)

scoped("refuses a directory that is none of a run", () =>
  Effect.gen(function* () {
    const directory = yield* directoryWith({ "notes.txt": "" })
    const error = yield* Effect.flip(NodeReport.read(directory))
    assert.match(error.message, /is not the directory of a run: it has no metrics.jsonl/)
  }).pipe(Effect.scoped)
)

scoped("writes one file, in which nothing of a run is read as HTML", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const text = "</script><script>alert(1)</script><!-- $& $1"
    const directory = yield* directoryWith({
      "metrics.jsonl": lines(rows(2)),
      "samples.jsonl": lines([{ step: 1, text }])
    })
    const file = yield* NodeReport.write(directory)
    assert.strictEqual(file, `${directory}/report.html`)
    const html = yield* fs.readFileString(file)
    assert.notInclude(html, "alert(1)</script>")
    assert.strictEqual(dataIn(html).samples[0].text, text)
    assert.notMatch(html, /<(script|link)[^>]*(src|href)="(?!data:)/)
    const script = html.slice(html.lastIndexOf("<script>") + "<script>".length, html.lastIndexOf("</script>"))
    assert.doesNotThrow(() => new vm.Script(script))
    assert.match(script, /uPlot/)
  }).pipe(Effect.scoped)
)

scoped("follows a run on this computer's address, and responds under no other name", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const directory = yield* directoryWith({ "metrics.jsonl": lines(rows(1)) })
    const url = yield* NodeReport.watch(directory)
    assert.match(url, /^http:\/\/127\.0\.0\.1:\d+$/)
    const page = yield* get(`${url}/`)
    assert.match(page.body, /<body data-source="\/data">/)
    const first = yield* get(`${url}/data`)
    assert.deepStrictEqual(JSON.parse(first.body).table.step, [0])
    const unchanged = yield* get(`${url}/data`, { "if-none-match": first.etag })
    assert.deepStrictEqual([unchanged.status, unchanged.body], [304, ""])
    yield* fs.writeFileString(`${directory}/metrics.jsonl`, lines(rows(2)))
    const second = yield* get(`${url}/data`, { "if-none-match": first.etag })
    assert.deepStrictEqual(JSON.parse(second.body).table.step, [0, 1])
    const foreign = yield* get(`${url}/data`, { host: "evil.example" })
    assert.deepStrictEqual([foreign.status, foreign.body.includes("step")], [421, false])
    assert.strictEqual((yield* get(`${url}/../secret`)).status, 404)
  }).pipe(Effect.scoped)
)
