/** Processes that share one directory of checkpoints, and requests as long as a context. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Attack, expect } from "./attack.ts"
import { someTokens } from "./client.ts"
import { writeLongModel } from "./longModel.ts"
import { collect, makeDirectory, memoryOf, tinker, withService } from "./service.ts"

/** A second service on the directory of one that runs. */
const secondService = async (): Promise<string> => {
  const directory = makeDirectory()
  const saved = await withService(
    async (service) => {
      const model_id = await service.model(await service.session())
      const save = async (seq_id: number) =>
        String((await service.run("/save_weights", { model_id, seq_id, path: `p-${seq_id}` })).path)
      const paths = [await save(1)]
      const second = await collect(tinker(["serve", "--port", "0"], { cwd: directory }), 60_000)
      expect(second.code === 1, `a second service ends with ${second.code}: ${second.stdout.slice(0, 200)}`)
      expect(/another service listens/.test(second.stderr), `without the reason: ${second.stderr.slice(0, 300)}`)
      paths.push(await save(2), await save(3))
      return paths
    },
    { directory }
  )
  return withService(
    async (service) => {
      for (const tinker_path of saved) {
        const { status } = await service.post("/weights_info", { tinker_path })
        expect(status === 200, `${tinker_path} is lost: ${status}`)
      }
      return `the second is refused with the reason, and ${saved.length} saves of the first are there`
    },
    { directory }
  )
}

/** Runs of `tinker train` beside a service, on its directory: neither loses a save. */
const sideBySide = async (): Promise<string> => {
  const directory = makeDirectory()
  const lines = Array.from({ length: 20 }, (_, i) => JSON.stringify({ prompt: `a${i}`, completion: "b" }))
  writeFileSync(join(directory, "data.jsonl"), lines.join("\n"))
  const acknowledged = await withService(
    async (service) => {
      const model_id = await service.model(await service.session())
      const train = (name: string) =>
        collect(
          tinker(["train", "data.jsonl", "--embedded", "--steps", "2", "--name", name, "--output", name], {
            cwd: directory
          })
        )
      let running = true
      const trained = Promise.all([train("one"), train("two")]).finally(() => {
        running = false
      })
      const paths: Array<string> = []
      for (let seq_id = 1; running || seq_id < 10; seq_id++) {
        paths.push((await service.run("/save_weights", { model_id, seq_id, path: `p-${seq_id}` })).path)
      }
      for (const { code, stderr, stdout } of await trained) {
        expect(code === 0, `a run beside the service ends with ${code}: ${stderr.slice(0, 300)}`)
        paths.push(...new Set(`${stdout}${stderr}`.match(/tinker:\/\/[\w:.-]+\/(?:sampler_)?weights\/[\w.-]+/g) ?? []))
      }
      return paths
    },
    { directory }
  )
  return withService(
    async (service) => {
      const lost = []
      for (const tinker_path of acknowledged) {
        if ((await service.post("/weights_info", { tinker_path })).status !== 200) lost.push(tinker_path)
      }
      expect(lost.length === 0, `${lost.length} of ${acknowledged.length} saves are lost: ${lost[0]}`)
      const trained = acknowledged.filter((path) => !/\/p-\d+$/.test(path)).length
      expect(trained >= 2, `the runs named ${trained} checkpoints`)
      return `${acknowledged.length} saves of three processes, ${trained} of them of two runs, none lost`
    },
    { directory }
  )
}

/** The peak memory in MiB of a pass and a sample at so many tokens, with a model of hidden size 64. */
const peakAt = (tokens: number, directory: string): Promise<number> =>
  withService(
    async (service) => {
      const { model_id } = await service.run("/create_model", {
        session_id: await service.session(),
        model_seq_id: 0,
        base_model: "long",
        lora_config: { rank: 8 }
      })
      const { request_id } = await service.ok(service.pass(model_id, 1, tokens + 1))
      const { error } = await service.result(request_id)
      expect(error === undefined, `a pass of ${tokens} tokens failed: ${String(error).slice(0, 200)}`)
      const prompt = { chunks: [{ type: "encoded_text", tokens: someTokens(tokens) }] }
      await service.sample({ base_model: "long", prompt, prompt_logprobs: true })
      return memoryOf(service).peak
    },
    { args: ["--model-dir", `long=${directory}`] }
  )

const longSequences = async (): Promise<string> => {
  const directory = writeLongModel()
  const [short, long] = [await peakAt(2048, directory), await peakAt(8192, directory)]
  expect(long < 2.2 * 2.2 * short, `${short} MiB at 2,048 tokens, ${long} MiB at 8,192`)
  return `a pass and a sample take ${short} MiB at 2,048 tokens and ${long} MiB at 8,192, on a model of hidden size 64`
}

export const attacks: ReadonlyArray<Attack> = [
  { name: "a second service on one store", short: true, run: secondService },
  { name: "runs beside a service on one store", short: false, run: sideBySide },
  { name: "sequences of 8,192 tokens", short: false, run: longSequences }
]
