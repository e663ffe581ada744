/** Users side by side: one must neither see what another has, nor keep the other waiting. */
import { type Attack, expect, isShort } from "./attack.ts"
import { Client, datum, model, someTokens } from "./client.ts"
import { type Service, withService } from "./service.ts"

const withTwo = <A>(use: (ada: Client, bob: Client, service: Service) => Promise<A>): Promise<A> =>
  withService((service) => use(new Client(service.url, "tml-ada"), new Client(service.url, "tml-bob"), service), {
    env: { TINKER_SERVE_KEYS: "tml-ada,tml-bob" }
  })

/** The time so many days from now. */
const day = (days: number): string => new Date(Date.now() + days * 24 * 60 * 60 * 1000).toISOString()

const isolation = (): Promise<string> =>
  withTwo(async (ada, bob) => {
    const marker = "marker-of-ada"
    const session_id = await ada.session({ user_metadata: { name: marker } })
    const model_id = await ada.model(session_id)
    await ada.train(model_id, 1)
    const saved = await ada.run("/save_weights", {
      model_id,
      seq_id: 3,
      path: "secret",
      user_metadata: { name: marker }
    })
    const sampler = await ada.run("/save_weights_for_sampler", { model_id, seq_id: 4, path: "secret" })
    const held = await ada.run("/save_weights_for_sampler", { model_id, seq_id: 5 })
    const pass = await ada.ok(ada.pass(model_id, 6))
    const run = encodeURIComponent(model_id)
    const checkpoint = `/training_runs/${run}/checkpoints/weights/secret`
    const mine = await bob.session()
    const attempts: ReadonlyArray<readonly [method: string, path: string, body?: unknown]> = [
      ["GET", `/sessions/${session_id}`],
      ["GET", `/training_runs/${run}`],
      ["GET", `/training_runs/${run}/checkpoints`],
      ["GET", `${checkpoint}/archive`],
      ["GET", `/samplers/${encodeURIComponent(held.sampling_session_id)}`],
      ["DELETE", checkpoint],
      ["POST", `${checkpoint}/publish`],
      ["DELETE", `${checkpoint}/publish`],
      ["PUT", `${checkpoint}/ttl`, { ttl_seconds: 1 }],
      ["POST", "/get_info", { model_id }],
      ["POST", "/unload_model", { model_id }],
      ["POST", "/session_heartbeat", { session_id }],
      ["POST", "/retrieve_future", { request_id: pass.request_id }],
      ["POST", "/cancel_future", { request_id: pass.request_id }],
      ["POST", "/weights_info", { tinker_path: saved.path }],
      ["POST", "/optim_step", { model_id, seq_id: 7, adam_params: { learning_rate: 1 } }],
      ["POST", "/save_weights", { model_id, seq_id: 7, path: "stolen" }],
      ["POST", "/create_model", { session_id, model_seq_id: 3, base_model: model, lora_config: { rank: 8 } }],
      ["POST", "/load_weights", { session_id: mine, model_seq_id: 0, path: saved.path }],
      ["POST", "/copy_weights", { source_path: saved.path, destination_project_id: "p" }],
      ["POST", "/create_sampling_session", { session_id: mine, sampling_session_seq_id: 0, model_path: sampler.path }],
      ["POST", "/create_sampling_session", { session_id, sampling_session_seq_id: 9, base_model: model }],
      [
        "POST",
        "/asample",
        {
          model_path: sampler.path,
          num_samples: 1,
          prompt: { chunks: [{ type: "encoded_text", tokens: [3] }] },
          sampling_params: { max_tokens: 1 }
        }
      ],
      [
        "POST",
        "/asample",
        {
          sampling_session_id: held.sampling_session_id,
          seq_id: 0,
          num_samples: 1,
          prompt: { chunks: [{ type: "encoded_text", tokens: [3] }] },
          sampling_params: { max_tokens: 1 }
        }
      ],
      ["POST", `/sessions/${session_id}/finish`, { reason: { type: "success" } }],
      ["POST", `/sessions/${session_id}/project`, { project_id: "p" }],
      ["POST", `/sessions/${session_id}/trace`, {}]
    ]
    for (const [method, path, body] of attempts) {
      const headers = body === undefined ? {} : { "content-type": "application/json" }
      const answer = await bob.send(
        method,
        `/api/v1${path}`,
        headers,
        body === undefined ? undefined : JSON.stringify(body)
      )
      expect(
        answer.status >= 400 && answer.status < 500,
        `${method} ${path}: ${answer.status} ${answer.text.slice(0, 200)}`
      )
      expect(!answer.text.includes(marker), `${method} ${path} names what another user has`)
    }
    const lists = [
      "/checkpoints",
      "/training_runs",
      "/sessions",
      "/audit",
      `/billing/usage/events?starting_on=${day(-1)}&ending_before=${day(1)}`,
      "/billing/usage/checkpoints/current"
    ]
    for (const path of lists) {
      const { status, text } = await bob.get(path)
      expect(status === 200, `${path}: ${status} ${text.slice(0, 200)}`)
      expect(
        !text.includes(marker) && !text.includes(model_id) && !text.includes("secret"),
        `${path} lists what another user has`
      )
    }
    for (const path of ["/checkpoints", "/audit"]) {
      expect((await ada.get(path)).text.includes("secret"), `the owner does not see the checkpoint in ${path}`)
    }
    return `${attempts.length} requests for what another user has got 4xx, and ${lists.length} lists do not name it`
  })

