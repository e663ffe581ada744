/** Compares what the service acknowledged with what it has after its process has ended. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as Engine from "@effect-tinker/server/Engine"
import type * as Simulator from "@effect-tinker/testing/Simulator"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { Effect, Exit } from "effect"
import type { PCGRandom } from "effect/Utils"
import { countApplications, errorOf, type ModelLog, nameOf, type Submitted } from "./appliedOperations.ts"

/** What was acknowledged outside of training. */
export interface Ledger {
  readonly sessions: Set<string>
  /** projects by session */
  readonly projects: Map<string, string>
}

export const makeLedger = (): Ledger => ({ sessions: new Set(), projects: new Map() })

const base = "http://simulated.test"

// tests check the fields that they expect
type Json = any // eslint-disable-line typescript/no-explicit-any

/** The body of a response that is a success; `undefined` if there is none. */
const send = (http: HttpClient.HttpClient, request: HttpClientRequest.HttpClientRequest): Effect.Effect<Json> =>
  http.execute(request).pipe(
    Effect.flatMap((response) =>
      Effect.map(response.text, (text) => {
        if (response.status >= 300) return undefined
        return text === "" ? {} : (JSON.parse(text) as Json)
      })
    ),
    Effect.timeoutTo({ duration: "1 minute", onSuccess: (body) => body, onTimeout: () => undefined }),
    Effect.catchAll(() => Effect.succeed(undefined)),
    Effect.catchAllDefect(() => Effect.succeed(undefined))
  )

const get = (http: HttpClient.HttpClient, path: string) => send(http, HttpClientRequest.get(`${base}${path}`))
const post = (http: HttpClient.HttpClient, path: string, body: object) =>
  send(http, HttpClientRequest.post(`${base}/api/v1${path}`).pipe(HttpClientRequest.bodyUnsafeJson(body)))

/** Creates sessions and gives them projects; notes what was acknowledged. */
export const keepBooks = (http: HttpClient.HttpClient, chance: PCGRandom, ledger: Ledger) =>
  Effect.gen(function* () {
    const created = yield* post(http, "/create_session", { tags: [], user_metadata: {}, sdk_version: "test" })
    const session = created?.session_id as string | undefined
    if (session === undefined) return
    ledger.sessions.add(session)
    yield* Effect.sleep(chance.integer(3000))
    const project = `p-${chance.integer(1000)}`
    const assigned = yield* send(
      http,
      HttpClientRequest.put(`${base}/api/v1/sessions/${session}/project`).pipe(
        HttpClientRequest.bodyUnsafeJson({ project_id: project })
      )
    )
    if (assigned !== undefined) ledger.projects.set(session, project)
  }).pipe(Effect.repeatN(chance.integer(3)))

const isPass = ({ kind }: Submitted) => kind === "Forward" || kind === "ForwardBackward"

/** The tokens of passes that the service must have counted, and those that it may have. */
const tokensOf = (logs: ReadonlyArray<ModelLog>, applied: ReadonlyArray<Simulator.Applied>) => ({
  // each datum has three tokens or more
  least: logs
    .flatMap(({ submitted }) => submitted.filter((one) => isPass(one) && one.exit?._tag === "Success"))
    .reduce((sum, { datums }) => sum + 3 * datums, 0),
  most: applied
    .filter(({ type }) => type === "Forward" || type === "ForwardBackward")
    .flatMap(({ input }) => (input as Engine.PassOptions).data)
    .reduce((sum, { model_input }) => sum + ModelInput.toTokens(model_input).length, 0)
})

const savesOf = ({ submitted }: ModelLog): ReadonlyArray<string> =>
  submitted.flatMap(({ exit, kind, path }) =>
    kind === "SaveWeights" && exit?._tag === "Success" && path !== undefined ? [path] : []
  )

