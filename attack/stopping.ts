/** Kills, restarts, signals, quotas and copies: what was acknowledged is there, and what runs is finished. */
import { cpSync, readdirSync, statSync, writeFileSync, symlinkSync, existsSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import { type Attack, expect, isShort, sleep } from "./attack.ts"
import type { Client } from "./client.ts"
import { makeDirectory, start, withService } from "./service.ts"

/** Saves until the service is killed, and returns the paths whose saves were acknowledged. */
const saveUntilKilled = async (directory: string, after: number, acknowledged: Array<string>): Promise<void> => {
  const service = await start({ directory })
  const model_id = await service.model(await service.session())
  setTimeout(() => void service.child.kill("SIGKILL"), after)
  for (let seq_id = 1; ; seq_id++) {
    try {
      const { path } = await service.run("/save_weights", { model_id, seq_id, path: `s-${seq_id}` })
      acknowledged.push(path)
    } catch {
      break
    }
  }
  await service.ended
}

const readable = async (client: Client, paths: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  const lost = []
  const session_id = await client.session()
  for (const [i, path] of paths.entries()) {
    const info = await client.post("/weights_info", { tinker_path: path })
    // loading verifies the checksums; a part of the paths is enough for the time
    if (info.status !== 200) lost.push(path)
    else if (i % 10 === 0) {
      const submitted = await client.post("/load_weights", { session_id, model_seq_id: i, path, optimizer: true })
      const result = submitted.status === 200 ? await client.result(submitted.body.request_id) : submitted.body
      if (result.path !== path) lost.push(path)
    }
  }
  return lost
}

const kills = async (): Promise<string> => {
  const directory = makeDirectory()
  const acknowledged: Array<string> = []
  const count = isShort ? 2 : 10
  for (let i = 0; i < count; i++) await saveUntilKilled(directory, 300 + ((i * 137) % 900), acknowledged)
  return withService(
    async (service) => {
      const lost = await readable(service, acknowledged)
      expect(lost.length === 0, `${lost.length} of ${acknowledged.length} acknowledged saves are lost: ${lost[0]}`)
      const partial = readdirSync(join(directory, "checkpoints")).filter((name) => name.startsWith(".draft-"))
      return `${acknowledged.length} saves acknowledged before ${count} kills, none lost, ${partial.length} drafts left`
    },
    { directory }
  )
}

const drain = (): Promise<string> =>
  withService(async (service) => {
    const session_id = await service.session()
    const model_id = await service.model(session_id)
    const ids = []
    for (let seq = 1; seq <= 3; seq++) ids.push((await service.ok(service.pass(model_id, seq, 100))).request_id)
    const began = performance.now()
    service.child.kill("SIGTERM")
    const results = await Promise.all(ids.map((id) => service.result(id).catch((error: unknown) => ({ error }))))
    const failed = results.filter((result) => result.loss_fn_outputs === undefined)
    const code = await Promise.race([service.ended, sleep(30_000)])
    expect(failed.length === 0, `${failed.length} of 3 passes that ran were lost: ${String(failed[0]?.error)}`)
    expect(code !== undefined, "the service did not end within 30 s")
    return `3 passes delivered after SIGTERM, ended after ${Math.round(performance.now() - began)} ms`
  })

const refuse = (): Promise<string> =>
  withService(
    async (service) => {
      const model_id = await service.model(await service.session())
      // it waits for an operation that does not come
      await service.ok(service.pass(model_id, 2))
      service.child.kill("SIGTERM")
      await sleep(200)
      const ready = await service.get("/readyz")
      const session = await service.post("/create_session", { tags: [], user_metadata: {}, sdk_version: "1" })
      expect(ready.status === 503, `readyz is ${ready.status} while the service stops`)
      expect(
        session.status === 503 && session.headers["retry-after"] !== undefined,
        `a new session got ${session.status}`
      )
      const began = performance.now()
      service.child.kill("SIGTERM")
      await service.ended
      const took = Math.round(performance.now() - began)
      expect(took < 2000, `a second signal took ${took} ms`)
      return `readyz 503, a new session 503 with retry-after, a second signal ends it in ${took} ms`
    },
    { args: ["--drain-seconds", "20"] }
  )

const sizeOf = (directory: string): number =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((total, entry) => total + statSync(join(entry.parentPath, entry.name)).size, 0)

const quota = (): Promise<string> =>
  withService(
    async (service) => {
      const session = await service.session()
      const model_id = await service.model(session)
      let saved = 0
      let refused = await service.post("/save_weights", { model_id, seq_id: 1 })
      for (let seq_id = 2; refused.status === 200 && seq_id < 100; seq_id++) {
        if ((await service.result(refused.body.request_id)).path !== undefined) saved++
        refused = await service.post("/save_weights", { model_id, seq_id })
      }
      const size = sizeOf(join(service.directory, "checkpoints"))
      expect(refused.status === 507, `after ${saved} saves: ${refused.status} ${refused.text.slice(0, 200)}`)
      expect(/\d+ of 5000000 bytes/.test(refused.body.detail), `no numbers in ${refused.body.detail}`)
      expect(size < 6_000_000, `a quota of 5 MB, and ${size} bytes on the disk`)
      return `${saved} saves, then 507: ${refused.body.detail}`
    },
    { args: ["--quota", "5MB"] }
  )

const backup = (): Promise<string> =>
  withService(async (service) => {
    const model_id = await service.model(await service.session())
    const paths: Array<string> = []
    const copy = join(makeDirectory(), "checkpoints")
    for (let seq_id = 1; seq_id <= 20; seq_id++) {
      const saving = service.run("/save_weights", { model_id, seq_id, path: `b-${seq_id}` })
      if (seq_id === 12) cpSync(join(service.directory, "checkpoints"), copy, { recursive: true })
      const { path } = await saving
      if (seq_id < 12) paths.push(path)
    }
    return withService(
      async (restored) => {
        const lost = await readable(restored, paths)
        expect(lost.length === 0, `${lost.length} of ${paths.length} acknowledged saves are not in the copy`)
        return `a copy made while a save ran has all ${paths.length} saves before it`
      },
      { directory: join(copy, "..") }
    )
  })

/** Files and links that others put into the directory, and names that lead out of it. */
const directory = async (): Promise<string> => {
  const cwd = makeDirectory()
  const root = join(cwd, "checkpoints")
  const secret = join(makeDirectory(), "secret")
  writeFileSync(secret, "the content of a secret file")
  mkdirSync(join(root, "run", "weights", "broken"), { recursive: true })
  writeFileSync(join(root, "run", "weights", "broken", "checkpoint.json"), "{".repeat(1000))
  mkdirSync(join(root, "run", "weights", "link"))
  symlinkSync(secret, join(root, "run", "weights", "link", "checkpoint.json"))
  symlinkSync(root, join(root, "run", "weights", "loop"))
  symlinkSync("/", join(root, "slash"))
  writeFileSync(join(root, "\u202e\u001b]0;x\u0007"), "")
  return withService(
    async (service) => {
      const model_id = await service.model(await service.session())
      const names = [
        "../x",
        "..",
        ".",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "%2e%2e",
        "x\u0000",
        "CON",
        "\u202ex",
        "é",
        "x".repeat(5000),
        "",
        " ",
        "-",
        ".draft-x"
      ]
      let seq_id = 1
      for (const path of names) {
        const answer = await service.post("/save_weights", { model_id, seq_id: seq_id++, path })
        expect(
          answer.status < 500,
          `the name ${JSON.stringify(path.slice(0, 20))}: ${answer.status} ${answer.text.slice(0, 200)}`
        )
        if (answer.status === 200) await service.result(answer.body.request_id)
      }
      for (const path of [
        "../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "run/checkpoints/weights/link/archive",
        "slash/checkpoints/weights/etc/archive",
        "run/checkpoints/weights/broken/archive"
      ]) {
        const { status, text } = await service.send("GET", `/api/v1/training_runs/${path}`)
        expect(
          status < 500 && !text.includes("root:") && !text.includes("secret file"),
          `${path}: ${status} ${text.slice(0, 200)}`
        )
      }
      const { status, text } = await service.get("/checkpoints")
      expect(status === 200 && !text.includes("secret file"), `the list got ${status}: ${text.slice(0, 200)}`)
      expect(!existsSync(join(cwd, "x")) && !existsSync(join(root, "x")), "a save left its directory")
      const modes = readdirSync(root, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && entry.name === "adapter_model.safetensors")
        .map((entry) => statSync(join(entry.parentPath, entry.name)).mode & 0o777)
      expect(
        modes.length > 0 && modes.every((mode) => mode === 0o600),
        `modes of weights: ${modes.map((m) => m.toString(8)).join()}`
      )
      return `${names.length} names, six paths and five entries of strangers: no 5xx, nothing outside is read or written, weights are 0600`
    },
    { directory: cwd }
  )
}

export const attacks: ReadonlyArray<Attack> = [
  { name: "kills while saves run", short: false, run: kills },
  { name: "SIGTERM while passes run", short: false, run: drain },
  { name: "new work for a service that stops", short: false, run: refuse },
  { name: "saves beyond the quota", short: false, run: quota },
  { name: "a copy of a store that is in use", short: false, run: backup },
  { name: "names and links that lead out of the store", short: false, run: directory }
]