const keys = (): Promise<string> =>
  withTwo(async (ada, bob, service) => {
    const model_id = await ada.model(await ada.session())
    await ada.run("/save_weights_for_sampler", { model_id, seq_id: 1, path: "x" })
    const archive = `/training_runs/${encodeURIComponent(model_id)}/checkpoints/sampler_weights/x/archive`
    const signed = new URL(String((await ada.get(archive)).headers.location))
    const open = (url: string) => service.send("GET", url)
    expect((await open(signed.pathname + signed.search)).status === 200, "a signed URL does not work")
    const changed = [
      signed.pathname.replace("/x/x.tar", "/y/y.tar") + signed.search,
      signed.pathname + signed.search.replace(/expires=\d+/, "expires=99999999999999"),
      signed.pathname + signed.search.replace(/signature=\w+/, "signature="),
      signed.pathname
    ]
    for (const url of changed) expect((await open(url)).status === 403, `${url} was served`)
    for (const key of [
      undefined,
      "",
      "tml-ada ",
      "tml-ad",
      "tml-adaa",
      "TML-ADA",
      "tml-ada,tml-bob",
      "eyJhbGciOiJub25lIn0.e30."
    ]) {
      const { status } = await new Client(service.url, key).get("/checkpoints")
      // Node trims the white space around the value of a header
      expect(status === 401 || key === "tml-ada ", `the key ${key} got ${status}`)
    }
    expect((await bob.get("/checkpoints")).status === 200, "a right key does not work")
    expect(!service.output().includes("tml-ada"), "a key is in the output of the service")
    return "changed signatures get 403, eight wrong keys 401, and no key is printed"
  })

/** How long one user's small pass takes while another user has queued many large ones. */
const starve = (): Promise<string> =>
  withTwo(async (ada, bob) => {
    const small = async (model_id: string, seq_id: number) => {
      const began = performance.now()
      const { request_id } = await bob.ok(bob.pass(model_id, seq_id, 16))
      await bob.result(request_id)
      return Math.round(performance.now() - began)
    }
    const bobs = await bob.model(await bob.session())
    await small(bobs, 1)
    const alone = await small(bobs, 2)
    const adas = await ada.model(await ada.session())
    const count = isShort ? 40 : 160
    const data = Array.from({ length: 16 }, (_, i) => datum(someTokens(120, i)))
    for (let seq = 1; seq <= count; seq++) {
      await ada.ok(
        ada.post("/forward_backward", {
          model_id: adas,
          seq_id: seq,
          forward_backward_input: { loss_fn: "cross_entropy", data }
        })
      )
    }
    const waits = []
    for (let seq = 3; seq < 6; seq++) waits.push(await small(bobs, seq))
    const done = await ada.post("/retrieve_future", { request_id: `${adas}:${count}` })
    const longest = Math.max(...waits)
    expect(done.body?.type === "try_again", `the passes of the other user had ended: a pass took ${longest} ms`)
    expect(longest < 15_000, `a pass of ${alone} ms took ${longest} ms behind ${count} of another user`)
    return `a pass of ${alone} ms takes ${waits.join(", ")} ms while ${count} of another user wait`
  })

export const attacks: ReadonlyArray<Attack> = [
  { name: "what another user has", short: false, run: isolation },
  { name: "forged keys and signatures", short: false, run: keys },
  { name: "a queue that keeps others waiting", short: false, run: starve }
]
