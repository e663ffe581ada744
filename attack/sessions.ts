/** Sessions and their fields: what has ended is released, and what is kept is bounded. */
import { type Attack, expect, isShort } from "./attack.ts"
import { model, someTokens } from "./client.ts"
import { memoryOf, type Service, withService } from "./service.ts"

const ended = (): Promise<string> =>
  withService(async (service) => {
    const run = async (count: number) => {
      for (let i = 0; i < count; i += 20) {
        await Promise.all(
          Array.from({ length: 20 }, async () => {
            const id = await service.session({ tags: ["x".repeat(200)], user_metadata: { a: "y".repeat(4000) } })
            await service.post(`/sessions/${id}/finish`, { reason: { type: "success" } })
          })
        )
      }
      return memoryOf(service).now
    }
    const count = isShort ? 400 : 2500
    const first = await run(count)
    const second = await run(count)
    const third = await run(count)
    const grown = third - second
    const perSession = (grown * 1024) / count
    expect(perSession < 20, `${count} ended sessions keep ${grown} MiB (${first}, ${second}, ${third} MiB)`)
    return `${first}, ${second}, ${third} MiB after ${count} ended sessions each`
  })

const fields = async (service: Service): Promise<string> => {
  const large = "x".repeat(3_000_000)
  const bodies: ReadonlyArray<readonly [string, object]> = [
    ["user_metadata", { tags: [], user_metadata: { a: large }, sdk_version: "1" }],
    ["tags", { tags: [large], user_metadata: {}, sdk_version: "1" }],
    ["sdk_version", { tags: [], user_metadata: {}, sdk_version: large }],
    ["display_name", { tags: [], user_metadata: {}, sdk_version: "1", display_name: large }],
    ["many tags", { tags: Array.from({ length: 100_000 }, () => "x"), user_metadata: {}, sdk_version: "1" }]
  ]
  for (const [name, body] of bodies) {
    const { status } = await service.post("/create_session", body)
    expect(status >= 400 && status < 500, `3 MB in ${name} got ${status}`)
  }
  return `${bodies.length} fields of 3 MB get 4xx`
}

/** Sequence numbers with gaps, so that nothing that is queued ever runs. */
const gaps = async (service: Service): Promise<string> => {
  const session = await service.session()
  const model_id = await service.model(session)
  const before = memoryOf(service).now
  const count = isShort ? 300 : 6000
  const statuses = new Map<number, number>()
  const first = await service.pass(model_id, 2_147_483_647)
  statuses.set(first.status, 1)
  for (let seq = 2; seq < count; seq += 20) {
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const { status } = await service.pass(model_id, seq + i, 200)
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      })
    )
  }
  await service.health()
  const grown = memoryOf(service).now - before
  const seen = Array.from(statuses, ([status, n]) => `${n} × ${status}`).join(", ")
  expect(![...statuses.keys()].some((status) => status >= 500), seen)
  if (!isShort) expect((statuses.get(429) ?? 0) > 0, `nothing was refused: ${seen}`)
  expect(grown < 600, `${grown} MiB for operations that wait: ${seen}`)
  // what waits counts as the user's: the attacks that follow have none of it
  await service.post(`/sessions/${session}/finish`, { reason: { type: "success" } })
  return `${seen}, ${grown} MiB`
}

/** The largest requests that the model takes: the memory they need at most. */
const memory = async (service: Service): Promise<string> => {
  const { supported_models } = await service.ok(service.get("/get_server_capabilities"))
  const context = Number(supported_models[0].max_context_length)
  const model_id = await service.model(await service.session())
  const before = memoryOf(service).now
  const { request_id } = await service.ok(service.pass(model_id, 1, context))
  await service.result(request_id)
  await service.sample({
    base_model: model,
    num_samples: 16,
    prompt: { chunks: [{ type: "encoded_text", tokens: someTokens(context - 8) }] }
  })
  const grown = memoryOf(service).peak - before
  expect(grown < 1500, `a pass and samples of ${context} tokens took ${grown} MiB`)
  return `a pass and 16 samples at the context length of ${context}: ${grown} MiB more at peak`
}

export const attacks = (service: Service): ReadonlyArray<Attack> => [
  { name: "sessions that ended", short: false, run: ended },
  { name: "fields of megabytes", short: true, run: () => fields(service) },
  { name: "gaps in sequence numbers", short: false, run: () => gaps(service) },
  { name: "the largest requests of the model", short: false, run: () => memory(service) }
]
