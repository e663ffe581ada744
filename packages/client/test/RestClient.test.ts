import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as TestServer from "@effect-tinker/testing/TestServer"
import * as HttpClient from "@effect/platform/HttpClient"
import { assert, describe, it } from "@effect/vitest"
import {
  Chunk,
  Clock,
  DateTime,
  Effect,
  Encoding,
  Fiber,
  Layer,
  Record,
  Redacted,
  type Scope,
  Stream,
  TestClock
} from "effect"

const { json } = ScriptedHttpClient

const options = { apiKey: Redacted.make("tml-rest-key"), baseUrl: "http://service.test" }

const over = (http: Layer.Layer<HttpClient.HttpClient>, apiKey = options.apiKey) =>
  RestClient.layer({ ...options, apiKey }).pipe(Layer.provide(http))

/** Runs a program against a scripted service, and returns its result and the requests. */
const against = <A, E>(script: ScriptedHttpClient.Script, program: (rest: RestClient.Service) => Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const flags = { "/client/config": json({}) }
    const http = yield* ScriptedHttpClient.make(
      typeof script === "object" && !Effect.isEffect(script) && !("_tag" in script)
        ? { ...flags, ...script }
        : { ...flags, "*": script as ScriptedHttpClient.Step }
    )
    const result = yield* Effect.flatMap(RestClient.RestClient, program).pipe(Effect.provide(over(http.layer)))
    const requests = (yield* http.requests).filter(({ path }) => path !== "/client/config" && path !== "/telemetry")
    return { result, requests }
  })

const collect = <A, E>(stream: Stream.Stream<A, E>) => Effect.map(Stream.runCollect(stream), Chunk.toReadonlyArray)

/** Trains two runs: three checkpoints of the first, a minute apart, and one of the second. */
const trained = Effect.gen(function* () {
  const service = yield* ServiceClient.ServiceClient
  const first = yield* service.createLoraTrainingClient({ base_model: TestEngine.baseModel, rank: 4 })
  const second = yield* service.createLoraTrainingClient({ base_model: TestEngine.baseModel, rank: 8 })
  const a = yield* Fiber.join(yield* first.saveState("a"))
  yield* TestClock.adjust("1 minute")
  const b = yield* Fiber.join(yield* first.saveState("b"))
  yield* TestClock.adjust("1 minute")
  const c = yield* Fiber.join(yield* first.saveWeightsForSampler("c"))
  yield* TestClock.adjust("1 minute")
  const d = yield* Fiber.join(yield* second.saveState("d"))
  return {
    session: service.sessionId,
    runs: [first.modelId, second.modelId],
    paths: [a, b, c, d].map(({ path }) => path)
  }
})

const embedded = <A, E>(
  program: (
    rest: RestClient.Service,
    made: Effect.Effect.Success<typeof trained>
  ) => Effect.Effect<A, E, ServiceClient.ServiceClient | HttpClient.HttpClient | Scope.Scope>
) =>
  Effect.gen(function* () {
    const server = yield* TestServer.make()
    const layer = Layer.provideMerge(Layer.merge(RestClient.layer(options), ServiceClient.layer(options)), server.layer)
    return yield* Effect.gen(function* () {
      return yield* program(yield* RestClient.RestClient, yield* trained)
    }).pipe(Effect.provide(layer))
  })