/** What the service has. */
const readAll = (http: HttpClient.HttpClient, millis: number) =>
  Effect.gen(function* () {
    const window = `starting_on=${new Date(0).toISOString()}&ending_before=${new Date(millis + 7_200_000).toISOString()}`
    const usage = yield* get(http, `/api/v1/billing/usage/events?${window}`)
    return {
      sessions: new Set<string>((yield* get(http, "/api/v1/sessions?limit=1000"))?.sessions),
      runs: new Set<string>(
        (yield* get(http, "/api/v1/training_runs?limit=1000"))?.training_runs.map((run: Json) => run.training_run_id)
      ),
      checkpoints: new Set<string>(
        (yield* get(http, "/api/v1/checkpoints?limit=1000"))?.checkpoints.map((one: Json) => one.tinker_path)
      ),
      audited: new Set<string>(
        (yield* get(http, `/api/v1/audit?event_type=all&${window}`))?.entries.map(
          (entry: Json) => entry.event_details.tinker_path
        )
      ),
      tokens: (usage?.data ?? []).reduce(
        (sum: number, { event_info }: Json) => sum + (event_info.type === "training" ? event_info.token_count : 0),
        0
      ) as number
    }
  })

/** What was acknowledged and is not there. `http` has no faults. */
export const checkAcknowledged = (
  http: HttpClient.HttpClient,
  ledger: Ledger,
  logs: ReadonlyArray<ModelLog>,
  applied: ReadonlyArray<Simulator.Applied>,
  millis: number
) =>
  Effect.gen(function* () {
    const problems: Array<string> = []
    const has = yield* readAll(http, millis)
    for (const id of ledger.sessions) if (!has.sessions.has(id)) problems.push(`lost: session ${id}`)
    for (const log of logs) {
      if (!has.runs.has(log.modelId)) problems.push(`lost: run ${log.modelId}`)
      for (const path of savesOf(log)) {
        if (!has.checkpoints.has(path)) problems.push(`lost: ${path}`)
        if (!has.audited.has(path)) problems.push(`lost: the entry on ${path} in the audit log`)
      }
    }
    for (const [session, project] of ledger.projects) {
      const found = yield* post(http, "/sessions/search", { session_id: session })
      if (found?.sessions[0]?.project_id !== project) problems.push(`lost: project ${project} of session ${session}`)
    }
    const { least, most } = tokensOf(logs, applied)
    if (has.tokens < least) problems.push(`lost: ${least - has.tokens} tokens of usage`)
    if (has.tokens > most) problems.push(`counted ${has.tokens - most} tokens too many`)
    return problems
  })

/** What is wrong with what the client was told of a model whose process ended. */
export const checkLost = (
  { modelId, origin, submitted }: ModelLog,
  all: ReadonlyArray<Simulator.Applied>
): ReadonlyArray<string> => {
  const applications = countApplications(all.filter(({ model_id }) => model_id === modelId))
  const errors = submitted.flatMap(({ exit }) => {
    const error = exit === undefined ? undefined : errorOf(exit)
    return error?._tag === "ModelLost" ? [error] : []
  })
  const check = ({ lastSaved, modelId: named, stepsLost }: TinkerError.ModelLost): ReadonlyArray<string> => {
    if (named !== modelId) return [`names ${named}`]
    const isAcknowledged = ({ exit }: Submitted) => exit !== undefined && Exit.isSuccess(exit)
    const hasPath = ({ path }: Submitted) => path !== undefined
    const lastAcknowledged = submitted.findLastIndex((one) => hasPath(one) && isAcknowledged(one))
    const found = submitted.findLastIndex(({ path }) => path === lastSaved && path !== undefined)
    if (found < 0 && lastSaved !== origin) return [`goes on from ${lastSaved}, which is not of the model`]
    if (found < lastAcknowledged) {
      return [`goes on from ${lastSaved}, although ${submitted[lastAcknowledged]!.path} was saved or loaded later`]
    }
    const steps = (from: number) => submitted.slice(from + 1).filter(({ kind }) => kind === "OptimStep")
    const least = steps(found).filter(isAcknowledged).length
    const earliest = submitted.findIndex((one) => one.path === lastSaved && hasPath(one))
    const since = lastAcknowledged >= 0 && submitted[lastAcknowledged]!.path === lastSaved ? lastAcknowledged : earliest
    const most = steps(since).filter((one) => (applications.get(nameOf(one)) ?? 0) > 0).length
    return stepsLost < least || stepsLost > most
      ? [`says that ${stepsLost} steps since ${lastSaved} are lost; there are ${least} to ${most}`]
      : []
  }
  return errors.flatMap(check).map((problem) => `ModelLost ${problem}`)
}
