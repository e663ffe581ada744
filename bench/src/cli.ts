/**
 * Measures how long the command takes to start: `tinker --help` and `tinker version` as published, each in a separate
 * process. The baselines are an empty program that imports the modules of `@effect/cli`, and Node with an empty program.
 * The candidates take turns, so that other load on the machine affects all of them alike. A time is the median.
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { bundle } from "../../packages/cli/scripts/bundle.mjs"
import { figure } from "./figure.ts"

const rounds = 15

const emptyProgram = `
import * as Command from "@effect/cli/Command"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
const command = Command.make("empty", {}, () => Effect.void)
Command.run(command, { name: "empty", version: "0.0.0" })(process.argv).pipe(
  Effect.provide(NodeContext.layer),
  NodeRuntime.runMain
)
`

const median = (values: ReadonlyArray<number>): number =>
  values.slice().sort((a, b) => a - b)[Math.floor(values.length / 2)]!

const milliseconds = (args: ReadonlyArray<string>): number => {
  const start = performance.now()
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" })
  if (status !== 0) throw new Error(`${args.join(" ")} ended with ${status}: ${stderr}`)
  return performance.now() - start
}

export const main = async (print: (line: string) => void = console.log): Promise<void> => {
  // inside this package, so that the empty program can resolve its imports
  const directory = mkdtempSync(fileURLToPath(new URL("../.cli-", import.meta.url)))
  try {
    await bundle({ outdir: join(directory, "tinker"), local: "absent", report: "absent" })
    const empty = join(directory, "empty.mjs")
    writeFileSync(empty, emptyProgram)
    const tinker = join(directory, "tinker", "tinker.js")
    const candidates: ReadonlyArray<readonly [name: string, args: ReadonlyArray<string>]> = [
      ["node", ["-e", "0"]],
      ["empty", [empty, "--help"]],
      ["help", [tinker, "--help"]],
      ["version", [tinker, "version"]]
    ]
    const times = new Map(candidates.map(([name]) => [name, [] as Array<number>]))
    for (let round = 0; round <= rounds; round++) {
      for (const [name, args] of candidates) {
        const time = milliseconds(args)
        // the first run reads the files from disk
        if (round > 0) times.get(name)!.push(time)
      }
    }
    const of = (name: string) => median(times.get(name)!)
    print(`Node ${process.versions.node}, median of ${rounds}; Node alone takes ${of("node").toFixed(0)} ms`)
    const baseline = { name: "empty-@effect/cli", value: of("empty") }
    print(figure("cli.help", of("help"), "ms", baseline))
    print(figure("cli.version", of("version"), "ms", baseline))
  } finally {
    rmSync(directory, { recursive: true })
  }
}

export default main