describe("RestClient against the embedded service", () => {
  it.scoped("looks up runs, sessions, samplers and checkpoints", () =>
    embedded((rest, { paths, runs, session }) =>
      Effect.gen(function* () {
        const run = yield* rest.getTrainingRun(paths[1]!)
        assert.deepStrictEqual(run, yield* rest.getTrainingRun(runs[0]!))
        assert.strictEqual(run.last_checkpoint?.tinker_path, paths[1])
        assert.strictEqual((yield* rest.listTrainingRuns({ limit: 1 })).cursor?.total_count, 2)
        const all = yield* collect(rest.streamTrainingRuns({ pageSize: 1 }))
        assert.sameMembers(
          all.map((one) => one.training_run_id),
          runs
        )
        assert.strictEqual((yield* rest.listCheckpoints(runs[0]!)).checkpoints.length, 3)
        const checkpoint = yield* rest.getCheckpoint(paths[2]!)
        assert.strictEqual(checkpoint.checkpoint_type, "sampler")
        assert.strictEqual(
          (yield* Effect.flip(rest.getCheckpoint(`tinker://${runs[0]}/weights/none`)))._tag,
          "NotFound"
        )
        assert.strictEqual((yield* rest.getWeightsInfo(paths[3]!)).lora_rank, 8)
        assert.deepStrictEqual((yield* rest.getSession(session)).training_run_ids, runs)
        assert.deepStrictEqual(yield* collect(rest.streamSessions()), [session])
        assert.strictEqual((yield* rest.getCheckpointStorage()).data[0]?.checkpoint_count, 4)
        const found = yield* collect(rest.streamCheckpointSearch({ limit: 1, checkpoint_type: "training" }))
        assert.deepStrictEqual(
          found.map((one) => one.tinker_path),
          [paths[3], paths[1], paths[0]]
        )
        const sessions = yield* collect(rest.streamSessionSearch({ statuses: [{ type: "active" }] }))
        assert.strictEqual(sessions[0]?.session_id, session)
      })
    )
  )

  it.scoped("publishes, unpublishes, expires, copies and deletes checkpoints", () =>
    embedded((rest, { paths, session }) =>
      Effect.gen(function* () {
        const path = paths[0]!
        yield* rest.publishCheckpoint(path)
        assert.isTrue((yield* rest.getCheckpoint(path)).public)
        assert.strictEqual((yield* Effect.flip(rest.publishCheckpoint(path)))._tag, "Conflict")
        yield* rest.unpublishCheckpoint(path)
        assert.isFalse((yield* rest.getCheckpoint(path)).public)
        yield* rest.setCheckpointTtl(path, 7200)
        const now = yield* Clock.currentTimeMillis
        assert.strictEqual(DateTime.toEpochMillis((yield* rest.getCheckpoint(path)).expires_at!), now + 7_200_000)
        yield* rest.setCheckpointTtl(path, null)
        assert.isUndefined((yield* rest.getCheckpoint(path)).expires_at)
        const copy = yield* rest.copyWeights(path, { session_id: session, model_seq_id: 9 })
        assert.strictEqual((yield* rest.getWeightsInfo(copy)).lora_rank, 4)
        yield* rest.deleteCheckpoint(path)
        assert.strictEqual((yield* Effect.flip(rest.deleteCheckpoint(path)))._tag, "NotFound")
        yield* rest.assignSessionProject(session, "p")
        assert.strictEqual((yield* rest.listTrainingRuns({ project_id: "p" })).training_runs.length, 3)
        yield* rest.finishSession(session, "errored", "because")
        const [found] = (yield* rest.searchSessions()).sessions
        assert.strictEqual(found?.status?.type, "client_finished")
      })
    )
  )

  it.scoped("deletes checkpoints by age, type and run, and lists them in a dry run", () =>
    embedded((rest, { paths, runs }) =>
      Effect.gen(function* () {
        const [a, b, c, d] = paths
        const dry = (selection: RestClient.Selection) =>
          Effect.map(collect(rest.deleteCheckpoints(selection, { dryRun: true })), (all) => {
            assert.isTrue(all.every(({ _tag }) => _tag === "Selected"))
            return all.map(({ tinker_path }) => tinker_path).sort()
          })
        const sorted = (...of: ReadonlyArray<string | undefined>) => of.map(String).sort()
        assert.deepStrictEqual(yield* dry({ checkpoint_type: "training" }), sorted(a, b, d))
        assert.deepStrictEqual(yield* dry({ training_run_id: runs[0]! }), sorted(a, b, c))
        assert.deepStrictEqual(yield* dry({ olderThan: "90 seconds" }), sorted(a, b))
        const at = (yield* rest.getCheckpoint(b!)).time
        assert.deepStrictEqual(yield* dry({ before: at }), sorted(a))
        assert.deepStrictEqual(yield* dry({ after: at }), sorted(c, d))
        assert.strictEqual((yield* rest.listUserCheckpoints()).checkpoints.length, 4, "nothing is deleted yet")
        const deleted = yield* collect(
          rest.deleteCheckpoints({ training_run_id: runs[0]!, checkpoint_type: "training" })
        )
        assert.isTrue(deleted.every(({ _tag }) => _tag === "Deleted"))
        const left = yield* collect(rest.streamUserCheckpoints())
        assert.deepStrictEqual(
          left.map(({ tinker_path }) => tinker_path),
          [d, c]
        )
        const named = yield* collect(rest.deleteCheckpoints({ targets: [a!, d!] }))
        assert.sameDeepMembers(
          named.map((one) => [one._tag, one.tinker_path]),
          [
            ["Failed", a],
            ["Deleted", d]
          ]
        )
        const failed = named.find((one) => one._tag === "Failed")
        assert.strictEqual(failed?.error._tag, "NotFound")
        assert.strictEqual((yield* Effect.flip(collect(rest.deleteCheckpoints({}))))._tag, "InvalidInput")
      })
    )
  )
})

