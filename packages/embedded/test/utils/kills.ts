/** Kills a service under load, again and again, and compares what it has then with what it acknowledged. */
import * as AnyHost from "@effect-tinker/testing/AnyHost"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as processes from "./processes.ts"
import * as requests from "./requests.ts"

const { createModel, createSession, del, get, ok, pass, put, run, step } = requests

/** What was acknowledged, and what may have happened. */
interface Ledger {
  readonly sessions: Set<string>
  readonly projects: Map<string, string>
  readonly runs: Set<string>
  readonly checkpoints: Set<string>
  readonly removed: Set<string>
  /** checkpoints whose removal was sent, and not acknowledged */
  readonly removing: Set<string>
  tokens: number
  /** sends of passes and saves that were not acknowledged */
  attemptedTokens: number
  saves: number
  /** uploads by their id, with the files whose arrival was acknowledged */
  readonly uploads: Map<string, Upload>
  /** the paths of finished uploads, by their id */
  readonly uploaded: Map<string, string>
}

interface Upload {
  readonly urls: { readonly [file: string]: string }
  readonly received: Set<string>
  readonly files: { readonly [file: string]: Uint8Array }
}

export const makeLedger = (): Ledger => ({
  sessions: new Set(),
  projects: new Map(),
  runs: new Set(),
  checkpoints: new Set(),
  removed: new Set(),
  removing: new Set(),
  tokens: 0,
  attemptedTokens: 0,
  saves: 0,
  uploads: new Map(),
  uploaded: new Map()
})

const tokensOfPass = 2

/** Works without end: sessions, projects, passes, saves and removals. */
const work = (ledger: Ledger, worker: string): Effect.Effect<never, never, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const { session_id } = yield* createSession
    ledger.sessions.add(session_id)
    yield* ok(put(`/sessions/${session_id}/project`, { project_id: worker }))
    ledger.projects.set(session_id, worker)
    const { model_id } = yield* createModel(session_id, 0)
    ledger.runs.add(model_id)
    for (let i = 0, seq = 1; i < 6; i++) {
      ledger.attemptedTokens += tokensOfPass
      yield* pass(model_id, seq++)
      ledger.tokens += tokensOfPass
      yield* step(model_id, seq++)
      const { path } = yield* run("/save_weights", { model_id, seq_id: seq++, path: `step-${i}` })
      ledger.checkpoints.add(path)
      ledger.saves++
      if (i % 3 !== 2) continue
      ledger.checkpoints.delete(path)
      ledger.removing.add(path)
      yield* ok(del(`/training_runs/${model_id}/checkpoints/weights/step-${i}`))
      ledger.removed.add(path)
    }
  }).pipe(Effect.forever)

/** Sends the files of an upload that were not received, and finishes it. */
const goOn = (ledger: Ledger, id: string, { files, received, urls }: Upload) =>
  Effect.gen(function* () {
    for (const [file, content] of Object.entries(files)) {
      if (received.has(file)) continue
      const status = yield* requests.putFile(urls[file]!, content)
      if (status !== 200) return yield* Effect.dieMessage(`${file} got ${status}`)
      received.add(file)
    }
    const { tinker_path } = yield* ok(requests.finishUpload(id))
    ledger.uploaded.set(id, tinker_path)
    ledger.uploads.delete(id)
  })

/** Uploads without end. Uploads whose start was not acknowledged are unfinished for an hour, and stop it in the end. */
const upload = (ledger: Ledger): Effect.Effect<void, never, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const { session_id } = yield* createSession
    const { model_id } = yield* createModel(session_id, 0)
    const { adapter, config } = yield* requests.saveFiles(model_id, 1)
    const files = { [requests.adapterName]: adapter, [requests.configName]: config }
    while (true) {
      const { body, status } = yield* requests.startUpload
      if (status !== 200) return
      const started: Upload = { urls: body.urls, received: new Set(), files }
      ledger.uploads.set(body.upload_id, started)
      yield* goOn(ledger, body.upload_id, started)
    }
  })

/** The uploads that do not go on where they were acknowledged to be. */
const lostUploads = (ledger: Ledger) =>
  Effect.gen(function* () {
    const problems: Array<string> = []
    for (const [id, one] of Array.from(ledger.uploads)) {
      const exit = yield* Effect.exit(goOn(ledger, id, one))
      if (Exit.isFailure(exit)) problems.push(`upload ${id}: ${Cause.pretty(exit.cause)}`)
    }
    for (const [id, path] of Array.from(ledger.uploaded).slice(-5)) {
      const { body } = yield* requests.finishUpload(id)
      if (body.tinker_path !== path) problems.push(`upload ${id} is ${JSON.stringify(body)}`)
    }
    return problems
  })