const listing =
  (count: number, most = Number.MAX_SAFE_INTEGER, withTotal = true): ScriptedHttpClient.Step =>
  ({ url }) => {
    const query = new URL(url).searchParams
    const offset = Number(query.get("offset"))
    const limit = Math.min(Number(query.get("limit")), most)
    const checkpoints = Array.from({ length: Math.max(0, Math.min(limit, count - offset)) }, (_, index) => ({
      checkpoint_id: `weights/${offset + index}`,
      checkpoint_type: "training",
      time: "2026-01-01T00:00:00Z",
      tinker_path: `tinker://r/weights/${offset + index}`
    }))
    return json({ checkpoints, ...(withTotal ? { cursor: { offset, limit, total_count: count } } : {}) })
  }

const numbers = (list: ReadonlyArray<{ readonly checkpoint_id: string }>) =>
  list.map(({ checkpoint_id }) => Number(checkpoint_id.split("/")[1]))

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)

describe("a stream over pages", () => {
  it.effect("requests no page that is not consumed", () =>
    Effect.gen(function* () {
      const { requests, result } = yield* against({ "/checkpoints": listing(50) }, (rest) =>
        collect(rest.streamUserCheckpoints({ pageSize: 10 }).pipe(Stream.take(15)))
      )
      assert.deepStrictEqual(numbers(result), range(0, 15))
      assert.strictEqual(requests.length, 2)
    })
  )

  it.effect("emits every item once, from any offset, with any page size and concurrency", () =>
    Effect.gen(function* () {
      for (const concurrency of [1, 4]) {
        for (const most of [3, 10, 1000]) {
          for (const withTotal of most === 3 ? [true] : [true, false]) {
            const { result } = yield* against({ "/checkpoints": listing(25, most, withTotal) }, (rest) =>
              collect(rest.streamUserCheckpoints({ offset: 4, pageSize: 10, concurrency }))
            )
            assert.deepStrictEqual(numbers(result), range(4, 25))
          }
        }
      }
      const { requests, result } = yield* against({ "/checkpoints": listing(20, 1000, false) }, (rest) =>
        collect(rest.streamUserCheckpoints({ pageSize: 10 }))
      )
      assert.strictEqual(result.length, 20)
      assert.strictEqual(requests.length, 3, "without a total, a full page may not be the last")
    })
  )

  it.effect("sends no more concurrent requests than its option allows", () =>
    Effect.gen(function* () {
      let now = 0
      let most = 0
      const slow: ScriptedHttpClient.Step = (request) =>
        Effect.gen(function* () {
          most = Math.max(most, ++now)
          yield* Effect.sleep("1 second")
          now--
          return (listing(1000) as (request: ScriptedHttpClient.Recorded) => ScriptedHttpClient.Reply)(request)
        })
      const fiber = yield* Effect.fork(
        against({ "/checkpoints": slow }, (rest) =>
          collect(rest.streamUserCheckpoints({ pageSize: 10, concurrency: 4 }))
        )
      )
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(numbers((yield* Fiber.join(fiber)).result), range(0, 1000))
      assert.strictEqual(most, 4)
    })
  )

  it.effect("requests the usage of more than two weeks in windows", () =>
    Effect.gen(function* () {
      const at = (text: string) => DateTime.unsafeMake(text)
      const { requests } = yield* against({ "/billing/usage/events": json({ data: [], sessions: {} }) }, (rest) =>
        collect(rest.streamBillingUsage({ starting_on: at("2026-01-01"), ending_before: at("2026-02-01") }))
      )
      const windows = requests.map(({ url }) =>
        Array.from(new URL(url).searchParams.values(), (day) => day.slice(0, 10))
      )
      assert.deepStrictEqual(windows, [
        ["2026-01-01", "2026-01-15"],
        ["2026-01-15", "2026-01-29"],
        ["2026-01-29", "2026-02-01"]
      ])
    })
  )
})

describe("an adapter", () => {
  it.scoped("can be uploaded as it was downloaded, and sampled from", () =>
    embedded((rest, { paths }) =>
      Effect.gen(function* () {
        const path = paths[2]!
        const service = yield* ServiceClient.ServiceClient
        const http = yield* HttpClient.HttpClient
        const training = yield* service.createTrainingClientFromState(paths[0]!)
        const external = yield* Fiber.join(yield* training.saveWeightsExternal("out"))
        const { urls } = yield* rest.getExternalWeightsUrls(external.path!)
        const files = yield* Effect.all(
          Record.map(urls, (url) =>
            Effect.map(
              Effect.flatMap(http.get(url), ({ arrayBuffer }) => arrayBuffer),
              (buffer) => new Uint8Array(buffer)
            )
          )
        )
        const { base_model, lora_rank: rank } = yield* rest.getWeightsInfo(path)
        const lora_config = { rank: rank!, train_attn: true, train_mlp: true, train_unembed: true }
        const uploaded = yield* rest.uploadExternalWeights({ base_model, lora_config, files })
        const sampling = yield* service.createSamplingClient({ model_path: uploaded })
        const { sequences } = yield* sampling.sample(ModelInput.fromTokens([1, 2]), {
          sampling_params: { max_tokens: 2 }
        })
        assert.strictEqual(sequences[0]!.tokens.length, 2)
      })
    )
  )
})

describe("invalid input of RestClient", () => {
  it.effect("fails before a request is sent", () =>
    Effect.gen(function* () {
      const paths = ["", "x", "tinker://", "tinker://r/other/n", "tinker://r/weights/a/b", "tinker://r/weights/"]
      const { requests } = yield* against(json({}), (rest) =>
        Effect.gen(function* () {
          for (const path of paths) {
            for (const call of [
              rest.publishCheckpoint(path),
              rest.unpublishCheckpoint(path),
              rest.setCheckpointTtl(path, 3600),
              rest.deleteCheckpoint(path),
              rest.getCheckpointArchiveUrl(path),
              rest.getExternalWeightsUrls(path),
              rest.getWeightsInfo(path),
              rest.getCheckpoint(path),
              rest.copyWeights(path, { destination_project_id: "p" })
            ]) {
              const error = yield* Effect.flip(call as Effect.Effect<unknown, { readonly _tag: string }>)
              assert.strictEqual(error._tag, "InvalidInput", path)
            }
          }
          for (const call of [
            rest.getTrainingRun("tinker://"),
            rest.getTrainingRun(""),
            rest.getTrainingRun("../sessions"),
            rest.getSession("a?b=c"),
            rest.getSampler("a b"),
            rest.listCheckpoints(".."),
            rest.listTrainingRuns({ limit: 0 }),
            rest.listSessions({ offset: -1 }),
            rest.setCheckpointTtl("tinker://r/weights/a", 0),
            rest.getExternalWeightsUrls("tinker://r/weights/a"),
            rest.copyWeights("tinker://r/weights/a", {}),
            rest.copyWeights("tinker://r/weights/a", { session_id: "s" }),
            rest.copyWeights("tinker://r/weights/a", {
              destination_project_id: "p",
              weightsAccessToken: Redacted.make("tml-secret\nx: y")
            }),
            rest.searchCheckpoints({ limit: 500 }),
            rest.getAuditLog({ day: "today" }),
            collect(rest.streamUserCheckpoints({ pageSize: 0 })),
            collect(rest.deleteCheckpoints({ targets: ["tinker://r/weights/a", "x"] })),
            rest.whoami
          ]) {
            const error = yield* Effect.flip(call as Effect.Effect<unknown, { readonly _tag: string }>)
            assert.strictEqual(error._tag, "InvalidInput")
            assert.notInclude(JSON.stringify(error), "secret")
          }
        })
      )
      assert.deepStrictEqual(requests, [])
    })
  )
})