/** What the service does not have although it acknowledged it. */
const lost = (ledger: Ledger) =>
  Effect.gen(function* () {
    const uploads = yield* lostUploads(ledger)
    const { sessions } = yield* ok(get("/sessions?limit=1000000"))
    const { training_runs } = yield* ok(get("/training_runs?limit=1000000"))
    const { checkpoints } = yield* ok(get("/checkpoints?limit=1000000"))
    const hour = 3_600_000
    const window = `starting_on=${new Date(Date.now() - 100 * hour).toISOString()}&ending_before=${new Date(Date.now() + hour).toISOString()}`
    const usage = yield* ok(get(`/billing/usage/events?${window}`))
    const { entries } = yield* ok(get("/audit"))
    const tokens = usage.data.reduce(
      (sum: number, { event_info }: requests.Json) =>
        sum + (event_info.type === "training" ? event_info.token_count : 0),
      0
    )
    const known = new Set<string>(sessions)
    const runs = new Set(training_runs.map(({ training_run_id }: requests.Json) => training_run_id))
    const paths = new Set(checkpoints.map(({ tinker_path }: requests.Json) => tinker_path))
    const created = entries.filter(({ event }: requests.Json) => event === "checkpoint_created").length
    const problems = [
      ...uploads,
      ...Array.from(ledger.uploaded.values()).filter((path) => !paths.has(path)),
      ...Array.from(ledger.sessions).filter((id) => !known.has(id)),
      ...Array.from(ledger.runs).filter((id) => !runs.has(id)),
      ...Array.from(ledger.checkpoints).filter((path) => !paths.has(path)),
      ...Array.from(ledger.removed)
        .filter((path) => paths.has(path))
        .map((path) => `${path}, which was removed`),
      ...(tokens < ledger.tokens ? [`${ledger.tokens - tokens} tokens of usage`] : []),
      ...(tokens > ledger.attemptedTokens ? [`${tokens - ledger.attemptedTokens} tokens were counted twice`] : []),
      ...(created < ledger.saves ? [`${ledger.saves - created} entries of the audit log`] : [])
    ]
    for (const [id, project] of Array.from(ledger.projects).slice(-20)) {
      const found = yield* ok(requests.post("/sessions/search", { session_id: id }))
      if (found.sessions[0]?.project_id !== project) problems.push(`the project of ${id}`)
    }
    return problems
  })

const size = (ledger: Ledger) =>
  ledger.sessions.size + ledger.runs.size + ledger.saves + ledger.removed.size + ledger.uploaded.size

/** Starts the service, checks it, loads it, and kills it. Returns what was lost until then. */
const round = (ledger: Ledger, directory: string) =>
  Effect.gen(function* () {
    const service = yield* processes.start("durableService.ts", directory)
    const client = AnyHost.layer(service.line)
    const problems = yield* Effect.provide(lost(ledger), client)
    const before = size(ledger)
    const workers = yield* Effect.forkScoped(
      Effect.all([...["a", "b", "c"].map((worker) => work(ledger, worker)), upload(ledger)].map(Effect.exit), {
        concurrency: "unbounded"
      }).pipe(Effect.provide(client))
    )
    const wanted = before + 5 + (yield* Random.nextIntBetween(0, 40))
    yield* Effect.sleep("1 millis").pipe(
      Effect.repeat({ until: () => size(ledger) >= wanted }),
      Effect.timeout("60 seconds")
    )
    yield* service.kill
    yield* Fiber.interrupt(workers)
    return problems
  }).pipe(Effect.scoped)

/** Kills a service so many times, and checks a last one. Returns what was lost, and how much was acknowledged. */
export const killRepeatedly = (directory: string, kills: number, report: (line: string) => void = () => {}) =>
  Effect.gen(function* () {
    const ledger = makeLedger()
    const problems: Array<string> = []
    for (let i = 0; i < kills; i++) {
      problems.push(...(yield* round(ledger, directory)))
      report(`${i + 1} kills: ${size(ledger)} records acknowledged, ${problems.length} lost`)
      if (problems.length > 0) break
    }
    const service = yield* processes.start("durableService.ts", directory)
    problems.push(...(yield* Effect.provide(lost(ledger), AnyHost.layer(service.line))))
    return { problems, acknowledged: size(ledger) }
  }).pipe(Effect.scoped)