const path = "tinker://run:train:0/weights/a"
const archive = "/training_runs/run:train:0/checkpoints/weights/a/archive"

describe("the URL of an archive", () => {
  it.effect("is read from a redirect, which is not followed, or from a body", () =>
    Effect.gen(function* () {
      const moved = yield* against(
        {
          [archive]: ScriptedHttpClient.empty({
            status: 302,
            headers: { location: "https://files.test/a?sig=1", expires: "Wed, 25 Nov 2026 12:00:00 GMT" }
          })
        },
        (rest) => rest.getCheckpointArchiveUrl(path)
      )
      assert.strictEqual(moved.result.url, "https://files.test/a?sig=1")
      assert.strictEqual(DateTime.formatIso(moved.result.expires), "2026-11-25T12:00:00.000Z")
      assert.strictEqual(moved.requests.length, 1)
      const open = yield* against(
        { [archive]: ScriptedHttpClient.empty({ status: 302, headers: { location: "/files/a" } }) },
        (rest) => rest.getCheckpointArchiveUrl(path)
      )
      assert.strictEqual(open.result.url, "http://service.test/files/a")
      assert.strictEqual(DateTime.toEpochMillis(open.result.expires), 15 * 60_000)
      const inBody = yield* against(
        { [archive]: json({ url: "https://files.test/b", expires: 1_800_000_000 }) },
        (rest) => rest.getCheckpointArchiveUrl(path)
      )
      assert.strictEqual(inBody.result.expires.epochMillis, 1_800_000_000_000)
      const nowhere = yield* against({ [archive]: ScriptedHttpClient.empty({ status: 302 }) }, (rest) =>
        Effect.flip(rest.getCheckpointArchiveUrl(path))
      )
      assert.strictEqual(nowhere.result._tag, "DecodeError")
    })
  )

  it.effect("is polled while the archive is built, up to a limit", () =>
    Effect.gen(function* () {
      const building = json({ detail: "building" }, { status: 503 })
      const soon = json({ detail: "building" }, { status: 503, headers: { "retry-after": "5" } })
      const ready = json({ url: "https://files.test/a", expires: null })
      const script = { [archive]: [building, soon, ScriptedHttpClient.connectionLost, ready] }
      const fiber = yield* Effect.fork(against(script, (rest) => rest.getCheckpointArchiveUrl(path)))
      yield* TestClock.adjust("1 minute")
      const { requests } = yield* Fiber.join(fiber)
      const times = requests.map(({ time }) => time)
      assert.deepStrictEqual(times.slice(0, 3), [0, 30_000, 35_000])
      assert.isBelow(times[3]!, 35_600)
      const late = yield* Effect.fork(
        against({ [archive]: building }, (rest) =>
          Effect.flip(rest.getCheckpointArchiveUrl(path, { atMost: "2 minutes" }))
        )
      )
      yield* TestClock.adjust("3 minutes")
      const { requests: asked, result } = yield* Fiber.join(late)
      assert.strictEqual(result._tag, "ServerError")
      assert.strictEqual(asked.length, 5)
    })
  )
})

describe("RestClient", () => {
  it.effect("polls for a trace until it is ready or failed, up to a limit", () =>
    Effect.gen(function* () {
      const pending = json({ status: "pending" })
      const trace = (steps: ReadonlyArray<ScriptedHttpClient.Step>) =>
        Effect.fork(
          against({ "/sessions/s/trace_export": steps }, (rest) =>
            Effect.either(rest.exportSessionTrace("s", { atMost: "1 minute" }))
          )
        )
      const ready = yield* trace([pending, pending, json({ status: "ready", url: "https://files.test/t" })])
      const failed = yield* trace([pending, json({ status: "failed", error: "too large" })])
      const never = yield* trace([pending])
      yield* TestClock.adjust("2 minutes")
      const first = yield* Fiber.join(ready)
      assert.strictEqual(first.result._tag === "Right" && first.result.right, "https://files.test/t")
      assert.deepStrictEqual(
        first.requests.map(({ time }) => time),
        [0, 5_000, 10_000]
      )
      const second = (yield* Fiber.join(failed)).result
      assert.isTrue(
        second._tag === "Left" && second.left._tag === "RequestFailed" && second.left.reason === "too large"
      )
      const third = (yield* Fiber.join(never)).result
      assert.isTrue(third._tag === "Left" && third.left._tag === "RequestFailed")
    })
  )

  it.effect("follows a redirect without sending the key to another host", () =>
    Effect.gen(function* () {
      const to = (location: string) => ScriptedHttpClient.empty({ status: 307, headers: { location } })
      const { requests, result } = yield* against(
        {
          "/audit": to("/moved"),
          "/moved": to("https://elsewhere.test/audit.json"),
          "/audit.json": json({ entries: [{ timestamp: "2026-01-01T00:00:00Z", event: "checkpoint_created" }] })
        },
        (rest) => rest.getAuditLog({ event_type: "checkpoints", day: "2026-01-01" })
      )
      assert.strictEqual(result.entries[0]?.event, "checkpoint_created")
      assert.strictEqual(new URL(requests[0]!.url).search, "?event_type=checkpoints&day=2026-01-01")
      assert.deepStrictEqual(
        requests.map(({ headers }) => headers["x-api-key"]),
        ["tml-rest-key", "tml-rest-key", undefined]
      )
    })
  )

  it.effect("reads the identity of the user from a token", () =>
    Effect.gen(function* () {
      const part = (claims: object) => Encoding.encodeBase64Url(JSON.stringify(claims))
      const token = (claims: object) => Redacted.make(`${part({ alg: "none" })}.${part(claims)}.sig`)
      const whoami = (claims: object) =>
        Effect.gen(function* () {
          const http = yield* ScriptedHttpClient.make(json({}))
          const rest = Effect.flatMap(RestClient.RestClient, ({ whoami }) => whoami)
          return yield* Effect.provide(rest, over(http.layer, token(claims)))
        })
      assert.deepStrictEqual(yield* whoami({ sub: "u", email: "", org_id: 7, exp: 9e9 }), {
        user_urn: "u",
        email: undefined,
        organization_urn: "tml:organization:7"
      })
      assert.strictEqual((yield* whoami({ sub: "u", email: "a@b" })).email, "a@b")
      assert.strictEqual((yield* Effect.flip(whoami({})))._tag, "DecodeError")
    })
  )

  it.effect("uploads an adapter to signed URLs without the key", () =>
    Effect.gen(function* () {
      const files = { "adapter_config.json": new Uint8Array([1]), "adapter_model.safetensors": new Uint8Array([2, 3]) }
      const urls = Object.fromEntries(Object.keys(files).map((name) => [name, `https://files.test/put/${name}?sig=s`]))
      const lora_config = { rank: 8, train_unembed: true, train_mlp: true, train_attn: true }
      const script = {
        "/external_weights_upload_start": json({ upload_id: "u", urls, expires: "2026-01-01T00:00:00Z" }),
        "/external_weights_upload_finish": json({ tinker_path: "tinker://r/external_weights/u" }),
        "*": ScriptedHttpClient.empty()
      }
      const { requests, result } = yield* against(script, (rest) =>
        rest.uploadExternalWeights({ base_model: "b", lora_config, files })
      )
      assert.strictEqual(result, "tinker://r/external_weights/u")
      const puts = requests.filter(({ method }) => method === "PUT")
      assert.deepStrictEqual(
        puts.map(({ bytes }) => Array.from(bytes)),
        [[1], [2, 3]]
      )
      assert.isTrue(puts.every(({ headers }) => headers["x-api-key"] === undefined))
      const missing = yield* against(script, (rest) =>
        Effect.flip(rest.uploadExternalWeights({ base_model: "b", lora_config, files: { "a.bin": new Uint8Array(1) } }))
      )
      assert.strictEqual(missing.result._tag, "InvalidInput")
    })
  )
})
